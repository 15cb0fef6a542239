"""A platform that does what a test tells it: the far end of lifecycle's tests, without HTTP."""

from __future__ import annotations

import hmac
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

import pytest
from django.db import connections

from providers.contract import kinds
from providers.contract.base import (
    Adapter,
    Bell,
    Capabilities,
    Delivery,
    DirectoryEntry,
    Field,
    File,
    HookRequest,
    InvoiceFacts,
    InvoiceKey,
    InvoiceReport,
    Malformed,
    NotGenuine,
    Party,
    PermanentError,
    PollPage,
    Receipt,
    Reply,
    StatusMessage,
    StatusReport,
)
from providers.norm.codes import INVOICE_STATUSES

SECRET = "the-shared-secret"
EVERY_STATUS = frozenset(INVOICE_STATUSES)


class Platform:
    """What it was told and asked, and what it will answer: a value, an exception, or a function of the argument."""

    def __init__(self) -> None:
        self.told: list[StatusMessage] = []
        self.handed_in: list[tuple[File, InvoiceFacts]] = []
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[str, list[Any]] = defaultdict(list)
        self.invoices: dict[str, InvoiceReport] = {}
        self.files: dict[str, tuple[File, ...]] = {}
        self.histories: dict[str, tuple[StatusReport, ...]] = {}
        self.capabilities = Capabilities(
            buyer_statuses=EVERY_STATUS,
            seller_statuses=EVERY_STATUS,
            submit_formats=frozenset({"ubl", "cii", "facturx"}),
            look_up=True,
            history=True,
            polling=True,
            directory=True,
        )
        self.lock = threading.Lock()

    def answer(self, call: str, *answers: Any) -> None:
        """The next answers to a call; the last one stays."""
        self.answers[call] = list(answers)

    def next(self, call: str, argument: Any, usual: Any) -> Any:
        with self.lock:
            scripted = self.answers[call]
            answer = (scripted.pop(0) if len(scripted) > 1 else scripted[0]) if scripted else usual
        answer = answer(argument) if callable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def has(self, ref: str, *statuses: StatusReport, files: tuple[File, ...] = (), **values: Any) -> None:
        """It holds this invoice now."""
        defaults: dict[str, Any] = {"direction": "received", "number": ref, "buyer": Party(siren="800112237")}
        self.invoices[ref] = InvoiceReport(provider_ref=ref, **(defaults | values))
        self.files[ref] = files
        self.histories[ref] = statuses

    @property
    def told_statuses(self) -> list[str]:
        return [message.status for message in self.told]


class Scripted(Adapter):
    kind = "scripted"
    label = "Scripted platform"
    secret_fields = (Field(name="secret"),)
    platform: ClassVar[Platform]

    @property
    def capabilities(self) -> Capabilities:
        return self.platform.capabilities

    def serve(self, request: HookRequest) -> Reply | None:
        if not request.body.startswith(b"secret="):
            return super().serve(request)
        self.account.vault.change("pushed", secret=request.body.removeprefix(b"secret=").decode())
        return Reply(status_code=204)

    def verify_webhook(self, request: HookRequest) -> None:
        if not hmac.compare_digest(request.header("X-Secret"), SECRET):
            raise NotGenuine("The secret is wrong.")

    def parse_webhook(self, request: HookRequest) -> Delivery:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Malformed("The body is not JSON.") from None
        self.platform.next("parse", body, None)
        return read_push(body)

    def fetch_delivery(self, reference: str) -> Delivery:
        self.platform.asked.append(("delivery", reference))
        return self.platform.next("fetch_delivery", reference, PermanentError("No such news.", status_code=404))

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        self.platform.asked.append(("invoice", provider_ref))
        usual = self.platform.invoices.get(provider_ref) or PermanentError("No such invoice.", status_code=404)
        return self.platform.next("fetch_invoice", provider_ref, usual)

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        self.platform.asked.append(("files", provider_ref))
        return self.platform.next("fetch_files", provider_ref, self.platform.files.get(provider_ref, ()))

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        self.platform.asked.append(("statuses", provider_ref))
        return self.platform.next("fetch_statuses", provider_ref, self.platform.histories.get(provider_ref, ()))

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        return self.platform.next("poll", cursor, PollPage())

    def send_status(self, message: StatusMessage) -> Receipt:
        self.account.secrets.get("secret")
        with self.platform.lock:
            self.platform.told.append(message)
        return self.platform.next("send", message, Receipt(reference=f"r-{message.id}"))

    def find_status(self, message: StatusMessage) -> Receipt | None:
        self.platform.asked.append(("status", message.id))
        return self.platform.next("find", message, None)

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        with self.platform.lock:
            self.platform.handed_in.append((file, invoice))
        return self.platform.next("submit", invoice, Receipt(reference=f"p-{invoice.number}"))

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        self.platform.asked.append(("issued", invoice.number))
        return self.platform.next("find_invoice", invoice, None)

    def search_directory(self, identifier: str) -> tuple[DirectoryEntry, ...]:
        self.platform.asked.append(("directory", identifier))
        return self.platform.next("directory", identifier, ())


def read_push(body: dict[str, Any]) -> Delivery:
    bells = [
        Bell(
            provider_ref=bell["ref"],
            is_new_invoice=bell.get("new", False),
            hint=read_status(bell["hint"] | {"ref": bell["ref"]}) if "hint" in bell else None,
        )
        for bell in body.get("bells", ())
    ]
    return Delivery(
        key=body["key"],
        points_to=body.get("at", ""),
        bells=tuple(bells),
        statuses=tuple(read_status(status) for status in body.get("statuses", ())),
        ignored=body.get("ignored", ""),
        poll_soon=body.get("poll_soon", False),
        unclear=body.get("unclear", ""),
    )


def read_status(row: dict[str, Any]) -> StatusReport:
    return StatusReport(
        provider_ref=row.get("ref", ""),
        invoice_key=read_names(row["names"]) if "names" in row else None,
        status=row.get("status"),
        native_status=row.get("word", ""),
        issuer_role=row.get("role", ""),
        note=row.get("note", ""),
        occurred_at=datetime.fromisoformat(row["at"]) if "at" in row else None,
        key=row.get("key", ""),
        derived=row.get("derived", False),
    )


def read_names(row: dict[str, str]) -> InvoiceKey:
    issued = date.fromisoformat(row["issued"]) if "issued" in row else None
    return InvoiceKey(
        seller_siren=row["seller"], number=row["number"], issue_date=issued, direction=row.get("direction", "")
    )


@pytest.fixture
def platform(monkeypatch) -> Platform:
    """The far end behind every connection of kind "scripted"."""
    Scripted.platform = Platform()
    monkeypatch.setitem(kinds.ADAPTERS, "scripted", "tests.scripted.Scripted")
    return Scripted.platform


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same moment, each in a thread of its own; their results or exceptions, in order."""
    start = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        start.wait()
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[place]) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results

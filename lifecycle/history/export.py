"""Invoices as a ZIP that proves itself: originals, readable copies, history, what was told to whom, and all hashes.

Written as a stream: no more than one invoice is in memory, whatever their number. `export_check` reads it back.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from invoices.models import AccountChange, Customer, Invoice, InvoiceDocument
from invoices.people import audit
from invoices.register import files
from invoices.register.stored import read_document
from lifecycle.models import RelayAttempt, RelayTask, StatusEvent
from providers.formats.xml import UnreadableDocument

from . import exchanges, seals

FORMAT = "navette-export/2"
MANIFEST, SIGNATURE, README = "manifest.json", "signature.json", "README.txt"
INVOICE, EVENTS, RELAYS, READABLE = "invoice.json", "events.json", "relays.json", "readable.pdf"
PROOF = "proof.json"
CHUNK = 256 * 1024
# What one request may ask for; the command has no limit.
MAX_AT_ONCE = 500


class TooMany(Exception):
    def __init__(self) -> None:
        super().__init__(
            _(
                "More than %(limit)d invoices match. Narrow the filters, or ask an operator for the command "
                "export_invoices, which has no limit."
            )
            % {"limit": MAX_AT_ONCE}
        )


def at_most(invoices: QuerySet[Invoice], limit: int = MAX_AT_ONCE) -> list[Any]:
    """The ids of invoices, or TooMany."""
    ids = list(invoices.order_by("-created_at", "-pk").values_list("pk", flat=True)[: limit + 1])
    if len(ids) > limit:
        raise TooMany
    return ids


def archive_name(moment: datetime, invoice: Invoice | None = None) -> str:
    name = files.plain_name(str(invoice))[:80] if invoice else "export"
    return f"navette-{name}-{timezone.localtime(moment):%Y%m%d-%H%M}.zip"


def export(ids: Iterable[Any], *, made_by: str) -> Iterator[bytes]:
    """The ZIP in pieces. An invoice that is gone by then is left out."""
    archive = Archive(made_by=made_by)
    return archive.write(archive.add_invoice_if_there(each) for each in ids)


def proof(relay: RelayTask, *, user: Any) -> StreamingHttpResponse:
    """One decision as evidence: what was sent, byte for byte, when, to whom, and what came back; signed."""
    archive = Archive(made_by=user.get_username())
    _note([relay.invoice_id], user)
    return _download(archive.write([archive.add_proof(relay)]), relay.invoice)


def as_download(ids: list[Any], *, user: Any, invoice: Invoice | None = None) -> StreamingHttpResponse:
    """Sent while it is made; a connection that breaks leaves a ZIP that no program opens, never half of one."""
    _note(ids, user)
    return _download(export(ids, made_by=user.get_username()), invoice)


def _note(ids: list[Any], user: Any) -> None:
    """Each customer's administrators see in the audit log what of theirs was taken out."""
    taken = Invoice.objects.filter(pk__in=ids).order_by().values_list("customer").annotate(Count("pk"), Min("number"))
    customers = Customer.objects.in_bulk([key for key, _count, _number in taken])
    for key, count, number in taken:
        subject = number if count == 1 else customers[key]
        audit.record(audit.Action.EXPORTED, actor=user, customer=customers[key], subject=subject, count=count)


def _download(pieces: Iterator[bytes], invoice: Invoice | None) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    name = archive_name(timezone.now(), invoice)
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Cache-Control"] = "private, no-store"
    return response


class Pipe:
    """A file that can only be written, and is emptied on the way."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> bytes:
        taken, self.pieces = b"".join(self.pieces), []
        return taken


@dataclass
class Archive:
    made_by: str
    # Of the caller: the pieces are asked for when its request is over.
    language: str = field(default_factory=lambda: get_language() or "fr")
    made_at: datetime = field(default_factory=timezone.now)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    invoices: list[dict[str, Any]] = field(default_factory=list)
    proofs: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def write(self, parts: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
        self.pipe = Pipe()
        with zipfile.ZipFile(self.pipe, "w", zipfile.ZIP_DEFLATED) as self.zip:  # type: ignore[call-overload]
            yield from self.add(README, [readme(self.language).encode()])
            for part in parts:
                yield from part
            manifest = as_json(self.manifest())
            yield from self.add(MANIFEST, [manifest])
            yield from self.add(SIGNATURE, [as_json(seals.sign(manifest))])
        yield self.pipe.take()

    def manifest(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "made_by": self.made_by,
            "invoices": self.invoices,
            "proofs": self.proofs,
            "files": self.files,
            "problems": self.problems,
        }

    def add(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        entry = zipfile.ZipInfo(path, timezone.localtime(self.made_at).timetuple()[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        with self.zip.open(entry, "w", force_zip64=True) as target:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                target.write(piece)
                yield self.pipe.take()
        self.files[path] = {"sha256": digest.hexdigest(), "size": size}

    def add_invoice_if_there(self, invoice_id: Any) -> Iterator[bytes]:
        invoice = Invoice.objects.select_related("customer", "connection").filter(pk=invoice_id).first()
        if invoice is not None:
            yield from self.add_invoice(invoice)

    def add_invoice(self, invoice: Invoice) -> Iterator[bytes]:
        folder = folder_of(invoice)
        documents = []
        for document in invoice.documents.order_by("received_at"):
            documents.append(document_facts(document))
            yield from self.add_document(folder, document, documents[-1])
        yield from self.add_readable(folder, invoice)
        links = StatusEvent.links.filter(invoice=invoice)
        events = [event_facts(event) for event in links.select_related("actor").order_by("sequence")]
        relays = list(relays_of(invoice))
        yield from self.add(f"{folder}/{EVENTS}", [as_json(events)])
        yield from self.add(f"{folder}/{RELAYS}", [as_json([relay_facts(relay) for relay in relays])])
        for relay in relays:
            yield from self.add_bodies(folder, relay)
        yield from self.add(f"{folder}/{INVOICE}", [as_json(invoice_facts(invoice) | {"documents": documents})])
        last = events[-1]["hash"] if events else ""
        self.invoices.append({"id": str(invoice.pk), "folder": folder, "events": len(events), "last_hash": last})

    def add_proof(self, relay: RelayTask) -> Iterator[bytes]:
        folder = f"{folder_of(relay.invoice)}/{relay.pk}"
        event = event_facts(relay.event) if relay.event else None
        facts = {"invoice": invoice_facts(relay.invoice), "event": event, "relay": relay_facts(relay)}
        yield from self.add(f"{folder}/{PROOF}", [as_json(facts)])
        yield from self.add_bodies(folder, relay)
        self.proofs.append({"relay": str(relay.pk), "folder": folder, "tries": relay.tries_made})

    def add_bodies(self, folder: str, relay: RelayTask) -> Iterator[bytes]:
        """The bytes of each try that told the platform something."""
        for attempt in relay.tries.all():
            if attempt.sent_body:
                yield from self.add(f"{folder}/{body_name(attempt)}", [bytes(attempt.sent_body)])

    def add_document(self, folder: str, document: InvoiceDocument, facts: dict[str, Any]) -> Iterator[bytes]:
        """Byte for byte, under a name no other has."""
        try:
            file = document.file.open("rb")
        except OSError:
            self.problems.append(f"{folder}: the stored file of {document} ({document.sha256}) cannot be opened")
            return
        with file:
            media_type = files.served_type(document.media_type, file.read(16))
            file.seek(0)
            name = files.served_name(document.filename or document.kind, media_type)
            facts["path"] = path = f"{folder}/{document.kind}/{document.sha256[:8]}-{name}"
            yield from self.add(path, file.chunks(CHUNK))
        if self.files[path]["sha256"] != document.sha256:
            self.problems.append(f"{path}: the stored file is not the one that was received ({document.sha256})")

    def add_readable(self, folder: str, invoice: Invoice) -> Iterator[bytes]:
        from providers.formats.en16931.pdf import render_pdf  # when first wanted: its libraries take 20 MB

        original = invoice.original
        if original is None:
            return
        try:
            pdf = render_pdf(read_document(original), self.language)
        except (UnreadableDocument, OSError):
            return  # the page shows none either
        yield from self.add(f"{folder}/{READABLE}", [pdf])


def folder_of(invoice: Invoice) -> str:
    """`F-2026-0042_1f0c9a3e`: what people look for, and what makes it unique."""
    name = files.plain_name(str(invoice))[:80]
    return f"{name}_{invoice.pk.hex[:8]}"


def as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1, default=readable_text).encode()


def readable_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def readme(language: str) -> str:
    with override(language):
        words = _(
            "Each folder is an invoice: its original as it came, a readable copy, its other documents, and\n"
            "  invoice.json  what it says\n"
            "  events.json   its history; each hash covers the event before it\n"
            "  relays.json   what was told to the platform, when, and what it answered\n"
            "manifest.json names every file with its SHA-256; signature.json signs it.\n"
            "Check all of it, without any database: manage.py verify_history --export THIS_FILE.zip"
        )
    return f"{words}\n"


# --- facts ------------------------------------------------------------------------------------------------------------


def invoice_facts(invoice: Invoice) -> dict[str, Any]:
    names = (
        "id", "number", "direction", "type_code", "process", "issue_date", "due_date", "instalments", "currency",
        "total_without_vat",
        "processing_rule", "processing_source",
        "total_vat", "total_with_vat", "amount_due", "vat_breakdown", "seller_name", "seller_siren",
        "seller_vat_number", "buyer_name", "buyer_siren", "buyer_vat_number", "preceding_numbers",
        "preceding_dates", "provider_ref",
        "status", "status_at", "created_at",
    )  # fmt: skip
    facts = {name: getattr(invoice, name) for name in names} | {"debt": invoice.debt}
    return facts | {
        "customer": {"siren": invoice.customer.siren, "name": invoice.customer.name},
        "connection": connection_facts(invoice.connection),
        "ibans": [account.iban for account in invoice.accounts.all()],
        "account_change": account_change_facts(getattr(invoice, "account_change", None)),
        "other_origins": [
            {"connection": connection_facts(each.connection), "provider_ref": each.provider_ref, "at": each.arrived_at}
            for each in invoice.other_origins.select_related("connection")
        ],
    }


def account_change_facts(change: AccountChange | None) -> dict[str, Any] | None:
    """What was new, and who has checked it."""
    if change is None:
        return None
    person = change.acknowledged_by.get_username() if change.acknowledged_by else None
    names = ("new", "known", "found_at", "acknowledged_at")
    return {name: getattr(change, name) for name in names} | {"acknowledged_by": person}


def connection_facts(connection: Any) -> dict[str, str]:
    return {"name": connection.name, "kind": connection.kind, "environment": connection.environment}


def document_facts(document: InvoiceDocument) -> dict[str, Any]:
    names = ("kind", "sha256", "size", "media_type", "filename", "received_at")
    verdict = ("rules_version", "state", "outcome", "checked", "findings", "checked_at")
    verdicts = [{name: getattr(each, name) for name in verdict} for each in document.validations.all()]
    return {**{name: getattr(document, name) for name in names}, "validations": verdicts}


def event_facts(event: StatusEvent) -> dict[str, Any]:
    """`facts` is what the hash covers; the rest is for readers."""
    actor = event.actor.get_username() if event.actor else None
    return {"facts": event.facts(), "hash": event.hash, "label": event.label, "actor_name": actor}


def relays() -> QuerySet[RelayTask]:
    related = (
        "event__actor", "document", "prepared_by", "connection", "released_by", "invoice__customer",
        "invoice__connection",
    )  # fmt: skip
    return RelayTask.objects.select_related(*related).prefetch_related("tries")


def relays_of(invoice: Invoice) -> QuerySet[RelayTask]:
    return relays().filter(invoice=invoice).order_by("sequence", "created_at")


def told(relay: RelayTask) -> dict[str, Any]:
    """A status of the invoice, or the invoice itself."""
    if relay.is_submission:
        return {"document": relay.get_document().sha256}
    event = relay.get_event()
    names = ("status", "issuer_role", "occurred_at", "reasons", "note", "payments")
    return {
        "invoice": relay.invoice.origin_at(relay.connection_id).provider_ref,
        **{name: getattr(event, name) for name in names},
    }


def body_name(attempt: RelayAttempt) -> str:
    return f"sent/{attempt.hash[:16]}.bin"


def attempt_facts(attempt: RelayAttempt) -> dict[str, Any]:
    """What its hash covers, the hash, and where the bytes sent are."""
    path = body_name(attempt) if attempt.sent_body else None
    return exchanges.facts_of(attempt) | {"hash": attempt.hash, "body": path}


def relay_facts(relay: RelayTask) -> dict[str, Any]:
    """What was told, to whom, when, and what came back."""
    names = ("state", "created_at", "sent_at", "confirmed_at", "deadline_at", "last_error", "receipt")
    return {
        "id": relay.pk,
        "kind": relay.kind,
        "event": relay.event_id,
        "told": told(relay),
        "platform": connection_facts(relay.connection),
        "decided_by": relay.actor.get_username() if relay.actor else None,
        "released_by": relay.released_by.get_username() if relay.released_by else None,
        **{name: getattr(relay, name) for name in names},
        "attempts": [attempt_facts(each) for each in sorted(relay.tries.all(), key=lambda each: each.pk)],
    }

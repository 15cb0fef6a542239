"""Pigeon exists only here: the smallest adapter that keeps the whole contract, made after providers/README.md."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.contract.base import (
    Bell,
    Capabilities,
    CheckResult,
    Delivery,
    Field,
    File,
    HookRequest,
    InvoiceReport,
    PermanentError,
    PlatformError,
    PollPage,
    Receipt,
    StatusMessage,
    StatusReport,
    Unsupported,
)
from providers.contract.http import Answer, HttpAdapter

from . import reading, tables, webhooks


class Pigeon(HttpAdapter):
    kind = "pigeon"
    label = "Pigeon"
    settings_fields = (
        Field(name="api_url", type="url", required=True, help=_("Address of the loft.")),
        Field(name="requests_per_second", type="int", default=5, help=_("Most calls a second, in all.")),
        Field(name="connect_timeout", type="int", default=5, help=_("Seconds.")),
        Field(name="read_timeout", type="int", default=30, help=_("Seconds.")),
    )
    secret_fields = (
        Field(name="key", required=True, help=_("Key of the account.")),
        Field(name="push_secret", required=True, help=_("Shared secret that signs what is pushed.")),
    )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES, webhooks=True, polling=True, look_up=True, history=True
        )

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        webhooks.verify(request, self.account.secrets.get("push_secret", ""))

    def parse_webhook(self, request: HookRequest) -> Delivery:
        return webhooks.parse(request)

    def register_webhooks(self) -> tuple[str, ...]:
        wish = {"url": self.account.hook_url, "secret": self.account.secrets.get("push_secret", "")}
        self._call("PUT", "/listener", repeatable=True, json=wish)
        return ("Pigeon pushes to us.",)

    # --- asked by us ---

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        report = reading.read_bill(self._read(f"/bills/{self._checked(provider_ref)}"))
        if report is None or report.provider_ref != provider_ref:
            raise PermanentError("Pigeon's answer is about no bill, or about another.")
        return report

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        answer = self._call("GET", f"/bills/{self._checked(provider_ref)}/file", repeatable=True)
        return (File(kind="original", content=answer.content, media_type=answer.media_type),)

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        rows = self._read(f"/bills/{self._checked(provider_ref)}/states")
        if not isinstance(rows, list):
            raise PermanentError("Pigeon's answer is no history.")
        return tuple(reading.read_state(provider_ref, row) for row in rows if isinstance(row, dict))

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        page = self._read("/news", params={"after": str(cursor.get("after", 0))})
        bills = page.get("bills", ()) if isinstance(page, dict) else ()
        bells = tuple(Bell(provider_ref=bill, is_new_invoice=True) for bill in bills if isinstance(bill, str))
        return PollPage(bells=bells, cursor={"after": page["last"]} if bells else cursor)

    # --- told by us ---

    def reasons_for(self, status: str, *, side: str) -> frozenset[str] | None:
        return tables.REASONS_OF_STATUS.get(status, frozenset())

    def send_status(self, message: StatusMessage) -> Receipt:
        if message.status not in tables.BUYER_STATUSES or message.invoice.direction != "received":
            raise Unsupported(f"Pigeon has no word for {message.status}.")
        wish = {
            "id": message.id,
            "word": tables.WORDS[message.status],
            "why": [tables.REASON_WORDS[reason.code] for reason in message.reasons],
            "note": message.note,
        }
        path = f"/bills/{self._checked(message.invoice.provider_ref)}/states"
        self.wire.require_receipt(self._call("POST", path, repeatable=False, json=wish))
        return Receipt(reference=message.id)

    def find_status(self, message: StatusMessage) -> Receipt | None:
        shown = {report.key for report in self.fetch_statuses(message.invoice.provider_ref)}
        return Receipt(reference=message.id, confirmed=True) if message.id in shown else None

    def check(self) -> Iterable[CheckResult]:
        try:
            self._read("/news")
        except PlatformError as error:
            return [CheckResult(name="Key", ok=False, message=error.message)]
        return [CheckResult(name="Key", ok=True)]

    # --- calls ---

    def _checked(self, provider_ref: str) -> str:
        """A reference may come from a push: it cannot leave its place in the path."""
        if not webhooks.REFERENCE.fullmatch(provider_ref):
            raise PermanentError(f"“{provider_ref[:100]}” is no bill of Pigeon's.")
        return provider_ref

    def _read(self, path: str, **options: Any) -> Any:
        return self.wire.require_json(self._call("GET", path, repeatable=True, **options))

    def _call(self, method: str, path: str, *, repeatable: bool, **options: Any) -> Answer:
        headers = {"X-Key": self.account.secrets.get("key", "")}
        url = self.setting("api_url").rstrip("/") + path
        answer = self.wire.exchange(
            method,
            url,
            repeatable=repeatable,
            headers=headers,
            timeout=self.timeout(),
            max_bytes=self.max_hook_body,
            **options,
        )
        return self.wire.require_success(answer, repeatable=repeatable)

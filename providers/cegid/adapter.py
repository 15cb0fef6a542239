"""We are the accredited platform; Cegid OD is the concentrator of our customers. Assumptions: docs/platforms.md."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from providers.contract.base import (
    Capabilities,
    CheckResult,
    File,
    HookRequest,
    InvoiceFacts,
    Line,
    NotGenuine,
    Nowhere,
    PermanentError,
    PlatformError,
    Receipt,
    Reply,
    StatusMessage,
    Subscription,
    Unsupported,
)
from providers.contract.http import Answer
from providers.norm.codes import Role, Side

from . import fields, reading, tables, writing
from .seat import JSON, platform_word, reference_in, status_of
from .session import Session

REFUSING = ("suspended", "closed")


class Cegid(Session):
    kind = "cegid"
    label = "Cegid OD"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    line_setting_fields = fields.LINE_SETTINGS
    line_secret_fields = fields.LINE_SECRETS
    hook_per_line = True
    carries = tables.TO_OD

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES,
            seller_statuses=tables.SELLER_STATUSES,
            handover_formats=frozenset(writing.SYNTAXES),
            webhooks=True,
        )

    @classmethod
    def seat(cls, direction: str, line_settings: Mapping[str, Any]) -> Side | None:
        return tables.seat_of_platform(direction, bool(line_settings.get("act_on_behalf")))

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        """The address nobody can guess is the proof; a secret and a source may be asked for besides."""
        if request.line is None:
            raise Nowhere("This address belongs to no addressing line.")
        self._check_secret(request, request.line)
        self._check_source(request)
        reading.check_line(reading.load(request.body), request.line.identifier, self.words)

    @classmethod
    def new_line_secrets(cls) -> Mapping[str, str]:
        return {"callback_secret": secrets.token_urlsafe(32)}

    def _check_secret(self, request: HookRequest, line: Line) -> None:
        header = self.setting("callback_secret_header")
        if not header:
            return
        secret = line.secrets.get("callback_secret", "")
        if not secret or not hmac.compare_digest(request.header(header).encode(), secret.encode()):
            raise NotGenuine(f"The header {header} does not show the line's callback secret.")

    def _check_source(self, request: HookRequest) -> None:
        networks = self.setting("callback_sources")
        if not networks:
            return
        shown = request.header(self.setting("callback_source_header")).strip()
        try:
            known = any(ip_address(shown) in ip_network(each, strict=False) for each in networks)
        except ValueError:
            known = False
        if not known:
            raise NotGenuine("The call does not come from one of the networks in callback_sources.")

    def acknowledge(self, key: str) -> Reply:
        return Reply(status_code=self.hook_success_status, document={"received": True, "id": self.receipt_id(key)})

    # --- told by us ---

    def send_status(self, message: StatusMessage) -> Receipt:
        self.require_sayable(message)
        line = self._line_of_invoice(message.invoice)
        body = writing.write_status(message, issuer=platform_word(message.issuer_role), words=self.words)
        return self._tell(line, message.id, body)

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        """Hand an invoice for our customer over, as what its sellers sent (message M1)."""
        if invoice.direction != "received":
            raise Unsupported(_("Cegid's customers send their own invoices to us, not we to them."))
        line = self._line_of_invoice(invoice)
        moment = invoice.received_at or datetime.now(UTC)
        status = status_of("202", platform_word(Role.PLATFORM.value))
        body = writing.write_invoice(file, invoice, status=status, words=self.words, occurred_at=moment)
        receipt = self._tell(line, body["messageId"], body)
        return replace(receipt, reference=self.reference_of(invoice))

    def _tell(self, line: Line, message_id: str, body: dict[str, Any]) -> Receipt:
        headers = {"Content-Type": JSON, "Idempotency-Key": message_id}
        answer = self.exchange(
            line,
            "POST",
            self.setting("lifecycle_path"),
            repeatable=False,
            is_lifecycle=True,
            content=writing.dump(body),
            headers=headers,
        )
        if answer.status_code == 409 and self.setting("conflict_is_duplicate"):
            return Receipt(reference=message_id, text=_("The concentrator had this message already."))
        if answer.status_code == 403:
            self._suspend(line, answer)
        # Assumed, as the whole call: 202 with JSON, in which stands the number of the event.
        self.line_wire(line).require_receipt(answer)
        return Receipt(reference=reference_in(answer, "eventId") or message_id)

    def _suspend(self, line: Line, answer: Answer) -> None:
        """Neither the key nor the perimeter will be right at the next try: nothing more is sent for this line."""
        told = {"line": line.identifier}
        message = _("The concentrator refuses us for addressing line %(line)s: its subscription is suspended.") % told
        known = self._subscription(line)
        self.account.subscriptions.save(replace(known, state="suspended", error=message))
        raise PermanentError(message, status_code=answer.status_code, answer=answer.text)

    def _line_of_invoice(self, invoice: InvoiceFacts) -> Line:
        line = self.account.lines.find(invoice.line_identifier) if invoice.line_identifier else None
        if line is None:
            told = {"invoice": invoice.number}
            raise PermanentError(_("Invoice %(invoice)s is of no addressing line of this connection.") % told)
        if self._subscription(line).state in REFUSING:
            message = _(
                "The subscription of addressing line %(line)s is suspended or closed: resume it, then send again."
            )
            raise PermanentError(message % {"line": line.identifier})
        return line

    # --- subscriptions ---

    def _subscription(self, line: Line) -> Subscription:
        known = self.account.subscriptions.find(line.identifier)
        return known or Subscription(line_identifier=line.identifier)

    def subscribe(self, line: Line) -> str:
        """Doing it again replaces the callback (assumed), so a lost answer does no harm."""
        known, hook = self._subscription(line), self.account.lines.hook_url(line.identifier)
        told = {"line": line.identifier}
        if not line.secrets.get("api_key"):
            message = _("Addressing line %(line)s waits for its connection data: paste the API key, then subscribe.")
            raise PermanentError(message % told)
        if not hook:
            raise PermanentError(_("Addressing line %(line)s has no callback address of its own.") % told)
        self.account.subscriptions.save(replace(known, state="subscribing", error=""))
        try:
            reference = self._register(line, hook)
        except PlatformError as error:
            self.account.subscriptions.save(replace(known, state="failed", error=error.message))
            raise
        done = replace(known, state="active", reference=reference, callback_url=hook, error="")
        self.account.subscriptions.save(done)
        return _("Addressing line %(line)s is subscribed.") % told

    def _register(self, line: Line, hook: str) -> str:
        body = {"addressingLine": self.words.say_line(line.identifier), "callbackUrl": hook}
        if contact := self.setting("contact_email"):
            body["contactEmail"] = contact
        path = self.setting("subscriptions_path")
        answer = self.exchange(line, "POST", path, repeatable=True, is_lifecycle=False, json=body)
        wire = self.line_wire(line)
        wire.require_json(wire.require_success(answer, repeatable=True))
        reference = reference_in(answer, "subscriptionId")
        if not reference:
            message = _("The concentrator did not say under which number addressing line %(line)s is subscribed.")
            raise PermanentError(
                message % {"line": line.identifier}, status_code=answer.status_code, answer=answer.text
            )
        return reference

    def unsubscribe(self, line: Line) -> str:
        known = self._subscription(line)
        if known.reference and known.state != "closed":
            path = f"{self.setting('subscriptions_path')}/{quote(known.reference, safe='')}"
            answer = self.exchange(line, "DELETE", path, repeatable=True, is_lifecycle=False)
            if answer.status_code not in (404, 410):  # it is gone already
                self.line_wire(line).require_success(answer, repeatable=True)
        self.account.subscriptions.save(replace(known, state="closed", callback_url="", error=""))
        return _("Addressing line %(line)s is no longer subscribed.") % {"line": line.identifier}

    def register_webhooks(self) -> tuple[str, ...]:
        """Subscribe every line that has its connection data and is not subscribed with its present address."""
        return tuple(self.subscribe(line) for line in self.account.lines.all() if self._is_due(line))

    def _is_due(self, line: Line) -> bool:
        known = self._subscription(line)
        if known.state in REFUSING or not line.secrets.get("api_key"):
            return False
        return known.state != "active" or known.callback_url != self.account.lines.hook_url(line.identifier)

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """For each line: its subscription, its token, and whether the concentrator lets us in with both keys."""
        lines = list(self.account.lines.all())
        if not lines:
            yield CheckResult(name="lines", ok=False, message=_("No addressing line uses this connection."))
        elif not self.setting("callback_secret_header"):
            yield CheckResult(name="callback secret", ok=True, message=_secret_not_asked_for())
        for line in lines:
            yield self._check_subscription(line)
            if line.secrets.get("api_key"):
                yield self._try(line, "token", partial(self.log_in, line))
                yield self._try(line, "access", partial(self._check_access, line))

    def _check_subscription(self, line: Line) -> CheckResult:
        known = self._subscription(line)
        words = {
            "active": _("Subscribed."),
            "draft": _("Waits for its connection data."),
            "connection_data_received": _("Not subscribed yet: subscribe it."),
        }
        is_active = known.state == "active"
        if is_active and known.callback_url != self.account.lines.hook_url(line.identifier):
            is_active, message = False, _("Our address has changed since: subscribe it again.")
        else:
            message = known.error or words.get(known.state, _("Not subscribed."))
        return CheckResult(name=f"{line.identifier} subscription", ok=is_active, message=message)

    def _try(self, line: Line, name: str, attempt: Callable[[], Any]) -> CheckResult:
        try:
            attempt()
        except PlatformError as error:
            return CheckResult(name=f"{line.identifier} {name}", ok=False, message=error.message)
        return CheckResult(name=f"{line.identifier} {name}", ok=True)

    def _check_access(self, line: Line) -> None:
        """No reading is documented: a gateway that refuses says 401 or 403 before it looks for what is there."""
        path = self.setting("subscriptions_path")
        answer = self.exchange(line, "GET", path, repeatable=True, is_lifecycle=False)
        if answer.status_code not in (404, 405):
            self.line_wire(line).require_success(answer, repeatable=True)


def _secret_not_asked_for() -> str:
    return _(
        "Callbacks are taken without the secret of their line: the address alone is the proof. Have Cegid show the "
        "secret, then set callback_secret_header."
    )

"""We are the concentrator: accredited platforms subscribe with us for our customers' lines, and hear our decisions."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import (
    Capabilities,
    CheckResult,
    ConnectionData,
    File,
    HookError,
    HookRequest,
    InvoiceFacts,
    Line,
    Malformed,
    NotGenuine,
    Nowhere,
    PermanentError,
    PlatformError,
    Policy,
    Receipt,
    Refusal,
    Reply,
    StatusMessage,
    Subscription,
    Unsupported,
    WrongLine,
)
from providers.network.callbacks import ForbiddenAddress, check_reachable, check_url

from ..cegid import reading, tables, writing
from ..cegid.seat import JSON, Seat, reference_in
from . import fields
from .access import Access, require_key

REFUSED = ("suspended", "closed")


class CegidOD(Seat):
    kind = "cegid_od"
    label = "Cegid OD (ours)"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    line_secret_fields = fields.LINE_SECRETS
    gives_connection_data = True
    carries = tables.TO_PLATFORM

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES,
            seller_statuses=tables.SELLER_STATUSES,
            submit_formats=frozenset(writing.SYNTAXES),
            webhooks=True,
        )

    @classmethod
    def callback_policy(cls, settings: Mapping[str, Any]) -> Policy:
        return Policy(
            private=bool(settings.get("callback_private", False)), plain=bool(settings.get("callback_plain", False))
        )

    @property
    def policy(self) -> Policy:
        return self.callback_policy(self.account.settings)

    @property
    def access(self) -> Access:
        return Access(account_id=self.account.id, lines=self.account.lines, lifetime=self.setting("token_lifetime"))

    # --- served below our address ---

    def serve(self, request: HookRequest) -> Reply | None:
        place, subscriptions = (request.method, request.rest), self.setting("subscriptions_path")
        if place in (("POST", ""), ("POST", self.setting("lifecycle_path"))):
            return None
        if place == ("POST", self.setting("token_path")):
            return self.access.give(request)
        try:
            if place == ("POST", subscriptions):
                return self._take_subscription(request)
            if request.method == "DELETE" and request.rest.startswith(f"{subscriptions}/"):
                return self._end_subscription(request, request.rest.removeprefix(f"{subscriptions}/"))
        except Refusal:
            raise
        except HookError as error:
            raise _refusal(error) from None
        raise Nowhere("There is nothing at this place.")

    def _take_subscription(self, request: HookRequest) -> Reply:
        line = self._require_access(request)
        body = reading.load(request.body)
        if not body.get("addressingLine"):
            raise Malformed("addressingLine is missing.")
        reading.check_line(body, line.identifier, self.words)
        known = self._subscription(line)
        if known.state == "suspended":
            raise WrongLine("This subscription is suspended: ask the concentrator's operators.")
        reference = known.reference if known.state == "active" and known.reference else str(uuid.uuid4())
        address = self._callback_in(body)
        self.account.subscriptions.save(
            replace(known, state="active", reference=reference, callback_url=address, error="")
        )
        return Reply(status_code=201, document={"subscriptionId": reference})

    def _callback_in(self, body: Mapping[str, Any]) -> str:
        address = body.get("callbackUrl")
        if not isinstance(address, str):
            raise Malformed("callbackUrl is missing.")
        try:
            check_reachable(address, self.policy)
        except ForbiddenAddress as error:
            raise Refusal(f"Callback refused: {error}", 422, _azure(422, str(error))) from None
        return address

    def _end_subscription(self, request: HookRequest, reference: str) -> Reply:
        line = self._require_access(request)
        known = self._subscription(line)
        if known.reference != reference or known.state == "closed":
            raise Refusal("There is no such subscription.", 404, _azure(404, "There is no such subscription."))
        self.account.subscriptions.save(replace(known, state="closed", callback_url="", error=""))
        return Reply(status_code=204)

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        line = self._require_access(request)
        if self._subscription(line).state in REFUSED:
            raise WrongLine("The subscription of this addressing line is suspended or closed.")
        reading.check_line(reading.load(request.body), line.identifier, self.words)

    def line_of(self, request: HookRequest) -> Line | None:
        return self.access.find_line(request)

    def _require_access(self, request: HookRequest) -> Line:
        header, key = self.setting("subscription_key_header"), self.account.secrets.get("subscription_key", "")
        require_key(request, header=header, key=key)
        line = self.access.find_line(request)
        if line is None:
            raise NotGenuine("The bearer token is missing, old or of another connection.")
        return line

    def acknowledge(self, key: str) -> Reply:
        return Reply(status_code=self.hook_success_status, document={"eventId": self.receipt_id(key)})

    # --- told by us ---

    def send_status(self, message: StatusMessage) -> Receipt:
        self.require_sayable(message)
        subscription = self._active(message.invoice)
        body = writing.write_status(message, issuer=tables.CUSTOMER, words=self.words)
        return self._tell(subscription, message.id, body)

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        """A new invoice of our customer, on its way to the platform (assumed: on the same callback)."""
        if invoice.direction != "issued":
            raise Unsupported(_("Received invoices come from the platform, they are not handed to it."))
        subscription = self._active(invoice)
        moment = invoice.received_at or datetime.now(UTC)
        body = writing.write_invoice(file, invoice, status=None, words=self.words, occurred_at=moment)
        receipt = self._tell(subscription, body["messageId"], body)
        return replace(receipt, reference=self.reference_of(invoice))

    def _tell(self, subscription: Subscription, message_id: str, body: dict[str, Any]) -> Receipt:
        self._require_allowed(subscription)
        try:
            return self._call_back(subscription.callback_url, message_id, body)
        except PlatformError as error:
            error.line = subscription.line_identifier  # each line's platform is another: it alone is unwell
            raise

    def _call_back(self, address: str, message_id: str, body: dict[str, Any]) -> Receipt:
        wire = self.make_wire(address)
        answer = wire.exchange(
            "POST",
            address,
            repeatable=False,
            content=writing.dump(body),
            headers={"Content-Type": JSON, "Accept": JSON, "Idempotency-Key": message_id},
            timeout=self.timeout(),
        )
        if answer.status_code == 409 and self.setting("conflict_is_duplicate"):
            return Receipt(reference=message_id, text=_("The platform had this message already."))
        # Unknown what platforms answer (assumed): JSON, or nothing with a code that says so.
        wire.require_receipt(answer, empty=(202, 204))
        return Receipt(reference=reference_in(answer, "id", "eventId") or message_id)

    def _require_allowed(self, subscription: Subscription) -> None:
        """The policy may have changed since the address was registered; its name is resolved and judged by the call."""
        try:
            check_url(subscription.callback_url, self.policy)
        except ForbiddenAddress as error:
            told = {"line": subscription.line_identifier, "why": error}
            message = _("The callback of addressing line %(line)s must not be called: %(why)s")
            raise PermanentError(message % told) from None

    def _active(self, invoice: InvoiceFacts) -> Subscription:
        known = self.account.subscriptions.find(invoice.line_identifier) if invoice.line_identifier else None
        if known is None or known.state != "active" or not known.callback_url:
            told = {"line": invoice.line_identifier or "?", "invoice": invoice.number}
            message = _(
                "No platform is subscribed to addressing line %(line)s of invoice %(invoice)s: let it subscribe, then "
                "send again."
            )
            raise PermanentError(message % told)
        return known

    # --- subscriptions ---

    def _subscription(self, line: Line) -> Subscription:
        known = self.account.subscriptions.find(line.identifier)
        return known or Subscription(line_identifier=line.identifier)

    def new_connection_data(self, line: Line) -> ConnectionData:
        key = f"{secrets.token_hex(8)}:{secrets.token_urlsafe(32)}"
        known = self._subscription(line)
        self.account.subscriptions.save(
            replace(known, state="connection_data_received", reference="", callback_url="", error="")
        )
        address = self.account.hook_url
        shown = {
            "addressingLine": self.words.say_line(line.identifier),
            "odUrl": address,
            "accountUrl": address,
            "apiKey": key,
            "subscriptionKey": self.account.secrets.get("subscription_key", ""),
        }
        return ConnectionData(secrets={"api_key": key}, shown=shown)

    def subscribe(self, line: Line) -> str:
        """It is the platform that subscribes; a subscription of its own that we closed is opened for it again."""
        known = self._subscription(line)
        if not line.secrets.get("api_key"):
            message = _("Addressing line %(line)s has no connection data yet: make it, and hand it to the platform.")
            raise PermanentError(message % {"line": line.identifier})
        if known.state == "active":
            return _("A platform is subscribed to addressing line %(line)s.") % {"line": line.identifier}
        self.account.subscriptions.save(replace(known, state="connection_data_received", error=""))
        return _("Addressing line %(line)s waits for its platform to subscribe.") % {"line": line.identifier}

    def unsubscribe(self, line: Line) -> str:
        known = self._subscription(line)
        self.account.subscriptions.save(replace(known, state="closed", callback_url="", error=""))
        return _("Addressing line %(line)s is closed to its platform.") % {"line": line.identifier}

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """Whether platforms can reach us, and whether each line's callback answers."""
        has_key = bool(self.account.secrets.get("subscription_key"))
        message = "" if has_key else _("The subscription key is missing: no platform gets in.")
        yield CheckResult(name="subscription key", ok=has_key, message=message)
        for line in self.account.lines.all():
            yield self._check_line(line)

    def _check_line(self, line: Line) -> CheckResult:
        known = self._subscription(line)
        try:
            if known.state != "active":
                raise PermanentError(_("No platform is subscribed."))
            self._require_allowed(known)
            self._knock(known)
        except PlatformError as error:
            return CheckResult(name=line.identifier, ok=False, message=error.message)
        return CheckResult(name=line.identifier, ok=True, message=_("Subscribed, and the callback answers."))

    def _knock(self, known: Subscription) -> None:
        """HEAD is no message: whatever answers it with less than 500, or that it knows no HEAD (501), is there."""
        wire = self.make_wire(known.callback_url)
        answer = wire.exchange("HEAD", known.callback_url, repeatable=True, timeout=self.timeout())
        if answer.status_code >= 500 and answer.status_code != 501:
            wire.require_success(answer, repeatable=True)


def _azure(status_code: int, message: str) -> dict[str, Any]:
    """As Azure API Management writes errors, which Cegid's gateway seems to be."""
    return {"statusCode": status_code, "message": message}


def _refusal(error: HookError) -> HookError:
    return Refusal(str(error), error.status_code, _azure(error.status_code, str(error)))

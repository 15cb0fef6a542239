"""Seqino's API, with us as the sponsor and our customers as its clients. Facts and assumptions: docs/platforms.md.

It lists nothing, neither invoices nor events: received invoices are learned of by the webhook alone, and each open
invoice is asked for by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from django.utils.translation import gettext as _

from providers.contract import renewal
from providers.contract.base import (
    MIB,
    Capabilities,
    CheckResult,
    Delivery,
    File,
    HookRequest,
    InvoiceFacts,
    InvoiceReport,
    Line,
    Malformed,
    NotGenuine,
    PermanentError,
    PlatformError,
    Receipt,
    StatusMessage,
    StatusReport,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.contract.http import Answer, load_json
from providers.formats.files import MEDIA_TYPES, find_format
from providers.formats.json_terms import text

from . import drafts, fields, mandates, reading, registration, tables, telling, usage, webhooks
from .session import LIMITS_MEMORY, objects

CONFIRMED_MEMORY = "webhook_signature_confirmed"
LIMITS_AGE = timedelta(hours=1)
JSON_FORMAT = "json"

logger = logging.getLogger(__name__)


class Seqino(registration.Registration, mandates.Mandates, drafts.Drafts):
    kind = "seqino"
    label = "Seqino"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    line_setting_fields = fields.LINE_SETTINGS
    max_hook_body = webhooks.MAX_BODY

    @property
    def capabilities(self) -> Capabilities:
        takes_statuses = bool(self.setting("status_endpoint"))
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES if takes_statuses else frozenset(),
            seller_statuses=tables.SELLER_STATUSES if takes_statuses else frozenset(),
            submit_formats=frozenset(
                {"ubl", "cii", "facturx"} | ({JSON_FORMAT} if self.setting("enable_drafts") else set())
            ),
            webhooks=True,
            ask_each=True,
            originals=False,
            look_up=takes_statuses,
            history=True,
            directory=True,
        )

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        """In observe mode a push that is not proven is let in, to be looked at: `parse_webhook` applies none of it."""
        if len(request.body) > webhooks.MAX_BODY:
            raise Malformed("The body is larger than any event of Seqino's.")
        try:
            self._check_push(request)
        except NotGenuine as error:
            if not self.setting("observe_mode"):
                raise
            logger.warning("Webhook for %s observed, not applied: %s", self.account.name, error)
        else:
            self._note_confirmed()

    def parse_webhook(self, request: HookRequest) -> Delivery:
        """In observe mode it reads the secret once more: a push replayed after the settings were put right applies."""
        delivery = webhooks.parse(
            request,
            invoice_fields=self.setting("invoice_id_fields"),
            client_fields=self.setting("client_id_fields"),
        )
        if not self.setting("observe_mode"):
            return delivery
        try:
            self._check_push(request)
        except NotGenuine as error:
            return webhooks.observed(request, str(error))
        return delivery

    def _check_push(self, request: HookRequest) -> None:
        scheme = webhooks.Scheme(
            header=self.setting("signature_header"),
            encoding=self.setting("signature_encoding"),
            timestamp_header=self.setting("signature_timestamp_header"),
            key_as_bytes=self.setting("signature_key_as_bytes"),
        )

        def fits(secrets: Iterable[str]) -> None:
            webhooks.check_signature(request, secrets, scheme)

        try:
            fits(self.webhook_secrets())
        except NotGenuine as error:
            renewal.check(self.account.vault, registration.WEBHOOK, request, fits, error)
        webhooks.check_age(request, self.setting("max_event_age"))

    def _note_confirmed(self) -> None:
        """Once: a check tells it, so that observe mode can be switched off."""
        if not self.memory.get(CONFIRMED_MEMORY):
            self.memory.set(CONFIRMED_MEMORY, datetime.now(UTC).isoformat(timespec="seconds"))

    # --- asked by us ---

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        answer = self.just_read[provider_ref] = self._read_invoice(provider_ref)
        terms = self._terms(answer)
        return reading.parse_invoice(terms, provider_ref, self._lines_of(self.found_clients[provider_ref]))

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        """There is no download of what the seller sent: Seqino's reading of it is kept in its place."""
        answer = self.just_read.pop(provider_ref, None) or self._read_invoice(provider_ref)
        name = f"{provider_ref}.json"
        return (File(kind="converted", content=answer.content, media_type="application/json", filename=name),)

    def _read_invoice(self, provider_ref: str) -> Answer:
        limit = self.setting("max_file_mb") * MIB
        answer = self.read_of_invoice(provider_ref, "invoicing", "invoice_data", provider_ref, max_bytes=limit)
        self._terms(answer)
        return answer

    def _terms(self, answer: Answer) -> dict[str, Any]:
        document = self.wire.require_json(answer)
        if not isinstance(document, dict):
            raise TemporaryError(_("Seqino's answer is not an invoice."), status_code=answer.status_code)
        return document

    def _lines_of(self, client: str) -> list[Line]:
        lines = list(self.account.lines.all())
        return [line for line in lines if line.settings.get("client_id") == client] or lines

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        # Always by both: an item names no invoice, so one that came with others could not be told apart.
        wanted = {"object_type": "invoice", "object_id": provider_ref}
        answer = self.read_of_invoice(provider_ref, "lifecycle-events", params=wanted, max_bytes=4 * MIB)
        document = self.wire.require_json(answer)
        if not isinstance(document, list):
            raise TemporaryError(_("Seqino's answer is no list of events."), status_code=answer.status_code)
        return reading.parse_history(objects(document), provider_ref)

    def calls_per_minute(self) -> float | None:
        limits = self.memory.get(LIMITS_MEMORY) or {}
        read_at = reading.parse_time(limits.get("read_at"))
        if read_at is None or read_at < datetime.now(UTC) - LIMITS_AGE:
            limits = self.read_limits()
        allowed = usage.per_minute(limits)
        return None if allowed is None else allowed * self.setting("usage_share") / 100

    def read_limits(self) -> dict[str, Any]:
        document = self.read(self.url("usage", "limits"), client=self.any_client())
        limits = {**usage.parse_limits(document), "read_at": datetime.now(UTC).isoformat(timespec="seconds")}
        self.memory.set(LIMITS_MEMORY, limits)
        return limits

    # --- told by us: statuses ---

    def reasons_for(self, status: str, *, side: str) -> frozenset[str] | None:
        return None if status in tables.TAKE_REASON else frozenset()

    def require_sayable(self, message: StatusMessage) -> None:
        telling.require_sayable(message)

    def send_status(self, message: StatusMessage) -> Receipt:
        endpoint = self.setting("status_endpoint")
        if not endpoint:
            raise Unsupported(_("Seqino takes no statuses from other software: set it in Seqino's own."))
        letter = telling.write(message)
        reference = self.reference(message.invoice.provider_ref)
        url = self.api_url + "/" + endpoint.lstrip("/").replace("{invoice_id}", quote(reference, safe=""))
        named = {} if "{invoice_id}" in endpoint else {"object_type": "invoice", "object_id": reference}
        answer = self.tell("POST", url, client=self.clients_for(reference)[0], params=named, json=letter.body)
        receipt = text(self.receipt_object(answer).get("id"))
        return Receipt(reference=receipt, text=letter.left_out)

    def find_status(self, message: StatusMessage) -> Receipt | None:
        found = telling.find_told(message, self.fetch_statuses(message.invoice.provider_ref))
        return Receipt(reference=found.key, confirmed=True, text=found.native_status) if found else None

    # --- told by us: invoices ---

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        document_format = find_format(file.content)
        if document_format not in self.capabilities.submit_formats:
            raise Unsupported(_("Seqino does not take this kind of file: %(kind)s.") % {"kind": document_format or "?"})
        if len(file.content) > self.setting("max_file_mb") * MIB:
            told = {"limit": self.setting("max_file_mb")}
            raise PermanentError(_("The file is larger than the %(limit)s MB allowed for Seqino.") % told)
        client = self.client_of(self.account.lines.find(invoice.line_identifier))
        if document_format == JSON_FORMAT:
            return Receipt(reference=self.submit_draft(_draft_data(file), invoice, client))
        return self._submit_file(file, document_format, client)

    def _submit_file(self, file: File, document_format: str, client: str) -> Receipt:
        media_type = MEDIA_TYPES[document_format]
        name = file.filename or f"invoice.{'pdf' if media_type == 'application/pdf' else 'xml'}"
        upload = {"file": (name, file.content, media_type)}
        url = self.url("invoicing", "files", "submit")
        try:
            answer = self.tell("POST", url, client=client, files=upload, upload=True)
        except PermanentError as error:
            if _speaks_of_duplicate(error):  # our own earlier try may be what is there
                raise UncertainError(error.message, status_code=error.status_code, answer=error.answer) from None
            raise
        taken = self.receipt_object(answer)
        reference, state = text(taken.get("invoice_id")), text(taken.get("status"))
        facts: dict[str, Any] = {"status_code": answer.status_code, "answer": answer.text}
        if not reference:
            raise UncertainError(_("Seqino took the invoice but did not say under which number."), **facts)
        if state == "rejected":
            # Its own processing, not a status of the invoice: no code is derived from it.
            message = _("Seqino rejected the file at once (its number %(reference)s): correct the invoice.")
            raise PermanentError(message % {"reference": reference}, **facts)
        return Receipt(reference=reference, text=state)

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """In order of dependence: without a good key the rest is not tried."""
        yield self._check_hosts()
        yield self._try("health", lambda: self.wire.require_success(self._ask_health(), repeatable=True))
        login = self._try("API key", lambda: self.read(self.url("clients")), _("Seqino accepts the API key."))
        yield login
        if login.ok:
            yield self._try("mandates", self._check_mandates, _("Every addressing line has a mandate in force."))
            yield self._try("webhook", self._check_webhook, _("The webhook calls us."))
            yield self._try("usage", self._check_usage)
        yield self._check_signature_confirmed()

    def _try(self, name: str, attempt: Callable[[], Any], good: str = "") -> CheckResult:
        try:
            told = attempt()
        except PlatformError as error:
            return CheckResult(name=name, ok=False, message=error.message)
        return CheckResult(name=name, ok=True, message=told if isinstance(told, str) else good)

    def _check_hosts(self) -> CheckResult:
        host = urlsplit(self.api_url).hostname or ""
        others = {each for name, each in tables.PUBLIC_HOSTS.items() if name != self.account.environment}
        message = _("%(hosts)s is not of the environment of this connection.") % {"hosts": host}
        return CheckResult(name="environment", ok=host not in others, message=message if host in others else "")

    def _ask_health(self) -> Answer:
        return self.wire.exchange("GET", self.health_url, repeatable=True)

    def _check_mandates(self) -> None:
        if faulty := list(mandates.faulty_mandates(self)):
            raise PermanentError(_("Not served yet: %(lines)s") % {"lines": "; ".join(faulty)})

    def _check_webhook(self) -> None:
        current = self.current_webhook()
        fault = _("No webhook is registered.") if current is None else self.fault_of_webhook(current)
        if fault:
            raise PermanentError(_("%(fault)s Register the webhooks again.") % {"fault": fault})

    def _check_usage(self) -> str:
        limits = self.read_limits()
        told = ", ".join(f"{limits[period]} / {period}" for period in usage.MINUTES if period in limits)
        return told or _("Seqino sets no limit.")

    def _check_signature_confirmed(self) -> CheckResult:
        """Observing is no fault: a fault is to refuse webhooks whose signature nobody has seen fit."""
        since, observing = self.memory.get(CONFIRMED_MEMORY), self.setting("observe_mode")
        if since:
            words = _("Confirmed on %(day)s.") % {"day": since[:10]}
            advice = _("Observe mode can be switched off.") if observing else ""
            return CheckResult(name="webhook signature", ok=True, message=f"{words} {advice}".strip())
        words = _("No webhook with a good signature has come yet: have Seqino send a test.")
        return CheckResult(name="webhook signature", ok=bool(observing), message=words)


def _draft_data(file: File) -> dict[str, Any]:
    try:
        data = load_json(file.content)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise PermanentError(_("The file looks like JSON, but it is no invoice in JSON."))
    return data


def _speaks_of_duplicate(error: PermanentError) -> bool:
    told = f"{error.message} {error.answer}".lower()
    words = ("duplicate", "already exist", "doublon", "rej_uni")
    return error.status_code == 409 or (error.status_code in (400, 422) and any(word in told for word in words))

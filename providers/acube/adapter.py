"""A-Cube's French API. Facts and assumptions: docs/platforms.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from providers.contract.base import (
    MIB,
    Bell,
    Capabilities,
    CheckResult,
    Delivery,
    File,
    HookRequest,
    InvoiceFacts,
    InvoiceReport,
    Malformed,
    PermanentError,
    PlatformError,
    PollPage,
    Receipt,
    StatusMessage,
    StatusReport,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.contract.http import find_filename
from providers.contract.told import pick_told
from providers.formats.files import MEDIA_TYPES, find_format

from . import fields, lifecycle, polling, reading, tables, webhooks
from .companies import Companies
from .destinations import Destinations
from .keys import ALERT_MEMORY, KEY_MEMORY, Keys

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

INBOUND_MEMORY = "inbound_path_works"

# How far back a submitted invoice whose fate is unknown is searched in the list.
SEARCH_BACK = timedelta(days=7)
SEARCH_PAGES = 100

logger = logging.getLogger(__name__)


class ACube(Companies, Destinations, Keys, polling.Listing):
    kind = "acube"
    label = "A-Cube"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    line_setting_fields = fields.LINE_SETTINGS
    max_hook_body = webhooks.MAX_BODY

    @property
    def capabilities(self) -> Capabilities:
        switched = {"cii": self.setting("enable_cii"), "facturx": self.setting("enable_facturx")}
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES,
            seller_statuses=tables.SELLER_STATUSES,
            submit_formats=frozenset({"ubl"} | {name for name, is_on in switched.items() if is_on}),
            webhooks=True,
            polling=True,
            look_up=True,
            history=True,
            directory=True,
        )

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        if len(request.body) > webhooks.MAX_BODY:
            raise Malformed("The body is larger than any event of A-Cube's.")
        secret = self.account.secrets.get("webhook_token", "")
        webhooks.check_secret(request, header=self.setting("webhook_header"), secret=secret)
        webhooks.check_digest(request)
        webhooks.check_signature(request, max_age=self.setting("signature_max_age"), accepts=self.accepts)

    def parse_webhook(self, request: HookRequest) -> Delivery:
        return webhooks.parse(request)

    # --- asked by us ---

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        report = reading.parse_invoice(self._fetch_detail(provider_ref))
        if report is None or report.provider_ref != provider_ref:
            message = _("A-Cube's answer does not say which invoice it is, or whether it was sent or received.")
            raise PermanentError(message)
        return report

    def _fetch_detail(self, provider_ref: str) -> dict[str, Any]:
        # The guide has a path of its own for received invoices, the reference has not: whichever worked is tried first.
        paths = ["invoice_path", "inbound_path"]
        if self.memory.get(INBOUND_MEMORY):
            paths.reverse()
        try:
            return self._read_object(paths[0], provider_ref)
        except PermanentError as error:
            if error.status_code != 404:
                raise
        item = self._read_object(paths[1], provider_ref)
        if paths[1] == "inbound_path":
            self.memory.set(INBOUND_MEMORY, True)
        return item

    def _read_object(self, path: str, provider_ref: str) -> dict[str, Any]:
        document = self.read(self.url(path, provider_ref))
        if not isinstance(document, dict):
            raise TemporaryError(_("A-Cube's answer is not an invoice."))
        return document

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        original = self._download("original", "original_path", provider_ref)
        try:
            return original, self._download("readable", "readable_path", provider_ref)
        except PlatformError as error:
            # The original is what counts, and we can show it ourselves.
            logger.warning("A-Cube gave no readable file of invoice %s: %s", provider_ref, error.message)
            return (original,)

    def _download(self, kind: str, path: str, provider_ref: str) -> File:
        limit = self.setting("max_file_mb") * MIB
        url = self.url(path, provider_ref)
        answer = self.exchange("GET", url, repeatable=True, upload=True, max_bytes=limit, headers={"Accept": "*/*"})
        self.wire.require_success(answer, repeatable=True)
        if not answer.content:
            raise TemporaryError(_("A-Cube sent an empty file."), status_code=answer.status_code)
        return File(
            kind=kind,
            content=answer.content,
            media_type=answer.media_type,
            filename=find_filename(answer.headers),
        )

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        return self._fetch_history(provider_ref)[0]

    def _fetch_history(self, provider_ref: str) -> tuple[tuple[StatusReport, ...], bool]:
        """The statuses, and whether they surely are all: without a history there is still the current one."""
        try:
            document, has_history = self.read(self.url("history_path", provider_ref)), True
        except PermanentError as error:
            if error.status_code not in (404, 405):
                raise
            document, has_history = self.read(self.url("lifecycle_path", provider_ref)), False
        reports, is_whole = reading.parse_history(document, provider_ref)
        if not is_whole:
            logger.warning("A part of what A-Cube shows of invoice %s could not be read", provider_ref)
        if any(report.status == "211" for report in reports):
            type_code = self.fetch_invoice(provider_ref).type_code
            reports = tuple(reading.with_refund_issuer(report, type_code) for report in reports)
        return reports, is_whole and has_history

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        start = polling.Cursor.read(cursor)
        pages = list(self.read_from(start))
        items = [item for page in pages for item in page.items]
        reports = [reading.parse_invoice(item) for item in items if start.is_new(item)]
        return PollPage(
            invoices=tuple(report for report in reports if report),
            bells=tuple(self._bells(items, start)),
            cursor=start.after(pages).store(),
        )

    def _bells(self, items: Iterable[dict[str, Any]], start: polling.Cursor) -> Iterator[Bell]:
        for item in items:
            reference = reading.find_reference(item)
            unreadable = start.is_new(item) and reading.parse_invoice(item) is None
            if reference and (start.is_changed(item) or unreadable):
                yield Bell(provider_ref=reference, is_new_invoice=True)

    # --- told by us: statuses ---

    def reasons_for(self, status: str, *, side: str) -> frozenset[str]:
        if status not in tables.BY_SIDE.get(side, frozenset()):
            return frozenset()
        return frozenset(tables.reason_names(status, missing_documents_on_208=self._missing_documents))

    @property
    def _missing_documents(self) -> bool:
        return bool(self.setting("missing_documents_on_208"))

    @classmethod
    def objection(cls, invoice: InvoiceFacts, status: str) -> StrOrPromise:
        return lifecycle.NO_NEGATIVE if invoice.gives_back and status == "212" else ""

    def require_sayable(self, message: StatusMessage) -> None:
        self._write(message)

    def _write(self, message: StatusMessage) -> lifecycle.Letter:
        return lifecycle.write(
            message,
            field=self.setting("lifecycle_status_field"),
            as_name=self.setting("lifecycle_status_value") == "name",
            missing_documents_on_208=self._missing_documents,
        )

    def send_status(self, message: StatusMessage) -> Receipt:
        letter = self._write(message)
        url = self.url("lifecycle_path", message.invoice.provider_ref)
        headers = {"Content-Type": "application/json"}
        content = lifecycle.dump(letter.body).encode()
        answer = self.tell(self.setting("lifecycle_method"), url, content=content, headers=headers)
        document = self.wire.require_receipt(answer, empty=tables.TAKEN_IN)
        return Receipt(reference=_reference_in(document), text=letter.left_out)

    def find_status(self, message: StatusMessage) -> Receipt | None:
        reports, is_whole = self._fetch_history(message.invoice.provider_ref)
        candidates = lifecycle.find_told(message, reports)
        dated = [report for report in candidates if report.occurred_at]
        is_clear = dated or message.status not in tables.REPEATABLE
        if is_clear and (found := pick_told(message, dated or candidates)):
            return Receipt(reference=found.key, confirmed=True, text=found.native_status)
        if candidates and not is_clear:
            told = {"status": message.status}
            raise UncertainError(_("A-Cube shows a status %(status)s without its time: is it this one?") % told)
        if not is_whole:
            raise UncertainError(_("A-Cube does not show the whole history of this invoice."))
        return None

    # --- told by us: invoices ---

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        document_format = find_format(file.content)
        if document_format not in self.capabilities.submit_formats:
            raise Unsupported(_("A-Cube does not take this kind of file: %(kind)s.") % {"kind": document_format or "?"})
        if len(file.content) > self.setting("max_file_mb") * MIB:
            told = {"limit": self.setting("max_file_mb")}
            raise PermanentError(_("The file is larger than the %(limit)s MB allowed for A-Cube.") % told)
        try:
            answer = self.tell("POST", self.url("list_path"), upload=True, **self._upload(file, document_format))
        except PermanentError as error:
            if _speaks_of_duplicate(error):
                raise UncertainError(error.message, status_code=error.status_code, answer=error.answer) from None
            raise
        document = answer.find_json()
        reference = reading.find_reference(document) if isinstance(document, dict) else ""
        if not reference:
            message = _("A-Cube took the invoice but did not say under which number.")
            raise UncertainError(message, status_code=answer.status_code, answer=answer.text)
        return Receipt(reference=reference)

    def _upload(self, file: File, document_format: str) -> dict[str, Any]:
        media_type = MEDIA_TYPES[document_format]
        if self.setting("upload_mode") == "multipart":
            extension = "pdf" if media_type == "application/pdf" else "xml"
            return {"files": {"file": (file.filename or f"invoice.{extension}", file.content, media_type)}}
        return {"content": file.content, "headers": {"Content-Type": media_type}}

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        if not invoice.number:
            raise UncertainError(_("An invoice without a number cannot be looked for at A-Cube."))
        floor = datetime.now(UTC) - SEARCH_BACK
        number = 0
        for page in self.pages(1, SEARCH_PAGES):
            number = page.number
            for report in filter(None, map(reading.parse_invoice, page.items)):
                if _is_same_invoice(report, invoice):
                    return Receipt(reference=report.provider_ref, confirmed=True, text=report.native_status)
            if page.reaches(floor):
                return None
        if number == SEARCH_PAGES:
            raise UncertainError(_("A-Cube's list is too long to be sure that the invoice is not in it."))
        return None

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """In order of dependence: without a login the rest is not tried."""
        yield self._check_hosts()
        login = self._try("login", self.log_in, _("A-Cube accepts the login and grants French access."))
        yield login
        if login.ok:
            read = lambda: self.read_list(self.url("list_path"), params={"page": 1, "itemsPerPage": 1})  # noqa: E731
            yield self._try("invoices", read, _("The invoices can be read."))
            yield self._try("webhooks", self._check_webhooks, _("All events are sent to us."))
        yield self._try("signature key", self._check_key, _("The signature key is the one we know."))

    def _try(self, name: str, attempt: Callable[[], Any], good: str) -> CheckResult:
        try:
            attempt()
        except PlatformError as error:
            return CheckResult(name=name, ok=False, message=error.message)
        return CheckResult(name=name, ok=True, message=good)

    def _check_hosts(self) -> CheckResult:
        hosts = [urlsplit(url).hostname or "" for url in (self.api_url, self.login_url)]
        wanted = self.account.environment == "sandbox"
        mixed = [host for host in hosts if host.endswith(".acubeapi.com") and ("-sandbox." in host) != wanted]
        message = _("%(hosts)s is not of the environment of this connection.") % {"hosts": ", ".join(mixed)}
        return CheckResult(name="environment", ok=not mixed, message=message if mixed else "")

    def _check_webhooks(self) -> None:
        faulty = list(self.faulty_events())
        if faulty:
            message = _("Not registered, or not as they should be: %(events)s. Register the webhooks again.")
            raise PermanentError(message % {"events": ", ".join(faulty)})

    def _check_key(self) -> None:
        shown = webhooks.fingerprint(self.fetch_key())
        if pin := self.pinned_print():
            if shown != pin:
                message = _("A-Cube shows a signature key other than the pinned one. Ask A-Cube, then pin %(key)s.")
                raise PermanentError(message % {"key": shown})
            return
        kept, change = self.memory.get(KEY_MEMORY), self.memory.get(ALERT_MEMORY)
        if change or (kept and kept["fingerprint"] != shown):
            message = _("A-Cube's signature key has changed. Ask A-Cube, then set signature_key_pin to %(key)s.")
            raise PermanentError(message % {"key": shown})


def _is_same_invoice(report: InvoiceReport, invoice: InvoiceFacts) -> bool:
    same_type = not (report.type_code and invoice.type_code) or report.type_code == invoice.type_code
    same_date = not (report.issue_date and invoice.issue_date) or report.issue_date == invoice.issue_date
    return (
        report.direction == "issued"
        and report.number == invoice.number
        and report.seller.siren == invoice.seller.siren
        and same_type
        and same_date
    )


def _speaks_of_duplicate(error: PermanentError) -> bool:
    text = f"{error.message} {error.answer}".lower()
    return error.status_code == 409 or (
        error.status_code == 422 and any(word in text for word in ("duplicate", "already exist", "doublon"))
    )


def _reference_in(document: Any) -> str:
    """The number of an accepted status, where the answer gives one."""
    if not isinstance(document, dict):
        return ""
    return next((value for name in reading.KEY_FIELDS if isinstance(value := document.get(name), str)), "")

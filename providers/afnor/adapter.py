"""Any platform that follows AFNOR XP Z12-013. Facts and assumptions: docs/platforms.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from lxml import etree

from providers.contract import renewal
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
    NotGenuine,
    PermanentError,
    PlatformError,
    Receipt,
    StatusMessage,
    StatusReport,
    TemporaryError,
    UncertainError,
    Unsupported,
    Verdict,
)
from providers.contract.http import find_filename, safe_filename
from providers.contract.moments import STATUS_TIMEZONE
from providers.formats import cdar
from providers.formats.files import MEDIA_TYPES, find_format
from providers.formats.xml import UnreadableDocument, parse_xml
from providers.norm.codes import SELF_BILLED_TYPES, Role, Side
from providers.norm.processing import rule_in

from . import fields, registrations, tables, webhooks
from .directory import Directory
from .flows import Flow, parse_flow
from .registrations import Registrations
from .searching import LOST_MEMORY, Searching
from .session import new_request_id

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

VARIANT_MEMORY = "signature_variant"

# How much earlier than our submission the platform's clock may put the flow.
CLOCK_SKEW = timedelta(minutes=2)
# How much older than our submission the flow may be that it doubles.
SEARCH_BACK = timedelta(days=3)
LONGEST_NAME = 150
SELLER_ROLES = frozenset({Role.SELLER.value, Role.SELLER_AGENT.value, Role.FACTOR.value, Role.PAYEE.value})
PROFILE_PLACES = (
    "{*}CustomizationID",
    "{*}ExchangedDocumentContext/{*}GuidelineSpecifiedDocumentContextParameter/{*}ID",
)


class Afnor(Directory, Registrations, Searching):
    kind = "afnor"
    label = "AFNOR XP Z12-013"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    hook_success_status = 200
    max_hook_body = webhooks.MAX_BODY
    wants_addresses = True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            buyer_statuses=tables.BUYER_STATUSES,
            seller_statuses=tables.SELLER_STATUSES,
            submit_formats=frozenset(self.setting("submit_formats")) & frozenset(tables.SYNTAXES),
            webhooks=True,
            polling=True,
            look_up=True,
            directory=self.has_directory,
        )

    @classmethod
    def shown_after(cls, settings: Mapping[str, Any]) -> float:
        default = next(field.default for field in cls.settings_fields if field.name == "shown_after")
        return float(settings.get("shown_after", default))

    # --- pushed to us ---

    def verify_webhook(self, request: HookRequest) -> None:
        if len(request.body) > webhooks.MAX_BODY:
            raise Malformed("The body is larger than any flow's description.")
        if self.setting("contract") != "1.3":
            webhooks.check_token(request, header=self.setting("webhook_header"), token=self.hook_token())
            return
        pinned = self._pinned_variant()

        def fits(keys: list[str]) -> str:
            variants = [pinned] if pinned else webhooks.VARIANTS
            max_age = self.setting("signature_max_age")
            return webhooks.fitting_variant(request, keys=keys, variants=variants, max_age=max_age)

        try:
            variant = fits(self.signing_keys())
        except NotGenuine as error:
            variant = renewal.check(self.account.vault, registrations.VAULT, request, fits, error)
        if not pinned:
            self.memory.set(VARIANT_MEMORY, variant)

    def _pinned_variant(self) -> str:
        chosen = self.setting("signature_variant")
        return self.memory.get(VARIANT_MEMORY) or "" if chosen == "learn" else chosen

    def parse_webhook(self, request: HookRequest) -> Delivery:
        return webhooks.parse(request)

    # --- asked by us ---

    def fetch_delivery(self, reference: str) -> Delivery:
        flow = self.fetch_flow(reference)
        if flow.type in tables.INVOICES:
            return self._invoice_news(flow)
        if flow.type in tables.LIFECYCLES:
            return self._lifecycle_news(flow)
        told = {"type": flow.type or "?", "flow": flow.id}
        return Delivery(key="", ignored=_("Flow %(flow)s of type %(type)s is of no concern here.") % told)

    def fetch_flow(self, flow_id: str) -> Flow:
        flow = parse_flow(self.read("GET", self.flow_url(flow_id), params={"docType": "Metadata"}))
        if flow is None or flow.id != flow_id:
            message = _("The answer of %(platform)s does not describe flow %(flow)s.")
            raise PermanentError(message % {"platform": self.platform, "flow": flow_id})
        return flow

    def _invoice_news(self, flow: Flow) -> Delivery:
        if flow.ack == tables.PENDING:
            return Delivery(key="", ignored=_("%(platform)s is still checking the invoice.") % self._names(flow))
        if flow.is_refused and self.account.lines.of_invoice(flow.id) is None:
            words = _("%(platform)s refused file %(name)s, which is no invoice of ours: %(told)s")
            return Delivery(key="", ignored=words % self._names(flow))
        bell = Bell(provider_ref=flow.id, is_new_invoice=not flow.is_refused)
        return Delivery(key="", bells=(bell,), statuses=tuple(self._derived(flow)))

    def _derived(self, flow: Flow) -> Iterator[StatusReport]:
        """What the flow itself says of its invoice: that it arrived, or what the platform's checks found."""
        if flow.direction == tables.OUT or flow.is_refused:
            yield self._acknowledgement(flow)
        elif self.setting("arrival_status") != "none":
            yield StatusReport(
                provider_ref=flow.id,
                status=self.setting("arrival_status"),
                native_status=f"{flow.type} {flow.direction}".strip(),
                issuer_role=Role.PLATFORM.value,
                note=_("Derived: %(platform)s hands the invoice over.") % self._names(flow),
                seen_at=flow.submitted_at,
                key=f"arrival:{flow.id}",
                derived=True,
                raw=flow.raw,
            )

    def _acknowledgement(self, flow: Flow) -> StatusReport:
        """The platform's technical verdict, shown beside the national statuses and not among them."""
        implied = {tables.OK: "200", tables.ERROR: "213"} if self.setting("ack_implies_status") else {}
        notes = {
            tables.OK: _("%(platform)s took the file in: its technical checks passed."),
            tables.ERROR: _("%(platform)s did not take the file."),
        }
        return StatusReport(
            provider_ref=flow.id,
            status=implied.get(flow.ack),
            native_status=(_("Acknowledgement %(ack)s") % {"ack": flow.ack}).strip(),
            issuer_role=Role.PLATFORM.value,
            reasons=tuple(detail.reason for detail in flow.details),
            note=notes.get(flow.ack, "") % self._names(flow),
            occurred_at=flow.updated_at,
            key=f"ack:{flow.id}:{flow.ack}",
            derived=flow.ack in implied,
            refused=flow.is_refused,
            raw=flow.raw,
        )

    def _lifecycle_news(self, flow: Flow) -> Delivery:
        if flow.direction == tables.OUT and flow.ack != tables.OK:
            return self._refused_status(flow)
        try:
            messages = cdar.read(self.fetch_document(flow.id, "Original").content)
        except UnreadableDocument as error:
            told = {"flow": flow.id, "error": error.message}
            return Delivery(key="", unclear=_("The status message of flow %(flow)s cannot be read: %(error)s") % told)
        reports = tuple(self._report(message, flow) for message in messages if message.number)
        unclear = "" if len(reports) == len(messages) else _("The status message of flow %(flow)s names no invoice.")
        verdicts = (Verdict(message_id=flow.tracking_id, is_accepted=True),) if flow.direction == tables.OUT else ()
        return Delivery(key="", statuses=reports, verdicts=verdicts, unclear=unclear % self._names(flow))

    def _refused_status(self, flow: Flow) -> Delivery:
        """A status counts only once its flow is acknowledged. One that came twice is there already."""
        if not flow.is_refused or flow.is_duplicate:
            return Delivery(key="", ignored=_("%(platform)s has not taken the status message in.") % self._names(flow))
        verdict = Verdict(message_id=flow.tracking_id, is_accepted=False, text=self._refusal(flow))
        return Delivery(key="", verdicts=(verdict,))

    def _report(self, message: cdar.Cdar, flow: Flow) -> StatusReport:
        """The type of the flow tells our side of the invoice, and with the invoice's own type which way that went."""
        way = tables.LIFECYCLES[flow.type]
        way = tables.OTHER_WAY[way] if message.type_code in SELF_BILLED_TYPES else way
        return message.report(direction=way)

    def _refusal(self, flow: Flow) -> str:
        return _("%(platform)s did not take it: %(told)s") % self._names(flow)

    def _names(self, flow: Flow) -> dict[str, str]:
        return {"platform": self.platform, "flow": flow.id, "name": flow.name or flow.id, "told": flow.in_words}

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        flow = self.fetch_flow(provider_ref)
        if flow.type not in tables.INVOICES:
            raise PermanentError(_("Flow %(flow)s is no invoice.") % self._names(flow))
        return InvoiceReport(
            provider_ref=flow.id,
            direction=tables.WAYS.get(flow.direction) or tables.INVOICES[flow.type],
            native_status=flow.ack,
            processing_rule=rule_in(flow.raw),
            created_at=flow.submitted_at,
            raw=flow.raw,
        )

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        others = {"ReadableView": "fetch_readable", "Converted": "fetch_converted"}
        found = [self._find_document(provider_ref, name) for name, switch in others.items() if self.setting(switch)]
        return (self.fetch_document(provider_ref, "Original"), *filter(None, found))

    def fetch_document(self, flow_id: str, doc_type: str) -> File:
        file = self._find_document(flow_id, doc_type)
        if file is None:
            raise TemporaryError(_("%(platform)s sent an empty file.") % {"platform": self.platform})
        return file

    def _find_document(self, flow_id: str, doc_type: str) -> File | None:
        """The two that are optional are missing where the platform says 404 or 400, or sends nothing."""
        kind = {"ReadableView": "readable", "Converted": "converted"}.get(doc_type, "original")
        answer = self.call(
            "GET",
            self.flow_url(flow_id),
            repeatable=True,
            upload=True,
            max_bytes=self.setting("max_file_mb") * MIB,
            params={"docType": doc_type},
            headers={"Accept": "application/octet-stream, application/json, application/xml, application/pdf"},
            allow=() if kind == "original" else (400, 404),
        )
        if not answer.is_success or not answer.content:
            return None
        # Media types lie, or say octet-stream.
        media_type = MEDIA_TYPES.get(find_format(answer.content), answer.media_type)
        return File(kind=kind, content=answer.content, media_type=media_type, filename=find_filename(answer.headers))

    # --- told by us: statuses ---

    def require_sayable(self, message: StatusMessage) -> None:
        if message.status not in tables.BY_SIDE[_side_of(message)]:
            words = _("Status %(status)s cannot be said from this side.") % {"status": message.status}
            raise Unsupported(words)

    def send_status(self, message: StatusMessage) -> Receipt:
        self.require_sayable(message)
        zone = ZoneInfo("UTC") if self.setting(STATUS_TIMEZONE) == "UTC" else cdar.PARIS
        content = cdar.prepare(message, cdar.Envelope(zone=zone))
        return self._submit(content, {"name": _cdar_name(message), "flowSyntax": "CDAR"}, _tracking_id(message.id))

    def find_status(self, message: StatusMessage) -> Receipt | None:
        types = tables.LIFECYCLES
        return self._find_submitted(_tracking_id(message.id), _cdar_name(message), types, message.told_at)

    @classmethod
    def objection(cls, invoice: InvoiceFacts, status: str) -> StrOrPromise:
        return cdar.objection(invoice, status)

    # --- told by us: invoices ---

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        document_format = find_format(file.content)
        if document_format not in self.capabilities.submit_formats:
            told = {"platform": self.platform, "kind": document_format or "?"}
            raise Unsupported(_("%(platform)s does not take this kind of file: %(kind)s.") % told)
        info = {"name": _invoice_name(file, invoice, document_format), "flowSyntax": tables.SYNTAXES[document_format]}
        if profile := find_profile(file.content, document_format):
            info["flowProfile"] = profile
        between_companies = "B2B" if invoice.buyer.siren and invoice.seller.siren else ""
        if self.setting("send_processing_rule") and (rule := invoice.processing_rule or between_companies):
            info["processingRule"] = rule
        return self._submit(file.content, info, self._tracking_of(invoice))

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        return self._find_submitted(self._tracking_of(invoice), "", tables.INVOICES, invoice.told_at)

    def _tracking_of(self, invoice: InvoiceFacts) -> str:
        """The same for every try of one invoice."""
        if not invoice.number:
            raise PermanentError(_("An invoice without a number cannot be submitted."))
        named = [self.account.id, invoice.seller.siren, invoice.number, invoice.type_code, str(invoice.issue_date)]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]

    # --- flows ---

    def _submit(self, content: bytes, info: dict[str, str], tracking_id: str) -> Receipt:
        if len(content) > self.setting("max_file_mb") * MIB:
            told = {"limit": self.setting("max_file_mb"), "platform": self.platform}
            raise PermanentError(_("The file is larger than the %(limit)s MB allowed for %(platform)s.") % told)
        wish = {"trackingId": tracking_id} | info | {"sha256": hashlib.sha256(content).hexdigest()}
        media_type = "application/pdf" if info["flowSyntax"] == "Factur-X" else "application/xml"
        parts = {
            "flowInfo": (None, json.dumps(wish, ensure_ascii=False).encode(), self.setting("flowinfo_content_type")),
            "file": (info["name"], content, media_type),
        }
        request_id = new_request_id()
        answer = self.call("POST", self.url("flows"), repeatable=False, upload=True, files=parts, request_id=request_id)
        document = answer.find_json()
        reference = document.get("flowId") if isinstance(document, dict) else None
        if not isinstance(reference, str) or not reference:
            message = _("%(platform)s took the file in without saying under which number.") % {
                "platform": self.platform
            }
            raise UncertainError(message, status_code=answer.status_code, answer=answer.text)
        return Receipt(reference=reference, text=f"Request-Id: {request_id}")

    def _find_submitted(
        self, tracking_id: str, name: str, flow_types: Iterable[str], told_at: datetime | None
    ) -> Receipt | None:
        """What became of a flow of ours. `refused` only where nothing of it was taken in; an earlier try does not
        count, for a person may have sent again what was refused then.
        """
        found = self.find_tracked(tracking_id)
        taken = [flow for flow in found if not flow.is_refused]
        best = next((flow for flow in taken if flow.ack == tables.OK), taken[0] if taken else None)
        if best:
            return Receipt(reference=best.id, confirmed=best.ack == tables.OK, text=best.ack)
        now_told = [flow for flow in found if _is_of_try(flow, told_at)]
        refused = [flow for flow in now_told if not flow.is_duplicate]
        if refused:
            return Receipt(refused=True, text=self._refusal(refused[-1]))
        if now_told:
            return self._find_doubled(now_told[-1], name, flow_types)
        if told_at and (datetime.now(UTC) - told_at).total_seconds() < self.setting("shown_after"):
            message = _("%(platform)s does not show it yet, which may take a while.") % {"platform": self.platform}
            raise UncertainError(message)
        return None

    def _find_doubled(self, flow: Flow, name: str, flow_types: Iterable[str]) -> Receipt:
        """The platform says that it has it, but not under our id: by name, or a person looks."""
        since = (flow.submitted_at or datetime.now(UTC)) - SEARCH_BACK
        first = self.find_original(name or flow.name, flow_types, since)
        if first is None:
            raise UncertainError(
                _("%(platform)s says that it has it already, but does not show it.") % self._names(flow)
            )
        return Receipt(reference=first.id, confirmed=first.ack == tables.OK, text=first.ack)

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """In order of dependence: without a login the rest is not tried."""
        login = self._try("login", self.log_in, _("%(platform)s accepts the login."))
        yield login
        if not login.ok:
            return
        yield self._try("service", self._check_health, _("The Flow Service is up."))
        yield self._try("flows", self._check_search, _("Flows can be searched."))
        if self.setting("contract") != "1.1":
            yield self._try("webhooks", self._check_webhooks, _("All flows are announced to us."))
        if self.has_directory:
            yield self._try("directory", self.check_directory, _("The directory is up."))
        yield self._try("completeness", self._check_completeness, _("Every poll could read everything."))

    def _try(self, name: str, attempt: Callable[[], Any], good: str) -> CheckResult:
        try:
            attempt()
        except PlatformError as error:
            return CheckResult(name=name, ok=False, message=error.message)
        return CheckResult(name=name, ok=True, message=good % {"platform": self.platform} if "%(" in good else good)

    def _check_health(self) -> None:
        self.call("GET", self.url("healthcheck"), repeatable=True)

    def _check_search(self) -> None:
        self.search({"flowType": list(tables.FOLLOWED)}, limit=1)

    def _check_webhooks(self) -> None:
        if missing := self.missing_webhooks():
            message = _("Not announced to us: %(flows)s. Register the webhooks.")
            raise PermanentError(message % {"flows": ", ".join(missing)})

    def _check_completeness(self) -> None:
        if lost := self.memory.get(LOST_MEMORY):
            message = _(
                "More flows (%(type)s, %(direction)s) changed at %(at)s than a search shows: some may be missing. Ask "
                "the platform for them."
            )
            raise PermanentError(message % lost)


def _is_of_try(flow: Flow, told_at: datetime | None) -> bool:
    return not told_at or not flow.submitted_at or flow.submitted_at >= told_at - CLOCK_SKEW


def _side_of(message: StatusMessage) -> Side:
    return Side.SELLER if message.issuer_role in SELLER_ROLES else Side.BUYER


def _tracking_id(message_id: str) -> str:
    """Fits the 36 characters of contracts 1.1 and 1.2."""
    return message_id.replace("-", "")


def _cdar_name(message: StatusMessage) -> str:
    return f"CDAR-{message.status}-{_tracking_id(message.id)}.xml"


def _invoice_name(file: File, invoice: InvoiceFacts, document_format: str) -> str:
    extension = "pdf" if document_format == "facturx" else "xml"
    return safe_filename(file.filename) or safe_filename(f"{invoice.number[:LONGEST_NAME]}.{extension}")


def find_profile(content: bytes, document_format: str) -> str:
    """The contract's name of the profile that the document itself declares (BT-24); "" where it has none for it."""
    if document_format not in ("ubl", "cii"):
        return ""
    try:
        root: etree._Element = parse_xml(content)
    except UnreadableDocument:
        return ""
    declared = next((text for place in PROFILE_PLACES if (text := root.findtext(place))), "")
    return tables.PROFILES.get(declared.strip(), "")

"""AFNOR XP Z12-013: flows and their search, acknowledgements, statuses as CDAR, webhooks of 1.2 and 1.3, directory."""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ...dialect import Dialect, View
from ...documents import Document, NotAnInvoiceError, read_document, render_pdf, render_readable
from ...records import Destination, Event, Invoice, StatusEntry, now, uuid7
from ...samples import DEFAULT_BUYER
from .answers import FlowError, as_json, read_object, refusal
from .cdar import AMOUNTS, ISSUERS, Message, NotAMessageError, Wish, read_message, write_message
from .directory import DirectoryCalls
from .flows import Flow, Search, read_flow_info
from .hooks import HookCalls, envelope

FLOWS = "/flow-service/v1/flows"
EXTENSIONS = {"UBL": "xml", "CII": "xml", "CDAR": "xml", "Factur-X": "pdf"}
# Our side of an invoice, by the way it went.
OUR_ROLES = {"INBOUND": "BY", "OUTBOUND": "SE"}
LIFECYCLES = {"INBOUND": "SupplierInvoiceLC", "OUTBOUND": "CustomerInvoiceLC"}


def _readable(flow: Flow) -> bytes:
    if flow.content.startswith(b"%PDF-"):
        return flow.content  # Factur-X is its own readable view
    try:
        return render_readable(read_document(flow.content))
    except NotAnInvoiceError:
        return render_pdf([flow.name])


class AfnorState:
    def __init__(self) -> None:
        self.tokens: dict[str, float] = {}
        self.destinations: dict[str, dict[str, Any]] = {}
        self.flows: dict[str, Flow] = {}
        self.seen: set[tuple[str, ...]] = set()  # what the check of uniqueness knows
        self.instant: datetime | None = None


class Afnor(Dialect):
    name = "afnor"
    secret_paths = frozenset({"/oauth2/token"})
    settings = {
        "client_id": "",  # empty: any pair that is not empty may log in
        "client_secret": "",
        "token_style": "",  # body or basic: the other is refused
        "token_seconds": 3600,
        "organization_id": "",  # the only one that may be named
        "contract": "1.3",
        "signature_variant": "B",
        "callback_shape": "flat",  # or wrapped, in flowInfo
        "cap": 100,  # the most a search answers, whatever is asked for
        "order": "oldest first",  # or random, within a page
        "same_updated_at": False,  # everything changes at one instant
        "hide_after_post": 0,  # searches until a submitted flow shows
        "ack": "Ok",  # or Error
        "ack_reason": "InvalidSchema",
        "ack_delay": 0.3,  # of a submitted invoice; a status waits for echo_delay
        "takes_processing_rule": True,
        "transmission_statuses": True,  # the buyer hears 202 and 203 as CDAR
        "has_readable": True,
        "has_converted": False,
        "list_ids_only": False,
        "show_signing_keys": False,
        "follows_include": True,
        "uncounted": False,
        "companies": [{"siren": DEFAULT_BUYER, "siret": f"{DEFAULT_BUYER}00014", "name": "Atelier Dupont"}],
        "directory_lines": [],
    }

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("POST", "/oauth2/token", self.log_in),
            ("GET", "/flow-service/v1/healthcheck", self.health),
            ("POST", FLOWS, self.submit),
            ("POST", f"{FLOWS}/search", self.search),
            ("GET", f"{FLOWS}/<flow_id>", self.show),
            *HookCalls(self).routes(),
            *DirectoryCalls(self).routes(),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    def new_state(self) -> AfnorState:
        return AfnorState()

    # -- calls: authentication and errors

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            if view != self.log_in:
                self._authenticate(request)
            return view(request, **values)
        except FlowError as error:
            return refusal(error)

    def _authenticate(self, request: Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise FlowError(401, "MISSING_TOKEN")
        if self.state.tokens.get(token, 0) <= time.time():
            raise FlowError(401, "INVALID_TOKEN", "the token is unknown or has expired")
        wanted, named = self.setting("organization_id"), request.headers.get("Organization-Id", "")
        if wanted and named != wanted:
            raise FlowError(403, "FORBIDDEN_ACCESS", "this organization is not yours")

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        if kind == "unauthorized_once":
            self.state.tokens.pop(request.headers.get("Authorization", "").partition(" ")[2], None)
        status, code = {
            "unauthorized_once": (401, "INVALID_TOKEN"),
            "rate_limited": (429, "TOO_MANY_REQUESTS"),
            "server_error": (500, "INTERNAL_ERROR"),
            "not_found": (404, "MISSING_RESOURCE"),
            "not_allowed": (405, "METHOD_NOT_ALLOWED"),
            "too_large": (413, "FILE_SIZE_EXCEEDED"),
        }[kind]
        return refusal(FlowError(status, code, detail))

    def log_in(self, request: Request) -> Response:
        shown = _credentials(request)
        style, wanted = self.setting("token_style"), (self.setting("client_id"), self.setting("client_secret"))
        if request.form.get("grant_type") != "client_credentials":
            return as_json({"error": "unsupported_grant_type"}, 400)
        if (style and style != shown[0]) or not all(shown[1:]) or (any(wanted) and shown[1:] != wanted):
            return as_json({"error": "invalid_client", "error_description": "unknown client or wrong secret"}, 401)
        token, seconds = secrets.token_urlsafe(32), self.setting("token_seconds")
        self.state.tokens[token] = time.time() + seconds
        return as_json({"access_token": token, "token_type": "Bearer", "expires_in": seconds})

    def health(self, request: Request) -> Response:
        return Response(status=200)

    # -- calls: flows

    def submit(self, request: Request) -> Response:
        file = request.files.get("file")
        if file is None or "flowInfo" not in request.form:
            raise FlowError(400, "MISSING_REQUIRED_FIELD", "flowInfo and file are required")
        info = read_flow_info(request.form["flowInfo"], self.setting("contract"))
        if "processingRule" in info and not self.setting("takes_processing_rule"):
            raise FlowError(400, "INVALID_FIELD", "processingRule is not supported")
        content = file.read()
        is_message = info["flowSyntax"] == "CDAR"
        flow = Flow(
            "Undefined", "Out", info["flowSyntax"], info.get("name", ""), content, self._now(),
            tracking_id=info.get("trackingId", ""), profile=info.get("flowProfile", "Undefined"),
            rule=info.get("processingRule", ""), hidden=self.setting("hide_after_post"),
        )  # fmt: skip
        if info.get("sha256", flow.sha256) != flow.sha256:
            raise FlowError(422, "CHECKSUM_MISMATCH", "sha256 does not match the received file")
        if not content:
            raise FlowError(422, "EMPTY_FLOW", "the file is empty")
        with self.sandbox.lock:
            self.state.flows[flow.id] = flow
        (self._take_message if is_message else self._take_invoice)(flow)
        kept = ("flowId", "submittedAt", "trackingId", "name", "flowSyntax", "flowProfile", "processingRule")
        shown = flow.as_json()
        told = {name: shown[name] for name in kept if name in info or name in ("flowId", "submittedAt", "name")}
        return as_json({**told, "flowSyntax": flow.syntax, "sha256": flow.sha256}, 202)

    def _take_invoice(self, flow: Flow) -> None:
        flow.type = "CustomerInvoice"
        delay, later = self.setting("ack_delay"), self.sandbox.clock.later
        try:
            document = read_document(flow.content) if flow.syntax != "Factur-X" else Document(number=flow.name)
        except NotAnInvoiceError:
            later(delay, self._fail, flow, "InvalidSchema")
            return
        names = document.seller.siren, document.number, document.type_code
        if reason := self._unique("invoice", *names) or self._bad_luck():
            later(delay, self._fail, flow, reason)
            return
        self._count(*names)
        later(delay, self._deposit_submitted, flow, document)

    def _count(self, *key: str) -> None:
        with self.sandbox.lock:
            self.sandbox.state.accepted[self.name, "|".join(key), "submit"] += 1

    def _deposit_submitted(self, flow: Flow, document: Document) -> None:
        self.deposit(flow.content, direction="OUTBOUND", uuid=flow.id, document=document)

    def _take_message(self, flow: Flow) -> None:
        """The status counts when its flow is acknowledged, which is what its echo is."""
        flow.type = "SupplierInvoiceLC"
        try:
            message = read_message(flow.content)
        except NotAMessageError:
            self.sandbox.clock.later(self.sandbox.settings["echo_delay"], self._fail, flow, "InvalidSchema")
            return
        invoice = self._invoice_of(message)
        if invoice is not None:
            flow.type, flow.invoice = LIFECYCLES[invoice.direction], invoice.id
        reason = self._against(message, invoice, flow) or self._bad_luck()
        if reason or invoice is None:
            self.sandbox.clock.later(self.sandbox.settings["echo_delay"], self._fail, flow, reason)
            return
        self.accept(invoice, message.status, {"flow": flow.id})

    def _invoice_of(self, message: Message) -> Invoice | None:
        with self.sandbox.lock:
            known = list(self.invoices.values())
        named = [
            i for i in known if (i.document.seller.siren, i.document.number) == (message.seller_siren, message.number)
        ]
        return named[-1] if named else None

    def _against(self, message: Message, invoice: Invoice | None, flow: Flow) -> str:
        if invoice is None or message.issuer not in ("BY", "SE"):
            return "InvoiceLCAccessDenied"
        if message.status not in ISSUERS:
            return "InvoiceLCStatusError"
        return self._unique("message", flow.sha256)

    def _unique(self, *key: str) -> str:
        with self.sandbox.lock:
            is_known = key in self.state.seen
            self.state.seen.add(key)
        return "AlreadyExistingFlow" if is_known else ""

    def _bad_luck(self) -> str:
        return self.setting("ack_reason") if self.setting("ack") == "Error" else ""

    def _fail(self, flow: Flow, reason: str) -> None:
        detail = {
            "level": "Error",
            "item": flow.name,
            "reasonCode": reason,
            "reasonMessage": f"The check gave {reason}",
        }
        self._acknowledge(flow, "Error", [detail])
        self.sandbox.ring([self._news(flow)])

    def _acknowledge(self, flow: Flow, status: str, details: list[dict[str, str]] | None = None) -> None:
        with self.sandbox.lock:
            flow.ack, flow.details, flow.updated_at = status, details or [], self._now()

    def search(self, request: Request) -> Response:
        wanted = Search.read(read_object(request))
        with self.sandbox.lock:
            flows = list(self.state.flows.values())
            shown = [flow for flow in flows if not flow.hidden]
            for flow in flows:
                flow.hidden = max(0, flow.hidden - 1)
        answer = wanted.answer(
            shown,
            cap=self.setting("cap"),
            has_cursor=self.setting("contract") == "1.3",
            shuffled=self.setting("order") == "random",
        )
        return as_json(answer)

    def show(self, request: Request, flow_id: str) -> Response:
        flow = self.state.flows.get(flow_id)
        if flow is None:
            raise FlowError(404, "MISSING_RESOURCE", "Requested resource is Not Found")
        kind = request.args.get("docType", "Metadata")
        if kind == "Metadata":
            return as_json(flow.as_json())
        if kind == "Original":
            place = f"{request.method} {request.path}"
            broken = self.sandbox.faults.take(("document",), place)
            return _file(b"<html><body>502 Bad Gateway</body></html>" if broken else flow.content, flow.name)
        has = {"ReadableView": self.setting("has_readable"), "Converted": self.setting("has_converted")}
        if kind not in has:
            raise FlowError(400, "INVALID_FIELD", "docType is unknown")
        if not has[kind] or flow.syntax == "CDAR":
            raise FlowError(404, "MISSING_RESOURCE", f"this flow has no {kind}")
        return _file(_readable(flow) if kind == "ReadableView" else flow.content, flow.name)

    # -- flows of the platform's own making

    def _now(self) -> datetime:
        if not self.setting("same_updated_at"):
            self.state.instant = None
            return now()
        self.state.instant = self.state.instant or now()
        return self.state.instant

    def _news(self, flow: Flow) -> Event:
        return Event(self.name, flow.type, flow.as_json(), flow.invoice or flow.id)

    def _add(self, flow: Flow) -> Event:
        flow.ack = "Ok"
        with self.sandbox.lock:
            self.state.flows[flow.id] = flow
        return self._news(flow)

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        flow = self.state.flows.get(invoice.id)
        if flow is not None:
            flow.invoice = invoice.id
            self._acknowledge(flow, "Ok")
        kind, direction = {"INBOUND": ("SupplierInvoice", "In"), "OUTBOUND": ("CustomerInvoice", "Out")}[
            invoice.direction
        ]
        syntax = invoice.document.syntax or "UBL"
        name = f"{invoice.document.number}.{EXTENSIONS[syntax]}"
        arrived = flow or Flow(kind, direction, syntax, name, invoice.content, self._now(), rule="B2B", profile="CIUS")
        arrived.id = arrived.invoice = invoice.id
        events = [self._add(arrived)]
        heard = {"INBOUND": ("202", "203"), "OUTBOUND": ("200",)}[invoice.direction]
        if self.setting("transmission_statuses"):
            started = invoice.created_at - timedelta(seconds=len(heard))
            times = [started + timedelta(seconds=place) for place in range(len(heard))]
            events += [self._told(invoice, StatusEntry(*told)) for told in zip(heard, times, strict=True)]
        return events

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        if not echo:
            return [self._told(invoice, entry)]
        flow = self.state.flows.get(entry.details.get("flow", ""))
        if flow is None:
            return []
        self._acknowledge(flow, "Ok")
        event = self._news(flow)
        event.echo = True
        return [event]

    def _told(self, invoice: Invoice, entry: StatusEntry, number: str = "") -> Event:
        """A status as a flow: coming in, or gone out through other software where it is our side that says it."""
        document = invoice.document
        if number:
            document = Document(**{**vars(document), "number": number})
        issuer = str(entry.details.get("issuer", ISSUERS.get(entry.code, "WK")))
        wish = Wish(
            id=entry.id,
            status=entry.code,
            at=entry.at,
            received_at=invoice.created_at,
            reasons=tuple((row["code"], row.get("text", "")) for row in entry.details.get("reasons", [])),
            payments=_payments(entry),
            note=str(entry.details.get("note", "")),
            issuer=issuer,
        )
        direction = "Out" if issuer == OUR_ROLES[invoice.direction] else "In"
        content = write_message(wish, document)
        name = f"CDAR-{entry.code}-{entry.id}.xml"
        flow = Flow(LIFECYCLES[invoice.direction], direction, "CDAR", name, content, self._now(), invoice=invoice.id)
        return self._add(flow)

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        return {"payments": [{"vat_rate": str(rate), "amount": str(amount)} for rate, amount in invoice.document.vat]}

    # -- webhooks

    def stranger(self, event: Event) -> Event | None:
        """A status of an invoice that nobody ever sent."""
        invoice = self.invoices.get(event.invoice)
        if invoice is None:
            return None
        return self._told(invoice, StatusEntry("209", now() - timedelta(seconds=1)), number=f"INCONNUE-{uuid7()[:8]}")

    def destinations(self, event: Event) -> list[Destination]:
        return HookCalls(self).hearing(event)

    def body(self, event: Event) -> bytes:
        shown = event.body if self.setting("callback_shape") == "flat" else {"flowInfo": event.body}
        return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        return destination.target, envelope(body, destination, trick, self.setting("signature_variant")), body


def _credentials(request: Request) -> tuple[str, str, str]:
    """How they were shown, and they."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        name, _, secret = base64.b64decode(encoded).decode().partition(":")
        return "basic", unquote_plus(name), unquote_plus(secret)
    return "body", request.form.get("client_id", ""), request.form.get("client_secret", "")


def _payments(entry: StatusEntry) -> tuple[tuple[Decimal, Decimal], ...]:
    if entry.code not in AMOUNTS:
        return ()
    rows = entry.details.get("payments", [])
    return tuple((Decimal(str(row["vat_rate"])), Decimal(str(row["amount"]))) for row in rows)


def _file(content: bytes, name: str) -> Response:
    response = Response(content, content_type="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=name or "flow")
    return response

"""Seqino, for a sponsor: bare API key, clients by header, one webhook signed with HMAC, and nothing that is listed."""

import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ...dialect import Dialect, View
from ...documents import Document, NotAnInvoiceError
from ...records import Destination, Event, Invoice, StatusEntry, now
from . import invoice_data
from .answers import ApiError, InvalidError, as_json, error, invalid, read_object
from .clients import ClientCalls, MandateCalls
from .drafts import DraftCalls
from .tables import CODES, EVENTS, MANDATORY, OBJECT_TYPES, SENDERS, WORDS

STALE = timedelta(hours=1)
SECONDS = {"per_minute": 60, "per_hour": 3600, "per_day": 86400, "per_month": 30 * 86400}


class SeqinoState:
    def __init__(self) -> None:
        self.clients: dict[str, dict[str, Any]] = {}
        self.mandates: dict[str, dict[str, Any]] = {}
        self.drafts: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, str] = {}  # of submitted invoices
        self.numbers: set[tuple[str, str]] = set()
        self.webhook: dict[str, Any] = {}
        self.calls: deque[float] = deque(maxlen=100_000)

    @property
    def destinations(self) -> dict[str, Any]:
        """What a reset may keep: who is rung, and whose invoices these are."""
        return {name: getattr(self, name) for name in ("clients", "mandates", "webhook")}

    @destinations.setter
    def destinations(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept)


class Seqino(Dialect):
    name = "seqino"
    secret_paths = frozenset({"/api/webhooks"})
    settings = {
        "api_key": "",  # empty: any key that is not empty
        "sponsor_id": "sponsor-demo",
        "strict_clients": False,  # whether a client must have been made here
        "client_shape": "bare",  # of the answer to a new client: bare, wrapped or id
        "lone_client": False,  # whether a search that finds one client answers with it, without a list
        "onboarding_delay": 0.5,
        "mandate_outcome": "active",  # or pending_kyc, error, expired
        "names_client": True,  # whether an event names the client
        "timespec": "milliseconds",
        "take_statuses": False,  # the experimental endpoint
        "limits": {"per_minute": None, "per_hour": None, "per_day": None, "per_month": None},
        "signature_header": "X-Webhook-Signature",
        "signature_prefix": "",
    }

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("GET", "/health", self.health),
            ("POST", "/api/invoicing/files/submit", self.submit),
            ("GET", "/api/invoicing/invoice_data/<invoice_id>", self.show_invoice),
            ("GET", "/api/lifecycle-events", self.events),
            ("POST", "/api/lifecycle-events", self.set_status),
            ("GET", "/api/webhooks/event-types", self.event_types),
            ("GET", "/api/webhooks", self.show_webhook),
            ("POST", "/api/webhooks", self.add_webhook),
            ("DELETE", "/api/webhooks", self.drop_webhook),
            ("GET", "/api/usage/limits", self.usage_limits),
            *ClientCalls(self).routes(),
            *self.mandates.routes(),
            *DraftCalls(self).routes(),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    @property
    def mandates(self) -> MandateCalls:
        return MandateCalls(self)

    def new_state(self) -> SeqinoState:
        return SeqinoState()

    def time(self, moment: datetime) -> str:
        return moment.isoformat(timespec=self.setting("timespec")).replace("+00:00", "Z")

    # -- calls: authentication and errors

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            if view != self.health:
                self._authenticate(request)
                self._count(request)
            return view(request, **values)
        except ApiError as refusal:
            return error(refusal.status, str(refusal))
        except InvalidError as faults:
            return invalid(faults)

    def _authenticate(self, request: Request) -> None:
        key, wanted = request.headers.get("Authorization", ""), self.setting("api_key")
        if not key or " " in key or wanted not in ("", key):
            raise ApiError(401, "Invalid API key")

    def _count(self, request: Request) -> None:
        at, calls = time.time(), self.state.calls
        for name, limit in self.setting("limits").items():
            if limit is not None and sum(1 for each in calls if each > at - SECONDS[name]) >= limit:
                raise ApiError(429, f"Limit reached: {limit} {name.replace('_', ' ')}")
        calls.append(at)

    def client_of(self, request: Request) -> str:
        client = request.headers.get("X-PDP-Client-Id", "")
        if not client:
            raise InvalidError((("header", "X-PDP-Client-Id"), "Field required"))
        if self.setting("strict_clients") and client not in self.state.clients:
            raise ApiError(403, "Unknown client")
        return client

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        status, text = {
            "unauthorized_once": (401, "Invalid API key"),
            "rate_limited": (429, "Too many requests"),
            "server_error": (500, "Internal server error"),
            "not_found": (404, "Not Found"),
            "not_allowed": (405, "Method Not Allowed"),
            "too_large": (413, "The file is too large"),
        }[kind]
        return error(status, detail or text)

    def is_document(self, path: str) -> bool:
        return "/invoice_data/" in path

    def health(self, request: Request) -> Response:
        return as_json(None)

    def usage_limits(self, request: Request) -> Response:
        self.client_of(request)
        return as_json({"endpoint": request.args.get("endpoint"), "limits": self.setting("limits")})

    # -- calls: invoices

    def deposit(self, content: bytes, *, direction: str, uuid: str = "", document: Document | None = None) -> Invoice:
        reference = uuid or f"inv_{secrets.token_hex(8)}"
        return super().deposit(content, direction=direction, uuid=reference, document=document)

    def owner_of(self, invoice: Invoice) -> str:
        """The client whose invoice it is; "" where no mandate tells."""
        if known := self.state.owners.get(invoice.id):
            return known
        ours = invoice.document.buyer if invoice.direction == "INBOUND" else invoice.document.seller
        return self.mandates.client_serving(ours.siren, ours.address)

    def submit(self, request: Request) -> Response:
        client, file = self.client_of(request), request.files.get("file")
        if file is None:
            raise InvalidError((("body", "file"), "Field required"))
        content, name = file.read(), file.filename or "file"
        file.close()
        try:
            document = invoice_data.read_file(content, name)
        except NotAnInvoiceError as fault:
            raise ApiError(400, str(fault)) from fault
        told = {"file_name": name, "file_size": len(content), "extracted_data": None, "en16931_invoice": None}
        if not document.number or (document.syntax != "Factur-X" and not document.buyer.address):
            return as_json({"invoice_id": f"inv_{secrets.token_hex(8)}", "status": "rejected", **told}, 201)
        invoice = self.take(content, document, client)
        return as_json({"invoice_id": invoice.id, "status": "submitted", **told}, 201)

    def take(self, content: bytes, document: Document, client: str) -> Invoice:
        """An issued invoice goes on its way; one that was submitted before is rejected as a duplicate."""
        reference, key = f"inv_{secrets.token_hex(8)}", (document.seller.siren or client, document.number)
        with self.sandbox.lock:
            is_double = key in self.state.numbers
            self.state.numbers.add(key)
            self.state.owners[reference] = client
            self.sandbox.state.accepted[self.name, "|".join(key), "submit"] += 1
        invoice = self.deposit(content, direction="OUTBOUND", uuid=reference, document=document)
        if is_double:
            self.report(invoice, "213", {"rejection_reason": "DOUBLON", "reason": "Facture déjà déposée"})
        return invoice

    def _invoice(self, request: Request, invoice_id: str) -> Invoice:
        client = self.client_of(request)
        with self.sandbox.lock:
            invoice = self.invoices.get(invoice_id)
        if invoice is None or self.owner_of(invoice) not in ("", client):
            raise ApiError(404, "Invoice not found")
        return invoice

    def show_invoice(self, request: Request, invoice_id: str) -> Response:
        return as_json(invoice_data.shown(self._invoice(request, invoice_id)))

    # -- calls: lifecycle

    def events(self, request: Request) -> Response:
        """Without an object all events of the client, which nobody can attribute: the items name none."""
        client, kind, wanted = self.client_of(request), request.args.get("object_type"), request.args.get("object_id")
        if kind not in (None, *OBJECT_TYPES):
            raise InvalidError((("query", "object_type"), f"Input should be one of {', '.join(OBJECT_TYPES)}"))
        if wanted:
            invoices = [self._invoice(request, wanted)] if kind in (None, "invoice") else []
        else:
            invoices = [each for each in self.invoices.values() if self.owner_of(each) in ("", client)]
        with self.sandbox.lock:
            items = [self._item(entry) for invoice in invoices for entry in invoice.history]
        return as_json(items if kind in (None, "invoice") else [])

    def _item(self, entry: StatusEntry) -> dict[str, Any]:
        return {
            "status_code": _word(entry.code),
            "timestamp": self.time(entry.at),
            "emitter": "PDPE" if entry.code in SENDERS else "PDPR",
            "reason": None,
            "rejection_reason": None,
            "is_mandatory": entry.code in MANDATORY,
            **entry.details,
        }

    def set_status(self, request: Request) -> Response:
        """Nothing like it is documented."""
        if not self.setting("take_statuses"):
            return self.refuse(request, "not_allowed")
        invoice, body = self._invoice(request, request.args.get("object_id", "")), read_object(request)
        code = CODES.get(body.get("status_code", ""))
        if code is None:
            raise InvalidError((("body", "status_code"), "Input should be a lifecycle status"))
        self.accept(invoice, code, {name: body.get(name) for name in ("reason", "rejection_reason")})
        return as_json({"id": f"ev_{secrets.token_hex(6)}"}, 201)

    # -- calls: the webhook

    def event_types(self, request: Request) -> Response:
        rows = [{"event_type": name, "description": name, "example_payload": {}} for name in EVENTS]
        return as_json({"event_types": rows})

    def show_webhook(self, request: Request) -> Response:
        if not self.state.webhook:
            raise ApiError(404, "No webhook configured for this sponsor")
        return as_json({name: value for name, value in self.state.webhook.items() if name != "secret"})

    def add_webhook(self, request: Request) -> Response:
        body = read_object(request)
        url, events = body.get("url"), body.get("events") or []
        if not (isinstance(url, str) and url.startswith(("http://", "https://"))):
            raise InvalidError((("body", "url"), "Input should be a valid URL"))
        if unknown := [
            (("body", "events", place), "Unknown event") for place, e in enumerate(events) if e not in EVENTS
        ]:
            raise InvalidError(*unknown)
        with self.sandbox.lock:
            if self.state.webhook:
                raise ApiError(409, "Webhook already configured for this sponsor")
            self.state.webhook = {
                "webhook_id": f"wh_{secrets.token_hex(6)}",
                "url": url,
                "events": events,
                "is_active": True,
                "created_at": self.time(now()),
                "last_triggered_at": None,
                "secret": secrets.token_hex(32),
            }
        self.sandbox.seed(self)
        return as_json({**self.state.webhook, "message": "Store the secret: it is not shown again."}, 201)

    def drop_webhook(self, request: Request) -> Response:
        self.state.webhook = {}
        return Response(status=204)

    # -- webhooks

    def common(self, client: str) -> dict[str, Any]:
        """The part of every event that the pages show, and the client if it is named."""
        body = {"timestamp": self.time(now()), "sponsor_id": self.setting("sponsor_id")}
        return body | ({"client_id": client} if client and self.setting("names_client") else {})

    def _news(self, event_type: str, invoice: Invoice, echo: bool = False, **data: Any) -> Event:
        body = self.common(self.owner_of(invoice)) | {"data": {"invoice_id": invoice.id, **data}}
        return Event(self.name, event_type, body, invoice.id, echo)

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        return [self._news("invoice.received" if invoice.direction == "INBOUND" else "invoice.created", invoice)]

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        return [self._news("invoice.status_updated", invoice, echo, status_code=_word(entry.code))]

    def stranger(self, event: Event) -> Event | None:
        if not event.invoice:
            return None
        unknown = f"inv_{secrets.token_hex(8)}"
        body = event.body | {"data": {**event.body["data"], "invoice_id": unknown}}
        return Event(self.name, event.type, body, unknown)

    def destinations(self, event: Event) -> list[Destination]:
        webhook = self.state.webhook
        if not webhook or (webhook["events"] and event.type not in webhook["events"]):
            return []
        return [Destination(event.type, webhook["url"])]

    def body(self, event: Event) -> bytes:
        body = {"event_id": f"evt_{event.id.replace('-', '')}", "event_type": event.type, **event.body}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        headers = {"content-type": "application/json"}
        secret = self.state.webhook.get("secret", "")
        if trick == "stale_signature":  # the signature holds no time, but the event does
            event = json.loads(body)
            event["timestamp"] = self.time(now() - STALE)
            body = json.dumps(event).encode()
        if trick in ("wrong_signature", "wrong_token"):
            secret = secrets.token_hex(32)
        if trick != "unsigned":
            shown = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers[self.setting("signature_header")] = self.setting("signature_prefix") + shown
        return destination.target, headers, body


def _word(code: str) -> str:
    """Of another class, or of nobody's, a word is shown as it was given."""
    return WORDS.get(code, code)

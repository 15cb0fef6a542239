"""A-Cube, the French API: JWT login, raw UBL upload, JSON lifecycle, webhooks signed with Ed25519."""

import json
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ... import signing
from ...dialect import Dialect, View
from ...documents import Document, NotAnInvoiceError, Party, read_document, render_readable
from ...records import Destination, Event, Invoice, Lock, StatusEntry, uuid7
from .answers import (
    ProblemError,
    UnauthorizedError,
    as_json,
    collection,
    new_token,
    problem,
    read_object,
    security_error,
)
from .companies import CompanyCalls
from .destinations import DestinationCalls
from .lifecycle import read_message
from .tables import OUTBOUND_STAGES, STATUSES

STALE_SECONDS = 3600
FORMATS = {"application/xml", "text/xml", "application/pdf", "application/octet-stream", "multipart/form-data"}


class ACubeState:
    def __init__(self) -> None:
        self.tokens: dict[str, float] = {}
        self.destinations: dict[str, Destination] = {}
        self.legal_entities: dict[str, dict[str, Any]] = {}
        self.numbers: set[tuple[str, str, str]] = set()
        self.numbering = Lock()


class ACube(Dialect):
    name = "acube"
    at_root = True  # a connection's `api_url` may be the bare host
    secret_paths = frozenset({"/login"})
    settings = {
        "email": "",  # empty: any pair that is not empty may log in
        "password": "",
        "roles": {"fr.api.acubeapi.com": ["ROLE_WRITER"]},
        "token_seconds": 86400,
        "timespec": "seconds",  # of createdAt and updatedAt
        "formats": ["UBL"],
        "not_onboarded": [],  # SIRENs refused as sellers, beside the legal entities that are on their way
        "onboarding_delay": 2.0,
        "missing_documents_on_208": False,
        "inbound_detail_only": False,  # received invoices answer under /invoices/inbound/ alone
        "key_seed": "Navette sandbox, A-Cube",
    }

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("POST", "/login", self.log_in),
            ("GET", "/signature-public-key", self.public_key),
            ("POST", "/invoices", self.submit),
            ("GET", "/invoices", self.list_invoices),
            ("GET", "/invoices/<uuid>", self.show_invoice),
            ("GET", "/invoices/inbound/<uuid>", self.show_inbound),
            ("GET", "/invoices/<uuid>/pdf", self.readable),
            ("GET", "/invoices/<uuid>/original", self.original),
            ("POST", "/invoices/<uuid>/lifecycle", self.set_status),
            ("PUT", "/invoices/<uuid>/lifecycle", self.set_status),
            ("GET", "/invoices/<uuid>/lifecycle", self.current_status),
            ("GET", "/invoices/<uuid>/lifecycle/history", self.history),
            *DestinationCalls(self).routes(),
            *CompanyCalls(self).routes(),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    def new_state(self) -> ACubeState:
        return ACubeState()

    # -- calls: authentication and errors

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            if view not in (self.log_in, self.public_key):
                self._authenticate(request)
            return view(request, **values)
        except UnauthorizedError as error:
            return security_error(str(error))
        except ProblemError as error:
            return problem(error)

    def _authenticate(self, request: Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise UnauthorizedError("JWT Token not found")
        expires = self.state.tokens.get(token)
        if expires is None:
            raise UnauthorizedError("Invalid JWT Token")
        if expires <= time.time():
            raise UnauthorizedError("Expired JWT Token")

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        if kind == "unauthorized_once":
            self.state.tokens.pop(request.headers.get("Authorization", "").partition(" ")[2], None)
            return security_error("Expired JWT Token")
        status, text = {
            "rate_limited": (429, "Too many requests."),
            "server_error": (500, "Internal Server Error"),
            "not_found": (404, f'No route found for "{request.method} {request.path}"'),
            "not_allowed": (405, f'No route found for "{request.method} {request.path}": Method Not Allowed'),
            "too_large": (413, "The file is too large."),
        }[kind]
        return problem(ProblemError(status, detail or text))

    def is_document(self, path: str) -> bool:
        return path.endswith("/original")

    def log_in(self, request: Request) -> Response:
        body = read_object(request)
        email, password = body.get("email"), body.get("password")
        wanted = self.setting("email"), self.setting("password")
        if not (email and password) or (any(wanted) and (email, password) != wanted):
            raise UnauthorizedError("Invalid credentials.")
        seconds = self.setting("token_seconds")
        token = new_token(email, self.setting("roles"), seconds)
        self.state.tokens[token] = time.time() + seconds
        return as_json({"token": token})

    def public_key(self, request: Request) -> Response:
        return as_json({"public_key": signing.public_pem(self._key())})

    def _key(self) -> Any:
        return signing.private_key(self.setting("key_seed"))

    # -- calls: invoices

    def submit(self, request: Request) -> Response:
        if request.mimetype not in FORMATS:
            raise ProblemError(415, f'The content-type "{request.mimetype}" is not supported.')
        file = request.files.get("file")
        content = file.read() if file else request.get_data()
        document = self._check(content)
        key = (document.seller.siren, document.number, document.type_code)
        with self.state.numbering:
            if key in self.state.numbers:
                raise ProblemError(422, invoiceNumber="This is a duplicate: the seller already submitted this number.")
            self.state.numbers.add(key)
        invoice = self.deposit(content, direction="OUTBOUND", document=document)
        with self.sandbox.lock:
            self.sandbox.state.accepted[self.name, "|".join(key), "submit"] += 1
        return as_json(self._shown(invoice), 201)

    def _check(self, content: bytes) -> Document:
        try:
            document = read_document(content)
        except NotAnInvoiceError as error:
            raise ProblemError(422, file=str(error)) from error
        if document.syntax not in self.setting("formats"):
            raise ProblemError(422, file=f"{document.syntax} is not accepted yet.")
        missing = {
            "invoiceNumber": document.number,
            "invoiceTypeCode": document.type_code,
            "invoiceDate": document.issue_date,
            "seller.siren": document.seller.siren,
            "buyer.electronicAddress": document.buyer.address,
        }
        absent = {path: "This value should not be blank." for path, value in missing.items() if not value}
        if absent:
            raise ProblemError(422, **absent)
        entities = {entity["siren"]: entity["status"] for entity in self.state.legal_entities.values()}
        siren = document.seller.siren
        if siren in self.setting("not_onboarded") or entities.get(siren, "ONBOARDED") != "ONBOARDED":
            raise ProblemError(422, siren="Legal entity is not onboarded.")
        return document

    def _invoice(self, uuid: str) -> Invoice:
        with self.sandbox.lock:
            invoice = self.invoices.get(uuid)
        if invoice is None:
            raise ProblemError(404, "Not Found")
        return invoice

    def _time(self, moment: datetime) -> str:
        return moment.isoformat(timespec=self.setting("timespec"))

    def _shown(self, invoice: Invoice) -> dict[str, Any]:
        document = invoice.document
        sides = (
            [document.buyer, document.seller] if invoice.direction == "INBOUND" else [document.seller, document.buyer]
        )
        code = invoice.status.code
        return {
            "uuid": invoice.id,
            "direction": invoice.direction,
            "status": STATUSES[code][0] if code in STATUSES else code,
            "invoiceTypeCode": document.type_code,
            "invoiceNumber": document.number,
            "invoiceDate": document.issue_date,
            "dueDate": document.due_date,
            "party": _party(sides[0]),
            "counterparty": _party(sides[1]),
            "createdAt": self._time(invoice.created_at),
            "updatedAt": self._time(invoice.updated_at),
        }

    def list_invoices(self, request: Request) -> Response:
        with self.sandbox.lock:
            invoices = list(reversed(self.invoices.values()))
        for name, value in request.args.items():
            if name in ("page", "itemsPerPage") or not value:
                continue
            invoices = [invoice for invoice in invoices if self._matches(invoice, name, value)]
        return collection(request, invoices, self._shown)

    def _matches(self, invoice: Invoice, name: str, value: str) -> bool:
        field, bracket, bound = name.partition("[")
        if field in ("createdAt", "updatedAt") and bracket:
            try:
                limit = datetime.fromisoformat(value.replace(" ", "+"))
            except ValueError:
                raise ProblemError(400, f"{name} is not a date.") from None
            moment = datetime.fromisoformat(self._shown(invoice)[field])
            limit = limit if limit.tzinfo else limit.replace(tzinfo=moment.tzinfo)
            return moment >= limit if bound == "after]" else moment <= limit
        shown = {"direction": invoice.direction, "invoiceNumber": invoice.document.number}
        if name == "status":
            return value in (invoice.status.code, STATUSES.get(invoice.status.code, ("",))[0])
        return name not in shown or shown[name] == value

    def show_invoice(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        if invoice.direction == "INBOUND" and self.setting("inbound_detail_only"):
            raise ProblemError(404, "Not Found")
        return as_json(self._shown(invoice))

    def show_inbound(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        if invoice.direction != "INBOUND":
            raise ProblemError(404, "Not Found")
        return as_json(self._shown(invoice))

    def original(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        return _file(invoice.content, f"{invoice.document.number}.xml", "application/xml")

    def readable(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        return _file(render_readable(invoice.document), f"{invoice.document.number}.pdf", "application/pdf")

    # -- calls: lifecycle

    def set_status(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        code, details = read_message(read_object(request), self.setting("missing_documents_on_208"))
        self.accept(invoice, code, details)
        return Response(status=202)

    def _entry(self, entry: StatusEntry) -> dict[str, Any]:
        name, label = STATUSES.get(entry.code, (entry.code, entry.code))
        shown: dict[str, Any] = {"uuid": entry.id, "status": name, "statusLabel": label}
        if entry.code.isdecimal():
            shown["afnorStatusCode"] = int(entry.code)
        return {**shown, "createdAt": self._time(entry.at), **entry.details}

    def current_status(self, request: Request, uuid: str) -> Response:
        return as_json(self._entry(self._invoice(uuid).status))

    def history(self, request: Request, uuid: str) -> Response:
        invoice = self._invoice(uuid)
        with self.sandbox.lock:
            entries = list(invoice.history)
        return as_json([self._entry(entry) for entry in entries])

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        currency = invoice.document.currency
        rows = [{"vatRate": float(r), "amount": float(a), "currency": currency} for r, a in invoice.document.vat]
        return {"paymentDetails": rows} if rows else {}

    # -- webhooks

    def _news(self, event_type: str, invoice: Invoice, status: str, label: str, echo: bool = False) -> Event:
        body = {"status": status, "statusLabel": label, "invoiceUuid": invoice.id, "direction": invoice.direction}
        return Event(self.name, event_type, body, invoice.id, echo)

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        if invoice.direction == "INBOUND":
            return [self._news("invoice.inbound", invoice, "RECEIVED", "Received")]
        return self.events_for_status(invoice, invoice.status, echo=False)

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        label = STATUSES.get(entry.code, ("", entry.code))[1]
        events = [self._news("invoice.status", invoice, entry.code, label, echo)]
        stage = OUTBOUND_STAGES.get(entry.code)
        if invoice.direction == "OUTBOUND" and stage:
            events.append(self._news("invoice.outbound", invoice, stage, label, echo))
        return events

    def stranger(self, event: Event) -> Event | None:
        if not event.invoice:
            return None
        unknown = uuid7()
        return Event(self.name, event.type, {**event.body, "invoiceUuid": unknown}, unknown)

    def destinations(self, event: Event) -> list[Destination]:
        with self.sandbox.lock:
            known = list(self.state.destinations.values())
        return [destination for destination in known if destination.active and destination.event == event.type]

    def body(self, event: Event) -> bytes:
        body = {"eventId": event.id, "eventType": event.type, **event.body}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        target, headers = destination.target, {"content-type": "application/json"}
        token = destination.auth_token if trick != "wrong_token" else secrets.token_urlsafe(32)
        if destination.auth_type == "header":
            headers[destination.auth_key] = token
        elif destination.auth_type == "query":
            target += f"{'&' if '?' in target else '?'}{destination.auth_key}={token}"
        if trick != "unsigned":
            key = signing.private_key("somebody else") if trick == "wrong_signature" else self._key()
            created = int(time.time()) - (STALE_SECONDS if trick == "stale_signature" else 0)
            headers |= signing.sign(key=key, target=target, body=body, created=created, key_id="acube", label="pyhms")
        return target, headers, body


def _party(party: Party) -> dict[str, Any]:
    return {
        "name": party.name,
        "siren": party.siren,
        "siret": party.siret,
        "identifierScheme": party.scheme,
        "identifierValue": party.address,
    }


def _file(content: bytes, name: str, mimetype: str) -> Response:
    response = Response(content, content_type=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response

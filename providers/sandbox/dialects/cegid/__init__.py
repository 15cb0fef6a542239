"""Cegid OD, the concentrator, with the customer behind it: what a platform of kind `cegid` talks to."""

import secrets
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ...dialect import Dialect, View
from ...documents import Document, NotAnInvoiceError
from ...documents import read_document as read_invoice
from ...records import Destination, Event, Invoice, StatusEntry
from . import messages
from .messages import RefusedError, as_json, bearer, error, read_object

ISSUERS = frozenset({"PLATFORM", "BUYER", "SELLER"})
CUSTOMER = "CUSTOMER"


class CegidState:
    def __init__(self) -> None:
        self.tokens: dict[str, tuple[str, float]] = {}  # token -> client, end
        self.lines: dict[str, str] = {}  # client -> the one line it speaks for
        self.subscriptions: dict[str, dict[str, str]] = {}  # line -> id, callback
        self.seen: dict[str, str] = {}  # message -> event
        self.line_of: dict[str, str] = {}  # invoice -> line

    @property
    def destinations(self) -> dict[str, Any]:
        """What a reset may keep: who is rung."""
        return {"subscriptions": self.subscriptions, "lines": self.lines}

    @destinations.setter
    def destinations(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept)


class Cegid(Dialect):
    name = "cegid"
    secret_paths = frozenset({"/cegid/connect/token", "/cegid/subscriptions"})
    settings = {
        "api_keys": {},  # line -> key:secret; empty: any key, which then speaks for the line it names first
        "subscription_key": "",  # empty: any that is not empty
        "token_seconds": 3600,
        "tells_token_life": True,
        "conflict_on_duplicate": True,  # 409 for a message seen before, else the first answer again
        "callback_secret_header": "",
        "callback_secret": "",
        "customer_script": [["204", 3.0], ["205", 6.0]],  # what the customer decides about what it receives
        # What the platform's own network part told of a new invoice: it comes back here as echoes.
        "transmission_script": [["201", 0.5], ["202", 1.0], ["203", 1.5]],
        "echo": True,  # whether a status of ours comes back
    }

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("POST", "/connect/token", self.give_token),
            ("POST", "/subscriptions", self.subscribe),
            ("GET", "/subscriptions", self.show_nothing),
            ("DELETE", "/subscriptions/<reference>", self.unsubscribe),
            ("POST", "/lifecycle-events", self.take),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    def new_state(self) -> CegidState:
        return CegidState()

    # -- calls: access and errors

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            if view != self.give_token:
                values = {**values, "client": self._authenticate(request)}
            return view(request, **values)
        except RefusedError as refusal:
            return error(refusal.status, str(refusal))

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        if kind == "unauthorized_once":
            self.state.tokens.pop(bearer(request), None)
        status, text = messages.REFUSALS[kind]
        return error(status, detail or text)

    def _authenticate(self, request: Request) -> str:
        key, wanted = request.headers.get("Ocp-Apim-Subscription-Key", ""), self.setting("subscription_key")
        if not key or wanted not in ("", key):
            raise RefusedError(401, "Access denied due to missing or invalid subscription key.")
        client, end = self.state.tokens.get(bearer(request), ("", 0.0))
        if end <= time.time():
            raise RefusedError(401, "Unauthorized. Access token is missing or invalid.")
        return client

    def give_token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.get_data(as_text=True)))
        shown = request.authorization
        basic = shown if shown and shown.type == "basic" else None
        client, secret = (
            (basic.username, basic.password) if basic else (form.get("client_id"), form.get("client_secret"))
        )
        if form.get("grant_type") != "client_credentials":
            return as_json({"error": "unsupported_grant_type"}, 400)
        keys = self.setting("api_keys")
        if not client or not secret or (keys and f"{client}:{secret}" not in keys.values()):
            return as_json({"error": "invalid_client"}, 401)
        token, seconds = secrets.token_urlsafe(24), self.setting("token_seconds")
        self.state.tokens[token] = (client, time.time() + seconds)
        life = {"expires_in": seconds} if self.setting("tells_token_life") else {}
        return as_json({"access_token": token, "token_type": "Bearer", **life})

    def _perimeter(self, client: str, line: Any) -> str:
        """The line a client speaks for: the one of its key, or the first it names."""
        known = {key.partition(":")[0]: each for each, key in self.setting("api_keys").items()}
        if not isinstance(line, str) or not line:
            raise RefusedError(422, "addressingLine is needed.")
        with self.sandbox.lock:
            own = known.get(client) or self.state.lines.setdefault(client, line)
        if own != line:
            raise RefusedError(403, "The addressing line is not in the perimeter of this token.")
        return line

    # -- calls: subscriptions

    def subscribe(self, request: Request, client: str) -> Response:
        body = read_object(request)
        line = self._perimeter(client, body.get("addressingLine"))
        if urlsplit(str(body.get("callbackUrl"))).scheme not in ("http", "https"):
            raise RefusedError(422, "callbackUrl is not a web address.")
        with self.sandbox.lock:
            known = self.state.subscriptions.setdefault(line, {"id": secrets.token_hex(8), "callback": ""})
            known["callback"] = body["callbackUrl"]
        return as_json({"subscriptionId": known["id"]}, 201)

    def show_nothing(self, request: Request, client: str) -> Response:
        raise RefusedError(404, "Resource not found")

    def unsubscribe(self, request: Request, reference: str, client: str) -> Response:
        with self.sandbox.lock:
            line = next((line for line, row in self.state.subscriptions.items() if row["id"] == reference), None)
            if line is None or self._perimeter(client, line) != line:
                raise RefusedError(404, "Resource not found")
            del self.state.subscriptions[line]
        return Response(status=204)

    # -- calls: messages

    def take(self, request: Request, client: str) -> Response:
        body = read_object(request)
        line = self._perimeter(client, body.get("addressingLine"))
        if line not in self.state.subscriptions:
            raise RefusedError(403, "Nobody is subscribed for this addressing line.")
        messages.check(body, line)
        event, is_new = self._remember(body["messageId"])
        if is_new:
            try:
                self._apply(body, line)
            except RefusedError:
                self.state.seen.pop(body["messageId"], None)
                raise
        elif self.setting("conflict_on_duplicate"):
            raise RefusedError(409, f"Message {body['messageId']} is known.")
        return as_json({"eventId": event}, 202)

    def _remember(self, message_id: str) -> tuple[str, bool]:
        with self.sandbox.lock:
            is_new = message_id not in self.state.seen
            return self.state.seen.setdefault(message_id, secrets.token_hex(8)), is_new

    def _apply(self, body: dict[str, Any], line: str) -> None:
        told, content = messages.read_status(body, ISSUERS), messages.read_document(body)
        direction = messages.DIRECTIONS[body["kind"]]
        if content is not None:
            self._receive(content, direction, line)
            return
        invoice = self._find(body["invoice"], direction, line)
        if told:
            self.accept(invoice, *told)

    def _receive(self, content: bytes, direction: str, line: str) -> None:
        try:
            document = read_invoice(content)
        except NotAnInvoiceError as problem:
            raise RefusedError(422, str(problem)) from None
        invoice = self.deposit(content, direction=direction, document=document, line=line)
        key = f"{document.seller.siren}|{document.number}|{document.type_code}"
        with self.sandbox.lock:
            self.sandbox.state.accepted[self.name, key, "submit"] += 1
        self._play(invoice, self.setting("customer_script"))

    def _find(self, named: dict[str, Any], direction: str, line: str) -> Invoice:
        for invoice in list(self.invoices.values()):
            same = (invoice.document.seller.siren, invoice.document.number, invoice.direction)
            if same == (named["sellerSiren"], named["number"], direction) and self.state.line_of[invoice.id] == line:
                return invoice
        raise RefusedError(404, f"There is no invoice {named['number']}.")

    # -- what happens at the customer's

    def deposit(
        self, content: bytes, *, direction: str, uuid: str = "", document: Document | None = None, line: str = ""
    ) -> Invoice:
        """OUTBOUND: the customer made an invoice, and the platform is to send it. INBOUND: it holds one already."""
        if document is None:
            try:
                document = read_invoice(content)
            except NotAnInvoiceError:
                document = Document(number="?")
        own = document.buyer if direction == "INBOUND" else document.seller
        invoice = Invoice(direction, content, document)
        invoice.id = uuid or invoice.id
        invoice.history = [StatusEntry("202" if direction == "INBOUND" else "200", invoice.created_at)]
        with self.sandbox.lock:
            self.invoices[invoice.id] = invoice
            self.state.line_of[invoice.id] = line or own.address or own.siren
        self.sandbox.ring(self.events_for_deposit(invoice))
        if direction == "OUTBOUND":
            self._play(invoice, self.setting("transmission_script"))
        return invoice

    def _echo(self, invoice: Invoice, code: str, details: dict[str, Any]) -> None:
        """Sellers and buyers play at the platform's end, not here."""
        if self.setting("echo"):
            self.report(invoice, code, details, echo=True)
        else:
            invoice.history.append(StatusEntry(code, invoice.created_at, details))

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        return messages.payment_rows(invoice)

    # -- callbacks

    def _event(self, kind: str, invoice: Invoice, entry: StatusEntry | None, echo: bool = False) -> Event:
        line = self.state.line_of[invoice.id]
        body = messages.write(invoice, entry, line=line, issuer=lambda code: CUSTOMER, with_document=entry is None)
        return Event(self.name, kind, body, invoice.id, echo)

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        return [self._event("invoice", invoice, None)] if invoice.direction == "OUTBOUND" else []

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        return [self._event("status", invoice, entry, echo)]

    def stranger(self, event: Event) -> Event | None:
        return messages.stranger(event)

    def destinations(self, event: Event) -> list[Destination]:
        with self.sandbox.lock:
            known = self.state.subscriptions.get(event.body.get("addressingLine", ""))
        return [Destination(event.type, known["callback"])] if known else []

    def body(self, event: Event) -> bytes:
        return as_json(event.body).get_data()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        """The address is all the proof there is, unless a secret is agreed. `wrong_token` names another line."""
        headers = {"Content-Type": "application/json"}
        header, secret = self.setting("callback_secret_header"), self.setting("callback_secret")
        if header and trick != "unsigned":
            headers[header] = "somebody else's" if trick in ("wrong_signature", "stale_signature") else secret
        if trick == "wrong_token":
            body = body.replace(b'"addressingLine": "', b'"addressingLine": "999999999_')
        return destination.target, headers, body

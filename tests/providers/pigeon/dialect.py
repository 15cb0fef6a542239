"""Pigeon's far end for the sandbox. It shares no code with the adapter: a mistake of one must not hide in the other."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from werkzeug import Request, Response
from werkzeug.routing import Rule

from providers.sandbox.dialect import Dialect, View
from providers.sandbox.records import Destination, Event, Invoice, StatusEntry, uuid7

WORDS = {"200": "posted", "202": "passed on", "203": "delivered", "204": "opened", "205": "agreed",
         "207": "disputed", "210": "declined", "211": "paid"}  # fmt: skip
CODES = {word: code for code, word in WORDS.items()}
ERRORS = {
    "unauthorized_once": 401, "rate_limited": 429, "server_error": 500, "not_found": 404, "not_allowed": 405,
    "too_large": 413,
}  # fmt: skip


class LoftState:
    def __init__(self) -> None:
        self.destinations: dict[str, Destination] = {}


class PigeonLoft(Dialect):
    name = "pigeon"
    secret_paths = frozenset({"/listener"})
    settings: dict[str, Any] = {"key": ""}

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("PUT", "/listener", self.listen),
            ("GET", "/news", self.news),
            ("GET", "/bills/<bill>", self.show),
            ("GET", "/bills/<bill>/file", self.file),
            ("GET", "/bills/<bill>/states", self.states),
            ("POST", "/bills/<bill>/states", self.take_state),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    def new_state(self) -> LoftState:
        return LoftState()

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        if self.setting("key") and request.headers.get("X-Key") != self.setting("key"):
            return self.refuse(request, "unauthorized_once", "Wrong key.")
        if "bill" in values and values["bill"] not in self.invoices:
            return self.refuse(request, "not_found")
        return view(request, **values)

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        return _json({"error": detail or kind}, ERRORS[kind])

    def is_document(self, path: str) -> bool:
        return path.endswith("/file")

    # -- calls

    def listen(self, request: Request) -> Response:
        wish = request.get_json()
        listener = Destination("news", wish["url"], auth_token=wish["secret"])
        with self.sandbox.lock:
            self.state.destinations = {listener.id: listener}
        return _json({})

    def news(self, request: Request) -> Response:
        with self.sandbox.lock:
            bills = list(self.invoices)
        after = int(request.args.get("after", 0))
        return _json({"bills": bills[after:], "last": len(bills)})

    def show(self, request: Request, bill: str) -> Response:
        invoice = self.invoices[bill]
        document = invoice.document
        way = "in" if invoice.direction == "INBOUND" else "out"
        shown = {"bill": bill, "way": way, "number": document.number}
        return _json({**shown, "from": document.seller.siren, "to": document.buyer.siren})

    def file(self, request: Request, bill: str) -> Response:
        return Response(self.invoices[bill].content, mimetype="application/xml")

    def states(self, request: Request, bill: str) -> Response:
        with self.sandbox.lock:
            history = list(self.invoices[bill].history)
        return _json([self._shown(entry) for entry in history])

    def take_state(self, request: Request, bill: str) -> Response:
        wish = request.get_json()
        if wish.get("word") not in CODES:
            return _json({"error": f"No such word: {wish.get('word')}"}, 422)
        self.accept(self.invoices[bill], CODES[wish["word"]], {"id": wish["id"], "why": wish["why"]})
        return _json({}, 202)

    def _shown(self, entry: StatusEntry) -> dict[str, Any]:
        return {"id": entry.id, "word": WORDS.get(entry.code, entry.code), "at": entry.at.isoformat(), **entry.details}

    # -- pushes

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        return [Event(self.name, "news", {"bill": invoice.id}, invoice.id)]

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        word = WORDS.get(entry.code, entry.code)
        body = {"bill": invoice.id, "word": word, "at": entry.at.isoformat()}
        return [Event(self.name, "news", body, invoice.id, echo)]

    def stranger(self, event: Event) -> Event | None:
        unknown = uuid7()
        return Event(self.name, event.type, {**event.body, "bill": unknown}, unknown)

    def destinations(self, event: Event) -> list[Destination]:
        with self.sandbox.lock:
            return list(self.state.destinations.values())

    def body(self, event: Event) -> bytes:
        return json.dumps({"id": event.id, **event.body}).encode()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        secret = "somebody else" if trick in ("wrong_token", "wrong_signature") else destination.auth_token
        headers = {"content-type": "application/json"}
        if trick != "unsigned":
            headers["X-Pigeon-Signature"] = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return destination.target, headers, body


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")

"""An accredited platform that exchanges with a concentrator: what a concentrator of kind `cegid_od` talks to.

It is given connection data, subscribes by itself, hands over what it deposits, and hears what the customer decides.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ...dialect import Dialect, View
from ...documents import NotAnInvoiceError
from ...documents import read_document as read_invoice
from ...records import Destination, Event, Invoice, StatusEntry, now
from ..cegid import messages
from ..cegid.messages import RefusedError, as_json, error, read_object

ISSUERS = frozenset({"CUSTOMER"})
NEEDED = ("addressingLine", "odUrl", "accountUrl", "apiKey", "subscriptionKey")


class PlatformState:
    def __init__(self) -> None:
        self.lines: dict[str, dict[str, str]] = {}  # line -> its connection data, subscription and callback token
        self.seen: dict[str, str] = {}  # message -> our id of it
        self.line_of: dict[str, str] = {}  # invoice -> line

    @property
    def destinations(self) -> dict[str, Any]:
        """What a reset may keep: whom it is subscribed with."""
        return self.lines

    @destinations.setter
    def destinations(self, kept: dict[str, Any]) -> None:
        self.lines = kept


class CegidOD(Dialect):
    name = "cegid_od"
    secret_paths = frozenset({"/connection-data"})
    settings = {
        "echo": False,  # whether a status of the customer's comes back
        "success_status": 202,
    }

    def rules(self) -> Iterator[Rule]:
        for method, path, view in (
            ("POST", "/connection-data", self.subscribe),
            ("DELETE", "/connection-data/<line>", self.unsubscribe),
            ("POST", "/callbacks/<token>", self.take),
            ("POST", "/callbacks/<token>/", self.take),
        ):
            yield Rule(path, endpoint=view, methods=[method])

    def new_state(self) -> PlatformState:
        return PlatformState()

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            return view(request, **values)
        except RefusedError as refusal:
            return error(refusal.status, str(refusal))

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        status, text = messages.REFUSALS[kind]
        return error(status, detail or text)

    # -- subscribing with a concentrator

    def subscribe(self, request: Request) -> Response:
        """A person pastes connection data; the platform subscribes at once. Answers what the concentrator answered."""
        data = read_object(request)
        if missing := [name for name in NEEDED if not isinstance(data.get(name), str) or not data[name]]:
            raise RefusedError(422, f"Missing: {', '.join(missing)}.")
        row = {name: data[name] for name in NEEDED} | {"callback": secrets.token_urlsafe(32)}
        base = data.get("callbackBase") or request.host_url.rstrip("/")
        asked = {
            "addressingLine": row["addressingLine"],
            "callbackUrl": f"{base}/{self.name}/callbacks/{row['callback']}/",
            "contactEmail": "pdp-ops@example.test",
        }
        with self.sandbox.lock:
            self.state.lines[row["addressingLine"]] = row
        status, told = self._post(row, "subscriptions", asked)
        if status == 201:
            row["subscription"] = json.loads(told)["subscriptionId"]
        return Response(told, status=status or 502, mimetype="application/json")

    def unsubscribe(self, request: Request, line: str) -> Response:
        row = self.state.lines.get(line)
        if row is None:
            raise RefusedError(404, "There is no such line.")
        url = f"{row['odUrl'].rstrip('/')}/subscriptions/{row.get('subscription', '')}"
        status, told = self.sandbox.ringer.post(url, self._headers(row), b"", method="DELETE")
        return Response(told, status=status or 502)

    def _post(self, row: dict[str, str], path: str, body: dict[str, Any]) -> tuple[int | None, str]:
        headers = {"Content-Type": "application/json", **self._headers(row)}
        return self.sandbox.ringer.post(f"{row['odUrl'].rstrip('/')}/{path}", headers, json.dumps(body).encode())

    def _headers(self, row: dict[str, str]) -> dict[str, str]:
        """With a new token each time: one that was taken away by a fault must not spoil the retry."""
        client, _, secret = row["apiKey"].partition(":")
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        url = f"{row['accountUrl'].rstrip('/')}/connect/token"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _status, told = self.sandbox.ringer.post(url, headers, urlencode(form).encode())
        try:
            token = json.loads(told)["access_token"]
        except (ValueError, KeyError, TypeError):
            token = ""
        return {"Authorization": f"Bearer {token}", "Ocp-Apim-Subscription-Key": row["subscriptionKey"]}

    # -- called back by the concentrator

    def take(self, request: Request, token: str) -> Response:
        line = next((line for line, row in self.state.lines.items() if row["callback"] == token), None)
        if line is None:
            raise RefusedError(410, "This address is closed or was never open.")
        body = read_object(request)
        messages.check(body, line)
        with self.sandbox.lock:
            known = self.state.seen.get(body["messageId"])
            self.state.seen.setdefault(body["messageId"], secrets.token_hex(8))
        if known is None:
            try:
                self._apply(body, line)
            except RefusedError:
                self.state.seen.pop(body["messageId"], None)
                raise
        answer = {"received": True, "id": self.state.seen[body["messageId"]]}
        return as_json(answer, 200 if known else self.setting("success_status"))

    def _apply(self, body: dict[str, Any], line: str) -> None:
        told, content = messages.read_status(body, ISSUERS), messages.read_document(body)
        direction = messages.DIRECTIONS[body["kind"]]
        if content is not None:
            self._send_on(content, direction, line)
            return
        invoice = self._find(body["invoice"], direction, line)
        if told:
            self.accept(invoice, *told)

    def _send_on(self, content: bytes, direction: str, line: str) -> None:
        """A new invoice of the customer's: it is on its way, and the buyer plays."""
        try:
            document = read_invoice(content)
        except NotAnInvoiceError as problem:
            raise RefusedError(422, str(problem)) from None
        invoice = Invoice(direction, content, document)
        invoice.history = [StatusEntry("200", invoice.created_at)]
        key = f"{document.seller.siren}|{document.number}|{document.type_code}"
        with self.sandbox.lock:
            self.invoices[invoice.id] = invoice
            self.state.line_of[invoice.id] = line
            self.sandbox.state.accepted[self.name, key, "submit"] += 1
        self._play(invoice, self.sandbox.settings["outbound_script"])

    def _find(self, named: dict[str, Any], direction: str, line: str) -> Invoice:
        for invoice in list(self.invoices.values()):
            same = (invoice.document.seller.siren, invoice.document.number, invoice.direction)
            if same == (named["sellerSiren"], named["number"], direction) and self._line(invoice) == line:
                return invoice
        raise RefusedError(404, f"There is no invoice {named['number']}.")

    def _line(self, invoice: Invoice) -> str:
        own = invoice.document.buyer if invoice.direction == "INBOUND" else invoice.document.seller
        return self.state.line_of.get(invoice.id) or own.address or own.siren

    def _echo(self, invoice: Invoice, code: str, details: dict[str, Any]) -> None:
        if self.setting("echo"):
            super()._echo(invoice, code, details)
            return
        with self.sandbox.lock:
            invoice.history.append(StatusEntry(code, now(), details))
        self._play(invoice, self.sandbox.settings["reactions"][invoice.direction].get(code, []))

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        return messages.payment_rows(invoice)

    # -- messages to the concentrator

    def _event(self, kind: str, invoice: Invoice, entry: StatusEntry, echo: bool = False) -> Event:
        with_document = kind == "invoice"
        line = self._line(invoice)
        body = messages.write(invoice, entry, line=line, issuer=messages.issuer_of, with_document=with_document)
        return Event(self.name, kind, body, invoice.id, echo)

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        shown = invoice.history[min(1, len(invoice.history) - 1)]  # 202 of what came in, 200 of what goes out
        rest = [] if invoice.direction == "OUTBOUND" else invoice.history[2:]
        return [self._event("invoice", invoice, shown), *(self._event("status", invoice, entry) for entry in rest)]

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        return [self._event("status", invoice, entry, echo)]

    def stranger(self, event: Event) -> Event | None:
        return messages.stranger(event)

    def destinations(self, event: Event) -> list[Destination]:
        with self.sandbox.lock:
            row = self.state.lines.get(event.body.get("addressingLine", ""))
        if not row or "subscription" not in row:
            return []
        return [Destination(event.type, f"{row['odUrl'].rstrip('/')}/lifecycle-events", auth_key=row["addressingLine"])]

    def body(self, event: Event) -> bytes:
        return as_json(event.body).get_data()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        headers = {"Content-Type": "application/json", **self._headers(self.state.lines[destination.auth_key])}
        if trick == "unsigned":
            del headers["Authorization"]
        elif trick in ("wrong_signature", "stale_signature"):
            headers["Authorization"] = f"Bearer {secrets.token_urlsafe(24)}"
        elif trick == "wrong_token":
            headers["Ocp-Apim-Subscription-Key"] = secrets.token_urlsafe(24)
        return destination.target, headers, body

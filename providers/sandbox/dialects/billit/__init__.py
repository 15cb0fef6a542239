"""Billit's Access Point: API key or OAuth, orders in JSON, webhooks signed with a secret of their own each."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from werkzeug import Request, Response
from werkzeug.routing import Rule

from ...dialect import Dialect, View
from ...documents import Document
from ...records import Destination, Event, Invoice, Lock, StatusEntry, now
from .answers import BusinessError, RefusedError, as_json, business_error, local
from .entities import EntityCalls, Webhook
from .orders import OrderCalls
from .tables import MESSAGES

STALE_SECONDS = 3600


class BillitState:
    def __init__(self) -> None:
        self.numbering = Lock()
        self.last_number = 9000
        self.tokens: dict[str, float] = {}
        self.refresh_tokens: set[str] = set()
        self.codes: set[str] = set()
        self.companies: dict[str, dict[str, Any]] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.numbers: set[tuple[str, str]] = set()
        self.keys: set[str] = set()

    def next_number(self) -> str:
        with self.numbering:
            self.last_number += 1
            return str(self.last_number)

    @property
    def destinations(self) -> dict[str, Any]:
        """What a reset may keep: who is rung, for whom, and the count, so that no number comes twice."""
        return {name: getattr(self, name) for name in ("companies", "webhooks", "last_number")}

    @destinations.setter
    def destinations(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept)


class Billit(Dialect):
    name = "billit"
    secret_paths = frozenset({"/OAuth2/token", "/webhooks"})
    settings = {
        "api_key": "",  # empty: any key that is not empty
        "client_secret": "",  # likewise
        "token_seconds": 3600,
        "companies": {"8001": "800112237", "8002": "905334413"},  # registrationID: SIREN, there from the start
        "shape": "B",  # of a message event: A (the seed's) or B (the French examples')
        "update_before_insert": True,  # rings an update without a state before each new message, as the example shows
        "lifecycle_files": True,  # whether the files of answers are CDAR
        "plain_files": False,  # whether a file is answered as it is, instead of JSON with base64
        "confirm_webhooks": True,
        "secret_in_answer": True,
        "refuse_once": True,
    }

    def rules(self) -> Iterator[Rule]:
        calls = (("POST", "/OAuth2/token", self.log_in), *self.entities.routes(), *self.orders.routes())
        for method, path, view in calls:
            yield Rule(path, endpoint=view, methods=[method])

    @property
    def entities(self) -> EntityCalls:
        return EntityCalls(self)

    @property
    def orders(self) -> OrderCalls:
        return OrderCalls(self)

    def new_state(self) -> BillitState:
        return BillitState()

    # -- calls: authentication and errors

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        try:
            if view != self.log_in:
                self._authenticate(request)
            return view(request, **values)
        except BusinessError as error:
            return business_error(error)
        except RefusedError as error:
            return as_json({"Message": str(error)}, error.status)

    def _authenticate(self, request: Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind:
            if kind.lower() != "bearer" or self.state.tokens.get(token, 0) <= time.time():
                raise RefusedError(401, "Authorization has been denied for this request.")
            return
        key, wanted = request.headers.get("apiKey", ""), self.setting("api_key")
        if not key or wanted not in ("", key):
            raise RefusedError(401, "Authorization has been denied for this request.")

    def log_in(self, request: Request) -> Response:
        body = request.form.to_dict() or json.loads(request.get_data() or b"{}")
        wanted = self.setting("client_secret")
        good = body.get("client_id") and body.get("client_secret") and wanted in ("", body["client_secret"])
        with self.sandbox.lock:
            if body.get("grant_type") == "authorization_code":
                good = good and body.get("code") and body["code"] not in self.state.codes
                self.state.codes.add(body.get("code", ""))
            elif body.get("grant_type") == "refresh_token":
                good = good and body.get("refresh_token") in self.state.refresh_tokens
                self.state.refresh_tokens.discard(body.get("refresh_token", ""))  # good for one use
            else:
                good = False
            if not good:
                return as_json({"error": "invalid_grant"}, 400)
            token, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            self.state.tokens[token] = time.time() + self.setting("token_seconds")
            self.state.refresh_tokens.add(refresh)
        seconds = self.setting("token_seconds")
        return as_json({"access_token": token, "refresh_token": refresh, "expires_in": seconds, "token_type": "bearer"})

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        if kind == "unauthorized_once":
            self.state.tokens.pop(request.headers.get("Authorization", "").partition(" ")[2], None)
        status, text = {
            "unauthorized_once": (401, "Authorization has been denied for this request."),
            "rate_limited": (429, "Too many requests."),
            "server_error": (500, "An error has occurred."),
            "not_found": (404, "Not Found"),
            "not_allowed": (405, "The requested resource does not support this method."),
            "too_large": (413, "The file is too large."),
        }[kind]
        return as_json({"Message": detail or text}, status)

    def is_document(self, path: str) -> bool:
        return path.endswith("-original")

    # -- companies

    def companies(self) -> dict[str, dict[str, Any]]:
        with self.sandbox.lock:
            for number, siren in self.setting("companies").items():
                identifiers = [{"IdentifierType": "SIREN", "Identifier": siren}]
                details = {"CompanyName": f"Société {siren}", "Identifiers": identifiers}
                company = {"RegistrationID": int(number), "CompanyDetails": details}
                self.state.companies.setdefault(number, company | {"Integrations": [{"Integration": "Peppol"}]})
            return dict(self.state.companies)

    def company(self, registration: str) -> dict[str, Any]:
        company = self.companies().get(registration)
        if company is None:
            raise RefusedError(404, "Not Found")
        return company

    def party(self, request: Request) -> str:
        """The company named by the header of the main API."""
        party = request.headers.get("PartyID", "")
        if party not in self.companies():
            raise BusinessError(PartyIDRequired="The header PartyID names no company of this account.")
        return party

    def registration_of(self, invoice: Invoice) -> str:
        """By the SIREN of our side; an invoice that cannot be read lands in the first company."""
        ours = invoice.document.buyer if invoice.direction == "INBOUND" else invoice.document.seller
        companies = self.companies()
        for number, company in companies.items():
            details = company["CompanyDetails"]
            sirens = [row.get("Identifier") for row in details.get("Identifiers", [])]
            if ours.siren and (ours.siren in sirens or str(details.get("TaxIdentifier", "")).endswith(ours.siren)):
                return number
        return next(iter(companies), "")

    # -- deposits

    def deposit(self, content: bytes, *, direction: str, uuid: str = "", document: Document | None = None) -> Invoice:
        number = uuid or self.state.next_number()
        return super().deposit(content, direction=direction, uuid=number, document=document)

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        currency = invoice.document.currency
        return {"amounts": [{"rate": str(r), "amount": str(a), "currency": currency} for r, a in invoice.document.vat]}

    # -- webhooks

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        number = int(invoice.id) if invoice.id.isdecimal() else invoice.id
        body = {"UpdatedEntityID": number, "UpdatedEntityType": "Order", "WebhookUpdateTypeTC": "I"}
        return [Event(self.name, "Order I", {**body, "EntityDetail": {}}, invoice.id)]

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        row = self.orders.message(invoice, entry)
        if row is None:
            return []
        state = MESSAGES[entry.code][1] if entry.code in MESSAGES else "" if entry.code.isdecimal() else entry.code
        if row["MessageDirection"] == "Outgoing" and entry.code in ("210", "212"):
            state = "Sent" if entry.code == "210" else ""  # what we told goes out as a message too
        number = self.state.next_number()
        events = []
        if self.setting("update_before_insert") and row["MessageDirection"] == "Incoming":
            early = {**row, "Description": "Message in progress", "FileID": None}
            events.append(self._message(invoice, number, "U", early, "", echo))
        update = "U" if entry.code in ("201", "203") else "I"
        return [*events, self._message(invoice, number, update, row, state, echo)]

    def _message(
        self, invoice: Invoice, number: str, update: str, row: dict[str, Any], state: str, echo: bool
    ) -> Event:
        order = int(invoice.id) if invoice.id.isdecimal() else invoice.id
        block = {"OrderID": order} | {name: value for name, value in row.items() if value not in (None, "")}
        told = {"EInvoiceFlowState": state} if state else {}
        if self.setting("shape") == "A":
            day = f"{row['CreationDate'][8:10]}/{row['CreationDate'][5:7]}/{row['CreationDate'][:4]}"
            detail: dict[str, Any] = {**block, "CreationDate": day, "MessageAdditionalInformation": told}
        else:
            detail = {"OrderMessage": block, "AdditionalMessageInformation": told}
        body = {"UpdatedEntityID": int(number), "UpdatedEntityType": "Message", "WebhookUpdateTypeTC": update}
        return Event(self.name, f"Message {update}", {**body, "EntityDetail": detail}, invoice.id, echo)

    def stranger(self, event: Event) -> Event | None:
        unknown = self.state.next_number()
        text = json.dumps(event.body).replace(f": {event.invoice}", f": {unknown}")
        return Event(self.name, event.type, json.loads(text), unknown)

    def destinations(self, event: Event) -> list[Destination]:
        invoice = self.invoices.get(event.invoice)
        registration = self.registration_of(invoice) if invoice else ""
        with self.sandbox.lock:
            known = list(self.state.webhooks.values())
        wanted = tuple(event.type.split(" "))
        return [each.destination for each in known if each.kind == wanted and registration in ("", each.registration)]

    def body(self, event: Event) -> bytes:
        return json.dumps(event.body, ensure_ascii=False).encode()

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        headers = {"content-type": "application/json"}
        if trick != "unsigned":
            moment = int(time.time()) - (STALE_SECONDS if trick == "stale_signature" else 0)
            wrong = trick in ("wrong_signature", "wrong_token")  # a webhook has no other token than its secret
            key = secrets.token_hex(24) if wrong else destination.auth_token
            signed = hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
            headers["Billit-Signature"] = f"t={moment},s={signed}"
        return destination.target, headers, body

    def confirm(self, webhook: Webhook) -> None:
        """The first call to a new webhook: unsigned, and with the secret in it."""
        detail = webhook.shown(Secret=webhook.secret) | {"CreationDate": local(now())}
        body = {"UpdatedEntityID": int(webhook.number), "UpdatedEntityType": "Webhook", "WebhookUpdateTypeTC": "I"}
        content = json.dumps({**body, "EntityDetail": detail}).encode()
        self.sandbox.ringer.post(webhook.url, {"content-type": "application/json"}, content)

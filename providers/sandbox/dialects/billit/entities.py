"""Calls about our companies and their webhooks."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug import Request, Response

from ...records import Destination
from .answers import BusinessError, RefusedError, as_json, read_object
from .tables import DOC_TYPES, HOOKS

if TYPE_CHECKING:
    from . import Billit


@dataclass
class Webhook:
    number: str
    registration: str
    kind: tuple[str, str]
    url: str
    secret: str

    @property
    def destination(self) -> Destination:
        return Destination(" ".join(self.kind), self.url, "signature", "Billit-Signature", self.secret)

    def shown(self, **more: str) -> dict[str, Any]:
        entity, update = self.kind
        shown = {"WebhookID": int(self.number), "EntityType": entity, "EntityUpdateType": update}
        return shown | {"WebhookURL": self.url} | more


class EntityCalls:
    def __init__(self, billit: "Billit") -> None:
        self._billit = billit

    def routes(self) -> tuple:
        one = "/v1/einvoices/registrations/<registration>"
        return (
            ("GET", "/v1/einvoices/registrations", self.list_companies),
            ("POST", "/v1/einvoices/registrations", self.register),
            ("GET", one, self.show_company),
            ("POST", f"{one}/integrations", self.integrate),
            ("POST", f"{one}/webhooks", self.add_webhook),
            ("GET", "/v1/webhooks", self.list_webhooks),
            ("DELETE", "/v1/webhooks/<number>", self.drop_webhook),
            ("POST", "/v1/webhooks/refresh/<number>", self.refresh_webhook),
        )

    # -- companies

    def list_companies(self, request: Request) -> Response:
        return as_json({"Companies": list(self._billit.companies().values())})

    def show_company(self, request: Request, registration: str) -> Response:
        return as_json(self._billit.company(registration))

    def register(self, request: Request) -> Response:
        body = read_object(request)
        missing = [name for name in ("TaxIdentifier", "CompanyName", "Email") if not body.get(name)]
        if missing:
            raise BusinessError(**{f"{name}Required": f"{name} is required." for name in missing})
        known = [each["CompanyDetails"].get("Email") for each in self._billit.companies().values()]
        if body["Email"] in known:
            raise BusinessError(EmailInUse="The e-mail address is used by another company.")
        with self._billit.sandbox.lock:
            number = self._billit.state.next_number()
            company = {"RegistrationID": int(number), "CompanyDetails": body, "Integrations": []}
            self._billit.state.companies[number] = company
        return as_json({"RegistrationID": int(number)})

    def integrate(self, request: Request, registration: str) -> Response:
        company, body = self._billit.company(registration), read_object(request)
        credentials = body.get("Credentials") or {}
        if credentials.get("Identifier") != "CTC":
            raise BusinessError(IdentifierRequired="Credentials.Identifier must be CTC: it is never chosen by itself.")
        if credentials.get("DocTypes") not in DOC_TYPES:
            raise BusinessError(DocTypesNotAllowed="DocTypes must be CDAR or CDAR;MLR.")
        row = {"Integration": body.get("Externalprovider"), "IntegrationStatus": "Active"}
        company["Integrations"].append(row)
        return as_json(row)

    # -- webhooks

    def add_webhook(self, request: Request, registration: str) -> Response:
        self._billit.company(registration)
        body = read_object(request)
        kind = (str(body.get("EntityType")), str(body.get("EntityUpdateType")))
        if kind not in HOOKS:
            raise BusinessError(WebhookTypeUnknown=f"Unknown webhook {' '.join(kind)}.")
        if urlsplit(str(body.get("WebhookURL"))).scheme not in ("http", "https"):
            raise BusinessError(WebhookURLInvalid="WebhookURL must be an address.")
        with self._billit.sandbox.lock:
            known = self._billit.state.webhooks.values()
            if any(each.registration == registration and each.kind == kind for each in known):
                raise BusinessError(WebhookExists="There is one webhook of each kind for a company.")
            number = self._billit.state.next_number()
            webhook = Webhook(number, registration, kind, str(body["WebhookURL"]), secrets.token_hex(24))
            self._billit.state.webhooks[number] = webhook
        if self._billit.setting("confirm_webhooks"):
            self._billit.sandbox.clock.later(0, self._billit.confirm, webhook)
        if kind == ("Order", "I"):
            self._billit.sandbox.seed(self._billit)
        told = {"Secret": webhook.secret} if self._billit.setting("secret_in_answer") else {}
        return as_json(webhook.shown(**told))

    def list_webhooks(self, request: Request) -> Response:
        party = self._billit.party(request)
        with self._billit.sandbox.lock:
            webhooks = list(self._billit.state.webhooks.values())
        return as_json({"Items": [each.shown() for each in webhooks if each.registration == party]})

    def _webhook(self, request: Request, number: str) -> Webhook:
        webhook = self._billit.state.webhooks.get(number)
        if webhook is None or webhook.registration != self._billit.party(request):
            raise RefusedError(404, "Not Found")
        return webhook

    def drop_webhook(self, request: Request, number: str) -> Response:
        self._webhook(request, number)
        with self._billit.sandbox.lock:
            self._billit.state.webhooks.pop(number, None)
        return as_json({})

    def refresh_webhook(self, request: Request, number: str) -> Response:
        webhook = self._webhook(request, number)
        webhook.secret = secrets.token_hex(24)
        return as_json(webhook.shown(Secret=webhook.secret))

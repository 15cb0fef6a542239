"""A Billit account with two companies, the platform in good health, and a signer written after the documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from providers.billit.adapter import Billit
from providers.billit.hooks import vault_name
from providers.contract.base import (
    Account,
    HookRequest,
    InvoiceFacts,
    Line,
    Party,
    ShortVault,
    StatusMessage,
    Subscription,
)
from providers.formats.cdar.model import BETWEEN_PLATFORMS
from tests.providers.fakes import FarEnd, Memory, make_adapter

RECEIVED, ISSUED = "9002", "9001"
LINE, OTHER_LINE = "999000011", "999000029_COMPTA"
REGISTRATION, OTHER_REGISTRATION = "8001", "8002"
HOOK_URLS = {
    LINE: "https://hooks.example.test/hooks/billit/l1/",
    OTHER_LINE: "https://hooks.example.test/hooks/billit/l2/",
}

SECRETS = {
    "api_key": "k3y-of-the-master",
    "client_secret": "cl1ent-s3cret",
    "authorization_code": "c0de-of-the-login",
}
HOOK_SECRETS = {slug: f"whk-{slug}-s3cret" for slug in ("message-i", "message-u", "order-i")}

AP = f"/v1/einvoices/registrations/{REGISTRATION}"
ORDER, ISSUED_ORDER = f"GET {AP}/orders/{RECEIVED}", f"GET {AP}/orders/{ISSUED}"
LIST, SEND = f"GET {AP}/orders", f"POST {AP}/commands/send"
REFUSE, PAY = "POST /v1/orders/commands/refuse", f"POST /v1/orders/{ISSUED}/payments"
TOKEN = "POST /OAuth2/token"
NOT_FOUND = (404, {})
XML_FILE = "6a2e8f04-7c33-4f0b-8a0e-91f2d7b5c644"
PDF_FILE = "0b7f3c52-1d0e-4d55-9a53-5e1b2f6d8c10"
CDAR_FILE = "77aa3c52-1d0e-4d55-9a53-5e1b2f6d8c77"

UBL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>"""


class Lines:
    """The lines of a connection, and which of them an invoice is of."""

    def __init__(self, *lines: Line, of: Mapping[str, str] | None = None, urls: Mapping[str, str] = HOOK_URLS) -> None:
        self.lines = {line.identifier: line for line in lines}
        self.of = of if of is not None else {RECEIVED: LINE, ISSUED: LINE}
        self.urls = urls

    def find(self, identifier: str) -> Line | None:
        return self.lines.get(identifier)

    def all(self) -> list[Line]:
        return list(self.lines.values())

    def of_invoice(self, provider_ref: str) -> Line | None:
        return self.lines.get(self.of.get(provider_ref, ""))

    def hook_url(self, identifier: str) -> str:
        return self.urls.get(identifier, "")


def make_line(identifier: str = LINE, registration: str = REGISTRATION, **settings: Any) -> Line:
    return Line(identifier=identifier, settings={"registration_id": registration} | settings)


def make_vault(*lines: str) -> ShortVault:
    vault = ShortVault()
    for line in lines or (LINE,):
        for place, (slug, secret) in enumerate(HOOK_SECRETS.items(), start=71):
            url = f"{HOOK_URLS[line]}{slug}/"
            vault.change(vault_name(line, slug), state="active", secret=secret, url=url, id=str(place))
    return vault


class Subscriptions:
    def __init__(self) -> None:
        self.saved: dict[str, Subscription] = {}

    def find(self, line_identifier: str) -> Subscription | None:
        return self.saved.get(line_identifier)

    def save(self, subscription: Subscription) -> None:
        self.saved[subscription.line_identifier] = subscription


def make_account(*lines: Line, vault: ShortVault | None = None, of: Mapping[str, str] | None = None, **settings: Any):
    settings = {"api_url": "https://api.example.test", "portal_url": "https://my.example.test"} | settings
    return Account(
        id="b1",
        name="billit-main",
        environment="sandbox",
        settings={"requests_per_second": 0} | settings,
        secrets=SECRETS,
        lines=Lines(*(lines or [make_line()]), of=of),
        vault=make_vault() if vault is None else vault,
        subscriptions=Subscriptions(),
    )


def make_order(number: str = RECEIVED, **changes: Any) -> dict[str, Any]:
    """Like the documented examples, with what we do not read left out."""
    is_issued = number == ISSUED
    ours = {
        "Name": "NOTRE SOCIETE", "VATNumber": "FR07999000011",
        "Identifiers": [
            {"IdentifierType": "SIREN", "Identifier": "999000011", "SchemeID": "0002"},
            {"IdentifierType": "CTC", "Identifier": "999000011_replyto", "SchemeID": "0225"},
        ],
    }  # fmt: skip
    theirs = {
        "Name": "ATELIER DUPONT", "VATNumber": "FR60999000029",
        "Identifiers": [{"IdentifierType": "CTC", "Identifier": "999000029_COMPTA", "SchemeID": "0225"}],
    }  # fmt: skip
    return {
        "OrderID": int(number), "CompanyID": 8001, "OrderNumber": "F-2026-0042", "OrderType": "Invoice",
        "OrderDirection": "Income" if is_issued else "Cost", "OrderDate": "2026-10-04T00:00:00",
        "ExpiryDate": "2026-11-03T00:00:00", "Currency": "EUR", "TotalIncl": 150.0, "OrderStatus": "ToPay",
        "Created": "2026-10-04T09:00:00.12", "LastModified": "2026-10-05T10:00:00.3", "Paid": False,
        "IsSent": is_issued, "BusinessProcessType": "B1",
        "Supplier": ours if is_issued else theirs, "Customer": theirs if is_issued else ours,
        "OrderPDF": {"FileID": PDF_FILE, "FileName": "F-2026-0042.pdf"},
        "Attachments": [] if is_issued else [{"FileID": XML_FILE, "FileName": "F-2026-0042.xml"}],
        "CurrentDocumentDeliveryDetails": {"IsDocumentDelivered": False, "DocumentDeliveryStatus": "Pending"},
        "Messages": [],
    } | changes  # fmt: skip


def make_row(file: str = CDAR_FILE, direction: str = "Incoming", **changes: Any) -> dict[str, Any]:
    """A message in an order."""
    return {
        "FileID": file, "CreationDate": "2026-10-05T09:12:44.3", "TransportType": "Peppol", "Success": True,
        "Trials": 0, "Destination": "0225:999000029", "MessageDirection": direction,
    } | changes  # fmt: skip


def delivery(**details: Any) -> dict[str, Any]:
    return {"CurrentDocumentDeliveryDetails": details}


def make_file(content: bytes, name: str = "a.xml", media_type: str = "text/xml") -> tuple[int, dict[str, Any]]:
    encoded = base64.b64encode(content).decode()
    return 200, {"FileID": XML_FILE, "FileName": name, "MimeType": media_type, "FileContent": encoded}


def make_cdar(
    status: str, *, number: str = "F-2026-0042", role: str = "BY", reason: str = "", note: str = "", extra: str = ""
) -> bytes:
    """A lifecycle file between platforms, as small as it can be read."""
    detail = f"<ram:SpecifiedDocumentStatus>{f'<ram:ReasonCode>{reason}</ram:ReasonCode>' if reason else ''}" + (
        f"<ram:IncludedNote><ram:Content>{note}</ram:Content></ram:IncludedNote>" if note else ""
    )
    urn = "urn:un:unece:uncefact:data:standard"
    return f"""<rsm:CrossDomainAcknowledgementAndResponse
  xmlns:rsm="{urn}:CrossDomainAcknowledgementAndResponse:100"
  xmlns:ram="{urn}:ReusableAggregateBusinessInformationEntity:100" xmlns:udt="{urn}:UnqualifiedDataType:100">
 <rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>{BETWEEN_PLATFORMS}</ram:ID>
 </ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
 <rsm:ExchangedDocument><ram:ID>m-1</ram:ID>
  <ram:IssuerTradeParty><ram:RoleCode>{role}</ram:RoleCode></ram:IssuerTradeParty></rsm:ExchangedDocument>
 <rsm:AcknowledgementDocument>
  <ram:IssueDateTime><udt:DateTimeString format="204">20261005091000</udt:DateTimeString></ram:IssueDateTime>
  <ram:ReferenceReferencedDocument><ram:IssuerAssignedID>{number}</ram:IssuerAssignedID>
   <ram:ProcessConditionCode>{status}</ram:ProcessConditionCode>{detail}{extra}</ram:SpecifiedDocumentStatus>
  </ram:ReferenceReferencedDocument></rsm:AcknowledgementDocument>
</rsm:CrossDomainAcknowledgementAndResponse>""".encode()


def make_hook(slug: str, number: int, line: str = LINE) -> dict[str, Any]:
    entity, update = {"message-i": "MI", "message-u": "MU", "order-i": "OI"}[slug]
    kind = {"M": "Message", "O": "Order"}[entity]
    return {
        "WebhookID": number,
        "EntityType": kind,
        "EntityUpdateType": update,
        "WebhookURL": f"{HOOK_URLS[line]}{slug}/",
    }


def healthy_routes() -> dict[str, Any]:
    return {
        "GET /v1/einvoices/registrations": (200, {"Companies": [{"RegistrationID": 8001}]}),
        f"GET {AP}": (200, {"RegistrationID": 8001, "Integrations": [{"Integration": "Peppol"}]}),
        LIST: (200, {"Items": [make_order(), make_order(ISSUED)]}),
        SEND: (200, {"OrderID": 9001}),
        ORDER: (200, make_order()),
        ISSUED_ORDER: (200, make_order(ISSUED)),
        f"GET /v1/files/{XML_FILE}": make_file(UBL),
        f"GET /v1/files/{PDF_FILE}": make_file(b"%PDF-1.7", "F.pdf", "application/pdf"),
        REFUSE: (200, b"1"),
        PAY: (200, {}),
        "GET /v1/webhooks": (200, {"Items": [make_hook(slug, n) for n, slug in enumerate(HOOK_SECRETS, start=71)]}),
        f"POST {AP}/webhooks": (200, {"WebhookID": 99, "Secret": "a-new-s3cret"}),
        TOKEN: (200, {"access_token": "t0ken-1", "refresh_token": "refr3sh-1", "expires_in": 3600}),
    }


def make_billit(
    routes: Mapping[str, Any] | None = None, account: Account | None = None, **settings: Any
) -> tuple[Billit, FarEnd]:
    far_end = FarEnd(healthy_routes() | dict(routes or {}))
    return make_adapter(Billit, account or make_account(**settings), far_end, Memory()), far_end


def make_facts(reference: str = RECEIVED, **changes: Any) -> InvoiceFacts:
    ours, theirs = Party(name="NOTRE SOCIETE", siren="999000011"), Party(name="ATELIER DUPONT", siren="999000029")
    is_issued = reference == ISSUED
    facts = InvoiceFacts(
        provider_ref=reference,
        direction="issued" if is_issued else "received",
        number="F-2026-0042",
        type_code="380",
        issue_date=date(2026, 10, 4),
        seller=ours if is_issued else theirs,
        buyer=theirs if is_issued else ours,
        line_identifier=LINE,
    )
    return replace(facts, **changes)


def make_message(status: str = "210", *, reference: str = RECEIVED, role: str = "BY", **changes: Any) -> StatusMessage:
    message = StatusMessage(
        id="7b0c1f6e-5d3a-4c55-9a53-5e1b2f6d8c10",
        invoice=make_facts(reference),
        status=status,
        issuer_role=role,
        occurred_at=datetime(2026, 10, 6, 23, 30, tzinfo=UTC),
    )
    return replace(message, **changes)


# --- pushes -----------------------------------------------------------------------------------------------------------


def signature(body: bytes, secret: str, moment: int) -> str:
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def sign(
    body: bytes, *, slug: str = "message-u", secret: str | None = None, header: str | None = None, age: int = 0
) -> HookRequest:
    """A request as Billit would push it."""
    now = datetime.now(UTC)
    moment = int(now.timestamp()) - age
    shown = signature(body, HOOK_SECRETS[slug] if secret is None else secret, moment)
    return HookRequest(
        method="POST",
        url=f"{HOOK_URLS[LINE]}{slug}/",
        headers={"Content-Type": "application/json", "Billit-Signature": header or f"t={moment},s={shown}"},
        body=body,
        received_at=now,
        line=make_line(),
        rest=slug,
    )


def shape_a(word: str = "Refused", **detail: Any) -> dict[str, Any]:
    state = {"EInvoiceFlowState": word, "AdditionalFlowStateInformation": "Duplicate invoice"} if word else {}
    return {
        "UpdatedEntityID": 7301, "UpdatedEntityType": "Message", "WebhookUpdateTypeTC": "U",
        "EntityDetail": {
            "OrderID": 9001, "Description": "Invoice refused", "FileID": PDF_FILE, "CreationDate": "06/10/2026",
            "TransportType": "Peppol", "Destination": "0225:812700557", "MessageDirection": "Incoming",
            "MessageAdditionalInformation": state,
        } | detail,
    }  # fmt: skip


def shape_b(word: str = "Accepted", **block: Any) -> dict[str, Any]:
    return {
        "UpdatedEntityID": 7302, "UpdatedEntityType": "Message", "WebhookUpdateTypeTC": "I",
        "EntityDetail": {
            "OrderMessage": {
                "OrderID": 9001, "Description": "AP: validated and forwarded", "FileID": XML_FILE,
                "CreationDate": "2026-10-05T09:12:44.3", "TransportType": "Peppol", "Success": True, "Trials": 0,
                "Destination": "0242:000099", "MessageDirection": "Incoming",
            } | block,
            "AdditionalMessageInformation": {"EInvoiceFlowState": word} if word else {},
        },
    }  # fmt: skip


def dump(event: Any) -> bytes:
    return json.dumps(event).encode()

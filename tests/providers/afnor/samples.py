"""An account at a platform of XP Z12-013, the platform in good health, and a signer written after the contract."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from email.message import Message
from email.parser import BytesParser
from typing import Any

import httpx

from providers.afnor.adapter import Afnor
from providers.contract.base import (
    Account,
    HookRequest,
    InvoiceFacts,
    Line,
    NoLines,
    Party,
    Payment,
    Reason,
    StatusMessage,
    Vault,
)
from providers.formats import cdar
from tests.providers.fakes import FarEnd, Memory, make_adapter

FLOW_URL, DIRECTORY_URL = "https://pa.example.test/flow-service", "https://pa.example.test/directory-service"
TOKEN_PATH = "/oauth2/token"
HOOK_URL = "https://hooks.example.test/hooks/afnor/c7"
FLOWS, SEARCH, WEBHOOKS = "/flow-service/v1/flows", "/flow-service/v1/flows/search", "/flow-service/v1/webhooks"
DIRECTORY = "/directory-service/v1"

RECEIVED, ISSUED = "fl-0100", "fl-0001"
SIGNING_KEY = base64.b64encode(bytes(range(32))).decode()
HOOK_TOKEN = "our-hook-token"
SECRETS = {"client_id": "client-7", "client_secret": "s3cr3t-phrase"}
MOMENT = datetime(2026, 9, 21, 15, 0, tzinfo=UTC)
MESSAGE_ID = "5f0c2f7b-e0d9-4c1f-b8e2-a1c0d3e4f501"
TRACKING_ID = MESSAGE_ID.replace("-", "")

OURS = Party(name="NOTRE SOCIETE", siren="800112237", scheme="0225", identifier="800112237")
THEIRS = Party(name="ATELIER DUPONT", siren="905334413", scheme="0225", identifier="905334413_COMPTA")
UBL = b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>'


class KnownVault:
    """A vault that starts with something in it."""

    def __init__(self, **kept: dict[str, str]) -> None:
        self.kept = kept

    def get(self, name: str) -> dict[str, str]:
        return dict(self.kept.get(name, {}))

    def change(self, name: str, **changes: str) -> dict[str, str]:
        self.kept[name] = {**self.kept.get(name, {}), **changes}
        return self.get(name)


class KnownLines(NoLines):
    """We have these invoices."""

    def __init__(self, *references: str) -> None:
        self.references = references

    def of_invoice(self, provider_ref: str) -> Line | None:
        return Line(identifier=OURS.siren) if provider_ref in self.references else None


def make_account(
    *, vault: Vault | None = None, secrets: dict[str, str] | None = None, lines: Any = None, **settings: Any
) -> Account:
    settings = {
        "flow_base_url": FLOW_URL,
        "directory_base_url": DIRECTORY_URL,
        "token_url": f"https://pa.example.test{TOKEN_PATH}",
        "contract": "1.3",
        "requests_per_second": 0,
    } | settings
    return Account(
        id="c7",
        name="pa-main",
        environment="sandbox",
        settings=settings,
        secrets=SECRETS | (secrets or {}),
        hook_url=HOOK_URL,
        vault=vault or KnownVault(webhooks={"w-1": SIGNING_KEY, "token": HOOK_TOKEN}),
        lines=lines or NoLines(),
    )


def make_flow(flow_id: str = RECEIVED, **changes: Any) -> dict[str, Any]:
    return {
        "flowId": flow_id, "name": "F-2026-0001.xml", "flowType": "SupplierInvoice", "flowDirection": "In",
        "flowSyntax": "UBL", "flowProfile": "CIUS", "processingRule": "B2B", "processingRuleSource": "Computed",
        "submittedAt": "2026-09-21T14:13:20.120Z", "updatedAt": "2026-09-21T14:13:20.120Z",
        "acknowledgement": {"status": "Ok"},
    } | changes  # fmt: skip


def refused(*codes: str, level: str = "Error") -> dict[str, Any]:
    rows = [{"level": level, "item": "cbc:ID", "reasonCode": code, "reasonMessage": f"said {code}"} for code in codes]
    return {"status": "Error", "details": rows}


def found(*flows: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"limit": 100, "filters": {}, "results": list(flows), **more}


def healthy_routes() -> dict[str, Any]:
    accepted = {"flowId": "fl-0900", "submittedAt": "2026-09-21T15:00:01Z", "name": "x.xml", "flowSyntax": "CDAR"}
    return {
        f"POST {TOKEN_PATH}": (200, {"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}),
        f"POST {FLOWS}": (202, accepted),
        f"POST {SEARCH}": found(),
        f"GET {FLOWS}/{RECEIVED}": flow_documents(make_flow(), Original=UBL),
        f"GET {FLOWS}/{ISSUED}": flow_documents(
            make_flow(ISSUED, flowType="CustomerInvoice", flowDirection="Out"), Original=UBL
        ),
        "GET /flow-service/v1/healthcheck": (200, b""),
        "GET /directory-service/v1/healthcheck": (200, b""),
        f"GET {WEBHOOKS}": (200, {"count": 0, "webhookIds": [], "webhooks": []}),
        f"POST {WEBHOOKS}": (201, {"webhookId": "w-1", "signingKey": SIGNING_KEY, "createdAt": "2026-09-21T14:13:20Z"}),
    }


def flow_documents(flow: dict[str, Any], **documents: bytes) -> Any:
    """Answers by docType: the flow itself, and its documents."""

    def answer(request: httpx.Request) -> Any:
        kind = request.url.params.get("docType", "Metadata")
        if kind == "Metadata":
            return 200, flow
        if kind not in documents:
            return 404, {"errorCode": "MISSING_RESOURCE"}
        headers = {"content-disposition": f'attachment; filename="{flow["name"]}"'}
        return 200, documents[kind], headers

    return answer


def make_afnor(
    routes: dict[str, Any] | None = None, memory: Memory | None = None, **account: Any
) -> tuple[Afnor, FarEnd]:
    far_end = FarEnd(healthy_routes() | (routes or {}))
    return make_adapter(Afnor, make_account(**account), far_end, memory), far_end


def make_facts(reference: str = RECEIVED, **changes: Any) -> InvoiceFacts:
    is_issued = reference == ISSUED
    facts = InvoiceFacts(
        provider_ref=reference,
        direction="issued" if is_issued else "received",
        number="F-2026-0001",
        type_code="380",
        issue_date=date(2026, 9, 21),
        seller=OURS if is_issued else THEIRS,
        buyer=THEIRS if is_issued else OURS,
        received_at=datetime(2026, 9, 21, 14, 13, tzinfo=UTC),
    )
    return replace(facts, **changes)


REASONS = {"206": "QTE_ERR", "207": "QTE_ERR", "208": "JUSTIF_ABS", "210": "DOUBLON"}


def make_message(status: str = "205", *, reference: str = RECEIVED, role: str = "BY", **changes: Any) -> StatusMessage:
    reasons = (Reason(code=REASONS[status]),) if status in REASONS else ()
    paid = (Payment(amount=Decimal("120.00"), vat_rate=Decimal("20.00")),) if status in ("211", "212") else ()
    message = StatusMessage(
        id=MESSAGE_ID,
        invoice=make_facts(reference),
        status=status,
        issuer_role=role,
        occurred_at=MOMENT,
        reasons=reasons,
        payments=paid,
    )
    return replace(message, **changes)


def make_cdar(status: str = "205", **changes: Any) -> bytes:
    """A status message as it may come from anybody."""
    return cdar.write(make_message(status, **changes))


def sign(body: bytes, *, variant: str = "B", key: str = SIGNING_KEY, timestamp: int | str | None = None) -> HookRequest:
    """A request as a platform of contract 1.3 pushes it."""
    seconds = str(int(time.time()) if timestamp is None else timestamp)
    text = body + b"@" + seconds.encode()
    fingerprint = hashlib.sha256(text)
    signed = {"A": text, "B": fingerprint.digest(), "C": fingerprint.hexdigest().encode()}[variant]
    signature = base64.b64encode(hmac.new(base64.b64decode(key), signed, hashlib.sha256).digest()).decode()
    headers = {"Content-Type": "application/json", "Afnor-Signature": signature, "Afnor-Signature-Timestamp": seconds}
    return HookRequest(method="POST", url=HOOK_URL, headers=headers, body=body, received_at=datetime.now(UTC))


def show_token(body: bytes, token: str = HOOK_TOKEN, name: str = "X-Webhook-Token") -> HookRequest:
    """A request as a platform of contract 1.2 pushes it."""
    return HookRequest(method="POST", url=HOOK_URL, headers={name: token}, body=body, received_at=datetime.now(UTC))


def parts_of(request: httpx.Request) -> dict[str, Message]:
    """The parts of a multipart request, by name."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.content)
    return {str(part.get_param("name", header="content-disposition")): part for part in message.get_payload()}


def flow_info_of(request: httpx.Request) -> dict[str, Any]:
    return json.loads(parts_of(request)["flowInfo"].get_payload(decode=True))


def asked(request: httpx.Request) -> Any:
    return json.loads(request.content)

"""An A-Cube account, the platform in good health, and a signer written after RFC 9421, not after our verifier."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from providers.acube.adapter import ACube
from providers.contract.base import Account, HookRequest, InvoiceFacts, Party, StatusMessage
from tests.providers.fakes import FarEnd, Memory, make_adapter

RECEIVED = "01990000-0000-7000-8000-00000000a002"
ISSUED = "01990000-0000-7000-8000-00000000a001"
HOOK_URL = "https://hooks.example.test/hooks/acube/c1"

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
OTHER_PEM = OTHER_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

SECRETS = {"email": "bot@example.test", "password": "pa55-phrase", "webhook_token": "hook-t0ken"}

OURS = {"name": "NOTRE SOCIETE", "siren": "999000011", "siret": None, "identifierScheme": "0225",
        "identifierValue": "999000011"}  # fmt: skip
THEIRS = {"name": "ATELIER DUPONT", "siren": "999000029", "siret": None, "identifierScheme": "0225",
          "identifierValue": "999000029"}  # fmt: skip


LIFECYCLE = f"POST /invoices/{RECEIVED}/lifecycle"
HISTORY = f"GET /invoices/{RECEIVED}/lifecycle/history"
DETAIL = f"GET /invoices/{RECEIVED}"
INBOUND = f"GET /invoices/inbound/{RECEIVED}"
NOT_FOUND = (404, {"title": "An error occurred", "detail": "Not Found", "status": 404})
EXPIRED = (401, {"code": 401, "message": "Expired JWT Token"})
BOOKED = datetime(2026, 9, 21, 15, 0, tzinfo=UTC)  # the moment of make_message


def make_token(**claims: Any) -> str:
    claims = {
        "iat": time.time(),
        "exp": time.time() + 86400,
        "roles": {"fr.api.acubeapi.com": ["ROLE_WRITER"]},
    } | claims
    parts = ({"typ": "JWT", "alg": "RS256"}, claims, {"signature": len(claims)})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


TOKEN = make_token()


def make_item(uuid: str = ISSUED, **changes: Any) -> dict[str, Any]:
    return {
        "uuid": uuid, "direction": "OUTBOUND", "status": "SUBMITTED", "invoiceTypeCode": "380",
        "invoiceNumber": "F-2026-0001", "invoiceDate": "2026-09-21", "dueDate": None, "party": OURS,
        "counterparty": THEIRS, "createdAt": "2026-09-21T14:13:20+00:00", "updatedAt": "2026-09-21T14:13:20+00:00",
    } | changes  # fmt: skip


def make_account(**settings: Any) -> Account:
    settings = {
        "api_url": "https://api.example.test",
        "login_url": "https://login.example.test",
        "requests_per_second": 0,
    } | settings
    return Account(
        id="c1", name="acube-main", environment="sandbox", settings=settings, secrets=SECRETS, hook_url=HOOK_URL
    )


def make_destination(event: str, **changes: Any) -> dict[str, Any]:
    return {
        "uuid": f"d-{event.replace('.', '-')}", "event": event, "target": HOOK_URL, "delivery": "webhook",
        "status": "active", "authType": "header", "authKey": "X-Webhook-Token",
    } | changes  # fmt: skip


def healthy_routes() -> dict[str, Any]:
    received = make_item(RECEIVED, direction="INBOUND", status="RECEIVED")
    return {
        "POST /login": (200, {"token": TOKEN}),
        "GET /signature-public-key": (200, {"public_key": PEM}),
        "GET /invoices": (200, [make_item(), received]),
        "POST /invoices": (201, make_item()),
        f"GET /invoices/{ISSUED}": (200, make_item()),
        f"GET /invoices/{RECEIVED}": (200, received),
        f"GET /invoices/{RECEIVED}/original": (200, b"<Invoice/>", {"content-type": "application/xml; charset=utf-8"}),
        f"GET /invoices/{RECEIVED}/pdf": (200, b"%PDF-1.7", {"content-type": "application/pdf"}),
        f"GET /invoices/{RECEIVED}/lifecycle/history": (200, []),
        f"GET /invoices/{ISSUED}/lifecycle/history": (200, []),
        f"POST /invoices/{RECEIVED}/lifecycle": (202, {}),
        f"POST /invoices/{ISSUED}/lifecycle": (202, {}),
        "GET /event-destinations": (200, []),
        "POST /event-destinations": (201, {"uuid": "d1"}),
    }


def make_acube(
    routes: dict[str, Any] | None = None, memory: Memory | None = None, **settings: Any
) -> tuple[ACube, FarEnd]:
    far_end = FarEnd(healthy_routes() | (routes or {}))
    return make_adapter(ACube, make_account(**settings), far_end, memory), far_end


def make_facts(reference: str = RECEIVED, **changes: Any) -> InvoiceFacts:
    ours, theirs = Party(name="NOTRE SOCIETE", siren="999000011"), Party(name="ATELIER DUPONT", siren="999000029")
    is_issued = reference == ISSUED
    facts = InvoiceFacts(
        provider_ref=reference,
        direction="issued" if is_issued else "received",
        number="F-2026-0001",
        type_code="380",
        issue_date=date(2026, 9, 21),
        seller=ours if is_issued else theirs,
        buyer=theirs if is_issued else ours,
    )
    return replace(facts, **changes)


def make_message(status: str = "205", *, reference: str = RECEIVED, role: str = "BY", **changes: Any) -> StatusMessage:
    message = StatusMessage(
        id="m1",
        invoice=make_facts(reference),
        status=status,
        issuer_role=role,
        occurred_at=datetime(2026, 9, 21, 15, 0, tzinfo=UTC),
    )
    return replace(message, **changes)


COMPONENTS = ("@method", "@authority", "@target-uri", "date", "content-digest")


def sign(body: bytes, **changes: Any) -> HookRequest:
    """A request as A-Cube would push it. `changes`: key, label, created, keyid, alg, components, date, token."""
    wanted: dict[str, Any] = {
        "key": KEY, "label": "pyhms", "created": int(time.time()), "keyid": "acube", "alg": "ed25519",
        "components": COMPONENTS, "date": "Mon, 21 Sep 2026 14:13:20 GMT", "token": SECRETS["webhook_token"],
    } | changes  # fmt: skip
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    values = {
        "@method": "POST", "@authority": "hooks.example.test", "@target-uri": HOOK_URL, "date": wanted["date"],
        "content-digest": digest, "content-type": "application/json",
    }  # fmt: skip
    names = " ".join(f'"{name}"' for name in wanted["components"])
    params = f'({names});created={wanted["created"]};keyid="{wanted["keyid"]}";alg="{wanted["alg"]}"'
    lines = [f'"{name}": {values[name]}' for name in wanted["components"]] + [f'"@signature-params": {params}']
    signature = base64.b64encode(wanted["key"].sign("\n".join(lines).encode())).decode()
    headers = {
        "Content-Type": "application/json",
        "Date": wanted["date"],
        "Content-Digest": digest,
        "Signature-Input": f"{wanted['label']}={params}",
        "Signature": f"{wanted['label']}=:{signature}:",
        "X-Webhook-Token": wanted["token"],
    }
    return HookRequest(method="POST", url=HOOK_URL, headers=headers, body=body, received_at=datetime.now(UTC))


def make_event(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": "01990000-0000-7000-8000-00000000e001", "eventType": "invoice.status", "status": "205",
        "statusLabel": "Approved", "invoiceUuid": RECEIVED, "direction": "INBOUND",
    } | changes  # fmt: skip


def page_of(*items: Any, more: bool = False, page: int = 1) -> tuple[int, dict[str, Any]]:
    """One page of a Hydra collection."""
    view = {"@id": f"/invoices?page={page}"} | ({"hydra:next": f"/invoices?page={page + 1}"} if more else {})
    return 200, {"hydra:member": list(items), "hydra:totalItems": 99, "hydra:view": view}

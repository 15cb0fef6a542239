"""A Seqino sponsor account with two clients, the platform in good health, and a signer written after the spec."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

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
from providers.seqino.adapter import Seqino
from tests.providers.fakes import FarEnd, Memory, make_adapter

RECEIVED = "inv_demo_0042"
ISSUED = "inv_demo_0043"
CLIENT = "client_demo_01"
OTHER_CLIENT = "client_demo_02"
MANDATE = "mandate_demo_01"
HOOK_URL = "https://hooks.example.test/hooks/seqino/c1/"
KEY = "sk-demo-api-key-0001"
SECRET = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

OURS = "800112237"
THEIRS = "905334413"
LINE = Line(identifier=f"{OURS}_80011223700014", settings={"client_id": CLIENT, "mandate_id": MANDATE})
OTHER_LINE = Line(identifier="812700557", settings={"client_id": OTHER_CLIENT, "mandate_id": "mandate_demo_02"})

EVENTS = "GET /api/lifecycle-events"
DATA = f"GET /api/invoicing/invoice_data/{RECEIVED}"
SUBMIT = "POST /api/invoicing/files/submit"
STATUS = "POST /api/lifecycle-events"
CLIENTS = "/api/clients"
MANDATES = "/api/mandates"
WEBHOOKS = "/api/webhooks"
NOT_FOUND = (404, {"error": "Not found", "code": 404, "trace_id": "t404"})

BOOKED = datetime(2026, 10, 6, 14, 0, tzinfo=UTC)  # the moment of make_message


class Lines:
    """The lines of the connection; `known` says on which line an invoice is."""

    def __init__(self, lines: Iterable[Line] = (LINE,), **known: Line) -> None:
        self.rows = list(lines)
        self.known = known

    def find(self, identifier: str) -> Line | None:
        return next((line for line in self.rows if line.identifier == identifier), None)

    def all(self) -> list[Line]:
        return self.rows

    def of_invoice(self, provider_ref: str) -> Line | None:
        return self.known.get(provider_ref)

    def hook_url(self, identifier: str) -> str:
        return ""


class Subscriptions:
    def __init__(self) -> None:
        self.rows: dict[str, Subscription] = {}

    def find(self, line_identifier: str) -> Subscription | None:
        return self.rows.get(line_identifier)

    def save(self, subscription: Subscription) -> None:
        self.rows[subscription.line_identifier] = subscription


def make_item(code: str = "InvoiceLifecycleStatus.APPROVED", **changes: Any) -> dict[str, Any]:
    return {
        "status_code": code, "timestamp": "2026-10-06T14:03:00Z", "emitter": "PDPR", "reason": None,
        "rejection_reason": None, "is_mandatory": False,
    } | changes  # fmt: skip


def make_vat_number(siren: str) -> str:
    return f"FR{(12 + 3 * int(siren)) % 97:02}{siren}"


def make_party(siren: str, name: str, address: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "postal_address": {"street_name": "1 place du Marché", "city_name": "Paris", "postal_zone": "75001",
                           "country_code": "FR"},
        "electronic_address": {"scheme_id": "0225", "value": address or siren},
        "tax_registrations": [{"scheme_id": "VAT", "value": make_vat_number(siren)}],
    }  # fmt: skip


def make_data(seller: str = THEIRS, buyer: str = OURS, **changes: Any) -> dict[str, Any]:
    """The names of the pages, then our assumption of those that the stored copies cut."""
    return {
        "invoice_number": "F-2026-0042", "issue_date": "2026-10-04", "type_code": "380", "currency_code": "EUR",
        "due_date": "2026-11-03", "business_process_type": "B1", "purchase_order_reference": "C-17",
        "seller": make_party(seller, "Papeterie du Pont"), "buyer": make_party(buyer, "Atelier Dupont"),
        "invoice_lines": [
            {"line_id": "1", "item_name": "Papier", "invoiced_quantity": 10, "unit_code": "XBX",
             "item_net_price": 100.0, "line_extension_amount": 1000.0, "vat_category_code": "S", "vat_rate": 20.0},
        ],
        "vat_breakdown": [{"category_code": "S", "rate": 20.0, "taxable_amount": 1000.0, "tax_amount": 200.0}],
        "line_extension_amount": 1000.0, "tax_exclusive_amount": 1000.0, "tax_total_amount": 200.0,
        "tax_inclusive_amount": 1200.0, "payable_amount": 1200.0,
    } | changes  # fmt: skip


def make_mandate(status: str = "active", **changes: Any) -> dict[str, Any]:
    entry = {"siren": OURS, "siret": "80011223700014", "name": "Atelier Dupont"}
    return {"id": MANDATE, "client_id": CLIENT, "status": status, "directory_entry": entry} | changes


def make_client(**changes: Any) -> dict[str, Any]:
    return {
        "client_id": CLIENT,
        "organization_name": "Atelier Dupont",
        "external_ref": OURS,
        "status": "active",
    } | changes


def make_webhook(**changes: Any) -> dict[str, Any]:
    return {"webhook_id": "wh_1", "url": HOOK_URL, "events": [], "is_active": True} | changes


def make_account(lines: Lines | None = None, *, secret: str = SECRET, **settings: Any) -> Account:
    settings = {"api_url": "https://api.example.test/api", "requests_per_second": 0, "observe_mode": False} | settings
    vault = ShortVault()
    if secret:
        vault.change("webhook", id="wh_1", secret=secret)
    return Account(
        id="c1",
        name="seqino-main",
        environment="sandbox",
        settings=settings,
        secrets={"api_key": KEY},
        hook_url=HOOK_URL,
        lines=lines or Lines(),
        vault=vault,
        subscriptions=Subscriptions(),
    )


def healthy_routes() -> dict[str, Any]:
    return {
        "GET /health": (200, None),
        EVENTS: (200, [make_item("InvoiceLifecycleStatus.MADE_AVAILABLE", timestamp="2026-10-05T09:00:00Z")]),
        DATA: (200, make_data()),
        f"GET /api/invoicing/invoice_data/{ISSUED}": (200, make_data(OURS, THEIRS)),
        SUBMIT: (201, {"invoice_id": ISSUED, "status": "submitted", "file_name": "F.xml", "file_size": 1}),
        STATUS: (201, {}),
        f"GET {CLIENTS}": (200, [make_client()]),
        f"POST {CLIENTS}": (201, make_client()),
        f"GET {MANDATES}": (200, [make_mandate()]),
        f"GET {MANDATES}/{MANDATE}": (200, make_mandate()),
        f"POST {MANDATES}": (201, make_mandate("processing")),
        f"GET {WEBHOOKS}": (200, make_webhook()),
        f"POST {WEBHOOKS}": (201, make_webhook(secret=SECRET)),
        f"GET /api/directory/{OURS}": (200, {"siren": OURS, "name": "Atelier Dupont"}),
        "GET /api/usage/limits": (200, {"limits": {"per_minute": 600, "per_hour": None, "per_day": 86400}}),
    }


def make_seqino(
    routes: dict[str, Any] | None = None,
    *,
    lines: Lines | None = None,
    memory: Memory | None = None,
    secret: str = SECRET,
    **settings: Any,
) -> tuple[Seqino, FarEnd]:
    far_end = FarEnd(healthy_routes() | (routes or {}))
    return make_adapter(Seqino, make_account(lines, secret=secret, **settings), far_end, memory), far_end


def make_facts(reference: str = RECEIVED, **changes: Any) -> InvoiceFacts:
    ours, theirs = Party(name="Atelier Dupont", siren=OURS), Party(name="Papeterie du Pont", siren=THEIRS)
    is_issued = reference == ISSUED
    facts = InvoiceFacts(
        provider_ref=reference,
        direction="issued" if is_issued else "received",
        number="F-2026-0042",
        type_code="380",
        issue_date=date(2026, 10, 4),
        seller=ours if is_issued else theirs,
        buyer=theirs if is_issued else ours,
        line_identifier=LINE.identifier,
    )
    return replace(facts, **changes)


def make_message(status: str = "205", *, reference: str = RECEIVED, role: str = "BY", **changes: Any) -> StatusMessage:
    message = StatusMessage(id="m1", invoice=make_facts(reference), status=status, issuer_role=role, occurred_at=BOOKED)
    return replace(message, **changes)


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def sign(body: bytes, **headers: str) -> HookRequest:
    """A request as Seqino is assumed to push it."""
    headers = {"Content-Type": "application/json", "X-Webhook-Signature": signature(body)} | headers
    return HookRequest(method="POST", url=HOOK_URL, headers=headers, body=body, received_at=datetime.now(UTC))


def make_event(kind: str = "invoice.status_updated", **changes: Any) -> dict[str, Any]:
    return {
        "event_id": "evt_7c1f0a9b2d34", "event_type": kind, "timestamp": "2026-10-06T14:03:00Z",
        "sponsor_id": "sponsor-demo", "client_id": CLIENT,
        "data": {"invoice_id": RECEIVED, "status_code": "InvoiceLifecycleStatus.IN_DISPUTE"},
    } | changes  # fmt: skip

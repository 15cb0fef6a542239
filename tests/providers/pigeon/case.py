"""Pigeon, for the contract battery."""

from dataclasses import replace
from datetime import UTC, date, datetime

from providers.contract.base import Account, HookRequest, InvoiceFacts, Party
from tests.providers.battery import Case, with_body

from .adapter import Pigeon
from .webhooks import sign

SECRET = "c00-c00"
OURS, THEIRS = Party(siren="999000011"), Party(siren="999000029")


def make_request(body: bytes) -> HookRequest:
    return HookRequest(
        method="POST",
        url="https://hooks.example.test/hooks/pigeon/p1/",
        headers={"X-Pigeon-Signature": sign(body, SECRET)},
        body=body,
        received_at=datetime.now(UTC),
    )


def make_facts(bill: str, direction: str) -> InvoiceFacts:
    return InvoiceFacts(
        provider_ref=bill,
        direction=direction,
        number="F-2026-0001",
        type_code="380",
        issue_date=date(2026, 9, 21),
        seller=THEIRS if direction == "received" else OURS,
        buyer=OURS if direction == "received" else THEIRS,
    )


CASE = Case(
    kind="pigeon",
    cls=Pigeon,
    docs="providers/README.md",
    account=Account(
        id="p1",
        name="pigeon-main",
        environment="sandbox",
        settings={"api_url": "https://loft.example.test", "requests_per_second": 0},
        secrets={"key": "k-47", "push_secret": SECRET},
    ),
    healthy=lambda: {
        "GET /news": (200, {"bills": [], "last": 0}),
        "GET /bills/b-1/states": (200, []),
        "POST /bills/b-1/states": (200, {}),
    },
    facts={"buyer": make_facts("b-1", "received"), "seller": make_facts("b-2", "issued")},
    renews_token=False,
    read=lambda adapter: adapter.fetch_statuses("b-1"),
    sign=make_request,
    forgeries={
        "no signature": lambda request: replace(request, headers={}),
        "other body": lambda request: with_body(request, request.body + b" "),
        "other key": lambda request: replace(request, headers={"X-Pigeon-Signature": sign(request.body, "other")}),
    },
)

"""An addressing line at a concentrator, and messages about its invoices."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from providers.cegid.adapter import Cegid
from providers.contract.base import Account, HookRequest, InvoiceFacts, Line, Party, StatusMessage, Subscription
from tests.providers.fakes import FarEnd, make_adapter
from tests.providers.lines import Lines, Subscriptions

SIREN, OTHER = "800112237", "905334413"
LINE, SECOND = f"{SIREN}_80011223700014", f"{SIREN}_COMPTA"
API_KEY, SECOND_KEY = "client-of-line-one:s3cret-one", "client-of-line-two:s3cret-two"
SUBSCRIPTION_KEY = "subscription-k3y"
CALLBACK = "https://pdp.example.test/hooks/9f2c/"

TOKEN, SUBSCRIBE, EVENTS = "POST /connect/token", "POST /subscriptions", "POST /lifecycle-events"


def make_line(identifier: str = LINE, api_key: str = API_KEY, **settings: Any) -> Line:
    return Line(identifier=identifier, settings=settings, secrets={"api_key": api_key} if api_key else {})


def make_account(
    *lines: Line, subscriptions: Subscriptions | None = None, secrets: Any = None, **settings: Any
) -> Account:
    lines = lines or (make_line(), make_line(SECOND, SECOND_KEY))
    known = subscriptions or Subscriptions(
        *(
            Subscription(
                line_identifier=line.identifier,
                state="active",
                reference=f"s-{place}",
                callback_url=Lines(*lines).hook_url(line.identifier),
            )
            for place, line in enumerate(lines)
        )
    )
    return Account(
        id="c1",
        name="cegid-main",
        environment="sandbox",
        settings={
            "od_url": "https://od.example.test",
            "account_url": "https://account.example.test",
            "requests_per_second": 0,
        }
        | settings,
        secrets={"subscription_key": SUBSCRIPTION_KEY} if secrets is None else secrets,
        lines=Lines(*lines),
        subscriptions=known,
    )


def answer_token(request: Any) -> tuple[int, dict[str, Any]]:
    """Another token for each client, and each time another."""
    form = dict(pair.split("=") for pair in request.content.decode().split("&"))
    answer_token.given += 1  # type: ignore[attr-defined]
    number = answer_token.given  # type: ignore[attr-defined]
    return 200, {"access_token": f"token-{form.get('client_id', 'basic')}-{number}", "expires_in": 3600}


answer_token.given = 0  # type: ignore[attr-defined]


def healthy_routes() -> dict[str, Any]:
    return {
        TOKEN: answer_token,
        SUBSCRIBE: (201, {"subscriptionId": "s-0"}),
        "GET /subscriptions": (404, {"statusCode": 404, "message": "Resource not found"}),
        "DELETE /subscriptions/s-0": (204, b""),
        "DELETE /subscriptions/s-1": (204, b""),
        EVENTS: (202, {"eventId": "e-1"}),
    }


def make_cegid(
    routes: dict[str, Any] | None = None, account: Account | None = None, **settings: Any
) -> tuple[Cegid, FarEnd]:
    far_end = FarEnd(healthy_routes() | (routes or {}))
    return make_adapter(Cegid, account or make_account(**settings), far_end), far_end


def make_facts(direction: str = "issued", **changes: Any) -> InvoiceFacts:
    ours, theirs = Party(siren=SIREN), Party(siren=OTHER)
    facts = InvoiceFacts(
        provider_ref=f"{direction}/x",
        direction=direction,
        number="F-2026-0042",
        type_code="380",
        issue_date=date(2026, 10, 4),
        seller=ours if direction == "issued" else theirs,
        buyer=theirs if direction == "issued" else ours,
        line_identifier=LINE,
    )
    return replace(facts, **changes)


def make_message(status: str = "205", direction: str = "issued", **changes: Any) -> StatusMessage:
    message = StatusMessage(
        id="0c1d2c9e-5f1f-4b6a-8d1b-6a7f3d9f2e02",
        invoice=make_facts(direction),
        status=status,
        issuer_role="BY",
        occurred_at=datetime(2026, 10, 6, 14, 3, 0, 123456, tzinfo=UTC),
    )
    return replace(message, **changes)


def make_body(**changes: Any) -> dict[str, Any]:
    """A message of the customer's about its purchase; None takes a member away."""
    body: dict[str, Any] = {
        "messageId": "7f8f9a52-4b2e-4c0f-9b54-3f0b6d3a1c11",
        "kind": "incoming",
        "addressingLine": LINE,
        "occurredAt": "2026-10-05T08:12:31Z",
        "invoice": {
            "number": "F-2026-0042",
            "issueDate": "2026-10-04",
            "typeCode": "380",
            "sellerSiren": OTHER,
            "buyerSiren": SIREN,
        },
        "status": {"code": 205, "issuer": "CUSTOMER"},
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def pushed(body: Any, line: Line | None = None, **changes: Any) -> HookRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HookRequest(
        method="POST",
        url="https://navette.example.test/hooks/cegid/t0k3n/",
        headers={"Content-Type": "application/json"},
        body=content,
        received_at=datetime(2026, 10, 5, 8, 13, tzinfo=UTC),
        line=line or make_line(),
    )
    return replace(request, **changes)

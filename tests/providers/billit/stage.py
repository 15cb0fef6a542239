"""The adapter and the sandbox platform, joined by real HTTP and by our door without its database."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from providers.billit.adapter import Billit
from providers.contract.base import (
    Account,
    Bell,
    Delivery,
    HookError,
    HookRequest,
    InvoiceFacts,
    Line,
    Reason,
    Reply,
    ShortVault,
    StatusMessage,
)
from providers.sandbox.server import SandboxServer
from tests.providers.fakes import Memory, Tokens

from .samples import Lines

OURS, THEIRS = "800112237", "905334413"
HOOK_URL = "https://navette.example.test/hooks/billit/{}/"
URLS = {OURS: HOOK_URL.format("l1"), THEIRS: HOOK_URL.format("l2")}
LINES = {
    OURS: Line(identifier=OURS, settings={"registration_id": "8001"}),
    THEIRS: Line(identifier=THEIRS, settings={"registration_id": "8002"}),
}


class Door:
    """Our webhook view without its database: serves, verifies, reads, answers."""

    def __init__(self) -> None:
        self.adapter: Billit
        self.deliveries: list[Delivery] = []
        self.served: list[Reply] = []
        self.refused: list[int] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        identifier = next(line for line, url in URLS.items() if str(request.url).startswith(url))
        pushed = HookRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.content,
            received_at=datetime.now(UTC),
            line=LINES[identifier],
            rest=str(request.url).removeprefix(URLS[identifier]).strip("/"),
        )
        try:
            if (reply := self.adapter.serve(pushed)) is not None:
                self.served.append(reply)
                return httpx.Response(reply.status_code)
            self.adapter.verify_webhook(pushed)
            self.deliveries.append(self.adapter.parse_webhook(pushed))
            self.bodies.append(pushed.body)
        except HookError as error:
            self.refused.append(error.status_code)
            return httpx.Response(error.status_code)
        return httpx.Response(204)

    @property
    def bells(self) -> list[Bell]:
        return [bell for delivery in self.deliveries for bell in delivery.bells]

    @property
    def words(self) -> list[str]:
        return [bell.hint.native_status for bell in self.bells if bell.hint]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    settings = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}
    with SandboxServer(settings=settings, transport=httpx.MockTransport(door)) as server:
        yield server


def make(sandbox: SandboxServer, client: httpx.Client, **settings) -> Billit:
    account = Account(
        id=f"sandbox {time.monotonic()}",
        name="sandbox",
        environment="sandbox",
        settings={"api_url": f"{sandbox.url}/billit", "portal_url": sandbox.url, "requests_per_second": 0} | settings,
        secrets={"api_key": "k3y", "client_secret": "cl1ent", "authorization_code": "c0de"},
        lines=Lines(*LINES.values(), of={}, urls=URLS),
        vault=ShortVault(),
    )
    return Billit(account, client=client, tokens=Tokens(), memory=Memory())


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door, client: httpx.Client) -> Billit:
    door.adapter = make(sandbox, client)
    door.adapter.register_webhooks()
    sandbox.wait_idle()
    return door.adapter


def deposit(sandbox: SandboxServer, **wish) -> str:
    wish = {"dialect": "billit", "buyer_siren": OURS, "sample": "stationery"} | wish
    made = sandbox.control("deposit", **wish)
    sandbox.wait_idle()
    return str(made["invoices"][0]["uuid"])


def issue(sandbox: SandboxServer, **wish) -> str:
    return deposit(sandbox, **({"direction": "OUTBOUND", "seller_siren": OURS} | wish))


def report(sandbox: SandboxServer, reference: str, status: str, **details) -> None:
    sandbox.control("status", invoice=reference, status=status, **details)
    sandbox.wait_idle()


def make_message(adapter: Billit, reference: str, status: str = "210", **changes) -> StatusMessage:
    found = adapter.fetch_invoice(reference)
    facts = InvoiceFacts(
        provider_ref=reference,
        direction=found.direction,
        number=found.number,
        type_code=found.type_code,
        issue_date=found.issue_date,
        seller=found.seller,
        buyer=found.buyer,
        line_identifier=OURS,
    )
    role = "BY" if status == "210" else "SE"
    reasons = (Reason(code="DOUBLON", text="é"),) if status == "210" else ()
    changes = {"issuer_role": role, "reasons": reasons} | changes
    return StatusMessage(id="m1", invoice=facts, status=status, occurred_at=datetime.now(UTC), **changes)


def accepted(sandbox: SandboxServer) -> list[int]:
    return [item["count"] for item in sandbox.control("calls")["accepted"]]


def codes(adapter: Billit, reference: str) -> list[str | None]:
    return [each.status for each in adapter.fetch_statuses(reference)]

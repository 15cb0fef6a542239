"""The adapter against the sandbox platform, over real HTTP: two readings of A-Cube's pages that share no code."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from providers.acube.adapter import ACube
from providers.contract.base import (
    Account,
    Delivery,
    File,
    HookError,
    HookRequest,
    InvoiceFacts,
    Line,
    Party,
    Payment,
    PermanentError,
    Reason,
    StatusMessage,
    TemporaryError,
    UncertainError,
)
from providers.sandbox.server import SandboxServer
from tests.providers.fakes import Memory, Tokens

OURS = "800112237"
HOOK_URL = "https://navette.example.test/hooks/acube/c1/"


class Door:
    """Our webhook view without its database: verifies, reads, answers."""

    def __init__(self) -> None:
        self.adapter: ACube
        self.deliveries: list[Delivery] = []
        self.refused: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        pushed = HookRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.content,
            received_at=datetime.now(UTC),
        )
        try:
            self.adapter.verify_webhook(pushed)
            self.deliveries.append(self.adapter.parse_webhook(pushed))
        except HookError as error:
            self.refused.append(error.status_code)
            return httpx.Response(error.status_code)
        return httpx.Response(204)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    settings = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}
    with SandboxServer(settings=settings, transport=httpx.MockTransport(door)) as server:
        server.control("settings", acube={"missing_documents_on_208": True, "timespec": "milliseconds"})
        yield server


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door) -> Iterator[ACube]:
    url = f"{sandbox.url}/acube"
    account = Account(
        id="sandbox",
        name="sandbox",
        environment="sandbox",
        settings={"api_url": url, "login_url": url, "requests_per_second": 0},
        secrets={"email": "bot@example.test", "password": "pass-phrase", "webhook_token": "hook-t0ken"},
        hook_url=HOOK_URL,
    )
    with httpx.Client(trust_env=False) as client:
        door.adapter = ACube(account, client=client, tokens=Tokens(), memory=Memory())
        door.adapter.register_webhooks()
        yield door.adapter


def deposit(sandbox: SandboxServer, adapter: ACube, **wish) -> str:
    sandbox.control("deposit", **({"buyer_siren": OURS, "sample": "stationery"} | wish))
    sandbox.wait_idle()
    return adapter.poll({}).invoices[0].provider_ref


def make_message(adapter: ACube, reference: str, status: str, **changes) -> StatusMessage:
    report = adapter.fetch_invoice(reference)
    facts = InvoiceFacts(
        provider_ref=reference,
        direction=report.direction,
        number=report.number,
        type_code=report.type_code,
        issue_date=report.issue_date,
        seller=report.seller,
        buyer=report.buyer,
    )
    changes = {"issuer_role": "BY"} | changes
    return StatusMessage(id="m1", invoice=facts, status=status, occurred_at=datetime.now(UTC), **changes)


def accepted(sandbox: SandboxServer) -> list[int]:
    return [item["count"] for item in sandbox.control("calls")["accepted"]]


def test_connection_is_good(adapter):
    assert [(result.name, result.message) for result in adapter.check() if not result.ok] == []
    assert adapter.register_webhooks() == ()


def test_invoice_arrives(sandbox, adapter, door):
    reference = deposit(sandbox, adapter)
    assert door.refused == []
    (bell,) = [bell for delivery in door.deliveries for bell in delivery.bells if bell.is_new_invoice]
    assert bell.provider_ref == reference
    report = adapter.fetch_invoice(reference)
    assert (report.direction, report.buyer.siren) == ("received", OURS)
    original, readable = adapter.fetch_files(reference)
    assert (original.kind, original.content[:5], readable.content[:5]) == ("original", b"<?xml", b"%PDF-")
    statuses = adapter.fetch_statuses(reference)
    assert [(status.status, status.issuer_role) for status in statuses] == [("200", "WK"), ("202", "WK"), ("203", "WK")]
    assert None not in [status.occurred_at for status in statuses]


def test_detail_on_the_inbound_path_alone(sandbox, adapter):
    sandbox.control("settings", acube={"inbound_detail_only": True})
    reference = deposit(sandbox, adapter)
    assert adapter.fetch_invoice(reference).direction == "received"


def test_every_offered_reason_is_taken_by_the_platform(sandbox, adapter):
    reference = deposit(sandbox, adapter)
    offered = [(s, code) for s in ("206", "207", "208", "210") for code in sorted(adapter.reasons_for(s, side="buyer"))]
    for status, code in offered:
        reasons = (Reason(code=code, text="é"),)
        adapter.send_status(make_message(adapter, reference, status, reasons=reasons, note="note"))
    sandbox.wait_idle()
    told = [(status.status, status.reasons[0].code) for status in adapter.fetch_statuses(reference) if status.reasons]
    assert told == offered


def test_payment_comes_back_as_it_was_told(sandbox, adapter, door):
    reference = deposit(sandbox, adapter)
    payments = (
        Payment(amount=Decimal("1200.10"), vat_rate=Decimal("20.00")),
        Payment(amount=Decimal("211.00"), vat_rate=Decimal("5.50")),
    )
    message = make_message(adapter, reference, "211", payments=payments)
    adapter.send_status(message)
    sandbox.wait_idle()
    assert adapter.fetch_statuses(reference)[-1].payments == payments
    assert adapter.find_status(message).confirmed
    assert door.deliveries[-1].bells[0].hint.status == "211"


@pytest.mark.parametrize(
    ("fault", "error", "is_shown"),
    [
        ("cut_after", UncertainError, True),
        ("server_error_after", UncertainError, True),
        ("cut_before", UncertainError, False),
        ("server_error", UncertainError, False),
        ("rate_limited", TemporaryError, False),
    ],
)
def test_status_in_trouble_is_looked_up(sandbox, adapter, fault, error, is_shown):
    message = make_message(adapter, deposit(sandbox, adapter), "205")
    sandbox.control("faults", kind=fault, path="POST .*lifecycle")
    with pytest.raises(error) as caught:
        adapter.send_status(message)
    sandbox.wait_idle()
    assert (type(caught.value), adapter.find_status(message) is not None) == (error, is_shown)
    assert accepted(sandbox) == ([1] if is_shown else [])


def test_token_lost_on_the_way(sandbox, adapter):
    message = make_message(adapter, deposit(sandbox, adapter), "205")
    sandbox.control("faults", kind="unauthorized_once", path="POST .*lifecycle")
    adapter.send_status(message)
    assert accepted(sandbox) == [1]


def test_submitted_invoice_lost_and_found(sandbox, adapter):
    received = deposit(sandbox, adapter)
    content = adapter.fetch_files(received)[0].content
    report = adapter.fetch_invoice(received)
    facts = InvoiceFacts(
        provider_ref="",
        direction="issued",
        number=report.number,
        type_code=report.type_code,
        issue_date=report.issue_date,
        seller=Party(siren=report.seller.siren),
        buyer=Party(siren=OURS),
    )
    assert adapter.find_invoice(facts) is None  # the received one is another
    sandbox.control("faults", kind="cut_after", path="POST .*/invoices$")
    with pytest.raises(UncertainError):
        adapter.submit_invoice(File(kind="original", content=content), facts)
    found = adapter.find_invoice(facts)
    assert adapter.fetch_invoice(found.reference).direction == "issued"
    with pytest.raises(UncertainError, match="duplicate"):
        adapter.submit_invoice(File(kind="original", content=content), facts)


def test_login_without_french_access(sandbox, adapter):
    sandbox.control("settings", acube={"roles": {"it.api.acubeapi.com": ["ROLE_WRITER"]}})
    with pytest.raises(PermanentError, match="French"):
        adapter.log_in()


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "stale_signature", "wrong_token"])
def test_spoiled_webhook_is_refused_and_its_retry_taken(sandbox, adapter, door, trick):
    sandbox.control("faults", kind=trick)
    deposit(sandbox, adapter)
    assert door.refused == [401]
    assert [delivery.bells[0].is_new_invoice for delivery in door.deliveries] == [True]


def test_unknown_status_is_kept(sandbox, adapter):
    reference = deposit(sandbox, adapter)
    sandbox.control("status", invoice=reference, status="XYZ")
    sandbox.wait_idle()
    last = adapter.fetch_statuses(reference)[-1]
    assert (last.status, last.native_status) == (None, "XYZ")


def test_poll_sees_what_changed(sandbox, adapter):
    reference = deposit(sandbox, adapter)
    cursor = adapter.poll({}).cursor
    sandbox.control("status", invoice=reference, status="205")
    sandbox.wait_idle()
    assert [bell.provider_ref for bell in adapter.poll(cursor).bells] == [reference]


def test_company_is_enrolled_and_found_in_the_directory(adapter, sandbox):
    sandbox.control("settings", acube={"onboarding_delay": 0})
    line, owner = Line(identifier=OURS), Party(name="Atelier Dupont", siren=OURS)
    kept = adapter.set_up_line(line, owner)
    assert kept["onboarding_url"].startswith("https://onboarding.example.test/sessions/")
    sandbox.wait_idle()

    assert adapter.set_up_line(line, owner) == {"legal_entity": kept["legal_entity"]}
    sandbox.control("deposit", buyer_siren=OURS, buyer_address=f"{OURS}_COMPTA")
    assert [entry.identifier for entry in adapter.search_directory(OURS)] == [f"{OURS}_COMPTA"]
    assert adapter.search_directory("999999998") == ()

"""The whole loop over real HTTP: the sandbox rings, we look, people decide, the sandbox hears, its echo confirms."""

import time

import pytest

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries as inbox
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays
from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.contract.base import Payment, Reason
from providers.models import WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_connection, make_customer, make_line, make_user

pytestmark = pytest.mark.django_db(transaction=True)

SIREN = "800112237"


class Desk:
    """Our side of the loop, with the worker run by hand."""

    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self.connection = make_connection(
            kind="acube",
            settings={"api_url": sandbox.url, "login_url": sandbox.url, "requests_per_second": 0},
            secrets={"email": "bot@example.test", "password": "s3cret", "webhook_token": "abc"},
        )
        self.customer = make_customer(siren=SIREN)
        self.line = make_line(self.customer, self.connection, identifier=SIREN)
        self.approver = make_user(self.customer, "approver")
        open_hook(connection=self.connection)
        get_adapter(self.connection).register_webhooks()

    def deposit(self, **wish: object) -> str:
        answer = self.sandbox.control("deposit", buyer_siren=SIREN, buyer_address=SIREN, **wish)
        return str(answer["invoices"][0]["uuid"])

    def work(self, until: object, seconds: float = 15) -> None:
        """Drain until `until()` is true, as the worker would."""
        deadline = time.monotonic() + seconds
        while not until():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.describe()
            inbox.drain()
            relays.drain()
            time.sleep(0.05)

    def describe(self) -> str:
        deliveries = list(WebhookDelivery.objects.values_list("state", "error", "attempts"))
        tasks = list(RelayTask.objects.values_list("state", "last_error", "attempts"))
        return f"deliveries {deliveries}; relays {tasks}; sandbox {self.sandbox.control('webhooks')}"

    def invoice(self, ref: str) -> Invoice:
        return Invoice.objects.get(provider_ref=ref)

    def receive(self, **wish: object) -> Invoice:
        ref = self.deposit(**wish)
        self.work(lambda: Invoice.objects.filter(provider_ref=ref, status="203").exists())
        return self.invoice(ref)

    def decide(self, invoice: Invoice, status: str, **rest: object) -> RelayTask:
        wish = Wish(status=status, **rest)  # type: ignore[arg-type]
        return services.issue_status(user=self.approver, invoice_id=invoice.pk, wish=wish)[0]

    def accepted(self) -> dict[tuple[str, str], int]:
        rows = self.sandbox.control("calls")["accepted"]
        return {(row["invoice"], row["status"]): row["count"] for row in rows}

    def state(self, relay: RelayTask) -> str:
        relay.refresh_from_db()
        return relay.state


@pytest.fixture
def desk(live_server, settings):
    settings.PUBLIC_URL = live_server.url
    with SandboxServer(settings={"echo_delay": 0.1, "acube": {"missing_documents_on_208": True}}) as sandbox:
        yield Desk(sandbox)


def test_invoice_arrives_and_is_read(desk):
    invoice = desk.receive()

    assert invoice.document_state == "read"
    assert invoice.customer == desk.customer
    assert invoice.total_with_vat == invoice.total_without_vat + invoice.total_vat
    assert [event.status for event in invoice.status_events.all()] == ["200", "202", "203"]
    assert not invoice.status_events.filter(unexpected=True).exists()
    assert invoice.documents.filter(kind="original").count() == 1


def test_decisions_reach_the_platform_once_and_are_confirmed(desk):
    invoice = desk.receive()
    sent = [
        desk.decide(invoice, "204"),
        desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),)),
        desk.decide(invoice, "205"),
        desk.decide(invoice, "211", payments=(Payment(amount=invoice.total_with_vat, vat_rate=20),)),
    ]

    desk.work(lambda: all(desk.state(relay) == RelayState.CONFIRMED for relay in sent))

    ref = invoice.provider_ref
    assert desk.accepted() == {(ref, "204"): 1, (ref, "207"): 1, (ref, "205"): 1, (ref, "211"): 1}
    invoice.refresh_from_db()
    assert invoice.status == "211"
    assert [event.origin for event in invoice.status_events.order_by("sequence")] == ["platform"] * 3 + ["us"] * 4


def test_supplier_completes_a_suspended_invoice(desk):
    invoice = desk.receive()
    desk.decide(invoice, "208", reasons=(Reason(code="JUSTIF_ABS", text="Bon de livraison ?"),))

    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "209")


@pytest.mark.parametrize("fault", ["cut_after", "server_error_after"])
def test_lost_answer_is_looked_up_not_repeated(desk, fault, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.2, 0.2, 0.2))
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path="lifecycle$", times=1)
    relay = desk.decide(invoice, "205")

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "205"): 1}


@pytest.mark.parametrize("fault", ["cut_before", "server_error", "unauthorized_once"])
def test_call_that_was_not_accepted_is_made_again(desk, fault, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(relays, "RETRY_DELAYS", (0.1,) * 5)
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path="lifecycle$", times=1)
    relay = desk.decide(invoice, "205")

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "205"): 1}

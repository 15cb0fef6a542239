"""The recipe of providers/README.md, followed: a platform nobody heard of works through every door."""

import pytest
from django.core.management import call_command

from invoices.models import Invoice
from lifecycle.inbox import deliveries, polling
from lifecycle.models import RelayState
from providers.connections.registry import get_adapter
from providers.connections.services import check_connection, open_hook
from providers.contract.base import Reason
from providers.contract.kinds import ADAPTERS
from providers.models import Connection, WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_connection, make_customer, make_line, make_user
from tests.providers.pigeon.dialect import PigeonLoft

from .test_loop import SIREN, Desk

pytestmark = pytest.mark.django_db(transaction=True)


class PigeonDesk(Desk):
    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self.connection = make_connection(
            kind="pigeon",
            settings={"api_url": f"{sandbox.url}/pigeon", "requests_per_second": 0},
            secrets={"key": "k-47", "push_secret": "c00-c00"},
        )
        self.customer = make_customer(siren=SIREN)
        self.line = make_line(self.customer, self.connection, identifier=SIREN)
        self.approver = make_user(self.customer, "approver")
        open_hook(connection=self.connection)
        get_adapter(self.connection).register_webhooks()

    def deposit(self, **wish: object) -> str:
        return super().deposit(dialect="pigeon", **wish)


@pytest.fixture
def desk(live_server, settings, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "pigeon", "tests.providers.pigeon.adapter.Pigeon")
    settings.PUBLIC_URL = live_server.url
    quick = {"echo_delay": 0.1, "auto_react": False, "pigeon": {"key": "k-47"}}
    with SandboxServer(settings=quick, dialects=(PigeonLoft,)) as sandbox:
        yield PigeonDesk(sandbox)


def test_decisions_are_carried_once_and_confirmed(desk):
    invoice = desk.receive()
    relays = [
        desk.decide(invoice, "204"),
        desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),)),
        desk.decide(invoice, "205"),
    ]
    desk.work(lambda: all(desk.state(relay) == RelayState.CONFIRMED for relay in relays))

    ref = invoice.provider_ref
    assert desk.accepted() == {(ref, "204"): 1, (ref, "207"): 1, (ref, "205"): 1}
    assert desk.invoice(ref).status == "205"


def test_lost_answer_is_looked_up_before_anything_is_said_again(desk):
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="cut_after", path="POST .*states")
    relay = desk.decide(invoice, "204")
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "204"): 1}


def test_status_without_a_word_stays_with_us_and_says_so(desk):
    invoice = desk.receive()
    relay = desk.decide(invoice, "208", reasons=(Reason(code="JUSTIF_ABS", text="Bon de livraison ?"),))

    assert (desk.state(relay), desk.accepted()) == (RelayState.UNSUPPORTED, {})
    assert desk.invoice(invoice.provider_ref).status == "208"


def test_forged_push_is_refused_and_the_retry_is_read(desk):
    desk.sandbox.control("faults", kind="wrong_signature")
    invoice = desk.receive()

    assert invoice.document_state == "read"
    assert desk.connection.refused_requests.get().status_code == 401


def test_invoice_without_a_push_is_found_by_polling(desk):
    desk.sandbox.sandbox.dialect("pigeon").state.destinations.clear()
    ref = desk.deposit()
    polling.poll(desk.connection)
    deliveries.drain()

    assert (desk.invoice(ref).status, WebhookDelivery.objects.get().key) == ("203", f"bell {ref}")


def test_check_tells_a_wrong_key(desk):
    assert [result.ok for result in check_connection(desk.connection)] == [True]
    Connection.objects.filter(pk=desk.connection.pk).update(secrets={"key": "other", "push_secret": "c00-c00"})
    assert [result.ok for result in check_connection(Connection.objects.get(pk=desk.connection.pk))] == [False]


def test_set_up_is_explained(desk, capsys):
    call_command("provision", explain="pigeon")

    assert '"kind": "pigeon"' in capsys.readouterr().out
    assert Invoice.objects.count() == 0

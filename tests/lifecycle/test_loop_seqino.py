"""The whole loop with Seqino over real HTTP: set up, arrive, be read; statuses by the doorbell and by asking; decisions
that stay to be done on the platform.
"""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from invoices.customers.lines import set_up_line
from invoices.models import AddressingLine, Invoice
from lifecycle import provisioning
from lifecycle.inbox import asking, deliveries, polling, queue
from lifecycle.models import PlannedLook, RelayState, RelayTask
from lifecycle.outbox import relays
from providers.connections.registry import get_adapter
from providers.contract.base import Reason
from providers.models import Connection, Subscription, WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_user

from .test_loop import Desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _in_english(settings):
    settings.LANGUAGE_CODE = "en"
    with override("en"):
        yield


OURS, OTHERS = "800112237", "905334413"


class SeqinoDesk(Desk):
    """Two customers are Seqino's clients, each with its line set up there."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.provision()
        self.connection = Connection.objects.get()
        for line in AddressingLine.objects.select_related("customer", "connection"):
            set_up_line(line=line)
        sandbox.wait_idle()
        get_adapter(self.connection).register_webhooks()
        self.customer = AddressingLine.objects.get(identifier=OURS).customer
        self.approver = make_user(self.customer, "approver")

    def provision(self, **settings):
        url = f"{self.sandbox.url}/seqino/api"
        settings = {"api_url": url, "requests_per_second": 0, "contact_email": "a@example.test"} | settings
        connection = {"name": "seqino-main", "kind": "seqino", "settings": settings, "secrets": {"api_key": "sk-1"}}
        customers = [
            {"siren": siren, "name": f"Client {siren}",
             "addressing_lines": [{"identifier": siren, "connection": "seqino-main"}]}
            for siren in (OURS, OTHERS)
        ]  # fmt: skip
        provisioning.provision({"connections": [connection], "customers": customers})

    def deposit(self, siren=OURS, **wish):
        wish = {"dialect": "seqino", "buyer_siren": siren, "buyer_address": siren} | wish
        return self.sandbox.control("deposit", **wish)["invoices"][0]["uuid"]

    def receive(self, siren=OURS, **wish):
        ref = self.deposit(siren, **wish)
        self.work(lambda: Invoice.objects.filter(provider_ref=ref, status="203").exists())
        return Invoice.objects.get(provider_ref=ref)

    def say(self, invoice, status, **details):
        self.sandbox.control("status", invoice=invoice.provider_ref, status=status, **details)

    def status(self, invoice):
        return Invoice.objects.get(pk=invoice.pk).status

    def states(self):
        return sorted(WebhookDelivery.objects.values_list("state", flat=True))


@pytest.fixture
def desk(live_server, settings):
    settings.PUBLIC_URL = live_server.url
    wishes = {"echo_delay": 0.1, "auto_react": False, "seqino": {"onboarding_delay": 0}, "retry_scale": 0.0005}
    with SandboxServer(settings=wishes) as sandbox:
        sandbox.control("settings", seqino={"strict_clients": True})
        yield SeqinoDesk(sandbox)


@pytest.mark.parametrize("named", [True, False])
def test_invoice_arrives_for_its_customer_and_is_read(desk, named):
    desk.sandbox.control("settings", seqino={"names_client": named})
    first, second = desk.receive(OURS), desk.receive(OTHERS)

    assert (first.customer.siren, second.customer.siren) == (OURS, OTHERS)
    assert [event.status for event in first.status_events.order_by("sequence")] == ["200", "202", "203"]
    assert [event.emitter for event in first.status_events.order_by("sequence")] == ["PDPE", "PDPR", "PDPR"]
    assert (first.document_state, first.direction) == ("read", "received")
    assert first.total_with_vat == first.total_without_vat + first.total_vat


def test_invoice_is_visible_with_its_duty(desk, client):
    invoice = desk.receive()
    client.force_login(desk.approver)
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk])).content.decode()
    assert (invoice.number in page, "(PDPE)" in page, page.count("24-hour duty")) == (True, True, 1)


def test_status_comes_by_the_doorbell(desk):
    invoice = desk.receive()
    desk.say(invoice, "208", reason="Bon de livraison ?", rejection_reason="JUSTIF_ABS")
    desk.work(lambda: desk.status(invoice) == "208")
    desk.say(invoice, "209")
    desk.work(lambda: desk.status(invoice) == "209")  # reopened, not closed
    event = invoice.status_events.get(status="208")
    assert event.reasons == [{"code": "JUSTIF_ABS", "text": "Bon de livraison ?", "native_code": "JUSTIF_ABS"}]


def test_status_comes_by_asking_where_nobody_rings(desk):
    invoice = desk.receive()
    polling.poll(desk.connection)
    desk.sandbox.control("faults", kind="no_echo")
    desk.sandbox.sandbox.dialect("seqino").report(
        desk.sandbox.sandbox.state.invoices["seqino"][invoice.provider_ref], "205", echo=True
    )
    assert (deliveries.drain(), desk.status(invoice)) == (0, "203")

    PlannedLook.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert asking.ask_due() == 1
    assert desk.status(invoice) == "205"


def test_poll_by_hand_asks_for_what_is_not_due_yet(desk, capsys):
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="no_echo")
    desk.sandbox.sandbox.dialect("seqino").report(
        desk.sandbox.sandbox.state.invoices["seqino"][invoice.provider_ref], "205", echo=True
    )
    call_command("poll")
    assert (capsys.readouterr().out, desk.status(invoice)) == ("seqino-main: 1 new\n", "205")


def test_word_of_another_class_never_moves_the_invoice(desk):
    invoice = desk.receive()
    desk.say(invoice, "RegulatoryDataStatus.REJECTED", emitter="PPF")
    desk.work(lambda: invoice.status_events.count() == 4)
    event = invoice.status_events.get(status="251")
    assert (desk.status(invoice), event.native_status, event.issuer_role) == (
        "203", "RegulatoryDataStatus.REJECTED", "DFH",
    )  # fmt: skip
    invoice.refresh_from_db()
    assert invoice.alert == "251"


def test_decision_is_to_be_done_on_the_platform_and_never_sent(desk):
    invoice = desk.receive()
    before = len(desk.sandbox.control("calls")["calls"])
    relay = desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 sur 10"),))
    for _round in range(3):
        relays.drain()
        RelayTask.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    relay.refresh_from_db()
    assert (relay.state, relay.attempts) == (RelayState.UNSUPPORTED, 0)
    assert len(desk.sandbox.control("calls")["calls"]) == before


def test_decision_done_on_the_platform_is_confirmed_when_it_shows_it(desk):
    invoice = desk.receive()
    relay = desk.decide(invoice, "205")
    desk.say(invoice, "205")  # as a person does in Seqino's own software
    desk.work(lambda: RelayTask.objects.get(pk=relay.pk).state == RelayState.CONFIRMED)
    assert invoice.status_events.filter(status="205").count() == 1


def test_experimental_endpoint_is_told_once_and_echoed(desk):
    desk.sandbox.control("settings", seqino={"take_statuses": True})
    desk.provision(status_endpoint="lifecycle-events")
    invoice = desk.receive()
    relay = desk.decide(invoice, "205")
    desk.work(lambda: RelayTask.objects.get(pk=relay.pk).state == RelayState.CONFIRMED)
    accepted = {row["status"]: row["count"] for row in desk.sandbox.control("calls")["accepted"]}
    assert accepted == {"205": 1}


def test_observed_push_is_kept_and_the_genuine_one_applies(desk):
    desk.sandbox.control("faults", kind="wrong_signature")
    ref = desk.deposit()
    desk.work(lambda: desk.states() == ["ignored"])
    assert not Invoice.objects.exists()
    observed = WebhookDelivery.objects.get()
    assert observed.error == "Observed, nothing applied: The signature does not fit."

    desk.sandbox.control("status", invoice=ref, status="204")  # the next genuine push brings it all
    desk.work(lambda: Invoice.objects.filter(provider_ref=ref, status="204").exists())


def test_forged_push_is_refused_once_observe_mode_is_off(desk):
    desk.provision(observe_mode=False)
    desk.sandbox.control("faults", kind="unsigned")
    desk.receive()  # by the retry
    assert Connection.objects.get().refused_requests.values_list("status_code", flat=True)[0] == 401


FAULTS = {
    "unauthorized_once": "lifecycle-events",
    "rate_limited": "invoice_data",
    "server_error": "invoice_data",
    "cut_before": "lifecycle-events",
    "cut_after": "lifecycle-events",
    "server_error_after": "lifecycle-events",
    "slow": "invoice_data",
    "broken_document": "invoice_data",
    "twice": "",
    "late": "",
    "malformed_body": "",
    "unknown_status": "",
    "unknown_invoice": "",
}


def test_misbehaving_platform_loses_nothing_and_doubles_nothing(desk, monkeypatch):
    monkeypatch.setattr(queue, "RETRY_DELAYS", (0.1,) * 7)
    histories = {}
    for fault, path in FAULTS.items():
        desk.sandbox.control("faults", kind=fault, path=path, delay=0.1)
        invoice = desk.receive()
        desk.say(invoice, "205")
        desk.work(lambda invoice=invoice: desk.status(invoice) == "205")
        known = invoice.status_events.exclude(status=None).order_by("sequence")
        histories[fault] = [event.status for event in known]
    assert histories == {key: ["200", "202", "203", "205"] for key in FAULTS}
    assert Invoice.objects.count() == len(FAULTS)


def test_mandate_news_reach_the_line(desk):
    line = AddressingLine.objects.get(identifier=OURS)
    Connection.objects.update(polled_at=timezone.now())
    mandate = line.settings["mandate_id"]
    desk.sandbox.sandbox.dialect("seqino").mandates.change(mandate, "error")
    desk.work(lambda: Connection.objects.get().polled_at is None)
    polling.poll(Connection.objects.get())
    subscription = Subscription.objects.get(line_identifier=OURS)
    assert (subscription.state, subscription.reference) == ("failed", mandate)
    assert "The SMP refused the recipient." in subscription.last_error


def test_no_secret_is_shown_anywhere(desk, client, caplog):
    invoice = desk.receive()
    secret = get_adapter(desk.connection).account.vault.get("webhook")["secret"]
    client.force_login(make_user(is_superuser=True, is_staff=True, username="root"))
    addresses = [
        reverse("lifecycle:invoice", args=[invoice.pk]),
        reverse("lifecycle:connections"),
        reverse("admin:providers_connection_change", args=[desk.connection.pk]),
        *(reverse("admin:providers_webhookdelivery_change", args=[row.pk]) for row in WebhookDelivery.objects.all()),
    ]
    shown = [caplog.text, *(client.get(address).content.decode() for address in addresses)]
    shown += [repr(get_adapter(desk.connection).account), str(list(Connection.objects.values()))]
    assert [word for word in (secret, "sk-1") if any(word in page for page in shown)] == []

"""The whole loop over real HTTP with Billit: an invoice arrives, is refused once, and the order confirms it."""

import logging

import pytest
from django.db import connection as database
from django.urls import reverse

from invoices.models import Invoice
from lifecycle.inbox import deliveries, polling, queue
from lifecycle.models import RelayState
from lifecycle.outbox import relays
from lifecycle.provisioning import provision
from providers.billit.orders import forget_files
from providers.connections.registry import get_adapter
from providers.connections.services import check_connection, open_hook
from providers.contract.base import Payment, Reason
from providers.models import CachedToken, Connection, RefusedRequest, WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_connection, make_customer, make_line, make_user

from .test_loop import SIREN, Desk

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "k3y-of-the-master"
DOUBLON = (Reason(code="DOUBLON", text="déjà reçue"),)


class BillitDesk(Desk):
    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self.connection = make_connection(
            kind="billit",
            settings={"api_url": f"{sandbox.url}/billit", "portal_url": sandbox.url, "requests_per_second": 0},
            secrets={"api_key": KEY},
        )
        self.customer = make_customer(siren=SIREN)
        self.line = make_line(self.customer, self.connection, identifier=SIREN)
        self.line.settings = {"registration_id": "8001"}
        self.line.save()
        self.approver = make_user(self.customer, "approver")
        open_hook(connection=self.connection, line_identifier=SIREN)
        get_adapter(self.connection).register_webhooks()
        sandbox.wait_idle()

    def deposit(self, **wish: object) -> str:
        return super().deposit(dialect="billit", **wish)

    def issue(self, **wish: object) -> Invoice:
        """An invoice of ours that Billit has taken in, and told us of."""
        made = self.sandbox.control("deposit", dialect="billit", direction="OUTBOUND", seller_siren=SIREN, **wish)
        ref = str(made["invoices"][0]["uuid"])
        self.work(lambda: Invoice.objects.filter(provider_ref=ref).exists())
        return self.invoice(ref)

    def report(self, invoice: Invoice, status: str, **details: object) -> None:
        self.sandbox.control("status", invoice=invoice.provider_ref, status=status, **details)

    def history(self, invoice: Invoice) -> list[tuple[str | None, str]]:
        return list(invoice.status_events.order_by("sequence").values_list("status", "native_status"))

    def secrets(self) -> list[str]:
        return [webhook.secret for webhook in self.sandbox.sandbox.dialect("billit").state.webhooks.values()]


@pytest.fixture
def sandbox():
    settings = {"echo_delay": 0.1, "auto_react": False, "retry_scale": 0.0005}
    with SandboxServer(settings=settings) as sandbox:
        yield sandbox


@pytest.fixture
def desk(sandbox, live_server, settings, monkeypatch):
    settings.PUBLIC_URL = live_server.url
    settings.LANGUAGE_CODE = "en"
    monkeypatch.setattr(queue, "RETRY_DELAYS", (0.1, 0.1, 0.2, 0.5, 0.5, 0.5, 0.5))
    return BillitDesk(sandbox)


def test_invoice_arrives_and_is_read(desk):
    invoice = desk.receive()

    assert (invoice.document_state, invoice.customer, invoice.addressing_line) == ("read", desk.customer, desk.line)
    assert desk.history(invoice) == [("203", "Cost")]
    assert not invoice.status_events.filter(unexpected=True).exists()
    assert sorted(invoice.documents.values_list("kind", flat=True)) == ["original", "readable"]


def test_refusal_reaches_billit_once_and_is_confirmed(desk):
    invoice = desk.receive()
    relay = desk.decide(invoice, "210", reasons=DOUBLON)

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)
    desk.work(lambda: not WebhookDelivery.objects.filter(state="received").exists())

    assert desk.accepted() == {(invoice.provider_ref, "210"): 1}
    assert desk.invoice(invoice.provider_ref).status == "210"
    assert desk.history(invoice) == [("203", "Cost"), ("210", "")]


def test_decision_billit_does_not_carry_stays_with_us(desk):
    invoice = desk.receive()
    told = [
        desk.decide(invoice, "204"),
        desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR"),)),
        desk.decide(invoice, "205"),
    ]

    desk.work(lambda: all(desk.state(relay) == RelayState.UNSUPPORTED for relay in told))

    assert (desk.accepted(), {relay.next_attempt_at for relay in told}) == ({}, {None})
    assert desk.invoice(invoice.provider_ref).status == "205"


@pytest.mark.parametrize("fault", ["cut_after", "server_error_after"])
def test_lost_answer_is_looked_up_not_repeated(desk, fault, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.3, 0.3, 0.3))
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path="refuse$")
    desk.sandbox.control("faults", kind="no_echo")
    relay = desk.decide(invoice, "210", reasons=DOUBLON)

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "210"): 1}


@pytest.mark.parametrize("fault", ["cut_before", "server_error", "rate_limited"])
def test_call_that_was_not_accepted_is_made_again(desk, fault, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(relays, "RETRY_DELAYS", (0.1,) * 5)
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path="refuse$")
    relay = desk.decide(invoice, "210", reasons=DOUBLON)

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "210"): 1}


def test_missing_echo_is_made_good_by_looking(desk, monkeypatch):
    monkeypatch.setattr(relays, "CONFIRM_DELAYS", (0.3,) * 5)
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="no_echo")
    relay = desk.decide(invoice, "210", reasons=DOUBLON)

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)


def test_payment_in_full_is_confirmed_by_the_order(desk, monkeypatch):
    monkeypatch.setattr(relays, "CONFIRM_DELAYS", (0.3,) * 5)
    invoice = desk.issue(sample="consulting")
    desk.report(invoice, "203")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "203")
    paid = desk.invoice(invoice.provider_ref).total_with_vat
    relay = desk.decide(invoice, "212", payments=(Payment(amount=paid, vat_rate=20),))

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "212"): 1}


# --- an issued invoice on its way ---


@pytest.mark.parametrize("shape", ["A", "B"])
def test_network_states_are_derived_and_a_refusal_is_resolved(desk, shape):
    desk.sandbox.control("settings", billit={"shape": shape})
    invoice = desk.issue()
    desk.report(invoice, "201")
    desk.report(invoice, "203")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "203")
    desk.report(invoice, "210", reason="DOUBLON", note="reçue deux fois")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "210")
    desk.work(lambda: not WebhookDelivery.objects.filter(state="received").exists())

    history = desk.history(invoice)
    assert history[-1] == ("210", "Refused")
    assert set(history[:-1]) <= {("201", "Sent"), ("203", "Delivered")}
    assert not invoice.status_events.filter(unexpected=True).exists()
    refused = invoice.status_events.get(status="210")
    assert (refused.issuer_role, refused.reasons) == ("BY", [{"code": "DOUBLON", "text": "reçue deux fois"}])


def test_refusal_of_unknown_cause_is_shown_and_explained_later(desk):
    desk.sandbox.control("settings", billit={"lifecycle_files": False})
    invoice = desk.issue()
    desk.report(invoice, "203")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "203")
    desk.report(invoice, "213")
    desk.work(lambda: (None, "Refused") in desk.history(invoice))
    shown = invoice.status_events.get(native_status="Refused")
    assert (desk.invoice(invoice.provider_ref).status, shown.note[:41]) == (
        "203",
        "Billit does not say who refused it, nor w",
    )

    desk.sandbox.control("settings", billit={"lifecycle_files": True})
    forget_files()  # the file said nothing, and is kept
    polling.refresh(invoice)
    assert desk.invoice(invoice.provider_ref).status == "213"


def test_approval_is_never_read_from_accepted(desk):
    invoice = desk.issue()
    desk.report(invoice, "202")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "202")
    assert "205" not in [status for status, _word in desk.history(invoice)]


def test_news_before_the_invoice_waits_for_it(desk):
    desk.sandbox.control("faults", kind="late", path="Order I", delay=3)  # longer than a busy machine needs
    made = desk.sandbox.control("deposit", dialect="billit", direction="OUTBOUND", seller_siren=SIREN)
    ref = str(made["invoices"][0]["uuid"])
    desk.sandbox.control("status", invoice=ref, status="203")
    desk.work(lambda: WebhookDelivery.objects.filter(state="quarantined", waits_for=ref).exists())
    desk.work(lambda: Invoice.objects.filter(provider_ref=ref, status="203").exists())
    desk.work(lambda: not WebhookDelivery.objects.exclude(state__in=("processed", "ignored")).exists())


@pytest.mark.parametrize("fault", ["twice", "out_of_order", "unsigned", "wrong_signature", "stale_signature", "late"])
def test_pushes_that_misbehave_bring_the_invoice_once(desk, fault):
    desk.sandbox.control("faults", kind=fault, delay=0.2)
    invoice = desk.receive()
    desk.sandbox.wait_idle()
    assert Invoice.objects.count() == 1
    assert desk.history(invoice) == [("203", "Cost")]


def test_poll_brings_what_no_webhook_told(desk):
    get_adapter(desk.connection).unsubscribe(get_adapter(desk.connection).account.lines.find(SIREN))
    ref = desk.deposit()
    desk.connection.refresh_from_db()
    assert polling.poll(desk.connection) == 1
    deliveries.drain()
    assert desk.invoice(ref).status == "203"
    history = desk.history(desk.invoice(ref))
    desk.connection.refresh_from_db()
    polling.poll(desk.connection)  # overlapping: it is looked at again, and nothing is new
    deliveries.drain()
    assert desk.history(desk.invoice(ref)) == history


def test_provisioned_line_gets_an_address_of_its_own(settings):
    settings.PUBLIC_URL = "https://navette.example.test"
    line = {"identifier": SIREN, "connection": "billit-main", "settings": {"registration_id": "8001"}}
    made = provision(
        {
            "connections": [{"name": "billit-main", "kind": "billit", "secrets": {"api_key": KEY}}],
            "customers": [{"siren": SIREN, "name": "Atelier Dupont", "addressing_lines": [line]}],
        }
    )
    assert "hook_url" not in made["connections"][0]
    row = made["customers"][0]["addressing_lines"][0]
    assert row["hook_url"] == f"https://navette.example.test/hooks/billit/{row['callback_token']}/"
    adapter = get_adapter(Connection.objects.get())
    assert adapter.account.lines.hook_url(SIREN) == row["hook_url"]


# --- secrets ---


def test_secrets_of_webhooks_are_stored_sealed_and_shown_nowhere(desk, admin_client, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    desk.receive()
    secrets = [*desk.secrets(), KEY]
    assert (len(secrets), RefusedRequest.objects.count()) == (4, 0)
    row = Connection.objects.get(pk=desk.connection.pk)
    pages = [
        reverse("admin:providers_connection_changelist"),
        reverse("admin:providers_connection_change", args=[row.pk]),
        reverse("admin:providers_webhookdelivery_changelist"),
        *(reverse("admin:providers_webhookdelivery_change", args=[each.pk]) for each in WebhookDelivery.objects.all()),
        reverse("admin:invoices_addressingline_change", args=[desk.line.pk]),
    ]
    shown = [admin_client.get(page).content.decode() for page in pages]
    shown += [str(vars(row)), str(list(WebhookDelivery.objects.values())), str(check_connection(row)), caplog.text]
    shown += [repr(each) for each in CachedToken.objects.all()]
    with database.cursor() as cursor:
        cursor.execute("SELECT array_agg(t::text) FROM providers_cachedtoken t")
        shown += cursor.fetchone()[0]
    printed = capsys.readouterr()
    everything = "\n".join([*shown, printed.out, printed.err])
    assert [secret for secret in secrets if secret in everything] == []
    assert len(everything) > 10_000


def test_confirmation_call_leaves_no_trace_but_the_secret(desk):
    assert WebhookDelivery.objects.count() == 0
    assert RefusedRequest.objects.count() == 0
    kept = [row.value for row in CachedToken.objects.filter(scope__startswith="vault webhook")]
    assert sorted(each["secret"] for each in kept) == sorted(desk.secrets())
    assert {each["state"] for each in kept} == {"active"}

"""The whole loop over real HTTP for Cegid's protocol, in both seats, against the sandbox at the other end."""

import httpx
import pytest

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.models import RelayState, StatusEvent
from lifecycle.outbox import relays
from providers.connections import services as platforms
from providers.connections.registry import as_line, get_adapter
from providers.connections.sealing import Secrets
from providers.contract.base import Reason
from providers.models import Subscription, WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_connection, make_customer, make_line, make_user
from tests.processes import wait_until

from .test_loop import Desk

pytestmark = pytest.mark.django_db(transaction=True)

SIREN = "800112237"
LINE, SECOND = f"{SIREN}_80011223700014", f"{SIREN}_COMPTA"
SPOILED = ("late", "twice", "out_of_order", "malformed_body", "unknown_invoice", "unknown_status")
SEND = r"POST .*(lifecycle-events|callbacks)"


class CegidDesk(Desk):
    """Our side, with the worker run by hand. `kind` is our seat; the sandbox's dialect of that name sits opposite."""

    kind = ""
    settings: dict[str, object] = {}

    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        settings = {"requests_per_second": 0} | self.settings_for(sandbox)
        self.connection = make_connection(kind=self.kind, settings=settings, secrets={"subscription_key": "k3y-of-all"})
        self.customer = make_customer(siren=SIREN)
        self.approver = make_user(self.customer, "approver")
        self.lines = [self.add_line(identifier) for identifier in (LINE, SECOND)]

    def settings_for(self, sandbox: SandboxServer) -> dict[str, object]:
        raise NotImplementedError

    def add_line(self, identifier: str):
        raise NotImplementedError

    def arrive(self, number: str = "F-1", line: str = LINE) -> Invoice:
        raise NotImplementedError

    def deposit(self, direction: str, number: str, line: str) -> None:
        ours = "buyer" if direction == "INBOUND" else "seller"
        wish = {f"{ours}_siren": SIREN, f"{ours}_address": line, "number": number, "sample": "stationery"}
        self.sandbox.control("deposit", dialect=self.kind, direction=direction, **wish)

    def receive(self, status: str, number: str = "F-1", line: str = LINE) -> Invoice:
        self.work(lambda: Invoice.objects.filter(number=number, status=status).exists())
        invoice = Invoice.objects.get(number=number)
        assert invoice.addressing_line.identifier == line
        return invoice

    def accepted(self) -> dict[str, int]:
        rows = self.sandbox.control("calls")["accepted"]
        return {row["status"]: row["count"] for row in rows if row["dialect"] == self.kind}

    def told(self, invoice: Invoice) -> list[tuple[str | None, str]]:
        return list(invoice.status_events.order_by("sequence").values_list("status", "origin"))


class PlatformDesk(CegidDesk):
    """We are the platform: our people carry what buyers say about our customer's sales."""

    kind = "cegid"

    def settings_for(self, sandbox):
        return {"od_url": f"{sandbox.url}/cegid"}

    def add_line(self, identifier):
        line = make_line(self.customer, self.connection, identifier)
        line.secrets = Secrets({"api_key": f"client-{identifier}:s3cret-{identifier}"})
        line.save()
        platforms.subscribe_line(connection=self.connection, line=as_line(line))
        return line

    def arrive(self, number="F-1", line=LINE):
        self.deposit("OUTBOUND", number, line)
        for status in ("201", "202", "203"):  # what our network part told comes back as echoes
            self.sandbox.control("status", invoice=number, status=status)
        return self.receive("203", number, line)


class ConcentratorDesk(CegidDesk):
    """We are the concentrator: our people decide for our customer about its purchases."""

    kind = "cegid_od"

    def settings_for(self, sandbox):
        return {"callback_private": True, "callback_plain": True}

    def add_line(self, identifier):
        line = make_line(self.customer, self.connection, identifier)
        platforms.open_hook(connection=self.connection)
        data = platforms.make_connection_data(connection=self.connection, line_identifier=identifier)
        answer = httpx.post(f"{self.sandbox.url}/cegid_od/connection-data", json=data, trust_env=False)
        assert (answer.status_code, answer.json().keys()) == (201, {"subscriptionId"})
        return line

    def arrive(self, number="F-1", line=LINE):
        self.deposit("INBOUND", number, line)
        return self.receive("203", number, line)


@pytest.fixture(params=[PlatformDesk, ConcentratorDesk], ids=lambda cls: cls.kind)
def desk(request, live_server, settings):
    settings.PUBLIC_URL = live_server.url
    with SandboxServer(settings={"echo_delay": 0.05, "retry_scale": 0.0005, "auto_react": False}) as sandbox:
        sandbox.control("settings", cegid_od={"echo": True})
        yield request.param(sandbox)


def test_lines_are_subscribed_and_invoices_arrive_for_each(desk):
    rows = Subscription.objects.filter(connection=desk.connection)
    assert [row.state for row in rows] == ["active", "active"]
    assert len({row.callback["url"] for row in rows}) == 2
    assert [result.message for result in get_adapter(desk.connection).check() if not result.ok] == []

    for number, line in (("F-1", LINE), ("F-2", SECOND)):
        invoice = desk.arrive(number, line)
        assert (invoice.document_state, invoice.customer, invoice.document_error) == ("read", desk.customer, "")
        assert invoice.total_with_vat == invoice.total_without_vat + invoice.total_vat
        assert invoice.documents.filter(kind="original").count() == 1
        assert not invoice.status_events.filter(unexpected=True).exists()


def test_decisions_reach_the_other_end_once_and_their_echo_confirms_them(desk):
    invoice = desk.arrive()
    before = len(desk.told(invoice))
    sent = [
        desk.decide(invoice, "204"),
        desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),)),
        desk.decide(invoice, "205"),
        desk.decide(invoice, "211"),
    ]

    desk.work(lambda: all(desk.state(relay) == RelayState.CONFIRMED for relay in sent))

    assert desk.accepted() == dict.fromkeys(("204", "207", "205", "211"), 1)
    assert desk.told(invoice)[before:] == [(status, "us") for status in ("204", "207", "205", "211")]


def test_decision_without_an_echo_stays_sent(desk):
    desk.sandbox.control("faults", kind="no_echo")
    relay = desk.decide(desk.arrive(), "204")
    desk.work(lambda: desk.state(relay) == RelayState.SENT)
    desk.sandbox.wait_idle()

    assert (desk.state(relay), desk.accepted()) == (RelayState.SENT, {"204": 1})


def test_lost_answer_is_left_to_a_person_unless_the_echo_comes(desk):
    desk.sandbox.control("settings", echo_delay=0.6)
    invoice = desk.arrive()
    desk.sandbox.control("faults", kind="server_error_after", path=SEND)
    relay = desk.decide(invoice, "205")

    desk.work(lambda: desk.state(relay) == RelayState.UNCERTAIN)
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {"205": 1}


def test_uncertain_message_is_sent_again_where_the_other_end_knows_it_again(desk, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    desk.connection.settings["resend_uncertain"] = True
    desk.connection.save()
    desk.sandbox.control("settings", echo_delay=10)
    invoice = desk.arrive()
    for fault, status in (("cut_before", "204"), ("cut_after", "205")):
        desk.sandbox.control("faults", kind=fault, path=SEND)
        relay = desk.decide(invoice, status)
        desk.work(lambda relay=relay: desk.state(relay) == RelayState.SENT)
        relay.refresh_from_db()
        assert relay.attempts == 2

    assert desk.accepted() == {"204": 1, "205": 1}


def test_message_nobody_may_have_heard_waits_for_a_person(desk, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    invoice = desk.arrive()
    desk.sandbox.control("faults", kind="server_error", path=SEND)
    relay = desk.decide(invoice, "205")

    desk.work(lambda: desk.state(relay) == RelayState.UNCERTAIN and relay.next_attempt_at is None)

    assert desk.accepted() == {}
    administrator = make_user(desk.customer, "administrator")
    services.resolve(user=administrator, relay_id=relay.pk, arrived=False)
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)
    assert desk.accepted() == {"205": 1}


def test_impatient_other_end_is_left_alone_then_told(desk, monkeypatch):
    monkeypatch.setattr(relays, "RETRY_DELAYS", (0.1,) * 5)
    invoice = desk.arrive()
    desk.sandbox.control("faults", kind="rate_limited", path=SEND, delay=1)
    relay = desk.decide(invoice, "205")

    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)
    assert desk.accepted() == {"205": 1}


def test_spoiled_news_does_no_harm(desk):
    for place, fault in enumerate(SPOILED):
        invoice = desk.arrive(f"F-{place}")
        desk.sandbox.control("faults", kind=fault, delay=0.3)
        relay = desk.decide(invoice, "204")
        desk.work(lambda relay=relay: desk.state(relay) == RelayState.CONFIRMED)
        desk.sandbox.wait_idle()
        desk.work(lambda: not WebhookDelivery.objects.filter(state="received").exists())

        unknown = StatusEvent.objects.filter(invoice=invoice, status=None).values_list("native_status", flat=True)
        assert (fault, list(unknown)) == (fault, ["XYZ"] if fault == "unknown_status" else [])
        assert [status for status, _origin in desk.told(invoice)].count("204") == 1
        invoice.refresh_from_db()
        assert (fault, invoice.status) == (fault, "204")

    waiting = WebhookDelivery.objects.filter(state="quarantined").values_list("waits_for", flat=True)
    assert ["/UNKNOWN-" in name for name in waiting] == [True]


def test_message_for_another_line_is_refused_and_nothing_applied(desk):
    invoice = desk.arrive()
    before = desk.told(invoice)
    desk.sandbox.control("settings", retry_scale=1)
    desk.sandbox.control("faults", kind="wrong_token")
    desk.sandbox.control("status", invoice="F-1", status="204")
    wait_until(lambda: [ring["tries"] for ring in desk.sandbox.control("webhooks")["webhooks"]][-1])
    tried = desk.sandbox.control("webhooks")["webhooks"][-1]["tries"]

    expected = 403 if desk.kind == "cegid" else 401
    assert ([each["status"] for each in tried], desk.told(invoice)) == ([expected], before)


def test_suspended_line_says_nothing_and_hears_everything(desk):
    invoice = desk.arrive()
    platforms.step_subscription(connection=desk.connection, line_identifier=LINE, step="suspend")
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.FAILED)

    assert desk.accepted() == {}
    platforms.step_subscription(connection=desk.connection, line_identifier=LINE, step="resume")
    services.retry(user=make_user(desk.customer, "administrator"), relay_id=relay.pk)
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)


def test_no_secret_is_stored_in_the_open(desk):
    """Deliveries, attempts and refusals are read by people: no key, token or secret address is in them."""
    invoice = desk.arrive()
    desk.sandbox.control("faults", kind="server_error", path=SEND)
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.UNCERTAIN)
    rows = [repr(vars(row)) for row in WebhookDelivery.objects.all()]
    rows += [repr(vars(row)) for row in relay.tries.all()] + [repr(vars(relay))]
    rows += [repr(vars(row)) for row in Subscription.objects.all()]
    secrets = ["k3y-of-all", "s3cret-"]
    for line in desk.lines:
        line.refresh_from_db()
        secrets.append(line.secrets["api_key"].partition(":")[2])
    if desk.kind == "cegid_od":
        secrets += [row.callback["url"] for row in Subscription.objects.all()]

    assert [secret for secret in secrets if any(secret in row for row in rows)] == []

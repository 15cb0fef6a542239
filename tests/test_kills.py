"""Processes killed in the middle of bursts: nothing is lost, and nothing is accepted twice."""

import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays
from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.models import WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import SIREN, make_connection, make_customer, make_invoice, make_line, make_user
from tests.processes import Navette, sweep_until, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

INVOICES = 25


@pytest.fixture
def navette(settings):
    processes = Navette()
    settings.PUBLIC_URL = processes.url
    yield processes
    processes.stop()


@pytest.fixture
def sandbox():
    with SandboxServer(settings={"echo_delay": 0.2, "latency": 0.2, "auto_react": False}) as running:
        yield running


@pytest.fixture
def desk(navette, sandbox):
    connection = make_connection(
        kind="acube",
        settings={"api_url": sandbox.url, "login_url": sandbox.url, "requests_per_second": 0},
        secrets={"email": "bot@example.test", "password": "s3cret", "webhook_token": "abc"},
    )
    customer = make_customer()
    make_line(customer, connection)
    open_hook(connection=connection)
    navette.start_web()
    get_adapter(connection).register_webhooks()
    return make_user(customer, "approver")


def states() -> str:
    relays = list(RelayTask.objects.values_list("state", "attempts", "look_ups", "last_error"))
    return f"{list(WebhookDelivery.objects.values_list('state', 'attempts', 'error'))} {relays}"


def received() -> int:
    return Invoice.objects.filter(status="203", document_state="read").count()


def test_burst_of_webhooks_survives_killed_web_and_worker(navette, sandbox, desk):
    navette.start_worker()
    sandbox.control("deposit", buyer_siren=SIREN, count=INVOICES)
    wait_until(lambda: WebhookDelivery.objects.count() >= 5, describe=states)
    navette.kill("web")
    navette.start_web()
    for enough in (3, 10):
        sweep_until(lambda enough=enough: received() >= enough, seconds=60, describe=states)
        navette.kill("worker")
        navette.start_worker()

    unfinished = WebhookDelivery.objects.exclude(state="processed")
    sweep_until(lambda: received() == INVOICES and not unfinished.exists(), seconds=60, describe=states)

    assert {invoice.status_events.count() for invoice in Invoice.objects.all()} == {3}


def test_burst_of_relays_survives_killed_workers(navette, sandbox, desk):
    navette.start_worker()
    sandbox.control("deposit", buyer_siren=SIREN, count=INVOICES)
    wait_until(lambda: received() == INVOICES, seconds=60, describe=states)

    sandbox.control("settings", latency=0.5)  # long enough to be caught in the middle of a call
    pks = list(Invoice.objects.values_list("pk", flat=True))
    sending = RelayTask.objects.filter(state=RelayState.SENDING)
    caught = 0
    for part in (pks[:9], pks[9:17], pks[17:]):
        decide_all(desk, part)
        wait_until(sending.exists, seconds=60, describe=states)
        navette.kill("worker")
        caught += sending.count()
        navette.start_worker()
        sweep_until(lambda: not sending.exists(), seconds=60, describe=states)

    assert caught  # the kills came in the middle
    confirmed = RelayTask.objects.filter(state=RelayState.CONFIRMED)
    sweep_until(lambda: confirmed.count() == INVOICES, seconds=90, describe=states)
    told = sandbox.control("calls")["accepted"]
    assert sorted((row["status"], row["count"]) for row in told) == [("204", 1)] * INVOICES


@pytest.mark.parametrize(
    ("hook", "left", "heard"),
    [("taken_up", RelayState.PENDING, 0), ("speaking", RelayState.SENDING, 0), ("answered", RelayState.SENDING, 1)],
)
def test_worker_killed_at_any_point_of_a_telling_has_it_told_once(navette, sandbox, hook, left, heard):
    connection = make_connection(
        kind="acube",
        settings={"api_url": sandbox.url, "login_url": sandbox.url, "requests_per_second": 0},
        secrets={"email": "bot@example.test", "password": "s3cret", "webhook_token": "abc"},
    )
    (deposited,) = sandbox.control("deposit", buyer_siren=SIREN, count=1)["invoices"]
    invoice = make_invoice(connection=connection, provider_ref=deposited["uuid"], statuses=["203"])
    user = make_user(is_superuser=True)
    relay, _new = services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))

    assert navette.run("-m", "tests.dying", hook) == -signal.SIGKILL
    relay.refresh_from_db()
    assert (relay.state, relay.has_spoken, accepted(sandbox)) == (left, left == RelayState.SENDING, [1] * heard)

    RelayTask.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    for _look in range(2 + len(relays.LOOK_UP_DELAYS)):
        RelayTask.objects.exclude(next_attempt_at=None).update(next_attempt_at=timezone.now())
        relays.drain()
    relay.refresh_from_db()
    assert (relay.state in (RelayState.SENT, RelayState.CONFIRMED), accepted(sandbox)) == (True, [1])


def accepted(sandbox) -> list[int]:
    """How often the platform took each status in."""
    return [row["count"] for row in sandbox.control("calls")["accepted"]]


def decide_all(user, pks) -> None:
    def decide(pks):
        for pk in pks:
            services.issue_status(user=user, invoice_id=pk, wish=Wish(status="204"))
        database.close()

    threads = [threading.Thread(target=decide, args=(pks[part::2],)) for part in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

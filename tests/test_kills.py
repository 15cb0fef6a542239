"""Processes killed in the middle of bursts: nothing is lost, and nothing is accepted twice."""

import threading

import pytest
from django.db import connection as database

from invoices.models import Invoice
from lifecycle import services
from lifecycle.models import RelayState, RelayTask
from lifecycle.services import Wish
from providers.models import WebhookDelivery
from providers.registry import get_adapter
from providers.sandbox.server import SandboxServer
from providers.services import open_hook
from tests.factories import SIREN, make_connection, make_customer, make_line, make_user
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

"""Nobody waits for another: lanes, shares, outages, expired passwords, floods, and what a batch holds in memory."""

import json
import threading
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection as database
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invoices.models import Invoice
from lifecycle import tasks
from lifecycle.inbox import deliveries, queue
from providers.connections import health
from providers.connections.services import open_hook
from providers.contract.base import LoginRefused, Party, PermanentError, StatusReport, TemporaryError, UncertainError
from providers.models import Connection, WebhookDelivery
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_invoice, make_line

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


def push(connection, key, **body):
    """Through the real door."""
    hook, _new = open_hook(connection=connection)
    options = {"content_type": "application/json", "headers": {"X-Secret": "the-shared-secret"}}
    answer = Client().post(urlsplit(hook.url).path, json.dumps({"key": key, **body}), **options)
    assert answer.status_code == 204
    return WebhookDelivery.objects.get(connection=connection, key=key)


def ring(connection, ref, key=""):
    return push(connection, key or f"ring-{ref}", bells=[{"ref": ref, "new": True}])


def row_of(row):
    return WebhookDelivery.objects.get(pk=row.pk)


def states(connection):
    return set(connection.deliveries.values_list("state", flat=True))


def make_due():
    """As if the pauses were over, of the deliveries and before the next probe."""
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    Connection.objects.exclude(probe_at=None).update(probe_at=timezone.now())
    Connection.objects.exclude(quiet_until=None).update(quiet_until=timezone.now())


# --- outages, refused logins, patience --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TemporaryError("Down."), UncertainError("Cut.")])
def test_platform_down_is_asked_again_later_until_it_answers_and_no_try_is_counted(connection, far_end, error):
    far_end.has("inv-1")
    far_end.answer("fetch_invoice", error)
    row = ring(connection, "inv-1")
    for delay in (*deliveries.RETRY_DELAYS[: health.OUTAGE_AFTER - 1], *[queue.WAIT] * 20):
        make_due()
        deliveries.drain()
        after = row_of(row)
        assert (after.state, after.error, after.leased_until) == ("received", error.message, None)
        assert abs((after.next_attempt_at - timezone.now()).total_seconds() - delay) < 1
    assert after.attempts == health.OUTAGE_AFTER - 1

    far_end.answers.clear()
    make_due()
    deliveries.drain()
    assert row_of(row).state == "processed"


def test_delivery_that_alone_meets_a_fault_of_the_platform_is_quarantined_at_last(connection, far_end):
    """The platform answers others meanwhile: it is this one that it chokes on."""
    far_end.has("inv-2")
    choke = TemporaryError("A problem of its own.", status_code=500)
    far_end.answer("fetch_invoice", lambda ref: choke if ref == "inv-1" else far_end.invoices[ref])
    row = ring(connection, "inv-1")
    for number in range(deliveries.MAX_CLAIMS):
        make_due()
        deliveries.drain()
        ring(connection, "inv-2", f"other-{number}")
        deliveries.drain()

    assert (row_of(row).state, row_of(row).attempts) == ("quarantined", deliveries.MAX_CLAIMS)


@pytest.mark.parametrize(
    "error", [LoginRefused("Wrong password.", status_code=400), PermanentError("Wrong password.", status_code=401)]
)
@pytest.mark.parametrize("call", ["fetch_invoice", "fetch_files", "fetch_statuses"])
def test_expired_password_is_the_connection_s_and_everything_resumes_when_it_is_mended(
    connection, far_end, error, call
):
    for number in range(30):
        far_end.has(f"inv-{number}", StatusReport(provider_ref=f"inv-{number}", status="203", key=f"{number}"))
        ring(connection, f"inv-{number}")
    far_end.answer(call, error)
    for _day in range(3):
        make_due()
        deliveries.drain()
    assert states(connection) == {"received"}
    assert max(connection.deliveries.values_list("attempts", flat=True)) == 0
    ill = Connection.objects.get()
    assert (ill.health, ill.ill_reason) == ("refused", "Wrong password.")

    far_end.answers.clear()
    health.reset(connection.pk)  # as saving the new password does
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    tasks.sweep()
    assert (states(connection), Invoice.objects.filter(status="203").count()) == ({"processed"}, 30)


def test_one_discovers_an_outage_and_one_probe_ends_it(connection, far_end, settings):
    settings.INBOX_THREADS = 4
    for number in range(40):
        far_end.has(f"inv-{number}")
        ring(connection, f"inv-{number}")
    far_end.answer("fetch_invoice", TemporaryError("Nobody answers."))
    deliveries.drain()
    assert len(far_end.asked) <= 2 * settings.INBOX_THREADS  # not once for each
    far_end.asked.clear()
    for _minute in range(5):
        make_due()
        deliveries.drain()
    assert len(far_end.asked) == 5

    far_end.answers.clear()
    make_due()
    deliveries.drain()
    assert (states(connection), Invoice.objects.count()) == ({"processed"}, 40)


def test_probes_take_turns_so_that_one_bad_delivery_does_not_keep_the_connection_ill(connection, far_end):
    for ref in ("bad", "good"):
        far_end.has(ref)
        ring(connection, ref)
    choke = TemporaryError("A problem of its own.", status_code=500)
    far_end.answer("fetch_invoice", choke)
    for _time in range(health.OUTAGE_AFTER):
        WebhookDelivery.objects.update(next_attempt_at=timezone.now())
        deliveries.drain()
    assert Connection.objects.get().health == "outage"
    far_end.answer("fetch_invoice", lambda ref: choke if ref == "bad" else far_end.invoices[ref])
    for _probe in range(2):
        Connection.objects.update(probe_at=timezone.now())
        WebhookDelivery.objects.filter(next_attempt_at__gt=timezone.now()).update(
            next_attempt_at=timezone.now() - timedelta(milliseconds=1)
        )
        deliveries.drain()

    assert Invoice.objects.get().provider_ref == "good"


def test_probe_that_makes_no_call_is_given_back(connection, far_end):
    far_end.has("inv-1")
    push(connection, "lost", bells=[{"ref": "nobody"}])  # of an invoice we do not have: quarantined without a call
    ring(connection, "inv-1")
    Connection.objects.update(health="outage", ill_since=timezone.now(), probe_at=timezone.now())
    deliveries.drain()

    assert (Connection.objects.get().health, Invoice.objects.count()) == ("well", 1)


def test_platform_that_asks_for_patience_is_left_alone_and_no_try_is_counted(connection, far_end):
    far_end.has("inv-1")
    far_end.answer("fetch_statuses", TemporaryError("Slowly.", status_code=429, retry_after=25))
    row = ring(connection, "inv-1")
    deliveries.drain()
    asked = len(far_end.asked)
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    deliveries.drain()
    assert (len(far_end.asked), row_of(row).state, row_of(row).attempts) == (asked, "received", 0)
    assert 23 < (Connection.objects.get().quiet_until - timezone.now()).total_seconds() <= 25
    assert 23 < (queue.next_moment("fetch") - timezone.now()).total_seconds() <= 25

    far_end.answers.clear()
    make_due()
    deliveries.drain()
    assert row_of(row).state == "processed"


def test_news_that_needs_no_call_is_recorded_while_the_platform_is_ill(connection):
    make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    Connection.objects.update(health="outage", quiet_until=timezone.now() + timedelta(hours=1))
    push(connection, "d1", statuses=[{"ref": "inv-1", "status": "205"}])
    deliveries.drain()

    assert Invoice.objects.get().status == "205"


def test_paused_connection_waits_and_goes_on_when_it_is_resumed(connection, far_end):
    far_end.has("inv-1")
    make_invoice(connection=connection, provider_ref="inv-2", statuses=["203"])
    ring(connection, "inv-1")
    push(connection, "d2", statuses=[{"ref": "inv-2", "status": "205"}])
    Connection.objects.update(state="paused")
    for _time in range(3):
        deliveries.drain()
    assert (set(connection.deliveries.values_list("state", "attempts")), far_end.asked) == ({("received", 0)}, [])

    Connection.objects.update(state="active")
    deliveries.drain()
    assert states(connection) == {"processed"}


# --- shares -----------------------------------------------------------------------------------------------------------


def test_claim_is_shared_between_connections(connection):
    other = make_connection("scripted")
    for number in range(80):
        push(connection, f"d{number}")
    for number in range(3):
        push(other, f"d{number}")
    claimed = [row.connection_id for row in deliveries.claim(20)]

    assert (claimed.count(connection.pk), claimed.count(other.pk)) == (10, 3)


@pytest.mark.parametrize("values", [{"state": "paused"}, {"health": "outage"}])
def test_waiting_connections_cost_a_claim_nothing(connection, values):
    rows = [WebhookDelivery(connection=connection, key=f"k{n}", body=b"", lane="fetch") for n in range(300)]
    WebhookDelivery.objects.bulk_create(rows)
    Connection.objects.update(**values)
    with CaptureQueriesContext(database) as captured:
        assert deliveries.claim(lane="fetch") == []

    assert len(captured) <= 8


@pytest.mark.django_db(transaction=True)
def test_slow_platform_and_a_flood_delay_nobody_else(connection, far_end, settings):
    settings.INBOX_THREADS = 2
    healthy = make_connection("scripted")
    make_line(make_customer(OTHER_SIREN), healthy)
    for number in range(60):
        far_end.has(f"slow-{number}")
        ring(connection, f"slow-{number}")
    far_end.has("quick", buyer=Party(siren=OTHER_SIREN))
    far_end.answer("fetch_invoice", lambda ref: time.sleep(0.5 * ref.startswith("slow")) or far_end.invoices[ref])
    worker = threading.Thread(target=lambda: (deliveries.fetch(seconds=3), connections.close_all()))
    worker.start()
    time.sleep(0.7)  # in the middle of the slow ones
    row, begun = ring(healthy, "quick"), time.monotonic()
    while row_of(row).state != "processed" and time.monotonic() - begun < 5:
        time.sleep(0.02)
    took = time.monotonic() - begun
    worker.join()

    assert took < 1.5


def test_worker_s_lost_claims_do_not_wait_for_the_end_of_a_flood(connection):
    lost = push(connection, "lost")
    WebhookDelivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1), attempts=1)
    for number in range(6):
        push(connection, f"d{number}")
    done = []
    original = deliveries._ingest

    def note(rows):
        done.extend(row.key for row in rows)
        return original(rows)

    deliveries._ingest = note
    try:
        deliveries.ingest(2)
    finally:
        deliveries._ingest = original

    assert (done.index("lost"), row_of(lost).state) == (2, "processed")


def test_drain_ends_in_time_though_a_call_does_not(connection, far_end, monkeypatch):
    """Its row is due again when the lease is over."""
    monkeypatch.setattr(deliveries, "CALL_SECONDS", 0.2)
    far_end.has("inv-1")
    far_end.answer("fetch_invoice", lambda ref: time.sleep(2) or far_end.invoices[ref])
    row = ring(connection, "inv-1")
    begun = time.monotonic()
    deliveries.fetch(seconds=0.2)

    assert time.monotonic() - begun < 1.9
    assert (row_of(row).state, row_of(row).leased_until > timezone.now()) == ("received", True)


# --- memory, and what waits -------------------------------------------------------------------------------------------


def test_bodies_are_held_a_few_at_a_time(connection, far_end, monkeypatch):
    monkeypatch.setattr(queue, "BATCH_BYTES", 2500)
    for number in range(9):
        push(connection, f"d{number}", unclear="x" * 900)
    with CaptureQueriesContext(database) as captured:
        deliveries.ingest()

    fetched = [
        query["sql"]
        for query in captured
        if '"body" AS' in query["sql"] or ', "providers_webhookdelivery"."body" FROM' in query["sql"]
    ]
    assert len(fetched) == 5  # two at a time
    assert WebhookDelivery.objects.filter(state="quarantined").count() == 9


def test_two_statements_wake_however_many_wait(connection):
    rows = [
        WebhookDelivery(
            connection=connection, key=f"k{n}", body=b"{}", state="quarantined", waits_for=f"905334413/OLD-{n}",
            processed_at=timezone.now(),
        )
        for n in range(500)
    ]  # fmt: skip
    WebhookDelivery.objects.bulk_create(rows)
    make_invoice(connection=connection, number="OLD-7", seller_siren="905334413", provider_ref="x")
    make_invoice(connection=connection, provider_ref="905334413/OLD-9")
    with CaptureQueriesContext(database) as captured:
        assert deliveries.retry_waiting() == 2

    assert len(captured) == 2
    assert sorted(connection.deliveries.filter(state="received").values_list("key", flat=True)) == ["k7", "k9"]

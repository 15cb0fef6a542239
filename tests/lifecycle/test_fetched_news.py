"""Pushes that only point to their news, news found by asking, and messages that name invoices in their own way."""

import json
import time
from datetime import date

import pytest
from django.utils import timezone

from invoices.models import Invoice
from lifecycle.inbox import deliveries, polling
from lifecycle.models import StatusEvent
from providers.connections import services
from providers.contract.base import (
    Bell,
    Delivery,
    File,
    InvoiceKey,
    PermanentError,
    PollPage,
    Push,
    StatusReport,
    TemporaryError,
)
from providers.models import WebhookDelivery
from tests.factories import SIREN, make_connection, make_customer, make_invoice, make_line

pytestmark = pytest.mark.django_db

SELLER = "905334413"
KEY = InvoiceKey(seller_siren=SELLER, number="F/1", issue_date=date(2026, 9, 21), direction="received")


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


@pytest.fixture
def poll(connection, far_end):
    """One poll that finds these things to look at; returns what it counts as new."""

    def poll(*references):
        found = tuple(Push(key=ref, body=json.dumps({"key": ref, "at": ref}).encode()) for ref in references)
        far_end.answer("poll", PollPage(pushes=found, cursor={"n": 1}))
        connection.refresh_from_db()
        return polling.poll(connection)

    return poll


def make_named(connection, **values):
    defaults = {"number": "F/1", "seller_siren": SELLER, "issue_date": date(2026, 9, 21), "provider_ref": "inv-1"}
    return make_invoice(connection=connection, **(defaults | values))


def news(**values):
    return Delivery(key="", **values)


def told(status="207", key=KEY, **values):
    return StatusReport(provider_ref="", status=status, invoice_key=key, key=f"told-{status}", **values)


def states():
    return dict(WebhookDelivery.objects.values_list("key", "state"))


def test_what_a_poll_finds_is_stored_once_and_fetched_by_the_inbox(poll, far_end, connection):
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="203", key="1"))
    far_end.answer("fetch_delivery", news(bells=(Bell(provider_ref="inv-1", is_new_invoice=True),)))

    assert (poll("n1", "n2"), poll("n1", "n2", "n3")) == (2, 1)
    assert deliveries.drain() == 3
    assert states() == {"n1": "processed", "n2": "processed", "n3": "processed"}
    assert sorted(far_end.asked[:3]) == [("delivery", ref) for ref in ("n1", "n2", "n3")]
    assert far_end.asked[3:] == [
        ("invoice", "inv-1"), ("files", "inv-1"), ("statuses", "inv-1"),
    ]  # fmt: skip


def test_slow_platform_is_asked_as_far_as_time_goes_and_no_try_is_counted(poll, far_end, settings):
    settings.INBOX_THREADS = 2
    far_end.answer("fetch_delivery", lambda ref: time.sleep(0.2) or news(ignored="Nothing."))
    poll(*(f"n{number}" for number in range(6)))
    deliveries.ingest()
    deliveries.fetch(seconds=0.1)

    assert sorted(states().values()) == ["ignored"] * 2 + ["received"] * 4
    waiting = WebhookDelivery.objects.filter(state="received")
    assert set(waiting.values_list("attempts", "leased_until")) == {(0, None)}
    assert deliveries.drain() == 4


def test_cursor_moves_only_together_with_what_was_found(poll, connection, monkeypatch):
    monkeypatch.setattr(services, "_store", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        poll("n1")
    connection.refresh_from_db()

    assert connection.poll_cursor == {}


@pytest.mark.parametrize(
    ("error", "state"), [(TemporaryError("Down."), "received"), (PermanentError("Gone."), "quarantined")]
)
def test_news_that_cannot_be_fetched_stops_no_other(poll, far_end, connection, error, state):
    make_named(connection, document_state="read", statuses=["203"])
    answers = {"n1": error, "n2": news(statuses=(told(),))}
    far_end.answer("fetch_delivery", lambda ref: answers[ref])
    poll("n1", "n2")
    deliveries.drain()

    assert states() == {"n1": state, "n2": "processed"}
    assert [event.status for event in StatusEvent.objects.order_by("sequence")] == ["203", "207"]


def test_status_finds_its_invoice_by_seller_number_and_year(poll, far_end, connection):
    make_named(connection, statuses=["203"])
    make_named(connection, provider_ref="other-year", issue_date=date(2025, 9, 21))
    make_named(connection, provider_ref="other-copy", direction="issued")
    make_named(make_connection("scripted"), provider_ref="inv-1")
    far_end.answer("fetch_delivery", news(statuses=(told(),)))
    poll("n1")
    deliveries.drain()

    assert StatusEvent.objects.get(status="207").invoice.provider_ref == "inv-1"
    assert states() == {"n1": "processed"}


def test_files_that_came_with_a_status_are_kept_once(poll, far_end, connection):
    invoice = make_named(connection, statuses=["203", "208"])
    note = File(kind="attachment", content=b"%PDF-1.7", media_type="application/pdf", filename="bon.pdf")
    far_end.answer("fetch_delivery", news(statuses=(told("209", files=(note, note)),)))
    poll("n1")
    poll("n2")
    deliveries.drain()

    (document,) = invoice.documents.all()
    assert (document.kind, document.filename, document.size) == ("attachment", "bon.pdf", 8)


def test_status_that_fits_two_invoices_is_put_on_neither(poll, far_end, connection):
    make_named(connection)
    make_named(connection, provider_ref="inv-2")
    far_end.answer("fetch_delivery", news(statuses=(told(),)))
    poll("n1")
    deliveries.drain()

    assert (StatusEvent.objects.count(), states()) == (0, {"n1": "quarantined"})


@pytest.mark.parametrize("issue_date", [date(2026, 9, 21), None])
@pytest.mark.parametrize("by_sweep", [False, True])
def test_status_that_comes_first_is_recorded_when_its_invoice_appears(poll, far_end, connection, issue_date, by_sweep):
    key = InvoiceKey(seller_siren=SELLER, number="F/1", issue_date=issue_date)
    far_end.answer("fetch_delivery", news(statuses=(told(key=key),)))
    poll("n1")
    deliveries.drain()
    waiting = WebhookDelivery.objects.get()
    assert (waiting.state, waiting.waits_for) == ("quarantined", f"{SELLER}/F/1")

    invoice = make_named(connection)
    if by_sweep:
        deliveries.retry_waiting()
    else:
        deliveries.wake(invoice)
    deliveries.drain()

    assert ([event.status for event in StatusEvent.objects.all()], states()) == (["207"], {"n1": "processed"})


@pytest.mark.parametrize(
    ("direction", "status", "unexpected"),
    [("received", "202", False), ("received", "203", False), ("received", "205", False), ("issued", "203", True)],
)
def test_buyer_is_not_told_what_came_before_its_first_status(poll, far_end, connection, direction, status, unexpected):
    invoice = make_named(connection, direction=direction)
    far_end.answer("fetch_delivery", news(statuses=(told(status, key=replace_direction(direction)),)))
    poll("n1")
    deliveries.drain()

    assert invoice.status_events.get().unexpected is unexpected


def replace_direction(direction):
    return InvoiceKey(seller_siren=SELLER, number="F/1", issue_date=date(2026, 9, 21), direction=direction)


def test_polled_news_has_the_order_and_time_in_which_it_was_found(poll):
    before = timezone.now()
    poll("n2", "n1")

    first, second = WebhookDelivery.objects.order_by("received_at")
    assert (first.key, second.key) == ("n2", "n1")
    assert before <= first.received_at < second.received_at <= timezone.now()
    assert (first.headers, first.url) == ({}, "")


# --- announced, and not there yet -------------------------------------------------------------------------------------


@pytest.fixture
def announce(connection):
    body = json.dumps({"key": "d1", "bells": [{"ref": "inv-1", "new": True}]}).encode()
    return WebhookDelivery.objects.create(connection=connection, key="d1", body=body, url="https://navette.test/")


def drain_in_time():
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    deliveries.drain()


def test_announced_invoice_is_asked_for_again_until_the_platform_shows_it(announce, far_end):
    drain_in_time()
    assert states() == {"d1": "received"}

    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="203", key="1"))
    drain_in_time()
    assert (states(), Invoice.objects.get().status) == ({"d1": "processed"}, "203")


def test_announced_invoice_nobody_shows_waits_for_other_news_of_it(announce, far_end, connection):
    for _time in range(deliveries.ARRIVAL_PATIENCE):
        drain_in_time()
    announce.refresh_from_db()
    assert (announce.state, announce.waits_for, announce.attempts) == (
        "quarantined",
        "inv-1",
        deliveries.ARRIVAL_PATIENCE,
    )

    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="203", key="1"))
    make_invoice(connection=connection, provider_ref="inv-1")
    deliveries.retry_waiting()
    drain_in_time()
    assert states() == {"d1": "processed"}

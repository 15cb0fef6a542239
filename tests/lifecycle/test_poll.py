"""The safety net: what the pushes missed, whatever goes wrong with one."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from invoices.models import Invoice
from lifecycle import tasks
from lifecycle.inbox import deliveries, polling, queue
from lifecycle.models import StatusEvent
from providers.connections import services
from providers.contract.base import (
    Bell,
    InvoiceKey,
    InvoiceReport,
    Party,
    PermanentError,
    PollPage,
    Reason,
    StatusReport,
    TemporaryError,
    Unsupported,
)
from providers.models import Connection, WebhookDelivery
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_invoice, make_line

pytestmark = pytest.mark.django_db
SELLER = "905334413"


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


def listed(ref):
    return InvoiceReport(provider_ref=ref, direction="received")


def poll(connection):
    """One poll, and what it found is worked on; how many things it found to look at."""
    connection.refresh_from_db()
    new = polling.poll(connection)
    deliveries.drain()
    return new


def test_poll_takes_in_what_is_new_and_keeps_the_cursor(far_end, connection):
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="203", key="1"))
    far_end.answer("poll", PollPage(invoices=(listed("inv-1"),), cursor={"created": "x"}))

    assert (poll(connection), poll(connection)) == (1, 0)
    connection.refresh_from_db()
    assert connection.poll_cursor == {"created": "x"}
    assert Invoice.objects.get().status == "203"
    assert far_end.asked == [("invoice", "inv-1"), ("files", "inv-1"), ("statuses", "inv-1")]


def test_poll_hands_the_cursor_back(far_end, connection):
    cursors = []
    far_end.answer("poll", lambda cursor: cursors.append(cursor) or PollPage(cursor={"n": len(cursors)}))
    poll(connection)
    poll(connection)

    assert cursors == [{}, {"n": 1}]


def test_polled_status_of_a_known_invoice_is_recorded_once(far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    far_end.answer("poll", PollPage(statuses=(StatusReport(provider_ref="inv-1", status="205", key="1"),)))

    assert (poll(connection), poll(connection)) == (1, 0)


def test_polled_status_of_an_unknown_invoice_brings_the_invoice(far_end, connection):
    told = StatusReport(provider_ref="inv-1", status="205", key="1")
    far_end.has("inv-1", told)
    far_end.answer("poll", PollPage(statuses=(told,)))
    poll(connection)

    assert [event.status for event in StatusEvent.objects.all()] == ["205"]


def test_polled_change_of_a_known_invoice_reads_its_history(far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="205", key="1"))
    far_end.answer("poll", PollPage(bells=(Bell(provider_ref="inv-1"),)))

    assert poll(connection) == 1
    assert (far_end.asked, Invoice.objects.get().status) == ([("statuses", "inv-1")], "205")


@pytest.mark.parametrize(
    "error", [TemporaryError("Down."), PermanentError("No.", status_code=403), ZeroDivisionError()]
)
def test_invoice_that_cannot_be_taken_in_keeps_no_other_out_and_comes_later(far_end, connection, error):
    for ref in ("inv-1", "inv-2", "inv-3"):
        far_end.has(ref)
    page = PollPage(invoices=tuple(map(listed, ("inv-1", "inv-2", "inv-3"))), cursor={"after": "inv-3"})
    far_end.answer("poll", page, PollPage(cursor={"after": "inv-3"}))
    broken = {"inv-2": error}
    far_end.answer("fetch_invoice", lambda ref: broken.get(ref, far_end.invoices[ref]))
    poll(connection)
    assert sorted(Invoice.objects.values_list("provider_ref", flat=True)) == ["inv-1", "inv-3"]
    assert connection.deliveries.exclude(state="processed").get().error != ""

    broken.clear()
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    poll(connection)
    assert (Invoice.objects.count(), set(connection.deliveries.values_list("state", flat=True))) == (3, {"processed"})


def test_invoices_of_an_unknown_owner_come_when_the_line_is_added_however_many(far_end, connection):
    """Whatever the number: nothing is forgotten because the cursor moved on."""
    refs = [f"inv-{number}" for number in range(1100)]
    for ref in refs:
        far_end.has(ref, buyer=Party(siren=OTHER_SIREN))
    page = PollPage(invoices=tuple(map(listed, refs)), cursor={"n": 1})
    far_end.answer("poll", page, PollPage(cursor={"n": 1}))
    assert (polling.poll(connection), connection.deliveries.count()) == (1100, 1100)
    connection.deliveries.exclude(key__in=["bell inv-0", "bell inv-1099"]).delete()  # the rest would take long
    deliveries.drain()
    assert Invoice.objects.count() == 0

    make_line(make_customer(OTHER_SIREN), connection)
    assert poll(connection) == 2
    assert sorted(Invoice.objects.values_list("provider_ref", flat=True)) == ["inv-0", "inv-1099"]


def test_bell_rung_again_is_looked_at_again_in_one_row(far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    far_end.answer("poll", PollPage(bells=(Bell(provider_ref="inv-1"),)))
    assert [poll(connection), poll(connection)] == [1, 1]

    assert (far_end.asked, connection.deliveries.count()) == ([("statuses", "inv-1")] * 2, 1)


def test_bell_rung_while_its_look_is_under_way_is_looked_at_once_more(far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    far_end.answer("poll", PollPage(bells=(Bell(provider_ref="inv-1"),)))
    polling.poll(connection)
    (under_way,) = deliveries.claim(lane="fetch")
    polling.poll(connection)
    queue.finish(under_way, "processed")
    row = connection.deliveries.get()
    assert (row.state, row.attempts, row.leased_until) == ("received", 1, None)

    deliveries.drain()
    assert (connection.deliveries.get().state, far_end.asked) == ("processed", [("statuses", "inv-1")])


def test_poll_cut_before_its_end_is_made_again_and_loses_nothing(far_end, connection, monkeypatch):
    class Killed(BaseException):
        """No except clause sees it, as the end of a worker."""

    far_end.has("inv-1")
    cursors = []
    page = PollPage(bells=(Bell(provider_ref="inv-1", is_new_invoice=True),), cursor={"n": 1})
    far_end.answer("poll", lambda cursor: cursors.append(dict(cursor)) or page)
    store = services._store

    def stored_and_killed(*args):
        store(*args)
        raise Killed

    monkeypatch.setattr(services, "_store", stored_and_killed)
    with pytest.raises(Killed):
        polling.poll(connection)
    assert connection.deliveries.count() == 0  # with its cursor, or not at all
    monkeypatch.undo()
    poll(connection)

    assert (cursors, Invoice.objects.count()) == ([{}, {}], 1)


def test_status_that_cannot_be_stored_stops_no_other(far_end, connection):
    good, bad = make_invoice(connection=connection), make_invoice(connection=connection)
    statuses = (
        StatusReport(provider_ref=bad.provider_ref, status="204", issuer_role="BUYER", key="1"),  # three letters fit
        StatusReport(provider_ref=good.provider_ref, status="204", key="2"),
    )
    far_end.answer("poll", PollPage(statuses=statuses, cursor={"n": 1}))
    poll(connection)

    connection.refresh_from_db()
    assert (connection.poll_cursor, good.status_events.count()) == ({"n": 1}, 1)
    assert sorted(connection.deliveries.values_list("state", flat=True)) == ["processed", "received"]


def test_status_named_by_seller_and_number_waits_for_its_invoice(far_end, connection):
    key = InvoiceKey(seller_siren=SELLER, number="F-1", issue_date=date(2026, 9, 21))
    told = StatusReport(provider_ref="", invoice_key=key, status="207", key="s", reasons=(Reason(code="QTE_ERR"),))
    far_end.answer("poll", PollPage(statuses=(told,), cursor={"n": 1}), PollPage(cursor={"n": 1}))
    poll(connection)
    invoice = make_invoice(connection=connection, number="F-1", seller_siren=SELLER, issue_date=date(2026, 9, 21))
    tasks.sweep()

    event = invoice.status_events.get()
    assert (event.status, event.reasons[0]["code"]) == ("207", "QTE_ERR")


def test_polled_invoice_wakes_what_waited_for_it(far_end, connection):
    far_end.has("inv-1")
    body = b'{"key": "d1", "statuses": [{"ref": "inv-1", "status": "205"}]}'
    row = WebhookDelivery.objects.create(
        connection=connection, key="d1", url="", body=body, state="quarantined", waits_for="inv-1"
    )
    far_end.answer("poll", PollPage(invoices=(listed("inv-1"),)))
    poll(connection)

    row.refresh_from_db()
    assert (row.state, row.waits_for, Invoice.objects.get().status) == ("processed", "", "205")


# --- the sweep's part -------------------------------------------------------------------------------------------------


def asked_of(far_end):
    asked = []
    far_end.answer("poll", lambda cursor: asked.append(1) or PollPage())
    return asked


def test_due_connections_are_polled_once(far_end, connection):
    asked = asked_of(far_end)
    tasks.sweep()
    tasks.sweep()
    assert len(asked) == 1

    Connection.objects.update(polled_at=timezone.now() - polling.EVERY - timedelta(seconds=1))
    tasks.sweep()
    assert len(asked) == 2


def test_paused_connection_is_not_polled(far_end, connection):
    asked = asked_of(far_end)
    Connection.objects.update(state="paused")
    tasks.sweep()

    assert asked == []


@pytest.mark.parametrize("error", [TemporaryError("Down."), Unsupported("No."), ZeroDivisionError()])
def test_connection_that_fails_does_not_keep_others_from_being_polled(far_end, connection, error):
    second = make_connection("scripted")
    far_end.answer("poll", error, PollPage(cursor={"polled": True}))
    tasks.sweep()

    cursors = [Connection.objects.get(pk=each.pk).poll_cursor for each in (connection, second)]
    assert sorted(map(bool, cursors)) == [False, True]
    assert not Connection.objects.filter(polled_at=None).exists()


def test_fault_in_one_step_of_the_sweep_does_not_stop_the_next(far_end, connection):
    far_end.answer("parse", SystemError("the adapter's own"))
    WebhookDelivery.objects.create(connection=connection, key="d1", url="", body=b'{"key": "d1"}')
    asked = asked_of(far_end)
    tasks.sweep()

    assert asked == [1]

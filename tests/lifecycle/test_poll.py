"""The safety net: what the pushes missed, whatever goes wrong with one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from invoices.models import Invoice
from lifecycle import polling, tasks
from lifecycle.models import StatusEvent
from providers.base import Bell, InvoiceReport, Party, PollPage, StatusReport, TemporaryError, Unsupported
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


def listed(ref):
    return InvoiceReport(provider_ref=ref, direction="received")


def poll(connection):
    connection.refresh_from_db()
    return polling.poll(connection)


def test_poll_takes_in_what_is_new_and_keeps_the_cursor(far_end, connection):
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="203", key="1"))
    far_end.answer("poll", PollPage(invoices=(listed("inv-1"),), cursor={"created": "x"}))

    assert (poll(connection), poll(connection)) == (2, 0)
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
    assert far_end.asked == [("statuses", "inv-1")]


@pytest.mark.parametrize("error", [TemporaryError("Down."), ZeroDivisionError()])
def test_invoice_left_out_does_not_keep_others_out_and_comes_with_the_next_poll(far_end, connection, error):
    for ref in ("inv-1", "inv-2", "inv-3"):
        far_end.has(ref)
    page = PollPage(invoices=tuple(map(listed, ("inv-1", "inv-2", "inv-3"))), cursor={"after": "inv-3"})
    far_end.answer("poll", page, PollPage(cursor={"after": "inv-3"}))
    broken = {"inv-2": error}
    far_end.answer("fetch_statuses", lambda ref: broken.get(ref, ()))
    poll(connection)
    assert sorted(Invoice.objects.values_list("provider_ref", flat=True)) == ["inv-1", "inv-3"]

    broken.clear()
    assert poll(connection) == 1
    connection.refresh_from_db()
    assert (Invoice.objects.count(), connection.memory) == (3, {polling.LEFT_OUT: []})


def test_invoice_of_an_unknown_owner_comes_when_the_line_is_added(far_end, connection):
    far_end.has("inv-1", buyer=Party(siren=OTHER_SIREN))
    far_end.answer("poll", PollPage(invoices=(listed("inv-1"),)), PollPage())
    assert poll(connection) == 0

    make_line(make_customer(OTHER_SIREN), connection)
    assert poll(connection) == 1


def test_polled_invoice_wakes_what_waited_for_it(far_end, connection):
    far_end.has("inv-1")
    row = WebhookDelivery.objects.create(
        connection=connection, key="d1", url="", body=b"", state="quarantined", waits_for="inv-1"
    )
    far_end.answer("poll", PollPage(invoices=(listed("inv-1"),)))
    poll(connection)

    row.refresh_from_db()
    assert (row.state, row.waits_for) == ("received", "")


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

    Connection.objects.update(polled_at=timezone.now() - tasks.POLL_EVERY - timedelta(seconds=1))
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

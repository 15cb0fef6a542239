"""Open invoices of a platform that lists nothing, asked for one by one: ever more rarely, within its limits."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from invoices.models import Invoice
from lifecycle import tasks
from lifecycle.inbox import asking, deliveries, polling
from lifecycle.models import PlannedLook, StatusEvent
from providers.contract.base import PermanentError, StatusReport, TemporaryError
from providers.models import Connection, WebhookDelivery
from tests.factories import SIREN, make_connection, make_customer, make_event, make_invoice, make_line
from tests.scripted import Scripted, together

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def far_end(platform):
    platform.capabilities = replace(platform.capabilities, polling=False, ask_each=True, originals=False)
    return platform


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


def invoice_quiet_for(connection, quiet, ref="inv-1", statuses=("203",), **values):
    invoice = make_invoice(connection=connection, provider_ref=ref, statuses=statuses, **values)
    Invoice.objects.filter(pk=invoice.pk).update(updated_at=timezone.now() - quiet)
    return invoice


def due(connection, quiet=HOUR, ref="inv-1", **values):
    """An invoice that is to be asked for now."""
    invoice = invoice_quiet_for(connection, quiet, ref, **values)
    PlannedLook.objects.create(invoice=invoice, connection=connection, due_at=timezone.now() - MINUTE)
    return invoice


def asked(far_end):
    return [ref for call, ref in far_end.asked if call == "statuses"]


def wait_of(invoice):
    """How long until it is asked for, to the minute; None if it is not."""
    row = PlannedLook.objects.filter(invoice=invoice).first()
    return row and timedelta(minutes=round((row.due_at - timezone.now()) / MINUTE))


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quiet", "wait"),
    [
        (timedelta(0), 15 * MINUTE),
        (2 * HOUR - MINUTE, 15 * MINUTE),
        (2 * HOUR, HOUR),
        (DAY, 6 * HOUR),
        (29 * DAY, 6 * HOUR),
        (30 * DAY, DAY),
        (364 * DAY, DAY),
        (365 * DAY, None),
    ],
)
def test_the_quieter_the_more_rarely(connection, quiet, wait):
    assert asking.interval(quiet) == wait
    invoice = due(connection, quiet)
    asking.ask(connection)
    assert wait_of(invoice) == wait


def test_news_makes_it_be_asked_for_often_again(far_end, connection):
    invoice = due(connection, 100 * DAY)
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="205", key="1"))
    assert asking.ask(connection) == 1
    assert wait_of(invoice) == 15 * MINUTE


@pytest.mark.parametrize("final", ["210", "213", "220"])
def test_final_status_ends_it(far_end, connection, final):
    invoice = due(connection)
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status=final, key="1"))
    asking.ask(connection)
    assert (wait_of(invoice), Invoice.objects.get().status) == (None, final)


# --- planning ---------------------------------------------------------------------------------------------------------


def test_poll_plans_every_open_invoice_once(far_end, connection):
    fresh = invoice_quiet_for(connection, timedelta(0))
    old = invoice_quiet_for(connection, 10 * DAY, "inv-2")
    unheard = invoice_quiet_for(connection, HOUR, "inv-3", statuses=())
    for ref, values in {
        "refused": {"statuses": ("203", "210")},
        "forgotten": {"quiet": 400 * DAY},
        "": {"direction": "issued"},
    }.items():
        invoice_quiet_for(connection, values.pop("quiet", HOUR), ref, **values)
    make_invoice(provider_ref="elsewhere")

    assert polling.poll(connection) == 0
    assert polling.poll(connection) == 0
    assert {row.invoice_id: wait_of(row.invoice) for row in PlannedLook.objects.all()} == {
        fresh.pk: 15 * MINUTE, old.pk: 6 * HOUR - 10 * DAY, unheard.pk: 15 * MINUTE - HOUR,
    }  # fmt: skip
    assert asked(far_end) == []
    connection.refresh_from_db()
    assert connection.polled_at is not None


def test_platform_that_lists_is_not_planned(far_end, connection):
    far_end.capabilities = replace(far_end.capabilities, polling=True, ask_each=False)
    invoice_quiet_for(connection, HOUR)
    polling.poll(connection)
    assert not PlannedLook.objects.exists()


def test_planning_goes_on_with_the_next_poll(connection, monkeypatch):
    monkeypatch.setattr(asking, "PLANNED_AT_ONCE", 2)
    for number in range(3):
        invoice_quiet_for(connection, HOUR, f"inv-{number}")
    asking.plan(connection)
    assert PlannedLook.objects.count() == 2
    asking.plan(connection)
    assert PlannedLook.objects.count() == 3


# --- asking -----------------------------------------------------------------------------------------------------------


def test_only_what_is_due_is_asked_for(far_end, connection):
    due(connection, ref="inv-1")
    later = due(connection, ref="inv-2")
    PlannedLook.objects.filter(invoice=later).update(due_at=timezone.now() + HOUR)
    asking.ask(connection)
    assert asked(far_end) == ["inv-1"]


def test_longest_due_comes_first_and_a_run_is_bounded(far_end, connection, monkeypatch):
    monkeypatch.setattr(asking, "MOST_IN_A_RUN", 3)
    monkeypatch.setattr(asking, "CLAIMED_AT_ONCE", 2)
    for number in range(5):
        due(connection, ref=f"inv-{number}")
        PlannedLook.objects.filter(invoice__provider_ref=f"inv-{number}").update(
            due_at=timezone.now() - (number + 1) * MINUTE
        )
    asking.ask(connection)
    assert asked(far_end) == ["inv-4", "inv-3", "inv-2"]


def test_everything_open_is_asked_for_once_on_demand(far_end, connection, monkeypatch):
    monkeypatch.setattr(asking, "CLAIMED_AT_ONCE", 1)
    for number in range(3):
        invoice = due(connection, ref=f"inv-{number}")
        PlannedLook.objects.filter(invoice=invoice).update(due_at=timezone.now() + DAY)
    asking.ask(connection, everything=True)
    assert sorted(asked(far_end)) == ["inv-0", "inv-1", "inv-2"]


def test_same_event_twice_is_recorded_once(far_end, connection):
    due(connection)
    told = StatusReport(
        provider_ref="inv-1", status="205", key="205|2026-10-06T14:03:00+00:00|PDPR", occurred_at=datetime.now(UTC)
    )
    far_end.has("inv-1", told, told)
    assert asking.ask(connection) == 1
    PlannedLook.objects.update(due_at=timezone.now())
    assert asking.ask(connection) == 0
    assert [event.status for event in StatusEvent.objects.order_by("sequence")] == ["203", "205"]


def test_same_status_of_another_emitter_or_time_is_another_event(far_end, connection):
    due(connection)
    moments = [datetime(2026, 10, 6, 14, 3, second, tzinfo=UTC) for second in (0, 0, 1)]
    emitters = ["PDPE", "PDPR", "PDPR"]
    reports = [
        StatusReport(
            provider_ref="inv-1", status="200", key=f"200|{moment.isoformat()}|{emitter}", occurred_at=moment,
            emitter=emitter, issuer_role="WK",
        )
        for moment, emitter in zip(moments, emitters, strict=True)
    ]  # fmt: skip
    far_end.has("inv-1", *reports)
    assert asking.ask(connection) == 3
    events = StatusEvent.objects.filter(status="200").order_by("sequence")
    assert [event.emitter for event in events] == emitters


# --- within limits ----------------------------------------------------------------------------------------------------


def limited(far_end, monkeypatch, a_minute):
    monkeypatch.setattr(Scripted, "calls_per_minute", lambda self: a_minute, raising=False)


def ask_after(connection, pause):
    connection.refresh_from_db()
    connection.memory["asked_at"] = (timezone.now() - pause).isoformat()
    connection.save()
    return asking.ask(connection)


@pytest.mark.parametrize(
    ("a_minute", "pause", "count"),
    [
        (2, MINUTE, 2),
        (2, 2 * MINUTE, 4),
        (0.25, MINUTE, 0),
        (0.25, 4 * MINUTE, 1),
        (0, DAY, 0),
        (0.05, DAY, 3),  # an hour's worth at most is saved up
        (1000, DAY, 5),
        (None, timedelta(0), 5),
    ],
)
def test_run_keeps_what_the_platform_allows(far_end, connection, monkeypatch, a_minute, pause, count):
    limited(far_end, monkeypatch, a_minute)
    for number in range(5):
        due(connection, ref=f"inv-{number}")
    ask_after(connection, pause)
    assert len(asked(far_end)) == count


def test_allowance_adds_up_while_nothing_is_asked(far_end, connection, monkeypatch):
    limited(far_end, monkeypatch, 0.5)
    due(connection, ref="inv-1")
    due(connection, ref="inv-2")
    ask_after(connection, MINUTE)
    kept = Connection.objects.get().memory["asked_at"]
    assert asked(far_end) == []
    ask_after(connection, 2 * MINUTE)
    assert len(asked(far_end)) == 1
    assert Connection.objects.get().memory["asked_at"] > kept


def test_limits_that_are_not_told_are_none(far_end, connection, monkeypatch):
    def refuse(self):
        raise PermanentError("No such page.", status_code=404)

    monkeypatch.setattr(Scripted, "calls_per_minute", refuse)
    due(connection)
    asking.ask(connection)
    assert asked(far_end) == ["inv-1"]


# --- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [PermanentError("Gone."), ZeroDivisionError()])
def test_trouble_with_one_does_not_keep_others_from_being_asked(far_end, connection, error):
    first, second = due(connection, ref="inv-1"), due(connection, ref="inv-2")
    far_end.answer("fetch_statuses", lambda ref: error if ref == "inv-1" else ())
    asking.ask(connection)
    assert (wait_of(first), wait_of(second)) == (15 * MINUTE, 15 * MINUTE)


def test_silent_platform_is_left_alone_for_a_while(far_end, connection):
    for number in range(10):
        due(connection, ref=f"inv-{number}")
    far_end.answer("fetch_statuses", TemporaryError("Down."))
    asking.ask(connection)
    assert len(asked(far_end)) == asking.PATIENCE
    still_due = PlannedLook.objects.filter(due_at__lte=timezone.now())
    assert (still_due.count(), asking.due_looks().count()) == (10 - asking.PATIENCE, 0)

    far_end.answers.clear()
    Connection.objects.update(probe_at=timezone.now())
    tasks.ask_open()  # one probe, and it answers
    assert (len(asked(far_end)), asking.due_looks().count()) == (asking.PATIENCE + 1, 10 - asking.PATIENCE - 1)


def test_request_for_patience_quiets_the_connection(far_end, connection):
    for number in range(3):
        due(connection, ref=f"inv-{number}")
    far_end.answer("fetch_statuses", TemporaryError("Slower.", retry_after=600))
    asking.ask(connection)
    connection.refresh_from_db()
    assert (len(asked(far_end)), round((connection.quiet_until - timezone.now()) / MINUTE)) == (1, 10)
    assert asking.due_looks().count() == 0
    assert tasks.ask_open() == 0
    assert len(asked(far_end)) == 1


def test_run_ends_in_time_and_gives_back_what_it_claimed(far_end, connection):
    due(connection)
    asking.ask(connection, stop_at=0)
    assert (asked(far_end), asking.due_looks().count()) == ([], 1)


def test_killed_run_leaves_its_claim_due_again(connection):
    invoice = due(connection)
    run = asking.Run(connection, None, 0, timezone.now(), 5)
    assert [row.invoice for row in run.claim(5)] == [invoice]
    assert asking.due_looks().count() == 0
    assert wait_of(invoice) == timedelta(minutes=asking.LEASE / MINUTE)


@pytest.mark.django_db(transaction=True)
def test_two_runs_ask_for_each_invoice_once(far_end, connection):
    for number in range(30):
        due(connection, ref=f"inv-{number}")
    results = together(lambda: asking.ask(connection), lambda: asking.ask(connection))
    assert results == [0, 0]
    assert (len(asked(far_end)), len(set(asked(far_end)))) == (30, 30)


def test_broken_connection_does_not_keep_others_from_being_asked(far_end, connection):
    broken = make_connection("unheard-of")
    due(broken, ref="lost")
    due(connection)
    tasks.ask_open()
    assert asked(far_end) == ["inv-1"]
    assert asking.due_looks().count() == 0


@pytest.mark.parametrize("state", ["paused"])
def test_paused_connection_is_not_asked(far_end, connection, state):
    due(connection)
    Connection.objects.update(state=state)
    tasks.ask_open()
    assert asked(far_end) == []


def test_sweep_has_what_is_due_asked_for(far_end, connection, monkeypatch):
    nudged = []
    monkeypatch.setattr(asking, "nudge", nudged.append)
    tasks.sweep()
    assert nudged == []
    due(connection)
    tasks.sweep()
    assert nudged == ["lifecycle.tasks.ask_open"]


# --- bells ------------------------------------------------------------------------------------------------------------


def ring(connection, key="d1", **body):
    WebhookDelivery.objects.create(
        connection=connection,
        key=key,
        url="",
        body=json.dumps({"key": key, "bells": [{"ref": "inv-1"}], **body}).encode(),
    )
    deliveries.drain()


@pytest.mark.django_db(transaction=True)
def test_bell_that_comes_before_the_history_is_followed_by_a_look(far_end, connection):
    invoice = due(connection)
    PlannedLook.objects.update(due_at=timezone.now() + DAY)
    far_end.has("inv-1")
    ring(connection)
    assert wait_of(invoice) == MINUTE

    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="205", key="1"))
    PlannedLook.objects.update(due_at=timezone.now())
    asking.ask(connection)
    invoice.refresh_from_db()
    assert invoice.status == "205"


@pytest.mark.django_db(transaction=True)
def test_bell_with_news_changes_nothing_of_the_plan(far_end, connection):
    invoice = due(connection)
    PlannedLook.objects.update(due_at=timezone.now() + DAY)
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="205", key="1"))
    ring(connection)
    assert wait_of(invoice) == DAY


@pytest.mark.django_db(transaction=True)
def test_push_may_ask_for_a_poll(far_end, connection):
    Connection.objects.update(polled_at=timezone.now())
    ring(connection, bells=[], ignored="News of a line.", poll_soon=True)
    connection.refresh_from_db()
    assert connection.polled_at is None


# --- what is kept of a report -----------------------------------------------------------------------------------------


def test_duty_and_emitter_are_kept_and_covered_by_the_hash(connection):
    invoice = make_invoice(connection=connection, provider_ref="inv-1")
    told = datetime(2026, 10, 6, 14, 3, tzinfo=UTC)
    make_event(invoice, "210", emitter="PDPR", ppf_duty=True, occurred_at=told)
    event = StatusEvent.objects.get()
    assert (event.emitter, event.ppf_duty, event.ppf_deadline) == ("PDPR", True, told + DAY)
    event.ppf_duty = False
    assert event.compute_hash() != event.hash


def test_event_without_them_keeps_the_facts_it_was_hashed_with(connection):
    event = make_event(make_invoice(connection=connection), "205")
    assert ({"emitter", "ppf_duty"} & set(event.facts()), event.ppf_deadline) == (set(), None)

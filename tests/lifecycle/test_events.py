"""The history of an invoice: append-only, chained, projected, and told once however often it is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.models import RelayState, RelayTask, SeenReport, StatusEvent
from lifecycle.outbox import relays
from providers.contract.base import Payment, Reason, Receipt, StatusReport
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_user
from tests.scripted import together

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _scripted(platform):
    """Decisions ask the platform what it carries."""


@pytest.fixture
def invoice():
    return make_invoice(connection=make_connection("scripted"), statuses=["200", "202", "203"])


@pytest.fixture
def user(invoice):
    return make_user(invoice.customer, "approver")


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def report(invoice, status, **values):
    return StatusReport(provider_ref=invoice.provider_ref, status=status, **values)


def record(invoice, status, **values):
    return events.record_report(invoice.pk, report(invoice, status, **values))


def statuses(invoice):
    return [event.status for event in invoice.status_events.order_by("sequence")]


def status_of(invoice):
    invoice.refresh_from_db()
    return invoice.status


def decide(invoice, user, status, **values):
    relay, _new = services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status, **values))
    return relay


# --- append-only and chained ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    ["UPDATE lifecycle_statusevent SET note = 'other'", "DELETE FROM lifecycle_statusevent"],
)
def test_history_rewritten_in_sql_is_refused(invoice, statement):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert statuses(invoice) == ["200", "202", "203"]


def test_history_truncated_is_refused(invoice):
    with connection.cursor() as cursor:
        # The tests' own database has it off, for it empties its tables this way.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_statusevent ENABLE TRIGGER status_events_are_not_truncated")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE lifecycle_statusevent CASCADE")
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER status_events_are_not_truncated")

    assert statuses(invoice) == ["200", "202", "203"]


def test_event_saved_again_is_refused(invoice):
    event = invoice.status_events.first()
    event.note = "other"

    with pytest.raises(IntegrityError), transaction.atomic():
        event.save()


def tamper(statement, *values):
    """As somebody with the owner's rights would."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER status_events_are_append_only")
        cursor.execute(statement, values)
        cursor.execute("ALTER TABLE lifecycle_statusevent ENABLE TRIGGER status_events_are_append_only")


def test_chain_is_whole(invoice, user):
    decide(invoice, user, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),), note="é ' \" \n")
    record(invoice, "212", payments=(Payment(amount=Decimal(10), vat_rate=Decimal(20)),), occurred_at=at(0))

    assert events.find_break(invoice) == ""


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE lifecycle_statusevent SET note = 'other' WHERE sequence = 2", "event 2 was changed"),
        (
            "UPDATE lifecycle_statusevent SET occurred_at = occurred_at - interval '1 microsecond' WHERE sequence = 1",
            "event 1 was changed",
        ),
        ("DELETE FROM lifecycle_statusevent WHERE sequence = 2", "event 2 is missing"),
        ("UPDATE lifecycle_statusevent SET hash = repeat('0', 64) WHERE sequence = 1", "event 1 was changed"),
    ],
)
def test_row_tampered_with_is_found(invoice, statement, found):
    SeenReport.objects.all().delete()
    tamper(statement)

    assert events.find_break(invoice).startswith(found)


def test_row_replaced_with_a_fitting_hash_is_found(invoice):
    second = invoice.status_events.get(sequence=2)
    second.note = "other"
    tamper("UPDATE lifecycle_statusevent SET note = 'other', hash = %s WHERE sequence = 2", second.compute_hash())

    assert events.find_break(invoice) == "event 3 does not follow the one before it"


# --- the projection ---------------------------------------------------------------------------------------------------


def test_status_told_late_does_not_turn_the_clock_back():
    invoice = make_invoice()
    record(invoice, "203", occurred_at=at(3))
    record(invoice, "205", occurred_at=at(10))
    record(invoice, "204", occurred_at=at(5))

    assert (status_of(invoice), invoice.status_at) == ("205", at(10))
    assert events.histories_of([invoice])[invoice.pk][0] == ("203", "204", "205")


def test_statuses_of_one_instant_stay_in_the_order_of_arrival():
    invoice = make_invoice()
    for status in ("200", "201", "202", "203"):
        record(invoice, status, occurred_at=at(0))

    assert status_of(invoice) == "203"


def test_decision_in_the_second_of_a_report_comes_after_it(user, invoice):
    record(invoice, "203", occurred_at=timezone.now(), key="again")
    decide(invoice, user, "204")

    assert status_of(invoice) == "204"


@pytest.mark.parametrize("final", ["210", "213", "220"])
def test_final_status_stays_whatever_comes_later(final):
    invoice = make_invoice(statuses=["203"])
    record(invoice, final, occurred_at=timezone.now() + timedelta(minutes=1))
    record(invoice, "212", occurred_at=timezone.now() + timedelta(hours=1))

    assert status_of(invoice) == final
    assert invoice.status_events.get(status="212").unexpected is True


@pytest.mark.parametrize("status", ["250", "251", "500", "501", "601", None])
def test_answer_about_something_else_leaves_the_status_alone(invoice, status):
    event = record(invoice, status, native_status="SOMETHING", occurred_at=timezone.now() + timedelta(hours=1))

    assert (status_of(invoice), event.unexpected) == ("203", False)


def test_unknown_word_is_kept_and_shown(invoice):
    event = record(invoice, None, native_status="MARINATED", key="k")

    assert (event.status, event.native_status, event.label) == (None, "MARINATED", "MARINATED")
    assert status_of(invoice) == "203"


def test_report_against_the_table_is_recorded_and_flagged():
    invoice = make_invoice(statuses=["203", "205"])

    assert [record(invoice, status, key=status).unexpected for status in ("212", "200")] == [False, True]


def test_report_out_of_order_is_judged_by_its_time():
    invoice = make_invoice()
    record(invoice, "200", occurred_at=at(0))
    record(invoice, "203", occurred_at=at(3))
    record(invoice, "213", occurred_at=at(20))

    assert record(invoice, "204", occurred_at=at(5)).unexpected is False
    assert record(invoice, "207", occurred_at=at(25)).unexpected is True


def test_version_moves_with_every_event(invoice):
    before = invoice.version
    record(invoice, "204", key="a")
    record(invoice, "204", key="a")

    status_of(invoice)
    assert invoice.version == before + 1


def test_text_that_the_database_cannot_hold_is_marked(invoice):
    event = record(invoice, "207", key="a\0b", note="a\0b \ud800", reasons=(Reason(code="QTE_ERR", text="\0"),))

    event.refresh_from_db()
    assert (event.note, event.reasons) == ("a\ufffdb ?", [{"code": "QTE_ERR", "text": "\ufffd"}])
    assert events.find_break(invoice) == ""


# --- the same fact, told again ----------------------------------------------------------------------------------------


def test_history_read_many_times_gives_one_event_each():
    invoice = make_invoice()
    history = [report(invoice, status, occurred_at=at(minute)) for minute, status in enumerate(["200", "202", "203"])]
    for _time in range(3):
        events.record_reports(invoice.pk, history)

    assert statuses(invoice) == ["200", "202", "203"]


def test_one_moment_in_two_time_zones_is_one_fact():
    invoice = make_invoice()
    record(invoice, "203", occurred_at=at(0))
    record(invoice, "203", occurred_at=datetime.fromisoformat("2026-10-05T14:00:00+02:00"))

    assert statuses(invoice) == ["203"]


def test_long_keys_that_differ_at_the_end_are_two_facts(invoice):
    assert record(invoice, "207", key="x" * 300 + "1", occurred_at=at(1))
    assert record(invoice, "207", key="x" * 300 + "2", occurred_at=at(2))


def test_push_without_time_then_dated_history_is_one_fact(invoice):
    pushed = record(invoice, "204", native_status="IN_HAND", key="push-1")
    record(invoice, "204", native_status="204", issuer_role="BY", key="h-9", occurred_at=timezone.now())
    record(invoice, "204", native_status="204", issuer_role="BY", key="h-9", occurred_at=timezone.now())

    assert statuses(invoice) == ["200", "202", "203", "204"]
    assert set(SeenReport.objects.filter(event=pushed).values_list("is_timed", flat=True)) == {True, False}


def test_dated_history_then_push_without_time_is_one_fact(invoice):
    record(invoice, "204", native_status="204", issuer_role="BY", key="h-9", occurred_at=timezone.now())
    record(invoice, "204", native_status="IN_HAND", key="push-1")

    assert statuses(invoice) == ["200", "202", "203", "204"]


def test_second_dispute_after_an_undated_first_is_a_second_fact(invoice):
    record(invoice, "207", key="push-1")
    record(invoice, "207", key="push-2")

    assert statuses(invoice)[3:] == ["207", "207"]


def test_history_later_than_the_push_is_another_fact(invoice):
    record(invoice, "207", key="push-1")
    record(invoice, "207", key="h-1", occurred_at=timezone.now() + timedelta(hours=2))

    assert statuses(invoice)[3:] == ["207", "207"]


def test_payments_of_one_day_are_two_facts(invoice):
    record(invoice, "212", occurred_at=at(60), payments=(Payment(amount=Decimal(5)),))
    record(invoice, "212", occurred_at=at(61), payments=(Payment(amount=Decimal(5)),))

    assert statuses(invoice)[3:] == ["212", "212"]


@pytest.mark.django_db(transaction=True)
def test_two_threads_with_the_same_report_make_one_event(invoice):
    told = report(invoice, "204", key="once")
    made = together(*[partial(events.record_report, invoice.pk, told)] * 6)

    assert sorted(type(each).__name__ for each in made) == ["NoneType"] * 5 + ["StatusEvent"]
    assert events.find_break(invoice) == ""


@pytest.mark.django_db(transaction=True)
def test_threads_with_different_reports_keep_the_chain_whole(invoice):
    reports = [report(invoice, "207", key=f"k{number}", occurred_at=at(number)) for number in range(8)]
    together(*[partial(events.record_report, invoice.pk, each) for each in reports])

    assert (invoice.status_events.count(), events.find_break(invoice)) == (11, "")


# --- the echo of our own ----------------------------------------------------------------------------------------------


def states(invoice):
    return list(RelayTask.objects.filter(invoice=invoice).order_by("sequence").values_list("event__status", "state"))


@pytest.mark.parametrize("role", ["BY", ""])
@pytest.mark.parametrize("state", ["sending", "sent", "uncertain", "unsupported"])
def test_echo_confirms_what_may_have_been_told(invoice, user, state, role):
    relay = decide(invoice, user, "204")
    RelayTask.objects.update(state=state, last_error="something")

    assert record(invoice, "204", issuer_role=role, occurred_at=timezone.now(), key="echo") is None
    relay.refresh_from_db()
    assert (relay.state, relay.last_error, relay.next_attempt_at, relay.leased_until) == ("confirmed", "", None, None)
    assert statuses(invoice) == ["200", "202", "203", "204"]


@pytest.mark.parametrize("state", ["scheduled", "pending", "failed"])
def test_what_the_platform_shows_before_we_told_it_need_not_be_told(invoice, user, state):
    relay = decide(invoice, user, "204")
    RelayTask.objects.update(state=state)
    event = record(invoice, "204", issuer_role="BY", occurred_at=timezone.now(), key="theirs")
    relay.refresh_from_db()

    assert (relay.state, relay.next_attempt_at, relay.leased_until) == ("cancelled", None, None)
    assert relay.last_error.startswith("La plateforme montrait déjà ce statut")
    assert (event.origin, event.unexpected, status_of(invoice)) == ("platform", False, "204")
    assert events.histories_of([invoice])[invoice.pk][0] == ("200", "202", "203", "204")


def test_echo_twice_is_no_second_event(invoice, user):
    decide(invoice, user, "204")
    relays.drain()
    for key in ("echo", "echo"):
        record(invoice, "204", issuer_role="BY", key=key, occurred_at=timezone.now())

    assert statuses(invoice) == ["200", "202", "203", "204"]


@pytest.mark.parametrize("first", ["push", "history"])
def test_echo_by_push_and_by_history_is_no_second_event(invoice, user, first):
    decide(invoice, user, "204")
    relays.drain()
    told = {
        "push": report(invoice, "204", native_status="IN_HAND", key="p"),
        "history": report(invoice, "204", native_status="204", issuer_role="BY", key="h", occurred_at=timezone.now()),
    }
    for name in sorted(told, key=lambda name: name != first):
        events.record_report(invoice.pk, told[name])

    assert statuses(invoice) == ["200", "202", "203", "204"]
    assert states(invoice) == [("204", "confirmed")]


def test_echo_after_our_answer_had_confirmed_is_no_second_event(invoice, user, platform):
    platform.answer("send", Receipt(confirmed=True))
    decide(invoice, user, "204")
    relays.drain()
    assert states(invoice) == [("204", "confirmed")]

    record(invoice, "204", issuer_role="BY", key="echo", occurred_at=timezone.now())

    assert statuses(invoice) == ["200", "202", "203", "204"]


def test_same_status_long_after_the_confirmation_is_news(invoice, user):
    decide(invoice, user, "207", reasons=(Reason(code="QTE_ERR"),))
    RelayTask.objects.update(state="confirmed", confirmed_at=timezone.now())

    record(invoice, "207", issuer_role="BY", key="second", occurred_at=timezone.now() + timedelta(days=2))

    assert statuses(invoice)[3:] == ["207", "207"]


def test_report_older_than_the_decision_is_no_echo(invoice, user):
    decide(invoice, user, "204")
    event = record(invoice, "204", issuer_role="BY", occurred_at=timezone.now() - timedelta(hours=1))

    assert event.origin == "platform"
    assert states(invoice) == [("204", "pending")]


def test_report_of_the_other_side_is_no_echo(invoice, user):
    decide(invoice, user, "204")
    record(invoice, "204", issuer_role="WK", key="theirs", occurred_at=timezone.now())

    assert states(invoice) == [("204", "pending")]
    assert len(statuses(invoice)) == 5


def test_echoes_of_two_payments_confirm_each_its_own(user):
    invoice = make_invoice(
        connection=make_connection("scripted"), customer=make_customer(), direction="issued", statuses=["203", "205"]
    )
    for amount in ("10.00", "25.50"):
        decide(invoice, user, "212", payments=(Payment(amount=Decimal(amount), vat_rate=Decimal(20)),))
        relays.drain()
    told = (Payment(amount=Decimal("25.5"), vat_rate=Decimal(20)),)
    record(invoice, "212", issuer_role="SE", key="e1", payments=told, occurred_at=timezone.now())

    assert states(invoice) == [("212", "sent"), ("212", "confirmed")]

    record(invoice, "212", issuer_role="SE", key="e2", occurred_at=timezone.now())

    assert states(invoice) == [("212", "confirmed"), ("212", "confirmed")]
    assert statuses(invoice) == ["203", "205", "212", "212"]


@pytest.mark.parametrize("state", [RelayState.AWAITING_APPROVAL, RelayState.CANCELLED])
def test_report_of_what_we_did_not_say_is_news(invoice, user, state):
    decide(invoice, user, "204")
    RelayTask.objects.update(state=state)
    record(invoice, "204", issuer_role="BY", key="theirs", occurred_at=timezone.now())

    assert states(invoice) == [("204", state)]
    said = StatusEvent.objects.filter(invoice=invoice, status="204").order_by("sequence")
    assert [event.origin for event in said] == ["us", "platform"]


@pytest.mark.parametrize("state", [RelayState.AWAITING_APPROVAL, RelayState.CANCELLED])
def test_decision_without_effect_does_not_count(invoice, user, state):
    decide(invoice, user, "205")
    RelayTask.objects.update(state=state)
    make_event(invoice, None, native_status="X")

    assert status_of(invoice) == "203"
    assert events.histories_of([invoice])[invoice.pk][0] == ("200", "202", "203")

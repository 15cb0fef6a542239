"""Whether two reports are one statement: identity, echo, completion, replay, and the order of clocks that disagree."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.decisions import services
from lifecycle.decisions.messages import message_of
from lifecycle.decisions.settlement import settlement_of
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.models import RelayTask, SeenReport
from lifecycle.outbox import relays
from lifecycle.watching import watch
from providers.contract.base import Payment, Reason, Receipt, StatusReport, TemporaryError
from providers.formats import cdar
from tests.factories import make_connection, make_invoice, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def user():
    return make_user(is_superuser=True)


@pytest.fixture
def received():
    return make_invoice(connection=make_connection("scripted"), statuses=["203"])


@pytest.fixture
def issued():
    return make_issued()


def make_issued(**values):
    breakdown = [{"rate": "20.00", "base": "1000.00", "amount": "200.00"}]
    values = {"amount_due": Decimal(1200), "statuses": ["200", "205"], **values}
    return make_invoice(connection=make_connection("scripted"), direction="issued", vat_breakdown=breakdown, **values)


def paid(amount):
    return (Payment(amount=Decimal(amount), vat_rate=Decimal(20)),)


def record(invoice, status, **values):
    return events.record_report(invoice.pk, StatusReport(provider_ref=invoice.provider_ref, status=status, **values))


def decide(user, invoice, status, **values):
    return services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status, **values))[0]


def counted(invoice, status):
    return [
        (event.origin, [row["code"] for row in event.reasons], [row["amount"] for row in event.payments], event.note)
        for event in events.effective_events(invoice)
        if event.status == status
    ]


def left(invoice):
    return [row.left for row in settlement_of(invoice, "212")]


def now():
    return timezone.now().replace(microsecond=0)


def status_of(invoice):
    invoice.refresh_from_db()
    return invoice.status


# --- echo -------------------------------------------------------------------------------------------------------------

OURS = {"reasons": (Reason(code="QTE_ERR", text="9 of 10"),), "note": "ours"}


@pytest.mark.parametrize("answer", [TemporaryError("busy", retry_after=3600), Receipt()], ids=["untold", "sent"])
@pytest.mark.parametrize(
    "theirs",
    [
        {"reasons": (Reason(code="COORD_BANC_ERR"),)},
        {"reasons": (Reason(code="QTE_ERR", text="another thing"),), "note": "theirs"},
        {"issuer_role": "SE"},
    ],
    ids=["reason", "words", "issuer"],
)
def test_what_contradicts_ours_is_an_event_of_its_own(user, received, far_end, answer, theirs):
    far_end.answer("send", answer)
    ours = decide(user, received, "207", **OURS)
    relays.drain()
    state = RelayTask.objects.get().state

    event = record(received, "207", key="platform-77", occurred_at=now(), **{"issuer_role": "BY", **theirs})

    ours.refresh_from_db()
    assert (event.origin, ours.state) == ("platform", state)
    assert len(counted(received, "207")) == 2


def test_bare_one_like_ours_is_not_its_echo_while_the_echo_is_there(user, received, far_end):
    relay = decide(user, received, "204", note="voir le bon 12")
    relays.drain()
    now = timezone.now()
    told = [
        StatusReport(provider_ref=received.provider_ref, status="204", issuer_role="BY", occurred_at=now, note=note)
        for note in ("", "voir le bon 12")
    ]

    (theirs,) = events.record_reports(received.pk, told)

    relay.refresh_from_db()
    assert (theirs.note, relay.state) == ("", "confirmed")


def test_echo_that_leaves_things_out_confirms(user, received):
    ours = decide(user, received, "207", **OURS)
    relays.drain()
    assert (
        record(received, "207", issuer_role="BY", key="h1", reasons=(Reason(code="QTE_ERR"),), occurred_at=now())
        is None
    )
    ours.refresh_from_db()
    assert ours.state == "confirmed"


@pytest.mark.parametrize("ours_first", [True, False])
def test_lesser_statement_of_a_colleague_beside_ours_is_its_own(user, received, ours_first):
    reason, at = Reason(code="QTE_ERR", text="9 reçus sur 10"), now()
    decide(user, received, "207", reasons=(reason,), note="voir le bon 12")
    relays.drain()
    theirs = {"occurred_at": at, "reasons": (Reason(code="QTE_ERR"),)}
    echo = {"occurred_at": at + timedelta(seconds=5), "reasons": (reason,), "note": "voir le bon 12"}

    for values in [echo, theirs] if ours_first else [theirs, echo]:
        record(received, "207", **values)
    for values in [theirs, echo]:
        record(received, "207", **values)

    kept = [(event.origin, event.note) for event in events.shown_events(received) if event.status == "207"]
    assert sorted(kept) == [("platform", ""), ("us", "voir le bon 12")]
    assert RelayTask.objects.get(invoice=received).state == "confirmed"
    assert events.find_break(received) == ""


def test_all_that_we_said_under_the_id_of_another_is_not_ours(user, received):
    reason, at = Reason(code="QTE_ERR", text="9 reçus sur 10"), now()
    decide(user, received, "207", reasons=(reason,))
    relays.drain()
    record(received, "207", occurred_at=at, reasons=(Reason(code="QTE_ERR"),))
    record(received, "207", occurred_at=at + timedelta(seconds=5), reasons=(reason,), message_id="somebody's own")

    kept = [(event.origin, event.reasons[0]["text"]) for event in events.shown_events(received) if event.reasons]
    assert sorted(kept) == [("platform", "9 reçus sur 10"), ("us", "9 reçus sur 10")]


def test_same_status_weeks_after_one_that_nobody_confirmed_is_news(user, received):
    ours = decide(user, received, "207", reasons=(Reason(code="QTE_ERR"),))
    relays.drain()
    record(
        received,
        "207",
        issuer_role="BY",
        key="k2",
        reasons=(Reason(code="QTE_ERR"),),
        occurred_at=now() + timedelta(days=20),
    )
    ours.refresh_from_db()
    assert (ours.state, len(counted(received, "207"))) == ("sent", 2)


@pytest.mark.parametrize("suffix", ["", "-PPF"])
def test_message_with_our_id_is_ours_and_with_another_is_not(user, received, suffix):
    first = decide(user, received, "207", reasons=(Reason(code="QTE_ERR"),))
    relays.drain()
    record(
        received,
        "207",
        key="a",
        message_id="of-other-software",
        issuer_role="BY",
        occurred_at=now() + timedelta(seconds=9),
    )
    first.refresh_from_db()
    assert first.state == "sent"

    record(received, "207", key="b", message_id=f"{first.pk}{suffix}", issuer_role="BY", occurred_at=now())
    first.refresh_from_db()
    assert first.state == "confirmed"


@pytest.mark.parametrize(("amount", "state"), [("1200", "cancelled"), ("600", "pending")])
def test_receipt_found_before_ours_was_told_is_told_once(user, issued, far_end, amount, state):
    far_end.answer("send", TemporaryError("busy", retry_after=3600))
    ours = decide(user, issued, "212", payments=paid("1200"))
    relays.drain()
    record(issued, "212", issuer_role="SE", key="theirs", payments=paid(amount), occurred_at=now())
    ours.refresh_from_db()
    assert ours.state == state
    assert left(issued) == [Decimal(0) if state == "cancelled" else Decimal(-600)]


def test_hint_that_turns_out_to_say_what_we_would_cancels_ours(user, issued, far_end):
    far_end.answer("send", TemporaryError("busy", retry_after=3600))
    ours = decide(user, issued, "212", payments=paid("1200"))
    relays.drain()
    record(issued, "212", issuer_role="SE", key="hint")
    ours.refresh_from_db()
    assert ours.state == "pending"
    record(issued, "212", issuer_role="SE", key="full", payments=paid("1200"), occurred_at=now())
    ours.refresh_from_db()
    assert (ours.state, left(issued)) == ("cancelled", [Decimal(0)])


# --- completion and replay --------------------------------------------------------------------------------------------


def test_reason_note_amounts_and_time_of_a_hint_are_had_later(issued):
    record(issued, "210", issuer_role="BY", key="event-1")
    moment = now() - timedelta(minutes=2)
    full = StatusReport(
        provider_ref=issued.provider_ref, status="210", issuer_role="BY", key="history-9", note="see mail",
        occurred_at=moment, reasons=(Reason(code="TX_TVA_ERR", text="20 instead of 10"),),
    )  # fmt: skip
    for _time in range(2):
        events.record_reports(issued.pk, [full])

    (event,) = [each for each in events.effective_events(issued) if each.status == "210"]
    assert ([row["code"] for row in event.reasons], event.note, event.occurred_at) == (
        ["TX_TVA_ERR"],
        "see mail",
        moment,
    )
    assert [link.sequence for link in event.additions] == [4]
    assert (status_of(issued), issued.status_at, events.find_break(issued)) == ("210", moment, "")


def test_amounts_of_a_receipt_first_heard_by_hint_count_once(issued):
    moment = now()
    record(issued, "212", issuer_role="SE", key="e1")
    for key in ("h1", "h1", "h2"):
        record(issued, "212", issuer_role="SE", key=key, occurred_at=moment, payments=paid("1200"))
    assert (left(issued), len(counted(issued, "212"))) == ([Decimal(0)], 1)


def test_same_receipt_under_another_message_id_is_a_replay(issued):
    moment = now()
    for key in ("m-1", "m-2", "m-3"):
        record(issued, "212", issuer_role="SE", key=key, occurred_at=moment, payments=paid("930"))
    assert (left(issued), len(counted(issued, "212"))) == ([Decimal(270)], 1)
    assert list(SeenReport.objects.filter(is_replay=True).values_list("identity", flat=True)) == ["key:m-2", "key:m-3"]


def test_same_receipt_in_two_rows_of_one_rate_is_a_replay(issued):
    moment = now()
    for key, payments in (("m-1", paid("930")), ("m-2", (*paid("400"), *paid("530")))):
        record(issued, "212", issuer_role="SE", key=key, occurred_at=moment, payments=payments)
    assert (left(issued), len(counted(issued, "212"))) == ([Decimal(270)], 1)


@pytest.mark.parametrize(
    "other", [{"payments": paid("250")}, {"seconds": 1}, {"note": "the second"}], ids=["amount", "time", "note"]
)
@pytest.mark.parametrize("keys", [("", ""), ("k1", "k2"), ("k", "k")], ids=["no key", "two keys", "one key"])
def test_correction_is_no_replay(issued, keys, other):
    moment = now() - timedelta(minutes=1)
    first = {"payments": paid("100"), "note": "the first", "occurred_at": moment, "issuer_role": "SE"}
    second = first | {name: value for name, value in other.items() if name != "seconds"}
    second["occurred_at"] += timedelta(seconds=other.get("seconds", 0))
    for key, values in zip(keys, (first, second), strict=True):
        record(issued, "212", key=key, **values)
    one_identity = keys == ("k", "k") and "payments" not in other
    assert len(counted(issued, "212")) == (1 if one_identity else 2)


def test_undated_receipts_of_other_amounts_are_two(issued):
    record(issued, "212", issuer_role="SE", occurred_at=now(), payments=paid("100"))
    record(issued, "212", issuer_role="SE", key="row2:0", payments=paid("250"))
    assert [row[2] for row in counted(issued, "212")] == [["100.00"], ["250.00"]]


def test_same_bare_day_under_another_message_id_is_a_replay(issued):
    for key in ("row1:0", "row2:0"):
        record(issued, "212", issuer_role="SE", key=key, said_on="2026-11-20", payments=paid("100"))
    assert len(counted(issued, "212")) == 1


# Three receipts and a dispute; some are first heard by a hint that tells only the code.
TRUE = [
    {"status": "212", "key": "h1", "payments": paid("100"), "minutes": -50},
    {"status": "212", "key": "h2", "payments": paid("250"), "minutes": -50},
    {"status": "212", "key": "h3", "payments": paid("100"), "minutes": -20},
    {"status": "207", "key": "h4", "reasons": (Reason(code="QTE_ERR", text="9 of 10"),), "minutes": -30},
]
HINTS = [{"status": "212", "key": "p1"}, {"status": "212", "key": "p2"}, {"status": "207", "key": "p3"}]
REPLAYS = [{**row, "key": f"again-{row['key']}"} for row in TRUE]


@settings(max_examples=40, deadline=None)
@given(st.permutations([*TRUE, *HINTS, *REPLAYS, *TRUE]))
def test_any_order_and_repetition_of_true_statements_gives_the_same(told):
    invoice, base = make_issued(), now()
    for row in told:
        values = {name: value for name, value in row.items() if name not in ("status", "minutes")}
        moment = base + timedelta(minutes=row["minutes"]) if "minutes" in row else None
        record(
            invoice, row["status"], occurred_at=moment, issuer_role="BY" if row["status"] == "207" else "SE", **values
        )

    said = sorted(
        (event.status, *[row["amount"] for row in event.payments]) for event in events.effective_events(invoice)
    )
    assert said == [("200",), ("205",), ("207",), ("212", "100.00"), ("212", "100.00"), ("212", "250.00")]
    assert left(invoice) == [Decimal(750)]
    assert [row[1] for row in counted(invoice, "207")] == [["QTE_ERR"]]
    assert events.find_break(invoice) == ""


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_ours_is_not_offered_again_because_their_clock_is_ahead(user, far_end):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["200", "202"])
    record(invoice, "203", issuer_role="WK", key="y", occurred_at=now() + timedelta(minutes=3))
    decide(user, invoice, "205")
    relays.drain()
    assert status_of(invoice) == "205"
    assert "205" not in services.next_statuses(invoice)
    assert services.next_statuses(invoice) != ()


@pytest.mark.parametrize("code", ["205", "206"])
def test_theirs_that_came_after_ours_is_not_offered_again_because_their_clock_is_behind(user, code):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["200", "202", "203"])
    decide(user, invoice, "204")
    relays.drain()
    record(invoice, code, issuer_role="BY", key="theirs", occurred_at=now() - timedelta(minutes=3))
    offered = services.next_statuses(invoice)
    assert ("205" in offered, "204" in offered, "207" in offered) == (code == "206", False, True)


def test_old_news_that_comes_late_closes_nothing(user):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["200", "202", "203"])
    decide(user, invoice, "205")
    relays.drain()
    record(invoice, "204", issuer_role="BY", key="old", occurred_at=now() - timedelta(hours=1))
    assert services.next_statuses(invoice) == ("206", "207", "208", "210", "211")


@pytest.mark.parametrize(
    "told",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)],
)
def test_impossible_time_is_kept_as_told_and_ordered_by_arrival(client, user, received, told):
    event = record(received, "204", issuer_role="BY", key="odd", occurred_at=told)
    assert (event.time_source, event.told_time, status_of(received)) == ("impossible", told.isoformat(), "204")
    assert record(received, "204", issuer_role="BY", key="again", occurred_at=told) is None
    client.force_login(user)
    page = client.get(f"/invoices/{received.pk}/")
    assert told.isoformat() in page.content.decode()


@pytest.mark.parametrize("way", ["received", "issued"])
def test_step_reported_late_does_not_take_back_a_derived_one(user, way):
    statuses = ["200"] if way == "issued" else []
    invoice = make_invoice(connection=make_connection("scripted"), direction=way, statuses=statuses)
    events.record_report(invoice.pk, StatusReport(provider_ref="", status="203", key="arrival", derived=True))
    offered = services.next_statuses(invoice)
    event = record(invoice, "202", issuer_role="WK", key="cdar", occurred_at=now() + timedelta(minutes=2))
    assert (status_of(invoice), services.next_statuses(invoice), event.unexpected) == ("203", offered, False)
    record(invoice, "203", issuer_role="WK", key="cdar-2", occurred_at=now() + timedelta(minutes=3))
    assert events.histories_of([invoice])[invoice.pk][0] == (*statuses, "202", "203")


def test_derived_code_yields_to_what_was_said_earlier_and_heard_later():
    invoice = make_invoice()
    events.record_report(invoice.pk, StatusReport(provider_ref="", status="203", key="arrival", derived=True))
    record(invoice, "205", issuer_role="BY", key="h", occurred_at=now() - timedelta(hours=3))
    assert status_of(invoice) == "205"


# --- times without a zone ---------------------------------------------------------------------------------------------

# Paris goes from +2 to +1 at 01:00 UTC on 25 October 2026: the second 02:30 is 01:30 UTC.
AUTUMN = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
SPRING = [datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]


@pytest.mark.parametrize("keeps_id", [True, False])
@pytest.mark.parametrize("moment", [*AUTUMN, *SPRING])
def test_echo_in_the_hour_that_comes_twice_is_an_echo(user, keeps_id, moment):
    invoice = make_issued(issue_date="2026-03-01")
    with mock.patch.object(timezone, "now", return_value=moment):
        relay = decide(user, invoice, "212", payments=paid("1200"))
        relays.drain()
        relay = RelayTask.objects.select_related("event", "invoice").get(pk=relay.pk)
        (read,) = cdar.read(cdar.write(message_of(relay)))
        report = read.report(provider_ref=invoice.provider_ref)
        if not keeps_id:
            report = StatusReport(**{**vars(report), "message_id": "", "key": "theirs"})
        events.record_report(invoice.pk, report)
    relay.refresh_from_db()
    assert (relay.state, len(counted(invoice, "212")), left(invoice)) == ("confirmed", 1, [Decimal(0)])


@pytest.mark.parametrize("moment", AUTUMN)
def test_time_of_the_repeated_hour_is_the_one_that_fits_its_arrival(moment):
    invoice = make_invoice()
    with mock.patch.object(timezone, "now", return_value=moment + timedelta(seconds=20)):
        event = record(invoice, "203", key="k", occurred_at=AUTUMN[0], zone="Europe/Paris")
    assert (event.occurred_at, event.time_source) == (moment, "told")


@pytest.mark.parametrize("moment", [datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)])
def test_platform_that_writes_utc_for_paris_does_not_take_the_status_back(user, moment):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["200", "205"], direction="issued")
    offset = timedelta(hours=2 if moment.month == 7 else 1)
    with mock.patch.object(timezone, "now", return_value=moment):
        other = make_invoice(connection=invoice.connection, direction="issued")
        for place, status in enumerate(["200", "203", "204", "207", "205"]):
            told = moment + timedelta(seconds=place)
            record(other, status, key=status, occurred_at=told - offset, zone="Europe/Paris")
            assert status_of(other) == status
        (finding,) = watch.times()
    assert (finding.check, finding.subject) == ("zone", invoice.connection.name)
    assert "UTC" in finding.what

    invoice.connection.refresh_from_db()
    invoice.connection.settings["status_timezone"] = "UTC"
    invoice.connection.save()
    assert list(watch.times()) == []
    event = record(other, "206", key="206", occurred_at=moment - offset, zone="Europe/Paris")
    assert (event.occurred_at, event.time_source) == (moment, "told")

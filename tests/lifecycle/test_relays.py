"""The outbox: told once, in order, and never on a guess."""

from datetime import timedelta

import pytest
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.outbox import relays
from lifecycle.outbox.relays import CONFIRM_DELAYS, LOOK_UP_DELAYS, RETRY_DELAYS
from providers.contract.base import (
    PermanentError,
    Reason,
    Receipt,
    StatusReport,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.models import Connection
from tests.factories import make_connection, make_invoice, make_line, make_user

from .relaying import CUT, begin, ended, fresh, make_due, outcomes, state_of, wait_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    return make_connection("scripted")


@pytest.fixture
def user():
    return make_user(is_superuser=True)


@pytest.fixture
def decide(connection, user):
    def decide(status="204", invoice=None, **values):
        invoice = invoice or make_invoice(connection=connection, statuses=["203"])
        wish = Wish(status=status, **values)
        return services.issue_status(user=user, invoice_id=invoice.pk, wish=wish)[0]

    return decide


# --- sending ----------------------------------------------------------------------------------------------------------


def test_decision_is_told_with_all_it_says(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    invoice.addressing_line = make_line(invoice.customer, connection, "800112237_80011223700014")
    invoice.save()
    relay = decide("207", invoice, reasons=(Reason(code="QTE_ERR", text="9 sur 10"),), note="Merci")

    assert relays.drain() == 1
    (told,) = far_end.told
    assert (told.id, told.status, told.issuer_role, told.note) == (str(relay.pk), "207", "BY", "Merci")
    assert (told.reasons, told.occurred_at) == ((Reason(code="QTE_ERR", text="9 sur 10"),), relay.event.occurred_at)
    assert (told.invoice.provider_ref, told.invoice.line_identifier) == (
        invoice.provider_ref,
        "800112237_80011223700014",
    )


def test_accepted_relay_is_sent_and_waits_for_its_echo(decide, far_end):
    far_end.answer("send", Receipt(reference="r-7", text='{"ok": true}'))
    relay = decide()
    relays.drain()

    after = fresh(relay)
    assert (after.state, after.attempts, after.leased_until, after.last_error) == ("sent", 1, None, "")
    assert (after.receipt["reference"], after.receipt["text"]) == ("r-7", '{"ok": true}')
    assert outcomes(relay) == [("send", "accepted")]
    assert 59 < wait_of(relay) < 73


def test_relay_is_told_once_however_often_we_drain(decide, far_end):
    decide()
    for _time in range(3):
        relays.drain()

    assert len(far_end.told) == 1


def test_receipt_that_shows_the_status_confirms(decide, far_end):
    far_end.answer("send", Receipt(confirmed=True))
    relay = decide()
    relays.drain()

    assert (state_of(relay), fresh(relay).next_attempt_at) == ("confirmed", None)


def test_echo_quicker_than_our_own_answer_stays_confirmed(decide, far_end, connection):
    relay = decide()
    claim, spoke_at = begin(relay)
    told = StatusReport(provider_ref="", status="204", issuer_role="BY", key="e", occurred_at=timezone.now())
    events.record_report(relay.invoice_id, told)
    ended(claim, spoke_at, receipt=Receipt(reference="late"))

    assert (state_of(relay), fresh(relay).attempts) == ("confirmed", 1)
    assert relay.invoice.status_events.count() == 2


def test_temporary_failure_is_tried_later_and_longer(decide, far_end):
    far_end.answer("send", TemporaryError("The connection was refused."))
    relay = decide()
    waits = []
    for _time in range(4):
        make_due()
        relays.drain()
        waits.append(wait_of(relay))

    assert [low < wait <= low * 1.2 + 1 for low, wait in zip((0.5, 4.5, 14.5, 59.5), waits, strict=True)] == [True] * 4
    assert (state_of(relay), fresh(relay).attempts) == ("pending", 4)
    assert fresh(relay).last_error == "The connection was refused."


def test_failing_for_too_long_goes_to_a_person(decide, far_end):
    far_end.answer("send", TemporaryError("No."))
    relay = decide()
    for _time in range(len(RETRY_DELAYS) + 1):
        make_due()
        relays.drain()

    assert (state_of(relay), fresh(relay).next_attempt_at) == ("failed", None)
    assert len(far_end.told) == len(RETRY_DELAYS) + 1


def test_retry_after_quiets_only_its_connection(decide, far_end, connection):
    patient = TemporaryError("Too many requests.", retry_after=120, status_code=429)
    far_end.answer("send", lambda message: patient if message.invoice.provider_ref == "busy" else Receipt())
    busy = decide(invoice=make_invoice(connection=connection, provider_ref="busy", statuses=["203"]))
    relays.drain()
    same = decide()
    other = decide(invoice=make_invoice(connection=make_connection("scripted"), statuses=["203"]))
    make_due()
    relays.drain()

    assert [state_of(relay) for relay in (busy, same, other)] == ["pending", "pending", "sent"]
    assert wait_of(busy) <= 0  # made due, and still not sent

    Connection.objects.update(quiet_until=timezone.now() - timedelta(seconds=1))
    far_end.answer("send")
    relays.drain()
    assert [state_of(relay) for relay in (busy, same)] == ["sent", "sent"]


def test_retry_after_is_waited_for(decide, far_end):
    far_end.answer("send", TemporaryError("Later.", retry_after=500))
    relay = decide()
    relays.drain()

    assert 499 < wait_of(relay) < 601


def test_shorter_retry_after_does_not_end_a_longer_one(decide, far_end, connection):
    Connection.objects.update(quiet_until=None)
    first, second = decide(), decide()
    far_end.answer("send", lambda m: TemporaryError("", retry_after=900 if m.id == str(first.pk) else 1))
    relays.drain()

    connection.refresh_from_db()
    assert (connection.quiet_until - timezone.now()).total_seconds() > 800
    assert {state_of(first), state_of(second)} == {"pending"}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermanentError("Refused: unknown reason.", status_code=422, answer="{}"), "failed"),
        (Unsupported("It has no word for this."), "unsupported"),
    ],
)
def test_failure_that_would_come_again_goes_to_a_person(decide, far_end, error, state):
    far_end.answer("send", error)
    relay = decide()
    relays.drain()
    make_due()
    relays.drain()

    after = fresh(relay)
    assert (after.state, after.next_attempt_at, after.last_error) == (state, None, error.message)
    assert len(far_end.told) == 1
    assert outcomes(relay) == [("send", type(error).__name__)]


def test_answer_the_database_cannot_hold_is_marked(decide, far_end):
    bad = PermanentError("N\0 \ud800", answer="\0" * 10)
    far_end.answer("send", lambda m: bad if m.id == str(first.pk) else Receipt(reference="\0", text="a\0"))
    first, second = decide(), decide()
    relays.drain()

    assert [state_of(first), state_of(second)] == ["failed", "sent"]
    assert (fresh(first).last_error, fresh(second).receipt["text"]) == ("N\ufffd ?", "a\ufffd")


# --- uncertain --------------------------------------------------------------------------------------------------------


def test_lost_answer_is_looked_up_before_anything_else(decide, far_end):
    far_end.answer("send", CUT)
    far_end.answer("find", Receipt(reference="found"))
    relay = decide()
    relays.drain()
    assert (state_of(relay), fresh(relay).last_error) == ("uncertain", CUT.message)

    make_due()
    relays.drain()

    assert (state_of(relay), fresh(relay).receipt["reference"]) == ("sent", "found")
    assert len(far_end.told) == 1
    assert outcomes(relay) == [("send", "UncertainError"), ("look_up", "found")]


def test_lost_answer_never_found_is_sent_again_after_the_last_look_up(decide, far_end):
    far_end.answer("send", CUT, Receipt())
    relay = decide()
    relays.drain()
    for look in range(len(LOOK_UP_DELAYS)):
        assert (state_of(relay), fresh(relay).look_ups, len(far_end.told)) == ("uncertain", look, 1)
        make_due()
        relays.drain()

    assert (state_of(relay), len(far_end.told)) == ("sent", 2)
    assert outcomes(relay) == [
        ("send", "UncertainError"),
        *[("look_up", "not found")] * len(LOOK_UP_DELAYS),
        ("send", "accepted"),
    ]


def test_lost_answer_twice_is_looked_up_twice(decide, far_end):
    far_end.answer("send", CUT)
    relay = decide()
    for _time in range(2 + 2 * len(LOOK_UP_DELAYS)):
        make_due()
        relays.drain()

    kinds = [kind for kind, _outcome in outcomes(relay)]
    looks = ["look_up"] * len(LOOK_UP_DELAYS)
    assert kinds[: 2 + len(looks) * 2] == ["send", *looks, "send", *looks]


@pytest.mark.parametrize(
    "error", [TemporaryError("Down."), PermanentError("403"), UncertainError("?"), ValueError("?")]
)
def test_failing_look_up_is_no_reason_to_send(decide, far_end, error):
    far_end.answer("send", CUT)
    far_end.answer("find", error)
    relay = decide()
    for _time in range(8):
        make_due()
        relays.drain()

    assert (state_of(relay), len(far_end.told)) == ("uncertain", 1)


def test_platform_without_look_up_leaves_it_to_a_person(decide, far_end):
    far_end.answer("send", CUT)
    far_end.answer("find", Unsupported("It cannot be asked."))
    relay = decide()
    for _time in range(3):
        make_due()
        relays.drain()

    after = fresh(relay)
    assert (after.state, after.next_attempt_at, len(far_end.told)) == ("uncertain", None, 1)
    assert after.last_error.startswith("It cannot be asked. ")


def test_fault_of_an_adapter_is_uncertain_and_stops_nobody(decide, far_end):
    far_end.answer("send", lambda m: ZeroDivisionError() if m.invoice.provider_ref == "bad" else Receipt())
    good = [decide() for _number in range(3)]
    bad = decide(invoice=make_invoice(connection=good[0].connection, provider_ref="bad", statuses=["203"]))
    good += [decide() for _number in range(3)]
    relays.drain()

    assert state_of(bad) == "uncertain"
    assert {state_of(relay) for relay in good} == {"sent"}


def test_sent_one_without_echo_is_looked_up_and_never_sent_again(decide, far_end):
    relay = decide()
    for _time in range(10):
        make_due()
        relays.drain()

    assert (state_of(relay), len(far_end.told), fresh(relay).next_attempt_at) == ("sent", 1, None)
    assert fresh(relay).look_ups == len(CONFIRM_DELAYS)


def test_sent_one_found_is_confirmed(decide, far_end):
    far_end.answer("find", Receipt(), Receipt(confirmed=True))
    relay = decide()
    for state in ("sent", "sent", "confirmed"):
        make_due()
        relays.drain()
        assert state_of(relay) == state

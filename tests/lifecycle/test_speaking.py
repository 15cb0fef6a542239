"""A relay speaks once: marked right before its first byte may leave, by one update that asks what may have changed."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.models import RelayAttempt, RelayTask
from lifecycle.outbox import lanes, relays, states
from lifecycle.outbox.claims import claim_to_tell
from providers.contract import kinds
from providers.contract.base import (
    LoginRefused,
    PermanentError,
    Reason,
    Receipt,
    StatusReport,
    TemporaryError,
    UncertainError,
    Verdict,
)
from providers.models import CachedToken, Connection
from tests.factories import make_connection, make_invoice, make_user
from tests.scripted import Scripted, together

from .relaying import CUT, begin, ended, fresh, make_due, outcomes, state_of

pytestmark = pytest.mark.django_db
threaded = pytest.mark.django_db(transaction=True)
DUPLICATE = (Reason(code="DOUBLON"),)


class LateSpeaking(Scripted):
    """As every adapter that calls over HTTP: the token first, then the mark, then the call."""

    kind = "late_speaking"
    marks_speaking = True

    def send_status(self, message):
        self.tokens.get("scope", lambda: self.platform.next("login", None, ("t", timezone.now() + timedelta(hours=1))))
        self.before_speaking()
        return super().send_status(message)


@pytest.fixture(autouse=True)
def far_end(platform, monkeypatch):
    monkeypatch.setitem(kinds.ADAPTERS, "late_speaking", f"{__name__}.LateSpeaking")
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


@pytest.fixture
def late_connection():
    return make_connection("late_speaking")


def report(invoice, status, *, role="BY", minutes=0, key="theirs"):
    moment = timezone.now() + timedelta(minutes=minutes)
    return StatusReport(provider_ref=invoice.provider_ref, status=status, issuer_role=role, key=key, occurred_at=moment)


def expire_leases():
    RelayTask.objects.exclude(leased_until=None).update(leased_until=timezone.now() - timedelta(seconds=1))


# --- what was only taken up -------------------------------------------------------------------------------------------


def test_what_a_killed_worker_had_only_taken_up_is_still_to_be_told(decide, far_end):
    relay = decide()
    claim_to_tell()
    assert (state_of(relay), fresh(relay).has_spoken) == ("pending", False)
    relays.drain()
    assert far_end.told == []  # somebody holds it

    expire_leases()
    relays.drain()
    assert (state_of(relay), far_end.told_statuses, outcomes(relay)) == ("sent", ["204"], [("send", "accepted")])


def test_of_what_a_killed_worker_held_only_what_spoke_is_uncertain(decide):
    held = [decide() for _number in range(6)]
    claims = claim_to_tell()
    states.speak(claims[:2])
    expire_leases()
    states.doubt_killed()

    spoken = {claim.relay.pk for claim in claims[:2]}
    assert {state_of(relay) for relay in held if relay.pk in spoken} == {"uncertain"}
    assert {state_of(relay) for relay in held if relay.pk not in spoken} == {"pending"}


def test_relay_that_spoke_says_so(decide, far_end):
    relay = decide()
    assert not relay.has_spoken
    far_end.answer("send", lambda message: spoken.append(fresh(relay).has_spoken) or Receipt())
    spoken: list[bool] = []
    claim, spoke_at = begin(relay)
    assert (state_of(relay), fresh(relay).spoke_at, fresh(relay).has_spoken) == ("sending", spoke_at, True)
    ended(claim, spoke_at, receipt=Receipt())
    assert (state_of(relay), fresh(relay).has_spoken) == ("sent", True)


def test_what_was_surely_not_accepted_has_not_spoken(decide, far_end):
    far_end.answer("send", TemporaryError("The connection was refused."))
    relay = decide()
    relays.drain()

    assert (state_of(relay), fresh(relay).has_spoken) == ("pending", False)


@pytest.mark.parametrize("change", ["lease", "cancelled", "paused", "quiet", "ill"])
def test_what_changed_since_the_claim_is_asked_before_speaking(decide, connection, change):
    relay = decide()
    (claim,) = claim_to_tell()
    row, account = RelayTask.objects.filter(pk=relay.pk), Connection.objects.filter(pk=connection.pk)
    soon = timezone.now() + timedelta(minutes=1)
    {
        "lease": lambda: row.update(leased_until=soon),
        "cancelled": lambda: row.update(state="cancelled"),
        "paused": lambda: account.update(state="paused"),
        "quiet": lambda: account.update(quiet_until=soon),
        "ill": lambda: account.update(health="outage", probe_at=soon),
    }[change]()

    assert states.speak([claim]) == {}
    assert fresh(relay).spoke_at is None


def test_one_that_may_not_speak_keeps_nobody_else_silent(decide):
    relays_ = [decide() for _number in range(4)]
    claims = claim_to_tell()
    RelayTask.objects.filter(pk=relays_[1].pk).update(state="cancelled")

    assert set(states.speak(claims)) == {relay.pk for relay in relays_} - {relays_[1].pk}


@threaded
def test_undoing_and_speaking_at_the_same_moment_leaves_one_of_them(user, decide, connection, far_end):
    invoice = make_invoice(connection=connection, statuses=["203"])
    invoice.customer.undo_seconds = 60
    invoice.customer.save()
    made = [decide(invoice=make_invoice(invoice.customer, connection, statuses=["203"])) for _number in range(5)]
    make_due()
    undo = [lambda relay=relay: services.cancel(user=user, relay_id=relay.pk) for relay in made]
    together(relays.drain, *undo)

    told = {message.id for message in far_end.told}
    assert {str(relay.pk) for relay in made if state_of(relay) == "sent"} == told
    assert {state_of(relay) for relay in made} <= {"sent", "cancelled"}


# --- the table --------------------------------------------------------------------------------------------------------


def test_waiting_relay_is_not_told_after_a_final_status(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    far_end.answer("send", TemporaryError("Busy."), Receipt())
    relay = decide("205", invoice)
    relays.drain()
    events.record_report(invoice.pk, report(invoice, "210", minutes=1))
    make_due()
    relays.drain()

    assert (far_end.told_statuses, state_of(relay), fresh(relay).next_attempt_at) == (["205"], "failed", None)
    assert "205 Approuvée" in fresh(relay).last_error
    assert "210 Refusée" in fresh(relay).last_error


def test_claimed_relay_is_not_told_after_a_final_status(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    relay = decide("205", invoice)
    (claim,) = claim_to_tell()
    events.record_report(invoice.pk, report(invoice, "210", minutes=1))

    assert states.speak([claim]) == {}
    states.let_go([claim])
    relays.drain()
    assert (far_end.told, state_of(relay)) == ([], "failed")


def test_claimed_relay_is_not_told_once_the_platform_has_confirmed_it(decide, far_end, connection):
    relay = decide("204")
    (claim,) = claim_to_tell()
    events.confirm(fresh(relay))

    assert states.speak([claim]) == {}
    assert state_of(relay) == "confirmed"


def test_undo_time_over_is_no_licence_against_the_table(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    invoice.customer.undo_seconds = 60
    invoice.customer.save()
    relay = decide("204", invoice)
    events.record_report(invoice.pk, report(invoice, "210", minutes=1))
    make_due()
    relays.drain()

    assert (far_end.told, state_of(relay)) == ([], "failed")


def test_retry_passes_the_table_again(decide, far_end, connection, user):
    invoice = make_invoice(connection=connection, statuses=["203"])
    far_end.answer("send", PermanentError("No."))
    relay = decide("205", invoice)
    relays.drain()
    events.record_report(invoice.pk, report(invoice, "210", minutes=1))

    with pytest.raises(DecisionRefused, match="210 Refusée"):
        services.retry(user=user, relay_id=relay.pk)
    assert (state_of(relay), far_end.told_statuses) == ("failed", ["205"])


def test_retry_of_what_came_first_is_not_held_up_by_what_follows(decide, far_end, connection, user):
    invoice = make_invoice(connection=connection, statuses=["203"])
    far_end.answer("send", PermanentError("No."))
    first, second = decide("204", invoice), decide("205", invoice)
    relays.drain()
    far_end.answer("send", Receipt())
    for relay in (second, first):
        services.retry(user=user, relay_id=relay.pk)
    relays.drain()

    assert far_end.told_statuses == ["204", "205", "204", "205"]


def test_platform_s_own_progress_does_not_hold_up_what_still_fits(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    relay = decide("205", invoice)
    events.record_report(invoice.pk, report(invoice, "204"))
    relays.drain()

    assert state_of(relay) == "sent"


# --- before the wire --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [TemporaryError("Down."), UncertainError("Cut."), LoginRefused("Wrong password.")])
@threaded
def test_failing_login_leaves_nothing_uncertain(decide, far_end, late_connection, failure):
    far_end.answer("login", failure)
    relay = decide(invoice=make_invoice(connection=late_connection, statuses=["203"]))
    relays.drain()

    after = fresh(relay)
    assert (after.state, after.attempts, after.has_spoken, after.last_error) == ("pending", 0, False, failure.message)
    assert (outcomes(relay), far_end.told) == ([], [])


@threaded
def test_login_that_another_process_holds_leaves_nothing_uncertain(decide, far_end, late_connection, settings):
    relay = decide(invoice=make_invoice(connection=late_connection, statuses=["203"]))
    CachedToken.objects.create(connection=late_connection, scope="scope")
    held, release = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            CachedToken.objects.select_for_update().get()
            held.set()
            release.wait(60)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    drain = threading.Thread(target=lambda: (relays.drain(), connections.close_all()))
    drain.start()
    time.sleep(0.5)
    assert (state_of(relay), fresh(relay).has_spoken) == ("pending", False)
    release.set()
    drain.join()
    holder.join()
    assert state_of(relay) == "sent"


def test_waiting_for_its_turn_is_no_try(decide, far_end):
    relay = decide()
    for _time in range(20):
        for claim in claim_to_tell():
            expire_leases()
            assert states.speak([claim]) == {}
    assert (fresh(relay).attempts, state_of(relay), outcomes(relay)) == (0, "pending", [])
    relays.drain()
    assert state_of(relay) == "sent"


def test_renewed_login_is_the_same_try(decide, far_end, late_connection, monkeypatch):
    def send_status(self, message):
        self.before_speaking()
        self.before_speaking()
        return Receipt()

    monkeypatch.setattr(LateSpeaking, "send_status", send_status)
    relay = decide(invoice=make_invoice(connection=late_connection, statuses=["203"]))
    relays.drain()
    assert (state_of(relay), fresh(relay).attempts) == ("sent", 1)


# --- recording --------------------------------------------------------------------------------------------------------


def test_database_error_on_one_loses_no_other_s_receipt(decide, monkeypatch):
    made = [decide() for _number in range(5)]
    write, failed = relays.record, []

    def record(tries):
        if len(failed) < 2:  # all of them together, then the first alone
            failed.append(len(tries))
            raise OperationalError("deadlock detected")
        write(tries)

    monkeypatch.setattr(relays, "record", record)
    monkeypatch.setattr(lanes, "RECORD_DELAYS", (0.01,))
    relays.drain()

    assert {state_of(relay) for relay in made} == {"sent"}  # also the one whose recording failed once
    assert RelayAttempt.objects.count() == 5


def test_outcome_that_cannot_be_written_is_looked_up(decide, far_end, monkeypatch):
    lost, other = decide(), decide()
    write = relays.record

    def record(tries):
        if any(each.relay.pk == lost.pk and each.is_sending for each in tries):
            raise OperationalError("the disk is full")
        write(tries)

    monkeypatch.setattr(relays, "record", record)
    monkeypatch.setattr(lanes, "RECORD_DELAYS", (0.01,))
    relays.drain()
    assert (state_of(lost), state_of(other)) == ("sending", "sent")

    monkeypatch.setattr(relays, "record", write)
    far_end.answer("find", Receipt(reference="it is there"))
    expire_leases()
    relays.drain()
    assert (state_of(lost), len(far_end.told)) == ("sent", 2)


@threaded
def test_outbox_and_inbox_record_the_same_invoices_without_a_deadlock(decide, far_end):
    made = [decide() for _number in range(8)]
    refs = [relay.invoice for relay in made]

    def hear():
        with transaction.atomic():
            for invoice in reversed(refs):
                events.record_report(invoice.pk, report(invoice, "204", key=f"k-{invoice.pk}"))

    results = together(relays.drain, hear)
    assert [each for each in results if isinstance(each, Exception)] == []
    relays.drain()
    assert RelayAttempt.objects.filter(kind="send").count() == len(far_end.told)


def test_receipt_that_comes_after_the_lease_is_the_truth(decide):
    relay = decide()
    claim, spoke_at = begin(relay)
    expire_leases()
    states.doubt_killed()
    ended(claim, spoke_at, receipt=Receipt(reference="late"))

    assert (state_of(relay), fresh(relay).receipt["reference"]) == ("sent", "late")


# --- settled while it waits -------------------------------------------------------------------------------------------


def not_shown(relay):
    """Its answer was lost, and the platform did not show it: it waits to be told again."""
    relays.drain()
    for _look in relays.LOOK_UP_DELAYS:
        make_due()
        if state_of(relay) == "uncertain":
            for claim in lanes.claim_to_look_up():
                relays.record([relays.Try(claim, "look_up", timezone.now(), 0.1)])
    assert state_of(relay) == "pending"


@pytest.mark.parametrize(("is_accepted", "state"), [(True, "confirmed"), (False, "failed")])
def test_verdict_that_comes_while_it_waits_to_be_told_again_settles_it(decide, far_end, connection, is_accepted, state):
    far_end.answer("send", CUT, Receipt())
    relay = decide()
    not_shown(relay)
    states.record_verdict(connection, Verdict(message_id=str(relay.pk), is_accepted=is_accepted, text="No."))
    relays.drain()

    assert (state_of(relay), len(far_end.told)) == (state, 1)


def test_echo_that_comes_while_it_waits_to_be_told_again_settles_it(decide, far_end, connection):
    far_end.answer("send", CUT, Receipt())
    relay = decide()
    not_shown(relay)
    events.record_report(relay.invoice_id, report(relay.invoice, "204", key="echo"))
    relays.drain()

    assert (state_of(relay), len(far_end.told)) == ("confirmed", 1)

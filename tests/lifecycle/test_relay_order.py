"""In which order, by whom and for whom relays are sent: queues per invoice, quiet platforms, killed workers."""

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask
from lifecycle.outbox import relays, states
from lifecycle.outbox.claims import claim_to_tell
from providers.contract.base import PermanentError, Reason, Receipt, TemporaryError
from providers.models import Connection
from tests.factories import make_connection, make_invoice, make_user
from tests.scripted import together

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


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TemporaryError("Down."), CUT])
def test_second_word_about_an_invoice_waits_for_the_first(decide, far_end, connection, error):
    invoice = make_invoice(connection=connection, statuses=["203"])
    first, second = decide("204", invoice), decide("205", invoice)
    far_end.answer("send", lambda message: error if message.id == str(first.pk) else Receipt())
    other = decide()
    relays.drain()
    make_due()
    RelayTask.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    relays.drain()

    assert (state_of(second), state_of(other)) == ("pending", "sent")
    assert "205" not in far_end.told_statuses


def test_words_about_an_invoice_are_told_in_order(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    for status, values in (("204", {}), ("207", {"reasons": (Reason(code="QTE_ERR"),)}), ("205", {})):
        decide(status, invoice, **values)
    RelayTask.objects.filter(event__status="205").update(next_attempt_at=timezone.now() - timedelta(hours=1))
    relays.drain()

    assert far_end.told_statuses == ["204", "207", "205"]


def test_undo_window_holds_back_what_follows(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    invoice.customer.undo_seconds = 60
    invoice.customer.save()
    first = decide("204", invoice)
    invoice.customer.undo_seconds = 0
    invoice.customer.save()
    second = decide("205", invoice)
    relays.drain()
    assert (state_of(first), state_of(second)) == ("scheduled", "pending")

    make_due()
    relays.drain()
    assert far_end.told_statuses == ["204", "205"]


def test_failed_first_word_does_not_hold_back_the_second(decide, far_end, connection):
    invoice = make_invoice(connection=connection, statuses=["203"])
    far_end.answer("send", PermanentError("No."), Receipt())
    first, second = decide("204", invoice), decide("205", invoice)
    relays.drain()

    assert (state_of(first), state_of(second)) == ("failed", "sent")


# --- who may be told --------------------------------------------------------------------------------------------------


def test_paused_connection_is_left_alone(decide, far_end, connection):
    relay = decide()
    Connection.objects.filter(pk=connection.pk).update(state="paused")

    assert (relays.drain(), state_of(relay), far_end.told) == (0, "pending", [])


@pytest.mark.parametrize(
    "broken", [{"kind": "nobody-speaks-this"}, {"secrets": "gAAAAABm"}], ids=["unknown kind", "lost key"]
)
def test_connection_that_cannot_be_set_up_stops_nobody(decide, far_end, broken):
    other = decide(invoice=make_invoice(connection=make_connection("scripted"), statuses=["203"]))
    good = decide()
    with database.cursor() as cursor:
        for column, value in broken.items():
            cursor.execute(
                f"UPDATE providers_connection SET {column} = %s WHERE id = %s",  # noqa: S608 - our own names
                [value, other.connection_id],
            )
    relays.drain()

    assert (state_of(good), state_of(other), fresh(other).attempts) == ("sent", "pending", 0)
    assert wait_of(other) > 0


# --- killed, slow and several workers ---------------------------------------------------------------------------------


def test_what_a_dead_worker_was_sending_is_looked_up(decide, far_end):
    relay = decide()
    begin(relay)
    assert state_of(relay) == "sending"
    relays.drain()
    assert (state_of(relay), far_end.told) == ("sending", [])

    RelayTask.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    far_end.answer("find", Receipt(reference="it had arrived"))
    relays.drain()

    assert (state_of(relay), far_end.told) == ("sent", [])
    assert outcomes(relay) == [("look_up", "found")]


def test_late_result_after_the_lease_is_not_written(decide, far_end):
    relay = decide()
    claim, spoke_at = begin(relay)
    RelayTask.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    states.doubt_killed()
    ended(claim, spoke_at, error=PermanentError("No."))

    assert (state_of(relay), fresh(relay).attempts) == ("uncertain", 1)
    assert outcomes(relay) == [("send", "PermanentError")]


def test_worker_that_waited_too_long_does_not_speak(decide):
    relay = decide()
    (claim,) = claim_to_tell()
    RelayTask.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert states.speak([claim]) == {}
    assert (state_of(relay), fresh(relay).spoke_at) == ("pending", None)


@pytest.mark.django_db(transaction=True)
def test_two_workers_claim_different_rows(decide):
    for _number in range(20):
        decide()
    claimed = together(*[lambda: claim_to_tell(8)] * 4)

    keys = [claim.relay.pk for claims in [*claimed, claim_to_tell(20)] for claim in claims]
    assert (len(keys), len(set(keys))) == (20, 20)


@pytest.mark.django_db(transaction=True)
def test_claim_passes_over_rows_another_worker_holds(decide):
    first, second = decide(), decide()
    held, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            RelayTask.objects.select_for_update().get(pk=first.pk)
            held.set()
            done.wait(10)

    def claim():
        held.wait(10)
        try:
            return [claim.relay.pk for claim in claim_to_tell()]
        finally:
            done.set()

    assert together(hold, claim) == [None, [second.pk]]


@pytest.mark.django_db(transaction=True)
def test_many_workers_tell_everything_once_and_in_order(decide, far_end, connection):
    invoices = [make_invoice(connection=connection, statuses=["203"]) for _number in range(6)]
    for status in ("204", "205"):
        for invoice in invoices:
            decide(status, invoice)
    together(*[relays.drain] * 4)
    relays.drain()

    told = [(message.invoice.provider_ref, message.status) for message in far_end.told]
    assert sorted(told) == sorted((each.provider_ref, status) for each in invoices for status in ("204", "205"))
    for invoice in invoices:
        assert [status for ref, status in told if ref == invoice.provider_ref] == ["204", "205"]


@pytest.mark.django_db(transaction=True)
def test_slow_platform_does_not_hold_back_the_news_of_a_quick_one(decide, far_end):
    slow, quick = decide(), decide()
    seen = []

    def answer(message):
        if message.id == str(slow.pk):
            for _time in range(100):
                seen[:] = [state_of(quick)]
                if seen == ["sent"]:
                    break
                threading.Event().wait(0.05)
        return Receipt()

    far_end.answer("send", answer)
    relays.drain()

    assert (seen, state_of(slow)) == (["sent"], "sent")

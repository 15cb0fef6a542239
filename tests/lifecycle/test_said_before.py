"""The same status told twice: looking the second one up must not find the first."""

import pytest
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from providers.contract.base import Reason, Receipt, StatusReport, UncertainError
from tests.factories import make_connection, make_invoice, make_user

pytestmark = pytest.mark.django_db


def shown(key="h7"):
    return StatusReport(provider_ref="", status="207", key=key, occurred_at=timezone.now())


DISPUTE = Wish(status="207", reasons=(Reason(code="QTE_ERR"),))


@pytest.fixture
def far_end(platform):
    return platform


@pytest.fixture
def twice(far_end):
    """The first is sent, and what became of the second is not known."""
    far_end.answer("send", Receipt(), UncertainError("Cut."))
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["203"])
    user = make_user(is_superuser=True)
    told = []
    for _time in range(2):
        told.append(services.issue_status(user=user, invoice_id=invoice.pk, wish=DISPUTE)[0])
        relays.drain()
    return told


@pytest.fixture
def look_up(far_end):
    def look_up(relay, answer=None):
        """What the adapter was told of others."""
        asked = []
        far_end.answer("find", lambda message: asked.append((message.others, message.unseen)) or answer)
        RelayTask.objects.filter(pk=relay.pk).update(next_attempt_at=timezone.now())
        relays.drain()
        return asked

    return look_up


def test_earlier_one_that_nobody_confirmed_is_told(twice, look_up):
    first, second = twice
    assert (look_up(first), look_up(second)) == ([(frozenset(), 0)], [(frozenset(), 1)])


def test_earlier_one_whose_echo_came_is_named(twice, look_up):
    first, second = twice
    events.record_report(first.invoice_id, shown())
    assert look_up(second) == [(frozenset({"h7"}), 0)]


def test_earlier_one_that_only_a_push_told_of_may_be_any_item(twice, look_up):
    first, second = twice
    events.record_report(first.invoice_id, StatusReport(provider_ref="", status="207", key="push-7:0"))
    first.refresh_from_db()
    assert (first.state, look_up(second)) == ("confirmed", [(frozenset(), 1)])


def test_earlier_one_that_was_looked_up_is_named(twice, look_up):
    first, second = twice
    look_up(first, Receipt(reference="h7", confirmed=True))
    assert look_up(second) == [(frozenset({"h7"}), 0)]


def test_later_one_is_no_earlier_one(twice, look_up):
    first, second = twice
    look_up(second, Receipt(reference="h8", confirmed=True))
    assert look_up(first) == [(frozenset({"h8"}), 0)]


@pytest.mark.parametrize("state", ["failed", "unsupported"])
def test_echo_belongs_to_what_was_told_before_what_was_not(twice, state):
    first, _second = twice
    RelayTask.objects.filter(pk=first.pk).update(state=state)
    states = []
    for key in ("h7", "h8"):
        assert events.record_report(first.invoice_id, shown(key)) is None
        states.append(tuple(RelayTask.objects.get(pk=relay.pk).state for relay in twice))

    # The second item: somebody did it on the platform by hand.
    assert states == [(state, "confirmed"), ("confirmed", "confirmed")]

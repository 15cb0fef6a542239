"""What can be done with a decision afterwards: undo, retry, resolve; and what never leaves the house."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from invoices.models import Comment
from lifecycle.decisions import services
from lifecycle.decisions.services import WrongRelayState
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from providers.contract.base import Payment, Reason
from tests.factories import OTHER_SIREN, make_connection, make_customer, make_event, make_invoice, make_user

pytestmark = pytest.mark.django_db

QUANTITY = (Reason(code="QTE_ERR", text="9 reçus sur 10"),)
TOTAL = (Reason(code="MONTANTTOTAL_ERR"),)
RECEIVED = (Payment(amount=Decimal("120.00"), vat_rate=Decimal(20)),)


@pytest.fixture(autouse=True)
def _scripted(platform):
    """Decisions ask the platform what it carries."""


@pytest.fixture
def invoice():
    return make_invoice(connection=make_connection("scripted"), statuses=["200", "202", "203"])


@pytest.fixture
def user(invoice):
    return make_user(invoice.customer, "approver")


@pytest.fixture
def colleague(invoice):
    return make_user(invoice.customer, "approver")


def decide(invoice, user, status, key="", **values):
    return services.issue_status(
        user=user, invoice_id=invoice.pk, wish=Wish(status=status, **values), idempotency_key=key
    )


def status_of(invoice):
    invoice.refresh_from_db()
    return invoice.status


# --- undo, retry, resolve ---------------------------------------------------------------------------------------------


def test_undo_window_holds_the_relay(invoice, user):
    invoice.customer.undo_seconds = 30
    invoice.customer.save()
    relay, _new = decide(invoice, user, "205")

    assert relay.state == "scheduled"
    assert timedelta(seconds=28) < relay.next_attempt_at - timezone.now() <= timedelta(seconds=30)


def test_undone_decision_does_not_count(invoice, user):
    relay, _new = decide(invoice, user, "205")
    RelayTask.objects.update(state="scheduled")
    cancelled = services.cancel(user=user, relay_id=relay.pk)

    assert (cancelled.state, status_of(invoice)) == ("cancelled", "203")
    assert "205" in services.next_statuses(invoice)


def test_refusal_undone_opens_the_invoice_again(invoice, user):
    relay, _new = decide(invoice, user, "210", reasons=TOTAL)
    RelayTask.objects.update(state="scheduled")
    services.cancel(user=user, relay_id=relay.pk)

    assert decide(invoice, user, "205")[0].sequence == 5
    assert status_of(invoice) == "205"


CANCELLABLE = {"awaiting_approval", "scheduled", "failed", "unsupported"}


@pytest.mark.parametrize("state", RelayState.values)
def test_cancel_only_where_surely_nothing_was_accepted(invoice, user, state):
    relay, _new = decide(invoice, user, "205")
    RelayTask.objects.update(state=state)
    if state in CANCELLABLE:
        assert services.cancel(user=user, relay_id=relay.pk).state == "cancelled"
    else:
        with pytest.raises(WrongRelayState):
            services.cancel(user=user, relay_id=relay.pk)


@pytest.mark.parametrize(("role", "may"), [("reader", False), ("clerk", False), ("approver", True)])
def test_cancel_of_anothers_decision_needs_an_approver(invoice, user, role, may):
    relay, _new = decide(invoice, user, "204")
    RelayTask.objects.update(state="scheduled")
    other = make_user(invoice.customer, role)
    if may:
        assert services.cancel(user=other, relay_id=relay.pk).state == "cancelled"
    else:
        with pytest.raises(PermissionDenied):
            services.cancel(user=other, relay_id=relay.pk)


def test_clerk_undoes_their_own(invoice):
    clerk = make_user(invoice.customer, "clerk")
    relay, _new = decide(invoice, clerk, "204")
    RelayTask.objects.update(state="scheduled")

    assert services.cancel(user=clerk, relay_id=relay.pk).state == "cancelled"


@pytest.mark.parametrize(("role", "may"), [("clerk", False), ("approver", False), ("administrator", True)])
def test_retry_needs_an_administrator(invoice, user, role, may):
    relay, _new = decide(invoice, user, "205")
    RelayTask.objects.update(state="failed", attempts=13, last_error="refused", next_attempt_at=None)
    other = make_user(invoice.customer, role)
    if may:
        again = services.retry(user=other, relay_id=relay.pk)
        assert (again.state, again.attempts, again.last_error) == ("pending", 0, "")
        assert again.next_attempt_at <= timezone.now()
    else:
        with pytest.raises(PermissionDenied):
            services.retry(user=other, relay_id=relay.pk)


@pytest.mark.parametrize("state", sorted(set(RelayState.values) - {"failed"}))
def test_retry_of_anything_but_a_failure_is_refused(invoice, state):
    administrator = make_user(invoice.customer, "administrator")
    relay, _new = decide(invoice, administrator, "205")
    RelayTask.objects.update(state=state)

    with pytest.raises(WrongRelayState):
        services.retry(user=administrator, relay_id=relay.pk)


def test_resolved_as_arrived_is_confirmed(invoice):
    administrator = make_user(invoice.customer, "administrator", username="ada")
    relay, _new = decide(invoice, administrator, "205")
    RelayTask.objects.update(state="uncertain", receipt={"reference": "r-1"})
    resolved = services.resolve(user=administrator, relay_id=relay.pk, arrived=True)

    assert (resolved.state, resolved.receipt) == ("confirmed", {"reference": "r-1", "resolved_by": "ada"})


def test_resolved_as_missing_is_sent_again(invoice):
    administrator = make_user(invoice.customer, "administrator")
    relay, _new = decide(invoice, administrator, "205")
    RelayTask.objects.update(state="uncertain", look_ups=3, next_attempt_at=None)
    resolved = services.resolve(user=administrator, relay_id=relay.pk, arrived=False)

    assert (resolved.state, resolved.look_ups) == ("pending", 0)
    assert resolved.next_attempt_at <= timezone.now()


@pytest.mark.parametrize("state", ["sent", "unsupported"])
def test_what_was_sent_is_never_sent_again_by_hand(invoice, state):
    administrator = make_user(invoice.customer, "administrator")
    relay, _new = decide(invoice, administrator, "205")
    RelayTask.objects.update(state=state)

    with pytest.raises(WrongRelayState):
        services.resolve(user=administrator, relay_id=relay.pk, arrived=False)
    relay.refresh_from_db()
    assert relay.state == state


def test_resolve_of_an_uncertain_one_needs_an_administrator(invoice, user):
    relay, _new = decide(invoice, user, "205")
    RelayTask.objects.update(state="uncertain")

    with pytest.raises(PermissionDenied):
        services.resolve(user=user, relay_id=relay.pk, arrived=True)


# --- comments, assignment ---------------------------------------------------------------------------------------------


def test_comment_needs_a_clerk(invoice, user):
    services.add_comment(user=user, invoice=invoice, text="Qui connaît ce fournisseur ?")

    with pytest.raises(PermissionDenied):
        services.add_comment(user=make_user(invoice.customer, "reader"), invoice=invoice, text="Moi")
    assert Comment.objects.count() == 1


def test_assignment_to_somebody_without_a_say_is_refused(invoice, user, colleague):
    services.assign(user=user, invoice=invoice, to=colleague)

    for other in (make_user(invoice.customer, "reader"), make_user(make_customer(OTHER_SIREN), "administrator")):
        with pytest.raises(PermissionDenied):
            services.assign(user=user, invoice=invoice, to=other)
    invoice.refresh_from_db()
    assert invoice.assigned_to == colleague


def test_assignment_keeps_a_status_written_meanwhile(invoice, user, colleague):
    make_event(invoice, "204")  # `invoice` was read before
    services.assign(user=user, invoice=invoice, to=colleague)

    assert status_of(invoice) == "204"

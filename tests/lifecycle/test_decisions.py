"""What people decide: rights, the table, four eyes, undo, and two of everything at once."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from invoices.models import Role
from lifecycle.decisions import services
from lifecycle.decisions.services import DecisionRefused, KeyReused, StaleInvoice, WrongRelayState
from lifecycle.decisions.wishes import Wish
from lifecycle.models import IdempotencyKey, RelayTask, StatusEvent
from providers.contract.base import Capabilities, Payment, Reason
from tests.factories import OTHER_SIREN, make_connection, make_customer, make_event, make_invoice, make_user
from tests.scripted import Scripted, together

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


# --- who --------------------------------------------------------------------------------------------------------------

LEAST = {
    "204": ("clerk", {}),
    "205": ("approver", {}),
    "206": ("approver", {"reasons": QUANTITY}),
    "207": ("clerk", {"reasons": QUANTITY}),
    "208": ("clerk", {"reasons": (Reason(code="JUSTIF_ABS"),)}),
    "210": ("approver", {"reasons": TOTAL}),
    "211": ("approver", {}),
}


@pytest.mark.parametrize("role", [None, *Role.values])
@pytest.mark.parametrize("status", LEAST)
def test_decision_needs_its_role(invoice, status, role):
    user = make_user(invoice.customer if role else None, role or "")
    least, values = LEAST[status]
    if role in Role.at_least(least):
        assert decide(invoice, user, status, **values)[0].event.status == status
    else:
        with pytest.raises(PermissionDenied):
            decide(invoice, user, status, **values)
        assert not RelayTask.objects.exists()


def test_role_for_another_customer_does_not_help(invoice):
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")

    with pytest.raises(PermissionDenied):
        decide(invoice, stranger, "204")


@pytest.mark.parametrize("who", [{"is_superuser": True, "is_active": False}, {"is_active": False}])
def test_closed_account_decides_nothing(invoice, who):
    user = make_user(invoice.customer, "administrator", **who)

    with pytest.raises(PermissionDenied):
        decide(invoice, user, "204")


def test_nobody_decides_nothing(invoice):
    with pytest.raises(PermissionDenied):
        decide(invoice, AnonymousUser(), "204")


def test_superuser_decides(invoice):
    assert decide(invoice, make_user(is_superuser=True), "205")[1] is True


# --- what -------------------------------------------------------------------------------------------------------------


def test_decision_is_recorded_with_its_relay(invoice, user):
    relay, is_new = decide(invoice, user, "207", reasons=QUANTITY, note="Voir bon de livraison")

    assert (is_new, relay.state, relay.sequence, relay.connection) == (True, "pending", 4, invoice.connection)
    event = relay.event
    assert (event.origin, event.issuer_role, event.actor, event.unexpected) == ("us", "BY", user, False)
    assert (event.reasons, event.note) == (
        [{"code": "QTE_ERR", "text": "9 reçus sur 10"}],
        "Voir bon de livraison",
    )
    assert status_of(invoice) == "207"


def test_deadline_stands_where_the_law_sets_one(invoice, user):
    refusal, _new = decide(invoice, user, "210", reasons=TOTAL)
    other, _new = decide(make_invoice(connection=invoice.connection, statuses=["203"]), user, "205")

    assert (refusal.deadline_at - refusal.created_at, other.deadline_at) == (timedelta(hours=24), None)


@pytest.mark.parametrize(
    ("status", "values", "field", "code"),
    [
        ("212", {"payments": RECEIVED}, "status", "not_possible_now"),
        ("200", {}, "status", "not_possible_now"),
        ("999", {}, "status", "unknown_status"),
        ("250", {}, "status", "unknown_status"),
        ("210", {}, "reasons", "required"),
        ("207", {}, "reasons", "required"),
        ("207", {"reasons": (Reason(code="JUSTIF_ABS"),)}, "reasons[0].code", "not_for_status"),
        ("205", {"reasons": QUANTITY}, "reasons", "not_allowed"),
    ],
)
def test_wish_against_the_table_is_refused(invoice, user, status, values, field, code):
    with pytest.raises(DecisionRefused) as refused:
        decide(invoice, user, status, **values)

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [(field, code)]
    assert status_of(invoice) == "203"
    assert not RelayTask.objects.exists()


def test_payment_without_amounts_is_refused(user):
    issued = make_invoice(connection=make_connection("scripted"), direction="issued", statuses=["203", "205"])

    with pytest.raises(DecisionRefused) as refused:
        decide(issued, user, "212")

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [("payments", "required")]


def test_invoice_without_any_status_takes_none(user):
    bare = make_invoice(connection=make_connection("scripted"))

    assert services.next_statuses(bare) == ()
    with pytest.raises(DecisionRefused):
        decide(bare, user, "204")


def test_nothing_follows_a_refusal(invoice, user):
    decide(invoice, user, "210", reasons=TOTAL)

    assert services.next_statuses(invoice) == ()


def test_reason_the_platform_cannot_carry_is_refused(invoice, user, monkeypatch):
    monkeypatch.setattr(Scripted, "reasons_for", lambda self, status, *, side: frozenset({"PU_ERR"}))

    with pytest.raises(DecisionRefused) as refused:
        decide(invoice, user, "207", reasons=QUANTITY)

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [("reasons[0].code", "not_carried")]


def test_status_the_platform_does_not_take_is_for_a_person(invoice, user, platform):
    platform.capabilities = Capabilities()

    relay, _new = decide(invoice, user, "205")

    assert (relay.state, relay.next_attempt_at) == ("unsupported", None)
    assert status_of(invoice) == "205"


# --- two at once ------------------------------------------------------------------------------------------------------


def test_stale_version_is_refused(invoice, user):
    seen = invoice.version
    make_event(invoice, "204")

    with pytest.raises(StaleInvoice):
        decide(invoice, user, "205", version=seen)


def test_version_as_seen_passes(invoice, user):
    assert decide(invoice, user, "205", version=invoice.version)[1] is True


@pytest.mark.django_db(transaction=True)
def test_two_people_deciding_at_once_one_wins(invoice, user, colleague):
    seen = invoice.version
    results = together(
        partial(decide, invoice, user, "205", version=seen),
        partial(decide, invoice, colleague, "210", reasons=TOTAL, version=seen),
    )

    assert sorted(type(result).__name__ for result in results) == ["StaleInvoice", "tuple"]
    assert RelayTask.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_final_decisions_at_once_without_version_one_wins(invoice, user, colleague):
    results = together(*[partial(decide, invoice, who, "210", reasons=TOTAL) for who in (user, colleague)])

    assert sorted(type(result).__name__ for result in results) == ["DecisionRefused", "tuple"]
    assert StatusEvent.objects.filter(status="210").count() == 1


def test_same_key_and_body_get_the_same_answer(invoice, user):
    first, is_new = decide(invoice, user, "210", key="k", reasons=TOTAL)
    again, is_new_again = decide(invoice, user, "210", key="k", reasons=TOTAL, version=1)

    assert (first.pk, is_new, is_new_again) == (again.pk, True, False)
    assert StatusEvent.objects.filter(status="210").count() == 1


@pytest.mark.parametrize(
    "values", [{"note": "other"}, {"reasons": (Reason(code="QTE_ERR", text="other"),)}, {"status": "208"}]
)
def test_same_key_with_another_body_is_refused(invoice, user, values):
    first = {"status": "207", "reasons": QUANTITY}
    decide(invoice, user, key="k", **first)

    with pytest.raises(KeyReused):
        decide(invoice, user, key="k", **(first | values))


def test_same_key_for_another_invoice_is_refused(invoice, user):
    other = make_invoice(connection=invoice.connection, statuses=["203"])
    decide(invoice, user, "205", key="k")

    with pytest.raises(KeyReused):
        decide(other, user, "205", key="k")


def test_same_key_of_another_user_is_another_key(invoice, user, colleague):
    decide(invoice, user, "207", key="k", reasons=QUANTITY)

    assert decide(invoice, colleague, "205", key="k")[1] is True


def test_refused_wish_does_not_use_the_key_up(invoice, user):
    with pytest.raises(DecisionRefused):
        decide(invoice, user, "210", key="k")

    assert decide(invoice, user, "210", key="k", reasons=TOTAL)[1] is True


@pytest.mark.django_db(transaction=True)
def test_same_key_at_the_same_moment_is_answered_once(invoice, user):
    results = together(*[partial(decide, invoice, user, "205", key="k")] * 4)

    assert sorted(is_new for _relay, is_new in results) == [False, False, False, True]
    assert len({relay.pk for relay, _is_new in results}) == 1


@pytest.mark.django_db(transaction=True)
def test_same_key_at_the_same_moment_for_two_invoices_is_refused_once(invoice, user):
    other = make_invoice(connection=invoice.connection, statuses=["203"])
    results = together(*[partial(decide, each, user, "205", key="k") for each in (invoice, other)])

    assert sorted(type(result).__name__ for result in results) == ["KeyReused", "tuple"]
    assert (RelayTask.objects.count(), IdempotencyKey.objects.count()) == (1, 1)


# --- four eyes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def careful(invoice):
    invoice.customer.four_eyes = True
    invoice.customer.save()
    return invoice


def test_four_eyes_hold_a_decision_back(careful, user):
    relay, _new = decide(careful, user, "205")

    assert (relay.state, relay.next_attempt_at, status_of(careful)) == ("awaiting_approval", None, "203")


@pytest.mark.parametrize(("status", "values"), [("204", {}), ("207", {"reasons": QUANTITY})])
def test_four_eyes_let_lesser_decisions_pass(careful, user, status, values):
    assert decide(careful, user, status, **values)[0].state == "pending"


def test_release_by_a_second_person_counts(careful, user, colleague):
    relay, _new = decide(careful, user, "205")
    released = services.release(user=colleague, relay_id=relay.pk)

    assert (released.state, released.released_by, status_of(careful)) == ("pending", colleague, "205")


def test_release_by_the_same_person_is_refused(careful, user):
    user.is_superuser = True
    user.save()
    relay, _new = decide(careful, user, "205")

    with pytest.raises(PermissionDenied):
        services.release(user=user, relay_id=relay.pk)
    assert status_of(careful) == "203"


@pytest.mark.parametrize("role", ["reader", "clerk"])
def test_release_without_the_right_is_refused(careful, user, role):
    relay, _new = decide(careful, user, "205")

    with pytest.raises(PermissionDenied):
        services.release(user=make_user(careful.customer, role), relay_id=relay.pk)


def test_release_against_the_table_by_now_is_refused(careful, user, colleague):
    relay, _new = decide(careful, user, "205")
    make_event(careful, "210")

    with pytest.raises(DecisionRefused):
        services.release(user=colleague, relay_id=relay.pk)
    relay.refresh_from_db()
    assert (relay.state, status_of(careful)) == ("awaiting_approval", "210")


def test_release_of_a_proposal_overtaken_is_refused(careful, user, colleague):
    relay, _new = decide(careful, user, "205")
    make_event(careful, "207", occurred_at=timezone.now() + timedelta(minutes=1))

    with pytest.raises(DecisionRefused) as refused:
        services.release(user=colleague, relay_id=relay.pk)
    assert [problem.code for problem in refused.value.problems] == ["overtaken"]
    relay.refresh_from_db()
    assert (relay.state, status_of(careful)) == ("awaiting_approval", "207")


def test_release_twice_is_refused(careful, user, colleague):
    relay, _new = decide(careful, user, "205")
    services.release(user=colleague, relay_id=relay.pk)

    with pytest.raises(WrongRelayState):
        services.release(user=colleague, relay_id=relay.pk)


@pytest.mark.django_db(transaction=True)
def test_release_and_cancel_at_once_one_wins(careful, user, colleague):
    relay, _new = decide(careful, user, "205")
    results = together(
        partial(services.release, user=colleague, relay_id=relay.pk),
        partial(services.cancel, user=user, relay_id=relay.pk),
    )

    assert sorted(type(result).__name__ for result in results) == ["RelayTask", "WrongRelayState"]
    relay.refresh_from_db()
    assert status_of(careful) == ("205" if relay.state == "pending" else "203")


# --- the text that must travel (MDT-126) ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["208", "210"])
def test_official_words_are_recorded_where_a_text_must_travel(user, invoice, status):
    wish = Wish(status=status, reasons=(Reason(code="REF_CT_ABSENT"),))
    relay, _is_new = services.issue_status(user=user, invoice_id=invoice.pk, wish=wish)

    assert relay.event.note == "Référence contractuelle manquante"


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"status": "208", "note": "Le contrat ?"}, "Le contrat ?"),
        ({"status": "210", "text": "Contrat clos."}, ""),
        ({"status": "207"}, ""),
    ],
)
def test_words_of_the_person_stand_alone(user, invoice, values, note):
    reasons = (Reason(code="REF_CT_ABSENT", text=values.pop("text", "")),)
    relay, _is_new = services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(reasons=reasons, **values))

    assert relay.event.note == note

"""Rules of a customer with four eyes: one administrator asks, another one confirms."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse

from invoices.customers import policies
from invoices.models import AuditEntry, Customer, Membership, PolicyChange
from invoices.people import audit
from invoices.people.staff import match_memberships
from tests.factories import OTHER_SIREN, make_customer, make_user

pytestmark = pytest.mark.django_db
RULES = {"four_eyes": True, "undo_seconds": 30, "retention_years": 10, "vat_on_debits": False}
CHANGED = {"four_eyes": False, "undo_seconds": 0, "retention_years": 6, "vat_on_debits": True}


@pytest.fixture
def customer():
    return make_customer(name="Atelier Dupont", **RULES)


@pytest.fixture
def ada(customer):
    return administrator(customer, "ada")


@pytest.fixture
def bob(customer):
    return administrator(customer, "bob")


def administrator(customer, name):
    user = make_user(customer, "administrator", username=name)
    match_memberships(user)
    return user


def rules(customer):
    row = Customer.objects.get(pk=customer.pk)
    return {name: getattr(row, name) for name in RULES}


def ask(customer, user, **wanted):
    row = Customer.objects.get(pk=customer.pk)
    for name, value in wanted.items():
        setattr(row, name, value)
    return policies.save_customer(row, user=user)


def save_in_admin(client, customer, **values):
    form = RULES | {"siren": customer.siren, "name": customer.name} | values
    for prefix in ("memberships", "addressing_lines"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    form = {name: value for name, value in form.items() if value is not False}
    return client.post(reverse("admin:invoices_customer_change", args=[customer.pk]), form)


def act(client, action, change):
    form = {"action": action, "_selected_action": [str(change.pk)]}
    return client.post(reverse("admin:invoices_policychange_changelist"), form, follow=True)


@pytest.mark.parametrize("name", policies.GUARDED)
def test_every_rule_waits_for_a_second_administrator(customer, ada, bob, name):
    change = ask(customer, ada, **{name: CHANGED[name]})
    assert rules(customer) == RULES
    policies.confirm(user=bob, change_id=change.pk)
    assert rules(customer) == RULES | {name: CHANGED[name]}


def test_all_rules_of_the_audit_log_are_guarded_but_who_the_customer_is():
    assert set(audit.RULES) - set(policies.GUARDED) == {"siren", "name", "vat_number"}


def test_the_admin_keeps_the_rules_and_confirms(client, customer, ada, bob):
    client.force_login(ada)
    save_in_admin(client, customer, name="Atelier Durand", four_eyes=False)
    assert (Customer.objects.get().name, rules(customer)) == ("Atelier Durand", RULES)
    change = PolicyChange.objects.get()
    act(client, "confirm", change)
    assert rules(customer) == RULES
    client.force_login(bob)
    page = client.get(reverse("lifecycle:worklist")).content.decode()
    assert reverse("admin:invoices_policychange_changelist") in page
    act(client, "confirm", change)
    assert rules(customer) == RULES | {"four_eyes": False}
    told = AuditEntry.objects.filter(action__in=["policy_asked", "customer_changed"]).order_by("at")
    assert [(row.actor, row.details) for row in told] == [
        (ada, {"rules": {"name": ["Atelier Dupont", "Atelier Durand"]}}),
        (ada, {"rules": {"four_eyes": [True, False]}}),
        (bob, {"rules": {"four_eyes": [True, False]}, "asked_by": "ada"}),
    ]


def test_a_superuser_is_held_back_too(client, customer):
    client.force_login(make_user(username="root", is_superuser=True, is_staff=True))
    save_in_admin(client, customer, four_eyes=False)
    assert rules(customer) == RULES
    act(client, "confirm", PolicyChange.objects.get())
    assert rules(customer) == RULES


def test_switching_four_eyes_on_needs_nobody_else(customer, ada):
    Customer.objects.update(four_eyes=False)
    assert ask(customer, ada, four_eyes=True, undo_seconds=5) is None
    assert rules(customer) == RULES | {"undo_seconds": 5}


@pytest.mark.parametrize("role", ["reader", "clerk", "approver"])
@pytest.mark.parametrize("verb", [policies.confirm, policies.withdraw])
def test_others_decide_nothing(customer, ada, role, verb):
    change = ask(customer, ada, four_eyes=False)
    neighbour = administrator(make_customer(OTHER_SIREN), "neighbour")
    for user in (make_user(customer, role), neighbour):
        with pytest.raises(PermissionDenied):
            verb(user=user, change_id=change.pk)
        assert not policies.waiting_for(user).exists()
    assert rules(customer) == RULES


@pytest.mark.parametrize("action", policies.HANDS)
def test_an_account_of_the_asker_is_no_second_person(customer, ada, bob, action):
    change = ask(customer, ada, four_eyes=False)
    audit.record(action, actor=ada, account=bob, customer=customer)
    with pytest.raises(PermissionDenied, match="compte"):
        policies.confirm(user=bob, change_id=change.pk)
    policies.confirm(user=administrator(customer, "eve"), change_id=change.pk)
    assert rules(customer) == RULES | {"four_eyes": False}


def test_whoever_lost_the_role_asked_for_nothing(customer, ada, bob):
    change = ask(customer, ada, four_eyes=False)
    Membership.objects.filter(user=ada).update(role="approver")
    with pytest.raises(PermissionDenied):
        policies.confirm(user=bob, change_id=change.pk)
    assert rules(customer) == RULES


def test_a_newer_wish_takes_the_place_of_the_waiting_one(customer, ada, bob):
    first, second = ask(customer, ada, four_eyes=False), ask(customer, ada, undo_seconds=0)
    with pytest.raises(ValidationError):
        policies.confirm(user=bob, change_id=first.pk)
    policies.confirm(user=bob, change_id=second.pk)
    assert rules(customer) == RULES | {"undo_seconds": 0}
    with pytest.raises(ValidationError):
        policies.confirm(user=bob, change_id=second.pk)


def test_a_change_of_other_rules_than_those_shown_is_not_confirmed(customer, ada, bob):
    change = ask(customer, ada, undo_seconds=0)
    Customer.objects.update(undo_seconds=60)
    with pytest.raises(ValidationError):
        policies.confirm(user=bob, change_id=change.pk)
    assert rules(customer) == RULES | {"undo_seconds": 60}


def test_a_withdrawn_change_is_over(customer, ada, bob):
    change = ask(customer, ada, four_eyes=False)
    policies.withdraw(user=ada, change_id=change.pk)
    with pytest.raises(ValidationError):
        policies.confirm(user=bob, change_id=change.pk)
    assert AuditEntry.objects.filter(action="policy_withdrawn", actor=ada).count() == 1
    assert rules(customer) == RULES

"""Changing the rules of a customer: the one door, which wants a second administrator where the customer has four eyes.

Whoever could switch four eyes off alone would have none. Commands of the machine's operator (`provision`) are not held
back: who reaches its shell reaches its database too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invoices.models import AuditEntry, Customer, PolicyChange, Role
from invoices.people import audit
from invoices.people.access import customers_of, has_role

State = PolicyChange.State
GUARDED = ("four_eyes", "undo_seconds", "retention_years", "vat_on_debits")
# An administrator makes accounts and sets their passwords: one that the asker had a hand in lately is no second person.
HANDS = (
    audit.Action.ROLE_GIVEN, audit.Action.ACCOUNT_MADE, audit.Action.ACCOUNT_CHANGED, audit.Action.PASSWORD_CHANGED,
)  # fmt: skip
FRESH = timedelta(days=7)


@transaction.atomic
def save_customer(customer: Customer, *, user: Any) -> PolicyChange | None:
    """Save what was edited; guarded rules keep their value and wait, if the customer has four eyes until now."""
    if customer._state.adding:
        customer.save()
        audit.record_rules(customer, {})
        return None
    stored = Customer.objects.select_for_update().get(pk=customer.pk)
    asked = _hold_back(customer, stored) if stored.four_eyes else {}
    customer.save()
    audit.record_rules(customer, audit.rules_of(stored))
    return _ask(customer, asked, user) if asked else None


def _hold_back(customer: Customer, stored: Customer) -> dict[str, list[Any]]:
    asked = {}
    for name in GUARDED:
        before, wanted = getattr(stored, name), getattr(customer, name)
        if before != wanted:
            asked[name] = [before, wanted]
            setattr(customer, name, before)
    return asked


def _ask(customer: Customer, rules: dict[str, list[Any]], user: Any) -> PolicyChange:
    """A newer wish takes the place of the one that waits."""
    waiting = PolicyChange.objects.select_for_update().filter(customer=customer, state=State.WAITING).first()
    if waiting:
        _withdraw(waiting, user)
    audit.record(audit.Action.POLICY_ASKED, actor=user, customer=customer, subject=customer, rules=rules)
    return PolicyChange.objects.create(customer=customer, rules=rules, asked_by=user)


@transaction.atomic
def confirm(*, user: Any, change_id: Any) -> PolicyChange:
    """The second administrator agrees: the rules apply from now on."""
    change = _locked(user, change_id)
    _require_second_person(change, user)
    customer = Customer.objects.select_for_update().get(pk=change.customer_id)
    before = audit.rules_of(customer)
    if any(before[name] != was for name, (was, _wanted) in change.rules.items()):
        raise ValidationError(_("These rules were changed meanwhile: withdraw this change and ask for it again."))
    for name, (_was, wanted) in change.rules.items():
        setattr(customer, name, wanted)
    customer.full_clean()
    customer.save()
    asked_by = change.asked_by.get_username() if change.asked_by else ""
    audit.record_rules(customer, before, actor=user, asked_by=asked_by)
    return _decided(change, State.CONFIRMED, user)


def _require_second_person(change: PolicyChange, user: Any) -> None:
    asker = change.asked_by
    if asker is None or not has_role(asker, change.customer, Role.ADMINISTRATOR):
        raise PermissionDenied(_("Whoever asked for this change no longer administers the customer: withdraw it."))
    if asker == user:
        raise PermissionDenied(_("A second administrator must confirm this change."))
    if AuditEntry.objects.filter(actor=asker, account=user, action__in=HANDS, at__gte=change.asked_at - FRESH).exists():
        raise PermissionDenied(
            _("Whoever asked for this change made or changed your account lately: another administrator must confirm.")
        )


@transaction.atomic
def withdraw(*, user: Any, change_id: Any) -> PolicyChange:
    """Any administrator of the customer may keep the rules as they are."""
    return _withdraw(_locked(user, change_id), user)


def _withdraw(change: PolicyChange, user: Any) -> PolicyChange:
    customer = change.customer
    audit.record(audit.Action.POLICY_WITHDRAWN, actor=user, customer=customer, subject=customer, rules=change.rules)
    return _decided(change, State.WITHDRAWN, user)


def _decided(change: PolicyChange, state: str, user: Any) -> PolicyChange:
    change.state, change.decided_by, change.decided_at = state, user, timezone.now()
    change.save(update_fields=["state", "decided_by", "decided_at"])
    return change


def _locked(user: Any, change_id: Any) -> PolicyChange:
    change = PolicyChange.objects.select_for_update(of=("self",)).select_related("customer").get(pk=change_id)
    if not has_role(user, change.customer, Role.ADMINISTRATOR):
        raise PermissionDenied(_("Only an administrator of the customer decides about its rules."))
    if change.state != State.WAITING:
        raise ValidationError(_("This change is decided already."))
    return change


def waiting_for(user: Any) -> QuerySet[PolicyChange]:
    """Those that this user may be the second to look at."""
    mine = customers_of(user, Role.ADMINISTRATOR).values("pk")
    return PolicyChange.objects.filter(state=State.WAITING, customer__in=mine).exclude(asked_by=user)

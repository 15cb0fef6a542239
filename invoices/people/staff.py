"""Who may open the admin. Which rows they see there follows from their memberships (`access`), never from these."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from invoices.models import Customer, Membership, Role

from . import audit

ADMINISTRATORS = "Navette administrators"
STAFF = "Navette finance staff"

# App, model, actions: what the desk shows whoever works for a customer. The services know which decision is whose.
STAFF_RIGHTS = (
    ("invoices", "invoice", ("view",)),
    ("invoices", "invoicedocument", ("view",)),
    ("invoices", "comment", ("view",)),
    ("lifecycle", "statusevent", ("view", "add")),
    ("lifecycle", "relaytask", ("view", "change")),
    ("lifecycle", "relayattempt", ("view",)),
)
# Connections and customers are added by superusers and `provision`, for a new one is nobody's.
ADMINISTRATOR_RIGHTS = (
    *STAFF_RIGHTS,
    ("invoices", "customer", ("view", "change")),
    ("invoices", "policychange", ("view",)),
    ("invoices", "membership", ("view", "add", "change", "delete")),
    ("invoices", "addressingline", ("view", "add", "change")),
    ("invoices", "apitoken", ("view", "add", "delete")),
    ("auth", "user", ("view", "add", "change")),
    ("providers", "connection", ("view", "change")),
    ("providers", "hook", ("view",)),
    ("providers", "refusedrequest", ("view",)),
    ("providers", "webhookdelivery", ("view", "change")),
    ("lifecycle", "purgedinvoice", ("view",)),
)
RIGHTS = {STAFF: STAFF_RIGHTS, ADMINISTRATORS: ADMINISTRATOR_RIGHTS}


def grant_administrator_permissions(user: Any) -> Group:
    """Let a user into the admin with what an administrator of a customer does there; idempotent."""
    return _join(user, ADMINISTRATORS)


@transaction.atomic
def _join(user: Any, name: str) -> Group:
    """The group is brought up to date on the way, so that a newer version's rights arrive with the next call."""
    group, _created = Group.objects.get_or_create(name=name)
    wanted = Q()
    for app, model, actions in RIGHTS[name]:
        codenames = [f"{action}_{model}" for action in actions]
        wanted |= Q(content_type__app_label=app, content_type__model=model, codename__in=codenames)
    group.permissions.set(Permission.objects.filter(wanted))
    user.groups.add(group)
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    return group


@transaction.atomic
def give_role(*, user: Any, customer: Customer, role: str) -> None:
    """What the admin gets by its own rows."""
    held = Membership.objects.filter(user=user, customer=customer)
    if not held.filter(role=role).exists():
        membership, _created = Membership.objects.update_or_create(
            user=user, customer=customer, defaults={"role": role}
        )
        audit.record_role(membership)


@transaction.atomic
def match_memberships(user: Any) -> None:
    """Whoever works for a customer gets into the admin, with the rights of the highest role; others leave it."""
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    due = {STAFF} if roles else set()
    due |= {ADMINISTRATORS} if Role.ADMINISTRATOR in roles else set()
    left = user.groups.filter(name__in=set(RIGHTS) - due)
    if has_left := left.exists():
        user.groups.remove(*left)
    for name in sorted(due):
        _join(user, name)
    if has_left and not user.is_superuser and not user.groups.exists():
        user.is_staff = False
        user.save(update_fields=["is_staff"])

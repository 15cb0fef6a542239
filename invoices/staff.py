"""Who may open the admin. Which rows they see there follows from their memberships (`access`), never from these."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from .models import Membership, Role

ADMINISTRATORS = "Navette administrators"
# App, model, actions. Connections and customers are added by superusers and `provision`, for a new one is nobody's.
RIGHTS = (
    ("invoices", "customer", ("view", "change")),
    ("invoices", "membership", ("view", "add", "change", "delete")),
    ("invoices", "addressingline", ("view", "add", "change")),
    ("invoices", "apitoken", ("view", "add", "delete")),
    ("invoices", "invoice", ("view",)),
    ("invoices", "invoicedocument", ("view",)),
    ("invoices", "comment", ("view",)),
    ("auth", "user", ("view", "add", "change")),
    ("providers", "connection", ("view", "change")),
    ("providers", "hook", ("view",)),
    ("providers", "refusedrequest", ("view",)),
    ("providers", "webhookdelivery", ("view", "change")),
    ("lifecycle", "statusevent", ("view", "add")),
    ("lifecycle", "relaytask", ("view", "change")),
    ("lifecycle", "relayattempt", ("view",)),
    ("lifecycle", "purgedinvoice", ("view",)),
)


@transaction.atomic
def grant_administrator_permissions(user: Any) -> Group:
    """Let a user into the admin with what an administrator of a customer does there; idempotent.

    The group is brought up to date on the way, so that a newer version's rights arrive with the next call.
    """
    group, _created = Group.objects.get_or_create(name=ADMINISTRATORS)
    wanted = Q()
    for app, model, actions in RIGHTS:
        codenames = [f"{action}_{model}" for action in actions]
        wanted |= Q(content_type__app_label=app, content_type__model=model, codename__in=codenames)
    group.permissions.set(Permission.objects.filter(wanted))
    user.groups.add(group)
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    return group


def match_memberships(user: Any) -> None:
    """Administrators of at least one customer get into the admin; who is none any more leaves it."""
    if Membership.objects.filter(user=user, role=Role.ADMINISTRATOR).exists():
        grant_administrator_permissions(user)
    elif user.groups.filter(name=ADMINISTRATORS).exists():
        user.groups.remove(Group.objects.get(name=ADMINISTRATORS))
        if not user.is_superuser and not user.groups.exists():
            user.is_staff = False
            user.save(update_fields=["is_staff"])

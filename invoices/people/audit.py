"""The audit log: `record` writes it, `entries_seen_by` says who reads what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core import context
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection as database
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.models import AuditEntry, Customer, Membership, Role
from providers.connections.services import storable
from providers.models import Connection

from .access import customers_of

Action = AuditEntry.Action
# What decides how a customer's invoices are handled: told with the value before and after. Of all else only the names
# of what changed are written, for it may be secret.
RULES = ("siren", "name", "vat_number", "four_eyes", "undo_seconds", "retention_years", "vat_on_debits")


def record(
    action: Action,
    *,
    actor: Any = None,
    account: Any = None,
    customer: Customer | None = None,
    subject: object = "",
    **details: Any,
) -> AuditEntry:
    """`actor` did it, by default whoever the request is of; `account` is whose account it is about."""
    actor = actor or _asking()
    return AuditEntry.objects.create(
        action=action,
        actor=actor,
        actor_name=actor.get_username() if actor else "",
        account=account,
        customer=customer,
        subject=storable(str(subject))[:200],
        source=_source(),
        details=details,
    )


def _asking() -> Any:
    user = getattr(context.request, "user", None)
    return user if user is not None and user.is_authenticated else None


def _source() -> str:
    """Where the request comes from; nothing for commands and the worker."""
    with suppress(PermissionDenied):
        return str(get_adapter().get_client_ip(context.request))[:45] if context.request else ""
    return ""


def rules_of(customer: Customer) -> dict[str, Any]:
    return {name: getattr(customer, name) for name in RULES}


def record_rules(customer: Customer, before: Mapping[str, Any], *, actor: Any = None, **details: Any) -> None:
    """`before` is `rules_of` the stored row; empty for a new customer."""
    after = rules_of(customer)
    changed = {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}
    if changed:
        record(Action.CUSTOMER_CHANGED, customer=customer, actor=actor, subject=customer, rules=changed, **details)


def record_names(action: Action, customers: Iterable[Customer], subject: object, names: Iterable[str]) -> None:
    """What was changed of a thing with secrets, for each customer it serves; for nobody's, superusers see it."""
    if changed := list(names):
        concerned: list[Customer | None] = [*customers]
        for customer in concerned or [None]:
            record(action, customer=customer, subject=subject, changed=changed)


def customers_on(connection: Connection) -> QuerySet[Customer]:
    return Customer.objects.filter(addressing_lines__connection=connection).distinct()


def record_role(membership: Membership, *, removed: bool = False) -> None:
    action = Action.ROLE_REMOVED if removed else Action.ROLE_GIVEN
    user, customer = membership.user, membership.customer
    record(action, account=user, customer=customer, subject=user, role=membership.role)


def entries_seen_by(user: Any) -> QuerySet[AuditEntry]:
    """Superusers see all; administrators their customers' entries, and those of the accounts of the people there."""
    if user.is_superuser and user.is_active:
        return AuditEntry.objects.all()
    own = customers_of(user, Role.ADMINISTRATOR).values("pk")
    people = Membership.objects.filter(customer__in=own).values("user")
    return AuditEntry.objects.filter(Q(customer__in=own) | Q(customer=None, account__in=people))


def purge(moment: datetime | None = None) -> int:
    """Delete what is older than AUDIT_DAYS; the database refuses to delete anything younger than a year."""
    limit = (moment or timezone.now()) - timedelta(days=settings.AUDIT_DAYS)
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT set_config('navette.purging', 'audit', true)")
        return AuditEntry.objects.filter(at__lt=limit).delete()[0]

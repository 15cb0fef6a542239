"""Who may see and do what: the one place that turns memberships into querysets."""

from typing import Any

from django.db.models import QuerySet

from .models import Customer, Invoice, Membership, Role


def customers_of(user: Any, role: str = Role.READER) -> QuerySet[Customer]:
    """The customers for whom the user has at least this role. A superuser has every role everywhere."""
    if not user.is_authenticated or not user.is_active:
        return Customer.objects.none()
    if user.is_superuser:
        return Customer.objects.all()
    return Customer.objects.filter(memberships__user=user, memberships__role__in=Role.at_least(role))


def invoices_of(user: Any, role: str = Role.READER) -> QuerySet[Invoice]:
    return Invoice.objects.filter(customer__in=customers_of(user, role).values("pk"))


def role_of(user: Any, customer: Customer) -> str | None:
    """The user's role for this customer, or None."""
    if not user.is_authenticated or not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMINISTRATOR
    return Membership.objects.filter(user=user, customer=customer).values_list("role", flat=True).first()


def has_role(user: Any, customer: Customer, role: str) -> bool:
    held = role_of(user, customer)
    return held is not None and Role(held).rank >= Role(role).rank


def highest_role(user: Any) -> Role | None:
    """The best role the user has for any customer, or None."""
    if user.is_superuser and user.is_active:
        return Role.ADMINISTRATOR
    held = Membership.objects.filter(user=user).values_list("role", flat=True).distinct()
    return max(map(Role, held), key=lambda role: role.rank, default=None)

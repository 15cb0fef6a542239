"""Who may see and do what: the one place that turns memberships into querysets."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from invoices.models import AddressingLine, Customer, Invoice, Membership, Role
from providers.models import Connection, Hook, WebhookDelivery


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


# --- what is a connection's, and what is a line's ---------------------------------------------------------------------


def connections_of(user: Any, role: str = Role.ADMINISTRATOR) -> QuerySet[Connection]:
    """The connections that serve a customer for whom the user has this role."""
    if user.is_superuser and user.is_active:
        return Connection.objects.all()
    lines = AddressingLine.objects.filter(customer__in=customers_of(user, role).values("pk"))
    return Connection.objects.filter(pk__in=lines.values("connection"))


def wholly_administered_connections(user: Any) -> QuerySet[Connection]:
    """Those of whose customers, today's and former ones, the user administers every one. What belongs to no single line
    is theirs: checks, settings, pushes and addresses of the whole connection.
    """
    return _wholly_of(user, Role.ADMINISTRATOR)


def unshared_connections(user: Any) -> QuerySet[Connection]:
    """Those that serve nobody but customers for whom the user works: why one is ill speaks of nobody else."""
    return _wholly_of(user, Role.READER)


def _wholly_of(user: Any, role: str) -> QuerySet[Connection]:
    served = connections_of(user, role)
    if user.is_superuser:
        return served
    others = Customer.objects.exclude(pk__in=customers_of(user, role).values("pk"))
    here = {"connection": OuterRef(OuterRef("pk")), "customer": OuterRef("pk")}
    known = Exists(AddressingLine.objects.filter(**here)) | Exists(Invoice.objects.filter(**here))
    return served.exclude(Exists(others.filter(known)))


def _own_or_of_own_line(user: Any) -> Q:
    lines = AddressingLine.objects.filter(
        connection=OuterRef("connection"),
        identifier=OuterRef("line_identifier"),
        customer__in=customers_of(user, Role.ADMINISTRATOR).values("pk"),
    )
    return Q(connection__in=wholly_administered_connections(user).values("pk")) | Q(Exists(lines))


def deliveries_of(user: Any) -> QuerySet[WebhookDelivery]:
    """Pushes to a line, for who administers its customer; all of a connection, for who administers all customers."""
    return WebhookDelivery.objects.filter(_own_or_of_own_line(user))


def hooks_of(user: Any) -> QuerySet[Hook]:
    """As `deliveries_of`: whoever knows an address may push to it."""
    return Hook.objects.filter(_own_or_of_own_line(user))

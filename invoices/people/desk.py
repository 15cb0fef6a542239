"""What one user sees and may do, read once per request: the pages and their buttons ask this."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from invoices.models import Customer, Membership, Role
from providers.models import Connection

from .access import connections_of, customers_of, unshared_connections, wholly_administered_connections


class Desk:
    def __init__(self, user: Any) -> None:
        self.user = user

    @cached_property
    def _roles(self) -> dict[int, Role]:
        if self.user.is_superuser:
            return dict.fromkeys((customer.pk for customer in customers_of(self.user)), Role.ADMINISTRATOR)
        rows = Membership.objects.filter(user=self.user).values_list("customer_id", "role")
        return {customer_id: Role(role) for customer_id, role in rows}

    @cached_property
    def customers(self) -> list[Customer]:
        return list(customers_of(self.user))

    def customer_ids(self, role: str = Role.READER) -> list[int]:
        least = Role(role).rank
        return [customer_id for customer_id, held in self._roles.items() if held.rank >= least]

    def may(self, customer_id: int, role: str) -> bool:
        held = self._roles.get(customer_id)
        return held is not None and held.rank >= Role(role).rank

    def role_for(self, customer_id: int) -> Role | None:
        return self._roles.get(customer_id)

    @property
    def is_clerk(self) -> bool:
        return bool(self.customer_ids(Role.CLERK))

    @property
    def is_administrator(self) -> bool:
        return bool(self.customer_ids(Role.ADMINISTRATOR))

    @property
    def has_many_customers(self) -> bool:
        return len(self._roles) > 1

    @cached_property
    def connections(self) -> list[Connection]:
        """The connections that serve customers of this user."""
        return list(connections_of(self.user, Role.READER))

    @cached_property
    def wholly_administered_ids(self) -> set[UUID]:
        return set(wholly_administered_connections(self.user).values_list("pk", flat=True))

    @cached_property
    def unshared_ids(self) -> set[UUID]:
        return set(unshared_connections(self.user).values_list("pk", flat=True))

    def why_ill(self, connection: Connection) -> str:
        """What the platform answered, where it can speak of nobody else's customers."""
        reason = connection.ill_reason
        return reason if reason and connection.pk in self.unshared_ids else ""

"""Whose rows the admin shows to whom."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from invoices.models import Customer, Role
from providers.models import Connection

from .access import connections_of, customers_of, wholly_administered_connections


def administered(user: Any) -> QuerySet[Customer]:
    return customers_of(user, Role.ADMINISTRATOR)


class ScopedChoices:
    """A choice of another row offers what that row's own admin shows this user, or its `choices_for`."""

    admin_site: Any

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        model = db_field.remote_field.model
        if self.admin_site.is_registered(model):
            shown = self.admin_site.get_model_admin(model)
            kwargs["queryset"] = getattr(shown, "choices_for", shown.get_queryset)(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class Scoped(ScopedChoices):
    """Superusers see every row; other staff those of `scope`."""

    def scope(self, user: Any) -> Q:
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return rows if request.user.is_superuser else rows.filter(self.scope(request.user))


class PlainNames:
    """A row that this user may not open is named without a link to it, by the display method `<field>_name`."""

    admin_site: Any
    plain_names: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        closed = {name for name in self.plain_names if not self._may_open(request, getattr(obj, name, None))}
        return [f"{name}_name" if name in closed else name for name in super().get_fields(request, obj)]  # type: ignore[misc]

    def _may_open(self, request: HttpRequest, row: Any) -> bool:
        if row is None:
            return True
        shown = self.admin_site.get_model_admin(type(row))
        return shown.has_view_permission(request) and shown.get_queryset(request).filter(pk=row.pk).exists()


def name_of(model: type[Model], field: str) -> Any:
    @admin.display(description=model._meta.get_field(field).verbose_name)  # type: ignore[union-attr]
    def name(model_admin: Any, row: Any) -> str:
        return str(getattr(row, field) or "–")

    return name


class OfCustomer(Scoped):
    """Rows with a `customer`, or one at `customer_path`, for whoever has `role` there."""

    customer_path = "customer"
    role = Role.ADMINISTRATOR

    def scope(self, user: Any) -> Q:
        return Q(**{f"{self.customer_path}__in": customers_of(user, self.role).values("pk")})

    def connections_seen(self, user: Any) -> QuerySet[Connection]:
        return connections_of(user, self.role)


class OfConnection(Scoped):
    """Rows of a whole `connection`, which speak of all its customers."""

    def scope(self, user: Any) -> Q:
        return Q(connection__in=wholly_administered_connections(user).values("pk"))

    def connections_seen(self, user: Any) -> QuerySet[Connection]:
        return wholly_administered_connections(user)

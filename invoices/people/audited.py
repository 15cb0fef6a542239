"""What is changed in the admin, in the audit log too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from invoices.models import Customer

from . import audit


class Audited(admin.ModelAdmin):
    """What the admin notes of a row goes into the audit log, by the names of the fields; inlines note theirs."""

    audit_action: ClassVar[audit.Action]

    def audited_customers(self, obj: Any) -> Iterable[Customer]:
        return ()

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._audit(obj, ["+"])
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._audit(obj, fields_in(message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._audit(obj, ["-"])
        return super().log_deletions(request, queryset)

    def _audit(self, obj: Any, names: list[str]) -> None:
        audit.record_names(self.audit_action, self.audited_customers(obj), obj, names)


def fields_in(message: Any) -> list[str]:
    """The fields named in a message of the admin's own log, without those of inlines."""
    if isinstance(message, str):
        return [message]
    rows = [row.get("changed", {}) for row in message]
    return [str(field) for row in rows if "name" not in row for field in row.get("fields", ())]

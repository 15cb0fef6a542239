"""What people fill in to issue invoices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from invoices.models import AddressingLine, Role
from invoices.people.desk import Desk
from providers.connections.registry import get_adapter


def lines_for_issuing(desk: Desk) -> list[AddressingLine]:
    """The lines this person may prepare invoices for, whose platform takes some format."""
    lines = AddressingLine.objects.filter(customer__in=desk.customer_ids(Role.CLERK))
    rows = list(lines.select_related("customer", "connection").order_by("customer__name", "identifier"))
    taking = {each for each in {row.connection for row in rows} if not each.is_leaving and formats_of(each)}
    return [row for row in rows if row.connection in taking]


def formats_of(connection: Any) -> frozenset[str]:
    return get_adapter(connection).capabilities.submit_formats


def line_label(line: AddressingLine) -> str:
    return f"{line.customer} – {line.identifier} ({line.connection.platform_label})"


class UploadForm(forms.Form):
    line = forms.ChoiceField(label=_("Issue for"))
    submit = forms.BooleanField(label=_("Send at once, without another look"), required=False)

    def __init__(self, data: Any, *, lines: Sequence[AddressingLine], desk: Desk) -> None:
        super().__init__(data, auto_id="upload-%s")
        self.lines = {line.identifier: line for line in lines}
        self.fields["line"].choices = [(line.identifier, line_label(line)) for line in lines]  # type: ignore[attr-defined]
        if not any(desk.may(line.customer_id, Role.APPROVER) for line in lines):
            del self.fields["submit"]

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or {}
        return wanted | {"line": self.lines.get(wanted.get("line", "")), "submit": wanted.get("submit", False)}

"""Forms of the admin for addressing lines."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from providers.forms import AccountForm
from providers.models import Connection

from .models import AddressingLine, Customer


class NewAddressingLineForm(forms.ModelForm):
    """The first step: the connection's platform decides which fields the second one has."""

    class Meta:
        model = AddressingLine
        fields = ("customer", "identifier", "connection")


class AddressingLineForm(AccountForm):
    class Meta:
        model = AddressingLine
        fields: Any = ("identifier",)


class DirectoryForm(forms.Form):
    """Whom to look for, and in whose directory."""

    customer = forms.ModelChoiceField(Customer.objects.none(), label=_("customer"))
    connection = forms.ModelChoiceField(
        Connection.objects.none(),
        label=_("connection"),
        help_text=_("Only the platforms that offer a directory are shown."),
    )
    identifier = forms.CharField(
        label=_("SIREN, SIRET or addressing line"),
        max_length=125,
        required=False,
        help_text=_("Empty: the customer's SIREN."),
    )

    def __init__(self, *args: Any, customers: Any, connections: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].queryset = customers  # type: ignore[attr-defined]
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]

"""Forms of the admin for customers and addressing lines, and how numbers of companies are typed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from invoices.models import AddressingLine, Customer
from providers.connections.forms import AccountForm
from providers.models import Connection
from providers.norm.companies import compact

from .lines import OfAnotherCompany, refuse_shared_identifiers


class CompanyNumberField(forms.CharField):
    """A SIREN, SIRET or VAT number, kept without what people put between its digits."""

    def __init__(self, label: Any, length: int, *, required: bool = False, **attributes: Any) -> None:
        super().__init__(label=label, required=required, max_length=length, widget=forms.TextInput(attributes))
        del self.widget.attrs["maxlength"]  # counted without the spaces

    def to_python(self, value: Any) -> str:
        return compact(super().to_python(value) or "")


class CustomerForm(forms.ModelForm):
    siren = CompanyNumberField("SIREN", 9, required=True)
    vat_number = CompanyNumberField(_("VAT number"), 20)

    class Meta:
        model = Customer
        exclude: Any = ()


class NewAddressingLineForm(forms.ModelForm):
    """The first step: the connection's platform decides which fields the second one has."""

    class Meta:
        model = AddressingLine
        fields = ("customer", "identifier", "connection")


class AddressingLineForm(AccountForm):
    class Meta:
        model = AddressingLine
        fields: Any = ("identifier",)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        try:
            refuse_shared_identifiers(self.instance)
        except OfAnotherCompany as taken:
            raise forms.ValidationError(taken.message) from taken
        return cleaned


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

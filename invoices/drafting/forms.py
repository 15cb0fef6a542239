"""The form of a new invoice, in the terms of EN 16931. A draft may be incomplete: what is wrong is only told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from invoices.customers.forms import CompanyNumberField

from .tables import (
    COUNTRIES,
    CURRENCIES,
    MEANS_CHOICES,
    TAX_POINT_CHOICES,
    TREATMENTS,
    UNIT_CHOICES,
    frame_choices,
    type_choices,
    vat_choices,
)

MAX_ROWS = 200
# Which rows the form holds, with the prefix of their fields.
ROWS = ("lines", "references", "extras")


class NumberField(forms.DecimalField):
    """As people write or paste it: 1 120,50 or 1,120.50; the last of both marks is the decimal one."""

    def __init__(self, label: Any, decimals: int, **kwargs: Any) -> None:
        widget = forms.TextInput({"inputmode": "decimal", "class": "num"})
        super().__init__(label=label, required=False, max_digits=15, decimal_places=decimals, widget=widget, **kwargs)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return super().to_python(value)
        plain = "".join(value.split())
        mark = max(plain.rfind(","), plain.rfind("."))
        if mark >= 0:
            plain = plain[:mark].replace(",", "").replace(".", "") + "." + plain[mark + 1 :]
        return super().to_python(plain)


def text(label: Any, length: int = 100, **attributes: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=length, widget=forms.TextInput(attributes))


def long_text(label: Any, length: int = 1000, rows: int = 2) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=length, widget=forms.Textarea({"rows": rows}))


def day(label: Any) -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))


def choice(label: Any, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, choices=choices)


class LineForm(forms.Form):
    name = text(_("Item"))
    description = text(_("Description"), 500)
    seller_item = text(_("Article number"))
    quantity = NumberField(_("Quantity"), 4)
    unit = choice(_("Unit"), UNIT_CHOICES)
    price = NumberField(_("Unit price without VAT"), 6)
    discount = NumberField(_("Discount %"), 2, min_value=Decimal(0), max_value=Decimal(100))
    vat = choice(_("VAT"), vat_choices)


class ReferenceForm(forms.Form):
    number = text(_("Earlier invoice"), 35)
    issue_date = day(pgettext_lazy("an invoice of a date", "of"))


class ExtraForm(forms.Form):
    kind = choice(_("Kind"), [("allowance", _("Allowance")), ("charge", _("Charge"))])
    reason = text(_("Reason"))
    percentage = NumberField(_("Percent"), 2, min_value=Decimal(0), max_value=Decimal(100))
    amount = NumberField(_("or amount"), 2)
    vat = choice(_("VAT"), vat_choices)


class DraftForm(forms.Form):
    """`own` is our customer, `other` the party it deals with: seller and buyer, the reverse in self-billing."""

    syntax = choice(_("Format"), [("factur-x", "Factur-X"), ("ubl", "UBL"), ("cii", "CII")])
    type_code = choice(_("Type"), type_choices)
    number = text(_("Number"), 35)
    issue_date = day(_("Issue date"))
    due_date = day(_("Due date"))
    process = choice(_("Billing frame"), frame_choices)
    currency = choice(_("Currency"), [(code, code) for code in CURRENCIES])
    vat_in_euro = NumberField(_("Total VAT in euro"), 2)
    tax_point_code = choice(_("VAT due"), TAX_POINT_CHOICES)
    period_start = day(_("Billing period from"))
    period_end = day(pgettext_lazy("end of a period", "to"))
    delivered_on = day(_("Delivered on"))
    order_reference = text(_("Purchase order"))
    contract_reference = text(_("Contract"))
    buyer_reference = text(_("Buyer reference"))

    own_name = text(_("Name"), 200)
    own_legal = text(_("Legal form and capital"), 200)
    own_siret = CompanyNumberField("SIRET", 14)
    own_vat_number = CompanyNumberField(_("VAT number"), 20)
    own_street = text(_("Address"))
    own_street2 = text(_("Address, second line"))
    own_post_code = text(_("Postcode"), 20)
    own_city = text(_("Town"))
    own_country = choice(_("Country"), [(code, code) for code in COUNTRIES])
    own_contact = text(_("Contact"))
    own_phone = text(_("Phone"), 30)
    own_email = text(_("E-mail"))

    other_siren = CompanyNumberField("SIREN", 9, inputmode="numeric")
    other_name = text(_("Name"), 200)
    other_siret = CompanyNumberField("SIRET", 14)
    other_vat_number = CompanyNumberField(_("VAT number"), 20)
    other_address = text(_("Electronic address"), 125)
    other_street = text(_("Address"))
    other_street2 = text(_("Address, second line"))
    other_post_code = text(_("Postcode"), 20)
    other_city = text(_("Town"))
    other_country = choice(_("Country"), [(code, code) for code in COUNTRIES])

    payee_name = text(_("Factor's name"), 200)
    payee_siren = CompanyNumberField(_("Factor's SIREN"), 9)
    means = choice(_("Means of payment"), MEANS_CHOICES)
    iban = text("IBAN", 40)
    bic = text("BIC", 11)
    payment_reference = text(_("Payment reference"))
    payment_terms = long_text(_("Payment terms"), 500)
    prepaid = NumberField(_("Already paid"), 2)
    rounding = NumberField(_("Rounding"), 2)

    exemption_reason = text(_("Why the invoice is exempt from VAT"), 300)
    exemption_code = text(_("Code of the reason (VATEX)"), 30)
    note_PMT = long_text(_("Fixed fee for recovery costs (PMT)"))  # noqa: N815
    note_PMD = long_text(_("Late payment penalties (PMD)"))  # noqa: N815
    note_AAB = long_text(_("Discount for early payment (AAB)"))  # noqa: N815
    treatment = choice(_("The invoice is"), list(TREATMENTS.items()))
    note = long_text(_("Free note"), rows=3)

    def __init__(self, data: Mapping[str, Any], *, formats: frozenset[str] = frozenset()) -> None:
        super().__init__(data, auto_id="draft-%s")
        if formats:
            field = self.fields["syntax"]
            choices = list(field.choices)  # type: ignore[attr-defined]
            field.choices = [row for row in choices if row[0].replace("-", "") in formats]  # type: ignore[attr-defined]
        self.lines = self._rows(LineForm, data, "lines")
        self.references = self._rows(ReferenceForm, data, "references")
        self.extras = self._rows(ExtraForm, data, "extras")

    def _rows(self, form: type[forms.Form], data: Mapping[str, Any], prefix: str) -> list[forms.Form]:
        return [form(data, prefix=f"{prefix}-{index}", auto_id="draft-%s") for index in range(row_count(data, prefix))]

    @cached_property
    def values(self) -> dict[str, Any]:
        """What could be understood; the rest is missing."""
        self.full_clean()
        return self.cleaned_data

    def understood(self, rows: list[forms.Form]) -> list[dict[str, Any]]:
        for row in rows:
            row.full_clean()
        return [row.cleaned_data for row in rows]

    def field_faults(self) -> list[tuple[str, str]]:
        """What could not be understood: the field and the message."""
        forms_ = (self, *self.lines, *self.references, *self.extras)
        return [
            (form.add_prefix(name), f"{form.fields[name].label}: {message}")
            for form in forms_
            for name, messages in form.errors.items()
            for message in messages
        ]


def row_count(data: Mapping[str, Any], prefix: str) -> int:
    counted = str(data.get(f"{prefix}-count", ""))
    return min(int(counted), MAX_ROWS) if counted.isdigit() else 0


def with_row(data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """One more row; a line takes over the unit and the VAT of the one above."""
    count = row_count(data, prefix)
    changed = dict(data) | {f"{prefix}-count": str(min(count + 1, MAX_ROWS))}
    for name in ("unit", "vat"):
        above = f"{prefix}-{count - 1}-{name}"
        if above in data:
            changed[f"{prefix}-{count}-{name}"] = data[above]
    return changed


def without_row(data: Mapping[str, Any], prefix: str, index: int) -> dict[str, Any]:
    count = row_count(data, prefix)
    kept = {key: value for key, value in data.items() if not key.startswith(f"{prefix}-")}
    place = 0
    for old in range(count):
        if old == index:
            continue
        start = f"{prefix}-{old}-"
        kept |= {f"{prefix}-{place}-{key[len(start) :]}": data[key] for key in data if key.startswith(start)}
        place += 1
    return kept | {f"{prefix}-count": str(place)}

"""Business terms of EN 16931 in a platform's JSON.

The standard binds its terms to XML only; in JSON each platform has names of its own. The first names below are those of
Seqino's page "drafts" (read in November 2026), whose copies are cut after the parties: what follows them is our
assumption, with the names of UBL and of the standard beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from providers.norm.companies import VAT_SCHEMES, Company, compact, identify

from .decimals import read_decimal

Terms = Mapping[str, Any]

# Where the amounts of the whole invoice may stand, beside its root.
TOTALS = ("legal_monetary_total", "monetary_total", "document_totals", "totals")

NAMES = {
    "BT-1": ("invoice_number", "number", "id"),
    "BT-2": ("issue_date",),
    "BT-3": ("type_code", "invoice_type_code"),
    "BT-5": ("currency_code", "document_currency_code"),
    "BT-7": ("tax_point_date",),
    "BT-9": ("due_date", "payment_due_date"),
    "BT-10": ("buyer_reference",),
    "BT-11": ("project_reference",),
    "BT-12": ("contract_reference",),
    "BT-13": ("purchase_order_reference", "order_reference"),
    "BT-14": ("sales_order_reference",),
    "BT-15": ("receiving_advice_reference",),
    "BT-16": ("despatch_advice_reference",),
    "BT-17": ("tender_or_lot_reference", "tender_reference"),
    "BT-19": ("buyer_accounting_reference", "accounting_reference"),
    "BT-20": ("payment_terms",),
    "BT-22": ("note", "invoice_note", "notes", "invoice_notes"),
    "BT-23": ("business_process_type", "business_process"),
    "BT-24": ("specification_identifier",),
    "BT-25": ("preceding_invoice_reference", "original_invoice_reference", "billing_reference"),
    "BT-27": ("name", "registration_name"),
    "BT-28": ("trading_name",),
    "BT-31": ("vat_identifier", "vat_number"),
    "BT-33": ("additional_legal_information", "legal_information"),
    "BT-106": ("line_extension_amount", "sum_of_invoice_line_net_amount", "line_total_amount"),
    "BT-107": ("allowance_total_amount", "sum_of_allowances"),
    "BT-108": ("charge_total_amount", "sum_of_charges"),
    "BT-109": ("tax_exclusive_amount", "total_amount_without_vat", "total_without_vat", "tax_basis_total_amount"),
    "BT-110": ("tax_total_amount", "total_vat_amount", "total_vat", "tax_amount"),
    "BT-112": ("tax_inclusive_amount", "total_amount_with_vat", "total_with_vat", "grand_total_amount"),
    "BT-113": ("prepaid_amount", "paid_amount", "total_prepaid_amount"),
    "BT-114": ("payable_rounding_amount", "rounding_amount"),
    "BT-115": ("payable_amount", "amount_due_for_payment", "due_payable_amount", "amount_due"),
    "BG-4": ("seller",),
    "BG-7": ("buyer",),
    "BG-23": ("vat_breakdown", "vat_breakdowns", "tax_subtotals", "tax_breakdown"),
    "BT-116": ("taxable_amount", "basis_amount", "vat_category_taxable_amount"),
    "BT-117": ("tax_amount", "calculated_amount", "vat_category_tax_amount"),
    "BT-118": ("category_code", "tax_category_code", "vat_category_code"),
    "BT-119": ("rate", "percent", "tax_rate", "vat_rate", "vat_category_rate"),
    "BT-120": ("exemption_reason", "exemption_reason_text"),
    "BT-121": ("exemption_reason_code",),
    "BG-25": ("invoice_lines", "lines"),
    "BT-126": ("line_id", "identifier", "id", "number"),
    "BT-127": ("note", "line_note"),
    "BT-129": ("invoiced_quantity", "quantity"),
    "BT-130": ("unit_code", "invoiced_quantity_unit_code", "quantity_unit_code"),
    "BT-131": ("line_extension_amount", "net_amount", "line_net_amount"),
    "BT-146": ("item_net_price", "net_price", "price_amount", "price", "unit_price"),
    "BT-148": ("item_gross_price", "gross_price"),
    "BT-151": ("vat_category_code", "tax_category_code", "category_code"),
    "BT-152": ("vat_rate", "tax_rate", "rate", "percent"),
    "BT-153": ("item_name", "name"),
    "BT-154": ("item_description", "description"),
    "BT-155": ("sellers_item_identification", "seller_item_identifier", "seller_assigned_id"),
}


def term(terms: Any, name: str, *inside: str) -> Any:
    """The value of a term, wherever one of its names stands: in `terms`, or in the groups `inside` it."""
    groups = [terms, *(terms.get(group) for group in inside)] if isinstance(terms, Mapping) else []
    found = (group[known] for known in NAMES[name] for group in groups if isinstance(group, Mapping) and known in group)
    return next((value for value in found if value not in (None, "", [], {})), None)


def text(value: Any) -> str:
    """A text or number, alone or as the `value` of an object."""
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else ""


def number(value: Any) -> Decimal | None:
    """A number, alone or as the `value` or `amount` of an object."""
    if isinstance(value, Mapping):
        value = value.get("value", value.get("amount"))
    return read_decimal(value)


def day(value: Any) -> date | None:
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def rows(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; a lone one counts as a list."""
    items = [value] if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


# --- parties ----------------------------------------------------------------------------------------------------------


def address_of(party: Terms) -> tuple[str, str]:
    """Scheme and value of the electronic address."""
    found = party.get("electronic_address")
    if isinstance(found, Mapping):
        return text(found.get("scheme_id") or found.get("scheme")), text(found.get("value") or found.get("identifier"))
    return text(party.get("electronic_address_scheme")), text(found)


def identifiers_of(party: Terms) -> Iterator[tuple[str, str]]:
    """Every identifier of a party with its scheme ("" where there is none), registers first, the address last."""
    for name, value in party.items():
        if name in ("electronic_address", "electronic_address_scheme", "postal_address", "contact"):
            continue
        for row in rows(value):
            scheme = text(row.get("scheme_id") or row.get("scheme"))
            yield from ((scheme, text(item)) for key, item in row.items() if key not in ("scheme_id", "scheme"))
        if not isinstance(value, Mapping | list):
            scheme = text(party.get(f"{name}_scheme") or party.get(f"{name}_scheme_id"))
            yield scheme, text(value)
    yield address_of(party)


def company_of(party: Terms) -> Company:
    """Who the party is, by all its numbers under whatever name; one without a scheme is French only if it says so."""
    pairs = [pair for pair in identifiers_of(party) if pair[0] or compact(pair[1]).startswith("FR")]
    vat_numbers = [text(term(party, "BT-31")), *(value for scheme, value in pairs if scheme in VAT_SCHEMES)]
    return identify(
        siren=text(party.get("siren")),
        siret=text(party.get("siret")),
        vat_number=next(filter(None, vat_numbers), ""),
        identifiers=[(scheme or "VAT", value) for scheme, value in pairs],
    )

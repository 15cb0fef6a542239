"""The lines of an invoice as the readable view shows them."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from . import labels
from .facts import Fact, Shown, facts
from .labels import label
from .model import AllowanceCharge, Line, Note, Reference
from .wording import (
    NBSP,
    as_address,
    as_date,
    as_delivery_terms,
    as_identifier,
    as_money,
    as_number,
    as_party,
    as_period,
    as_property,
    as_rate,
    as_reference,
    as_text,
    as_vat,
    with_code,
)

LINE: tuple[Fact, ...] = (
    (_("Seller's item"), "seller_item", as_text),
    (_("Buyer's item"), "buyer_item", as_text),
    (_("Item"), "standard_item", as_identifier),
    (_("Origin"), "origin_country", as_text),
    (_("Period"), "period", as_period),
    (_("Invoiced object"), "invoiced_object", as_identifier),
    (_("Accounting reference"), "accounting_reference", as_text),
    (_("Seller of the line"), "seller", as_party),
    (_("Delivery terms"), "delivery_terms", as_delivery_terms),
)
LINE_DELIVERY: tuple[Fact, ...] = (
    (_("Delivered on"), "delivered_on", as_date),
    (_("Delivered to"), "name", as_text),
    (_("Place"), "location", as_identifier),
    (_("Delivery address"), "address", as_address),
)


def line_row(line: Line, currency: str) -> dict[str, Any]:
    amount = as_money(line.net_amount, currency)
    return {
        "number": line.number,
        "is_sub_line": bool(line.parent_number),
        "name": line.name,
        "description": line.description,
        "notes": [line_note(note) for note in line.notes],
        "details": details_of(line, currency),
        "quantity": as_number(line.quantity),
        "unit": label(labels.UNITS, line.unit),
        "net_price": as_money(line.net_price, currency),
        "vat": as_vat(line.vat_category, line.vat_rate),
        # The column adds up to the sum of lines: what does not count in it stands among the details.
        "net_amount": amount if line.counts else "",
        "allowances_charges": [allowance_words(item, currency) for item in line.allowances_charges],
    }


def details_of(line: Line, currency: str) -> list[Shown]:
    found = subtype_facts(line, currency) + facts(LINE, line)
    found += [Shown(_("Classification"), as_identifier(item)) for item in line.classifications]
    found += [Shown(item.name or item.code, as_property(item)) for item in line.properties]
    found += reference_facts(line)
    found += [fact for delivery in line.deliveries for fact in facts(LINE_DELIVERY, delivery)]
    return found + price_facts(line, currency) + vat_facts(line, currency)


def subtype_facts(line: Line, currency: str) -> list[Shown]:
    found = [Shown(_("Part of line"), line.parent_number)] if line.parent_number else []
    if line.subtype:
        found.append(Shown(_("Kind of line"), label(labels.LINE_SUBTYPES, line.subtype)))
    if not line.counts and line.net_amount is not None:
        name = _("Subtotal") if line.subtype == "GROUP" else _("Amount, not added to the total")
        found.append(Shown(name, as_money(line.net_amount, currency)))
    return found


def reference_facts(line: Line) -> list[Shown]:
    references = line.references
    if line.order_line and not any(each.kind == "order_line" for each in references):
        references = (Reference(line=line.order_line, kind="order_line"), *references)
    found = [Shown(line_reference_name(each), as_reference(each)) for each in references]
    return found + [Shown(_("Preceding invoice"), as_reference(each)) for each in line.preceding_invoices]


def line_reference_name(reference: Reference) -> str:
    if reference.kind == "order_line":
        return str(labels.REFERENCES["order_reference"] if reference.number else _("Order line"))
    return label(labels.REFERENCES, reference.kind)


def line_note(note: Note) -> str:
    subject = label(labels.NOTE_SUBJECTS, note.subject_code)
    text = with_code(note.text, note.code)
    return f"{subject}{NBSP}: {text}" if subject else text


def price_facts(line: Line, currency: str) -> list[Shown]:
    found: list[Shown] = []
    if line.gross_price is not None and (line.price_discount or line.gross_price != line.net_price):
        found.append(Shown(_("Gross price"), as_money(line.gross_price, currency)))
    for item in line.price_allowances or plain_discount(line):
        name = _("Price charge") if item.is_charge else _("Price discount")
        found.append(Shown(name, with_reason(item, currency)))
    if line.price_base_quantity not in (None, 1) or line.price_base_unit:
        unit = label(labels.UNITS, line.price_base_unit)
        found.append(Shown(_("Price for a quantity of"), f"{as_number(line.price_base_quantity)} {unit}".strip()))
    return found


def plain_discount(line: Line) -> tuple[AllowanceCharge, ...]:
    discount = line.price_discount
    return (AllowanceCharge(is_charge=discount < 0, amount=abs(discount)),) if discount else ()


def with_reason(item: AllowanceCharge, currency: str) -> str:
    row = allowance_row(item, currency)
    rate = " × ".join(part for part in (row["percentage"], row["base"]) if part)
    amount = as_money(item.amount, currency)
    return " – ".join(part for part in (amount, row["reason"], rate) if part)


def vat_facts(line: Line, currency: str) -> list[Shown]:
    exemption = with_code(line.exemption_reason, line.exemption_reason_code)
    found = [Shown(_("Reason for exemption"), exemption)] if exemption else []
    if line.vat_amount is not None:
        found.append(Shown(_("VAT of the line"), as_money(line.vat_amount, currency)))
    if line.total_with_vat is not None:
        found.append(Shown(_("Line with VAT"), as_money(line.total_with_vat, currency)))
    return found


def allowance_words(item: AllowanceCharge, currency: str) -> str:
    """`Allowance – Loyalty (10 % × 200.00 €) : -20.00 €`: the net amount has it already."""
    row = allowance_row(item, currency)
    words = f"{row['kind']} – {row['reason']}" if row["reason"] else str(row["kind"])
    rate = " × ".join(part for part in (row["percentage"], row["base"]) if part)
    vat = f", {row['vat']}" if row["vat"] else ""
    return f"{words} ({rate}){vat}{NBSP}: {row['amount']}" if rate else f"{words}{vat}{NBSP}: {row['amount']}"


def allowance_row(item: AllowanceCharge, currency: str) -> dict[str, Any]:
    # An allowance lowers the total: the sign says it even where colours do not.
    signed = item.amount if item.is_charge or item.amount is None else -item.amount
    return {
        "kind": _("Charge") if item.is_charge else _("Allowance"),
        "reason": with_code(item.reason, item.reason_code),
        "percentage": as_rate(item.percentage),
        "base": as_money(item.base, currency),
        "vat": as_vat(item.vat_category, item.vat_rate),
        "amount": as_money(signed, currency),
    }

"""The readable view of an invoice: what a person needs to decide, in the reader's language.

Tables say which facts are shown, in which order, and how; the templates only lay them out. Every value reaches the
template as plain text, and the template escapes it.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers.companies import compact
from providers.decimals import decimals_of

from . import labels
from .checks import Remark, check_bic, check_creditor, check_iban
from .labels import label
from .model import Address, AllowanceCharge, Attachment, Identifier, Line, Note, ParsedInvoice, Party, Period, Reference

NBSP = "\u00a0"
# A page of ten thousand lines takes seconds to draw, here and in the browser; the PDF has them all.
SHOWN_LINES = 500
AttachmentUrl = Callable[[int, Attachment], str]


def render_readable(parsed: ParsedInvoice, *, attachment_url: AttachmentUrl | None = None) -> str:
    """An HTML fragment, safe under a strict CSP.

    `attachment_url(index, attachment)` gives the address of an embedded file; without it files are listed, not linked.
    """
    context = readable_context(replace(parsed, lines=parsed.lines[:SHOWN_LINES]), attachment_url)
    if len(parsed.lines) > SHOWN_LINES:
        context["cut"] = {"shown": SHOWN_LINES, "all": len(parsed.lines)}
    return render_to_string("invoices/readable.html", context)


def readable_context(parsed: ParsedInvoice, attachment_url: AttachmentUrl | None) -> dict[str, Any]:
    return {
        "invoice": parsed,
        "title": label(labels.DOCUMENT_TYPES, parsed.type_code) or _("Invoice"),
        "is_credit_note": parsed.type_code in labels.CREDIT_NOTE_TYPES,
        "amount_due": as_money(parsed.amount_due, parsed.currency),
        "header": [*facts(HEADER, parsed), *notes_on(parsed, labels.CODED_SUBJECTS)],
        "parties": party_blocks(parsed),
        "references": facts(REFERENCES, parsed),
        "preceding_invoices": [as_reference(reference) for reference in parsed.preceding_invoices],
        "delivery": facts(DELIVERY, parsed.delivery) if parsed.delivery else [],
        "lines": [line_row(line, parsed.currency) for line in parsed.lines],
        "allowances_charges": [allowance_row(item, parsed.currency) for item in parsed.allowances_charges],
        "vat_rows": [vat_row(row, parsed.currency) for row in parsed.vat_breakdown],
        "totals": total_rows(parsed),
        "payment": [facts(PAYMENT, means) for means in parsed.payment_means],
        "payment_terms": facts(PAYMENT_TERMS, parsed),
        "legal_notes": notes_on(parsed, labels.LEGAL_SUBJECTS),
        "notes": notes_on(parsed, {note.subject_code for note in parsed.notes} - labels.TOLD_ELSEWHERE),
        "attachments": [attachment_row(*item, attachment_url) for item in enumerate(parsed.attachments)],
    }


# Values


def as_text(value: Any) -> str:
    return str(value)


def as_date(value: date) -> str:
    return date_format(value, "DATE_FORMAT")


def as_number(value: Decimal | None, *, at_least: int = 0) -> str:
    """With the decimals that matter: 12.5000 → 12,5; a price of 0.0425 keeps its four."""
    if value is None:
        return ""
    decimals = max(at_least, decimals_of(value))
    return number_format(value, decimal_pos=decimals, use_l10n=True, force_grouping=True).replace(" ", NBSP)


def as_money(value: Decimal | None, currency: str) -> str:
    symbol = labels.CURRENCY_SYMBOLS.get(currency, currency)
    return f"{as_number(value, at_least=2)}{NBSP}{symbol}".strip() if value is not None else ""


def as_rate(value: Decimal | None) -> str:
    return f"{as_number(value)}{NBSP}%" if value is not None else ""


def as_vat(category: str, rate: Decimal | None) -> str:
    """The rate says enough for the standard category; the others must be named."""
    if category == "S" and rate is not None:
        return as_rate(rate)
    return " ".join(part for part in (label(labels.VAT_CATEGORIES, category), as_rate(rate) if rate else "") if part)


def as_period(period: Period) -> str:
    return " – ".join(as_date(day) if day else "…" for day in (period.start, period.end))


def as_identifier(identifier: Identifier) -> str:
    scheme = label(labels.IDENTIFIER_SCHEMES, identifier.scheme)
    return f"{identifier.value} ({scheme})" if scheme else identifier.value


def as_reference(reference: Reference) -> str:
    """`F-2026-0042 (Deposit invoice, 4 October 2026)`."""
    kind = label(labels.DOCUMENT_TYPES, reference.type_code) if reference.type_code in labels.DOCUMENT_TYPES else ""
    day = as_date(reference.issue_date) if reference.issue_date else ""
    told = ", ".join(part for part in (kind, day) if part)
    return f"{reference.number} ({told})" if told else reference.number


def as_address(address: Address) -> str:
    town = " ".join(part for part in (address.post_code, address.city) if part)
    return "\n".join(part for part in (*address.lines, town, address.subdivision, address.country) if part)


def as_iban(value: str) -> str:
    compact = "".join(value.split())
    return " ".join(compact[start : start + 4] for start in range(0, len(compact), 4))


def as_frame(code: str) -> str:
    meaning = labels.frame_label(code)
    return f"{code} – {meaning}" if meaning else code


def labelled(table: dict) -> Callable[[str], str]:
    return lambda code: label(table, code)


# Tables: label, attribute, how to write it, and what checks it. A missing value is not shown.

Fact = tuple[Any, str, Callable[[Any], str]] | tuple[Any, str, Callable[[Any], str], Callable[[str], Remark]]


class Shown(NamedTuple):
    """A fact as the reader sees it."""

    name: Any
    value: str
    remark: Remark | None = None


HEADER: tuple[Fact, ...] = (
    (_("Number"), "number", as_text),
    (_("Issue date"), "issue_date", as_date),
    (_("Due date"), "due_date", as_date),
    (_("Type"), "type_code", labelled(labels.DOCUMENT_TYPES)),
    (_("Billing frame"), "process", as_frame),
    (_("Billing period"), "period", as_period),
    (_("VAT due"), "tax_point_code", labelled(labels.TAX_POINTS)),
    (_("VAT due date"), "tax_point_date", as_date),
    (_("Currency"), "currency", as_text),
    (_("VAT currency"), "vat_currency", as_text),
    (_("Profile"), "profile", labelled(labels.PROFILES)),
)
PARTY: tuple[Fact, ...] = (
    (_("Trading name"), "trading_name", as_text),
    (_("VAT number"), "vat_number", as_text),
    (_("Tax registration"), "tax_registration", as_text),
    (_("Legal form"), "legal_information", as_text),
)
CONTACT: tuple[Fact, ...] = (
    (_("Contact"), "name", as_text),
    (_("Phone"), "phone", as_text),
    (_("E-mail"), "email", as_text),
)
REFERENCES: tuple[Fact, ...] = (
    (_("Buyer reference"), "buyer_reference", as_text),
    (_("Purchase order"), "order_reference", as_text),
    (_("Sales order"), "sales_order_reference", as_text),
    (_("Contract"), "contract_reference", as_text),
    (_("Project"), "project_reference", as_text),
    (_("Tender or lot"), "tender_reference", as_text),
    (_("Despatch advice"), "despatch_advice_reference", as_text),
    (_("Receiving advice"), "receiving_advice_reference", as_text),
    (_("Invoiced object"), "invoiced_object", as_identifier),
    (_("Buyer's accounting reference"), "accounting_reference", as_text),
)
DELIVERY: tuple[Fact, ...] = (
    (_("Delivered on"), "delivered_on", as_date),
    (_("Delivered to"), "name", as_text),
    (_("Place"), "location", as_identifier),
    (_("Address"), "address", as_address),
)
PAYMENT: tuple[Fact, ...] = (
    (_("Means of payment"), "code", labelled(labels.PAYMENT_MEANS)),
    (_("Details"), "text", as_text),
    (_("IBAN"), "iban", as_iban, check_iban),
    (_("BIC"), "bic", as_text, check_bic),
    (_("Account holder"), "account_name", as_text),
    (_("Payment reference"), "payment_reference", as_text),
    (_("Mandate"), "mandate_reference", as_text),
    (_("Debited account"), "debited_account", as_iban, check_iban),
    (_("Card"), "card_number", as_text),
    (_("Card holder"), "card_holder", as_text),
)
PAYMENT_TERMS: tuple[Fact, ...] = (
    (_("Terms"), "payment_terms", as_text),
    (_("Creditor identifier"), "creditor_identifier", as_text, check_creditor),
)
LINE: tuple[Fact, ...] = (
    (_("Seller's item"), "seller_item", as_text),
    (_("Buyer's item"), "buyer_item", as_text),
    (_("Item"), "standard_item", as_identifier),
    (_("Origin"), "origin_country", as_text),
    (_("Period"), "period", as_period),
    (_("Order line"), "order_line", as_text),
    (_("Invoiced object"), "invoiced_object", as_identifier),
    (_("Accounting reference"), "accounting_reference", as_text),
)
TOTALS = (
    (_("Sum of lines"), "total_lines"),
    (_("Allowances"), "total_allowances"),
    (_("Charges"), "total_charges"),
    (_("Total without VAT"), "total_without_vat"),
    (_("Total VAT"), "total_vat"),
    (_("Total with VAT"), "total_with_vat"),
    (_("Already paid"), "prepaid"),
    (_("Rounding"), "rounding"),
    (pgettext_lazy("total of an invoice", "Amount due"), "amount_due"),
)


def facts(table: Iterable[Fact], source: Any) -> list[Shown]:
    found = ((name, getattr(source, attribute), *how) for name, attribute, *how in table)
    return [shown(*row) for row in found if row[1] not in ("", None)]


def shown(name: Any, value: Any, write: Callable[[Any], str], check: Callable[[str], Remark] | None = None) -> Shown:
    return Shown(name, write(value), check(value) if check else None)


def notes_on(parsed: ParsedInvoice, subjects: Set[str]) -> list[Shown]:
    notes = (note for note in parsed.notes if note.subject_code in subjects)
    return [Shown(label(labels.NOTE_SUBJECTS, note.subject_code) or _("Note"), note.text) for note in notes]


# Blocks and rows


def party_blocks(parsed: ParsedInvoice) -> list[dict[str, Any]]:
    parties = ((role, getattr(parsed, name)) for name, role in labels.PARTY_ROLES.items())
    return [party_block(role, party) for role, party in parties if party]


def party_block(role: Any, party: Party) -> dict[str, Any]:
    shown = {party.siren, party.siret}
    others = [Shown(_("Identifier"), as_identifier(item)) for item in party.identifiers if item.value not in shown]
    electronic = Identifier(value=party.electronic_address, scheme=party.electronic_address_scheme)
    if party.electronic_address:
        others.append(Shown(_("Electronic address"), as_identifier(electronic)))
    return {
        "role": role,
        "name": party.name or party.trading_name,
        "address": as_address(party.address) if party.address else "",
        "facts": [
            *registrations(party),
            *(fact for fact in facts(PARTY, party) if fact.value != party.name),
            *others,
            *(facts(CONTACT, party.contact) if party.contact else []),
        ],
    }


def registrations(party: Party) -> list[Shown]:
    """As written, each under the name of what it is; a SIREN that stands in another number is told too."""
    written: dict[str, Any] = {party.siren: _("SIREN"), party.siret: _("SIRET")}
    for value in written:
        if (company := party.company).siret and compact(value) == company.siret:
            written[value] = _("SIRET")
        elif company.siren and compact(value) == company.siren:
            written[value] = _("SIREN")
    if party.company.siren and _("SIREN") not in written.values():
        written[party.company.siren] = _("SIREN (derived)")
    return [Shown(name, value) for value, name in written.items() if value]


def line_row(line: Line, currency: str) -> dict[str, Any]:
    details = facts(LINE, line)
    details += [Shown(_("Classification"), as_identifier(item)) for item in line.classifications]
    details += [Shown(item.name, item.value) for item in line.properties]
    details += [Shown(_("Preceding invoice"), as_reference(reference)) for reference in line.preceding_invoices]
    details += price_facts(line, currency)
    return {
        "number": line.number,
        "is_sub_line": bool(line.parent_number),
        "name": line.name,
        "description": line.description,
        "notes": [line_note(note) for note in line.notes],
        "details": details,
        "quantity": as_number(line.quantity),
        "unit": label(labels.UNITS, line.unit),
        "net_price": as_money(line.net_price, currency),
        "vat": as_vat(line.vat_category, line.vat_rate),
        "net_amount": as_money(line.net_amount, currency),
        "allowances_charges": [allowance_row(item, currency) for item in line.allowances_charges],
    }


def line_note(note: Note) -> str:
    subject = label(labels.NOTE_SUBJECTS, note.subject_code)
    return f"{subject}{NBSP}: {note.text}" if subject else note.text


def price_facts(line: Line, currency: str) -> list[Shown]:
    found: list[Shown] = []
    if line.price_discount:
        found.append(Shown(_("Gross price"), as_money(line.gross_price, currency)))
        found.append(Shown(_("Price discount"), as_money(line.price_discount, currency)))
    if line.price_base_quantity not in (None, 1):
        found.append(Shown(_("Price for a quantity of"), as_number(line.price_base_quantity)))
    return found


def allowance_row(item: AllowanceCharge, currency: str) -> dict[str, Any]:
    # An allowance lowers the total: the sign says it even where colours do not.
    signed = item.amount if item.is_charge or item.amount is None else -item.amount
    return {
        "kind": _("Charge") if item.is_charge else _("Allowance"),
        "reason": item.reason or item.reason_code,
        "percentage": as_rate(item.percentage),
        "base": as_money(item.base, currency),
        "vat": as_vat(item.vat_category, item.vat_rate),
        "amount": as_money(signed, currency),
    }


def vat_row(row: Any, currency: str) -> dict[str, str]:
    return {
        "category": label(labels.VAT_CATEGORIES, row.category),
        "rate": as_rate(row.rate),
        "base": as_money(row.base, currency),
        "amount": as_money(row.amount, currency),
        "exemption": row.exemption_reason or row.exemption_reason_code,
    }


def total_rows(parsed: ParsedInvoice) -> list[dict[str, Any]]:
    rows = [
        {"name": name, "attribute": attribute, "amount": as_money(getattr(parsed, attribute), parsed.currency)}
        for name, attribute in TOTALS
        if getattr(parsed, attribute) is not None
    ]
    if parsed.total_vat_in_vat_currency is not None:
        amount = as_money(parsed.total_vat_in_vat_currency, parsed.vat_currency)
        rows.append({"name": _("Total VAT in the VAT currency"), "attribute": "vat_currency", "amount": amount})
    return rows


def attachment_row(index: int, attachment: Attachment, attachment_url: AttachmentUrl | None) -> dict[str, str]:
    url = attachment.url
    if attachment.content is not None:
        url = attachment_url(index, attachment) if attachment_url else ""
    return {
        "name": attachment.filename or attachment.reference or attachment.url,
        "description": label(labels.ATTACHMENT_KINDS, attachment.description),
        "media_type": attachment.media_type,
        "url": url if is_followable(url, ours=attachment.content is not None) else "",
        "external_url": attachment.url,
    }


def is_followable(url: str, *, ours: bool) -> bool:
    """A sender's `javascript:` or `file:` address is shown, never linked."""
    return bool(url) and (ours or url.lower().startswith(("https://", "http://")))

"""The readable view of an invoice: what a person needs to decide, in the reader's language.

Tables say which facts are shown, in which order, and how; the templates only lay them out. Every value reaches the
template as plain text, and the template escapes it.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers.norm.companies import compact

from . import labels
from .checks import check_bic, check_creditor, check_iban
from .facts import Fact, Shown, facts
from .labels import label
from .line_rows import allowance_row, line_row
from .model import Attachment, Identifier, OtherData, ParsedInvoice, Party, PaymentTerm, Prepayment, VatBreakdown
from .terms import find_term, term_at
from .wording import (
    NBSP,
    as_address,
    as_condition,
    as_date,
    as_delivery_terms,
    as_frame,
    as_iban,
    as_identifier,
    as_money,
    as_period,
    as_rate,
    as_reference,
    as_rule,
    as_text,
    contacts_of,
    labelled,
    with_code,
)

# A page of ten thousand lines takes seconds to draw, here and in the browser; the PDF has them all.
SHOWN_LINES = 500
# What stands around everything in CII, and the lines of UBL, which the table of terms does not tell apart.
WRAPPERS = {"rsm:SupplyChainTradeTransaction", "ram:IncludedSupplyChainTradeLineItem"}
UBL_LINES = {"cac:InvoiceLine", "cac:CreditNoteLine"}
AttachmentUrl = Callable[[int, Attachment], str]


@dataclass(frozen=True)
class Paging:
    """Which page of the lines is shown, and where the others are: `address` and their number."""

    page: int
    pages: Sequence[int]
    line_count: int
    address: str

    @property
    def others(self) -> list[tuple[Any, int]]:
        """By name, those that can be gone to from here."""
        last = len(self.pages)
        steps = (
            (_("First lines"), 1),
            (_("Earlier lines"), self.page - 1),
            (_("Later lines"), self.page + 1),
            (_("Last lines"), last),
        )
        wanted = steps[:2] if self.page == last else steps[2:] if self.page == 1 else steps
        return list(wanted)


def render_readable(
    parsed: ParsedInvoice, *, attachment_url: AttachmentUrl | None = None, paging: Paging | None = None
) -> str:
    """An HTML fragment, safe under a strict CSP.

    `attachment_url(index, attachment)` gives the address of an embedded file; without it files are listed, not linked.
    With `paging`, the lines are those of a page already; without it, the first are shown.
    """
    context = readable_context(replace(parsed, lines=parsed.lines[:SHOWN_LINES]), attachment_url)
    context["paging"] = paging if paging and len(paging.pages) > 1 else None
    if len(parsed.lines) > SHOWN_LINES:
        context["cut"] = {"shown": SHOWN_LINES, "all": len(parsed.lines)}
    return render_to_string("invoices/readable.html", context)


def readable_context(parsed: ParsedInvoice, attachment_url: AttachmentUrl | None) -> dict[str, Any]:
    return {
        "invoice": parsed,
        "title": label(labels.DOCUMENT_TYPES, parsed.type_code) or _("Invoice"),
        "is_credit_note": parsed.type_code in labels.CREDIT_NOTE_TYPES,
        "amount_due": as_money(parsed.amount_due, parsed.currency),
        "header": [*facts(HEADER, parsed), *coded_notes(parsed)],
        "parties": party_blocks(parsed),
        "references": list(reference_facts(parsed)),
        "preceding_invoices": [as_reference(reference) for reference in parsed.preceding_invoices],
        "deliveries": delivery_blocks(parsed),
        "lines": [line_row(line, parsed.currency) for line in parsed.lines],
        "allowances_charges": [allowance_row(item, parsed.currency) for item in parsed.allowances_charges],
        "vat_rows": [vat_row(row, parsed.currency) for row in parsed.vat_breakdown],
        "totals": total_rows(parsed),
        "payment": [facts(PAYMENT, means) for means in parsed.payment_means],
        "payment_terms": [*payment_facts(parsed), *prepayment_facts(parsed)],
        "terms": [term_row(term, parsed.currency) for term in parsed.terms],
        "legal_notes": notes_on(parsed, labels.LEGAL_SUBJECTS),
        "notes": notes_on(parsed, {note.subject_code for note in parsed.notes} - labels.TOLD_ELSEWHERE),
        "attachments": [attachment_row(*item, attachment_url) for item in enumerate(parsed.attachments)],
        "other_data": [other_row(item, parsed) for item in parsed.other_data],
    }


# Tables.

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
NUMBERED = labels.REFERENCES.keys() - {"invoiced_object", *labels.MANY_REFERENCES}
REFERENCES: tuple[Fact, ...] = (
    (_("Buyer reference"), "buyer_reference", as_text),
    *((name, kind, as_text) for kind, name in labels.REFERENCES.items() if kind in NUMBERED),
    (labels.REFERENCES["invoiced_object"], "invoiced_object", as_identifier),
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
    (_("Due date"), "due_date", as_date),
)
PAYMENT_TERMS: tuple[Fact, ...] = (
    (_("Terms"), "payment_terms", as_text),
    (_("Creditor identifier"), "creditor_identifier", as_text, check_creditor),
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


def notes_on(parsed: ParsedInvoice, subjects: Set[str]) -> list[Shown]:
    notes = (note for note in parsed.notes if note.subject_code in subjects)
    return [
        Shown(label(labels.NOTE_SUBJECTS, note.subject_code) or _("Note"), with_code(note.text, note.code))
        for note in notes
    ]


def coded_notes(parsed: ParsedInvoice) -> list[Shown]:
    return [note._replace(value=as_rule(note.value)) for note in notes_on(parsed, labels.CODED_SUBJECTS)]


def reference_facts(parsed: ParsedInvoice) -> Iterator[Shown]:
    """Each kind in its place: the number of its field, or all that is told of references of that kind."""
    for fact in REFERENCES:
        told = [each for each in parsed.references if each.kind == fact[1]]
        first = facts([fact], parsed)
        # An object's scheme is told beside its number.
        if len(told) < 2 and fact[1] == "invoiced_object":
            told = [replace(each, number=first[0].value) for each in told] if first else told
        yield from first if not told else (Shown(fact[0], as_reference(each)) for each in told)
    for kind in labels.MANY_REFERENCES:
        yield from (
            Shown(labels.REFERENCES[kind], as_reference(each)) for each in parsed.references if each.kind == kind
        )


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
            *(fact for contact in contacts_of(party) for fact in facts(CONTACT, contact)),
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


def delivery_blocks(parsed: ParsedInvoice) -> list[list[Shown]]:
    deliveries = (parsed.delivery, *parsed.more_deliveries)
    blocks = [facts(DELIVERY, each) for each in deliveries if each]
    if parsed.delivery_terms:
        blocks.append([Shown(_("Delivery terms"), as_delivery_terms(parsed.delivery_terms))])
    return [block for block in blocks if block]


def payment_facts(parsed: ParsedInvoice) -> list[Shown]:
    """Where several terms are told apart below, their texts are not told here as one."""
    return facts(PAYMENT_TERMS[1:] if parsed.terms else PAYMENT_TERMS, parsed)


def prepayment_facts(parsed: ParsedInvoice) -> list[Shown]:
    return [Shown(_("Paid in advance"), as_prepayment(each, parsed.currency)) for each in parsed.prepayments]


def as_prepayment(prepayment: Prepayment, currency: str) -> str:
    day = as_date(prepayment.paid_on) if prepayment.paid_on else ""
    return " – ".join(part for part in (as_money(prepayment.amount, currency), day, prepayment.reference) if part)


def term_row(term: PaymentTerm, currency: str) -> dict[str, str]:
    conditions = (
        (_("Cash discount"), term.discount),
        (_("Late payment penalty"), term.penalty),
    )
    told = [f"{name}{NBSP}: {as_condition(each, currency)}" for name, each in conditions if each]
    share = as_money(term.amount, currency) if term.amount is not None else as_rate(term.percentage)
    return {
        "due": as_date(term.due_date) if term.due_date else "",
        "amount": share,
        "text": "\n".join(part for part in (*told, term.text) if part),
    }


def vat_row(row: VatBreakdown, currency: str) -> dict[str, str]:
    return {
        "category": label(labels.VAT_CATEGORIES, row.category),
        "rate": as_rate(row.rate),
        "base": as_money(row.base, currency),
        "amount": as_money(row.amount, currency),
        "exemption": with_code(row.exemption_reason, row.exemption_reason_code),
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
    if attachment.size is not None:
        url = attachment_url(index, attachment) if attachment_url else ""
    name = attachment.filename or attachment.reference or attachment.url
    about = (
        attachment.reference if attachment.reference != name else "",
        label(labels.ATTACHMENT_KINDS, attachment.description),
        owner_of(attachment),
        attachment.media_type,
    )
    return {
        "name": name,
        "about": " · ".join(part for part in about if part),
        "url": url if is_followable(url, ours=attachment.size is not None) else "",
        "external_url": attachment.url if attachment.url != name else "",
    }


def owner_of(attachment: Attachment) -> str:
    """What it is attached to: `Line 3`, `Contract`."""
    kind = label(labels.REFERENCE_TYPES, attachment.type_code)
    owner = str(labels.OWNERS.get(attachment.of, "")) or kind
    line = str(_("Line {number}")).format(number=attachment.line) if attachment.line else ""
    return ", ".join(part for part in (line, owner) if part)


def other_row(item: OtherData, parsed: ParsedInvoice) -> dict[str, str]:
    syntax = "cii" if parsed.message == "CrossIndustryInvoice" else "ubl"
    term = find_term(term_at(syntax, plain_place(item.place)))
    name = f"{term.name} ({term.code})" if term else " › ".join(step.rpartition(":")[2] for step in last_steps(item))
    return {"name": name, "value": item.value, "line": item.line}


def plain_place(place: str) -> str:
    """As the table of business terms writes it."""
    return "/".join("*" if step in UBL_LINES else step for step in place.split("/"))


def last_steps(item: OtherData) -> list[str]:
    return [step for step in item.place.split("/") if step not in WRAPPERS]


def is_followable(url: str, *, ours: bool) -> bool:
    """A sender's `javascript:` or `file:` address is shown, never linked."""
    return bool(url) and (ours or url.lower().startswith(("https://", "http://")))

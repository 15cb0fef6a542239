"""The processing rule of an invoice: what its platform says, else its note BAR, else what its parties tell."""

from __future__ import annotations

from invoices.models import Invoice
from providers.formats.en16931.model import ParsedInvoice, Party
from providers.norm.companies import FRENCH_COUNTRIES, FRENCH_VAT_COUNTRIES
from providers.norm.processing import Rule, Source, read_rule


def learn_rule(invoice: Invoice, *, told: str = "", parsed: ParsedInvoice | None = None) -> None:
    """Sets the columns, if there is something better than what is known."""
    if told:
        invoice.processing_rule, invoice.processing_source = told, Source.PLATFORM
    if parsed is None or invoice.processing_source == Source.PLATFORM:
        return
    stated = rule_stated(parsed)
    source = Source.DOCUMENT if stated else Source.PARTIES
    rule = stated or rule_of_parties(parsed)
    invoice.processing_rule, invoice.processing_source = rule, source if rule else ""


def rule_stated(parsed: ParsedInvoice) -> str:
    notes = (read_rule(note.text) for note in parsed.notes if note.subject_code == "BAR")
    return next(filter(None, notes), "")


def rule_of_parties(parsed: ParsedInvoice) -> str:
    """Only where it is beyond doubt: a party abroad that no French register knows, or two companies in France."""
    if is_abroad(parsed.seller):
        return Rule.B2B_INT.value
    if is_abroad(parsed.buyer):
        return Rule.B2B_INT.value if is_company(parsed.buyer) else Rule.B2C.value
    both = all(party.company.siren and not is_outside(party) for party in (parsed.seller, parsed.buyer))
    return Rule.B2B.value if both else ""


def is_outside(party: Party) -> bool:
    return bool(party.country) and party.country not in FRENCH_VAT_COUNTRIES


def is_abroad(party: Party) -> bool:
    """A SIREN makes an address abroad doubtful, but not one overseas, where INSEE registers companies too."""
    return is_outside(party) and (party.country in FRENCH_COUNTRIES or not party.company.siren)


def is_company(party: Party) -> bool:
    return bool(party.vat_number or party.tax_registration or party.identifiers)

"""How single values of an invoice are written for the reader, in the reader's language."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from providers.formats.decimals import decimals_of
from providers.norm.processing import Rule, read_rule

from . import labels
from .labels import label
from .model import Address, Condition, Contact, DeliveryTerms, Identifier, ItemProperty, Party, Period, Reference

NBSP = "\u00a0"


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
    parts = label(labels.IDENTIFIER_SCHEMES, identifier.scheme), identifier.version
    about = " ".join(part for part in parts if part)
    return f"{identifier.value} ({about})" if about else identifier.value


def as_reference(reference: Reference) -> str:
    """`F-2026-0042 (Deposit invoice, 4 October 2026, line 3)`."""
    kind = label(labels.DOCUMENT_TYPES, reference.type_code)
    day = as_date(reference.issue_date) if reference.issue_date else ""
    line = _("line {number}").format(number=reference.line) if reference.line and reference.number else ""
    told = ", ".join(part for part in (kind, reference.text, day, line) if part)
    number = reference.number or reference.line
    return f"{number} ({told})".strip() if told else number


def with_code(text: str, code: str) -> str:
    """What a person wrote, and the code beside it."""
    return f"{text} ({code})" if text and code else text or code


def as_address(address: Address) -> str:
    town = " ".join(part for part in (address.post_code, address.city) if part)
    return "\n".join(part for part in (*address.lines, town, address.subdivision, address.country) if part)


def as_iban(value: str) -> str:
    compact = "".join(value.split())
    return " ".join(compact[start : start + 4] for start in range(0, len(compact), 4))


def as_frame(code: str) -> str:
    meaning = labels.frame_label(code)
    return f"{code} – {meaning}" if meaning else code


def as_rule(written: str) -> str:
    """`B2BINT – International, between companies (e-reporting)`."""
    rule = read_rule(written)
    return f"{written} – {Rule(rule).label}" if rule else written


def labelled(table: dict) -> Callable[[str], str]:
    return lambda code: label(table, code)


def as_party(party: Party) -> str:
    """A party that is a detail of something else, in a few lines."""
    identifiers = (as_identifier(item) for item in party.identifiers if item.value not in (party.siren, party.siret))
    numbers = ((_("SIREN"), party.siren), (_("SIRET"), party.siret), (_("VAT number"), party.vat_number))
    electronic = Identifier(value=party.electronic_address, scheme=party.electronic_address_scheme)
    parts = (
        party.name,
        party.trading_name,
        party.legal_information,
        *(f"{name}{NBSP}: {number}" for name, number in numbers if number),
        party.tax_registration,
        *identifiers,
        as_address(party.address) if party.address else "",
        as_identifier(electronic) if electronic.value else "",
        *(as_contact(contact) for contact in contacts_of(party)),
    )
    return "\n".join(part for part in parts if part)


def contacts_of(party: Party) -> tuple[Contact, ...]:
    return (party.contact, *party.more_contacts) if party.contact else party.more_contacts


def as_contact(contact: Contact) -> str:
    return ", ".join(part for part in (contact.name, contact.phone, contact.email) if part)


def as_delivery_terms(terms: DeliveryTerms) -> str:
    return " – ".join(part for part in (" ".join(filter(None, (terms.code, terms.place))), terms.text) if part)


def as_property(item: ItemProperty) -> str:
    measure = f"{as_number(item.measure)} {label(labels.UNITS, item.unit)}".strip() if item.measure is not None else ""
    return ", ".join(part for part in (item.value, measure, item.code if item.name else "") if part)


def as_period_of(condition: Condition) -> str:
    """`until 14 October 2026 (10 days)`."""
    period = ""
    if condition.period is not None:
        period = as_duration(condition.period, condition.unit or "DAY")
    from_date = _("from {date}").format(date=as_date(condition.from_date)) if condition.from_date else ""
    until = _("until {date}").format(date=as_date(condition.until)) if condition.until else ""
    about = ", ".join(part for part in (period, from_date) if part)
    return f"{until} ({about})" if until and about else until or about


def as_duration(number: Decimal, unit: str) -> str:
    if number != int(number) or unit not in ("DAY", "WEE"):
        return f"{as_number(number)} {label(labels.UNITS, unit)}"
    words = (
        ngettext("%(count)s week", "%(count)s weeks", int(number))
        if unit == "WEE"
        else ngettext("%(count)s day", "%(count)s days", int(number))
    )
    return words % {"count": as_number(number)}


def as_condition(condition: Condition, currency: str) -> str:
    """`3 % of 1 200.00 € until 14 October 2026`."""
    base = _("of {base}").format(base=as_money(condition.base, currency)) if condition.base is not None else ""
    parts = as_rate(condition.percentage), base, as_money(condition.amount, currency), as_period_of(condition)
    return " ".join(part for part in parts if part)

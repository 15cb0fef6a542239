"""What is worth telling about a readable invoice. Warnings only: the document is recorded as it came."""

from collections.abc import Iterator
from typing import NamedTuple

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from stdnum import bic, iban
from stdnum.eu import at_02

from providers.norm import companies
from providers.norm.companies import compact

from .labels import CREDIT_NOTE_TYPES, PARTY_ROLES
from .model import ParsedInvoice, Party
from .payment_terms import instalments_of

ESSENTIALS = (
    ("number", _("The invoice has no number (BT-1).")),
    ("issue_date", _("The invoice has no issue date (BT-2).")),
    ("type_code", _("The invoice has no type (BT-3).")),
    ("currency", _("The invoice has no currency (BT-5).")),
    ("total_without_vat", _("The total without VAT is missing (BT-109).")),
    ("total_with_vat", _("The total with VAT is missing (BT-112).")),
    ("amount_due", _("The amount due is missing (BT-115).")),
)
MISFITS = {
    "siren": _("{role}: SIREN {value} is not valid."),
    "siret": _("{role}: SIRET {value} is not valid."),
    "vat": _("{role}: the French VAT number {value} is not valid (key or SIREN)."),
    "siret_as_siren": _("{role}: {value} is a SIRET, not a SIREN (scheme 0002). It was read as a SIRET."),
    "siren_as_siret": _("{role}: {value} is a SIREN, not a SIRET (scheme 0009). It was read as a SIREN."),
}


class Remark(NamedTuple):
    """What checking a value found."""

    text: str | Promise
    is_good: bool


def check_iban(value: str) -> Remark:
    """An account without IBAN may stand in the same place: only what begins like one is checked."""
    if not looks_like_iban(value):
        return Remark(_("not an IBAN"), False)
    if not is_iban(value):
        return Remark(_("The check digits of this IBAN are wrong: ask the supplier before paying."), False)
    if not iban.is_valid(compact_iban(value)):
        return Remark(_("check digits right; bank not in our list"), True)
    return Remark(_("check digits right"), True)


def compact_iban(value: str) -> str:
    """Without spaces, and without the word before it on paper ("IBAN FR76 …")."""
    return compact(value).removeprefix("IBAN").lstrip(":")


def looks_like_iban(value: str) -> bool:
    return compact_iban(value)[:2].isalpha()


def is_iban(value: str) -> bool:
    """As ISO 13616 decides: country, length and form, check digits. Whether a national register knows the bank, it does
    not ask: those lists are never complete.
    """
    return iban.is_valid(compact_iban(value), check_country=False)


def check_bic(value: str) -> Remark:
    return Remark(_("well-formed"), True) if bic.is_valid(value) else Remark(_("This is not a BIC."), False)


def check_creditor(value: str) -> Remark:
    if at_02.is_valid(value):
        return Remark(_("check digits right"), True)
    return Remark(_("The check digits of this creditor identifier are wrong."), False)


def content_warnings(invoice: ParsedInvoice) -> Iterator[str | Promise]:
    for name, message in ESSENTIALS:
        if getattr(invoice, name) in ("", None):
            yield message
    yield from suspicions(invoice)
    for means in invoice.payment_means:
        if looks_like_iban(means.iban) and not is_iban(means.iban):
            yield format_lazy(
                _("The IBAN {value} is not valid. Ask the supplier before paying."), value=means.iban[:40]
            )
    for name, role in PARTY_ROLES.items():
        yield from party_warnings(role, getattr(invoice, name))


def suspicions(invoice: ParsedInvoice) -> Iterator[str | Promise]:
    """Allowed, and rarely meant."""
    if invoice.issue_date and invoice.issue_date > timezone.localdate():
        yield format_lazy(_("The invoice is dated in the future: {date}."), date=invoice.issue_date.isoformat())
    is_invoice = invoice.type_code not in CREDIT_NOTE_TYPES
    if invoice.total_with_vat is not None and invoice.total_with_vat < 0:
        if is_invoice:
            yield _("The total is negative although this is not a credit note.")
        else:
            message = _("Credit note {number} has negative totals: it lowers what is owed, as with positive ones.")
            yield format_lazy(message, number=invoice.number[:200])
    if not invoice.due_date and any(term.due_date for term in invoice.terms):
        yield _("Only days of cash discounts are given: ask the supplier when the whole is due.")
    parts = instalments_of(invoice)
    if parts and sum(amount for _day, amount in parts) != invoice.amount_due:
        yield _("The instalments do not add up to the amount due.")
    if _signs_differ(invoice):
        yield _("The VAT breakdown has another sign than the total: the type and the total decide what is owed.")


def _signs_differ(invoice: ParsedInvoice) -> bool:
    rows = invoice.vat_breakdown
    written = sum((row.base or 0) + (row.amount or 0) for row in rows)
    return written * (invoice.total_with_vat or 0) < 0


def party_warnings(role: Promise, party: Party | None) -> Iterator[Promise]:
    if party is None:
        return
    for misfit in companies.misfits([*party.numbers, ("VA", party.vat_number)]):
        yield format_lazy(MISFITS[misfit.kind], role=role, value=misfit.value[:40])

"""Which way the money of an invoice goes: what it adds to what the buyer owes, defined here and nowhere else.

Type and sign both carry the direction. A credit note lowers the debt whether it is written with positive or with
negative totals (EN 16931 allows both, and both are common); an invoice with a negative total lowers it too. Nothing is
summed over currencies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from django.db.models import BooleanField, Case, F, Q, When

from providers.formats.decimals import read_decimal
from providers.norm.codes import CREDIT_NOTE_TYPES, VAT_RATES

ZERO = Decimal("0.00")
Amounts = dict[Decimal, Decimal]


class Written(Protocol):
    """The amounts of an invoice as its document writes them."""

    type_code: str
    total_without_vat: Decimal | None
    total_with_vat: Decimal | None
    amount_due: Decimal | None
    vat_breakdown: Any


def debt(invoice: Written) -> Decimal | None:
    """The total with VAT as it counts: negative where it lowers what the buyer owes."""
    total = read_decimal(invoice.total_with_vat)
    return -abs(total) if total is not None and _is_credit_note(invoice) else total


def debt_by_rate(invoice: Written) -> Amounts:
    """The same by VAT rate. Rates may differ in sign; where their sum has another sign than the total, the type and
    the total decide."""
    amounts = written_by_rate(invoice.vat_breakdown)
    factor = _factor(invoice, sum(amounts.values(), ZERO))
    return {rate: amount * factor for rate, amount in amounts.items()}


def due(invoice: Written) -> Decimal | None:
    """The amount due as it counts. What was paid before may turn it round: then it goes back to the buyer."""
    amount, total = read_decimal(invoice.amount_due), read_decimal(invoice.total_with_vat)
    if amount is None:
        return None
    if total is None:
        return -abs(amount) if _is_credit_note(invoice) else amount
    if abs(amount) == abs(total) and (_is_credit_note(invoice) or total < 0):
        return debt(invoice)
    return -amount if _is_credit_note(invoice) and total >= 0 else amount


def gives_back(invoice: Written) -> bool:
    """The seller owes the buyer: 211 is the seller's then, and a receipt (212) is negative."""
    amount = due(invoice) or debt(invoice)
    return amount < 0 if amount else _is_credit_note(invoice)


def giving_back() -> Q:
    """`gives_back` for a query: the same cases over the stored columns, of which any may be empty."""
    is_note = Q(type_code__in=sorted(CREDIT_NOTE_TYPES))
    is_whole = Q(amount_due=F("total_with_vat")) | Q(amount_due=-F("total_with_vat"))
    against = (Q(total_with_vat__gte=0) & Q(amount_due__lt=0)) | (Q(total_with_vat__lt=0) & Q(amount_due__gt=0))
    cases = (
        When(is_note & against & ~is_whole, then=False),
        When(is_note | Q(amount_due__lt=0), then=True),
        When(Q(total_with_vat__lt=0) & (Q(amount_due=None) | Q(amount_due=0) | is_whole), then=True),
    )
    return Q(Case(*cases, default=False, output_field=BooleanField()))


def written_by_rate(breakdown: Sequence[Mapping[str, Any]]) -> Amounts:
    found: Amounts = {}
    for row in breakdown:
        rate = plain(read_decimal(row.get("rate")) or ZERO)
        found[rate] = (
            found.get(rate, ZERO) + (read_decimal(row.get("base")) or ZERO) + (read_decimal(row.get("amount")) or ZERO)
        )
    return found


def _factor(invoice: Written, written: Decimal) -> int:
    total = read_decimal(invoice.total_with_vat) or ZERO
    if not _is_credit_note(invoice):
        return -1 if written * total < 0 else 1
    # Rates that cancel out leave the total without VAT to tell how the note is written.
    return 1 if (written or total or read_decimal(invoice.total_without_vat) or ZERO) < 0 else -1


def _is_credit_note(invoice: Written) -> bool:
    return invoice.type_code in CREDIT_NOTE_TYPES


def plain(rate: Decimal) -> Decimal:
    """The table's own writing of a rate: 20.00 is its 20."""
    return next((known for known in VAT_RATES if known == rate), rate.normalize())

"""The arithmetic of EN 16931: amounts of lines, VAT by category and rate, totals; rounded half away from zero.

A line's amount is rounded, VAT is reckoned on the sum of a rate's lines and rounded once (BR-CO-17), and sums of
rounded amounts are exact (BR-CO-10 to BR-CO-16).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from .model import AllowanceCharge, Line, ParsedInvoice, VatBreakdown

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
ONE = Decimal(1)
# The business terms that follow from others, by attribute.
TERMS = {
    "total_lines": "BT-106",
    "total_allowances": "BT-107",
    "total_charges": "BT-108",
    "total_without_vat": "BT-109",
    "total_vat": "BT-110",
    "total_with_vat": "BT-112",
    "amount_due": "BT-115",
}


def rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def with_totals(document: ParsedInvoice) -> ParsedInvoice:
    """The document with everything reckoned anew that follows from its quantities, prices, allowances and rates.

    Exemption reasons stay with their category; prepaid and rounding are given, not reckoned.
    """
    lines = tuple(with_amount(line) for line in document.lines)
    main_lines = sum((line.net_amount or ZERO for line in lines if line.counts), ZERO)
    extras = tuple(settled(extra, main_lines) for extra in document.allowances_charges)
    allowances, charges = amounts_of(extras, charges=False), amounts_of(extras, charges=True)
    breakdown = vat_breakdown(lines, extras, document.vat_breakdown)
    without_vat = main_lines - sum(allowances, ZERO) + sum(charges, ZERO)
    vat = sum((row.amount or ZERO for row in breakdown), ZERO)
    return replace(
        document,
        lines=lines,
        allowances_charges=extras,
        vat_breakdown=breakdown,
        total_lines=main_lines,
        total_allowances=sum(allowances, ZERO) if allowances else None,
        total_charges=sum(charges, ZERO) if charges else None,
        total_without_vat=without_vat,
        total_vat=vat,
        total_with_vat=without_vat + vat,
        amount_due=without_vat + vat - (document.prepaid or ZERO) + (document.rounding or ZERO),
    )


def amounts_of(extras: Iterable[AllowanceCharge], *, charges: bool) -> list[Decimal]:
    return [extra.amount or ZERO for extra in extras if extra.is_charge == charges]


def with_amount(line: Line) -> Line:
    net_price = line.net_price
    if line.gross_price is not None:
        net_price = line.gross_price - (line.price_discount or ZERO)
    gross = rounded((line.quantity or ZERO) * (net_price or ZERO) / (line.price_base_quantity or ONE))
    extras = tuple(settled(extra, gross) for extra in line.allowances_charges)
    allowances, charges = amounts_of(extras, charges=False), amounts_of(extras, charges=True)
    amount = gross - sum(allowances, ZERO) + sum(charges, ZERO)
    return replace(line, net_price=net_price, allowances_charges=extras, net_amount=amount)


def settled(extra: AllowanceCharge, base: Decimal) -> AllowanceCharge:
    """A percentage wins over an amount; without a base of its own it is one of what it stands under."""
    if extra.percentage is None:
        return replace(extra, amount=rounded(extra.amount or ZERO))
    base = extra.base if extra.base is not None else base
    return replace(extra, base=rounded(base), amount=rounded(base * extra.percentage / 100))


def vat_breakdown(
    lines: Iterable[Line], extras: Iterable[AllowanceCharge], known: Iterable[VatBreakdown]
) -> tuple[VatBreakdown, ...]:
    """One row per category and rate, in the order of appearance."""
    bases: dict[tuple[str, Decimal | None], Decimal] = {}
    for category, rate, amount in parts_of_base(lines, extras):
        key = (category, rate.normalize() if rate else rate)
        bases[key] = bases.get(key, ZERO) + amount
    reasons = {row.category: (row.exemption_reason, row.exemption_reason_code) for row in known}
    rows = []
    for (category, rate), base in bases.items():
        reason, code = reasons.get(category, ("", ""))
        vat = rounded(base * (rate or ZERO) / 100)
        shown = None if rate is None else rounded(rate)
        rows.append(
            VatBreakdown(
                category=category,
                rate=shown,
                base=base,
                amount=vat,
                exemption_reason=reason,
                exemption_reason_code=code,
            )
        )
    return tuple(rows)


def parts_of_base(
    lines: Iterable[Line], extras: Iterable[AllowanceCharge]
) -> Iterator[tuple[str, Decimal | None, Decimal]]:
    for line in lines:
        if line.counts:
            yield line.vat_category, line.vat_rate, line.net_amount or ZERO
    for extra in extras:
        amount = extra.amount or ZERO
        yield extra.vat_category, extra.vat_rate, amount if extra.is_charge else -amount


@dataclass(frozen=True)
class Difference:
    """What a document states, and what its own lines add up to. `place` names a line or a VAT rate, "" the whole."""

    term: str
    stated: Decimal | None
    expected: Decimal
    place: str = ""


def differences(document: ParsedInvoice) -> list[Difference]:
    """Where the stated totals are off by a cent or more."""
    expected = with_totals(document)
    found = [
        Difference(term, getattr(document, name), getattr(expected, name) or ZERO)
        for name, term in TERMS.items()
        if (getattr(document, name) or ZERO) != (getattr(expected, name) or ZERO)
    ]
    for line, right in zip(document.lines, expected.lines, strict=True):
        if line.net_amount != right.net_amount:
            found.append(Difference("BT-131", line.net_amount, right.net_amount or ZERO, line.number))
    stated = {(row.category, row.rate or None): row for row in document.vat_breakdown}
    for row in expected.vat_breakdown:
        given = stated.get((row.category, row.rate or None))
        place = f"{row.category} {row.rate or ZERO:f}"
        if given is None or given.base != row.base:
            found.append(Difference("BT-116", given.base if given else None, row.base or ZERO, place))
        if given is None or given.amount != row.amount:
            found.append(Difference("BT-117", given.amount if given else None, row.amount or ZERO, place))
    return found

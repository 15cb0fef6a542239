"""What is left of an invoice, by VAT rate: what it asks for, less deposits and credit notes, less what was declared.

Amounts include VAT, as the statuses 211 and 212 want them. Where a sum names no rate (a prepayment, a payment of the
whole), it is spread over the rates in proportion, to the cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from invoices.models import Invoice

from . import events
from .codes import VAT_RATES
from .links import Link, counting, links_of

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
Amounts = dict[Decimal, Decimal]


@dataclass(frozen=True)
class RateLeft:
    """One VAT rate. `invoiced` is what the invoice still asked for when it came, deposits taken off."""

    vat_rate: Decimal
    invoiced: Decimal
    credited: Decimal
    settled: Decimal

    @property
    def left(self) -> Decimal:
        return self.invoiced - self.credited - self.settled


def settlement_of(invoice: Invoice, status: str, links: Iterable[Link] | None = None) -> list[RateLeft]:
    """By rate, in the invoice's order. `status` is the one that declares payments: 211 or 212. Left may be negative:
    more was received than is due, which a negative receipt puts right."""
    links = links_of(invoice) if links is None else links
    invoiced = asked_for(invoice, counting(links, "settles_deposit"))
    # A credit note that names several invoices does not say how much is whose.
    notes = [note for note in counting(links, "credited_by") if len(note.preceding_numbers) == 1]
    credited = summed(totals(note) for note in notes)
    settled = declared(invoice, status, invoiced)
    rates = list(dict.fromkeys([*invoiced, *credited, *settled]))
    return [
        RateLeft(rate, invoiced.get(rate, ZERO), credited.get(rate, ZERO), settled.get(rate, ZERO)) for rate in rates
    ]


def asked_for(invoice: Invoice, deposits: Iterable[Invoice]) -> Amounts:
    """The amount due, by rate: deposits that we have by their own rates, what else was paid before in proportion."""
    amounts = totals(invoice)
    due = invoice.amount_due
    total = sum(amounts.values(), ZERO)
    if due is None or due == total or not total:
        return amounts
    paid_before = total - due
    for rate, amount in summed(totals(deposit) for deposit in deposits).items():
        taken = min(amount, amounts.get(rate, ZERO), paid_before)
        amounts[rate] = amounts.get(rate, ZERO) - taken
        paid_before -= taken
    return less(amounts, paid_before)


def totals(invoice: Invoice) -> Amounts:
    found: Amounts = {}
    for row in invoice.vat_breakdown:
        rate = plain(decimal(row.get("rate")) or ZERO)
        found[rate] = found.get(rate, ZERO) + (decimal(row.get("base")) or ZERO) + (decimal(row.get("amount")) or ZERO)
    return found


def declared(invoice: Invoice, status: str, invoiced: Mapping[Decimal, Decimal]) -> Amounts:
    found: Amounts = {}
    whole = ZERO
    for event in events.effective_events(invoice):
        for row in event.payments if event.status == status else ():
            rate = decimal(row["vat_rate"])
            if rate is None:
                whole += Decimal(row["amount"])
            else:
                found[plain(rate)] = found.get(plain(rate), ZERO) + Decimal(row["amount"])
    return summed([found, spread(whole, invoiced)])


def summed(parts: Iterable[Mapping[Decimal, Decimal]]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for rate, amount in part.items():
            found[rate] = found.get(rate, ZERO) + amount
    return found


def less(amounts: Amounts, taken: Decimal) -> Amounts:
    shares = spread(taken, amounts)
    return {rate: amount - shares.get(rate, ZERO) for rate, amount in amounts.items()}


def spread(amount: Decimal, over: Mapping[Decimal, Decimal]) -> Amounts:
    """In proportion and to the cent; what rounding leaves goes to the largest."""
    whole = sum(over.values(), ZERO)
    if not amount:
        return {}
    if not whole:
        return {next(iter(over), ZERO): amount}
    shares = {rate: (amount * part / whole).quantize(CENT, ROUND_DOWN) for rate, part in over.items()}
    largest = max(over, key=lambda rate: abs(over[rate]))
    shares[largest] += amount - sum(shares.values(), ZERO)
    return shares


def plain(rate: Decimal) -> Decimal:
    """The table's own writing of a rate: 20.00 is its 20."""
    return next((known for known in VAT_RATES if known == rate), rate.normalize())


def decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(value)
    except InvalidOperation:
        return None

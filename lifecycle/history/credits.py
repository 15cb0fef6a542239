"""What credit notes and correctives take off an invoice, by currency and VAT rate, signed as `money` does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal

from invoices.models import Invoice, money
from invoices.models.money import ZERO, Amounts

from .links import Link, counting, replaces

CENT = Decimal("0.01")
EURO = "EUR"


def currency_of(invoice: Invoice) -> str:
    return invoice.currency or EURO


def is_replaced(links: Iterable[Link]) -> bool:
    """A corrective invoice that counts has taken the place of this one, and asks for all of it anew. One that gives
    back asks for nothing anew: it takes off what it says, as a credit note does.
    """
    return any(len(each.references) == 1 and replaces(each) for each in counting(links, "corrected_by"))


def credits_of(links: Iterable[Link], own: str, invoiced: Amounts) -> dict[str, Amounts]:
    """What credit notes take off, by currency. One that names several invoices does not say how much is whose."""
    found: dict[str, Amounts] = {}
    lowering = [each for each in counting(links, "corrected_by") if not replaces(each)]
    for note in [*counting(links, "credited_by"), *lowering]:
        if len(note.references) == 1:
            currency = currency_of(note)
            given = money.debt_by_rate(note) or spread(money.debt(note) or ZERO, invoiced if currency == own else {})
            found[currency] = less(found.get(currency, {}), given)
    return found


def summed(parts: Iterable[Mapping[Decimal, Decimal]]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for rate, amount in part.items():
            found[rate] = found.get(rate, ZERO) + amount
    return found


def less(amounts: Mapping[Decimal, Decimal], taken: Mapping[Decimal, Decimal]) -> Amounts:
    return summed([amounts, {rate: -amount for rate, amount in taken.items()}])


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

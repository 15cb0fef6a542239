"""What is left of an invoice, by VAT rate: what it asks for, less deposits and credit notes, less what was declared.

Amounts include VAT, as the statuses 211 and 212 want them, and are signed as `money` defines it: negative is
money that goes back to the buyer, however the document writes it. Where a sum names no rate (a prepayment, a payment of
the whole), it is spread over the rates in proportion, to the cent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from invoices.models import Invoice, money
from invoices.models.money import ZERO, Amounts, plain
from lifecycle.history import events
from lifecycle.history.credits import EURO, credits_of, currency_of, is_replaced, less, spread, summed
from lifecycle.history.links import Link, counting, links_of
from providers.formats.decimals import read_decimal
from providers.norm.codes import Status


@dataclass(frozen=True)
class RateLeft:
    """One VAT rate. `invoiced` is what the invoice still asked for when it came, deposits taken off. What was credited
    or declared in another currency has a row of its own, from which nothing is left to compute."""

    vat_rate: Decimal
    currency: str
    invoiced: Decimal
    credited: Decimal
    settled: Decimal
    is_foreign: bool = False

    @property
    def left(self) -> Decimal | None:
        return None if self.is_foreign else self.invoiced - self.credited - self.settled


def settlement_of(invoice: Invoice, status: str, links: Iterable[Link] | None = None) -> list[RateLeft]:
    """By rate, in the invoice's order. `status` is the one that declares payments: 211 or 212. Left has another sign
    than invoiced where more was declared than is due, which a receipt of that sign puts right."""
    links = links_of(invoice) if links is None else list(links)
    own = currency_of(invoice)
    invoiced = asked_for(invoice, [each for each in counting(links, "settles_deposit") if currency_of(each) == own])
    credited = {own: dict(invoiced)} if is_replaced(links) else credits_of(links, own, invoiced)
    settled = declared(invoice, status, invoiced)
    rows = []
    for currency in dict.fromkeys([own, *credited, *settled]):
        asked = invoiced if currency == own else {}
        less_credit, less_settled = credited.get(currency, {}), settled.get(currency, {})
        rows += [
            RateLeft(
                rate,
                currency,
                asked.get(rate, ZERO),
                less_credit.get(rate, ZERO),
                less_settled.get(rate, ZERO),
                is_foreign=currency != own,
            )
            for rate in dict.fromkeys([*asked, *less_credit, *less_settled])
        ]
    return rows


def asked_for(invoice: Invoice, deposits: Iterable[Invoice]) -> Amounts:
    """The amount due, by rate: deposits that we have by their own rates, what else was paid before in proportion."""
    amounts = money.debt_by_rate(invoice)
    due = money.due(invoice)
    total = sum(amounts.values(), ZERO)
    if due is None or due == total or not total:
        return amounts
    paid_before = total - due
    for rate, amount in summed(money.debt_by_rate(deposit) for deposit in deposits).items():
        taken = max(min(amount, amounts.get(rate, ZERO), paid_before), ZERO)
        amounts[rate] = amounts.get(rate, ZERO) - taken
        paid_before -= taken
    return less(amounts, spread(paid_before, amounts))


def declared(invoice: Invoice, status: str, invoiced: Amounts) -> dict[str, Amounts]:
    """What a status says of payments, by currency and rate, signed as what is invoiced."""
    found: dict[str, Amounts] = {}
    whole: dict[str, Decimal] = {}
    for event in events.effective_events(invoice):
        for row in event.payments if event.status == status else ():
            rate, currency, amount = read_decimal(row["vat_rate"]), row["currency"] or EURO, Decimal(row["amount"])
            if rate is None:
                whole[currency] = whole.get(currency, ZERO) + amount
            else:
                found[currency] = summed([found.get(currency, {}), {plain(rate): amount}])
    for currency, amount in whole.items():
        over = invoiced if currency == currency_of(invoice) else {}
        found[currency] = summed([found.get(currency, {}), spread(amount, over)])
    return {currency: _towards(invoice, amounts) for currency, amounts in found.items()}


def _towards(invoice: Invoice, amounts: Amounts) -> Amounts:
    """On what gives money back a 211 is positive, for the seller sent it, and a 212 negative (FNFE use case 5). Some
    say the receipt of a refund as a positive one: nothing can come in on a credit note, so it is read as going out."""
    turned = money.gives_back(invoice) and sum(amounts.values(), ZERO) > 0
    return {rate: -amount for rate, amount in amounts.items()} if turned else amounts


def to_declare(invoice: Invoice, status: str, row: RateLeft) -> Decimal:
    """What a person would write into this status to settle what is left of a rate."""
    left = row.left or ZERO
    return -left if status == Status.PAYMENT_SENT and money.gives_back(invoice) else left

"""Whether the amounts of a wish fit the invoice. What cannot be is refused on every door, what is unlikely asked again.

A fact that a platform reports is never judged by this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from invoices.models import Invoice, money
from invoices.models.money import ZERO
from lifecycle.history.credits import currency_of
from providers.formats.en16931.wording import as_money, as_rate
from providers.norm.codes import Status
from providers.norm.transitions import Problem

from .settlement import RateLeft, settlement_of
from .wishes import Wish

PAYMENTS = (Status.PAYMENT_SENT, Status.PAYMENT_RECEIVED)
UNLIKELY = "unlikely"
# An invoice paid twice by mistake does happen; more than that is a slip of the keyboard.
MOST_OF_TOTAL = 2
# What rounding each rate by itself may leave.
CENT = Decimal("0.01")


def impossible(invoice: Invoice, wish: Wish) -> list[Problem]:
    """What cannot be meant, whoever insists."""
    return list(_found(invoice, wish, CANNOT_BE))


def doubts(invoice: Invoice, wish: Wish) -> list[Problem]:
    """What is to be asked again: it may be right."""
    return list(_found(invoice, wish, ASKED_AGAIN))


@dataclass(frozen=True)
class Claim:
    """The amounts of a wish beside its invoice's, all signed so that what is paid on it is positive."""

    invoice: Invoice
    wish: Wish

    @property
    def currency(self) -> str:
        return currency_of(self.invoice)

    @property
    def whole(self) -> Decimal:
        return abs(money.debt(self.invoice) or ZERO)

    @cached_property
    def amounts(self) -> list[tuple[int, Decimal | None, Decimal]]:
        """Place, rate and amount of each row in the invoice's currency."""
        turned = self.wish.status == Status.PAYMENT_RECEIVED and money.gives_back(self.invoice)
        sign = -1 if turned else 1
        rows = enumerate(self.wish.payments)
        return [(place, row.vat_rate, row.amount * sign) for place, row in rows if row.currency == self.currency]

    @cached_property
    def rates(self) -> list[RateLeft]:
        rows = settlement_of(self.invoice, self.wish.status)
        return [row for row in rows if not row.is_foreign]

    @property
    def sign(self) -> int:
        return -1 if money.gives_back(self.invoice) else 1

    @property
    def settled(self) -> Decimal:
        return sum((row.settled for row in self.rates), ZERO) * self.sign

    @property
    def left(self) -> Mapping[Decimal | None, Decimal]:
        """What is still to pay by rate; under None, of the whole."""
        by_rate: dict[Decimal | None, Decimal] = {row.vat_rate: (row.left or ZERO) * self.sign for row in self.rates}
        return {**by_rate, None: sum(by_rate.values(), ZERO)}

    def written(self, amount: Decimal) -> str:
        return as_money(amount, self.currency)


Check = Callable[[Claim], Iterator[Problem]]


def _found(invoice: Invoice, wish: Wish, checks: Mapping[str, Iterable[Check]]) -> Iterator[Problem]:
    claim = Claim(invoice, wish)
    for check in checks.get(wish.status, ()) if wish.payments else ():
        yield from check(claim)


# --- what cannot be ---------------------------------------------------------------------------------------------------


def _far_beyond(claim: Claim) -> Iterator[Problem]:
    """One declaration of several times the whole invoice."""
    total = sum((amount for _place, _rate, amount in claim.amounts), ZERO)
    if not claim.whole or abs(total) <= claim.whole * MOST_OF_TOTAL:
        return
    words = {"invoice": claim.invoice, "total": claim.written(claim.whole), "amount": claim.written(abs(total))}
    message = _("%(amount)s cannot be right: invoice %(invoice)s is over %(total)s in all. Correct the amount.")
    place = max(claim.amounts, key=lambda row: abs(row[2]))[0]
    yield Problem(f"payments[{place}].amount", "beyond_invoice", message % words)


def _more_taken_back(claim: Claim) -> Iterator[Problem]:
    """What was never declared cannot be taken back."""
    total = sum((amount for _place, _rate, amount in claim.amounts), ZERO)
    if not claim.whole or total + claim.settled >= 0 or total >= 0:
        return
    words = {"invoice": claim.invoice, "settled": claim.written(max(claim.settled, ZERO))}
    message = _("No more can be taken back than was declared of invoice %(invoice)s: %(settled)s. Correct the amount.")
    place = min(claim.amounts, key=lambda row: row[2])[0]
    yield Problem(f"payments[{place}].amount", "beyond_declared", message % words)


def _approved_part(claim: Claim) -> Iterator[Problem]:
    """A part of what the document asks for: of its sign, and not more than the whole."""
    total = claim.invoice.total_with_vat or ZERO
    for place, _rate, amount in claim.amounts:
        if total and (amount * total < 0 or abs(amount) > abs(total)):
            words = {"invoice": claim.invoice, "total": claim.written(total)}
            message = _("What is approved is a part of invoice %(invoice)s, which is over %(total)s: write that part.")
            yield Problem(f"payments[{place}].amount", "beyond_invoice", message % words)


# --- what is asked again ----------------------------------------------------------------------------------------------


def _more_than_left(claim: Claim) -> Iterator[Problem]:
    """By rate, for a receipt is declared by rate. What a buyer sent need not name any: its sum counts."""
    rows = claim.amounts
    if claim.wish.status == Status.PAYMENT_SENT and rows:
        rows = [(rows[0][0], None, sum((amount for _place, _rate, amount in rows), ZERO))]
    message = _("%(amount)s at %(rate)s is more than what is left: %(left)s.")
    for place, rate, amount in rows if claim.whole else ():
        left = max(claim.left.get(rate, ZERO), ZERO)
        if amount > left + CENT:
            name = as_rate(rate) if rate is not None else _("all rates")
            words = {"amount": claim.written(amount), "rate": name, "left": claim.written(left)}
            yield Problem(f"payments[{place}].amount", UNLIKELY, message % words)


def _other_currency(claim: Claim) -> Iterator[Problem]:
    """A receipt is in euro whatever the invoice's currency: that is the law's, not a doubt."""
    message = _("The invoice is in %(currency)s, this amount in %(other)s.")
    for place, row in enumerate(claim.wish.payments):
        if row.currency != claim.currency:
            words = {"currency": claim.currency, "other": row.currency}
            yield Problem(f"payments[{place}].currency", UNLIKELY, message % words)


def _dated_ahead(claim: Claim) -> Iterator[Problem]:
    day = claim.invoice.issue_date
    if day and day > timezone.localdate():
        message = _("The invoice is dated %(day)s, which is still to come.")
        yield Problem("payments", UNLIKELY, message % {"day": date_format(day, "SHORT_DATE_FORMAT")})


CANNOT_BE: dict[str, tuple[Check, ...]] = {
    Status.PARTIALLY_APPROVED.value: (_approved_part,),
    **{code.value: (_far_beyond, _more_taken_back) for code in PAYMENTS},
}
ASKED_AGAIN: dict[str, tuple[Check, ...]] = {
    Status.PARTIALLY_APPROVED.value: (_other_currency,),
    Status.PAYMENT_SENT.value: (_more_than_left, _other_currency, _dated_ahead),
    Status.PAYMENT_RECEIVED.value: (_more_than_left, _dated_ahead),
}

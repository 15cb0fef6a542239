"""What is left of an invoice that is paid in parts, and when it is next due: credit notes and what was declared as sent
(211) or received (212) pay the earliest parts first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from invoices.models import Invoice, money
from invoices.models.money import ZERO
from lifecycle.models import StatusEvent
from providers.formats.en16931.payment_terms import left_of_each, next_due
from providers.norm.codes import Status

from .credits import EURO, credits_of, currency_of, is_replaced
from .links import links_of

PAYMENTS = (Status.PAYMENT_SENT, Status.PAYMENT_RECEIVED)


def settle(invoice: Invoice, events: Iterable[StatusEvent]) -> None:
    """Set what is left of each, and as due date the day of the first that is not paid; the last one's where all are."""
    if not invoice.instalments:
        return
    parts = parts_of(invoice)
    amounts = [amount for _day, amount in parts]
    covered = _covered(invoice, list(events), sum(map(abs, amounts), ZERO))
    left = left_of_each(amounts, covered)
    invoice.instalments = [{**row, "left": f"{rest:.2f}"} for row, rest in zip(invoice.instalments, left, strict=True)]
    invoice.due_date = next_due(parts, covered)


def _covered(invoice: Invoice, events: list[StatusEvent], whole: Decimal) -> Decimal:
    links = links_of(invoice)
    if is_replaced(links):
        return whole
    own = currency_of(invoice)
    credited = sum(credits_of(links, own, money.debt_by_rate(invoice)).get(own, {}).values(), ZERO)
    # The buyer says what was sent, the seller what came: of the same money.
    paid = [sum(paid_by(status, events, own), ZERO) for status in PAYMENTS]
    # What goes back is declared with either sign; on what is asked for, a negative sum was taken back and pays nothing.
    return credited + max(map(abs, paid) if money.gives_back(invoice) else paid)


def parts_of(invoice: Invoice) -> list[tuple[date, Decimal]]:
    """Day and amount of each."""
    return [(date.fromisoformat(part["due_on"]), Decimal(part["amount"])) for part in invoice.instalments]


def rests_of(invoice: Invoice) -> list[tuple[date, Decimal, Decimal | None]]:
    """The same with what is left of each, None where nothing was paid of it yet."""
    rests = (Decimal(row.get("left", row["amount"])) for row in invoice.instalments)
    pairs = zip(parts_of(invoice), rests, strict=True)
    return [(day, amount, None if rest == amount else rest) for (day, amount), rest in pairs]


def paid_by(status: str, events: Iterable[StatusEvent], currency: str) -> Iterator[Decimal]:
    for event in events:
        for row in event.payments if event.status == status else ():
            if (row["currency"] or EURO) == currency:
                yield Decimal(row["amount"])

"""When an invoice that is paid in parts is next due: by what was declared as sent (211) or received (212)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from invoices.documents.payment_terms import next_due
from invoices.models import Invoice

from .codes import Status
from .models import StatusEvent

EURO = "EUR"
PAYMENTS = (Status.PAYMENT_SENT, Status.PAYMENT_RECEIVED)


def due_date_of(invoice: Invoice, events: Iterable[StatusEvent]) -> date | None:
    """The due date, given the events of it that count; of an invoice without instalments the one it has."""
    if not invoice.instalments:
        return invoice.due_date
    events = list(events)
    # The buyer says what was sent, the seller what came: of the same money.
    paid = max(abs(sum(paid_by(status, events, invoice.currency), Decimal(0))) for status in PAYMENTS)
    return next_due(parts_of(invoice), paid)


def parts_of(invoice: Invoice) -> list[tuple[date, Decimal]]:
    """Day and amount of each."""
    return [(date.fromisoformat(part["due_on"]), Decimal(part["amount"])) for part in invoice.instalments]


def paid_by(status: str, events: Iterable[StatusEvent], currency: str) -> Iterator[Decimal]:
    for event in events:
        for row in event.payments if event.status == status else ():
            if (row["currency"] or EURO) == (currency or EURO):
                yield Decimal(row["amount"])

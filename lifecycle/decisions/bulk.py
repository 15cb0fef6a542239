"""One decision about many invoices: the same status, reason and note for each, each decided by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from invoices.models import Invoice
from lifecycle.models import RelayTask
from providers.contract.base import Payment
from providers.norm.codes import STATUSES

from . import carrying, services
from .forms import payments_left
from .services import DecisionRefused, KeyReused, StaleInvoice
from .steps import words_for
from .wishes import Wish

LIMIT = 200


@dataclass(frozen=True)
class Row:
    """One invoice of several: what is to be said about it, and what is against it or what became of it."""

    invoice: Invoice
    wish: Wish
    problem: str = ""
    relay: RelayTask | None = None

    @property
    def carried(self) -> bool:
        return carrying.can_carry(self.invoice, self.wish.status)

    @property
    def by_hand(self) -> bool:
        """It is, or would be, left to a person on the platform."""
        return not self.problem and not self.carried

    @property
    def words(self) -> str:
        return self.problem or (words_for(self.relay) if self.relay else "")


def plan(user: Any, invoices: Iterable[Invoice], wish: Wish, versions: Mapping[str, int] | None = None) -> list[Row]:
    """What would be said of each, with what is against it. Amounts are what is left of each invoice, by VAT rate.

    `versions`: of the invoices as the person saw them, by id; one that moved on since is refused when it is decided.
    """
    seen = versions or {}
    return [_planned(user, each, replace(wish, version=seen.get(str(each.pk), each.version))) for each in invoices]


def _planned(user: Any, invoice: Invoice, wish: Wish) -> Row:
    wish = replace(wish, payments=_payments(invoice, wish.status))
    if not services.may_issue(user, invoice, wish.status):
        return Row(invoice, wish, _("Your role for %(customer)s does not allow this.") % {"customer": invoice.customer})
    problems = services.problems_with(invoice, wish)
    return Row(invoice, wish, " ".join(dict.fromkeys(str(each.message) for each in problems)))


def _payments(invoice: Invoice, status: str) -> tuple[Payment, ...]:
    """All that is left; nothing where a person has to convert it first, which the table then asks for."""
    if STATUSES[status].payment == "none":
        return ()
    return tuple(
        Payment(amount=row["amount"], vat_rate=Decimal(row["vat_rate"]), currency=row["currency"])
        for row in payments_left(invoice, status)
        if row["amount"] is not None
    )


def decide(user: Any, rows: Iterable[Row], *, key: str = "") -> list[Row]:
    """Decide each planned row; one that cannot be does not stop the others. The same `key` decides only once."""
    return [row if row.problem else _decided(user, row, key) for row in rows]


def _decided(user: Any, row: Row, key: str) -> Row:
    own_key = f"{key}:{row.invoice.pk}" if key else ""
    try:
        relay, _new = services.issue_status(
            user=user, invoice_id=row.invoice.pk, wish=row.wish, idempotency_key=own_key
        )
    except (DecisionRefused, StaleInvoice, PermissionDenied, KeyReused) as refused:
        return replace(row, problem=str(refused))
    return replace(row, relay=relay)

"""Invoices that name each other: credit notes, correctives, deposits, final invoices, and what they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invoices.models import Invoice
from invoices.money import ZERO

from .codes import CORRECTIVE_TYPES, CREDIT_NOTE_TYPES, Status
from .models import RelayState, RelayTask

DEPOSIT_TYPES = frozenset({"386", "500"})
# With these an invoice does not count (any more).
VOID_STATUSES = frozenset({Status.REFUSED.value, Status.REJECTED.value, Status.CANCELLED.value})


@dataclass(frozen=True)
class Link:
    """One invoice another has to do with. `invoice` is None where we do not have the one that is named."""

    relation: str
    number: str
    invoice: Invoice | None = None

    @property
    def label(self) -> str | Promise:
        return RELATIONS[self.relation]


RELATIONS: dict[str, str | Promise] = {
    "credits": _("Credits invoice"),
    "credited_by": _("Credited by"),
    "corrects": _("Corrects invoice"),
    "corrected_by": _("Corrected by"),
    "settles_deposit": _("Takes off deposit"),
    "deposit_of": _("Taken off by final invoice"),
    "follows": _("Refers to"),
    "followed_by": _("Referred to by"),
}
# The relation as the later invoice has it, and as the earlier one has it.
BACK = {
    "credits": "credited_by",
    "corrects": "corrected_by",
    "settles_deposit": "deposit_of",
    "follows": "followed_by",
}


def relation_of(later: Invoice, earlier: Invoice | None) -> str:
    if later.type_code in CREDIT_NOTE_TYPES:
        return "credits"
    if later.type_code in CORRECTIVE_TYPES:
        return "corrects"
    if (earlier and earlier.type_code in DEPOSIT_TYPES) or later.process[1:2] == "4":
        return "settles_deposit"
    # An invoice with a negative total is a credit note in all but its type.
    return "credits" if (later.debt or ZERO) < 0 else "follows"


def same_seller(invoice: Invoice) -> Any:
    rows = Invoice.objects.filter(
        customer=invoice.customer_id, direction=invoice.direction, seller_siren=invoice.seller_siren
    )
    withdrawn = RelayTask.objects.filter(kind=RelayTask.Kind.INVOICE, state=RelayState.CANCELLED).values("invoice")
    return rows.exclude(pk=invoice.pk).exclude(pk__in=withdrawn).defer("search")


def links_of(invoice: Invoice) -> list[Link]:
    """What this invoice names, in its own order, then what names it, oldest first; two queries."""
    rows = same_seller(invoice)
    named = {row.number: row for row in rows.filter(number__in=invoice.preceding_numbers).order_by("issue_date")}
    found = [
        Link(relation_of(invoice, named.get(number)), number, named.get(number)) for number in invoice.preceding_numbers
    ]
    if not invoice.number:
        return found
    later = rows.filter(preceding_numbers__contains=[invoice.number]).order_by("issue_date", "created_at")
    return found + [Link(BACK[relation_of(row, invoice)], row.number, row) for row in later]


def counting(links: Iterable[Link], relation: str) -> list[Invoice]:
    """The invoices linked in this way that count."""
    return [
        link.invoice
        for link in links
        if link.relation == relation and link.invoice and link.invoice.status not in VOID_STATUSES
    ]

"""Invoices that name each other: credit notes, correctives, deposits, final invoices, and what they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invoices.models import Invoice
from invoices.models.money import ZERO
from lifecycle.models import RelayState, RelayTask
from providers.formats.en16931.model import Reference
from providers.norm.codes import CORRECTIVE_TYPES, CREDIT_NOTE_TYPES, VOID_STATUSES, Side, Status

DEPOSIT_TYPES = frozenset({"386", "500"})


@dataclass(frozen=True)
class Link:
    """One invoice another has to do with. `invoice` is None where we do not have the one that is named, or where
    several may be meant: these are `candidates` then, and nothing is linked. `issue_date` is the reference's.
    """

    relation: str
    number: str
    invoice: Invoice | None = None
    candidates: tuple[Invoice, ...] = ()
    issue_date: date | None = None

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
    # Its reference fits several, and a person must ask which one is meant.
    "perhaps_named_by": _("May be meant by"),
    "same_number": _("Bears the same number"),
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
    """The customer's other invoices of this seller that count as given; none where nobody knows the seller."""
    if not invoice.seller_key:
        return Invoice.objects.none()
    rows = Invoice.objects.filter(
        customer=invoice.customer_id, direction=invoice.direction, seller_key=invoice.seller_key
    )
    return rows.exclude(pk=invoice.pk).exclude(pk__in=withdrawn()).defer("search")


def withdrawn() -> Any:
    relays = RelayTask.objects.filter(kind=RelayTask.Kind.INVOICE, state=RelayState.CANCELLED)
    return relays.values("invoice")


def links_of(invoice: Invoice) -> list[Link]:
    """What this invoice names, in its own order, then what names it, oldest first, then what bears its number; two
    queries."""
    rows = same_seller(invoice)
    references = invoice.references
    numbers = {each.number for each in references} | {invoice.number} - {""}
    namesakes: dict[str, list[Invoice]] = {number: [] for number in numbers}
    for row in rows.filter(number__in=numbers).order_by("created_at"):
        namesakes[row.number].append(row)
    found = [_named(invoice, each, namesakes[each.number]) for each in references if each.number]
    if not invoice.number:
        return found
    twins = [row for row in namesakes[invoice.number] if is_same(row, invoice)]
    later = rows.filter(preceding_numbers__contains=[invoice.number]).order_by("issue_date", "created_at")
    for row in later:
        found += _naming(row, invoice, namesakes[invoice.number])
    return found + [Link("same_number", row.number, row) for row in twins]


def _named(invoice: Invoice, reference: Reference, namesakes: Iterable[Invoice]) -> Link:
    meant = meant_by(invoice, reference, namesakes)
    one = meant[0] if len(meant) == 1 else None
    return Link(relation_of(invoice, one), reference.number, one, () if one else tuple(meant), reference.issue_date)


def _naming(row: Invoice, invoice: Invoice, namesakes: Iterable[Invoice]) -> Iterator[Link]:
    for reference in row.references:
        if reference.number == invoice.number:
            meant = meant_by(row, reference, [*namesakes, invoice])
            if invoice in meant:
                relation = BACK[relation_of(row, invoice)] if len(meant) == 1 else "perhaps_named_by"
                yield Link(relation, row.number, row)


def is_same(one: Invoice, other: Invoice) -> bool:
    """Two rows of this seller and number speak of one invoice: of one year, and both stand."""
    both = one.issue_date and other.issue_date and one.issue_date.year == other.issue_date.year
    return bool(both) and not {one.status, other.status} & VOID_STATUSES


def meant_by(later: Invoice, reference: Reference, namesakes: Iterable[Invoice]) -> list[Invoice]:
    """Which of a seller's invoices of one number a reference means: one, none, or several that it leaves open.

    Its date decides the year (a number is unique within one). Without a date, what was issued after it cannot be meant.
    Of several in one year, which only a rejection or a second copy explains, the one that stands, then the first come.
    """
    rows = [each for each in namesakes if each.pk != later.pk]
    if reference.issue_date:
        rows = [each for each in rows if year_of(each) in (reference.issue_date.year, None)]
        rows = [each for each in rows if each.issue_date] or rows
    else:
        rows = [
            each for each in rows if not (each.issue_date and later.issue_date and each.issue_date > later.issue_date)
        ]
    best: dict[int | None, Invoice] = {}
    for each in sorted(rows, key=lambda each: (each.status in VOID_STATUSES, each.created_at)):
        best.setdefault(year_of(each), each)
    issued = [each for each in best.values() if each.status != Status.REJECTED]
    return issued or list(best.values())


def replaces(corrective: Invoice) -> bool:
    """Rather than taking off a part: it asks for something."""
    return (corrective.debt or ZERO) >= 0


def year_of(invoice: Invoice) -> int | None:
    return invoice.issue_date.year if invoice.issue_date else None


def corrected_among(invoices: Sequence[Invoice]) -> set[Any]:
    """Those of our own invoices that a later corrective one of the same seller names. Only the seller can use it."""
    own = [each for each in invoices if each.side == Side.SELLER and each.number and each.seller_key]
    numbers = {each.number for each in own}
    rows = Invoice.objects.order_by("created_at").filter(customer__in={each.customer_id for each in own})
    named = rows.filter(type_code__in=CORRECTIVE_TYPES, preceding_numbers__has_any_keys=list(numbers))
    correctives = named.exclude(status__in=VOID_STATUSES).exclude(pk__in=withdrawn()).defer("search")
    if not (found := [row for row in correctives if replaces(row)]):
        return set()
    namesakes: dict[Any, list[Invoice]] = {}
    for row in rows.filter(number__in=numbers, seller_key__in={each.seller_key for each in own}).defer("search"):
        namesakes.setdefault((*_home(row), row.number), []).append(row)
    meant = [
        meant_by(row, reference, namesakes.get((*_home(row), reference.number), ()))
        for row in found
        for reference in row.references
    ]
    return {each[0].pk for each in meant if len(each) == 1}


def _home(invoice: Invoice) -> tuple[Any, ...]:
    return invoice.customer_id, invoice.direction, invoice.seller_key


def counting(links: Iterable[Link], relation: str) -> list[Invoice]:
    """The invoices linked in this way that count."""
    return [
        link.invoice
        for link in links
        if link.relation == relation and link.invoice and link.invoice.status not in VOID_STATUSES
    ]

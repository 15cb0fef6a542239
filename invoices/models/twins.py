"""Two rows that should be one invoice: of one customer and direction, with the same seller, number and year, and both
stand. Found when they are shown, so that a warning goes when one of them does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from providers.norm.codes import VOID_STATUSES

if TYPE_CHECKING:
    from . import Invoice


def find_twins(rows: QuerySet[Invoice], invoices: Sequence[Invoice]) -> dict[Any, list[Invoice]]:
    """Among all `rows` the twins of each, the first come first; one query for any number."""
    named = [each for each in invoices if _name(each)]
    if not named:
        return {each.pk: [] for each in invoices}
    wanted = {each.customer_id for each in named}, {each.number for each in named}
    found = rows.filter(customer__in=wanted[0], number__in=wanted[1]).exclude(status__in=VOID_STATUSES)
    # What was withdrawn before its platform took it was never issued.
    found = found.exclude(provider_ref="", holds_number=False).select_related("connection").defer("search")
    by_name: dict[tuple[Any, ...], list[Invoice]] = {}
    for row in found.order_by("created_at", "pk"):
        by_name.setdefault(_name(row), []).append(row)
    return {each.pk: [row for row in by_name.get(_name(each), []) if row.pk != each.pk] for each in invoices}


def _name(invoice: Invoice) -> tuple[Any, ...]:
    """() for what has no name yet, or none any more."""
    if not (invoice.seller_key and invoice.number and invoice.issue_date) or invoice.status in VOID_STATUSES:
        return ()
    return invoice.customer_id, invoice.direction, invoice.seller_key, invoice.number, invoice.issue_date.year


def warning_of(twin: Invoice) -> str:
    message = {
        "received": _(
            "Another invoice here has this seller, number and year: %(amount)s through %(platform)s. They were not "
            "merged. Ask the seller which one counts, and decide only that one."
        ),
        "issued": _(
            "Another invoice here bears this seller's number of this year: %(amount)s through %(platform)s. Cancel one "
            "of the two, and issue it again under a number of its own."
        ),
    }[twin.direction]
    return message % {"amount": amount_of(twin), "platform": twin.connection.name}


def amount_of(invoice: Invoice) -> str:
    return f"{invoice.debt} {invoice.currency}".strip() if invoice.debt is not None else "?"

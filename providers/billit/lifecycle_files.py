"""Lifecycle files (CDAR) among the messages of an order: the only place where a French status is written out."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from lifecycle.codes import INVOICE_STATUSES, STATUSES, DataType, Role

from ..base import Payment, Reason, StatusReport
from ..cdar.model import Cdar, Detail
from ..cdar.reader import read
from ..xml import UnreadableDocument
from . import tables

# The messages name no zone, and their examples look local.
PARIS = ZoneInfo("Europe/Paris")
PAID = frozenset({DataType.MEN.value, DataType.MPA.value})
ROLES = frozenset(role.value for role in Role)


def read_lifecycle_file(content: bytes) -> tuple[Cdar, ...]:
    """What the file says; nothing where it is no lifecycle file, as most files of messages are not."""
    try:
        return read(content)
    except UnreadableDocument:
        return ()


def reports_of(order: str, number: str, file: str, content: bytes) -> Iterator[StatusReport]:
    """One for each status in the file that is about this invoice."""
    for place, cdar in enumerate(read_lifecycle_file(content)):
        if cdar.status and _is_about(cdar, number):
            yield _report(cdar, order, key=f"file {file}:{place}")


def _is_about(cdar: Cdar, number: str) -> bool:
    """The administration's answers name a file, and Billit says by its order which invoice was in it."""
    return cdar.status not in INVOICE_STATUSES or not number or not cdar.number or cdar.number == number


def _report(cdar: Cdar, order: str, *, key: str) -> StatusReport:
    moment = cdar.status_at or cdar.made_at
    role = cdar.issuer.role if cdar.issuer else ""
    return StatusReport(
        provider_ref=order,
        status=cdar.status if cdar.status in STATUSES else None,
        native_status=tables.REFUSED if cdar.status in tables.REFUSALS else cdar.status,
        issuer_role=role if role in ROLES else tables.ISSUERS.get(cdar.status, ""),
        reasons=tuple(_reason(detail) for detail in cdar.details if detail.reason),
        note="\n".join(note for detail in cdar.details if not detail.reason for note in detail.notes),
        payments=tuple(_payments(cdar)),
        occurred_at=moment.at(PARIS) if moment else None,
        key=key,
        raw={"file": key, "message": cdar.id},
    )


def _reason(detail: Detail) -> Reason:
    return Reason(code=detail.reason, text="\n".join(detail.notes) or detail.reason_text)


def _payments(cdar: Cdar) -> Iterator[Payment]:
    for each in cdar.characteristics:
        if each.type_code in PAID and each.amount is not None:
            yield Payment(amount=each.amount, vat_rate=each.percent, currency=each.currency or "EUR")

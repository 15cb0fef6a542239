"""Lifecycle files (CDAR) among the messages of an order: the only place where a French status is written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from providers.contract.base import StatusReport
from providers.formats import cdar
from providers.norm.codes import INVOICE_STATUSES, Role

from . import tables

ROLES = frozenset(role.value for role in Role)


def reports_of(order: str, number: str, file: str, content: bytes) -> Iterator[StatusReport]:
    """One for each status in the file that is about this invoice; none where it is no lifecycle file, as most."""
    try:
        told = cdar.read(content)
    except cdar.UnreadableDocument:
        return
    for place, each in enumerate(told):
        if each.status and _is_about(each, number):
            yield _named(each.report(provider_ref=order), each.status, file=f"file {file}:{place}")


def _is_about(told: cdar.Cdar, number: str) -> bool:
    """The administration's answers name a file, and Billit says by its order which invoice was in it."""
    return told.status not in INVOICE_STATUSES or not number or not told.number or told.number == number


def _named(report: StatusReport, code: str, *, file: str) -> StatusReport:
    """With Billit's word for it, so that its push is known again, and with an issuer where the file names none.

    The message is Billit's own: what we tell it is no message, and comes back under an id that we do not know.
    """
    return replace(
        report,
        native_status=tables.REFUSED if code in tables.REFUSALS else report.native_status,
        issuer_role=report.issuer_role if report.issuer_role in ROLES else tables.ISSUERS.get(code, ""),
        key=report.key or file,
        message_id="",
    )

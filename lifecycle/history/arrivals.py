"""What another platform says of its own copy of an invoice that was here already."""

from __future__ import annotations

from dataclasses import replace

from invoices.models import Invoice, InvoiceOrigin
from providers.contract.base import StatusReport
from providers.norm.codes import STATUSES, Phase, status_label
from providers.norm.transitions import ALREADY_THERE


def heard_through(invoice: Invoice, report: StatusReport) -> Invoice | InvoiceOrigin:
    """The origin that a report comes from, by its platform's reference."""
    copies = invoice.other_origins.filter(provider_ref=report.provider_ref) if report.provider_ref else None
    if copies is None or report.provider_ref == invoice.provider_ref:
        return invoice
    return copies.select_related("connection").first() or invoice


def as_heard(invoice: Invoice, report: StatusReport) -> StatusReport:
    """How a second copy travelled, or that it was turned down, moves no invoice that stands: it is kept in words. That
    it is a double stays a rejection, of another transmission: so a person hears of it.
    """
    info = STATUSES.get(report.status or "")
    if info is None or info.phase != Phase.TRANSMISSION or not invoice.status:
        return report
    heard = heard_through(invoice, report)
    is_double = any(reason.code in ALREADY_THERE for reason in report.reasons)
    if heard is invoice or is_double:
        return report
    words = f"{info.code} {status_label(info.code)} ({heard.connection.name})"
    return replace(report, status=None, native_status=words)

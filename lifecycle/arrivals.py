"""What another platform says of its own copy of an invoice that was here already."""

from __future__ import annotations

from dataclasses import replace

from invoices.models import Invoice
from providers.base import StatusReport

from .codes import STATUSES, Phase, status_label


def as_heard(invoice: Invoice, report: StatusReport) -> StatusReport:
    """How a second copy travelled, or that it was turned down, moves no invoice that stands: it is kept in words."""
    info = STATUSES.get(report.status or "")
    if info is None or info.phase != Phase.TRANSMISSION or not invoice.status:
        return report
    if report.provider_ref in ("", invoice.provider_ref):
        return report
    copies = invoice.other_origins.filter(provider_ref=report.provider_ref)
    if copy := copies.select_related("connection").first():
        words = f"{info.code} {status_label(info.code)} ({copy.connection.name})"
        return replace(report, status=None, native_status=words)
    return report

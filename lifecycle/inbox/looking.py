"""Asking a platform about one invoice."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from providers.connections import health
from providers.contract.base import Adapter, File, InvoiceReport, PermanentError, StatusReport, Unsupported

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a platform showed of one invoice. `report` and `files` only where we asked for them."""

    report: InvoiceReport | None = None
    files: tuple[File, ...] = ()
    statuses: tuple[StatusReport, ...] = ()
    has_history: bool = True
    file_error: str = ""


def look(adapter: Adapter, provider_ref: str, *, with_files: bool) -> Look:
    """Ask a platform about one invoice. No database but for tokens; raises PlatformError."""
    report = adapter.fetch_invoice(provider_ref) if with_files else None
    files: tuple[File, ...] = ()
    file_error = ""
    if with_files:
        try:
            files = adapter.fetch_files(provider_ref)
        except (PermanentError, Unsupported) as error:
            if health.needs_person(error):
                raise
            file_error = error.message
    statuses = _find_statuses(adapter, provider_ref)
    return Look(
        report=report, files=files, statuses=statuses or (), has_history=statuses is not None, file_error=file_error
    )


def _find_statuses(adapter: Adapter, provider_ref: str) -> tuple[StatusReport, ...] | None:
    """The platform's history of an invoice; None where it shows none, now or ever: then a push is all we learn."""
    if not adapter.capabilities.history:
        return None
    try:
        return adapter.fetch_statuses(provider_ref)
    except (PermanentError, Unsupported) as error:
        if health.needs_person(error):  # it says nothing of the invoice
            raise
        logger.warning("No history of invoice %s: %s", provider_ref, error.message)
        return None

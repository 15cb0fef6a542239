"""Asking platforms by ourselves: one invoice's history now, and every half hour whatever the pushes missed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from invoices.models import Invoice
from invoices.services import UnknownOwner
from providers.base import Adapter, Bell, PlatformError, PollPage, StatusReport
from providers.models import Connection
from providers.nudge import nudge
from providers.registry import get_adapter
from providers.services import store_polled
from providers.tokens import ConnectionMemory

from . import asking, events
from .finding import UnknownInvoice, find_invoice, find_reported, get_invoice, told_at, waiting_name
from .inbox import DRAIN_TASK, save_look
from .looking import look

logger = logging.getLogger(__name__)

# Where a connection's memory keeps the invoices that its last poll could not take in, and how many at most.
LEFT_OUT = "left_out_of_poll"
LEFT_OUT_KEPT = 1000


def refresh(invoice: Invoice, connection: Connection | None = None) -> list[Any]:
    """Ask an invoice's platforms, or one of them, for its history now and record what is new. Raises PlatformError."""
    told: list[StatusReport] = []
    for origin in invoice.origins if connection is None else [invoice.origin_at(connection.pk)]:
        told += get_adapter(origin.connection).fetch_statuses(origin.provider_ref)
    return events.record_reports(invoice.pk, told)


def poll(connection: Connection) -> int:
    """The safety net: take in what the pushes missed. Returns how many invoices and statuses were new.

    Where the platform lists nothing, its open invoices are planned to be asked for by themselves.
    """
    adapter = get_adapter(connection)
    can = adapter.capabilities
    new = _poll_list(connection, adapter) if can.polling or not can.ask_each else 0
    if can.ask_each:
        asking.plan(connection)
    adapter.refresh_lines()
    connection.polled_at = timezone.now()
    connection.save(update_fields=["polled_at"])
    return new


def _poll_list(connection: Connection, adapter: Adapter) -> int:
    """What could not be taken in is noted with the connection and tried again by the next poll: the cursor moves on."""
    left_before: list[str] = connection.memory.get(LEFT_OUT, [])
    page = adapter.poll(connection.poll_cursor)
    refs = [*left_before, *(each.provider_ref for each in page.invoices)]
    bells = [Bell(provider_ref=ref, is_new_invoice=True) for ref in refs if not find_invoice(connection, ref)]
    left_out: list[str] = []
    new = 0
    for bell in _each_once([*bells, *page.bells]):
        new += _polled_bell(connection, adapter, bell, left_out)
    for status in page.statuses:
        new += _polled_status(connection, adapter, status, left_out)
    if pushed := store_polled(connection, page.pushes):
        nudge(DRAIN_TASK)
    _note_poll(connection, page, left_out)
    return new + pushed


def _each_once(bells: Iterable[Bell]) -> Iterable[Bell]:
    return {bell.provider_ref: bell for bell in bells}.values()


def _polled_bell(connection: Connection, adapter: Adapter, bell: Bell, left_out: list[str]) -> int:
    """One invoice of a poll; what is wrong with one must not keep the others out."""
    known = find_invoice(connection, bell.provider_ref)
    try:
        shown = look(adapter.acting_for(bell.account), bell.provider_ref, with_files=known is None)
        with transaction.atomic():
            save_look(connection, shown)
            invoice = get_invoice(connection, bell.provider_ref)
            return len(events.record_reports(invoice.pk, shown.statuses)) + (known is None)
    except Exception as error:
        foreseen = isinstance(error, PlatformError | UnknownOwner | UnknownInvoice)
        logger.warning(
            "Poll of %s: invoice %s left out: %s", connection.name, bell.provider_ref, error, exc_info=not foreseen
        )
        left_out.append(bell.provider_ref)
        return 0


def _polled_status(connection: Connection, adapter: Adapter, status: StatusReport, left_out: list[str]) -> int:
    invoice = find_reported(connection, status)
    if invoice is None and not status.provider_ref:
        logger.warning("Poll of %s: nobody knows invoice %s yet", connection.name, waiting_name(status))
        return 0
    if invoice is None:  # its history will tell this status too
        return _polled_bell(connection, adapter, Bell(provider_ref=status.provider_ref, is_new_invoice=True), left_out)
    return int(events.record_report(invoice.pk, told_at(connection, invoice, status)) is not None)


def _note_poll(connection: Connection, page: PollPage, left_out: list[str]) -> None:
    connection.poll_cursor = dict(page.cursor)
    connection.save(update_fields=["poll_cursor"])
    kept = list(dict.fromkeys(left_out))[:LEFT_OUT_KEPT]
    if kept != connection.memory.get(LEFT_OUT, []):
        ConnectionMemory(connection).set(LEFT_OUT, kept)

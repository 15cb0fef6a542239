"""Asking platforms by ourselves: one invoice's history now, and every half hour whatever the pushes missed.

What a poll finds goes into the inbox, together with the poll's cursor: the inbox asks for it, and keeps what cannot be
taken in. Each connection is polled by itself, under a lease of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.models import Invoice
from lifecycle.history import events
from providers.connections import health
from providers.connections.nudge import nudge
from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken
from providers.connections.services import store_poll
from providers.contract.base import Adapter, Bell, PlatformError, PollPage, StatusReport, Unsupported
from providers.contract.kinds import UnknownKind
from providers.models import Connection

from . import asking
from .calling import Calls, quietly
from .finding import references_at
from .queue import nudge_lanes

logger = logging.getLogger(__name__)

TASK = "lifecycle.tasks.poll_due"
# A long list may take minutes at a platform's pace; its task may take as long, and a lease a little longer.
TASK_SECONDS = 600
LEASE = timedelta(seconds=TASK_SECONDS + 60)
EVERY = timedelta(minutes=30)
# After a failure that is the connection's: when it may be called again, it is polled.
AFTER_FAILURE = timedelta(minutes=2)
LANES = 16
Asked = tuple[Connection, Adapter]


def refresh(invoice: Invoice, connection: Connection | None = None) -> list[Any]:
    """Ask an invoice's platforms, or one of them, for its history now and record what is new. Raises PlatformError."""
    told: list[StatusReport] = []
    for origin in invoice.origins if connection is None else [invoice.origin_at(connection.pk)]:
        told += get_adapter(origin.connection).fetch_statuses(origin.provider_ref)
    return events.record_reports(invoice.pk, told)


# --- one connection ---------------------------------------------------------------------------------------------------


def poll(connection: Connection) -> int:
    """The safety net: put what the pushes missed into the inbox. Returns how many things are to be looked at.

    Where the platform lists nothing, its open invoices are planned to be asked for by themselves. Raises PlatformError.
    """
    adapter = get_adapter(connection)
    new = _take_in(connection, adapter, _ask(adapter, connection.poll_cursor))
    connection.polled_at = timezone.now()
    connection.save(update_fields=["polled_at"])
    return new


def _ask(adapter: Adapter, cursor: Mapping[str, Any]) -> PollPage | None:
    """The calls. None where the platform lists nothing."""
    can = adapter.capabilities
    page = adapter.poll(cursor) if can.polling or not can.ask_each else None
    adapter.refresh_lines()
    return page


def _take_in(connection: Connection, adapter: Adapter, page: PollPage | None) -> int:
    if adapter.capabilities.ask_each:
        asking.plan(connection)
    new = store_poll(connection, *_to_look_at(connection, page)) if page is not None else 0
    if new:
        nudge_lanes()
    return new


def _to_look_at(connection: Connection, page: PollPage) -> tuple[PollPage, list[Bell]]:
    """The page with the statuses that can be recorded as they are, and a bell for each invoice to be asked for."""
    named = {status.provider_ref for status in page.statuses} | {each.provider_ref for each in page.invoices}
    known = {"", *references_at(connection, named - {""})}
    refs = [each.provider_ref for each in page.invoices if each.provider_ref not in known]
    bells = [Bell(provider_ref=ref, is_new_invoice=True) for ref in refs]
    # Of an invoice we do not have: its history will tell the status too.
    unknown = [status for status in page.statuses if status.provider_ref not in known]
    bells += [Bell(provider_ref=each.provider_ref, is_new_invoice=True, hint=each) for each in unknown]
    recordable = tuple(status for status in page.statuses if status.provider_ref in known)
    return replace(page, statuses=recordable), [*bells, *page.bells]


# --- all of them ------------------------------------------------------------------------------------------------------


def nudge_for_due() -> None:
    """Every sweep."""
    if _due().exists():
        nudge(TASK, timeout=TASK_SECONDS)


def poll_due() -> None:
    """Poll every connection whose time has come, several at once: a slow one keeps no other waiting."""
    with Calls[Asked](each=1, lanes=LANES) as calls:
        while True:
            for connection in _claim(calls.room):
                _start(calls, connection)
            if not calls:
                break
            for (connection, adapter), answer in calls.ended(1):
                _end(connection, answer, adapter)


def _due() -> QuerySet[Connection]:
    now = timezone.now()
    free = Q(poll_leased_until=None) & (Q(polled_at=None) | Q(polled_at__lt=now - EVERY))
    lost = Q(poll_leased_until__lt=now)
    return Connection.objects.filter(free | lost).filter(health.callable_now() | health.probe_due())


def _claim(limit: int) -> list[Connection]:
    """Of two workers that meet, one polls."""
    now = timezone.now()
    claimed = []
    for connection in _due().order_by("polled_at")[:limit]:
        if connection.health != Connection.Health.WELL and not health.claim_probe(connection.pk):
            continue
        mine = Connection.objects.filter(pk=connection.pk, poll_leased_until=connection.poll_leased_until)
        if mine.update(poll_leased_until=now + LEASE, polled_at=now):
            claimed.append(connection)
    return claimed


def _start(calls: Calls[Asked], connection: Connection) -> None:
    try:
        adapter = get_adapter(connection)
    except Exception as error:
        _end(connection, error)
    else:
        calls.start(connection.pk, (connection, adapter), _ask, adapter, connection.poll_cursor)


def _end(connection: Connection, answer: PollPage | Exception | None, adapter: Adapter | None = None) -> None:
    """Record what came of one poll; whatever is wrong stays with its connection."""
    error = answer if isinstance(answer, Exception) else None
    if adapter is not None and not isinstance(answer, Exception):
        taken = quietly(_take_in, connection, adapter, answer)
        error = taken if isinstance(taken, Exception) else None
    if error is not None:
        _log(connection, error)
    row = Connection.objects.filter(pk=connection.pk)
    if health.note(connection.pk, error):
        row.update(polled_at=timezone.now() - EVERY + AFTER_FAILURE)
    elif isinstance(error, Unsupported):
        health.give_probe_back(connection.pk)  # no call was made
    row.update(poll_leased_until=None)


def _log(connection: Connection, error: Exception) -> None:
    if isinstance(error, Unsupported):
        logger.debug("%s cannot be polled", connection.name)
        return
    told = error.message if isinstance(error, PlatformError) else error
    foreseen = isinstance(error, PlatformError | SealBroken | UnknownKind)
    logger.warning("Poll of %s failed: %s", connection.name, told, exc_info=None if foreseen else error)

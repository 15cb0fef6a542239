"""Asking for each open invoice by itself, where a platform lists nothing: the quieter an invoice, the more rarely.

The rows are the queue. A claimed one is due again after its lease, so that a killed worker leaves nothing unasked.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from invoices.models import Invoice
from lifecycle.history import events
from lifecycle.models import PlannedLook
from providers.connections import health
from providers.connections.nudge import nudge
from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken
from providers.connections.tokens import ConnectionMemory
from providers.contract.base import Adapter, PermanentError, PlatformError, TemporaryError
from providers.contract.kinds import UnknownKind
from providers.models import Connection
from providers.norm.codes import FINAL_STATUSES

from .calling import Calls, quietly

logger = logging.getLogger(__name__)

TASK = "lifecycle.tasks.ask_open"
# An invoice that has been quiet for less than the first is asked for every second; beyond the last, no more.
EVERY = (
    (timedelta(hours=2), timedelta(minutes=15)),
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(days=30), timedelta(hours=6)),
    (timedelta(days=365), timedelta(days=1)),
)
# After a bell that brought nothing new, the platform's history may lag behind its own pushes.
AFTER_BELL = timedelta(minutes=1)
AFTER_FAILURE = timedelta(minutes=15)
LEASE = timedelta(minutes=10)
MOST_IN_A_RUN = 200
CLAIMED_AT_ONCE = 20
PLANNED_AT_ONCE = 5000
# A run takes up no more after this, well before django-q2 would kill its worker.
RUN_SECONDS = 45
# Connections asked at once.
LANES = 16
# A platform that fails this often in a row is left alone until the next run.
PATIENCE = 3
# Where a connection's memory keeps when it was last asked: what it allows a minute is counted from there.
ASKED = "asked_at"
LONGEST_SAVING = timedelta(hours=1)


def interval(quiet: timedelta) -> timedelta | None:
    """How long until an invoice is asked for again; None for never."""
    return next((every for limit, every in EVERY if quiet < limit), None)


# --- planning ---------------------------------------------------------------------------------------------------------


def open_invoices(held: Q) -> QuerySet[Invoice]:
    still_open = Q(status=None) | ~Q(status__in=FINAL_STATUSES)
    recent = timezone.now() - EVERY[-1][0]
    return Invoice.objects.filter(still_open, held, updated_at__gt=recent).exclude(provider_ref="")


def plan(connection: Connection) -> None:
    """A row for every open invoice that has none, some thousands at a time; the next poll goes on."""
    planned = PlannedLook.objects.filter(invoice=OuterRef("pk"))
    now = timezone.now()
    # What came through it first, then what it holds besides: two conditions, so that each has its index.
    for held in (Q(connection=connection), Q(other_origins__connection=connection)):
        missing = open_invoices(held).filter(~Exists(planned)).order_by("pk").values_list("pk", "updated_at")
        rows = [
            PlannedLook(
                invoice_id=invoice_id, connection=connection, due_at=updated_at + (interval(now - updated_at) or LEASE)
            )
            for invoice_id, updated_at in missing[:PLANNED_AT_ONCE]
        ]
        PlannedLook.objects.bulk_create(rows, ignore_conflicts=True)


def look_again(invoice: Invoice) -> None:
    """Somebody rang for this invoice and its history showed nothing new: it may be late."""
    soon = timezone.now() + AFTER_BELL
    values = {"connection_id": invoice.connection_id, "due_at": soon}
    row, is_new = PlannedLook.objects.get_or_create(invoice=invoice, defaults=values)
    if not is_new and row.due_at > soon:
        PlannedLook.objects.filter(pk=row.pk).update(due_at=soon)


def nudge_for_due() -> None:
    """Every sweep."""
    may_be_asked = health.callable_now() | health.probe_due()
    if Connection.objects.filter(may_be_asked, pk__in=_due().values("connection")).exists():
        nudge(TASK)


def due_looks() -> QuerySet[PlannedLook]:
    """Of connections that may be called now."""
    return _due().filter(health.callable_now("connection__"))


def _due() -> QuerySet[PlannedLook]:
    return PlannedLook.objects.filter(due_at__lte=timezone.now())


# --- asking -----------------------------------------------------------------------------------------------------------


def ask_due() -> int:
    """Ask for what is due, of each connection one at a time; returns how many events were new."""
    stop_at = time.monotonic() + RUN_SECONDS
    probed = set(health.claim_probes(_due()))
    due = Connection.objects.filter(Q(pk__in=probed) | Q(pk__in=due_looks().values("connection")))
    runs = [run for each in due if (run := _begin(each, stop_at, is_probe=each.pk in probed))]
    with Calls[tuple[Run, PlannedLook]](each=1, lanes=LANES) as calls:
        idle = list(runs)
        while idle or calls:
            while idle and calls.room:
                run = idle.pop(0)
                if row := run.next():
                    calls.start(run.connection.pk, (run, row), run.adapter.fetch_statuses, row.reference)
            for (run, row), answer in calls.ended(1):
                run.record(row, answer)
                idle.append(run)
    if time.monotonic() > stop_at:
        nudge(TASK)
    return sum(run.new for run in runs)


def _begin(connection: Connection, stop_at: float, *, is_probe: bool) -> Run | None:
    """One connection's fault must not keep the others from being asked."""
    try:
        adapter = get_adapter(connection)
        limit = 1 if is_probe else _allowed(connection, adapter)
        return Run(connection, adapter, stop_at, timezone.now(), limit)
    except Exception as error:
        health.note(connection.pk, error)
        foreseen = isinstance(error, SealBroken | UnknownKind)
        logger.warning("%s is not asked now: %s", connection.name, error, exc_info=not foreseen)
        _due().filter(connection=connection).update(due_at=timezone.now() + AFTER_FAILURE)
        return None


def ask(connection: Connection, *, stop_at: float = math.inf, everything: bool = False) -> int:
    """One run, bounded in number and by what the platform allows. `everything`: also what is not due yet."""
    adapter = get_adapter(connection)
    due_by = None if everything else timezone.now()
    run = Run(connection, adapter, stop_at, due_by, _allowed(connection, adapter))
    while row := run.next():
        run.record(row, quietly(adapter.fetch_statuses, row.reference))
    return run.new


def _allowed(connection: Connection, adapter: Adapter) -> int:
    """How many invoices this run may ask for."""
    try:
        a_minute = adapter.calls_per_minute()
    except PermanentError as error:
        logger.warning("%s does not tell how many calls it allows: %s", connection.name, error.message)
        a_minute = None
    if a_minute is None:
        return MOST_IN_A_RUN
    asked = connection.memory.get(ASKED)
    since = timezone.now() - datetime.fromisoformat(asked) if asked else timedelta(minutes=1)
    return min(MOST_IN_A_RUN, int(a_minute * (min(since, LONGEST_SAVING) / timedelta(minutes=1))))


@dataclass
class Run:
    """`due_by` is None where everything open is asked for, each once."""

    connection: Connection
    adapter: Adapter
    stop_at: float
    due_by: datetime | None
    left: int
    started_at: datetime = field(default_factory=timezone.now)
    claimed: list[PlannedLook] = field(default_factory=list)
    new: int = 0
    failures: int = 0
    silenced: bool = False

    @property
    def goes_on(self) -> bool:
        return self.failures < PATIENCE and not self.silenced and time.monotonic() < self.stop_at

    def claim(self, limit: int) -> list[PlannedLook]:
        now = timezone.now()
        mine = PlannedLook.objects.filter(connection=self.connection).order_by("due_at")
        if self.due_by is None:
            wanted = mine.filter(Q(looked_at=None) | Q(looked_at__lt=self.started_at))
        else:
            wanted = mine.filter(due_at__lte=self.due_by)
        with transaction.atomic():
            rows = list(wanted.select_for_update(skip_locked=True, of=("self",)).select_related("invoice")[:limit])
            PlannedLook.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=now + LEASE, looked_at=now)
        ConnectionMemory(self.connection).set(ASKED, now.isoformat())
        return rows

    def next(self) -> PlannedLook | None:
        """The one to ask for now; None where the run has ended, and what it still held is due again."""
        if not self.goes_on:
            _put_off(self.claimed, timedelta())
            return None
        if not self.claimed and self.left > 0:
            self.claimed = self.claim(min(self.left, CLAIMED_AT_ONCE))
            self.left -= len(self.claimed)
        return self.claimed.pop(0) if self.claimed else None

    def record(self, row: PlannedLook, answer: Any) -> None:
        """Whatever is wrong with one invoice stays with it, unless the platform is to be left alone."""
        error = answer if isinstance(answer, Exception) else None
        if health.note(self.connection.pk, error) and error is not None:
            self.failures += 1
            self.silenced = not isinstance(error, TemporaryError) or bool(error.retry_after)
            _put_off([row], AFTER_FAILURE)
            return
        self.failures = 0
        if error is None:
            recorded = quietly(events.record_reports, row.invoice_id, answer)
            error = recorded if isinstance(recorded, Exception) else None
            self.new += 0 if isinstance(recorded, Exception) else len(recorded)
        if error is not None:
            foreseen = isinstance(error, PlatformError)
            told = error.message if isinstance(error, PlatformError) else error
            logger.warning(
                "Invoice %s was not asked for: %s", row.invoice_id, told, exc_info=None if foreseen else error
            )
        _plan_next(row)


def _plan_next(row: PlannedLook) -> None:
    invoice = Invoice.objects.only("status", "updated_at").get(pk=row.invoice_id)
    wait = None if invoice.status in FINAL_STATUSES else interval(timezone.now() - invoice.updated_at)
    if wait is None:
        PlannedLook.objects.filter(pk=row.pk).delete()
    else:
        _put_off([row], wait)


def _put_off(rows: list[PlannedLook], wait: timedelta) -> None:
    PlannedLook.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=timezone.now() + wait)

"""The inbox: read stored deliveries, ask the platforms where a push is only a bell, record, and never stop for one.

The rows are the queue (`claims`). Two lanes: what only has to be read and recorded, and what a platform has to be asked
for, where each connection has calls of its own under way and none waits for another's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from invoices.models import Direction, DocumentState, Invoice
from invoices.register import services as invoices
from lifecycle.history import events
from lifecycle.outbox import states
from providers.connections import health
from providers.connections.nudge import nudge
from providers.connections.registry import get_adapter
from providers.connections.services import read_stored
from providers.contract import found
from providers.contract.base import (
    Adapter,
    Bell,
    Delivery,
    File,
    HookError,
    InvoiceReport,
    PermanentError,
    PlatformError,
    StatusReport,
    Unsupported,
)
from providers.models import Connection, WebhookDelivery

from . import asking
from .calling import Calls
from .finding import NotShown, UnknownInvoice, find_invoice, find_reported, get_invoice, told_at, unknown
from .looking import Look, look
from .queue import (
    BATCH,
    MAX_CLAIMS,
    RETRY_DELAYS,
    TASKS,
    WAIT_FOR_SET_UP,
    Lane,
    State,
    claim,
    claim_lost,
    finish,
    hand_on,
    nudge_for_due,
    nudge_for_next,
    quarantine,
    replay,
    retry,
    retry_after_failure,
    retry_waiting,
    wait,
    wake,
    with_bodies,
)

__all__ = ["BATCH", "MAX_CLAIMS", "RETRY_DELAYS", "claim", "nudge_for_due", "replay", "retry_waiting", "wake"]

logger = logging.getLogger(__name__)

# A drain takes up no more after this, and ends after that: well before django-q2 would kill its worker.
DRAIN_SECONDS = 45
CALL_SECONDS = 40
# How often a drain that waits for answers looks for what else is due.
LOOK_AGAIN = 0.5
# Claims after which the news of a push is recorded although the platform's history still does not show it.
HISTORY_PATIENCE = 2
# Claims after which an announced invoice that the platform does not show waits for it, instead of asking again.
ARRIVAL_PATIENCE = 4
NOT_FOUND = 404

# A question to a platform: in which claim it came up, of which connection, what is asked for, and its name there. Only
# what was claimed together shares an answer: one asked for before a push came may be older than its news.
Question = tuple[int, Any, str, str]
NEWS, INVOICE = "news", "invoice"


# --- both lanes -------------------------------------------------------------------------------------------------------


def drain(limit: int = BATCH, *, seconds: float = DRAIN_SECONDS) -> int:
    """Work through what is due in both lanes, and what that wakes; returns how many deliveries were dealt with."""
    done, stop_at = 0, time.monotonic() + seconds
    while now := ingest(limit, seconds=seconds) + fetch(limit, seconds=seconds):
        done += now
        if time.monotonic() > stop_at:
            break
    return done


@dataclass
class Job:
    """One claimed delivery on its way: its adapter and what it says. `open`: questions not answered yet."""

    row: WebhookDelivery
    adapter: Adapter
    claim: int = 0
    delivery: Delivery | None = None
    looks: dict[str, Look | Exception] = field(default_factory=dict)
    open: set[Question] = field(default_factory=set)

    @property
    def bells(self) -> tuple[Bell, ...]:
        return self.delivery.bells if self.delivery else ()

    @property
    def points_to(self) -> str:
        return self.delivery.points_to if self.delivery else ""


def _read(rows: list[WebhookDelivery]) -> Iterator[Job]:
    """Each delivery read, one body at a time. What cannot be read has its fate on its row already."""
    adapters = {connection: _adapter_or_fault(connection) for connection in {row.connection for row in rows}}
    for row in with_bodies(rows):
        adapter = adapters[row.connection]
        if isinstance(adapter, Exception):
            wait(row, str(adapter), WAIT_FOR_SET_UP)
            continue
        job = Job(row, adapter)
        _guarded(job, _parse)
        if job.delivery is not None:
            yield job


def _adapter_or_fault(connection: Connection) -> Adapter | Exception:
    """A connection that cannot be set up must not stop the others."""
    try:
        return get_adapter(connection)
    except Exception as error:
        logger.exception("Connection %s cannot be used", connection.name)
        health.note(connection.pk, error)
        return error


def _guarded(job: Job, step: Any) -> None:
    """Run one step of one delivery; whatever goes wrong is written on its row and stays there."""
    try:
        with transaction.atomic():
            step(job)
    except NotShown as early:
        retry(job.row, str(early), patience=ARRIVAL_PATIENCE, waits_for=early.provider_ref)
    except UnknownInvoice as unknown:
        quarantine(job.row, str(unknown), waits_for=unknown.provider_ref)
    except invoices.UnknownOwner as stranger:
        quarantine(job.row, str(stranger), waits_for=WebhookDelivery.name_of_line(stranger.siren))
    except HookError as error:
        quarantine(job.row, str(error))
    except PlatformError as error:
        if health.is_of_connection(error):
            retry_after_failure(job.row, error.message)
        elif isinstance(error, PermanentError | Unsupported):
            quarantine(job.row, error.message)
        else:
            retry(job.row, error.message)
    except Exception as error:
        logger.exception("Delivery %s could not be worked on", job.row.pk)
        retry(job.row, _("Unforeseen fault: %(error)s") % {"error": f"{type(error).__name__}: {error}"[:500]})


def _parse(job: Job) -> None:
    if job.row.found is not None:
        job.delivery = found.read(job.row.found, key=job.row.key)
    else:
        job.delivery = job.adapter.parse_webhook(read_stored(job.row, job.adapter))


# --- what only has to be read -----------------------------------------------------------------------------------------


def ingest(limit: int = BATCH, *, seconds: float = DRAIN_SECONDS) -> int:
    """Record what was pushed in full; what has to be asked for goes to the other lane."""
    done, stop_at = 0, time.monotonic() + seconds
    while rows := claim(limit):
        # Of what killed a worker one at a time, between the batches: a flood must not keep it waiting.
        done += _ingest(rows) + (_ingest(claim_lost()) if len(rows) > 1 else 0)
        if time.monotonic() > stop_at:
            nudge(TASKS[Lane.INGEST])
            break
    nudge_for_next(Lane.INGEST)
    return done


def _ingest(rows: list[WebhookDelivery]) -> int:
    done = len(rows)
    for job in _read(rows):
        if job.bells or job.points_to:
            hand_on(job.row)
            done -= 1
        else:
            _guarded(job, _apply)
    return done


# --- what a platform has to be asked for ------------------------------------------------------------------------------


def fetch(limit: int = BATCH, *, seconds: float = DRAIN_SECONDS) -> int:
    """Ask for what pushes and polls only point to, and record it as the answers come."""
    done, begun, look_at = 0, time.monotonic(), 0.0
    with Calls[Question](each=settings.INBOX_THREADS) as calls:
        run = Run(calls)
        while (now := time.monotonic()) < begun + seconds + CALL_SECONDS:
            if calls.room and look_at <= now < begun + seconds:
                rows = claim(min(limit, calls.room), lane=Lane.FETCH, share=calls.share, full=calls.full())
                done += len(rows)
                run.begin(rows)
                # At once where more may be due and may be asked for; else as time goes by.
                look_at = 0.0 if rows else now + LOOK_AGAIN
            if calls:
                run.go_on()
            elif look_at > now or now >= begun + seconds:
                break
    if time.monotonic() >= begun + seconds:
        nudge(TASKS[Lane.FETCH])
    nudge_for_next(Lane.FETCH)
    return done


@dataclass
class Run:
    """One run of the lane: which questions are under way, and who waits for their answers."""

    calls: Calls[Question]
    asked: dict[Question, list[Job]] = field(default_factory=dict)
    claims: int = 0

    def begin(self, rows: list[WebhookDelivery]) -> None:
        self.claims += 1
        jobs = [replace(job, claim=self.claims) for job in _read(rows)]
        self._ask_for(jobs)
        for job in jobs:
            if not job.open and job.row.connection.health != Connection.Health.WELL:
                health.give_probe_back(job.row.connection_id)  # it was claimed to probe, and no call was made

    def go_on(self) -> None:
        """Take in what has been answered by now, and go on with whoever waited for it."""
        ready: dict[int, Job] = {}
        for question, answer in self.calls.ended(LOOK_AGAIN):
            jobs = self.asked.pop(question)
            _note_health(jobs[0].row.connection, answer)
            for job in jobs:
                job.open.discard(question)
                _take(job, question, answer)
                ready[id(job)] = job
        self._ask_for([job for job in ready.values() if not job.open and job.delivery is not None])

    def _ask_for(self, jobs: list[Job]) -> None:
        """Start what these jobs need to know next, each thing once; record those that know all."""
        wanted: dict[Question, tuple[Adapter, bool]] = {}
        for job in jobs:
            for question, adapter, with_files in _questions(job):
                job.open.add(question)
                wanted[question] = (adapter, with_files or wanted.get(question, (None, False))[1])
        for question, (adapter, with_files) in wanted.items():
            waiting = [job for job in jobs if question in job.open]
            if question in self.asked:
                self.asked[question] += waiting
                continue
            self.asked[question] = waiting
            _claim, connection_id, what, name = question
            if what == NEWS:
                self.calls.start(connection_id, question, adapter.fetch_delivery, name)
            else:
                self.calls.start(connection_id, question, look, adapter, name, with_files=with_files)
        for job in jobs:
            if not job.open:
                _guarded(job, _apply)
                job.looks.clear()  # the files


def _questions(job: Job) -> Iterator[tuple[Question, Adapter, bool]]:
    """What a job needs to know next, who is asked, and whether for the invoice and its files too."""
    row = job.row
    if job.points_to:
        yield (job.claim, row.connection_id, NEWS, job.points_to), job.adapter, False
        return
    for bell in job.bells:
        known = find_invoice(row.connection, bell.provider_ref)
        if bell.provider_ref in job.looks or (known is None and not bell.is_new_invoice):
            continue  # what is unknown is quarantined when it is applied
        has_original = job.adapter.capabilities.originals
        with_files = known is None or (has_original and known.document_state in _states_to_fetch(bell))
        question = (job.claim, row.connection_id, INVOICE, bell.provider_ref)
        yield question, job.adapter.acting_for(bell.account), with_files


def _states_to_fetch(bell: Bell) -> set[str]:
    """A document that could not be read is fetched anew when the push that announced it is replayed."""
    waiting: set[str] = {DocumentState.WAITING}
    return waiting | ({DocumentState.UNREADABLE} if bell.is_new_invoice else set())


def _take(job: Job, question: Question, answer: Any) -> None:
    _claim, _connection, what, name = question
    if what == INVOICE:
        job.looks[name] = answer
        return
    pushed, job.delivery = cast("Delivery", job.delivery), None
    if isinstance(answer, Exception):
        _guarded(job, lambda job: _raise(answer))
    else:
        job.delivery = replace(cast("Delivery", answer), key=pushed.key, points_to="")


def _raise(error: Exception) -> None:
    raise error


def _note_health(connection: Connection, answer: Any) -> None:
    """Where all is well, and was, nothing is written."""
    error = answer if isinstance(answer, Exception) else None
    if error or connection.failures or connection.health != Connection.Health.WELL:
        health.note(connection.pk, error)


# --- recording --------------------------------------------------------------------------------------------------------


def _apply(job: Job) -> None:
    row, delivery = job.row, cast("Delivery", job.delivery)
    if delivery.poll_soon:
        Connection.objects.filter(pk=row.connection_id).update(polled_at=None)
    broken = [
        save_invoice(row.connection, each, delivery.files.get(each.provider_ref, ())) for each in delivery.invoices
    ]
    broken += [_answer_bell(job, bell) for bell in delivery.bells]
    unknown = [_record_pushed(row, status, place) for place, status in enumerate(delivery.statuses)]
    for verdict in delivery.verdicts:
        states.record_verdict(row.connection, verdict)
    early = [bell.hint for bell in delivery.bells if bell.hint and _comes_before_history(job, bell)]
    may_show_later = any(_shown(job, bell).has_history for bell in delivery.bells)
    if early and may_show_later and row.attempts <= HISTORY_PATIENCE:
        retry(row, _("The platform's history does not show this news yet."))
        return
    for place, hint in enumerate(early):
        _record_pushed(row, hint, place)
    missing = next(filter(None, unknown), None)
    if missing:
        quarantine(row, str(missing), waits_for=missing.provider_ref)
    elif delivery.unclear or any(broken):
        quarantine(row, " ".join(filter(None, [delivery.unclear, *broken])))
    else:
        finish(row, State.IGNORED if delivery.ignored else State.PROCESSED, delivery.ignored)


def _record_pushed(row: WebhookDelivery, report: StatusReport, place: int) -> UnknownInvoice | None:
    """One status of a push. An unknown invoice is returned, not raised: the push's other news must not wait for it.

    News with neither a key nor a time is told apart by the push that brought it.
    """
    invoice = find_reported(row.connection, report, row.line_identifier)
    if invoice is None:
        return unknown(row.connection, report, row.line_identifier)
    if not report.key and report.occurred_at is None:
        report = replace(report, key=f"{row.key}:{place}")
    events.record_report(invoice.pk, told_at(row.connection, invoice, report))
    return None


def _answer_bell(job: Job, bell: Bell) -> str:
    shown = _shown(job, bell)
    broken = save_look(job.row.connection, shown)
    invoice = get_invoice(job.row.connection, bell.provider_ref)
    new = events.record_reports(invoice.pk, shown.statuses)
    if not new and job.adapter.capabilities.ask_each:
        asking.look_again(invoice)
    return broken


def _shown(job: Job, bell: Bell) -> Look:
    shown = job.looks.get(bell.provider_ref)
    if bell.is_new_invoice and isinstance(shown, PermanentError) and shown.status_code == NOT_FOUND:
        raise NotShown(bell.provider_ref)
    if isinstance(shown, Exception):
        raise shown
    if shown is None:
        raise UnknownInvoice(bell.provider_ref)
    return shown


def _comes_before_history(job: Job, bell: Bell) -> bool:
    """The push carries news that the platform's history did not show when we looked."""
    if bell.hint is None or any(_tells(each, bell.hint) for each in _shown(job, bell).statuses):
        return False
    return not _is_passed(get_invoice(job.row.connection, bell.provider_ref), bell.hint)


def _is_passed(invoice: Invoice, news: StatusReport) -> bool:
    """A code that was only derived, of a step that the invoice has left behind: nothing to wait for, nor to record."""
    return news.derived and bool(news.status and invoice.status) and str(news.status) <= str(invoice.status)


def _tells(shown: StatusReport, news: StatusReport) -> bool:
    """The same word, or what it turned out to mean, and not an older one of the same word."""
    same = (shown.status or shown.native_status) == (news.status or news.native_status)
    same = same or ((news.status is None or news.derived) and shown.native_status == news.native_status != "")
    dated = shown.occurred_at is not None and news.occurred_at is not None
    return same and (not dated or shown.occurred_at >= news.occurred_at - events.CLOCK_TOLERANCE)  # type: ignore[operator]


def save_look(connection: Connection, shown: Look) -> str:
    if shown.report is None:
        return ""
    broken = save_invoice(connection, shown.report, shown.files)
    return broken or shown.file_error


def save_invoice(connection: Connection, report: InvoiceReport, files: tuple[File, ...]) -> str:
    """Record an invoice and wake what waited for it. Returns what is wrong with its document, or "".

    Raises NotShown for one that may be what we are handing in, as long as we have not heard under which reference.
    """
    if _may_be_handed_in(connection, report, files):
        raise NotShown(report.provider_ref)
    invoice, created = invoices.receive_invoice(connection=connection, report=report, files=files)
    if created:
        wake(invoice)
        events.confirm_submission(invoice)
    events.renew_credited(invoice)
    if invoice.document_state != DocumentState.UNREADABLE:
        return ""
    return _("The document of invoice %(invoice)s cannot be read: %(error)s") % {
        "invoice": invoice,
        "error": invoice.document_error,
    }


def _may_be_handed_in(connection: Connection, report: InvoiceReport, files: tuple[File, ...]) -> bool:
    """An announcement that names nothing but the platform's reference, quicker than its answer to us."""
    if report.direction != Direction.ISSUED or report.number or files:
        return False
    known = find_invoice(connection, report.provider_ref)
    return known is None and states.uncertain_hand_ins(connection.pk).exists()

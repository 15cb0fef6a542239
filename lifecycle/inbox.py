"""The inbox: claim stored deliveries, ask the platforms where a push is only a bell, record, and never stop for one.

The rows are the queue. A claim is committed before the work, so that a delivery which kills its worker is counted and
ends in quarantine; from its second claim on it is worked on alone, so that no neighbour pays for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection as database
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices import services as invoices
from invoices.access import customers_of
from invoices.models import DocumentState, Invoice, Role
from invoices.origins import held_by
from providers.base import (
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
from providers.nudge import nudge
from providers.registry import get_adapter
from providers.services import read_stored, storable

from . import asking, events, relays
from .finding import (
    NotShown,
    UnknownInvoice,
    find_invoice,
    find_reported,
    get_invoice,
    lawful_name,
    named_so,
    told_at,
    unknown,
)
from .looking import Look, look

logger = logging.getLogger(__name__)

Answered = TypeVar("Answered")

DRAIN_TASK = "lifecycle.tasks.drain_inbox"
BATCH = 50
# A drain takes up no more after this, well before django-q2 would kill its worker in the middle of a batch.
DRAIN_SECONDS = 45
# Seconds before a delivery is tried again after the platform could not be asked, by claims made; half a day in all.
RETRY_DELAYS = (2, 15, 60, 600, 3600, 3 * 3600, 8 * 3600)
MAX_CLAIMS = len(RETRY_DELAYS) + 1
# Claims after which the news of a push is recorded although the platform's history still does not show it.
HISTORY_PATIENCE = 2
# Claims after which an announced invoice that the platform does not show waits for it, instead of asking again.
ARRIVAL_PATIENCE = 4
NOT_FOUND = 404

State = WebhookDelivery.State


# --- claiming ---------------------------------------------------------------------------------------------------------


def drain(limit: int = BATCH) -> int:
    """Work through what is due; returns how many deliveries were taken up. The next task goes on where time ran out."""
    done, stop_at = 0, time.monotonic() + DRAIN_SECONDS
    while rows := claim(limit):
        _work(rows)
        done += len(rows)
        if time.monotonic() > stop_at:
            nudge(DRAIN_TASK)
            break
    _nudge_for_next()
    return done


def claim(limit: int = BATCH) -> list[WebhookDelivery]:
    """Take due deliveries under a lease, oldest first. One whose last claim never ended is taken alone."""
    now = timezone.now()
    due = WebhookDelivery.objects.filter(
        Q(leased_until=None) | Q(leased_until__lt=now), state=State.RECEIVED, next_attempt_at__lte=now
    )
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=True, of=("self",)).select_related("connection")
        rows = list(locked.filter(leased_until=None).order_by("received_at")[:limit])
        rows = rows or list(locked.order_by("received_at")[:1])
        dead = [row for row in rows if row.attempts >= MAX_CLAIMS]
        for row in dead:
            words = row.error or _("The worker ended each time it took this delivery up.")
            _quarantine(row, _("Given up after %(count)s tries. %(error)s") % {"count": row.attempts, "error": words})
        alive = [row for row in rows if row not in dead]
        for row in alive:
            row.attempts += 1
            row.leased_until = now + timedelta(seconds=settings.LEASE_SECONDS)
        WebhookDelivery.objects.bulk_update(alive, ["attempts", "leased_until"])
    return alive or (claim(limit) if dead else [])


# --- working ----------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """One claimed delivery on its way: its adapter and what it says."""

    row: WebhookDelivery
    adapter: Adapter
    delivery: Delivery | None = None
    fetched: Delivery | Exception | None = None
    looks: dict[str, Look | Exception] = field(default_factory=dict)

    @property
    def bells(self) -> tuple[Bell, ...]:
        return self.delivery.bells if self.delivery else ()

    @property
    def points_to(self) -> str:
        return self.delivery.points_to if self.delivery else ""


def _work(rows: list[WebhookDelivery]) -> None:
    adapters = {connection: _adapter_or_fault(connection) for connection in {row.connection for row in rows}}
    jobs = []
    for row in rows:
        adapter = adapters[row.connection]
        if isinstance(adapter, Exception):
            _retry(row, str(adapter))
        else:
            jobs.append(Job(row, adapter))
    for job in jobs:
        _guarded(job, _parse)
    _finish_work([job for job in jobs if not job.points_to])
    _work_pointing([job for job in jobs if job.points_to])


def _work_pointing(jobs: list[Job]) -> None:
    """In small groups, for such a platform may allow few calls: what time does not suffice for is due again at once."""
    stop_at = time.monotonic() + DRAIN_SECONDS
    for start in range(0, len(jobs), settings.INBOX_THREADS):
        group = jobs[start : start + settings.INBOX_THREADS]
        if time.monotonic() > stop_at:
            for job in group:
                changes = {"next_attempt_at": timezone.now(), "attempts": job.row.attempts - 1, "error": job.row.error}
                _save(job.row, changes)
        else:
            _fetch_for_all(group)
            _finish_work(group)


def _finish_work(jobs: list[Job]) -> None:
    _look_for_all([job for job in jobs if job.bells])
    for job in jobs:
        if job.delivery is not None:
            _guarded(job, _apply)


def _adapter_or_fault(connection: Connection) -> Adapter | Exception:
    """A connection that cannot be set up must not stop the others."""
    try:
        return get_adapter(connection)
    except Exception as error:
        logger.exception("Connection %s cannot be used", connection.name)
        return error


def _guarded(job: Job, step: Any) -> None:
    """Run one step of one delivery; whatever goes wrong is written on its row and stays there."""
    try:
        with transaction.atomic():
            step(job)
    except NotShown as early:
        _retry(job.row, str(early), patience=ARRIVAL_PATIENCE, waits_for=early.provider_ref)
    except UnknownInvoice as unknown:
        _quarantine(job.row, str(unknown), waits_for=unknown.provider_ref)
    except (HookError, invoices.UnknownOwner, PermanentError, Unsupported) as error:
        _quarantine(job.row, str(error))
    except PlatformError as error:
        _retry(job.row, error.message)
    except Exception as error:
        logger.exception("Delivery %s could not be worked on", job.row.pk)
        _retry(job.row, _("Unforeseen fault: %(error)s") % {"error": f"{type(error).__name__}: {error}"[:500]})


def _parse(job: Job) -> None:
    job.delivery = job.adapter.parse_webhook(read_stored(job.row, job.adapter))


def _fetch_for_all(jobs: list[Job]) -> None:
    """Bring what pushes only point to, several at a time, each thing once for a batch."""
    wanted = {(job.row.connection_id, job.points_to): job.adapter for job in jobs}
    if not wanted:
        return
    with ThreadPoolExecutor(max_workers=min(settings.INBOX_THREADS, len(wanted))) as pool:
        futures = {key: pool.submit(_quietly, adapter.fetch_delivery, key[1]) for key, adapter in wanted.items()}
    for job in jobs:
        job.fetched = futures[job.row.connection_id, job.points_to].result()
        _guarded(job, _take_fetched)


def _take_fetched(job: Job) -> None:
    pushed, job.delivery = cast("Delivery", job.delivery), None
    if isinstance(job.fetched, Exception):
        raise job.fetched
    job.delivery = replace(cast("Delivery", job.fetched), key=pushed.key, points_to="")


def _look_for_all(jobs: list[Job]) -> None:
    """Ask each platform once for each invoice rung for in this batch, several at a time."""
    wanted: dict[tuple[Any, str], tuple[Adapter, bool]] = {}
    for job in jobs:
        for bell in job.bells:
            known = find_invoice(job.row.connection, bell.provider_ref)
            if known is None and not bell.is_new_invoice:
                continue  # quarantined when it is applied
            has_original = job.adapter.capabilities.originals
            with_files = known is None or (has_original and known.document_state in _states_to_fetch(bell))
            key = (job.row.connection_id, bell.provider_ref)
            wanted[key] = (job.adapter.acting_for(bell.account), with_files or wanted.get(key, (None, False))[1])
    if not wanted:
        return
    with ThreadPoolExecutor(max_workers=min(settings.INBOX_THREADS, len(wanted))) as pool:
        futures = {
            key: pool.submit(_quietly, look, adapter, key[1], with_files=with_files)
            for key, (adapter, with_files) in wanted.items()
        }
    for job in jobs:
        keys = [(job.row.connection_id, bell.provider_ref) for bell in job.bells]
        job.looks = {key[1]: futures[key].result() for key in keys if key in futures}


def _states_to_fetch(bell: Bell) -> set[str]:
    """A document that could not be read is fetched anew when the push that announced it is replayed."""
    waiting: set[str] = {DocumentState.WAITING}
    return waiting | ({DocumentState.UNREADABLE} if bell.is_new_invoice else set())


def _quietly(call: Callable[..., Answered], *args: Any, **kwargs: Any) -> Answered | Exception:
    """The answer of a call made in a thread, or what it raised."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return error
    finally:
        if database.connection is not None and not database.in_atomic_block:
            database.close()  # this thread's own, where a token was read


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
        relays.record_verdict(row.connection, verdict)
    early = [bell.hint for bell in delivery.bells if bell.hint and _comes_before_history(job, bell)]
    may_show_later = any(_shown(job, bell).has_history for bell in delivery.bells)
    if early and may_show_later and row.attempts <= HISTORY_PATIENCE:
        _retry(row, _("The platform's history does not show this news yet."))
        return
    for place, hint in enumerate(early):
        _record_pushed(row, hint, place)
    missing = next(filter(None, unknown), None)
    if missing:
        _quarantine(row, str(missing), waits_for=missing.provider_ref)
    elif delivery.unclear or any(broken):
        _quarantine(row, " ".join(filter(None, [delivery.unclear, *broken])))
    else:
        _finish(row, State.IGNORED if delivery.ignored else State.PROCESSED, delivery.ignored)


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
    """Record an invoice and wake what waited for it. Returns what is wrong with its document, or ""."""
    invoice, created = invoices.receive_invoice(connection=connection, report=report, files=files)
    if created:
        wake(invoice)
        events.confirm_submission(invoice)
    if invoice.document_state != DocumentState.UNREADABLE:
        return ""
    return _("The document of invoice %(invoice)s cannot be read: %(error)s") % {
        "invoice": invoice,
        "error": invoice.document_error,
    }


def wake(invoice: Invoice) -> None:
    """Deliveries that waited for this invoice are due again."""
    lawful = lawful_name(invoice.seller_key, invoice.number)
    meant = [Q(connection=each.connection_id, waits_for__in=[each.provider_ref, lawful]) for each in invoice.origins]
    waiting = WebhookDelivery.objects.filter(reduce(or_, meant), state=State.QUARANTINED)
    if waiting.update(**_fresh()):
        transaction.on_commit(lambda: nudge(DRAIN_TASK))


# --- the row's fate ---------------------------------------------------------------------------------------------------


def _save(row: WebhookDelivery, changes: Mapping[str, Any]) -> None:
    """Only while the claim is still ours: a lease that ran out may have given the row to another worker."""
    mine = WebhookDelivery.objects.filter(pk=row.pk, leased_until=row.leased_until, state=State.RECEIVED)
    mine.update(**{**changes, "error": storable(changes["error"])}, leased_until=None)


def _finish(row: WebhookDelivery, state: str, error: str = "") -> None:
    _save(row, {"state": state, "error": error, "waits_for": "", "processed_at": timezone.now()})


def _quarantine(row: WebhookDelivery, error: str, *, waits_for: str = "") -> None:
    _save(row, {"state": State.QUARANTINED, "error": error, "waits_for": waits_for, "processed_at": timezone.now()})


def _retry(row: WebhookDelivery, error: str, *, patience: int = MAX_CLAIMS, waits_for: str = "") -> None:
    if row.attempts >= patience:
        _quarantine(row, error, waits_for=waits_for)
        return
    later = timezone.now() + timedelta(seconds=RETRY_DELAYS[row.attempts - 1])
    _save(row, {"next_attempt_at": later, "error": error})


def _fresh() -> dict[str, Any]:
    return {
        "state": State.RECEIVED,
        "attempts": 0,
        "error": "",
        "waits_for": "",
        "leased_until": None,
        "next_attempt_at": timezone.now(),
        "processed_at": None,
    }


def _nudge_for_next() -> None:
    due = WebhookDelivery.objects.filter(state=State.RECEIVED, next_attempt_at__gt=timezone.now())
    first = due.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    if first and (seconds := (first - timezone.now()).total_seconds()) < 60:
        nudge(DRAIN_TASK, delay=max(seconds, 0.05))


# --- people and the sweep ---------------------------------------------------------------------------------------------


def replay(*, user: Any, delivery_id: Any) -> WebhookDelivery:
    """Put a delivery back at the start; what it told already is recognised. Administrators of a served customer."""
    with transaction.atomic():
        row = WebhookDelivery.objects.select_for_update(of=("self",)).get(pk=delivery_id)
        served = customers_of(user, Role.ADMINISTRATOR).filter(addressing_lines__connection=row.connection_id)
        if not served.exists():
            raise PermissionDenied(_("Only an administrator of a customer served by this connection can replay."))
        WebhookDelivery.objects.filter(pk=row.pk).update(**_fresh())
        transaction.on_commit(lambda: nudge(DRAIN_TASK))
    row.refresh_from_db()
    return row


def retry_waiting() -> int:
    """Every sweep: deliveries that wait for an invoice which is there by now."""
    woken = 0
    waiting = WebhookDelivery.objects.filter(state=State.QUARANTINED).exclude(waits_for="")
    for connection_id, ref in waiting.values_list("connection", "waits_for").distinct():
        rows = waiting.filter(connection=connection_id, waits_for=ref)
        if find_invoice(connection_id, ref):
            woken += rows.update(**_fresh())
            continue
        # An invoice of this name that was there already was not the one meant: only a change is worth another look.
        named = Invoice.objects.filter(named_so(ref), held_by(connection_id))
        if newest := named.order_by("-updated_at").first():
            woken += rows.filter(processed_at__lte=newest.updated_at).update(**_fresh())
    return woken

"""The outbox: claim due relays, tell the platforms outside any transaction, record what came back.

The rows are the queue. Several workers may drain at once; a killed one leaves a lease that runs out, and what it was
sending becomes uncertain: it is looked up, never blindly sent again.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Invoice, Validation
from providers.base import (
    Adapter,
    PermanentError,
    PlatformError,
    Receipt,
    TemporaryError,
    Unsupported,
    Verdict,
)
from providers.models import Connection
from providers.nudge import nudge
from providers.registry import get_adapter
from providers.sealing import SealBroken
from providers.services import storable

from . import events, inbox
from .messages import NOTHING, SPEAK, Known, known_of
from .models import UNSETTLED, RelayAttempt, RelayState, RelayTask

logger = logging.getLogger(__name__)

DRAIN_TASK = "lifecycle.tasks.drain_relays"
BATCH = 100
# A drain takes up no more after this, well before django-q2 would kill its worker in the middle of a batch.
DRAIN_SECONDS = 45
# How long the first outcome waits for others to be recorded with it, in one transaction.
GATHER_SECONDS = 0.02
# Seconds before the next try after a temporary failure, by number of tries made; about a day in all, then a person.
RETRY_DELAYS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800)
# Seconds before each look-up of an uncertain relay. Not shown after the last one: it was not accepted, send it again.
LOOK_UP_DELAYS = (2, 10, 60)
# Seconds after which a sent relay that no echo confirmed is looked up.
CONFIRM_DELAYS = (60, 600, 3600, 6 * 3600, 24 * 3600)
JITTER = 0.2


# --- claiming ---------------------------------------------------------------------------------------------------------


def claim(limit: int = BATCH) -> list[RelayTask]:
    """Take due relays under a lease, oldest first, at most one per invoice: the platform hears them in order."""
    now = timezone.now()
    earlier = RelayTask.objects.filter(
        invoice=OuterRef("invoice"), sequence__lt=OuterRef("sequence"), state__in=UNSETTLED
    )
    verdict = Validation.objects.filter(document=OuterRef("document")).exclude(state=Validation.State.WAITING)
    unchecked = Q(kind=RelayTask.Kind.INVOICE, state__in=[RelayState.SCHEDULED, RelayState.PENDING]) & ~Exists(verdict)
    quiet = Q(connection__quiet_until__gt=now) | ~Q(connection__state=Connection.State.ACTIVE)
    with transaction.atomic():
        rows = list(
            RelayTask.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(
                Q(leased_until=None) | Q(leased_until__lt=now),
                state__in=[RelayState.SCHEDULED, RelayState.PENDING, RelayState.UNCERTAIN, RelayState.SENT],
                next_attempt_at__lte=now,
            )
            .exclude(quiet)
            .exclude(unchecked)
            .filter(~Exists(earlier))
            .select_related("event", "document", "invoice__addressing_line", "connection")
            .prefetch_related("document__validations")
            .order_by("next_attempt_at")[:limit]
        )
        for row in rows:
            row.leased_until = now + timedelta(seconds=settings.LEASE_SECONDS)
            if row.state in (RelayState.SCHEDULED, RelayState.PENDING):
                row.state = RelayState.SENDING
        for state in {row.state for row in rows}:
            # Two plain updates at most; `bulk_update` took as long as all the rest.
            claimed = RelayTask.objects.filter(pk__in=[row.pk for row in rows if row.state == state])
            claimed.update(state=state, leased_until=rows[0].leased_until)
    return rows


def free_stuck() -> int:
    """What a killed worker was sending may have arrived: it becomes uncertain."""
    stuck = RelayTask.objects.filter(state=RelayState.SENDING, leased_until__lt=timezone.now())
    return stuck.update(
        state=RelayState.UNCERTAIN,
        leased_until=None,
        next_attempt_at=timezone.now(),
        last_error=_("The worker stopped while sending; the platform is asked whether it arrived."),
    )


# --- telling ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Try:
    """One try of one relay: what was done, when, and the receipt or the error."""

    relay: RelayTask
    kind: str
    started_at: datetime
    seconds: float
    receipt: Receipt | None = None
    error: Exception | None = None


def drain(limit: int = BATCH) -> int:
    """Send what is due; returns how many tries were made. The sweep or the next task goes on where time ran out."""
    free_stuck()
    made, stop_at = 0, time.monotonic() + DRAIN_SECONDS
    running: set[Future[Try]] = set()
    with ThreadPoolExecutor(max_workers=settings.RELAY_THREADS) as pool:
        while True:
            # More before the pool runs dry: no thread waits for a claim, nor for the slowest of a batch.
            if len(running) < 3 * settings.RELAY_THREADS and time.monotonic() < stop_at:
                running |= _start(pool, claim(limit))
            if not running:
                break
            tries, running = _ended(running)
            _record_all(tries)
            made += len(tries)
    if time.monotonic() >= stop_at:
        nudge(DRAIN_TASK)
    _nudge_for_next()
    return made


def _start(pool: ThreadPoolExecutor, rows: list[RelayTask]) -> set[Future[Try]]:
    adapters = {connection: _adapter_or_fault(connection) for connection in {row.connection for row in rows}}
    known = known_of(row for row in rows if row.state in (RelayState.UNCERTAIN, RelayState.SENT))
    return {pool.submit(_tell, adapters[row.connection], row, known.get(row.pk, NOTHING)) for row in rows}


def _ended(running: set[Future[Try]]) -> tuple[list[Try], set[Future[Try]]]:
    """What ended, with what ends right after it: a slow platform does not hold back the news of a quick one."""
    wait(running, return_when=FIRST_COMPLETED)
    ended, still = wait(running, timeout=GATHER_SECONDS)
    return [future.result() for future in ended], still


def _adapter_or_fault(connection: Connection) -> Adapter | TemporaryError:
    """A connection that cannot be set up must not stop the others; nothing was sent."""
    try:
        return get_adapter(connection)
    except Exception as error:
        logger.exception("Connection %s cannot be used", connection.name)
        return TemporaryError(
            _("Connection “%(connection)s” cannot be used: %(error)s") % {"connection": connection.name, "error": error}
        )


def _tell(adapter: Adapter | TemporaryError, relay: RelayTask, known: Known = NOTHING) -> Try:
    sending = relay.state == RelayState.SENDING
    kind = RelayAttempt.Kind.SEND if sending else RelayAttempt.Kind.LOOK_UP
    started_at, clock = timezone.now(), time.monotonic()
    receipt: Receipt | None = None
    error: Exception | None = None
    try:
        if isinstance(adapter, TemporaryError):
            raise adapter
        if sending:
            _require_lease(relay)
        receipt = SPEAK[relay.kind, kind](adapter, relay, known)
    except SealBroken as broken:  # whoever cannot open a secret has said nothing yet
        error = TemporaryError(str(broken))
    except Exception as raised:  # an adapter's own fault must not stop the batch; it is recorded as uncertain
        error = raised
    finally:
        if database.connection is not None and not database.in_atomic_block:
            database.close()  # this thread's own, where a token was read
    return Try(relay, kind, started_at, time.monotonic() - clock, receipt, error)


def _require_lease(relay: RelayTask) -> None:
    """Whoever waited in the pool until the lease is half over does not speak: another worker may take the relay up."""
    half = timedelta(seconds=settings.LEASE_SECONDS / 2)
    if relay.leased_until is None or timezone.now() > relay.leased_until - half:
        raise TemporaryError(_("It waited too long in the worker and was not sent."))


# --- recording --------------------------------------------------------------------------------------------------------


def _record_all(tries: list[Try]) -> None:
    with transaction.atomic():
        RelayAttempt.objects.bulk_create([_attempt(each) for each in tries])
        for each in tries:
            if not each.relay.is_submission:
                _record(each)
    for each in tries:
        if each.relay.is_submission:
            _record_submission(each)


@transaction.atomic
def _record_submission(each: Try) -> None:
    """One at a time: the invoice is locked before its relay, as everywhere."""
    invoice = events.lock_invoice(each.relay.invoice_id)
    _record(each)
    if each.receipt and each.receipt.refused:
        invoice.provider_ref = ""  # what the platform gave a reference and refused; the next try gets another
        invoice.save(update_fields=["provider_ref", "updated_at"])
        return
    reference = storable(each.receipt.reference)[:200] if each.receipt else ""
    if not reference or invoice.provider_ref:
        return
    if Invoice.objects.filter(connection=invoice.connection, provider_ref=reference).exists():
        logger.error("Invoice %s: its platform's reference %s is another invoice's here", invoice.pk, reference)
        return
    invoice.provider_ref = reference
    invoice.save(update_fields=["provider_ref", "updated_at"])
    inbox.wake(invoice)


def _attempt(each: Try) -> RelayAttempt:
    error = each.error
    platform_error = error if isinstance(error, PlatformError) else None
    found = "accepted" if each.kind == RelayAttempt.Kind.SEND else "found"
    return RelayAttempt(
        relay=each.relay,
        kind=each.kind,
        started_at=each.started_at,
        duration_ms=round(each.seconds * 1000),
        outcome=type(error).__name__ if error else found if each.receipt else "not found",
        status_code=platform_error.status_code if platform_error else None,
        message=_words(error),
        answer=storable(platform_error.answer if platform_error else each.receipt.text[:4000] if each.receipt else ""),
    )


def _words(error: Exception | None) -> str:
    if error is None:
        return ""
    if isinstance(error, PlatformError):
        return storable(error.message)
    return _("The adapter failed (%(error)s); whether the platform was told is not known.") % {
        "error": type(error).__name__
    }


def _record(each: Try) -> None:
    """Write the outcome, unless the echo of it was quicker and confirmed the relay."""
    relay = each.relay
    changes = _changes(each) | {"leased_until": None}
    mine = RelayTask.objects.filter(pk=relay.pk, state=relay.state, leased_until=relay.leased_until)
    count = "attempts" if each.kind == RelayAttempt.Kind.SEND else "look_ups"
    one_more = {count: F(count) + 1}
    if not mine.update(**(one_more | changes)):
        RelayTask.objects.filter(pk=relay.pk).update(**one_more)
    if isinstance(each.error, TemporaryError) and each.error.retry_after:
        until = timezone.now() + timedelta(seconds=each.error.retry_after)
        Connection.objects.filter(pk=relay.connection_id).update(quiet_until=Greatest("quiet_until", until))


def _changes(each: Try) -> dict[str, Any]:
    if each.kind == RelayAttempt.Kind.LOOK_UP:
        return _after_look_up(each)
    if each.receipt is not None:
        return _accepted(each.receipt)
    error, words = each.error, _words(each.error)
    if isinstance(error, TemporaryError):
        return _again_later(each.relay, words, error.retry_after)
    if isinstance(error, Unsupported):
        return {"state": RelayState.UNSUPPORTED, "next_attempt_at": None, "last_error": words}
    if isinstance(error, PermanentError):
        return {"state": RelayState.FAILED, "next_attempt_at": None, "last_error": words}
    return {"state": RelayState.UNCERTAIN, "next_attempt_at": _after(LOOK_UP_DELAYS[0]), "last_error": words}


def _accepted(receipt: Receipt) -> dict[str, Any]:
    now = timezone.now()
    changes: dict[str, Any] = {
        "state": RelayState.SENT,
        "sent_at": now,
        "look_ups": 0,
        "next_attempt_at": _after(CONFIRM_DELAYS[0]),
        "last_error": "",
        "receipt": _noted(receipt),
    }
    if receipt.confirmed:
        changes |= {"state": RelayState.CONFIRMED, "confirmed_at": now, "next_attempt_at": None}
    return changes


def _noted(receipt: Receipt) -> dict[str, str]:
    return {
        "reference": storable(receipt.reference),
        "text": storable(receipt.text[:500]),
        "at": timezone.now().isoformat(),
    }


def _refused(text: str) -> dict[str, Any]:
    """It was taken in, and turned down afterwards."""
    return {"state": RelayState.FAILED, "next_attempt_at": None, "last_error": storable(text)}


def _again_later(relay: RelayTask, words: str, retry_after: float | None) -> dict[str, Any]:
    if relay.attempts >= len(RETRY_DELAYS):
        return {"state": RelayState.FAILED, "next_attempt_at": None, "last_error": words}
    delay = max(RETRY_DELAYS[relay.attempts], retry_after or 0)
    return {"state": RelayState.PENDING, "next_attempt_at": _after(delay), "last_error": words}


def _after_look_up(each: Try) -> dict[str, Any]:
    relay = each.relay
    if relay.state == RelayState.SENT:
        return _after_confirmation_look_up(each)
    if each.receipt is not None:
        return _refused(each.receipt.text) if each.receipt.refused else _accepted(each.receipt)
    if isinstance(each.error, Unsupported):
        words = _("%(error)s Look at the platform yourself, then say whether it arrived.") % {
            "error": _words(each.error)
        }
        return {"next_attempt_at": None, "last_error": words}
    made = relay.look_ups + (each.error is None)
    if each.error is not None:
        return {"next_attempt_at": _after(LOOK_UP_DELAYS[-1]), "last_error": _words(each.error)}
    if made < len(LOOK_UP_DELAYS):
        return {"next_attempt_at": _after(LOOK_UP_DELAYS[made])}
    return {
        "state": RelayState.PENDING,
        "look_ups": 0,
        "next_attempt_at": timezone.now(),
        "last_error": _("The platform does not show it after several look-ups; it is sent again."),
    }


def _after_confirmation_look_up(each: Try) -> dict[str, Any]:
    """A sent relay stays sent: nothing is said again because an echo is missing."""
    if each.receipt is not None and each.receipt.refused:
        return _refused(each.receipt.text)
    if each.receipt is not None and each.receipt.confirmed:
        shown = {"receipt": _noted(each.receipt)}
        return shown | {"state": RelayState.CONFIRMED, "confirmed_at": timezone.now(), "next_attempt_at": None}
    made = each.relay.look_ups + 1
    later = _after(CONFIRM_DELAYS[made]) if made < len(CONFIRM_DELAYS) else None
    return {"next_attempt_at": None if isinstance(each.error, Unsupported) else later}


def record_verdict(connection: Connection, verdict: Verdict) -> None:
    """What a platform says by itself of a message it had taken in. A confirmed one stays confirmed."""
    try:
        relay_id = uuid.UUID(verdict.message_id)
    except ValueError:
        return  # told by other software of our customer's
    now = timezone.now()
    accepted = {
        "state": RelayState.CONFIRMED,
        "confirmed_at": now,
        "sent_at": Coalesce("sent_at", now),
        "next_attempt_at": None,
        "last_error": "",
    }
    told = RelayTask.objects.filter(
        pk=relay_id,
        connection=connection,
        state__in=[RelayState.SENDING, RelayState.SENT, RelayState.UNCERTAIN],
    )
    told.update(**(accepted if verdict.is_accepted else _refused(verdict.text)), leased_until=None)


def _after(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds * (1 + random.uniform(0, JITTER)))


def _nudge_for_next() -> None:
    """Come back when the next row is due, if that is before the sweep would."""
    waiting = RelayTask.objects.filter(
        state__in=[RelayState.SCHEDULED, RelayState.PENDING, RelayState.UNCERTAIN], next_attempt_at__gt=timezone.now()
    )
    due = waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    if due and (seconds := (due - timezone.now()).total_seconds()) < 60:
        nudge(DRAIN_TASK, delay=max(seconds, 0.05))

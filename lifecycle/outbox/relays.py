"""The outbox: claim due relays, tell the platforms outside any transaction, record what came back.

The rows are the queue. Several workers may drain at once; what a killed one had taken up is due again, and only what
may have reached the wire is uncertain: it is looked up, never blindly sent again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Direction, Invoice
from lifecycle.history import events, exchanges
from lifecycle.inbox import queue
from lifecycle.models import RelayAttempt, RelayState, RelayTask
from providers.connections import health
from providers.connections.services import storable
from providers.contract.base import NotSpoken, PermanentError, PlatformError, Receipt, TemporaryError, Unsupported
from providers.models import Connection

from . import states
from .lanes import Drain, Try
from .states import confirmed, move, nudge_drain, refused

logger = logging.getLogger(__name__)

# Seconds before the next try after a temporary failure, by number of tries made; about a day in all, then a person.
RETRY_DELAYS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800)
# Seconds before the next try of what never left us, or by which an ill connection was tried: another relay's turn.
TURN_DELAY = 60
# Seconds before each look-up of an uncertain relay. Not shown by so many, and after the platform's own patience, it was
# not accepted: it is sent again.
LOOK_UP_DELAYS = (2, 10, 60)
# Where they fail, or it may be there without being shown yet: ever more rarely; the last one stays.
LATER_LOOK_UP_DELAYS = (300, 900, 1800, 3600)
# Seconds after which a sent relay that no echo confirmed is looked up.
CONFIRM_DELAYS = (60, 600, 3600, 6 * 3600, 24 * 3600)
JITTER = 0.2
# What has a legal deadline is tried again within a quarter of the time left, but not more often than each minute; where
# the time is over, within a quarter of an hour.
DEADLINE_SHARE = 4
DEADLINE_LEAST = timedelta(minutes=1)
LATE_MOST = timedelta(minutes=15)


def drain() -> int:
    """Tell what is due and ask about what is uncertain; returns how many tries were made. What time did not suffice for
    is another task's.
    """
    doubtful = states.doubt_killed()
    if doubtful:
        logger.warning("%s relays were being told by a worker that stopped: they are looked up", doubtful)
    states.wake()
    made = Drain(record).run()
    nudge_for_next()
    return made


def nudge_for_next() -> None:
    """Come back when the next row is due, if that is before the sweep would."""
    waiting = RelayTask.objects.filter(
        state__in=[RelayState.SCHEDULED, RelayState.PENDING, RelayState.UNCERTAIN],
        connection__state=Connection.State.ACTIVE,
    )
    moments = Greatest("next_attempt_at", "leased_until", "connection__quiet_until", "connection__probe_at")
    soon = waiting.annotate(moment=moments).filter(moment__gt=timezone.now())
    due = soon.order_by("moment").values_list("moment", flat=True).first()
    if due and (seconds := (due - timezone.now()).total_seconds()) < 60:
        nudge_drain(delay=max(seconds, 0.05))


def nudge_for_due() -> None:
    """Every sweep: in a task of its own, which has the time that telling may take."""
    nudge_drain()


# --- recording --------------------------------------------------------------------------------------------------------


def record(tries: Sequence[Try]) -> None:
    """Write what came of these tries in one transaction: all of it or nothing."""
    with transaction.atomic():
        # Invoices are locked before their relays, as everywhere.
        handed_in = sorted({each.relay.invoice_id for each in tries if each.relay.is_submission})
        invoices = {key: events.lock_invoice(key) for key in handed_in}
        exchanges.append([_attempt(each) for each in tries if not each.is_none])
        _count(tries)
        accepted = [each for each in tries if each.is_sending and each.receipt and each.spoke_at]
        for is_confirmed in (False, True):
            _accept([each for each in accepted if each.receipt and each.receipt.confirmed == is_confirmed])
        for each in tries:
            if each not in accepted:
                _move(each)
            if each.relay.is_submission:
                _note_reference(each, invoices[each.relay.invoice_id])


def _count(tries: Sequence[Try]) -> None:
    """Also where the platform's own news was quicker and settled the relay."""
    for kind, column in ((RelayAttempt.Kind.SEND, "attempts"), (RelayAttempt.Kind.LOOK_UP, "look_ups")):
        made = [each.relay.pk for each in tries if each.kind == kind and not (each.is_none or each.claim.is_probe)]
        if made:
            RelayTask.objects.filter(pk__in=made).update(**{column: F(column) + 1})


def _accept(tries: Sequence[Try]) -> None:
    """What the platform took in just now, in one statement: each gets the receipt that its own call brought."""
    receipt = tries[0].receipt if tries else None
    if receipt is None:
        return
    told = RelayTask.objects.filter(reduce(or_, [Q(pk=each.relay.pk, spoke_at=each.spoke_at) for each in tries]))
    calls = RelayAttempt.objects.filter(relay=OuterRef("pk"), kind=RelayAttempt.Kind.SEND).order_by("-pk")
    name, changes = _accepted(receipt)
    move(told, name, **changes | {"receipt": Subquery(calls.values("receipt")[:1])})


def _note_reference(each: Try, invoice: Invoice) -> None:
    if each.receipt and each.receipt.refused:
        # What the platform gave a reference and refused; the next try gets another.
        Invoice.objects.filter(pk=invoice.pk).update(provider_ref="", updated_at=timezone.now())
        return
    reference = storable(each.receipt.reference)[:200] if each.receipt else ""
    if not reference or invoice.provider_ref:
        return
    if not (_give_reference(invoice, reference) or _give_reference(invoice, reference)):
        logger.error("Invoice %s: its platform's reference %s is another invoice's here", invoice.pk, reference)
        return
    invoice.provider_ref = reference
    queue.wake(invoice)


def _give_reference(invoice: Invoice, reference: str) -> bool:
    """False where another invoice has it, or is being given it at this moment (then the second try sees that one)."""
    try:
        with transaction.atomic():
            for other in Invoice.objects.filter(connection=invoice.connection_id, provider_ref=reference):
                if not _is_shell(other):
                    return False
                other.delete()
            Invoice.objects.filter(pk=invoice.pk).update(provider_ref=reference, updated_at=timezone.now())
    except IntegrityError:
        return False
    return True


def _is_shell(invoice: Invoice) -> bool:
    """Nothing but an announcement: the platform named the reference, before it told us that it is this invoice's."""
    filled = invoice.status_events.exists() or invoice.documents.exists() or invoice.relays.exists()
    return invoice.direction == Direction.ISSUED and not invoice.number and not filled


def _attempt(each: Try) -> RelayAttempt:
    error = each.error
    platform_error = error if isinstance(error, PlatformError) else None
    found = "accepted" if each.is_sending else "found"
    return RelayAttempt(
        relay=each.relay,
        kind=each.kind,
        started_at=each.started_at,
        duration_ms=round(each.seconds * 1000),
        outcome=type(error).__name__ if error else found if each.receipt else NOT_FOUND,
        status_code=platform_error.status_code if platform_error else None,
        message=words_of(error),
        answer=storable(platform_error.answer if platform_error else each.receipt.text[:4000] if each.receipt else ""),
        receipt=_noted(each.receipt) if each.receipt else None,
        sent=exchanges.request_of(each.spoken) if each.spoken else None,
        sent_body=each.spoken.body if each.spoken else None,
    )


NOT_FOUND = "not found"


def words_of(error: Exception | None) -> str:
    if error is None:
        return ""
    if isinstance(error, PlatformError):
        return storable(error.message)
    if health.needs_person(error):
        return storable(str(error))
    return _("The adapter failed (%(error)s); whether the platform was told is not known.") % {
        "error": type(error).__name__
    }


def _move(each: Try) -> None:
    """Make the move, unless the platform's own news was quicker and settled the relay."""
    relay = each.relay
    name, changes = _after_sending(each) if each.is_sending else _after_look_up(each)
    rows = each.claim.mine.filter(state=relay.state)
    if each.is_sending:
        # What spoke is known by its mark, even if its lease ran out meanwhile.
        rows = states.one(relay).filter(spoke_at=each.spoke_at) if each.spoke_at else each.claim.mine
    if name:
        move(rows, name, **changes)
    else:
        rows.update(leased_until=None, **changes)


# --- after sending ----------------------------------------------------------------------------------------------------


def _after_sending(each: Try) -> tuple[str, dict[str, Any]]:
    if each.receipt is not None:
        return _accepted(each.receipt)
    relay, error, words = each.relay, each.error, words_of(each.error)
    not_taken = {"last_error": words, "spoke_at": relay.spoke_at}  # as before this try
    if isinstance(error, NotSpoken):
        return ("unspeak", {"spoke_at": relay.spoke_at}) if each.spoke_at else ("", {})
    if health.needs_person(error):
        return _later(each, not_taken | {"next_attempt_at": after(TURN_DELAY, relay)})
    if isinstance(error, Unsupported):
        return "cannot", not_taken | {"next_attempt_at": None}
    if isinstance(error, PermanentError):
        return "fail", not_taken | {"next_attempt_at": None}
    if isinstance(error, TemporaryError):
        return _again(each, not_taken, error.retry_after or 0)
    if each.spoke_at is None:  # a fault of the adapter's or ours, before anything left
        return _again(each, not_taken, 0)
    return "doubt", {"last_error": words, "next_attempt_at": after(LOOK_UP_DELAYS[0], relay)}


def _again(each: Try, changes: dict[str, Any], retry_after: float) -> tuple[str, dict[str, Any]]:
    relay = each.relay
    if each.is_none or each.claim.is_probe:
        return _later(each, changes | {"next_attempt_at": after(max(TURN_DELAY, retry_after), relay)})
    if relay.attempts >= len(RETRY_DELAYS) and (relay.deadline_at is None or timezone.now() > relay.deadline_at):
        return "fail", changes | {"next_attempt_at": None}
    delay = RETRY_DELAYS[min(relay.attempts, len(RETRY_DELAYS) - 1)]
    return _later(each, changes | {"next_attempt_at": after(delay, relay, least=retry_after)})


def _later(each: Try, changes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "unspeak" if each.spoke_at else "", changes


def _accepted(receipt: Receipt) -> tuple[str, dict[str, Any]]:
    now = timezone.now()
    noted = {"receipt": _noted(receipt), "sent_at": now, "look_ups": 0, "last_error": ""}
    if receipt.confirmed:
        return "confirm", confirmed(**noted)
    return "accept", noted | {"next_attempt_at": after(CONFIRM_DELAYS[0])}


def _noted(receipt: Receipt) -> dict[str, str]:
    return {
        "reference": storable(receipt.reference),
        "text": storable(receipt.text[:500]),
        "at": timezone.now().isoformat(),
    }


# --- after a look-up --------------------------------------------------------------------------------------------------


def _after_look_up(each: Try) -> tuple[str, dict[str, Any]]:
    receipt, relay = each.receipt, each.relay
    if receipt is not None and receipt.refused:
        return "refuse", refused(receipt.text)
    if relay.state == RelayState.SENT:
        return _after_confirmation_look_up(each)
    if receipt is not None:
        return _accepted(receipt)
    delays = LOOK_UP_DELAYS + LATER_LOOK_UP_DELAYS
    delay = delays[min(relay.look_ups + 1, len(delays) - 1)]
    if isinstance(each.error, Unsupported):
        words = _("%(error)s Look at the platform yourself, then say whether it arrived.") % {
            "error": words_of(each.error)
        }
        return "", {"next_attempt_at": None, "last_error": words}
    if each.error is not None:
        delay = TURN_DELAY if each.claim.is_probe else max(delay, LOOK_UP_DELAYS[-1])
        return "", {"next_attempt_at": after(delay, relay), "last_error": words_of(each.error)}
    shown_from = (relay.spoke_at or each.started_at) + timedelta(seconds=each.shown_after)
    if _times_not_shown(relay) >= len(LOOK_UP_DELAYS) and timezone.now() >= shown_from:
        words = _("The platform does not show it after several look-ups; it is sent again.")
        return "say_again", {"look_ups": 0, "next_attempt_at": timezone.now(), "last_error": words}
    return "", {"next_attempt_at": max(after(delay, relay), shown_from)}


def _times_not_shown(relay: RelayTask) -> int:
    """Since it was told last; this look-up is among them."""
    looks = RelayAttempt.objects.filter(relay=relay, kind=RelayAttempt.Kind.LOOK_UP, outcome=NOT_FOUND)
    return (looks.filter(started_at__gte=relay.spoke_at) if relay.spoke_at else looks).count()


def _after_confirmation_look_up(each: Try) -> tuple[str, dict[str, Any]]:
    """A sent relay stays sent: nothing is said again because an echo is missing."""
    if each.receipt is not None and each.receipt.confirmed:
        return "confirm", confirmed(receipt=_noted(each.receipt))
    if isinstance(each.error, Unsupported):
        return "", {"next_attempt_at": None}
    if each.claim.is_probe:
        return "", {"next_attempt_at": after(TURN_DELAY)}
    made = each.relay.look_ups + 1
    return "", {"next_attempt_at": after(CONFIRM_DELAYS[made]) if made < len(CONFIRM_DELAYS) else None}


# --- when -------------------------------------------------------------------------------------------------------------


def after(seconds: float, relay: RelayTask | None = None, *, least: float = 0) -> datetime:
    """That many seconds from now, and some; sooner where the relay's legal deadline wants it, never before `least`."""
    now = timezone.now()
    wait = timedelta(seconds=max(seconds, least) * (1 + random.uniform(0, JITTER)))
    if relay is not None and relay.deadline_at:
        left = relay.deadline_at - now
        most = max(left / DEADLINE_SHARE, DEADLINE_LEAST) if left > timedelta() else LATE_MOST
        wait = max(min(wait, most), timedelta(seconds=least))
    return now + wait

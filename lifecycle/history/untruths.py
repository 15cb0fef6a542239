"""What is shown of invoices and relays, and their history or file does not bear out, in words; "" where all is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from invoices.models import DocumentState, Invoice
from invoices.register.services import AMOUNTS, describe
from invoices.register.stored import read_stored_original
from lifecycle.models import Origin, RelayAttempt, RelayTask, StatusEvent
from providers.formats.xml import UnreadableDocument
from providers.norm.codes import PPF_DEADLINE_HOURS, Status

from . import answers, events
from .exchanges import WRITTEN_WITHIN

# What an invoice owes is what its file says.
STATED = ("number", "type_code", "issue_date", "currency", *AMOUNTS)
# A clock that was set meanwhile, and what columns round.
SLACK = timedelta(seconds=2)


@transaction.atomic
def of_invoice(invoice_id: Any) -> str:
    invoice = events.lock_invoice(invoice_id)
    decided = StatusEvent.objects.filter(invoice=invoice, origin=Origin.US, actor__isnull=False, status__isnull=False)
    if lost := decided.filter(relay=None).exclude(source_key__startswith=answers.SETTLES).order_by("sequence").first():
        return f"what event {lost.sequence} decided is there, and the relay that tells it is not"
    status, moment = events.standing_of(invoice)
    if status != invoice.status:
        return f"it is shown as {invoice.status}, and its history makes it {status}"
    if status and moment != invoice.status_at:
        return f"it is shown as {status} since {invoice.status_at}, and its history says since {moment}"
    return ""


def of_file(invoice: Invoice) -> str:
    """Where its file was read: what it says is what is shown."""
    if invoice.document_state != DocumentState.READ:
        return ""
    shown = {name: getattr(invoice, name) for name in STATED}
    try:
        describe(invoice, read_stored_original(invoice), "")
    except (OSError, UnreadableDocument):
        return ""  # told of the file itself
    wrong = next((name for name in STATED if shown[name] != getattr(invoice, name)), None)
    return f"its {wrong} is shown as {shown[wrong]}, and its file says {getattr(invoice, wrong)}" if wrong else ""


def of_relay(relay: RelayTask) -> str:
    """`event`, its sightings and the tries may be fetched already."""
    if relay.released_by_id and relay.released_by_id == relay.actor_id and relay.event:
        return "it was released by whom it was decided by"
    return _of_deadline(relay) or _of_speaking(relay) or _of_confirmation(relay)


def _of_deadline(relay: RelayTask) -> str:
    """The administration's clock runs from the decision, and anew from an answer that turned the status down."""
    if relay.deadline_at is None or relay.event is None:
        return ""
    since = relay.deadline_at - timedelta(hours=PPF_DEADLINE_HOURS)
    around = {"occurred_at__range": (since - SLACK, since + SLACK)}
    answers_to_it = StatusEvent.objects.filter(invoice=relay.invoice_id, status=Status.STATUS_REJECTED, **around)
    if abs(relay.event.occurred_at - since) <= SLACK or answers_to_it.exists():
        return ""
    return f"its legal deadline is shown as {relay.deadline_at}, and nothing of its history was said 24 hours before"


def _of_speaking(relay: RelayTask) -> str:
    """It spoke during one of its tries. Where its worker was killed then, no try tells: it spoke after all of them, and
    before it was found on the platform.
    """
    if relay.spoke_at is None:
        return ""
    sends = [each for each in relay.tries.all() if each.kind == RelayAttempt.Kind.SEND]
    if any(each.started_at - SLACK <= relay.spoke_at <= _end_of(each) for each in sends):
        return ""
    is_last = all(_end_of(each) <= relay.spoke_at for each in sends)
    if is_last and (relay.sent_at is None or relay.spoke_at <= relay.sent_at):
        return ""
    return f"the time at which it spoke, {relay.spoke_at}, is none of its tries'"


def _end_of(each: RelayAttempt) -> datetime:
    return each.started_at + timedelta(milliseconds=each.duration_ms) + SLACK


def _of_confirmation(relay: RelayTask) -> str:
    """Not before it was decided and spoke, nor after the platform showed it."""
    if relay.confirmed_at is None or relay.event is None:
        return ""
    first = max(filter(None, (relay.event.recorded_at, relay.spoke_at))) - SLACK
    shown = [each.seen_at for each in relay.event.sightings.all() if each.seen_at and each.seen_at >= first]
    last = min([moment + WRITTEN_WITHIN for moment in shown], default=timezone.now() + SLACK)
    if first <= relay.confirmed_at <= last:
        return ""
    return f"it is shown as confirmed at {relay.confirmed_at}, and its history does not bear that out"

"""Which submission a platform's rejection (213) answers: one of another transmission does not move the invoice."""

from __future__ import annotations

from collections.abc import Container, Sequence
from uuid import UUID

from invoices.models import Invoice
from lifecycle.models import WITHOUT_EFFECT, RelayAttempt, RelayTask, StatusEvent
from providers.norm.codes import STATUSES, Status, StatusObject
from providers.norm.transitions import Said, is_of_another_transmission

from . import ordering

# Outcomes of a try after which the platform surely had nothing.
NEVER_ARRIVED = ("TemporaryError", "PermanentError", "Unsupported")


def said_events(invoice: Invoice) -> list[StatusEvent]:
    """All that was said and not taken back, each whole, in the order that decides."""
    return ordering.counting(StatusEvent.links.filter(invoice=invoice).exclude(relay__state__in=WITHOUT_EFFECT))


def counting(events: Sequence[StatusEvent]) -> list[StatusEvent]:
    """Of one invoice's events in the order of the projection, those that speak of the invoice itself."""
    others = of_others(events)
    return [event for event in events if event not in others]


def of_others(events: Sequence[StatusEvent]) -> list[StatusEvent]:
    """The rejections among them that answer another transmission."""
    if not any(event.status == Status.REJECTED for event in events):
        return []
    history = [Said(event.status, event.sequence, reason_codes(event), event.actor_id is not None) for event in events]
    twice = _told_twice(events[0].invoice_id)
    return [event for place, event in enumerate(events) if is_of_another_transmission(history, place, told_twice=twice)]


def subject_of(event: StatusEvent, others: Container[StatusEvent]) -> StatusObject | None:
    """What an event speaks of; None for a word nobody knows."""
    if event in others:
        return StatusObject.TRANSMISSION
    return STATUSES[event.status].object if event.status and event.status in STATUSES else None


def reason_codes(event: StatusEvent) -> frozenset[str]:
    return frozenset(row.get("code", "") for row in event.reasons)


def _told_twice(invoice_id: UUID) -> bool:
    """We handed it in more than once: whether the first arrived was not known then."""
    sent = RelayAttempt.objects.filter(
        relay__invoice=invoice_id, relay__kind=RelayTask.Kind.INVOICE, kind=RelayAttempt.Kind.SEND
    )
    return sent.exclude(outcome__in=NEVER_ARRIVED).count() > 1

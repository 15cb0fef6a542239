"""Which events count for an invoice, and in what order. The one notion of it: pages, projection, amounts, permissions.

Pure: rows in, rows out. What comes out is for reading; the rows of the chain itself are never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from lifecycle.models import Origin, StatusEvent, TimeSource
from providers.norm.codes import INVOICE_STATUSES, Status

# Two machines' clocks: a platform may date what follows our status a little before it.
CLOCK_TOLERANCE = timedelta(minutes=5)
# The way of an invoice to its buyer, which goes one way.
STEPS = (Status.SUBMITTED.value, Status.ISSUED.value, Status.RECEIVED.value, Status.MADE_AVAILABLE.value)


def shown(rows: Iterable[StatusEvent]) -> list[StatusEvent]:
    """Each event once, with what later reports added to it, by the time they say, then by arrival."""
    links = sorted(rows, key=lambda row: row.sequence)
    more: dict[object, list[StatusEvent]] = {}
    for row in links:
        if row.completes_id:
            more.setdefault(row.completes_id, []).append(row)
    events = [completed(row, more.get(row.pk, ())) for row in links if not row.completes_id]
    return sorted(events, key=lambda event: (event.occurred_at, event.sequence))


def completed(event: StatusEvent, additions: Sequence[StatusEvent]) -> StatusEvent:
    """A copy for reading: what the event left open is taken from what was added."""
    if not additions:
        return event
    whole = copy.copy(event)
    for each in additions:
        if (whole.derived and not each.derived) or whole.time_source == TimeSource.ARRIVAL != each.time_source:
            whole.occurred_at, whole.time_source, whole.told_time = each.occurred_at, each.time_source, each.told_time
        if whole.derived and not each.derived:
            whole.note, whole.derived = "", False
        whole.reasons = max(whole.reasons, each.reasons, key=len)
        for name in ("payments", "note", "issuer_role", "emitter", "ppf_duty"):
            setattr(whole, name, getattr(whole, name) or getattr(each, name))
    return whole


def counting(rows: Iterable[StatusEvent], *, by_arrival: bool = False) -> list[StatusEvent]:
    """What counts, in the order that decides.

    By the time they say, with three corrections: what we issued comes after all that we had heard by then, whatever
    their clocks say; a step of the way to the buyer never takes back what lies beyond it; a code that was only derived
    takes nothing back. `by_arrival`: as if all that came after a status of ours had also been said after it.
    """
    ordered: list[StatusEvent] = []
    for event in (_by_turns if by_arrival else _by_cause)(shown(rows)):
        code = event.status
        if code not in INVOICE_STATUSES:
            ordered.append(event)
        elif event.derived and _reached(ordered) >= code:
            continue
        elif code in STEPS:
            ordered.insert(_place_of_step(code, ordered), event)
        else:
            ordered.append(event)
    return ordered


def _by_cause(events: Iterable[StatusEvent]) -> list[StatusEvent]:
    """Ours after what had arrived before them."""
    latest: datetime | None = None
    places = []
    for event in sorted(events, key=lambda event: event.sequence):
        moment = max(event.occurred_at, latest) if latest and event.origin == Origin.US else event.occurred_at
        latest = max(moment, latest) if latest else moment
        places.append((moment, event.sequence, event))
    return [event for _moment, _sequence, event in sorted(places, key=lambda place: place[:2])]


def _by_turns(events: Iterable[StatusEvent]) -> list[StatusEvent]:
    """Each of ours, then what arrived before the next of ours, by the time it says."""
    turn, places = 0, []
    for event in sorted(events, key=lambda event: event.sequence):
        turn += event.origin == Origin.US
        places.append((turn, event.origin != Origin.US, event.occurred_at, event.sequence, event))
    return [place[-1] for place in sorted(places, key=lambda place: place[:-1])]


def _reached(ordered: Iterable[StatusEvent]) -> str:
    """The last code, "" before any."""
    return next((event.status for event in reversed(list(ordered)) if event.status in INVOICE_STATUSES), "")


def _place_of_step(code: str, ordered: Sequence[StatusEvent]) -> int:
    """Before the first that lies beyond it since the invoice set out (again, after a routing error)."""
    starts = [place for place, event in enumerate(ordered) if event.status == Status.ROUTING_ERROR]
    start = starts[-1] + 1 if starts else 0
    codes = [event.status if event.status in INVOICE_STATUSES else "" for event in ordered]
    return next((place for place in range(start, len(codes)) if codes[place] > code), len(ordered))

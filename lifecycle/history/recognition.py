"""Whether a report tells what was told before: the same again, more of it, or our own status coming back.

An identity decides where the protocol gives one, else what is stated (`statements`). Reads, and writes nothing but the
end of a relay that need not speak any more.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Invoice
from lifecycle.models import NOT_TOLD, WITHOUT_EFFECT, Origin, RelayState, RelayTask, SeenReport, StatusEvent
from lifecycle.outbox.states import MOVES, move, one
from providers.connections.services import storable_key
from providers.contract.base import StatusReport

from . import ordering
from .ordering import CLOCK_TOLERANCE
from .statements import (
    Statement,
    adds,
    are_of_one_moment,
    contradict,
    contradict_in_detail,
    digest_of,
    goes_beyond,
    leaves_out,
    of_event,
    say_the_same,
)

# Until when after we spoke what a platform shows may be the echo of it.
ECHO_WINDOW = timedelta(hours=24)
# How long after a fact a push without a time may still speak of it.
RECENT = timedelta(hours=1)
# Begins the identity of a report that the platform names itself.
KEYED = "key:"
# What a message bears after our id in the copy for the administration.
TO_PPF_SUFFIX = "-PPF"


def whole(event: StatusEvent) -> StatusEvent:
    return ordering.completed(event, event.additions)


def identity_of(report: StatusReport) -> str:
    """What makes two reports the same: the platform's key, else all it states."""
    return storable_key(f"{KEYED}{report.key}") if report.key else digest_of(report)


def find_seen(invoice: Invoice, report: StatusReport, said: Statement, digest: str) -> tuple[str, StatusEvent | None]:
    """The report's identity, and the event it made or met when it came before under it.

    A key that bears other reasons or amounts now was given twice: then it is no identity.
    """
    identity = identity_of(report)
    for each in (identity, storable_key(f"{identity}#{digest}")):
        earlier = Q(identity=each) if report.key else Q(identity=each) | Q(identity=_older_identity(report), digest="")
        seen = SeenReport.objects.filter(earlier, invoice=invoice).select_related("event").first()
        if seen is None or not contradict_in_detail(said, of_event(whole(seen.event))):
            return each, seen.event if seen else None
    return each, seen.event if seen else None


def _older_identity(report: StatusReport) -> str:
    """What reports without a key were known by until November 2026."""
    try:
        moment = report.occurred_at.astimezone(UTC).isoformat() if report.occurred_at else "untimed"
    except OverflowError:
        return ""
    return storable_key(f"{report.status or report.native_status}|{report.issuer_role}|{moment}")


def find_replayed(invoice: Invoice, report: StatusReport, digest: str) -> StatusEvent | None:
    """The event that stated the very same, its time included, under another identity."""
    if report.occurred_at is None and not report.said_on:
        return None
    same = SeenReport.objects.filter(invoice=invoice, digest=digest).select_related("event").order_by("pk")
    return next((sighting.event for sighting in same), None)


def find_told(invoice: Invoice, report: StatusReport, said: Statement) -> RelayTask | None:
    """The relay whose status comes back in this report.

    It is ours by the id we gave it or got for it; else what we may have told goes before what is to be done on the
    platform. What nobody released was not said, so a report of the same is the platform's own news.
    """
    if report.status is None:
        return None
    rows = RelayTask.objects.filter(invoice=invoice, event__status=report.status).exclude(state__in=WITHOUT_EFFECT)
    relays = list(rows.select_related("event").order_by("sequence"))
    ours = next((relay for relay in relays if _is_named(relay, report)), None)
    if ours is None and not report.message_id:
        seen = set(_sighted(invoice, report).values_list("event", flat=True))
        unheard = [relay for relay in relays if relay.event_id not in seen]
        unheard.sort(key=lambda relay: relay.state in NOT_TOLD)
        ours = next((relay for relay in unheard if is_echo(relay, report, said)), None)
    return ours


def find_taken_for_ours(invoice: Invoice, report: StatusReport, said: Statement) -> SeenReport | None:
    """The echo that left things out, and was another's statement after all: here comes all that we said."""
    if report.message_id:  # ours by its id, or another's
        return None
    rows = SeenReport.objects.filter(invoice=invoice, event__status=report.status).exclude(lesser=None)
    for sighting in rows.select_related("event__relay").order_by("pk"):
        relay = sighting.event.relay
        if not leaves_out(said, of_event(sighting.event)) and is_echo(relay, report, said):
            return sighting
    return None


def _sighted(invoice: Invoice, report: StatusReport) -> QuerySet[SeenReport]:
    """What was told in the report's own way: with a time, or without. Each fact is told at most once in each."""
    return SeenReport.objects.filter(invoice=invoice, is_timed=report.occurred_at is not None)


def _is_named(relay: RelayTask, report: StatusReport) -> bool:
    """The report bears our message's id, or the one that the platform gave it in its answer."""
    answered = (relay.receipt or {}).get("reference")
    own = report.message_id.removesuffix(TO_PPF_SUFFIX).replace("-", "").lower()
    return own == relay.pk.hex or (report.key != "" and report.key == answered)


def is_echo(relay: RelayTask, report: StatusReport, said: Statement) -> bool:
    """We have spoken, or a person was to do it on the platform; it contradicts nothing we said, and fits in time."""
    if not (relay.has_spoken or relay.state == RelayState.UNSUPPORTED):
        return False
    ours = of_event(relay.get_event())
    return not contradict(said, ours) and not goes_beyond(said, ours) and _fits_in_time(relay, report, said)


def _fits_in_time(relay: RelayTask, report: StatusReport, said: Statement) -> bool:
    """It bears our own time, or the platform's from when we spoke on; after a confirmation little is still to come."""
    decided_at, now = relay.get_event().occurred_at, timezone.now()
    if decided_at in said.moments:
        return True
    first, last = relay.spoke_between
    until = relay.confirmed_at + CLOCK_TOLERANCE if relay.confirmed_at else (last or now) + ECHO_WINDOW
    if report.occurred_at is None:
        return (now - RECENT if relay.confirmed_at else now) <= until
    if first - CLOCK_TOLERANCE <= report.occurred_at <= until:
        return True
    near = (last or now) + CLOCK_TOLERANCE
    return any(first - CLOCK_TOLERANCE <= moment <= near for moment in said.moments)


def give_way(invoice: Invoice, said: Statement) -> None:
    """What the platform shows already need not be told: our relay of the same is cancelled, with that reason."""
    waiting = RelayTask.objects.filter(invoice=invoice, event__status=said.status, state__in=MOVES["give_way"].origins)
    for relay in waiting.select_related("event"):
        event = relay.get_event()
        is_older = bool(said.moments) and max(said.moments) < event.occurred_at - CLOCK_TOLERANCE
        if relay.has_spoken or is_older or not say_the_same(said, of_event(event)):
            continue
        words = _("The platform showed this status before it was told: it is not told again.")
        move(one(relay), "give_way", next_attempt_at=None, last_error=words)


def find_same(invoice: Invoice, report: StatusReport, said: Statement) -> StatusEvent | None:
    """The platform's own event that this tells again: by a push without a time, by its history, or more of it."""
    rows = StatusEvent.objects.filter(invoice=invoice, origin=Origin.PLATFORM)
    rows = rows.filter(status=report.status) if report.status else rows.filter(status=None)
    seen = set(_sighted(invoice, report).values_list("event", flat=True))
    found = [event for event in rows.order_by("sequence") if _may_be_same(event, report, said, event.pk in seen)]
    # The one that says most of it already.
    return min(found, key=lambda event: (adds(said, of_event(whole(event))), event.sequence), default=None)


def _may_be_same(event: StatusEvent, report: StatusReport, said: Statement, is_told_so: bool) -> bool:
    known = of_event(whole(event))
    if contradict(said, known):
        return False
    if said.moments and known.moments and not (event.derived and not report.derived):
        return are_of_one_moment(said, known)
    if is_told_so:
        return False
    if report.occurred_at is None:
        # The history told it before the push did; only a recent fact can be meant.
        return event.recorded_at >= timezone.now() - RECENT
    return event.derived or event.occurred_at + CLOCK_TOLERANCE >= report.occurred_at

"""Where a relay stands: every change of `RelayTask.state` is one of these moves, each one conditional update.

A relay is claimed without changing its state: it is "sending" only from the moment its first byte may leave (`speak`).
What was claimed and never spoke is therefore still pending when its worker is killed, and due again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Invoice
from lifecycle.models import SPOKEN, RelayState, RelayTask
from providers.connections import health
from providers.connections.nudge import nudge
from providers.connections.services import storable
from providers.contract.base import Verdict
from providers.models import Connection

DRAIN_TASK = "lifecycle.tasks.drain_relays"
# When django-q2 ends the worker of a drain: after what it starts (45 s), the longest call (connecting, a large file, a
# dripping answer: 190 s) and recording. Less than `retry` of Q_CLUSTER, after which a task would run twice.
TASK_SECONDS = 300

State = RelayState


@dataclass(frozen=True)
class Move:
    """`spoken`: only what may have reached the platform can make it. `by`: who makes it."""

    origins: tuple[RelayState, ...]
    to: RelayState
    by: str
    spoken: bool = False


SAID = (State.SENDING, State.SENT, State.UNCERTAIN, State.PENDING)
UNSAID = (State.SCHEDULED, State.PENDING)

MOVES = {
    # the drain
    "speak": Move(UNSAID, State.SENDING, "the drain, right before the first byte may leave"),
    "unspeak": Move((State.SENDING,), State.PENDING, "the drain: surely not accepted, to be told again"),
    "doubt": Move((State.SENDING,), State.UNCERTAIN, "the drain: no answer, or none that can be understood"),
    "doubt_killed": Move((State.SENDING,), State.UNCERTAIN, "any drain: the lease of who spoke ran out"),
    "accept": Move((State.SENDING, State.UNCERTAIN, State.PENDING), State.SENT, "the platform's answer", spoken=True),
    "fail": Move((State.SENDING, *UNSAID), State.FAILED, "the drain: refused, or in vain for too long"),
    "hold": Move(UNSAID, State.FAILED, "the claim: the table is against it by now"),
    "cannot": Move((State.SENDING, *UNSAID), State.UNSUPPORTED, "the drain: the platform has no word for it"),
    "say_again": Move((State.UNCERTAIN,), State.PENDING, "a look-up: the platform would show it by now"),
    # the platform, by itself or asked
    "confirm": Move(SAID, State.CONFIRMED, "an answer, a look-up or a verdict that shows it", spoken=True),
    "refuse": Move(SAID, State.FAILED, "a look-up or a verdict: taken in, and turned down", spoken=True),
    "show": Move(
        (*SAID, State.SCHEDULED, State.FAILED, State.UNSUPPORTED), State.CONFIRMED, "its report, or a person who looked"
    ),
    "turn_down": Move(SPOKEN, State.FAILED, "its answer to what it, or the administration, had taken in"),
    "give_way": Move((*UNSAID, State.FAILED), State.CANCELLED, "the platform: it shows the same before we spoke"),
    # people
    "release": Move((State.AWAITING_APPROVAL,), State.PENDING, "a second person"),
    "release_shortly": Move((State.AWAITING_APPROVAL,), State.SCHEDULED, "a second person, with time to undo it"),
    "retry": Move((State.FAILED,), State.PENDING, "an administrator"),
    "not_there": Move((State.UNCERTAIN,), State.PENDING, "an administrator who looked at the platform"),
    "leave_to_people": Move(
        (State.AWAITING_APPROVAL, State.FAILED, State.UNCERTAIN), State.UNSUPPORTED, "release, retry, not_there"
    ),
    "cancel": Move(
        (State.AWAITING_APPROVAL, State.SCHEDULED, State.FAILED, State.UNSUPPORTED), State.CANCELLED, "whoever decided"
    ),
}  # fmt: skip


def move(rows: QuerySet[RelayTask], name: str, **changes: Any) -> int:
    """Make a move with those of `rows` that may make it; how many did. They are no longer held by any worker."""
    made = MOVES[name]
    allowed = rows.filter(state__in=made.origins)
    if made.spoken:
        allowed = allowed.exclude(spoke_at=None, state__in=UNSAID)
    return allowed.update(**{"leased_until": None, **changes, "state": made.to})


def one(relay: RelayTask) -> QuerySet[RelayTask]:
    return RelayTask.objects.filter(pk=relay.pk)


# --- speaking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A relay taken up: until when, and the version of its invoice that the table was asked about. `is_probe`: it is
    the one call by which an ill connection is tried.
    """

    relay: RelayTask
    version: int
    is_probe: bool = False

    @property
    def mine(self) -> QuerySet[RelayTask]:
        return one(self.relay).filter(leased_until=self.relay.leased_until)


def speak(claims: Iterable[Claim]) -> dict[Any, datetime]:
    """Right before the first byte may leave: which of these claims may speak, and the moment that marks it, by relay.

    One update asks all that may have changed since the claim: the state, the lease, the invoice (and so the table), and
    whether the connection may be called. What it lets through has spoken, whatever happens to this process.
    """
    asked = list(claims)
    now = timezone.now()
    rows = RelayTask.objects.filter(_unchanged(asked), state__in=MOVES["speak"].origins, leased_until__gt=now)
    until = now + timedelta(seconds=settings.LEASE_SECONDS)
    count = rows.update(state=MOVES["speak"].to, spoke_at=now, leased_until=until, look_ups=0)
    keys = [claim.relay.pk for claim in asked]
    if count < len(keys):
        keys = list(RelayTask.objects.filter(pk__in=keys, spoke_at=now).values_list("pk", flat=True))
    return dict.fromkeys(keys, now)


def _unchanged(claims: list[Claim]) -> Q:
    """Few subqueries for any number of claims: a thread waits for each word."""
    leases = [Q(pk=claim.relay.pk, leased_until=claim.relay.leased_until) for claim in claims]
    versions = [Q(pk=claim.relay.invoice_id, version=claim.version) for claim in claims]
    invoice = Invoice.objects.filter(reduce(or_, versions), pk=OuterRef("invoice_id"))
    connections = Connection.objects.filter(pk=OuterRef("connection_id"))
    may_call = Q(Exists(connections.filter(health.callable_now())))
    if probes := [claim.relay.pk for claim in claims if claim.is_probe]:
        may_call |= Q(Exists(connections.filter(state=Connection.State.ACTIVE)), pk__in=probes)
    return Q(reduce(or_, leases), may_call, Exists(invoice))


def let_go(claims: Iterable[Claim]) -> None:
    """What was taken up and is not told now is due again at once, as if it had never been taken up."""
    held = [Q(pk=claim.relay.pk, leased_until=claim.relay.leased_until) for claim in claims]
    if held:
        RelayTask.objects.filter(reduce(or_, held)).exclude(state=State.SENDING).update(leased_until=None)


def doubt_killed() -> int:
    """What a killed worker was telling may have arrived: it is looked up."""
    stuck = RelayTask.objects.filter(leased_until__lt=timezone.now())
    words = _("The worker stopped while sending; the platform is asked whether it arrived.")
    return move(stuck, "doubt_killed", next_attempt_at=timezone.now(), last_error=words)


def confirmed(**changes: Any) -> dict[str, Any]:
    """The columns of a relay that the platform shows."""
    now = timezone.now()
    shown = {"confirmed_at": now, "sent_at": Coalesce("sent_at", now), "next_attempt_at": None, "last_error": ""}
    return shown | changes


def refused(text: str) -> dict[str, Any]:
    """The columns of a relay that was taken in, and turned down afterwards."""
    return {"next_attempt_at": None, "last_error": storable(text)}


# --- when it is due ---------------------------------------------------------------------------------------------------


def nudge_drain(delay: float = 0) -> None:
    nudge(DRAIN_TASK, delay=delay, timeout=TASK_SECONDS)


def wake(*, beside: RelayTask | None = None) -> None:
    """Platforms that answer again, whoever found that out: what waited for it need not wait for longer; but for the one
    `beside` which it did, whose time to come is the platform's answer.
    """
    with transaction.atomic():
        recovered = health.take_recovered()
        if recovered:
            now = timezone.now()
            waiting = RelayTask.objects.filter(connection__in=recovered, state__in=[State.PENDING, State.UNCERTAIN])
            waiting = waiting.exclude(pk=beside.pk) if beside else waiting
            waiting.filter(next_attempt_at__gt=now).update(next_attempt_at=now)


def uncertain_hand_ins(connection_id: Any) -> QuerySet[RelayTask]:
    """Invoices handed in whose platform has not yet told us its reference: what it announces may be one of them."""
    told = RelayTask.objects.filter(connection=connection_id, kind=RelayTask.Kind.INVOICE, invoice__provider_ref="")
    return told.filter(state__in=SAID).exclude(spoke_at=None)


# --- what platforms say by themselves ---------------------------------------------------------------------------------


def record_verdict(connection: Connection, verdict: Verdict) -> None:
    """What a platform says by itself of a message it had taken in, however far we had got. A confirmed one stays so."""
    try:
        relay_id = uuid.UUID(verdict.message_id)
    except ValueError:
        return  # told by other software of our customer's
    told = RelayTask.objects.filter(pk=relay_id, connection=connection)
    if verdict.is_accepted:
        move(told, "confirm", **confirmed())
    else:
        move(told, "refuse", **refused(verdict.text))

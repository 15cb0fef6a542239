"""Which relays are taken up next: by whom they may be called, in which order, and whether they may still be told.

Nothing of a claim changes a state. It is a lease, short for what waits in a worker; `relay_states.speak` renews it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from invoices.models import Validation
from lifecycle.decisions import services
from lifecycle.models import UNSETTLED, RelayState, RelayTask
from providers.connections import health
from providers.models import Connection

from . import states as relay_states
from .states import Claim

TELLING = (RelayState.SCHEDULED, RelayState.PENDING)
LOOKING = (RelayState.UNCERTAIN, RelayState.SENT)
# Relays of one connection that a claim takes, and connections that it serves.
SHARE = 16
# Least seconds for which a claim holds; what has not spoken by then is due again, for any worker.
LEAST_LEASE = 5


def claim_to_tell(share: int = SHARE, *, passing_over: Collection[Any] = ()) -> list[Claim]:
    """Take due relays under a lease: of each connection the nearest legal deadlines, then the oldest, and of each
    invoice the first, so that the platform hears them in order. What the table is against by now goes to a person.
    """
    first = [F("deadline_at").asc(nulls_last=True), F("next_attempt_at").asc()]
    with transaction.atomic():
        claims = _take(_tellable(), first, share, passing_over)
        objections = services.objections_to([claim.relay for claim in claims if not claim.relay.is_submission])
        for claim in claims:
            if words := objections.get(claim.relay.pk):
                relay_states.move(claim.mine, "hold", next_attempt_at=None, last_error=words)
    return [claim for claim in claims if claim.relay.pk not in objections]


def claim_to_look_up(share: int = SHARE, *, passing_over: Collection[Any] = ()) -> list[Claim]:
    with transaction.atomic():
        return _take(_due(LOOKING), [F("next_attempt_at").asc()], share, passing_over)


def _due(states: Iterable[str]) -> QuerySet[RelayTask]:
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    return RelayTask.objects.filter(free, state__in=states, next_attempt_at__lte=now)


def _tellable() -> QuerySet[RelayTask]:
    earlier = RelayTask.objects.filter(
        invoice=OuterRef("invoice"), sequence__lt=OuterRef("sequence"), state__in=UNSETTLED
    )
    verdict = Validation.objects.filter(document=OuterRef("document")).exclude(state=Validation.State.WAITING)
    unchecked = Q(kind=RelayTask.Kind.INVOICE) & ~Exists(verdict)
    return _due(TELLING).filter(~Exists(earlier)).exclude(unchecked)


def _take(due: QuerySet[RelayTask], order: list[Any], share: int, passing_over: Collection[Any]) -> list[Claim]:
    """The first of each connection that may be called. One that is ill gets one relay, with which it is tried."""
    chosen, probes = _choose(due, order, share, passing_over)
    if not chosen and not probes:
        return []
    now = timezone.now()
    rows = list(
        due.filter(pk__in=chosen)
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("event", "document", "invoice__addressing_line", "invoice__customer", "connection")
        .prefetch_related("document__validations", "invoice__other_origins__addressing_line")
        .order_by(*order)
    )
    until = now + timedelta(seconds=max(LEAST_LEASE, settings.LEASE_SECONDS / 3))
    RelayTask.objects.filter(pk__in=[row.pk for row in rows]).update(leased_until=until)
    for row in rows:
        row.leased_until = until
    for connection_id in probes - {row.connection_id for row in rows}:
        health.give_probe_back(connection_id)
    return [Claim(row, row.invoice.version, row.connection_id in probes) for row in rows]


def _choose(
    due: QuerySet[RelayTask], order: list[Any], share: int, passing_over: Collection[Any]
) -> tuple[list[Any], set[Any]]:
    def first_of(connections: QuerySet[Connection], number: int) -> list[Any]:
        candidates = due.filter(connection=OuterRef("pk")).order_by(*order).values("pk")[:number]
        found = connections.annotate(found=ArraySubquery(candidates)).values_list("found", flat=True)
        return [pk for each in found for pk in each]

    well = Connection.objects.filter(health.callable_now()).exclude(pk__in=passing_over)
    probes = set(health.claim_probes(due.exclude(connection__in=passing_over)))
    chosen = first_of(well, share)
    if probes:
        chosen += first_of(Connection.objects.filter(pk__in=probes), 1)
    return chosen, probes

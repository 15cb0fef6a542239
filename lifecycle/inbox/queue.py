"""Stored deliveries as a queue: who takes which up, in what order, and what becomes of a row.

A claim is committed before the work, so that a delivery which kills its worker is counted and ends in quarantine; from
its second claim on it is worked on alone, so that no neighbour pays for it. Every connection has its share of a claim.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection as database
from django.db import transaction
from django.db.models import (
    Case,
    DateTimeField,
    Exists,
    F,
    Func,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Concat, Greatest, Substr
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import AddressingLine, Invoice, InvoiceOrigin, Role
from invoices.people import audit
from invoices.people.access import customers_of, deliveries_of
from providers.connections import health
from providers.connections.nudge import nudge
from providers.connections.services import storable
from providers.models import Connection, WebhookDelivery

from .finding import lawful_name, named_as

State, Lane = WebhookDelivery.State, WebhookDelivery.Lane

# Each lane has a task of its own: what only has to be read never waits for a platform's answer.
TASKS = {Lane.INGEST: "lifecycle.tasks.drain_inbox", Lane.FETCH: "lifecycle.tasks.fetch_news"}
BATCH = 50
# Bodies held at once, unless one alone is larger.
BATCH_BYTES = 4 * 1024 * 1024
# Seconds before a delivery is tried again after the platform could not be asked, by claims made; half a day in all.
RETRY_DELAYS = (2, 15, 60, 600, 3600, 3 * 3600, 8 * 3600)
MAX_CLAIMS = len(RETRY_DELAYS) + 1
# Seconds before a delivery that waits for its connection is looked at again; when that may be called, it says itself.
WAIT = 2
# Likewise where the connection cannot even be set up.
WAIT_FOR_SET_UP = 60

# --- claiming ---------------------------------------------------------------------------------------------------------

# The same share for every connection that has something due, the longest waiting first; one where it is probed.
PICK = """
    WITH busy AS MATERIALIZED (
        SELECT c.id, c.id = ANY(%(probes)s) AS is_probe
        FROM providers_connection c
        CROSS JOIN LATERAL (
            SELECT d.next_attempt_at FROM providers_webhookdelivery d
            WHERE d.connection_id = c.id AND {due} ORDER BY d.next_attempt_at LIMIT 1
        ) AS oldest
        WHERE c.state = 'active' AND c.id <> ALL(%(full)s) AND ({callable} OR c.id = ANY(%(probes)s))
        ORDER BY oldest.next_attempt_at LIMIT %(limit)s
    )
    SELECT picked.id FROM busy CROSS JOIN LATERAL (
        SELECT d.id FROM providers_webhookdelivery d WHERE d.connection_id = busy.id AND {due}
        ORDER BY d.next_attempt_at, d.received_at
        LIMIT CASE WHEN busy.is_probe THEN 1
                   ELSE greatest(1, least(%(share)s, %(limit)s / (SELECT count(*) FROM busy))) END
        FOR UPDATE SKIP LOCKED
    ) AS picked
"""
DUE = "d.state = 'received' AND d.lane = %(lane)s AND d.next_attempt_at <= %(now)s AND {lease}"
NEVER_CLAIMED, CLAIM_LOST = "d.leased_until IS NULL", "d.leased_until < %(now)s"
# Reading what was pushed needs no platform; asking does.
CALLABLE = {
    Lane.INGEST: "TRUE",
    Lane.FETCH: "(c.health = 'well' AND (c.quiet_until IS NULL OR c.quiet_until <= %(now)s))",
}


def claim(
    limit: int = BATCH, *, lane: str = Lane.INGEST, share: int = BATCH, full: Collection[Any] = ()
) -> list[WebhookDelivery]:
    """Take due deliveries under a lease, without their bodies: at most `share` of a connection, and none of the `full`
    ones. Where nothing else is due, one whose last claim never ended."""
    turn = Turn(lane, limit, share, list(full), health.claim_probes(waiting(lane)) if lane == Lane.FETCH else [])
    return _claim(turn, NEVER_CLAIMED) or claim_lost(lane=lane, full=full)


def claim_lost(*, lane: str = Lane.INGEST, full: Collection[Any] = ()) -> list[WebhookDelivery]:
    """One, alone, whose last claim never ended."""
    return _claim(Turn(lane, 1, 1, list(full), []), CLAIM_LOST)


@dataclass(frozen=True)
class Turn:
    """What is wanted of a claim."""

    lane: str
    limit: int
    share: int
    full: list[Any]
    probes: list[Any]


def waiting(lane: str) -> QuerySet[WebhookDelivery]:
    """Due, and in nobody's hands."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    return WebhookDelivery.objects.filter(free, state=State.RECEIVED, lane=lane, next_attempt_at__lte=now)


def _claim(turn: Turn, lease: str) -> list[WebhookDelivery]:
    now = timezone.now()
    until = now + timedelta(seconds=settings.LEASE_SECONDS)
    values = {**vars(turn), "now": now}
    statement = PICK.format(due=DUE.format(lease=lease), callable=CALLABLE[Lane(turn.lane)])
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(statement, values)
            picked = WebhookDelivery.objects.filter(pk__in=[row[0] for row in cursor.fetchall()])
        picked.filter(attempts__lt=MAX_CLAIMS).update(attempts=F("attempts") + 1, leased_until=until)
        rows = list(_without_body(picked))
        dead = [row for row in rows if row.leased_until != until]
        for row in dead:
            words = row.error or _("The worker ended each time it took this delivery up.")
            quarantine(row, _("Given up after %(count)s tries. %(error)s") % {"count": row.attempts, "error": words})
    alive = [row for row in rows if row not in dead]
    return alive or (_claim(turn, lease) if dead else [])


def _without_body(rows: QuerySet[WebhookDelivery]) -> QuerySet[WebhookDelivery]:
    """In the order of their turn, each with the `size` of its body."""
    size = Func(F("body"), function="octet_length", output_field=IntegerField())
    ordered = rows.select_related("connection").order_by("next_attempt_at", "received_at")
    return ordered.defer("body").annotate(size=size)


def with_bodies(rows: list[WebhookDelivery]) -> Iterator[WebhookDelivery]:
    """The rows with their bodies, a few MiB at a time: a body is let go when the next one is asked for."""
    while rows:
        count, held = 1, rows[0].size  # type: ignore[attr-defined]
        while count < len(rows) and held + rows[count].size <= BATCH_BYTES:  # type: ignore[attr-defined]
            held += rows[count].size  # type: ignore[attr-defined]
            count += 1
        part, rows = rows[:count], rows[count:]
        bodies = dict(WebhookDelivery.objects.filter(pk__in=[row.pk for row in part]).values_list("pk", "body"))
        for row in part:
            if row.pk in bodies:
                row.body = bodies.pop(row.pk)
                yield row
                row.body = b""


# --- the row's fate ---------------------------------------------------------------------------------------------------


def _save(row: WebhookDelivery, changes: Mapping[str, Any]) -> None:
    """Only while the claim is still ours: a lease that ran out may have given the row to another worker."""
    mine = WebhookDelivery.objects.filter(pk=row.pk, leased_until=row.leased_until, state=State.RECEIVED)
    mine.update(**{**changes, "error": storable(changes["error"])}, leased_until=None)


def finish(row: WebhookDelivery, state: str, error: str = "") -> None:
    _save(row, {"state": state, "error": error, "waits_for": "", "processed_at": timezone.now()})


def quarantine(row: WebhookDelivery, error: str, *, waits_for: str = "") -> None:
    _save(row, {"state": State.QUARANTINED, "error": error, "waits_for": waits_for, "processed_at": timezone.now()})


def retry(row: WebhookDelivery, error: str, *, patience: int = MAX_CLAIMS, waits_for: str = "") -> None:
    if row.attempts >= patience:
        quarantine(row, error, waits_for=waits_for)
        return
    later = timezone.now() + timedelta(seconds=RETRY_DELAYS[row.attempts - 1])
    _save(row, {"next_attempt_at": later, "error": error})


def retry_after_failure(row: WebhookDelivery, error: str) -> None:
    """The platform could not be asked. Where that is its connection's state by now, the row waits for it and no try is
    counted: nothing is put aside because of an outage or an expired password."""
    if Connection.objects.filter(health.callable_now(), pk=row.connection_id).exists():
        retry(row, error)
    else:
        wait(row, error)


def wait(row: WebhookDelivery, error: str, seconds: float = WAIT) -> None:
    """It was not its turn: due again soon, and no try is counted."""
    soon = timezone.now() + timedelta(seconds=seconds)
    _save(row, {"next_attempt_at": soon, "attempts": row.attempts - 1, "error": error})


def hand_on(row: WebhookDelivery) -> None:
    """What it says has to be asked for: the other lane's work, from the start."""
    changes = {"lane": Lane.FETCH, "next_attempt_at": row.next_attempt_at, "attempts": row.attempts - 1}
    _save(row, changes | {"error": row.error})
    transaction.on_commit(lambda: nudge(TASKS[Lane.FETCH]))


def fresh() -> dict[str, Any]:
    return {
        "state": State.RECEIVED,
        "attempts": 0,
        "error": "",
        "waits_for": "",
        "leased_until": None,
        "next_attempt_at": timezone.now(),
        "processed_at": None,
    }


def nudge_lanes(delay: float = 0) -> None:
    for task in TASKS.values():
        nudge(task, delay=delay)


def nudge_for_due() -> None:
    """Every sweep."""
    for lane, task in TASKS.items():
        if waiting(lane).filter(connection__state=Connection.State.ACTIVE).exists():
            nudge(task)


def nudge_for_next(lane: str) -> None:
    """Come back when the next row is due and its connection may be called, if that is before the sweep would."""
    moment = next_moment(lane)
    if moment and (seconds := (moment - timezone.now()).total_seconds()) < 60:
        nudge(TASKS[Lane(lane)], delay=max(seconds, 0.05))


def next_moment(lane: str) -> datetime | None:
    now = timezone.now()
    rows = WebhookDelivery.objects.filter(
        connection=OuterRef("pk"), state=State.RECEIVED, lane=lane, leased_until=None
    ).order_by("next_attempt_at")
    connections = Connection.objects.filter(state=Connection.State.ACTIVE)
    first = connections.annotate(ready=Subquery(rows.values("next_attempt_at")[:1]))
    if lane == Lane.FETCH:
        probe = Case(When(~Q(health=Connection.Health.WELL), then=F("probe_at")), output_field=DateTimeField())
        first = first.exclude(ready=None).annotate(at=Greatest("ready", "quiet_until", probe))
    else:
        first = first.annotate(at=F("ready"))
    moment: datetime | None = first.filter(at__gt=now).aggregate(first=Min("at"))["first"]
    return moment


# --- people, and what waits for an invoice ----------------------------------------------------------------------------


def replay(*, user: Any, delivery_id: Any) -> WebhookDelivery:
    """Put a delivery back at the start; what it told already is recognised. For whom `deliveries_of` shows it."""
    with transaction.atomic():
        row = WebhookDelivery.objects.select_for_update(of=("self",)).get(pk=delivery_id)
        if not deliveries_of(user).filter(pk=row.pk).exists():
            raise PermissionDenied(
                _("Only who administers its line's customer, or every customer of its connection, can replay it.")
            )
        served = customers_of(user, Role.ADMINISTRATOR).filter(addressing_lines__connection=row.connection_id)
        if row.line_identifier:
            served = served.filter(addressing_lines__identifier=row.line_identifier)
        WebhookDelivery.objects.filter(pk=row.pk).update(**fresh())
        for customer in served.distinct():
            audit.record(audit.Action.REPLAYED, actor=user, customer=customer, subject=row.key)
        transaction.on_commit(nudge_lanes)
    row.refresh_from_db()
    return row


def wake(invoice: Invoice) -> None:
    """Deliveries that waited for this invoice are due again."""
    lawful = lawful_name(invoice.seller_key, invoice.number)
    meant = [Q(connection=each.connection_id, waits_for__in=[each.provider_ref, lawful]) for each in invoice.origins]
    waiting = WebhookDelivery.objects.filter(reduce(or_, meant), state=State.QUARANTINED)
    if waiting.update(**fresh()):
        transaction.on_commit(nudge_lanes)


def retry_waiting() -> int:
    """Every sweep: deliveries that wait for an invoice or a line which is there by now. Two statements, however many
    wait.
    """
    waiting = WebhookDelivery.objects.filter(state=State.QUARANTINED).exclude(waits_for="")
    here = {"connection": OuterRef("connection")}
    known = {**here, "provider_ref": OuterRef("waits_for")}
    arrived = Exists(Invoice.objects.filter(**known)) | Exists(InvoiceOrigin.objects.filter(**known))
    of_line = Q(waits_for__startswith=WebhookDelivery.WAITS_FOR_LINE)
    siren = Substr(OuterRef("waits_for"), len(WebhookDelivery.WAITS_FOR_LINE) + 1)
    woken = waiting.filter(arrived | of_line & Exists(_lines_of(siren).filter(**here))).update(**fresh())
    # An invoice of this name that was there already was not the one meant: only a change is worth another look.
    since = OuterRef("processed_at")
    first = Invoice.objects.filter(named_as("waits_for"), **here, updated_at__gte=since)
    further = InvoiceOrigin.objects.filter(named_as("waits_for", "invoice__"), **here, invoice__updated_at__gte=since)
    return woken + waiting.filter(Exists(first) | Exists(further)).update(**fresh())


def _lines_of(siren: Any) -> QuerySet[AddressingLine]:
    return AddressingLine.objects.filter(Q(identifier=siren) | Q(identifier__startswith=Concat(siren, Value("_"))))

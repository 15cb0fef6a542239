"""What an operator must know without looking at a page: one list of checks, told by `doctor`, metrics and mail.

Each check is a few indexed queries. A finding has a name that stays the same while it lasts, so that it is mailed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_q.models import Schedule

from invoices.models import Invoice, Validation
from lifecycle.history import zones
from lifecycle.lists.queries import UNTOLD
from lifecycle.models import HistoryAnchor, RelayState, RelayTask, StatusEvent
from providers.connections import health
from providers.connections.registry import get_adapter
from providers.contract.kinds import find_adapter_class
from providers.models import Connection, WebhookDelivery
from providers.norm.codes import PPF_DEADLINE_HOURS

# The sweep runs every minute: after this nobody runs it any more.
WORKER_GONE_AFTER = timedelta(minutes=5)
# A row that is due is taken up within seconds.
LATE_AFTER = timedelta(minutes=5)
UNCERTAIN_AFTER = timedelta(minutes=30)
# Polls come every half hour.
POLL_STALE_AFTER = timedelta(hours=2)
QUIET_FOR_LONG = timedelta(hours=1)
ANCHOR_LATE_AFTER = timedelta(hours=3)
# How much of the 24 hours is left when it is told, and told again.
CLOCK_STAGES = (
    ("missed", timedelta()),
    ("quarter", timedelta(hours=PPF_DEADLINE_HOURS) / 4),
    ("half", timedelta(hours=PPF_DEADLINE_HOURS) / 2),
)
CLOCK_WORDS = {
    "missed": gettext_lazy(
        "%(invoice)s of %(customer)s: the time for %(status)s is over, and its platform does not have it."
    ),
    "quarter": gettext_lazy(
        "%(invoice)s of %(customer)s: a quarter of the time for %(status)s is left, until %(until)s."
    ),
    "half": gettext_lazy("%(invoice)s of %(customer)s: half of the time for %(status)s is over; it ends at %(until)s."),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong: what, since when, what to do. `urgent`: nobody may leave it until tomorrow."""

    check: str
    what: str
    to_do: str
    since: datetime | None = None
    count: int = 1
    subject: str = ""
    urgent: bool = False

    @property
    def name(self) -> str:
        return f"{self.check}:{self.subject}" if self.subject else self.check


def findings() -> list[Finding]:
    """Everything that is wrong now, the most urgent first."""
    found = [finding for check in CHECKS for finding in check()]
    far = timezone.now()
    return sorted(found, key=lambda finding: (not finding.urgent, finding.since or far))


# --- the checks -------------------------------------------------------------------------------------------------------


def worker() -> Iterator[Finding]:
    """The schedule is moved on by the worker's own process: nobody else does."""
    due = Schedule.objects.filter(name="sweep").values_list("next_run", flat=True).first()
    if due and timezone.now() - due > WORKER_GONE_AFTER:
        yield Finding(
            check="worker",
            what=_("No worker runs: nothing is told, polled or read."),
            to_do=_("Start it (manage.py qcluster), and look why it ended."),
            since=due,
            urgent=True,
        )


def queues() -> Iterator[Finding]:
    late = timezone.now() - LATE_AFTER
    callable_now = health.callable_now("connection__")
    waiting: dict[str, QuerySet[Any]] = {
        _("deliveries"): WebhookDelivery.objects.filter(callable_now, state=WebhookDelivery.State.RECEIVED),
        _("relays"): RelayTask.objects.filter(callable_now, state=RelayState.PENDING),
        _("files to be checked"): Validation.objects.filter(state=Validation.State.WAITING),
    }
    for name, rows in waiting.items():
        since, count = _oldest(rows.filter(next_attempt_at__lt=late), "next_attempt_at")
        if count:
            yield Finding(
                check="queue",
                subject=name,
                what=_("Due and not taken up, %(queue)s: %(count)d.") % {"count": count, "queue": name},
                to_do=_("Look whether the workers run and what they log; start more of them if they are busy."),
                since=since,
                count=count,
                urgent=True,
            )


def clocks() -> Iterator[Finding]:
    """What the administration must hear within 24 hours and no platform has heard from us yet."""
    now = timezone.now()
    running = RelayTask.objects.filter(state__in=UNTOLD, deadline_at__lte=now + CLOCK_STAGES[-1][1])
    for relay in running.select_related("event", "invoice__customer", "connection").order_by("deadline_at"):
        stage = stage_of(relay.deadline_at, now)
        yield Finding(
            check="clock",
            subject=f"{stage}:{relay.pk}",
            what=CLOCK_WORDS[stage]
            % {
                "invoice": relay.invoice,
                "customer": relay.invoice.customer,
                "status": relay.label,
                "until": f"{timezone.localtime(relay.deadline_at):%d/%m %H:%M}",
            },
            to_do=_("It is “%(state)s”. %(error)s") % {"state": relay.get_state_display(), "error": relay.last_error},
            since=relay.created_at,
            urgent=stage != "half",
        )


def stage_of(deadline: datetime | None, now: datetime) -> str:
    """How far the 24 hours have run: "", "half", "quarter" or "missed"."""
    left = (deadline - now) if deadline else timedelta.max
    return next((name for name, most in CLOCK_STAGES if left <= most), "")


def uncertain() -> Iterator[Finding]:
    old = RelayTask.objects.filter(state=RelayState.UNCERTAIN, created_at__lt=timezone.now() - UNCERTAIN_AFTER)
    since, count = _oldest(old, "created_at")
    if count:
        yield Finding(
            check="uncertain",
            what=_("Decisions that may have reached their platform or not: %(count)d.") % {"count": count},
            to_do=_("Look at each platform, then say in “Relays” whether it is there."),
            since=since,
            count=count,
            urgent=True,
        )


def failed() -> Iterator[Finding]:
    since, count = _oldest(RelayTask.objects.filter(state=RelayState.FAILED), "created_at")
    if count:
        yield Finding(
            check="failed",
            what=_("Decisions that their platform did not take: %(count)d.") % {"count": count},
            to_do=_("See in “Relays” why: mend the cause and try again, or give the decision up."),
            since=since,
            count=count,
        )


def quarantine() -> Iterator[Finding]:
    rows = WebhookDelivery.objects.filter(state=WebhookDelivery.State.QUARANTINED)
    for row in rows.values("connection__name").annotate(count=Count("pk"), since=Min("received_at")).order_by():
        words = _("Deliveries of %(connection)s in quarantine: %(count)d.")
        yield Finding(
            check="quarantine",
            subject=row["connection__name"],
            what=words % {"count": row["count"], "connection": row["connection__name"]},
            to_do=_("See in “Deliveries” what each waits for: mend the cause and replay it."),
            since=row["since"],
            count=row["count"],
        )


def polls() -> Iterator[Finding]:
    stale = Q(polled_at=None, created_at__lt=timezone.now() - POLL_STALE_AFTER)
    stale |= Q(polled_at__lt=timezone.now() - POLL_STALE_AFTER)
    for connection in Connection.objects.filter(stale, health.callable_now()):
        if _is_polled(connection):
            yield Finding(
                check="poll",
                subject=connection.name,
                what=_("%(connection)s was not polled for long: what its pushes missed is not here.")
                % {"connection": connection.name},
                to_do=_("Try manage.py poll --connection %(connection)s and see what it says.")
                % {"connection": connection.name},
                since=connection.polled_at or connection.created_at,
            )


def _is_polled(connection: Connection) -> bool:
    if find_adapter_class(connection.kind) is None:
        return False
    try:
        can = get_adapter(connection).capabilities
    except Exception:  # told by `connections`: it cannot be set up
        return False
    return can.polling or can.ask_each


def connections() -> Iterator[Finding]:
    long_quiet = Q(quiet_until__gt=timezone.now() + QUIET_FOR_LONG)
    for connection in Connection.objects.filter(~Q(health=Connection.Health.WELL) | long_quiet, state="active"):
        yield Finding(
            check="connection",
            subject=connection.name,
            what=f"{connection.name}: {connection.get_health_display()}. {connection.ill_reason}".strip(),
            to_do=health.what_to_do(connection),
            since=connection.ill_since,
            urgent=connection.health == Connection.Health.REFUSED,
        )


def times() -> Iterator[Finding]:
    for connection in Connection.objects.filter(memory__has_key=zones.SLIPS, state="active"):
        if found := zones.suspected(connection):
            zone, since = found
            words = _(
                "Statuses of %(connection)s come an hour or two off: their times, which name no zone, seem to be in "
                "%(zone)s."
            )
            yield Finding(
                check="zone",
                subject=connection.name,
                what=words % {"connection": connection.name, "zone": zone},
                to_do=_("Ask the platform. Then set status_timezone of the connection."),
                since=since,
            )


def answers() -> Iterator[Finding]:
    since, count = _oldest(Invoice.objects.exclude(alert=""), "updated_at")
    if count:
        yield Finding(
            check="answers",
            what=_("Invoices with an answer of a platform or the administration that nobody settled: %(count)d.")
            % {"count": count},
            to_do=_("They are on the worklist under “Answers to look at”."),
            since=since,
            count=count,
        )


def history() -> Iterator[Finding]:
    last = HistoryAnchor.objects.order_by("-number").values_list("made_at", flat=True).first()
    unanchored = StatusEvent.links.filter(recorded_at__lt=timezone.now() - ANCHOR_LATE_AFTER)
    oldest = unanchored.filter(recorded_at__gt=last) if last else unanchored
    since = oldest.order_by("recorded_at").values_list("recorded_at", flat=True).first()
    if since:
        yield Finding(
            check="anchor",
            what=_("The end of the history is not anchored outside the database."),
            to_do=_("See whether the folder or bucket of the anchors can be written; the worker makes one every hour."),
            since=since,
        )
    if not settings.DEMO and _owns_history():
        yield Finding(
            check="role",
            what=_("The database role of Navette owns the history, and could switch its protection off."),
            to_do=_("Make a role that cannot: deploy/roles.sql, docs/history.md."),
        )


def _owns_history() -> bool:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass",
            [StatusEvent._meta.db_table],
        )
        return bool(cursor.fetchone()[0])


def _oldest(rows: QuerySet[Any], moment: str) -> tuple[datetime | None, int]:
    found = rows.aggregate(since=Min(moment), count=Count("pk"))
    return found["since"], found["count"]


# Every name that a finding's `check` may have, for metrics that are there before anything is wrong.
NAMES = (
    "worker", "queue", "clock", "uncertain", "failed", "quarantine", "poll", "connection", "zone", "answers", "anchor",
    "role",
)  # fmt: skip
CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (
    worker, queues, clocks, uncertain, failed, quarantine, polls, connections, times, answers, history,
)  # fmt: skip

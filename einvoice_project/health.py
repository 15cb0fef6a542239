"""What an operator's probes ask. A late queue is told, but takes no machine out of service: hooks must stay open."""

import hmac
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Min, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from invoices.models import Validation
from lifecycle.models import RelayState, RelayTask
from lifecycle.watching import watch
from providers.connections import health
from providers.models import Connection, WebhookDelivery

# Above this the queue is not busy but stuck: no worker runs, or all of them wait for something.
LATE_AFTER_SECONDS = 300

WAITING_RELAYS = (RelayState.PENDING, RelayState.SENDING)
# Only states with a partial index, or few rows: a scrape must not read millions of settled ones.
COUNTED_RELAYS = (*WAITING_RELAYS, RelayState.UNCERTAIN, RelayState.FAILED, RelayState.AWAITING_APPROVAL)
COUNTED_DELIVERIES = (WebhookDelivery.State.RECEIVED, WebhookDelivery.State.QUARANTINED)


@never_cache
def alive(request: HttpRequest) -> HttpResponse:
    return HttpResponse("alive\n", content_type="text/plain")


@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """503 without database or with unapplied migrations; else 200, `late` where a queue has stood for minutes."""
    try:
        unapplied = unapplied_migrations()
        ages = {} if unapplied else {name: age() for name, age in QUEUE_AGES.items()}
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    answer = {"database": "answers", "unapplied_migrations": unapplied, "oldest_waiting_seconds": ages}
    if unapplied:
        return JsonResponse({"status": "unavailable", **answer}, status=503)
    late = any(age > LATE_AFTER_SECONDS for age in ages.values())
    return JsonResponse({"status": "late" if late else "ready", **answer})


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if not _may_scrape(request):
        return HttpResponse("Give the METRICS_TOKEN as a bearer token.\n", status=403, content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(QueueCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def unapplied_migrations() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


def oldest_delivery_age() -> float:
    """Seconds since the oldest delivery that is due and unread should have been read. What waits for its connection,
    paused or ill, is not late."""
    asked_for = Q(lane=WebhookDelivery.Lane.FETCH) & ~health.callable_now("connection__")
    active = Q(connection__state=Connection.State.ACTIVE)
    due = WebhookDelivery.objects.filter(active, ~asked_for, state=WebhookDelivery.State.RECEIVED)
    return _age(due.aggregate(oldest=Min("next_attempt_at"))["oldest"])


def oldest_relay_age() -> float:
    """Seconds since the oldest relay that is due, and whose connection may be called, should have been tried."""
    due = RelayTask.objects.filter(health.callable_now("connection__"), state__in=WAITING_RELAYS)
    return _age(due.aggregate(oldest=Min("next_attempt_at"))["oldest"])


def oldest_validation_age() -> float:
    """Seconds since the oldest file that waits for its verdict should have been checked."""
    due = Validation.objects.filter(state=Validation.State.WAITING)
    return _age(due.aggregate(oldest=Min("next_attempt_at"))["oldest"])


QUEUE_AGES: dict[str, Callable[[], float]] = {
    "deliveries": oldest_delivery_age,
    "relays": oldest_relay_age,
    "validations": oldest_validation_age,
}


class QueueCollector:
    """Figures from the database, so that it does not matter which process is asked."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily("navette_queue_age_seconds", "Wait of the oldest row that is due", labels=["queue"])
        for name, measure in QUEUE_AGES.items():
            age.add_metric([name], measure())
        yield age
        yield _counts("navette_deliveries", "Webhook deliveries", WebhookDelivery.objects.all(), COUNTED_DELIVERIES)
        yield _counts("navette_relays", "Relays to platforms", RelayTask.objects.all(), COUNTED_RELAYS)
        yield from self.findings()

    def findings(self) -> Iterator[GaugeMetricFamily]:
        """What `manage.py doctor` would say, by check; a clock by how far it has run."""
        found = GaugeMetricFamily("navette_findings", "What is wrong, by check", labels=["check", "urgent"])
        counts = Counter({(check, urgent): 0 for check in watch.NAMES for urgent in (False, True)})
        for finding in watch.findings():
            counts[finding.check, finding.urgent] += finding.count
        for (check, urgent), count in counts.items():
            found.add_metric([check, str(urgent).lower()], count)
        yield found


def _counts(
    name: str, text: str, rows: "QuerySet[WebhookDelivery] | QuerySet[RelayTask]", states: tuple[str, ...]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, f"{text} by state", labels=["state"])
    for state in states:
        family.add_metric([str(state)], rows.filter(state=state).count())
    return family


def _age(moment: datetime | None) -> float:
    return max((timezone.now() - moment).total_seconds(), 0.0) if moment else 0.0


def _may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    # Behind a proxy on this machine every request looks local, but carries the sender's address.
    is_forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not is_forwarded and ipaddress.ip_address(request.META["REMOTE_ADDR"] or "0.0.0.0").is_loopback  # noqa: S104

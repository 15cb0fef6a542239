"""How the desk is doing: counts, clocks, queues, latency."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Min, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from invoices.models import Direction, Invoice
from invoices.people.access import deliveries_of
from lifecycle.lists import queries
from lifecycle.models import RelayState, RelayTask
from providers.models import WebhookDelivery
from providers.norm.fines import FINES

from .page import DeskRequest, page

LATENCY_OVER = timedelta(days=7)
WAITING = (RelayState.SCHEDULED, RelayState.PENDING, RelayState.SENDING)


@page
@require_GET
def dashboard(request: DeskRequest) -> HttpResponse:
    ids = request.desk.customer_ids()
    relays = RelayTask.objects.filter(invoice__customer_id__in=ids)
    context = {
        "counts": _counts(ids),
        "clocks": queries.running_clocks(request.desk),
        "fines": FINES,
        "queue": relays.filter(state__in=WAITING).aggregate(count=Count("pk"), oldest=Min("created_at")),
        "stuck": relays.filter(state__in=queries.NEEDS_PERSON).aggregate(count=Count("pk"), oldest=Min("created_at")),
        "latency": _latency(relays),
        "inbox": _inbox(request) if request.desk.is_administrator else None,
    }
    return render(request, "lifecycle/dashboard.html", context)


def _counts(ids: list[int]) -> list[dict[str, Any]]:
    """Per status, how many received and issued, and the width of its bar in twentieths of the longest."""
    rows = Invoice.objects.filter(customer_id__in=ids).order_by().values("status")
    received = Count("pk", filter=Q(direction=Direction.RECEIVED))
    found = list(rows.annotate(received=received, total=Count("pk")).order_by("status"))
    longest = max((row["total"] for row in found), default=1)
    return [
        {**row, "issued": row["total"] - row["received"], "width": max(1, round(20 * row["total"] / longest))}
        for row in found
    ]


def _latency(relays: Any) -> dict[str, Any]:
    """From the decision to the platform's acceptance and to its confirmation, over the last week."""
    lately = relays.filter(created_at__gte=timezone.now() - LATENCY_OVER, sent_at__isnull=False)

    def between(until: str) -> ExpressionWrapper:
        return ExpressionWrapper(F(until) - F("created_at"), output_field=DurationField())

    return lately.aggregate(
        count=Count("pk"),
        sent=Avg(between("sent_at")),
        slowest=Max(between("sent_at")),
        confirmed=Avg(between("confirmed_at"), filter=Q(state=RelayState.CONFIRMED)),
    )


def _inbox(request: DeskRequest) -> dict[str, Any]:
    rows = deliveries_of(request.user)
    State = WebhookDelivery.State  # noqa: N806
    return rows.filter(state__in=[State.RECEIVED, State.QUARANTINED]).aggregate(
        waiting=Count("pk", filter=Q(state=State.RECEIVED)),
        oldest=Min("received_at", filter=Q(state=State.RECEIVED)),
        quarantined=Count("pk", filter=Q(state=State.QUARANTINED)),
    )

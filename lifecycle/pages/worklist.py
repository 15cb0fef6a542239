"""What needs me now."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from invoices.customers import policies
from invoices.people.access import deliveries_of
from lifecycle.lists import queries
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox.actions import is_broken, with_actions
from providers.models import WebhookDelivery

from .page import DeskRequest, digest, page, piece


@page
@require_GET
def worklist(request: DeskRequest) -> HttpResponse:
    context = _gather(request)
    seen = _fingerprint(context)
    body = piece(request, "worklist_body", context)
    return render(request, "lifecycle/worklist.html", {"body": body, "live": _live_marker(seen, oob=False)})


@page
@require_GET
def worklist_live(request: DeskRequest) -> HttpResponse:
    """The worklist again if something moved, else 204: the queries are made, the page is not drawn."""
    context = _gather(request)
    seen = _fingerprint(context)
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    return HttpResponse(_live_marker(seen, oob=True) + piece(request, "worklist_body", context))


def _gather(request: DeskRequest) -> dict[str, Any]:
    desk = request.desk
    relays = queries.relays_needing_people(desk)
    clocks = queries.running_clocks(desk)
    shown = {relay.pk for relay in clocks}
    relays = [relay for relay in relays if relay.pk not in shown]
    with_actions(desk, [*clocks, *relays])
    waiting = [relay for relay in relays if relay.state == RelayState.AWAITING_APPROVAL and not is_broken(relay)]
    to_release = [relay for relay in waiting if "release" in relay.may]  # type: ignore[attr-defined]
    return {
        "lanes": queries.fill_lanes(desk),
        "clocks": clocks,
        "to_release": to_release,
        "with_colleagues": [relay for relay in waiting if relay not in to_release],
        "stuck": [relay for relay in relays if relay not in waiting],
        "quarantined": _quarantined(request),
        "rule_changes": policies.waiting_for(request.user).count() if request.desk.is_administrator else 0,
    }


def _quarantined(request: DeskRequest) -> int:
    if not request.desk.is_administrator:
        return 0
    rows = deliveries_of(request.user).filter(state=WebhookDelivery.State.QUARANTINED)
    return len(rows.values_list("pk")[: queries.COUNT_LIMIT])


def _fingerprint(context: dict[str, Any]) -> str:
    lanes = [
        (filled.lane.name, filled.count, filled.totals, [(row.pk, row.version, row.updated_at) for row in filled.rows])
        for filled in context["lanes"]
    ]
    relays = [_facts(relay) for name in ("clocks", "to_release", "with_colleagues", "stuck") for relay in context[name]]
    return digest(lanes, relays, context["quarantined"], context["rule_changes"])


def _facts(relay: RelayTask) -> tuple[Any, ...]:
    return relay.pk, relay.state, relay.attempts, relay.look_ups, relay.last_error


def _live_marker(seen: str, *, oob: bool) -> SafeString:
    return format_html(
        '<div id="live" hx-get="{}?seen={}" hx-trigger="every 2s, refresh from:body" hx-swap="none"{}></div>',
        reverse("lifecycle:worklist_live"),
        seen,
        SafeString(' hx-swap-oob="true"') if oob else "",
    )

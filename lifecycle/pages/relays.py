"""The outbox as people see it, and what they do with a relay."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from lifecycle.decisions import plausibility, services
from lifecycle.decisions.services import DecisionRefused, WrongRelayState
from lifecycle.lists import queries
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox.actions import ACTIONS, Action, with_actions
from providers.norm.codes import FINAL_STATUSES

from .page import DeskRequest, digest, done, page, piece
from .questions import Question, ask, is_confirmed, why_of


@page
@require_GET
def relay_list(request: DeskRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    rows = queries.relays_of(request.desk)
    if state in RelayState.values:
        rows = rows.filter(state=state)
    found = queries.keyset_page(rows, "created_at", request.GET.get("after", ""))
    first = not state and not request.GET.get("after")
    urgent = queries.relays_needing_people(request.desk) if first else []
    with_actions(request.desk, [*urgent, *found.rows])
    context = {"found": found, "urgent": urgent, "state": state, "states": RelayState.choices}
    body = piece(request, "relay_tables", context)
    if request.htmx and not request.htmx.boosted:
        return _if_changed(request, body)
    return render(request, "lifecycle/relay_list.html", {**context, "body": body})


def _if_changed(request: DeskRequest, body: str) -> HttpResponse:
    """A poll: the browser keeps what it has where the answer would be the same."""
    tag = f'"{digest(body)}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304)
    return HttpResponse(body, headers={"ETag": tag})


@page
@require_POST
def relay_action(request: DeskRequest, relay_id: UUID, name: str) -> HttpResponse:
    relay = get_object_or_404(queries.relays_of(request.desk), pk=relay_id)
    if name not in ACTIONS:
        raise Http404
    action = ACTIONS[name].for_relay(relay)
    back = reverse("lifecycle:invoice", args=[relay.invoice_id])
    why = {"why": why_of(request)} if action.asks_why else {}
    is_answered = is_confirmed(request) and all(why.values())
    if action.effect and not is_answered and action.allowed(request.desk, relay):
        return ask(request, _question(relay, action, back))
    try:
        action.run(user=request.user, relay_id=relay.pk, **why)
    except (WrongRelayState, PermissionDenied, DecisionRefused) as refused:
        return done(request, str(refused), to=back, tone="bad")
    return done(request, str(action.done), to=back)


def _question(relay: RelayTask, action: Action, back: str) -> Question:
    released = relay.event if action.name == "release" else None
    return Question(
        title=f"{action.label} – {relay.invoice}",
        answer=action.label,
        effects=[action.effect],
        back=back,
        relay=relay,
        doubts=plausibility.doubts(relay.invoice, services.wish_of(released)) if released else (),
        is_final=released is not None and relay.status in FINAL_STATUSES,
        asks_why=action.asks_why,
        tone=action.tone or "danger",
    )

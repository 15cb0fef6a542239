"""Deciding: the dialog for one invoice, and taking many in hand at once."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from invoices.models import Invoice
from invoices.people.access import invoices_of
from lifecycle.decisions import administration, bulk, services, steps
from lifecycle.decisions.forms import DecisionForm
from lifecycle.decisions.steps import Step
from lifecycle.decisions.wishes import Wish
from lifecycle.history.events import shown_events
from lifecycle.lists import queries
from providers.norm.codes import STATUSES, Status

from .invoices import visible_invoice
from .page import DeskRequest, done, page
from .questions import Question, ask, is_confirmed


@page
@require_http_methods(["GET", "POST"])
def decide(request: DeskRequest, invoice_id: UUID, status: str) -> HttpResponse:
    """The dialog: choose, preview, send. Each step asks the service what may be said."""
    shown = visible_invoice(request, invoice_id)
    if status not in STATUSES:
        raise Http404
    if not services.may_issue(request.user, shown, status):
        raise PermissionDenied
    if request.method == "GET":
        step = steps.open_step(shown, status)
    else:
        step = steps.take_step(request.user, shown, status, request.POST)
    if step.is_stale:
        return _stale(request, visible_invoice(request, invoice_id), seen=step.seen, status=status)
    if step.relay:
        return done(request, steps.words_for(step.relay), to=reverse("lifecycle:invoice", args=[shown.pk]))
    return _show(request, shown, step)


def _show(request: DeskRequest, shown: Invoice, step: Step) -> HttpResponse:
    form = cast("DecisionForm", step.form)
    context = {
        "invoice": shown,
        "form": form,
        "remarks": administration.remarks_on(shown, step.wish or Wish(status=form.info.code)),
        "wish": step.wish,
        "doubts": step.doubts,
        **steps.shown_facts(shown, form),
    }
    return _answer(request, "decision", context, step.code)


def _stale(request: DeskRequest, shown: Invoice, *, seen: int, status: str) -> HttpResponse:
    known = shown_events(shown, shown.status_events.select_related("actor", "relay"))
    news = sorted((event for event in known if event.sequence > seen), key=lambda event: -event.sequence)
    context = {"invoice": shown, "news": news, "status": status}
    return _answer(request, "decision_stale", context, 409)


def _answer(request: DeskRequest, name: str, context: dict[str, Any], code: int) -> HttpResponse:
    """The dialog's content; a page of its own where there is no script."""
    part = f"lifecycle/parts/{name}.html"
    template = part if request.htmx else "lifecycle/decision_page.html"
    return render(request, template, {**context, "part": part}, status=code)


# --- many at once -----------------------------------------------------------------------------------------------------


@page
@require_POST
def take_in_hand(request: DeskRequest) -> HttpResponse:
    """204 for each ticked invoice, one decision each: one that cannot be does not stop the others."""
    ids = [text for text in request.POST.getlist("invoice") if queries.is_uuid(text)][: bulk.LIMIT]
    rows = list(invoices_of(request.user).filter(pk__in=ids).select_related("customer"))
    planned = bulk.plan(request.user, rows, Wish(status=Status.IN_HAND.value))
    if any(row.by_hand for row in planned) and not is_confirmed(request):
        return ask(request, _by_hand_question(planned))
    results = bulk.decide(request.user, planned)
    context = {
        "results": results,
        "taken": sum(not each.problem for each in results),
        "refused": sum(bool(each.problem) for each in results),
    }
    return _answer(request, "bulk_results", context, 200)


def _by_hand_question(planned: list[bulk.Row]) -> Question:
    """Said before: where the platform does not take the status, somebody has to do it there."""
    by_platform = Counter(row.invoice.connection.platform_label for row in planned if row.by_hand)
    words = _("%(platform)s does not take this status from us: %(count)d are recorded here and stay to be done there.")
    told = sum(not row.problem and not row.by_hand for row in planned)
    effects = [words % {"platform": name, "count": count} for name, count in by_platform.items()]
    return Question(
        title=_("Some are to be done by hand"),
        answer=_("Take in hand"),
        effects=[*effects, _("Told to their platforms: %(count)d.") % {"count": told}],
        back=reverse("lifecycle:invoices"),
        tone="",
    )

"""Deciding: the dialog for one invoice, and taking many in hand at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from invoices.access import invoices_of
from invoices.models import Invoice
from lifecycle import queries, services
from lifecycle.codes import STATUSES, Status
from lifecycle.forms import DecisionForm
from lifecycle.models import RelayState, RelayTask
from lifecycle.services import DecisionRefused, StaleInvoice, Wish

from .invoices import reported_words, visible_invoice
from .page import DeskRequest, done, page

BULK_LIMIT = 200


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
        return _open(request, shown, status)
    form = DecisionForm(_with_more_rows(request.POST), invoice=shown, status=status)
    step = "more" if request.POST.get("add") else request.POST.get("step", "preview")
    if step in ("edit", "more"):
        return _show(request, shown, form)
    if not form.is_valid():
        return _show(request, shown, form, code=422)
    return _send(request, shown, form) if step == "send" else _preview(request, shown, form)


def _open(request: DeskRequest, shown: Invoice, status: str) -> HttpResponse:
    if status not in services.next_statuses(shown):
        return _stale(request, shown, seen=_last_sequence(shown), status=status)
    initial = {"version": shown.version, "seen": _last_sequence(shown), "key": uuid4()}
    return _show(request, shown, DecisionForm(invoice=shown, status=status, initial=initial))


def _with_more_rows(data: Any) -> Any:
    """One more empty row of reasons or amounts, where that button was pressed."""
    wanted = data.get("add")
    name = f"{wanted}-TOTAL_FORMS"
    if wanted not in ("reasons", "payments") or not data.get(name, "").isdigit():
        return data
    data = data.copy()
    data[name] = str(int(data[name]) + 1)
    return data


def _preview(request: DeskRequest, shown: Invoice, form: DecisionForm) -> HttpResponse:
    wish = form.wish()
    if wish.version != shown.version:
        return _stale(request, shown, seen=form.cleaned_data["seen"], status=wish.status)
    if problems := services.problems_with(shown, wish):
        form.show(problems)
        return _show(request, shown, form, code=422)
    return _show(request, shown, form, wish=wish)


def _send(request: DeskRequest, shown: Invoice, form: DecisionForm) -> HttpResponse:
    wish = form.wish()
    if not form.check_confirmed():
        return _show(request, shown, form, wish=wish, code=422)
    try:
        relay, _new = services.issue_status(
            user=request.user, invoice_id=shown.pk, wish=wish, idempotency_key=str(form.cleaned_data["key"])
        )
    except StaleInvoice:
        return _stale(request, visible_invoice(request, shown.pk), seen=form.cleaned_data["seen"], status=wish.status)
    except DecisionRefused as refused:
        form.show(refused.problems)
        return _show(request, shown, form, code=422)
    return done(request, _words_for(relay), to=reverse("lifecycle:invoice", args=[shown.pk]))


def _words_for(relay: RelayTask) -> str:
    words = {
        RelayState.AWAITING_APPROVAL.value: _("“%(status)s” waits for a second person to release it."),
        RelayState.UNSUPPORTED.value: _("“%(status)s” is recorded. Now do it on the platform, then say so here."),
        RelayState.SCHEDULED.value: _("“%(status)s” is recorded and sent shortly; until then you can undo it."),
    }
    template = words.get(str(relay.state), _("“%(status)s” is recorded and on its way."))
    return template % {"status": relay.label}


def _show(
    request: DeskRequest, shown: Invoice, form: DecisionForm, *, wish: Wish | None = None, code: int = 200
) -> HttpResponse:
    info = form.info
    needs_release = shown.customer.four_eyes and info.code in services.FOUR_EYES_STATUSES
    context = {
        "invoice": shown,
        "form": form,
        "info": info,
        "reported": reported_words(info.code),
        "carried": services.can_carry(shown, info.code),
        "needs_release": needs_release,
        "wish": wish,
        "speaker": shown.customer.name if services.seat_of(shown) == shown.side else shown.counterparty_name,
        "role": services.role_of(shown),
    }
    return _answer(request, "decision", context, code)


def _stale(request: DeskRequest, shown: Invoice, *, seen: int, status: str) -> HttpResponse:
    news = shown.status_events.select_related("actor", "relay").filter(sequence__gt=seen)
    context = {"invoice": shown, "news": news.order_by("-sequence"), "status": status}
    return _answer(request, "decision_stale", context, 409)


def _answer(request: DeskRequest, name: str, context: dict[str, Any], code: int) -> HttpResponse:
    """The dialog's content; a page of its own where there is no script."""
    part = f"lifecycle/parts/{name}.html"
    template = part if request.htmx else "lifecycle/decision_page.html"
    return render(request, template, {**context, "part": part}, status=code)


def _last_sequence(shown: Invoice) -> int:
    return shown.status_events.order_by("-sequence").values_list("sequence", flat=True).first() or 0


# --- many at once -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BulkResult:
    invoice: Invoice
    problem: str = ""


@page
@require_POST
def take_in_hand(request: DeskRequest) -> HttpResponse:
    """204 for each ticked invoice, one decision each: one that cannot be does not stop the others."""
    ids = [text for text in request.POST.getlist("invoice") if queries.is_uuid(text)][:BULK_LIMIT]
    rows = list(invoices_of(request.user).filter(pk__in=ids).select_related("customer"))
    results = [_take(request, each) for each in rows]
    context = {
        "results": results,
        "taken": sum(not each.problem for each in results),
        "refused": sum(bool(each.problem) for each in results),
    }
    return _answer(request, "bulk_results", context, 200)


def _take(request: DeskRequest, invoice: Invoice) -> BulkResult:
    try:
        services.issue_status(user=request.user, invoice_id=invoice.pk, wish=Wish(status=Status.IN_HAND.value))
    except (DecisionRefused, PermissionDenied) as refused:
        return BulkResult(invoice, str(refused))
    return BulkResult(invoice)

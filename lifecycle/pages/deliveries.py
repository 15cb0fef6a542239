"""The inbox as administrators see it."""

from __future__ import annotations

import json
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from invoices.people.access import deliveries_of
from lifecycle.decisions.forms import DeliveryFilterForm
from lifecycle.inbox import deliveries
from lifecycle.lists import queries
from providers.models import WebhookDelivery

from .page import DeskRequest, done, page

BULK_LIMIT = 500
BODY_SHOWN = 100_000


def _deliveries(request: DeskRequest) -> QuerySet[WebhookDelivery]:
    if not request.desk.is_administrator:
        raise PermissionDenied(_("Only administrators see what platforms push."))
    return deliveries_of(request.user).select_related("connection")


@page
@require_GET
def delivery_list(request: DeskRequest) -> HttpResponse:
    rows = _deliveries(request).defer("body", "headers")
    form = DeliveryFilterForm(request.GET)
    state = form.cleaned_data["state"] if form.is_valid() else ""
    after = request.GET.get("after", "")
    quarantined = rows.filter(state=WebhookDelivery.State.QUARANTINED).order_by("-received_at")
    context = {
        "form": form,
        "found": queries.keyset_page(rows.filter(state=state) if state else rows, "received_at", after),
        "quarantined": [] if state or after else list(quarantined[: queries.PAGE_SIZE]),
    }
    return render(request, "lifecycle/delivery_list.html", context)


@page
@require_GET
def delivery(request: DeskRequest, delivery_id: UUID) -> HttpResponse:
    shown = get_object_or_404(_deliveries(request), pk=delivery_id)
    text = shown.body_text
    context = {"delivery": shown, "text": _indented(text)[:BODY_SHOWN], "is_cut": len(text) > BODY_SHOWN}
    return render(request, "lifecycle/delivery.html", context)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


@page
@require_POST
def replay(request: DeskRequest) -> HttpResponse:
    """Every ticked delivery starts again; what it told already is recognised."""
    asked = [text for text in request.POST.getlist("delivery") if queries.is_uuid(text)][:BULK_LIMIT]
    known = _deliveries(request).filter(pk__in=asked).values_list("pk", flat=True)
    for delivery_id in known:
        deliveries.replay(user=request.user, delivery_id=delivery_id)
    words = ngettext("%(count)d delivery is taken up again.", "%(count)d deliveries are taken up again.", len(known))
    back = reverse("lifecycle:deliveries")
    if not known:
        return done(request, _("Tick at least one delivery first."), to=back, tone="bad")
    return done(request, words % {"count": len(known)}, to=back)

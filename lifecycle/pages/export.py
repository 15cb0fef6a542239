"""Invoices as a ZIP, for everybody who may read them."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from invoices.people.access import invoices_of
from invoices.people.limited import export_limit, limited
from lifecycle.decisions.forms import InvoiceFilterForm
from lifecycle.history import export

from .invoices import filtered, visible_invoice
from .page import DeskRequest, page


@page
@limited(export_limit)
@require_GET
def export_one(request: DeskRequest, invoice_id: UUID) -> HttpResponseBase:
    shown = visible_invoice(request, invoice_id)
    return export.as_download([shown.pk], user=request.user, invoice=shown)


@page
@limited(export_limit)
@require_GET
def export_proof(request: DeskRequest, relay_id: UUID) -> HttpResponseBase:
    """One decision with what was sent and what came back."""
    relay = get_object_or_404(export.relays().filter(invoice__in=invoices_of(request.user)), pk=relay_id)
    return export.proof(relay, user=request.user)


@page
@limited(export_limit)
@require_GET
def export_many(request: DeskRequest) -> HttpResponseBase:
    """What the list shows with these filters, all its pages."""
    back = redirect(f"{reverse('lifecycle:invoices')}?{request.GET.urlencode()}")
    form = InvoiceFilterForm(request.GET, desk=request.desk)
    if not form.is_valid():
        return back
    try:
        ids = export.at_most(filtered(request, form))
    except export.TooMany as refusal:
        messages.error(request, str(refusal))
        return back
    return export.as_download(ids, user=request.user)

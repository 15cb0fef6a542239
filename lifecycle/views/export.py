"""Invoices as a ZIP, for everybody who may read them."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from lifecycle import export
from lifecycle.forms import InvoiceFilterForm

from .invoices import filtered, visible_invoice
from .page import DeskRequest, page


@page
@require_GET
def export_one(request: DeskRequest, invoice_id: UUID) -> HttpResponseBase:
    shown = visible_invoice(request, invoice_id)
    return export.as_download([shown.pk], user=request.user, invoice=shown)


@page
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

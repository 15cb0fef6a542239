"""Having a file checked again; the report itself stands on the invoice's page."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from invoices.models import Role
from invoices.validation import services as validation

from .invoices import visible_invoice
from .page import DeskRequest, done, page


@page
@require_POST
def check_again(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    shown = visible_invoice(request, invoice_id)
    if not request.desk.may(shown.customer_id, Role.CLERK):
        raise PermissionDenied
    here = reverse("lifecycle:invoice", args=[shown.pk])
    original = shown.original
    if original is None:
        return done(request, _("This invoice has no file to check yet."), to=here, tone="bad")
    validation.ask_again(original)
    return done(request, _("The file will be checked again in a moment."), to=here)

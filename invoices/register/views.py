"""Files of invoices, as they came: foreign content that no browser may run in our name.

A signed-in person's link is checked here and leads to a short-lived address that needs no cookie (`files`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.core.files.base import ContentFile, File
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from invoices.models import Invoice, InvoiceDocument, Prepared
from invoices.people import audit
from invoices.people.access import invoices_of
from invoices.people.limited import limited, preview_limit
from providers.formats.xml import UnreadableDocument

from . import files, prepared
from .stored import telling_document

SANDBOX = "sandbox; default-src 'none'"
# A browser's PDF viewer does not start in a sandbox. Nothing but our own page may frame it.
PDF_POLICY = "script-src 'none'; form-action 'none'; frame-ancestors 'self'"


# --- for people: rights are checked, then the browser is sent on


@login_required
@require_safe
def download(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> HttpResponse:
    return _send_on(request, _document(request, invoice_id, document_id))


@login_required
@require_safe
@xframe_options_sameorigin
def view(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> HttpResponse:
    """For the frame of the invoice's page."""
    return _send_on(request, _document(request, invoice_id, document_id), shown=True)


@login_required
@require_safe
def attachment(request: HttpRequest, invoice_id: UUID, index: int) -> HttpResponse:
    """A file embedded in the invoice's original."""
    return _send_on(request, _original(request, invoice_id), part=index)


@login_required
@require_safe
@xframe_options_sameorigin
def view_attachment(request: HttpRequest, invoice_id: UUID, index: int) -> HttpResponse:
    return _send_on(request, _original(request, invoice_id), part=index, shown=True)


@login_required
@limited(preview_limit)
@require_safe
def readable_pdf(request: HttpRequest, invoice_id: UUID) -> HttpResponse:
    """The readable view on paper, in the reader's language."""
    invoice = _invoice(request, invoice_id)
    try:
        content = prepared.pdf(telling_document(invoice), get_language() or "fr")
    except prepared.BeingPrepared:
        return _soon()
    except UnreadableDocument as error:
        raise Http404(str(error)) from error
    _note(invoice)
    name = files.served_name(str(invoice), files.PDF)
    response = HttpResponse(content, content_type=files.PDF)
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return _shielded(response, SANDBOX)


def _note(invoice: Invoice) -> None:
    audit.record(audit.Action.FILE_OPENED, customer=invoice.customer, subject=invoice)


def _invoice(request: HttpRequest, invoice_id: UUID) -> Invoice:
    return get_object_or_404(invoices_of(request.user), pk=invoice_id)


def _document(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> InvoiceDocument:
    return get_object_or_404(InvoiceDocument, invoice=_invoice(request, invoice_id), pk=document_id)


def _original(request: HttpRequest, invoice_id: UUID) -> InvoiceDocument:
    original = _invoice(request, invoice_id).original
    if original is None:
        raise Http404
    return original


def _send_on(
    request: HttpRequest, document: InvoiceDocument, *, part: int | None = None, shown: bool = False
) -> HttpResponse:
    if not shown:
        _note(document.invoice)
    response = HttpResponseRedirect(files.address_of(document, user=request.user, part=part, shown=shown))
    response.headers["Cache-Control"] = "private, no-store"
    return response


# --- for whoever holds a fresh address: no session is read, no cookie set


@require_safe
@xframe_options_sameorigin
def file(request: HttpRequest, token: str) -> HttpResponse:
    try:
        address = files.read_address(token)
    except files.Expired:
        words = _("This address was good for a few minutes only. Go back to the invoice and open the file again.")
        return _plain(words, 410)
    except signing.BadSignature as error:
        raise Http404 from error
    reader = get_object_or_404(get_user_model(), pk=address.user)
    rows = InvoiceDocument.objects.filter(invoice__in=invoices_of(reader)).select_related("invoice")
    document = get_object_or_404(rows, pk=address.document)
    try:
        found = _Found(document, address.part)
    except prepared.BeingPrepared:
        return _soon()
    except OSError:
        return _plain(str(files.CANNOT_BE_OPENED), 503)
    if address.shown and found.media_type not in files.SHOWN:
        found.file.close()
        raise Http404
    response: Any = FileResponse(found.file, content_type=found.media_type)
    disposition = content_disposition_header(not address.shown, found.name)
    response.headers["Content-Disposition"] = disposition or "attachment"
    return _shielded(response, PDF_POLICY if address.shown and found.media_type == files.PDF else SANDBOX)


class _Found:
    """A file opened, with the type and the name under which it leaves."""

    def __init__(self, document: InvoiceDocument, part: int | None) -> None:
        if part is None:
            self.file: File = document.file.open("rb")
            told, name = document.media_type, document.filename or str(document.invoice)
        else:
            attachment = _embedded(document, part)
            self.file = ContentFile(bytes(attachment.content))
            told, name = attachment.media_type, attachment.filename
        self.media_type = files.served_type(told, self.file.read(16))
        self.file.seek(0)
        self.name = files.served_name(name, self.media_type)


def _embedded(document: InvoiceDocument, part: int) -> Prepared:
    try:
        return prepared.embedded(document, part)
    except UnreadableDocument as error:
        raise Http404 from error


def _soon() -> HttpResponse:
    """Asks for itself again; a sandbox would not let it."""
    words = _("The file is being prepared. It opens here by itself in a few seconds.")
    headers = {"Refresh": "2", "Cache-Control": "private, no-store"}
    return HttpResponse(words, status=202, content_type="text/plain; charset=utf-8", headers=headers)


def _plain(words: str, status: int) -> HttpResponse:
    return _shielded(HttpResponse(words, status=status, content_type="text/plain; charset=utf-8"), SANDBOX)


def _shielded(response: Any, policy: str) -> HttpResponse:
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, no-store"
    return response

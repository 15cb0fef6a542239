"""Files of invoices, as they came: foreign content that no browser may run in our name."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from providers.xml import UnreadableDocument

from .access import invoices_of
from .models import Invoice, InvoiceDocument
from .services import read_stored_original

# Types a browser may be told; anything else is a stream of bytes. None of them runs script on its own.
SAFE_TYPES = frozenset(
    {
        "application/pdf",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/xml",
        "image/jpeg",
        "image/png",
        "text/csv",
    }
)
PDF = "application/pdf"
EXTENSIONS = {PDF: ".pdf", "application/xml": ".xml"}


@login_required
@require_GET
def download(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> HttpResponse:
    document = _document(request, invoice_id, document_id)
    content_type = _safe_type(document.media_type)
    name = document.filename or f"{document.invoice}{EXTENSIONS.get(content_type, '')}"
    return _as_attachment(FileResponse(document.file.open("rb"), content_type=content_type), name)


@login_required
@require_GET
@xframe_options_sameorigin
def view_pdf(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> HttpResponse:
    """A PDF for the frame of the invoice's page; the browser's own viewer shows it."""
    document = _document(request, invoice_id, document_id)
    file = document.file.open("rb")
    if document.media_type != PDF or file.read(5) != b"%PDF-":
        file.close()
        raise Http404
    file.seek(0)
    response = FileResponse(file, content_type=PDF)
    # No sandbox here: the viewer does not start in one. Nothing but our own page may frame it.
    response.headers["Content-Security-Policy"] = "script-src 'none'; form-action 'none'; frame-ancestors 'self'"
    return _shielded(response)


@login_required
@require_GET
def attachment(request: HttpRequest, invoice_id: UUID, index: int) -> HttpResponse:
    """A file embedded in the invoice's original."""
    try:
        attachments = read_stored_original(_invoice(request, invoice_id)).attachments
    except UnreadableDocument as error:
        raise Http404 from error
    if index >= len(attachments) or attachments[index].content is None:
        raise Http404
    found = attachments[index]
    response = HttpResponse(found.content, content_type=_safe_type(found.media_type))
    return _as_attachment(response, found.filename or found.reference or str(index + 1))


def _invoice(request: HttpRequest, invoice_id: UUID) -> Invoice:
    return get_object_or_404(invoices_of(request.user), pk=invoice_id)


def _document(request: HttpRequest, invoice_id: UUID, document_id: UUID) -> InvoiceDocument:
    return get_object_or_404(InvoiceDocument, invoice=_invoice(request, invoice_id), pk=document_id)


def _safe_type(media_type: str) -> str:
    plain = media_type.partition(";")[0].strip().lower()
    plain = "application/xml" if plain == "text/xml" else plain
    return plain if plain in SAFE_TYPES else "application/octet-stream"


def _as_attachment(response: Any, filename: str) -> HttpResponse:
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", filename)
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return _shielded(response)


def _shielded(response: Any) -> HttpResponse:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response

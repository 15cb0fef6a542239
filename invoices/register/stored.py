"""Stored files: their bytes, and the invoice in them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from invoices.models import Invoice, InvoiceDocument
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.reader import read_invoice
from providers.formats.xml import UnreadableDocument

# Which of an invoice's files tells what it says: the first there is.
TO_READ = (InvoiceDocument.Kind.ORIGINAL, InvoiceDocument.Kind.CONVERTED)


def content_of(document: InvoiceDocument) -> bytes:
    with document.file.open("rb") as file:
        return file.read()


def read_content(document: InvoiceDocument, content: bytes) -> ParsedInvoice:
    """Raises UnreadableDocument."""
    return read_invoice(content, media_type=document.media_type, filename=document.filename)


def read_document(document: InvoiceDocument) -> ParsedInvoice:
    """A stored file read as an invoice. Raises UnreadableDocument."""
    return read_content(document, content_of(document))


def telling_document(invoice: Invoice) -> InvoiceDocument:
    """The invoice's original, or the platform's version where that is all we have. Raises UnreadableDocument."""
    document = invoice.original or invoice.documents.filter(kind=TO_READ[-1]).order_by("-received_at").first()
    if document is None:
        raise UnreadableDocument("missing", _("The platform has not delivered the document of this invoice yet."))
    return document


def read_stored_original(invoice: Invoice) -> ParsedInvoice:
    """Takes its time with a long file: for the worker. Raises UnreadableDocument."""
    return read_document(telling_document(invoice))

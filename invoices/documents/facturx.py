"""Factur-X: the invoice is the XML file inside the PDF; the pages are only its picture."""

from dataclasses import dataclass
from io import BytesIO

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from pypdf import PdfReader
from pypdf.generic import EmbeddedFile

from providers.xml import UnreadableDocument

from .model import Attachment

# Names given by Factur-X 1.0 and the ZUGFeRD 2 versions identical to it.
INVOICE_NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
# pypdf inflates at most 75 MB per stream; these bound the sum.
MAX_EMBEDDED_FILES = 100
MAX_EMBEDDED_BYTES = 75_000_000


@dataclass(frozen=True)
class EmbeddedInvoice:
    xml: bytes
    attachments: tuple[Attachment, ...]
    warnings: tuple[str | Promise, ...] = ()


def extract_invoice(content: bytes) -> EmbeddedInvoice:
    """The invoice of a PDF and its other files. Raises UnreadableDocument."""
    files = embedded_files(content)
    named = distinct([file for file in files if file.filename.lower() in INVOICE_NAMES])
    candidates = named or distinct([file for file in files if looks_like_invoice(file)])
    if not candidates:
        raise UnreadableDocument(
            "pdf_without_invoice",
            _(
                "This PDF contains no invoice data (no factur-x.xml): it is a plain PDF, not an electronic invoice. "
                "Ask the sender for a Factur-X, UBL or CII invoice."
            ),
        )
    if len(candidates) > 1:
        raise UnreadableDocument(
            "several_invoices",
            format_lazy(
                _(
                    "This PDF contains {count} different invoice files; which one counts cannot be guessed. "
                    "Ask the sender for one file per invoice."
                ),
                count=len(candidates),
            ),
        )
    invoice = candidates[0]
    xml = invoice.content or b""
    warnings = () if named else (name_warning(invoice.filename),)
    return EmbeddedInvoice(xml, tuple(file for file in files if file.content != xml), warnings)


def name_warning(filename: str) -> Promise:
    return format_lazy(_("The invoice inside the PDF is named {name} instead of factur-x.xml."), name=filename)


def embedded_files(content: bytes) -> list[Attachment]:
    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted:
            raise UnreadableDocument(
                "encrypted_pdf",
                _("This PDF is encrypted, which Factur-X forbids. Ask the sender for a PDF without password."),
            )
        return read_within_limits(reader)
    except UnreadableDocument:
        raise
    # On damaged files pypdf raises what its internals happen to raise, from KeyError to RecursionError.
    except Exception as error:
        raise UnreadableDocument(
            "damaged_pdf",
            _("This PDF is damaged and cannot be opened. Fetch it again, or ask the sender for a new file."),
        ) from error


def read_within_limits(reader: PdfReader) -> list[Attachment]:
    files: list[Attachment] = []
    size = 0
    for embedded in reader.attachment_list:
        file = as_attachment(embedded)
        size += len(file.content or b"")
        if len(files) == MAX_EMBEDDED_FILES or size > MAX_EMBEDDED_BYTES:
            raise UnreadableDocument(
                "too_large",
                _("The files inside this PDF are too many or too large. Ask the sender for a smaller invoice."),
            )
        files.append(file)
    return files


def as_attachment(embedded: EmbeddedFile) -> Attachment:
    filename = embedded.alternative_name or embedded.name
    return Attachment(
        reference=embedded.name,
        description=embedded.description or "",
        filename=filename.replace("\\", "/").rpartition("/")[2][-150:],
        media_type=(embedded.subtype or "").lstrip("/"),
        content=embedded.content,
    )


def looks_like_invoice(file: Attachment) -> bool:
    return file.filename.lower().endswith(".xml") and b"CrossIndustryInvoice" in (file.content or b"")[:4096]


def distinct(files: list[Attachment]) -> list[Attachment]:
    """Some programs list the same file twice."""
    return list({file.content: file for file in files}.values())

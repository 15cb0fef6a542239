"""Factur-X: the invoice is the XML file inside the PDF; the pages are only its picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from pypdf import PdfReader
from pypdf.generic import EmbeddedFile

from providers.xml import UnreadableDocument

from .model import Attachment

# Names given by Factur-X 1.0 and the ZUGFeRD 2 versions identical to it.
INVOICE_NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
# pypdf opens a stream of at most 75 MB; these bound the sum. What goes beyond is listed without its content.
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
    named = distinct([file for file in files if is_named_invoice(file.filename)])
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
    if invoice.content is None:
        raise too_much_inside()
    others = tuple(file for file in files if file.content is None or file.content != invoice.content)
    warnings = [] if named else [name_warning(invoice.filename)]
    return EmbeddedInvoice(invoice.content, others, (*warnings, *attachment_warnings(others)))


def name_warning(filename: str) -> Promise:
    return format_lazy(_("The invoice inside the PDF is named {name} instead of factur-x.xml."), name=filename)


def attachment_warnings(files: tuple[Attachment, ...]) -> Iterator[Promise]:
    for file in files:
        if file.content is None:
            words = _("The attachment {name} is too large or damaged to be opened here; it is still in the PDF.")
            yield format_lazy(words, name=file.filename)
        elif not file.content:
            yield format_lazy(_("The attachment {name} is empty. Ask the sender for it."), name=file.filename)


def too_much_inside() -> UnreadableDocument:
    return UnreadableDocument(
        "too_large",
        _("The files inside this PDF are too many or too large. Ask the sender for a smaller invoice."),
    )


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
    """The embedded files in their order; the invoice is opened first, so that no other file takes its room."""
    entries = list(islice(reader.attachment_list, MAX_EMBEDDED_FILES + 1))
    if len(entries) > MAX_EMBEDDED_FILES:
        raise too_much_inside()
    room, files = MAX_EMBEDDED_BYTES, {}
    for index in sorted(range(len(entries)), key=lambda index: not is_named_invoice(plain_name(entries[index]))):
        files[index] = as_attachment(entries[index], room)
        room -= len(files[index].content or b"")
    return [files[index] for index in range(len(entries))]


def as_attachment(embedded: EmbeddedFile, room: int) -> Attachment:
    return Attachment(
        reference=embedded.name,
        description=embedded.description or "",
        filename=plain_name(embedded),
        media_type=(embedded.subtype or "").lstrip("/"),
        content=content_within(embedded, room),
    )


def content_within(embedded: EmbeddedFile, room: int) -> bytes | None:
    """None for what is larger than `room`, inflates beyond pypdf's limits, or is damaged."""
    try:
        content = embedded.content
    except Exception:  # whatever pypdf raises: one broken attachment does not lose the invoice
        return None
    return content if len(content) <= room else None


def plain_name(embedded: EmbeddedFile) -> str:
    filename = embedded.alternative_name or embedded.name
    return filename.replace("\\", "/").rpartition("/")[2][-150:]


def is_named_invoice(filename: str) -> bool:
    return filename.lower() in INVOICE_NAMES


def looks_like_invoice(file: Attachment) -> bool:
    return file.filename.lower().endswith(".xml") and b"CrossIndustryInvoice" in (file.content or b"")[:4096]


def distinct(files: list[Attachment]) -> list[Attachment]:
    """Some programs list the same file twice."""
    return list({file.content: file for file in files}.values())

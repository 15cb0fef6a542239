"""Factur-X: the invoice is the XML file inside the PDF; the pages are only its picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from providers.formats.files import INVOICE_ROOTS
from providers.formats.xml import UnreadableDocument, root_name

from .model import Attachment
from .pdf_files import INVOICE_NAMES, KNOWN_NAMES, PdfFile, PdfFiles, read_files, too_much_inside

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# What Factur-X gives the invoice and its source as AFRelationship (7.2.2), by profile.
RELATIONSHIPS = {"Alternative", "Data", "Source"}
# ZUGFeRD 1.0, Order-X, a status message: known by their root, and no rival of an invoice beside them.
OTHER_ROOTS = {
    "CrossIndustryDocument",
    "SCRDMCCBDACIOMessageStructure",
    "CrossDomainAcknowledgementAndResponse",
}
SHOWN_NAMES = 10


@dataclass(frozen=True)
class EmbeddedInvoice:
    xml: bytes
    attachments: tuple[Attachment, ...]
    warnings: tuple[str | Promise, ...] = ()


def extract_invoice(content: bytes) -> EmbeddedInvoice:
    """The invoice of a PDF and its other files. Raises UnreadableDocument."""
    pdf = read_files(content)
    invoice = choose(pdf)
    if invoice.content is None:
        raise too_much_inside()
    others = tuple(file for file in pdf.files if file.content is None or file.content != invoice.content)
    attachments = tuple(file.attachment for file in others)
    warnings = (*choice_warnings(pdf, invoice, others), *attachment_warnings(attachments))
    return EmbeddedInvoice(invoice.content, attachments, warnings)


def choose(pdf: PdfFiles) -> PdfFile:
    """The file that the metadata name; else by its relationship to the document, its place, its name."""
    candidates = distinct(candidates_of(pdf))
    if not candidates:
        raise nothing_inside(pdf)
    preferences: tuple[Callable[[PdfFile], bool], ...] = (
        lambda file: file.is_called(pdf.named),
        lambda file: file.relationship in RELATIONSHIPS,
        lambda file: file.is_associated,
        lambda file: file.is_called(INVOICE_NAMES),
    )
    for is_preferred in preferences:
        candidates = [file for file in candidates if is_preferred(file)] or candidates
    if len(candidates) > 1:
        raise UnreadableDocument(
            "several_invoices",
            format_lazy(
                _(
                    "This PDF contains {count} different invoice files ({names}); which one counts cannot be guessed. "
                    "Ask the sender for one file per invoice."
                ),
                count=len(candidates),
                names=names_of(candidates),
            ),
        )
    return candidates[0]


def candidates_of(pdf: PdfFiles) -> list[PdfFile]:
    """What is an invoice or, by its name, should be one; else what is told apart by its own name."""
    roots = {id(file): root_name(file.content or b"") for file in pdf.files}
    names = {*pdf.named, *KNOWN_NAMES}
    found = [
        file
        for file in pdf.files
        if roots[id(file)] in INVOICE_ROOTS or (file.is_called(names) and roots[id(file)] not in OTHER_ROOTS)
    ]
    return found or [file for file in pdf.files if roots[id(file)] in OTHER_ROOTS]


def distinct(files: list[PdfFile]) -> list[PdfFile]:
    """Some programs list the same file twice."""
    return list({file.content: file for file in reversed(files)}.values())[::-1]


def nothing_inside(pdf: PdfFiles) -> UnreadableDocument:
    message: StrPromise = _(
        "This PDF contains no invoice data (no factur-x.xml): it is a plain PDF, not an electronic invoice. "
        "Ask the sender for a Factur-X, UBL or CII invoice."
    )
    if pdf.files:
        words = _(
            "None of the files inside this PDF is an invoice (found: {names}): it is not an electronic invoice. "
            "Ask the sender for a Factur-X, UBL or CII invoice."
        )
        message = format_lazy(words, names=names_of(pdf.files))
    return UnreadableDocument("pdf_without_invoice", message)


def choice_warnings(pdf: PdfFiles, invoice: PdfFile, others: tuple[PdfFile, ...]) -> Iterator[Promise]:
    if not invoice.is_called(INVOICE_NAMES):
        words = _("The invoice inside the PDF is named {name} instead of factur-x.xml.")
        yield format_lazy(words, name=invoice.name)
    if pdf.named and not invoice.is_called(pdf.named):
        words = _("The metadata of the PDF name {named} as the invoice, which is not in it; {name} was read.")
        yield format_lazy(words, named=", ".join(pdf.named[:SHOWN_NAMES]), name=invoice.name)
    if rivals := [file for file in others if root_name(file.content or b"") in INVOICE_ROOTS]:
        words = _("Beside the invoice {name} the PDF holds other invoice data: {names}. Ask the sender if in doubt.")
        yield format_lazy(words, name=invoice.name, names=names_of(rivals))
    if pdf.is_encrypted:
        yield _("The PDF is encrypted, which Factur-X forbids; it could be opened without a password.")


def names_of(files: list[PdfFile] | tuple[PdfFile, ...]) -> str:
    return ", ".join(file.name or "?" for file in files[:SHOWN_NAMES])


def attachment_warnings(files: tuple[Attachment, ...]) -> Iterator[Promise]:
    for file in files:
        if file.content is None:
            words = _("The attachment {name} is too large or damaged to be opened here; it is still in the PDF.")
            yield format_lazy(words, name=file.filename)
        elif not file.content:
            yield format_lazy(_("The attachment {name} is empty. Ask the sender for it."), name=file.filename)

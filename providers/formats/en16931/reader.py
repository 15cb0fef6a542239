"""From bytes to an invoice, by looking at the bytes: names and media types lie."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath, PureWindowsPath

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.formats.xml import Files, UnreadableDocument, Xml, read_xml

from . import envelopes
from .checks import content_warnings
from .cii import parse_cii
from .envelopes import ENVELOPES
from .facturx import extract_invoice
from .mapping import NAMESPACES
from .model import Attachment, ParsedInvoice, Syntax
from .pdf_files import is_pdf
from .terms_json import read_json
from .ubl import parse_ubl
from .ubl_writer import write_ubl

# A Factur-X of 100 MB is read: its pages and pictures are never opened. Of XML, the invoice itself, 20 MB are.
MAX_DOCUMENT_BYTES = 128 * 1024 * 1024
# Envelopes within envelopes.
MAX_DEPTH = 3

PARSERS: dict[str, Callable[[etree._Element, Files], ParsedInvoice]] = {
    "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice": parse_ubl,
    f"{{{NAMESPACES['cn']}}}CreditNote": parse_ubl,
    f"{{{NAMESPACES['rsm']}}}CrossIndustryInvoice": parse_cii,
}
SYNTAXES: dict[str, Syntax] = {tag: "cii" if parse is parse_cii else "ubl" for tag, parse in PARSERS.items()}
PICTURE = _("The file is a picture, not an electronic invoice. Ask the sender for Factur-X, UBL or CII.")
# Well-known things that are no invoice, with what a clerk can do.
OTHER_FORMATS = (
    (b"PK\x03\x04", _("The file is a ZIP archive. Open it and send its invoices one by one.")),
    (b"Rar!", _("The file is a RAR archive. Open it and send its invoices one by one.")),
    (b"7z\xbc\xaf\x27\x1c", _("The file is a 7-Zip archive. Open it and send its invoices one by one.")),
    (b"\x1f\x8b", _("The file is compressed (gzip). Ask the platform or the sender for the file itself.")),
    *((start, PICTURE) for start in (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")),
    (
        b"\xd0\xcf\x11\xe0",
        _("The file is an Office document, not an electronic invoice. Ask the sender for Factur-X, UBL or CII."),
    ),
)
OTHER_MESSAGES = {
    "CrossDomainAcknowledgementAndResponse": _("The file is a status message (CDAR), not an invoice."),
    "SCRDMCCBDACIOMessageStructure": _("The file is an order (Order-X), not an invoice."),
    "CrossIndustryDocument": _("The file is a ZUGFeRD 1.0 invoice, replaced in 2018. Ask the sender for Factur-X."),
}
PDF_TYPES, XML_TYPES = {"application/pdf"}, {"application/xml", "text/xml"}


@dataclasses.dataclass(frozen=True)
class OpenedInvoice:
    """The XML that counts, and where it came from."""

    syntax: Syntax
    xml: Xml
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[str | Promise, ...] = ()
    envelope: str = ""

    @property
    def root(self) -> etree._Element:
        return self.xml.root

    @property
    def checked_as(self) -> Syntax:
        """Whose rules hold for the XML."""
        return "ubl" if SYNTAXES[self.root.tag] == "ubl" else self.syntax


def read_invoice(content: bytes, *, media_type: str = "", filename: str = "") -> ParsedInvoice:
    """Read a UBL, CII or Factur-X invoice, or one in JSON. Raises UnreadableDocument and nothing else.

    `media_type` and `filename` are what the sender claims; they only cause a warning when the content says otherwise.
    """
    if is_json(content):
        invoice = read_json(content)
        return dataclasses.replace(invoice, warnings=(*invoice.warnings, *content_warnings(invoice)))
    opened = open_invoice(content)
    invoice = PARSERS[opened.root.tag](opened.root, opened.xml.files)
    claims = claim_warnings(is_pdf=is_pdf(content), media_type=media_type, filename=filename)
    return dataclasses.replace(
        invoice,
        syntax=opened.syntax,
        envelope=opened.envelope,
        attachments=(*invoice.attachments, *files_elsewhere(opened.xml, invoice), *opened.attachments),
        warnings=(*opened.warnings, *invoice.warnings, *claims, *content_warnings(invoice)),
    )


def files_elsewhere(xml: Xml, invoice: ParsedInvoice) -> Iterator[Attachment]:
    """Files where the model has no place for one, in an extension for example."""
    known = {id(attachment.content) for attachment in invoice.attachments}
    words = {word for word, content in xml.files.items() if content is not None and id(content) not in known}
    for element in xml.root.iter(etree.Element) if words else ():
        if (word := (element.text or "").strip()) in words:
            name, filename = etree.QName(element).localname, element.get("filename", "")
            yield attached(filename or name, element.get("mimeCode", ""), xml.files[word])


def open_invoice(content: bytes, *, depth: int = 0) -> OpenedInvoice:
    """Raises UnreadableDocument where there is no invoice in `content`."""
    if len(content) > MAX_DOCUMENT_BYTES:
        raise UnreadableDocument(
            "too_large",
            format_lazy(
                _("The file is larger than {limit} MB. Ask the sender for a smaller file."),
                limit=MAX_DOCUMENT_BYTES // (1024 * 1024),
            ),
        )
    if is_json(content):  # no rules are published for it: what it says is checked as UBL
        return OpenedInvoice("json", read_xml(write_ubl(read_json(content))))
    if is_pdf(content):
        embedded = extract_invoice(content)
        opened = open_xml(embedded.xml, depth)
        attachments, warnings = (*embedded.attachments, *opened.attachments), (*embedded.warnings, *opened.warnings)
        return OpenedInvoice("factur-x", opened.xml, attachments, warnings)
    return open_xml(content, depth)


def is_json(content: bytes) -> bool:
    return content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def open_xml(content: bytes, depth: int) -> OpenedInvoice:
    head = content[:1024].lstrip(b" \t\r\n")
    for signature, message in OTHER_FORMATS:
        if head.startswith(signature):
            raise UnreadableDocument("not_an_invoice", message)
    xml = read_xml(content)
    return plainly(xml) if xml.root.tag in PARSERS else open_envelope(xml, depth)


def plainly(xml: Xml) -> OpenedInvoice:
    return OpenedInvoice(SYNTAXES[xml.root.tag], xml)


def open_envelope(xml: Xml, depth: int) -> OpenedInvoice:
    """The one invoice in something that is none itself."""
    name = etree.QName(xml.root).localname
    if name in OTHER_MESSAGES or depth >= MAX_DEPTH:
        raise unknown_message(name)
    opened = [plainly(each) for each in envelopes.inside(xml, tuple(PARSERS))]
    others: list[Attachment] = []
    for letter in [] if opened else envelopes.letters(xml):
        try:
            opened.append(open_invoice(letter.content, depth=depth + 1))
        except UnreadableDocument:
            others.append(attached(*letter))
    if len(opened) != 1:
        raise unknown_message(name) if name not in ENVELOPES and not opened else envelope_refused(xml, len(opened))
    outer = envelopes.name_of(xml.root)
    words = format_lazy(_("The invoice came in an envelope, {name}, out of which it was taken."), name=outer)
    return dataclasses.replace(
        opened[0],
        envelope=outer,
        attachments=(*opened[0].attachments, *others),
        # Once where an envelope lies in another of its kind.
        warnings=opened[0].warnings if opened[0].envelope == outer else (words, *opened[0].warnings),
    )


def attached(filename: str, media_type: str, content: bytes | None) -> Attachment:
    name = PurePosixPath(PureWindowsPath(filename).name).name[-150:]
    return Attachment(reference=name, filename=name, media_type=media_type, content=content)


def envelope_refused(xml: Xml, count: int) -> UnreadableDocument:
    name = envelopes.name_of(xml.root)
    if count:
        words = _("The file is an envelope, {name}, with {count} invoices. Ask the sender for one file per invoice.")
        return UnreadableDocument("several_invoices", format_lazy(words, name=name, count=count))
    words = _(
        "The file is an envelope, {name}, without an invoice that can be read. Ask the sender for the invoice itself."
    )
    return UnreadableDocument("not_an_invoice", format_lazy(words, name=name))


def unknown_message(name: str) -> UnreadableDocument:
    message = OTHER_MESSAGES.get(name) or format_lazy(
        _(
            "The file is XML, but “{name}” is not an invoice format of the French reform "
            "(UBL 2.1, CII D22B or Factur-X). Ask the sender for one of these."
        ),
        name=name[:60],
    )
    return UnreadableDocument("not_an_invoice", message)


def claim_warnings(*, is_pdf: bool, media_type: str, filename: str) -> list[Promise]:
    claimed_type = media_type.partition(";")[0].strip().lower()
    extension = filename.lower().rpartition(".")[2] if "." in filename else ""
    wrong_types, wrong_extension = (XML_TYPES, "xml") if is_pdf else (PDF_TYPES, "pdf")
    if claimed_type not in wrong_types and extension != wrong_extension:
        return []
    return [
        format_lazy(
            _("The file was announced as {claimed} but contains {found}."),
            claimed=wrong_extension.upper(),
            found="PDF" if is_pdf else "XML",
        )
    ]

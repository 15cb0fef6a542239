"""From bytes to an invoice, by looking at the bytes: names and media types lie."""

import dataclasses
from collections.abc import Callable

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.xml import Files, UnreadableDocument, Xml, read_xml

from .checks import content_warnings
from .cii import parse_cii
from .facturx import EmbeddedInvoice, extract_invoice
from .mapping import NAMESPACES
from .model import ParsedInvoice, Syntax
from .terms_json import read_json
from .ubl import parse_ubl
from .ubl_writer import write_ubl

# A Factur-X of 100 MB is read: its pages and pictures are never opened. Of XML, the invoice itself, 20 MB are.
MAX_DOCUMENT_BYTES = 128 * 1024 * 1024
# ISO 32000 readers accept the header anywhere in the first kilobyte.
PDF_HEADER, PDF_HEADER_WITHIN = b"%PDF-", 1024

PARSERS: dict[str, Callable[[etree._Element, Files], ParsedInvoice]] = {
    "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice": parse_ubl,
    f"{{{NAMESPACES['cn']}}}CreditNote": parse_ubl,
    f"{{{NAMESPACES['rsm']}}}CrossIndustryInvoice": parse_cii,
}
SYNTAXES: dict[str, Syntax] = {tag: "cii" if parse is parse_cii else "ubl" for tag, parse in PARSERS.items()}
# Well-known things that are no invoice, with what a clerk can do.
OTHER_FORMATS = (
    (b"PK\x03\x04", _("The file is a ZIP archive. Open it and send its invoices one by one.")),
    (b"\x1f\x8b", _("The file is compressed (gzip). Ask the platform or the sender for the file itself.")),
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
    embedded: EmbeddedInvoice | None = None

    @property
    def root(self) -> etree._Element:
        return self.xml.root

    @property
    def checked_as(self) -> Syntax:
        """Whose rules hold for the XML."""
        return "ubl" if self.syntax == "json" else self.syntax


def read_invoice(content: bytes, *, media_type: str = "", filename: str = "") -> ParsedInvoice:
    """Read a UBL, CII or Factur-X invoice, or one in JSON. Raises UnreadableDocument and nothing else.

    `media_type` and `filename` are what the sender claims; they only cause a warning when the content says otherwise.
    """
    if is_json(content):
        invoice = read_json(content)
        return dataclasses.replace(invoice, warnings=tuple(content_warnings(invoice)))
    opened = open_invoice(content)
    invoice = PARSERS[opened.root.tag](opened.root, opened.xml.files)
    found = opened.embedded or EmbeddedInvoice(b"", ())
    claims = claim_warnings(is_pdf=opened.embedded is not None, media_type=media_type, filename=filename)
    return dataclasses.replace(
        invoice,
        syntax=opened.syntax,
        attachments=(*invoice.attachments, *found.attachments),
        warnings=(*found.warnings, *invoice.warnings, *claims, *content_warnings(invoice)),
    )


def open_invoice(content: bytes) -> OpenedInvoice:
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
        return OpenedInvoice("json", open_xml(write_ubl(read_json(content))))
    if PDF_HEADER in content[:PDF_HEADER_WITHIN]:
        embedded = extract_invoice(content)
        return OpenedInvoice("factur-x", open_xml(embedded.xml), embedded)
    xml = open_xml(content)
    return OpenedInvoice(SYNTAXES[xml.root.tag], xml)


def is_json(content: bytes) -> bool:
    return content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def open_xml(content: bytes) -> Xml:
    for signature, message in OTHER_FORMATS:
        if content.lstrip(b" \t\r\n").startswith(signature):
            raise UnreadableDocument("not_an_invoice", message)
    xml = read_xml(content)
    if xml.root.tag not in PARSERS:
        raise unknown_message(etree.QName(xml.root).localname)
    return xml


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

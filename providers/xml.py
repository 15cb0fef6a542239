"""The only door through which XML of others enters."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_XML_BYTES = 20 * 1024 * 1024
# Memory follows the number of elements and attributes, not the bytes: 20 MB of "<a/>" would take about a gigabyte.
# A line of an invoice has about 60 of these marks.
MAX_XML_MARKS = 1_000_000

# First match wins: XML 1.0, appendix F. Encodings are an allow-list: in UTF-7 or EBCDIC a DOCTYPE could hide.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
)
DECLARABLE_ENCODINGS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
DECLARATION = re.compile(r"<\?xml\s[^>]*?\?>")
DECLARED_ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# What may stand before a document type declaration or the root element.
PROLOG_ITEM = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)


class UnreadableDocument(Exception):
    """What was looked for (an invoice, a status message) cannot be read from these bytes.

    `code` is stable, for programs and tests; `message` tells a clerk what happened and what to do.
    """

    def __init__(self, code: str, message: StrOrPromise):
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


def parse_xml(content: bytes, *, max_bytes: int = MAX_XML_BYTES) -> etree._Element:
    """The root element. Raises UnreadableDocument.

    The text is decoded and inspected here and handed to libxml2 as UTF-8 without its declaration, so that what was
    inspected is what is parsed. No DTD, entity, network access or XInclude, whatever the encoding.
    """
    if len(content) > max_bytes:
        raise UnreadableDocument(
            "too_large",
            format_lazy(
                _("The file has {size} MB; {limit} MB are allowed. Ask the sender for a smaller file."),
                size=-(-len(content) // (1024 * 1024)),
                limit=max_bytes // (1024 * 1024),
            ),
        )
    text = decode_xml(content)
    refuse_document_type(text)
    if text.count("<") + text.count("=") > MAX_XML_MARKS:
        raise UnreadableDocument(
            "too_complex",
            _("The file has too many elements for an invoice. Ask the sender to split the invoice."),
        )
    root = parse_text(text)
    if root.getroottree().docinfo.internalDTD is not None:
        raise document_type_refused()
    return root


def decode_xml(content: bytes) -> str:
    if not content.strip(b" \t\r\n\0"):
        raise UnreadableDocument("empty", _("The file is empty. Ask the platform or the sender for the original."))
    encoding = detect_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            "encoding",
            format_lazy(
                _(
                    "The file says its characters are {encoding}, but byte {position} is not. "
                    "It was damaged or wrongly written: ask the sender for a new file."
                ),
                encoding=encoding,
                position=error.start + 1,
            ),
        ) from error
    text = text.lstrip(" \t\r\n")
    declaration = DECLARATION.match(text)
    return text[declaration.end() :] if declaration else text


def detect_encoding(content: bytes) -> str:
    head = content[:1024].lstrip(b" \t\r\n")
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            if not encoding:
                raise unknown_encoding("UTF-32")
            return encoding
    declared = DECLARED_ENCODING.match(head)
    if not declared:
        return "utf-8"
    name = declared[1].decode("ascii")
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        raise unknown_encoding(name) from None
    if encoding not in DECLARABLE_ENCODINGS:
        raise unknown_encoding(name)
    return encoding


def unknown_encoding(name: str) -> UnreadableDocument:
    return UnreadableDocument(
        "encoding",
        format_lazy(
            _("The file uses the character encoding {name}, which is not read here. Ask the sender for UTF-8."),
            name=name,
        ),
    )


def refuse_document_type(text: str) -> None:
    position = 0
    while item := PROLOG_ITEM.match(text, position):
        position = item.end()
    start = text[position : position + 9].upper()
    if start == "<!DOCTYPE" and text[position + 9 : position + 20].strip().lower().startswith("html"):
        raise web_page()
    if start == "<!DOCTYPE":
        raise document_type_refused()
    if start.startswith("<HTML"):
        raise web_page()


def web_page() -> UnreadableDocument:
    return UnreadableDocument(
        "web_page",
        _("The file is a web page, perhaps an error page of the platform. Fetch the original again."),
    )


def document_type_refused() -> UnreadableDocument:
    return UnreadableDocument(
        "document_type",
        _(
            "The file carries a document type declaration (DOCTYPE), which no invoice needs and which can be an "
            "attack. It was not opened. Ask the sender for a file without it."
        ),
    )


def parse_text(text: str) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise syntax_error(error) from error
    except UnicodeEncodeError as error:
        raise UnreadableDocument(
            "encoding", _("The file contains broken characters. Ask the sender for a new file.")
        ) from error


def syntax_error(error: etree.XMLSyntaxError) -> UnreadableDocument:
    if "limit exceeded" in (error.msg or "") or "Excessive depth" in (error.msg or ""):
        return UnreadableDocument(
            "too_complex",
            _(
                "One item of the file is larger (10 MB) or nested deeper than any invoice needs. "
                "Ask the sender to send large attachments apart."
            ),
        )
    line, column = error.position
    return UnreadableDocument(
        "malformed",
        format_lazy(
            _(
                "The file is not correct XML: it breaks at line {line}, column {column}. "
                "It is truncated or damaged: fetch it again, or ask the sender for a new file."
            ),
            line=line,
            column=column,
        ),
    )

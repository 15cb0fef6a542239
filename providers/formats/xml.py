"""The only door through which XML of others enters."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The whole file, and what is left of it without the files embedded in it.
MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_XML_BYTES = 20 * 1024 * 1024
# Memory follows the number of elements and attributes, not the bytes: 20 MB of "<a/>" would take about a gigabyte.
# A line of an invoice has about 60 of these marks.
MAX_XML_MARKS = 1_000_000

# First match wins: XML 1.0, appendix F. Encodings are an allow-list: in UTF-7 or EBCDIC a DOCTYPE could hide.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (b"<\x00\x00\x00", ""),
    (b"\x00\x00\x00<", ""),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# White space may stand before the first mark, which some programs write.
UTF_16_STARTS = (
    (re.compile(rb"(?:[ \t\r\n]\x00)*<\x00"), "utf-16-le"),
    (re.compile(rb"(?:\x00[ \t\r\n])*\x00<"), "utf-16-be"),
)
EBCDIC_DECLARATION = b"\x4c\x6f\xa7\x94\x93"
# Each is ASCII and one more character per byte: what is inspected is what is parsed.
DECLARABLE_ENCODINGS = {
    "utf-8",
    "ascii",
    *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
    *(f"cp{page}" for page in range(1250, 1259)),
}
# Written by programs that declare what they think in and save something else: the bytes show that it is not so.
LATIN_ENCODINGS = {"iso8859-1", "iso8859-15", "cp1252"}
WIDE_ENCODINGS = {"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"}
DECLARATION = re.compile(r"<\?xml\s[^>]*?\?>")
DECLARED_ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# What may stand before a document type declaration or the root element.
BEGINNING = 8192
ROOT = re.compile(r"<(?:[^\s<>:/!?]+:)?([^\s<>:/!?]+)")
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


# What is embedded is taken out of the bytes before they become a tree: libxml2 takes no text of 10 MB, and each copy of
# it would cost its size. UBL and CII call such an element so, and the envelopes of Peppol.
EMBEDDED = re.compile(
    rb"""<(?:[\w.-]{1,60}:)?[\w.-]{0,60}Binary(?:Object|Content)(?:\s(?:[^<>"']++|"[^<"]*+"|'[^<']*+')*+)?>"""
    rb"""(?P<cdata>\s*+<!\[CDATA\[)?(?P<file>(?:[^<&\]]++|&#x?[0-9A-Fa-f]{1,4};)*+)(?(cdata)\]\]>\s*+)</"""
)
TAKEN_OUT_FROM = 4_000
LINE_ENDS = re.compile(rb"&#(?:0*(?:9|10|13|32)|x0*(?:9|[aA]|[dD]|20));")
# Divisible by four, so that it is Base64 itself and the schema accepts it where the file was Base64.
STAND_IN = b"EmbeddedFile"
STAND_INS = re.compile(r"EmbeddedFile[0-9a-f]{16}[0-9]{7,8}")
DECODED_AT_ONCE = 1024 * 1024

Files = Mapping[str, bytes | None]
NO_FILES: Files = MappingProxyType({})


@dataclass(frozen=True)
class Xml:
    """`files`: what was embedded, by the word that stands in its place. None is what was no Base64."""

    root: etree._Element
    files: Files = field(default_factory=dict, repr=False)


def parse_xml(content: bytes) -> etree._Element:
    """The root element, for whoever asks for no embedded file. Raises UnreadableDocument."""
    return read_xml(content).root


def read_xml(content: bytes) -> Xml:
    """Raises UnreadableDocument.

    The text is decoded and inspected here and handed to libxml2 as UTF-8 without its declaration, so that what was
    inspected is what is parsed. No DTD, entity, network access or XInclude, whatever the encoding.
    """
    refuse_size(content, MAX_FILE_BYTES)
    refuse_emptiness(content)
    encoding = detect_encoding(content)
    head = beginning(content).lstrip("\ufeff \t\r\n")
    if head and not head.startswith("<"):
        raise UnreadableDocument(
            "malformed",
            _("The file is not XML: it does not begin like it. Ask the platform or the sender for the original."),
        )
    if encoding.startswith("utf-16"):
        content, encoding = as_utf8(content, encoding), "utf-8"
    rest, files = take_out(content)
    refuse_size(rest, MAX_XML_BYTES)
    encoding = real_encoding(rest, encoding)
    try:
        text = rest.decode(encoding)
    except UnicodeDecodeError:
        text = decode(content, encoding)  # which names the place in the file as it came
    # Some systems fill up a file with NUL, or end it as CP/M did.
    return Xml(parse_decoded(without_declaration(text).rstrip("\0\x1a")), files)


def parse_decoded(text: str) -> etree._Element:
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


def refuse_size(content: bytes, limit: int) -> None:
    if len(content) > limit:
        raise UnreadableDocument(
            "too_large",
            format_lazy(
                _("The file has {size} MB; {limit} MB are allowed. Ask the sender for a smaller file."),
                size=-(-len(content) // (1024 * 1024)),
                limit=limit // (1024 * 1024),
            ),
        )


# --- embedded files ---------------------------------------------------------------------------------------------------


def take_out(content: bytes) -> tuple[bytes, dict[str, bytes | None]]:
    """The bytes with a short word and as many lines in place of each embedded file, and the files."""
    kept: list[bytes] = []
    files: dict[str, bytes | None] = {}
    position, name = 0, b""
    for match in EMBEDDED.finditer(content):
        start, end = match.span("file")
        if end - start < TAKEN_OUT_FROM:
            continue
        try:
            found: bytes | None = decode_base64(content, start, end)
        except ValueError:
            found = None
        if found == b"":  # white space only
            continue
        # A content cannot name its own digest, so that nobody can write the words beforehand.
        name = name or STAND_IN + hashlib.sha256(content).hexdigest()[:16].encode()
        # One character less is no Base64: the schema is to say so.
        word = name + f"{len(files):0{7 if found is None else 8}d}".encode()
        files[word.decode()] = found
        kept += [content[position:start], word, b"\n" * content.count(b"\n", start, end)]
        position = end
    return (b"".join([*kept, content[position:]]) if files else content), files


def read_binary(text: str, files: Files) -> bytes:
    """The file that stands, or stood, in an element with this text. ValueError where it is no Base64."""
    word = text.strip()
    if word not in files:
        return decode_base64(word.encode())
    if (found := files[word]) is None:
        raise ValueError("This file was no Base64.")
    return found


def put_back(text: str, files: Files) -> str:
    """A text that is itself XML with the files again that were taken out of it."""

    def file(match: re.Match[str]) -> str:
        found = files.get(match[0])
        return match[0] if found is None else base64.b64encode(found).decode()

    return STAND_INS.sub(file, text) if files else text


def decode_base64(content: bytes, start: int = 0, end: int | None = None) -> bytes:
    """What is written between these places, in pieces and without a copy, for the sake of memory. ValueError."""
    written = memoryview(content)[start:end]
    if content.find(b"&", start, end) >= 0:
        written = memoryview(LINE_ENDS.sub(b"", written))
    decoded, rest = BytesIO(), b""
    for place in range(0, len(written), DECODED_AT_ONCE):
        rest += bytes(written[place : place + DECODED_AT_ONCE]).translate(None, b" \t\r\n")
        whole = max(len(rest) - len(rest) % 4 - 4, 0)
        if b"=" in rest[:whole]:
            raise binascii.Error("There is more after the end.")
        decoded.write(binascii.a2b_base64(rest[:whole], strict_mode=True))
        rest = rest[whole:]
    decoded.write(binascii.a2b_base64(rest, strict_mode=True))
    return decoded.getvalue()


# --- characters -------------------------------------------------------------------------------------------------------


def decode_xml(content: bytes) -> str:
    """The text without its declaration. Raises UnreadableDocument."""
    refuse_emptiness(content)
    return without_declaration(decode(content, real_encoding(content, detect_encoding(content))))


def beginning(content: bytes) -> str:
    """The first characters in whatever encoding; "" where that is none of ours."""
    try:
        encoding = detect_encoding(content)
    except UnreadableDocument:
        return ""
    return content[:BEGINNING].decode(encoding, "ignore")


def first_tag(content: bytes) -> str:
    """The first element with its attributes, as far as it stands in the first characters."""
    text = without_declaration(beginning(content))
    return text[end_of_prolog(text) :].partition(">")[0]


def root_name(content: bytes) -> str:
    """The local name of the first element, without a look at the rest; "" where there is none."""
    found = ROOT.match(first_tag(content))
    return found[1] if found else ""


def refuse_emptiness(content: bytes) -> None:
    if not content[:1024].strip(b" \t\r\n\0") and not content.strip(b" \t\r\n\0"):
        raise UnreadableDocument("empty", _("The file is empty. Ask the platform or the sender for the original."))


def without_declaration(text: str) -> str:
    text = text.lstrip("\ufeff \t\r\n")
    declaration = DECLARATION.match(text)
    return text[declaration.end() :] if declaration else text


def as_utf8(content: bytes, encoding: str) -> bytes:
    try:
        return b"".join(utf8_pieces(content, encoding))
    except UnicodeError:
        return decode(content, encoding).encode()  # which names the place


def utf8_pieces(content: bytes, encoding: str) -> Iterator[bytes]:
    """In pieces, for the sake of memory."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(content), DECODED_AT_ONCE):
        yield decoder.decode(content[start : start + DECODED_AT_ONCE]).encode()
    yield decoder.decode(b"", final=True).encode()


def decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            "encoding",
            format_lazy(
                _(
                    "By its declaration and its first bytes the file is in {encoding}, but byte {position} is not. "
                    "It was damaged or wrongly written: ask the sender for a new file."
                ),
                encoding=encoding.removesuffix("-sig").upper(),
                position=error.start + 1,
            ),
        ) from error


def detect_encoding(content: bytes) -> str:
    head = content[:1024]
    for pattern, encoding in UTF_16_STARTS:
        if pattern.match(head) and head[1:4] != b"\0\0\0":
            return encoding
    head = head.lstrip(b" \t\r\n")
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            if not encoding:
                raise unknown_encoding("UTF-32")
            return encoding
    if head.startswith(EBCDIC_DECLARATION):
        raise unknown_encoding("EBCDIC")
    declared = DECLARED_ENCODING.match(head)
    return declared_encoding(declared[1].decode("ascii")) if declared else "utf-8"


def declared_encoding(name: str) -> str:
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        raise unknown_encoding(name) from None
    if encoding in WIDE_ENCODINGS:
        return "utf-8"
    if encoding not in DECLARABLE_ENCODINGS:
        raise unknown_encoding(name)
    return encoding


def real_encoding(content: bytes, encoding: str) -> str:
    """UTF-8 for what is UTF-8 and declares Latin-1: "Ã©" for every é does not come about by chance."""
    if encoding not in LATIN_ENCODINGS or content.isascii():
        return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return encoding
    return "utf-8"


def unknown_encoding(name: str) -> UnreadableDocument:
    return UnreadableDocument(
        "encoding",
        format_lazy(
            _("The file uses the character encoding {name}, which is not read here. Ask the sender for UTF-8."),
            name=name,
        ),
    )


def end_of_prolog(text: str) -> int:
    position = 0
    while item := PROLOG_ITEM.match(text, position):
        position = item.end()
    return position


def refuse_document_type(text: str) -> None:
    position = end_of_prolog(text)
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

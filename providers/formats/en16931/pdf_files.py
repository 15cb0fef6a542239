"""The files inside a PDF, wherever ISO 32000 lets them stand, and what its metadata says of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice, repeat
from typing import Any

from django.utils.translation import gettext_lazy as _
from pypdf import PasswordType, PdfReader, apply_configuration
from pypdf.generic import ArrayObject, DictionaryObject, StreamObject

from providers.formats.xml import UnreadableDocument

from .model import Attachment

# ISO 32000 readers accept the header anywhere in the first kilobyte.
PDF_HEADER, PDF_HEADER_WITHIN = b"%PDF-", 1024
# pypdf opens a stream of at most 75 MB; these bound the sum. What goes beyond is listed without its content.
MAX_EMBEDDED_FILES = 100
MAX_EMBEDDED_BYTES = 75_000_000
# Of a name tree and of pages no more are walked.
MAX_NODES, MAX_PAGES = 1_000, 1_000
# Names given by Factur-X 1.0, the ZUGFeRD versions and Order-X; the last two hold no Factur-X.
INVOICE_NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
KNOWN_NAMES = {*INVOICE_NAMES, "order-x.xml", "cdar.xml"}
# In XMP, as an element or an attribute, whatever the prefix and the namespace of the version.
DOCUMENT_FILE_NAME = re.compile(r"""[\s:<]DocumentFileName\s*(?:>\s*([^<]{1,200})<|=\s*["']([^"'<]{1,200})["'])""")
MAX_METADATA = 2_000_000
# Below pypdf's own where those take seconds: these decoders are loops in Python, and repairing goes byte by byte.
# No program of the system is called for a picture.
LIMITS: dict[str, Any] = {
    "lzw_maximum_output_length": 20_000_000,
    "run_length_maximum_output_length": 20_000_000,
    "zlib_maximum_recovery_input_length": 200_000,
    "stream_filters_maximum_length": 4,
    "stream_decoding_work_maximum_length": 200_000_000,
    "jbig2dec_binary": None,
}
# Writing as text makes larger, so that nobody compresses it again: behind another filter it is a trap.
AS_TEXT = frozenset({"/ASCII85Decode", "/A85", "/ASCIIHexDecode", "/AHx"})
MAX_AS_TEXT = 20_000_000
FILE_KEYS = ("/UF", "/F", "/Unix", "/DOS", "/Mac")


@dataclass(frozen=True)
class PdfFile:
    """`relationship` is its AFRelationship; `is_associated`, that the document itself lists it under /AF."""

    attachment: Attachment
    relationship: str = ""
    is_associated: bool = False

    @property
    def name(self) -> str:
        return self.attachment.filename

    @property
    def content(self) -> bytes | None:
        return self.attachment.content

    def is_called(self, names: Iterable[str]) -> bool:
        return bool({self.name.lower(), plain_name(self.attachment.reference).lower()} & set(names))


@dataclass(frozen=True)
class PdfFiles:
    """`named`: what the metadata call the invoice, in small letters."""

    files: tuple[PdfFile, ...]
    named: tuple[str, ...] = ()
    is_encrypted: bool = False


@dataclass(frozen=True)
class Entry:
    """A file specification that has a file."""

    name: str
    specification: DictionaryObject
    stream: StreamObject
    is_associated: bool

    @property
    def filename(self) -> str:
        names = (as_text(resolved(self.specification.get(key))) for key in FILE_KEYS)
        return plain_name(next(filter(None, names), self.name))


def is_pdf(content: bytes) -> bool:
    is_xml = content[:PDF_HEADER_WITHIN].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return not is_xml and PDF_HEADER in content[:PDF_HEADER_WITHIN]


def read_files(content: bytes) -> PdfFiles:
    """Raises UnreadableDocument."""
    try:
        with apply_configuration(**LIMITS):
            return files_of(PdfReader(BytesIO(content)))
    except UnreadableDocument:
        raise
    # On damaged files pypdf raises what its internals happen to raise, from KeyError to RecursionError.
    except Exception as error:
        raise UnreadableDocument(
            "damaged_pdf",
            _("This PDF is damaged and cannot be opened. Fetch it again, or ask the sender for a new file."),
        ) from error


def files_of(reader: PdfReader) -> PdfFiles:
    is_encrypted = reader.is_encrypted
    if is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise UnreadableDocument(
            "encrypted_pdf",
            _("This PDF is encrypted, which Factur-X forbids. Ask the sender for a PDF without password."),
        )
    named = names_in_metadata(reader.root_object)
    return PdfFiles(read_within_limits(list(entries_of(reader)), named), named, is_encrypted)


def too_much_inside() -> UnreadableDocument:
    return UnreadableDocument(
        "too_large",
        _("The files inside this PDF are too many or too large. Ask the sender for a smaller invoice."),
    )


# --- where they stand -------------------------------------------------------------------------------------------------


def entries_of(reader: PdfReader) -> Iterator[Entry]:
    """Each file once, in the order in which readers list them: name tree, associated files, then those of pages."""
    catalog = reader.root_object
    listed = items_of(catalog.get("/AF"))
    associated = {key_of(item) for item in listed}
    known: set[Any] = set()
    for name, item in chain(tree_entries(catalog), zip(repeat(""), listed, strict=False), of_pages(reader)):
        specification = resolved(item)
        stream = stream_of(specification)
        if stream is None or key_of(stream) in known:
            continue
        known.add(key_of(stream))
        if len(known) > MAX_EMBEDDED_FILES:
            raise too_much_inside()
        is_associated = key_of(item) in associated or key_of(specification) in associated
        yield Entry(name, specification, stream, is_associated)


def tree_entries(catalog: DictionaryObject) -> Iterator[tuple[str, Any]]:
    """The pairs of the name tree, however deep its kids are; each node once."""
    names = resolved(catalog.get("/Names"))
    nodes = [names.get("/EmbeddedFiles")] if isinstance(names, DictionaryObject) else []
    seen: set[Any] = set()
    while nodes and len(seen) < MAX_NODES:
        node = resolved(nodes.pop())
        if not isinstance(node, DictionaryObject) or key_of(node) in seen:
            continue
        seen.add(key_of(node))
        pairs = items_of(node.get("/Names"))
        yield from zip(map(as_text, map(resolved, pairs[::2])), pairs[1::2], strict=False)
        nodes += reversed(items_of(node.get("/Kids")))


def of_pages(reader: PdfReader) -> Iterator[tuple[str, Any]]:
    """Associated files and file attachment annotations. Pages that cannot be walked have none."""
    try:
        for page in islice(reader.pages, MAX_PAGES):
            yield from (("", item) for item in items_of(page.get("/AF")))
            for annotation in map(resolved, items_of(page.get("/Annots"))):
                if isinstance(annotation, DictionaryObject) and annotation.get("/Subtype") == "/FileAttachment":
                    yield "", annotation.get("/FS")
    except Exception:  # whatever pypdf raises: the pages are only the picture
        return


def resolved(item: Any) -> Any:
    try:
        return item.get_object() if item is not None else None
    except Exception:  # whatever pypdf raises: one broken reference does not lose the others
        return None


def items_of(value: Any) -> list[Any]:
    """A list, or a lone thing as a list."""
    found = resolved(value)
    if isinstance(found, ArrayObject):
        return list(list.__iter__(found))
    return [] if found is None or type(found).__name__ == "NullObject" else [value]


def key_of(item: Any) -> Any:
    """The same for a reference and for what it points to."""
    reference = getattr(item, "indirect_reference", None) or item
    return getattr(reference, "idnum", None) or id(item)


def stream_of(specification: Any) -> StreamObject | None:
    embedded = resolved(specification.get("/EF")) if isinstance(specification, DictionaryObject) else None
    if not isinstance(embedded, DictionaryObject):
        return None
    streams = (resolved(embedded.get(key)) for key in FILE_KEYS)
    return next((stream for stream in streams if isinstance(stream, StreamObject)), None)


# --- what they hold ---------------------------------------------------------------------------------------------------


def read_within_limits(entries: list[Entry], named: tuple[str, ...]) -> tuple[PdfFile, ...]:
    """In their order; what may be the invoice is opened first, so that no other file takes its room."""
    room, files = MAX_EMBEDDED_BYTES, {}
    for index in sorted(range(len(entries)), key=lambda index: rank(entries[index], named)):
        files[index] = as_file(entries[index], room)
        room -= len(files[index].content or b"")
    return tuple(files[index] for index in range(len(entries)))


def rank(entry: Entry, named: tuple[str, ...]) -> int:
    name = entry.filename.lower()
    if name in named or name in KNOWN_NAMES:
        return 0
    return 1 if name.endswith(".xml") else 2


def as_file(entry: Entry, room: int) -> PdfFile:
    attachment = Attachment(
        reference=entry.name or entry.filename,
        description=as_text(resolved(entry.specification.get("/Desc"))),
        filename=entry.filename,
        media_type=as_text(resolved(entry.stream.get("/Subtype"))).lstrip("/"),
        content=content_within(entry.stream, room),
    )
    relationship = as_text(resolved(entry.specification.get("/AFRelationship"))).lstrip("/")
    return PdfFile(attachment, relationship, entry.is_associated)


def content_within(stream: StreamObject, room: int) -> bytes | None:
    """None for what is larger than `room`, inflates beyond pypdf's limits, or is damaged."""
    filters = [str(each) for each in map(resolved, items_of(stream.get("/Filter")))]
    if AS_TEXT & set(filters[1:]) or (AS_TEXT & set(filters) and len(stream._data) > MAX_AS_TEXT):
        return None
    try:
        content = stream.get_data()
    except Exception:  # whatever pypdf raises: one broken attachment does not lose the invoice
        return None
    return content if len(content) <= room else None


def as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else ""


def plain_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].strip()[-150:]


def names_in_metadata(catalog: DictionaryObject) -> tuple[str, ...]:
    stream = resolved(catalog.get("/Metadata"))
    content = content_within(stream, MAX_METADATA) if isinstance(stream, StreamObject) else None
    if not content:
        return ()
    # XMP is UTF-8 or UTF-16; only ASCII is looked for.
    found = DOCUMENT_FILE_NAME.findall(content.replace(b"\0", b"").decode("utf-8", "replace"))
    names = (plain_name(html.unescape(element or attribute)).lower() for element, attribute in found)
    return tuple(dict.fromkeys(filter(None, names)))

"""PDFs as other programs build them: files in the name tree, under /AF, on a page, named by XMP, or only half of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zlib import compress

from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

FX = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
ZF_1 = "urn:ferd:pdfa:CrossIndustryDocument:invoice:1p0#"


@dataclass(frozen=True)
class Inner:
    """`places` says where it is listed; `keys` under which its name and its stream stand."""

    name: str
    content: bytes
    relationship: str = ""
    places: tuple[str, ...] = ("names",)
    keys: tuple[str, ...] = ("/F", "/UF")
    key: str = ""
    filters: tuple[str, ...] = ()


def xmp(*names: str, namespace: str = FX, as_attribute: bool = False) -> bytes:
    """With the description of the extension schema, which names the property too."""
    if as_attribute:
        told = "".join(f'<rdf:Description xmlns:p="{namespace}" p:DocumentFileName="{name}"/>' for name in names)
    else:
        told = "".join(
            f'<rdf:Description xmlns:p="{namespace}"><p:DocumentFileName>{name}</p:DocumentFileName></rdf:Description>'
            for name in names
        )
    schema = "<pdfaProperty:name xmlns:pdfaProperty='urn:x'>DocumentFileName</pdfaProperty:name>"
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'{schema}{told}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def make_pdf(
    *files: Inner, metadata: bytes = b"", depth: int = 0, loops: bool = False, password: str | None = None
) -> bytes:
    """`depth` puts the name tree under so many kids; `loops` makes the lowest point back to the highest."""
    writer = PdfWriter()
    page = writer.add_blank_page(width=100, height=100)
    specs = [writer._add_object(specification(writer, file)) for file in files]
    pairs = [(file, spec) for file, spec in zip(files, specs, strict=True) if "names" in file.places]
    if pairs:
        writer.root_object[NameObject("/Names")] = DictionaryObject(
            {NameObject("/EmbeddedFiles"): name_tree(writer, pairs, depth, loops=loops)}
        )
    listed = [spec for file, spec in zip(files, specs, strict=True) if "AF" in file.places]
    if listed:
        writer.root_object[NameObject("/AF")] = ArrayObject(listed)
    pinned = [spec for file, spec in zip(files, specs, strict=True) if "annotation" in file.places]
    if pinned:
        page[NameObject("/Annots")] = ArrayObject(writer._add_object(annotation(spec)) for spec in pinned)
    if metadata:
        stream = DecodedStreamObject()
        stream.set_data(metadata)
        writer.root_object[NameObject("/Metadata")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, "owner", algorithm="AES-256")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def specification(writer: PdfWriter, file: Inner) -> DictionaryObject:
    stream: Any = StreamObject()
    stream.set_data(encoded(file))
    if file.filters:
        stream[NameObject("/Filter")] = ArrayObject(NameObject(name) for name in file.filters)
    reference = writer._add_object(stream)
    found = DictionaryObject({NameObject("/Type"): NameObject("/Filespec")})
    found[NameObject("/EF")] = DictionaryObject({NameObject(key): reference for key in file.keys})
    for key in file.keys:
        found[NameObject(key)] = TextStringObject(file.name)
    if file.relationship:
        found[NameObject("/AFRelationship")] = NameObject(f"/{file.relationship}")
    return found


def encoded(file: Inner) -> bytes:
    content = file.content
    for name in reversed(file.filters):
        content = compress(content) if name == "/FlateDecode" else content.hex().encode() + b">"
    return content


def name_tree(writer: PdfWriter, pairs: Sequence[tuple[Inner, Any]], depth: int, *, loops: bool) -> Any:
    names = ArrayObject()
    for file, spec in pairs:
        names += [TextStringObject(file.key or file.name), spec]
    lowest = DictionaryObject({NameObject("/Names"): names})
    node = writer._add_object(lowest)
    for _level in range(depth):
        node = writer._add_object(DictionaryObject({NameObject("/Kids"): ArrayObject([node])}))
    if loops:
        lowest[NameObject("/Kids")] = ArrayObject([node])
    return node


def annotation(spec: Any) -> DictionaryObject:
    return DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/FileAttachment"),
            NameObject("/Rect"): ArrayObject(NumberObject(value) for value in (0, 0, 9, 9)),
            NameObject("/FS"): spec,
        }
    )

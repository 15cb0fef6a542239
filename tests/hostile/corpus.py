"""Small files made to cost much: each a few lines here, and at most some megabytes when made."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path

from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, StreamObject, TextStringObject

from tests.invoices.documents.pdfs import Inner, make_pdf
from tests.invoices.odd_files import CII, UBL

MB = 1024 * 1024
SAMPLE = (Path(__file__).parents[1] / "samples" / "cdar" / "disputed.xml").read_bytes()
NOTE = "<cbc:Note>"
SPACES = " " * 400_000
ENDLESS_TABLE = b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer<</Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF"


def in_note(inside: str) -> bytes:
    return UBL.replace(NOTE, NOTE + inside, 1).encode()


def with_root(attributes: str) -> bytes:
    return UBL.replace("<Invoice ", f"<Invoice {attributes} ", 1).encode()


def many_lines(count: int) -> bytes:
    start, end = UBL.index("<cac:InvoiceLine>"), UBL.index("</cac:InvoiceLine>") + len("</cac:InvoiceLine>")
    return (UBL[:start] + UBL[start:end] * count + UBL[end:]).encode()


def filtered(content: bytes, *filters: str) -> bytes:
    """A Factur-X whose invoice stands behind these filters, already encoded."""
    writer = PdfWriter()
    writer.add_blank_page(width=100, height=100)
    stream = StreamObject()
    stream.set_data(content)
    stream[NameObject("/Filter")] = ArrayObject(NameObject(name) for name in filters)
    spec = DictionaryObject({NameObject("/EF"): DictionaryObject({NameObject("/F"): writer._add_object(stream)})})
    names = DictionaryObject(
        {NameObject("/Names"): ArrayObject([TextStringObject("factur-x.xml"), writer._add_object(spec)])}
    )
    writer.root_object[NameObject("/Names")] = DictionaryObject({NameObject("/EmbeddedFiles"): names})
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def deflated(size: int, times: int = 1) -> bytes:
    content = bytes(size)
    for _time in range(times):
        content = zlib.compress(content, 9)
    return content


def json_invoice(**more: object) -> bytes:
    party = {"name": "A", "siren": "905334413"}
    return json.dumps({"number": "F-1", "seller": party, "buyer": party, **more}).encode()


XML = {
    "depth": lambda: in_note("<a>" * 200_000),
    "depth below the limit, many times": lambda: in_note(("<a>" * 200 + "</a>" * 200) * 1000),
    "attributes": lambda: with_root(" ".join(f'a{n}="b"' for n in range(100_000))),
    "attributes with one name": lambda: with_root('a="b" ' * 400_000),
    "namespaces": lambda: with_root(" ".join(f'xmlns:n{n}="urn:{n}"' for n in range(50_000))),
    "namespaces nested": lambda: in_note("".join(f'<a xmlns="urn:{n}">' for n in range(250)) + "</a>" * 250),
    "elements with namespaces": lambda: in_note("".join(f'<n:a xmlns:n="urn:{n}"/>' for n in range(40_000))),
    "attributes in namespaces": lambda: in_note(
        "<a " + " ".join(f'xmlns:n{n}="urn:{n}" n{n}:b=""' for n in range(20_000)) + "/>"
    ),
    "long attribute": lambda: with_root(f'a="{"b" * 9_000_000}"'),
    "long text": lambda: in_note("b" * 9_000_000),
    "long name": lambda: in_note(f"<{'a' * 60_000}/>" * 100),
    "references": lambda: in_note("&#x10FFFF;&amp;" * 600_000),
    "comments": lambda: in_note("<!---->" * 900_000),
    "instructions": lambda: in_note("<?a?>" * 900_000),
    "sections": lambda: in_note("<![CDATA[a]]>" * 600_000),
    "marks in text": lambda: in_note("=" * 5_000_000),
    "spaces": lambda: in_note(" " * 9_000_000),
    "prolog": lambda: b'<?xml version="1.0"?>' + b"<!-- a -->" * 900_000 + UBL[UBL.index("<Invoice"):].encode(),
    "prolog without an end": lambda: b"<!--" * 2_000_000,
    "open tags": lambda: b"<" * 900_000,
    "quotes that do not end": lambda: in_note('<a b="' * 300_000),
    "binary without an end": lambda: in_note("<aBinaryObject " * 300_000),
    "binary names": lambda: in_note(f"<{'a' * 60}BinaryObject" * 100_000),
    "binary quotes": lambda: in_note("<aBinaryObject a='" * 100_000),
    "binary references": lambda: in_note("<BinaryObject>" + "&#10;" * 400_000),
    "notes": lambda: UBL.replace(NOTE, "<cbc:Note>a</cbc:Note>" * 20_000 + NOTE, 1).encode(),
    "extension terms": lambda: in_note("".join(f"<a{n}>b</a{n}>" for n in range(40_000))),
    "lines": lambda: many_lines(2_000),
    "digits": lambda: UBL.replace("PH-2026-101", "9" * 4_000_000).encode(),
    "amount of digits": lambda: UBL.replace('currencyID="EUR">', 'currencyID="EUR">' + "9" * 300_000).encode(),
    "UTF-16": lambda: ("<a>" + "b" * 4_000_000).encode("utf-16"),
}  # fmt: skip
PDF = {
    "zeros": lambda: make_pdf(Inner("factur-x.xml", bytes(70 * MB), filters=("/FlateDecode",))),
    "zeros before the invoice": lambda: make_pdf(
        Inner("factur-x.xml", CII.encode() + bytes(70 * MB), filters=("/FlateDecode",))
    ),
    "spaces in the invoice": lambda: make_pdf(
        Inner("factur-x.xml", CII.replace("<ram:", SPACES + "<ram:", 40).encode(), filters=("/FlateDecode",))
    ),
    "zeros beside the invoice": lambda: make_pdf(
        Inner("factur-x.xml", CII.encode()),
        *(Inner(f"{n}.bin", bytes(70 * MB), filters=("/FlateDecode",)) for n in range(2)),
    ),
    "zeros twice": lambda: filtered(deflated(70 * MB, 2), "/FlateDecode", "/FlateDecode"),
    "zeros beyond the limit twice": lambda: filtered(deflated(200 * MB, 2), "/FlateDecode", "/FlateDecode"),
    "broken deflate": lambda: filtered(b"x\x9c" + bytes(range(256)) * 20_000, "/FlateDecode"),
    "ASCII85": lambda: filtered(b"z" * (15 * MB) + b"~>", "/ASCII85Decode"),
    "ASCII85 of deflate": lambda: filtered(
        base64.a85encode(deflated(80 * MB)) + b"~>", "/ASCII85Decode", "/FlateDecode"
    ),
    "deflate of ASCII85": lambda: filtered(zlib.compress(b"z" * (60 * MB) + b"~>"), "/FlateDecode", "/ASCII85Decode"),
    "LZW": lambda: filtered(bytes(range(256)) * 20_000, "/LZWDecode"),
    "run length": lambda: filtered(b"\x81a" * 600_000 + b"\x80", "/RunLengthDecode"),
    "deflate of run length": lambda: filtered(zlib.compress(b"\x81a" * (10 * MB)), "/FlateDecode", "/RunLengthDecode"),
    "hexadecimal": lambda: filtered(b"0" * (20 * MB) + b">", "/ASCIIHexDecode"),
    "a hundred filters": lambda: filtered(b"a", *repeat("/ASCIIHexDecode", 10_000)),
    "loop of names": lambda: make_pdf(Inner("factur-x.xml", CII.encode()), depth=900, loops=True),
    "brackets": lambda: b"%PDF-1.7\n1 0 obj\n" + b"[" * 500_000,
    "dictionaries": lambda: b"%PDF-1.7\n1 0 obj\n" + b"<</A" * 300_000,
    "no table": lambda: b"%PDF-1.7\n" + b"1 0 obj<</A 1>>endobj\n" * 30_000 + b"trailer<</Root 1 0 R>>",
    "table of itself": lambda: ENDLESS_TABLE,
    "metadata": lambda: make_pdf(Inner("factur-x.xml", CII.encode()), metadata=b" DocumentFileName " * 100_000),
}  # fmt: skip
NUMBERED = [{"id": str(n), "quantity": n, "price": n} for n in range(30_000)]
JSON = {
    "depth": lambda: json_invoice().replace(b'"F-1"', b"[" * 500_000),
    "lines": lambda: json_invoice(lines=[{}] * 450_000),
    "lines with words": lambda: json_invoice(lines=[{"a": "b"}] * 150_000),
    "lines with numbers": lambda: json_invoice(lines=NUMBERED),
    "names": lambda: json_invoice(**{f"a{n}": n for n in range(100_000)}),
    "parties": lambda: json_invoice(seller=[{"siren": "1"}] * 100_000),
    "identifiers": lambda: json_invoice(seller={f"a{n}": str(n) for n in range(100_000)}),
    "digits": lambda: json_invoice().replace(b'"F-1"', b"9" * 1_000_000),
    "exponent": lambda: json_invoice(payable_amount=0).replace(b"0}", b"1E+999999999}"),
    "text": lambda: json_invoice(note="a" * 2_000_000),
    "notes": lambda: json_invoice(notes=["a"] * 400_000),
    "surrogates": lambda: json_invoice(note="b").replace(b'"b"', b'"' + rb"\ud800" * 300_000 + b'"'),
    "vat": lambda: json_invoice(vat_breakdown=[{"rate": 20, "taxable_amount": 1}] * 60_000),
}  # fmt: skip
OTHER = {
    "archive": lambda: b"PK\x03\x04" + bytes(MB),
    "gzip": lambda: zlib.compress(bytes(100 * MB), wbits=31),
    "zeros": lambda: bytes(20 * MB),
    "spaces": lambda: b" " * (20 * MB),
    "letters": lambda: b"a" * (20 * MB),
}
CDAR = {
    "depth": lambda: in_message(b"<a>" * 100_000),
    "documents": lambda: repeated(b"ReferenceReferencedDocument", 600),
    "statuses": lambda: repeated(b"SpecifiedDocumentStatus", 3_000),
    "text": lambda: SAMPLE.replace(b"LITIGE-2026-118", b"9" * 5_000_000),
    "attributes": lambda: in_message(b"<a " + b'b="" ' * 300_000 + b"/>"),
}


def in_message(inside: bytes) -> bytes:
    return SAMPLE.replace(b"<SenderTradeParty>", inside + b"<SenderTradeParty>", 1)


def repeated(name: bytes, count: int) -> bytes:
    start = SAMPLE.index(b"<" + name)
    end = SAMPLE.index(b"</" + name + b">", start) + len(name) + 3
    return SAMPLE[:start] + SAMPLE[start:end] * count + SAMPLE[end:]


INVOICES: dict[str, Callable[[], bytes]] = dict(
    chain.from_iterable(
        ((f"{kind}: {name}", make) for name, make in cases.items())
        for kind, cases in {"XML": XML, "PDF": PDF, "JSON": JSON, "other": OTHER}.items()
    )
)
MESSAGES: dict[str, Callable[[], bytes]] = {f"CDAR: {name}": make for name, make in CDAR.items()}

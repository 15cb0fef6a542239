"""Files nobody should send, and what some people send all the same. Made here, never stored."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from pypdf import PdfWriter
from pypdf.generic import NameObject, StreamObject

SAMPLES = Path(__file__).parents[1] / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_text(encoding="utf-8")
CII = (SAMPLES / "invoice.cii.xml").read_text(encoding="utf-8")
DECLARATION = re.compile(r"<\?xml[^>]*\?>")
MB = 1024 * 1024


def pdf(*files: tuple[str, bytes], password: str = "", padding: bytes = b"", compress: bool = False) -> bytes:
    """A PDF with embedded files; `padding` is the data of a picture that makes it large."""
    writer = PdfWriter()
    page = writer.add_blank_page(width=100, height=100)
    for name, content in files:
        places = writer.add_attachment(name, content).pdf_object["/EF"]
        if compress:
            writer._replace_object(places.raw_get("/F"), places["/F"].flate_encode(level=9))
    picture = StreamObject()
    picture.set_data(padding)
    page[NameObject("/Picture")] = writer._add_object(picture)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def body(text: str) -> str:
    return DECLARATION.sub("", text, count=1)


def with_lines(count: int, source: str = UBL) -> bytes:
    """The same line `count` times: the totals are then wrong, which is not what is asked here."""
    tag = "cac:InvoiceLine" if "cac:InvoiceLine" in source else "ram:IncludedSupplyChainTradeLineItem"
    line = re.search(rf"<{tag}>.*?</{tag}>", source, re.DOTALL)
    assert line is not None
    return (source[: line.start()] + line[0] * count + source[line.end() :]).encode()


def with_doctype(doctype: str) -> bytes:
    return (doctype + body(UBL)).encode()

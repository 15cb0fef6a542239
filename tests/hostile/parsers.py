"""Every parser of what others write, with samples of ours to spoil."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from invoices.drafting.issuing import CannotIssue, read_for_issue
from providers.contract.base import File, HookError, PlatformError
from providers.contract.shapes import LONGEST_KEY
from providers.formats.cdar.reader import read as read_message
from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.source import show_xml
from providers.formats.xml import UnreadableDocument
from tests.invoices.documents.pdfs import Inner, make_pdf
from tests.invoices.odd_files import CII, SAMPLES, UBL
from tests.providers.battery import PAYLOADS, Case
from tests.providers.cases import acube, afnor, billit, cegid, cegid_od, seqino

from .fuzz import Parser

MESSAGES = SAMPLES.parent / "cdar"
TERMS = {
    "number": "F-1",
    "issue_date": "2026-10-04",
    "currency_code": "EUR",
    "note": ["a", {"text": "b", "subject_code": "PMT"}],
    "seller": {"name": "A", "siren": "905334413", "address": {"city": "Lyon", "country": "FR"}},
    "buyer": {"name": "B", "identifiers": [{"value": "800112237", "scheme": "0002"}]},
    "lines": [{"id": "1", "name": "x", "quantity": 2, "price": "10.50", "vat_rate": 20.0}],
    "vat_breakdown": [{"rate": 20, "taxable_amount": "21.00", "tax_amount": 4.2, "category": "S"}],
    "totals": {"total_without_vat": 21.0, "payable_amount": "25.20"},
}
PDFS = (
    make_pdf(Inner("factur-x.xml", CII.encode())),
    make_pdf(Inner("factur-x.xml", CII.encode(), filters=("/FlateDecode",)), Inner("a.csv", b"a;b"), depth=3),
)
XMLS = (UBL.encode(), CII.encode(), (SAMPLES / "credit-note.ubl.xml").read_bytes())


def read_and_draw(content: bytes) -> None:
    """What can be read can be drawn."""
    render_readable(read_invoice(content))


def upload(content: bytes) -> None:
    read_for_issue(File(kind="original", content=content, filename="a.xml", media_type="text/xml"))


def pushed(case: Case) -> Parser:
    """The door of a platform: pushes that are genuine, and say anything."""
    samples = [path.read_bytes() for path in sorted((PAYLOADS / case.kind).glob("*/*.*"))]

    def read(body: bytes) -> None:
        delivery = case.make().parse_webhook(case.genuine(body))
        if not 0 < len(delivery.key) <= LONGEST_KEY or "\0" in delivery.key:
            raise ValueError(delivery.key)

    return Parser(tuple(samples), read, (HookError,))


def asked(case: Case) -> Parser:
    """A platform that answers anything."""
    samples = tuple(bodies_of(list(case.healthy().values())))
    read = case.read or (lambda adapter: None)
    return Parser(samples, lambda content: read(case.make(case.failing((200, content)))), (PlatformError,))


def bodies_of(answers: Any) -> Iterator[bytes]:
    for answer in answers:
        if isinstance(answer, list):
            yield from bodies_of(answer)
        elif isinstance(answer, tuple) and len(answer) > 1:
            yield answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()


CASES = (acube.CASE, afnor.CASE, billit.CASE, cegid.CASE, cegid_od.CASE, seqino.CASE)
PARSERS = {
    "xml": Parser(XMLS, read_and_draw, (UnreadableDocument,)),
    "pdf": Parser(PDFS, read_invoice, (UnreadableDocument,)),
    "terms": Parser((json.dumps(TERMS).encode(),), read_and_draw, (UnreadableDocument,)),
    "upload": Parser((*XMLS, *PDFS), upload, (CannotIssue,)),
    "source": Parser((*XMLS, PDFS[0]), show_xml, (UnreadableDocument,)),
    "cdar": Parser(tuple(path.read_bytes() for path in sorted(MESSAGES.glob("*.xml"))), read_message,
                   (UnreadableDocument,)),
    **{f"{case.kind}-pushed": pushed(case) for case in CASES if case.sign},
    **{f"{case.kind}-asked": asked(case) for case in CASES if case.read},
}  # fmt: skip

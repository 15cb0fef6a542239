"""Which file of a PDF is the invoice, and what lies in an envelope."""

from __future__ import annotations

import base64
import os
from html import escape

import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from invoices.drafting.issuing import CannotIssue, read_for_issue
from invoices.validation import validate
from providers.contract.base import File
from providers.formats.en16931.mapping import NAMESPACES
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.pdf_files import MAX_NODES
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.source import show_xml
from providers.formats.xml import UnreadableDocument
from tests.invoices.odd_files import CII, MB, UBL, body

from .pdfs import ZF_1, Inner, make_pdf, xmp

INVOICE = CII.encode()
OTHER = CII.replace("PH-2026-102", "OLD-1").encode()
ZUGFERD_1 = b'<rsm:CrossIndustryDocument xmlns:rsm="urn:ferd:CrossIndustryDocument:invoice:1p0"/>'
ORDER = b'<a:SCRDMCCBDACIOMessageStructure xmlns:a="urn:un:unece:uncefact:data:SCRDMCCBDACIOMessageStructure:100"/>'
NAMED = "The invoice inside the PDF is named {} instead of factur-x.xml."
RIVAL = "Beside the invoice {} the PDF holds other invoice data: {}. Ask the sender if in doubt."
ABSENT = "The metadata of the PDF name {} as the invoice, which is not in it; {} was read."


def warnings(invoice: ParsedInvoice) -> list[str]:
    with override("en"):
        return [str(warning) for warning in invoice.warnings]


def refusal(content: bytes) -> tuple[str, str]:
    with pytest.raises(UnreadableDocument) as caught:
        read_invoice(content)
    with override("en"):
        return caught.value.code, str(caught.value)


# --- PDF

CHOSEN = {
    "named by XMP among many": (
        make_pdf(
            Inner("a.xml", OTHER), Inner("b.xml", INVOICE), Inner("factur-x.xml", OTHER + b" "), metadata=xmp("b.xml")
        ),
        [NAMED.format("b.xml"), RIVAL.format("b.xml", "a.xml, factur-x.xml")],
    ),
    "named by XMP as an attribute": (
        make_pdf(Inner("a.xml", OTHER), Inner("B.xml", INVOICE), metadata=xmp("b.xml", as_attribute=True)),
        [NAMED.format("B.xml"), RIVAL.format("B.xml", "a.xml")],
    ),
    "named by XMP in UTF-16": (
        make_pdf(
            Inner("factur-x.xml", INVOICE),
            Inner("xrechnung.xml", OTHER),
            metadata=xmp("factur-x.xml").decode().encode("utf-16"),
        ),
        [RIVAL.format("factur-x.xml", "xrechnung.xml")],
    ),
    "named in capitals": (
        make_pdf(Inner("FACTUR-X.XML", INVOICE), Inner("b.xml", OTHER)),
        [RIVAL.format("FACTUR-X.XML", "b.xml")],
    ),
    "ZUGFeRD 1.0 beside it": (
        make_pdf(
            Inner("ZUGFeRD-invoice.xml", ZUGFERD_1, relationship="Alternative", places=("names", "AF")),
            Inner("factur-x.xml", INVOICE, relationship="Alternative", places=("names", "AF")),
            metadata=xmp("ZUGFeRD-invoice.xml", namespace=ZF_1) + xmp("factur-x.xml"),
        ),
        [],
    ),
    "ZUGFeRD 1.0 beside it, and only that named": (
        make_pdf(
            Inner("ZUGFeRD-invoice.xml", ZUGFERD_1),
            Inner("factur-x.xml", INVOICE),
            metadata=xmp("ZUGFeRD-invoice.xml", namespace=ZF_1),
        ),
        [ABSENT.format("zugferd-invoice.xml", "factur-x.xml")],
    ),
    "order beside it": (make_pdf(Inner("order-x.xml", ORDER), Inner("factur-x.xml", INVOICE)), []),
    "named by its relationship": (
        make_pdf(Inner("a.xml", OTHER, relationship="Supplement"), Inner("b.xml", INVOICE, relationship="Data")),
        [NAMED.format("b.xml"), RIVAL.format("b.xml", "a.xml")],
    ),
    "associated with the document": (
        make_pdf(Inner("a.xml", OTHER), Inner("b.xml", INVOICE, places=("names", "AF"))),
        [NAMED.format("b.xml"), RIVAL.format("b.xml", "a.xml")],
    ),
    "only associated": (make_pdf(Inner("factur-x.xml", INVOICE, places=("AF",))), []),
    "only on a page": (make_pdf(Inner("factur-x.xml", INVOICE, places=("annotation",))), []),
    "everywhere at once": (make_pdf(Inner("factur-x.xml", INVOICE, places=("names", "AF", "annotation"))), []),
    "deep in the name tree": (make_pdf(Inner("factur-x.xml", INVOICE), depth=40), []),
    "in a tree without end": (make_pdf(Inner("factur-x.xml", INVOICE), depth=3, loops=True), []),
    "only /UF": (make_pdf(Inner("factur-x.xml", INVOICE, keys=("/UF",))), []),
    "only /F": (make_pdf(Inner("factur-x.xml", INVOICE, keys=("/F",))), []),
    "name of another system": (make_pdf(Inner("factur-x.xml", INVOICE, keys=("/Unix",))), []),
    "other key in the tree": (make_pdf(Inner("factur-x.xml", INVOICE, key="0001")), []),
    "folder before its name": (make_pdf(Inner("C:\\out\\factur-x.xml", INVOICE)), []),
    "two filters": (make_pdf(Inner("factur-x.xml", INVOICE, filters=("/ASCIIHexDecode", "/FlateDecode"))), []),
    "no password": (
        make_pdf(Inner("factur-x.xml", INVOICE), metadata=xmp("factur-x.xml"), password=""),
        ["The PDF is encrypted, which Factur-X forbids; it could be opened without a password."],
    ),
    "XMP names what is not there": (
        make_pdf(Inner("factur-x.xml", INVOICE), metadata=xmp("facture.xml")),
        [ABSENT.format("facture.xml", "factur-x.xml")],
    ),
    "XMP is broken": (make_pdf(Inner("factur-x.xml", INVOICE), metadata=b"\xff<DocumentFileName"), []),
    "in UTF-16": (
        make_pdf(Inner("facture.xml", INVOICE.decode().replace("UTF-8", "UTF-16").encode("utf-16"))),
        [NAMED.format("facture.xml")],
    ),
    "in an envelope": (
        make_pdf(Inner("factur-x.xml", f"<StandardBusinessDocument>{body(CII)}</StandardBusinessDocument>".encode())),
        ["The invoice came in an envelope, StandardBusinessDocument (SBDH), out of which it was taken."],
    ),
}


@pytest.mark.parametrize(("content", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_invoice_of_a_pdf_is_found(content: bytes, expected: list[str]) -> None:
    invoice = read_invoice(content)

    assert (invoice.syntax, invoice.number) == ("factur-x", "PH-2026-102")
    assert warnings(invoice) == expected


SEVERAL = (
    "This PDF contains 2 different invoice files ({}); which one counts cannot be guessed. "
    "Ask the sender for one file per invoice."
)
NO_INVOICE = (
    "This PDF contains no invoice data (no factur-x.xml): it is a plain PDF, not an electronic invoice. "
    "Ask the sender for a Factur-X, UBL or CII invoice."
)
OTHER_FILES = (
    "None of the files inside this PDF is an invoice (found: {}): it is not an electronic invoice. "
    "Ask the sender for a Factur-X, UBL or CII invoice."
)
REFUSED = {
    "two equal claims": (
        make_pdf(Inner("a.xml", INVOICE), Inner("b.xml", OTHER)),
        "several_invoices",
        SEVERAL.format("a.xml, b.xml"),
    ),
    "two named": (
        make_pdf(
            Inner("a.xml", INVOICE), Inner("b.xml", OTHER), Inner("c.xml", OTHER + b" "), metadata=xmp("a.xml", "c.xml")
        ),
        "several_invoices",
        SEVERAL.format("a.xml, c.xml"),
    ),
    "files that are none": (
        make_pdf(Inner("plan.pdf", b"%PDF-1.7"), Inner("notes.xml", b"<notes/>")),
        "pdf_without_invoice",
        OTHER_FILES.format("plan.pdf, notes.xml"),
    ),
    "ZUGFeRD 1.0": (
        make_pdf(Inner("ZUGFeRD-invoice.xml", ZUGFERD_1)),
        "not_an_invoice",
        "The file is a ZUGFeRD 1.0 invoice, replaced in 2018. Ask the sender for Factur-X.",
    ),
    "order": (
        make_pdf(Inner("order-x.xml", ORDER), metadata=xmp("order-x.xml")),
        "not_an_invoice",
        "The file is an order (Order-X), not an invoice.",
    ),
    "tree beyond all measure": (
        make_pdf(Inner("factur-x.xml", INVOICE), depth=MAX_NODES + 1),
        "pdf_without_invoice",
        NO_INVOICE,
    ),
}


@pytest.mark.parametrize(("content", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_pdf_without_one_invoice_says_what_was_found(content: bytes, code: str, words: str) -> None:
    assert refusal(content) == (code, words)


def test_broken_invoice_is_not_replaced_by_another() -> None:
    content = make_pdf(Inner("factur-x.xml", INVOICE[:900]), Inner("old.xml", OTHER), metadata=xmp("factur-x.xml"))

    assert refusal(content)[0] == "malformed"


def test_other_files_are_attachments_once() -> None:
    plan = Inner("plan.txt", b"plan", relationship="Supplement", places=("names", "AF", "annotation"))
    invoice = read_invoice(
        make_pdf(plan, Inner("factur-x.xml", INVOICE), Inner("photo.txt", b"x", places=("annotation",)))
    )

    assert [(file.filename, file.content) for file in invoice.attachments] == [
        ("plan.txt", b"plan"),
        ("photo.txt", b"x"),
    ]


# --- envelopes

SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
EXTENSIONS = "urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2"
ATTACHED = "urn:oasis:names:specification:ubl:schema:xsd:AttachedDocument-2"
DECLARATION = '<?xml version="1.0" encoding="ISO-8859-1"?>'


def sbdh(inner: str) -> str:
    version = "<sh:HeaderVersion>1.0</sh:HeaderVersion>"
    header = f"<sh:StandardBusinessDocumentHeader>{version}</sh:StandardBusinessDocumentHeader>"
    return f'<sh:StandardBusinessDocument xmlns:sh="{SBDH}">{header}{inner}</sh:StandardBusinessDocument>'


def attached_document(attachment: str) -> str:
    return (
        f'<AttachedDocument xmlns="{ATTACHED}" xmlns:cbc="{NAMESPACES["cbc"]}" xmlns:cac="{NAMESPACES["cac"]}">'
        f"<cbc:ID>1</cbc:ID><cac:Attachment>{attachment}</cac:Attachment></AttachedDocument>"
    )


def described(text: str) -> str:
    return f"<cac:ExternalReference><cbc:Description>{text}</cbc:Description></cac:ExternalReference>"


def in_base64(content: bytes, name: str = "f.xml") -> str:
    file = base64.b64encode(content).decode()
    return (
        f'<cbc:EmbeddedDocumentBinaryObject mimeCode="a/b" filename="{name}">{file}</cbc:EmbeddedDocumentBinaryObject>'
    )


LARGE = UBL.replace("YTtiCjE7Mgo=", base64.b64encode(os.urandom(9 * MB)).decode())
UBL_LETTERS = {
    "SBDH": sbdh(body(UBL)),
    "SBDH with Base64": sbdh(
        f"<BinaryContent mimeType='a/b'>{base64.b64encode(UBL.encode()).decode()}</BinaryContent>"
    ),
    "AttachedDocument with CDATA": attached_document(described(f"<![CDATA[{DECLARATION}{body(UBL)}]]>")),
    "AttachedDocument with escaped XML": attached_document(described(escape(UBL))),
    "AttachedDocument with Base64": attached_document(in_base64(UBL.encode())),
    "AttachedDocument with another encoding": attached_document(in_base64((DECLARATION + body(UBL)).encode("latin-1"))),
    "envelope in an envelope": sbdh(attached_document(described(f"<![CDATA[{sbdh(body(UBL))}]]>"))),
    "SOAP": f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>{body(UBL)}</s:Body></s:Envelope>',
    "root of their own": f"<Message>{body(UBL)}</Message>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("letter", UBL_LETTERS.values(), ids=UBL_LETTERS)
def test_envelope_is_opened(letter: str, encoding: str) -> None:
    plain, invoice = read_invoice(UBL.encode()), read_invoice(letter.encode(encoding))

    assert (invoice.number, invoice.lines, invoice.seller) == (plain.number, plain.lines, plain.seller)
    assert invoice.attachments == plain.attachments
    assert warnings(invoice)[0].startswith("The invoice came in an envelope, ")
    assert [f.rule for f in validate(letter.encode(encoding)).findings] == [
        f.rule for f in validate(UBL.encode()).findings
    ]


def test_facturx_in_an_envelope_is_opened() -> None:
    letter = attached_document(in_base64(make_pdf(Inner("factur-x.xml", INVOICE), Inner("plan.txt", b"plan")), "f.pdf"))
    invoice = read_invoice(letter.encode(), filename="f.xml")

    assert (invoice.syntax, invoice.number) == ("factur-x", "PH-2026-102")
    assert [file.filename for file in invoice.attachments] == ["plan.txt"]
    assert warnings(invoice) == ["The invoice came in an envelope, AttachedDocument (UBL), out of which it was taken."]


@pytest.mark.parametrize(
    "wrap",
    [
        sbdh,
        lambda text: attached_document(described(f"<![CDATA[{text}]]>")),
        lambda text: attached_document(in_base64(text.encode())),
    ],
)
def test_large_file_in_an_envelope_keeps_its_bytes(wrap) -> None:
    invoice = read_invoice(wrap(body(LARGE)).encode())

    assert invoice.attachments == read_invoice(LARGE.encode()).attachments


def test_what_lies_beside_the_invoice_is_an_attachment() -> None:
    invoice = read_invoice(
        attached_document(in_base64(b"notes", "../notes.txt") + described(f"<![CDATA[{body(UBL)}]]>")).encode()
    )

    assert [(file.filename, file.content) for file in invoice.attachments][1:] == [("notes.txt", b"notes")]


def test_envelope_in_one_of_its_kind_is_told_once() -> None:
    inner = attached_document(in_base64(UBL.encode()))
    invoice = read_invoice(attached_document(described(f"<![CDATA[{inner}]]>")).encode())

    assert (invoice.number, warnings(invoice)) == (
        "PH-2026-101",
        ["The invoice came in an envelope, AttachedDocument (UBL), out of which it was taken."],
    )


def test_message_beside_the_invoice_is_named_for_what_it_is() -> None:
    answer = "<ApplicationResponse>ok</ApplicationResponse>"
    texts = "".join(described(f"<![CDATA[{text}]]>") for text in (body(UBL), answer))
    invoice = read_invoice(attached_document(texts).encode())

    assert [(file.filename, file.media_type) for file in invoice.attachments][1:] == [
        ("ApplicationResponse.xml", "application/xml")
    ]


EMPTY = "The file is an envelope, {}, without an invoice that can be read. Ask the sender for the invoice itself."
FULL = "The file is an envelope, {}, with 2 invoices. Ask the sender for one file per invoice."
UNKNOWN = (
    "The file is XML, but “{}” is not an invoice format of the French reform (UBL 2.1, CII D22B or Factur-X). "
    "Ask the sender for one of these."
)
NO_LETTERS = {
    "order": (sbdh("<Order/>"), "not_an_invoice", EMPTY.format("StandardBusinessDocument (SBDH)")),
    "broken PDF": (
        attached_document(in_base64(b"%PDF-1.7")),
        "not_an_invoice",
        EMPTY.format("AttachedDocument (UBL)"),
    ),
    "two": (sbdh(body(UBL) + body(CII)), "several_invoices", FULL.format("StandardBusinessDocument (SBDH)")),
    "list": (f"<Invoices>{body(UBL)}{body(UBL)}</Invoices>", "several_invoices", FULL.format("Invoices")),
    "attached to an order": (
        f"<Order>{in_base64(UBL.encode()).replace('cbc:', '')}</Order>",
        "not_an_invoice",
        UNKNOWN.format("Order"),
    ),
}


@pytest.mark.parametrize(("letter", "code", "words"), NO_LETTERS.values(), ids=NO_LETTERS)
def test_envelope_without_one_invoice_says_what_it_is(letter: str, code: str, words: str) -> None:
    assert refusal(letter.encode()) == (code, words)


def test_envelopes_without_end_are_not_opened() -> None:
    letter = UBL
    for _level in range(9):
        letter = attached_document(in_base64(letter.encode()))

    assert refusal(letter.encode())[0] == "not_an_invoice"


def test_document_type_within_an_envelope_is_refused() -> None:
    attack = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>' + body(UBL).replace("PH-2026-101", "&b;")

    assert refusal(attached_document(in_base64(attack.encode("utf-16"))).encode())[0] == "not_an_invoice"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04", "ZIP"),
        (b"Rar!\x1a", "RAR"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"\x89PNG\r\n", "picture"),
        (b"\xff\xd8\xff\xe0", "picture"),
        (b"\xd0\xcf\x11\xe0", "Office"),
    ],
)
def test_other_file_is_named_for_what_it_is(content: bytes, words: str) -> None:
    code, message = refusal(content)

    assert (code, words in message) == ("not_an_invoice", True)


def test_source_of_an_invoice_leaves_its_file_out() -> None:
    html = show_xml(LARGE.encode()).html

    assert "9,0" in html
    assert len(html) < 100_000


def test_file_in_an_extension_is_an_attachment() -> None:
    file = os.urandom(9 * MB)
    written = (
        f'<cbc:MyBinaryObject filename="x/a.bin" mimeCode="a/b">{base64.b64encode(file).decode()}</cbc:MyBinaryObject>'
    )
    extension = f'<e:UBLExtensions xmlns:e="{EXTENSIONS}"><e:UBLExtension>{written}</e:UBLExtension></e:UBLExtensions>'
    invoice = read_invoice(UBL.replace("<cbc:CustomizationID>", f"{extension}<cbc:CustomizationID>").encode())

    assert [(each.filename, each.media_type, each.content) for each in invoice.attachments][1:] == [
        ("a.bin", "a/b", file)
    ]
    assert [item for item in invoice.other_data if "EmbeddedFile" in item.value] == []


@pytest.mark.parametrize(
    "letter", [sbdh(body(UBL)), attached_document(in_base64(make_pdf(Inner("factur-x.xml", INVOICE))))]
)
def test_envelope_is_not_handed_in(letter: str) -> None:
    with pytest.raises(CannotIssue) as caught:
        read_for_issue(File(kind="original", content=letter.encode()))

    assert [fault.code for fault in caught.value.faults] == ["envelope"]


BUILT = make_pdf(
    Inner("factur-x.xml", INVOICE, places=("names", "AF", "annotation")), metadata=xmp("factur-x.xml"), depth=2
)


@settings(max_examples=150)
@given(st.integers(0, len(BUILT) - 1), st.binary(max_size=12), st.integers(0, 40))
def test_damaged_pdf_is_read_or_refused_in_words(place: int, put: bytes, cut: int) -> None:
    try:
        found = read_invoice(BUILT[:place] + put + BUILT[place + cut :]).syntax
    except UnreadableDocument as error:
        found = str(error)

    assert found


def test_ubl_in_a_pdf_is_checked_as_ubl() -> None:
    content = make_pdf(Inner("xrechnung.xml", UBL.encode()))

    assert [f.rule for f in validate(content).findings] == [f.rule for f in validate(UBL.encode()).findings]

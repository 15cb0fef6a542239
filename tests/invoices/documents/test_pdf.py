"""The readable PDF: complete, archivable, and safe from what senders write."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from lxml import etree
from pypdf import PdfReader

from providers.formats.en16931.model import AllowanceCharge, Line, Note, ParsedInvoice, Party
from providers.formats.en16931.pdf import render_pdf
from providers.formats.en16931.reader import read_invoice

SAMPLES = Path(settings.BASE_DIR) / "tests" / "samples" / "invoices"
UBL = read_invoice((SAMPLES / "invoice.ubl.xml").read_bytes())
EMPTY = ParsedInvoice(syntax="ubl", message="Invoice")
PDFA = {"pdfaid": "http://www.aiim.org/pdfa/ns/id/"}


def opened(invoice: ParsedInvoice, language: str = "fr") -> PdfReader:
    return PdfReader(BytesIO(render_pdf(invoice, language)), strict=True)


def words(reader: PdfReader) -> str:
    """All that is on the pages, with plain spaces."""
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


@pytest.mark.parametrize(
    ("language", "title", "due"),
    [("fr", "Facture PH-2026-101", "1 481,40 €"), ("en", "Invoice PH-2026-101", "1,481.40 €")],
)
def test_pdf_speaks_the_readers_language(language: str, title: str, due: str) -> None:
    reader = opened(UBL, language)

    assert words(reader).startswith(title)
    # In the head, as total with VAT, and as amount due.
    assert words(reader).count(due) == 3
    assert (reader.metadata or {}).get("/Title") is None
    assert reader.trailer["/Root"]["/Lang"] == language


def test_pdf_is_archivable() -> None:
    reader = opened(UBL)
    root = reader.trailer["/Root"]
    xmp = etree.fromstring(root["/Metadata"].get_data())

    assert [xmp.findtext(f".//pdfaid:{name}", namespaces=PDFA) for name in ("part", "conformance")] == ["3", "U"]
    assert root["/OutputIntents"][0]["/DestOutputProfile"]["/N"] == 3
    assert {"/Encrypt", "/Info"} & set(reader.trailer) == set()
    fonts = [font for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    descriptors = [font["/DescendantFonts"][0]["/FontDescriptor"] for font in fonts]
    assert [("/FontFile2" in each, "/ToUnicode" in font) for each, font in zip(descriptors, fonts, strict=True)] == [
        (True, True)
    ] * len(fonts)


def test_european_characters_are_kept() -> None:
    name = "Łódź Œuvre Žižkov Ăşçğ ß Ångström Ñandú €½²³ Αθήνα Київ"

    assert words(opened(replace(UBL, seller=Party(name=name)))).count(name) == 2


def test_character_without_glyph_is_told() -> None:
    shown = words(opened(replace(UBL, seller=Party(name="漢字\u200b\x07 SARL")), "en"))

    # In its block and at the foot of the page.
    assert shown.count("?? SARL") == 2
    assert shown.count("“?” may stand for") == 1


def test_no_remark_on_characters_where_all_are_shown() -> None:
    assert words(opened(UBL, "en")).count("may stand for") == 0


def test_invoice_without_anything_has_one_page() -> None:
    assert len(opened(EMPTY).pages) == 1


def test_every_line_of_a_long_invoice_is_there_under_the_tables_head() -> None:
    lines = tuple(Line(number=str(n), name=f"Article {n:04}", net_amount=Decimal("1.00")) for n in range(400))
    reader = opened(replace(UBL, lines=lines))

    assert re.findall(r"Article \d{4}", words(reader)) == [f"Article {n:04}" for n in range(400)]
    with_lines = [page.extract_text() for page in reader.pages if "Article 0" in page.extract_text()]
    assert [text.count("Prix unitaire") for text in with_lines] == [1] * len(with_lines)


def test_line_longer_than_a_page_goes_on() -> None:
    text = "\n".join(f"phrase {n:03}" for n in range(200))
    reader = opened(replace(UBL, lines=(Line(number="1", name="Long", description=text),)))

    assert re.findall(r"phrase \d{3}", words(reader)) == text.splitlines()


def test_word_wider_than_its_column_is_broken_not_lost() -> None:
    word = "".join(chr(ord("a") + n % 26) for n in range(1000))
    shown = words(opened(replace(EMPTY, notes=(Note(text=word),))))

    assert shown.replace(" ", "").count(word) == 1


def test_wrong_iban_is_marked() -> None:
    means = replace(UBL.payment_means[0], iban="FR7630006000011234567890188")
    wrong = words(opened(replace(UBL, payment_means=(means,)), "en"))

    assert wrong.count("The check digits of this IBAN are wrong") == 1
    assert words(opened(UBL, "en")).count("The check digits") == 0


def test_allowances_of_document_and_line_are_shown() -> None:
    allowance = AllowanceCharge(is_charge=False, amount=Decimal("12.34"), reason="Fidélité", percentage=Decimal(5))
    charge = AllowanceCharge(is_charge=True, amount=Decimal("56.78"), reason="Palette")
    line = replace(UBL.lines[0], allowances_charges=(charge,))
    shown = words(opened(replace(UBL, allowances_charges=(allowance,), lines=(line,)), "fr"))

    assert [shown.count(each) for each in ("Fidélité", "-12,34 €", "Frais – Palette", "56,78 €")] == [1, 1, 1, 1]


def test_dates_and_references_reach_the_paper() -> None:
    invoice = replace(UBL, due_date=date(2027, 2, 28), contract_reference="K-77", buyer_reference="SERVICE-9")

    shown = words(opened(invoice))

    assert [shown.count(each) for each in ("28 février 2027", "K-77", "SERVICE-9")] == [1, 1, 1]

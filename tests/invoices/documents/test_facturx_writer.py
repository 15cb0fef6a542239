"""The Factur-X files we make: the invoice inside is ours, and the file stays archivable.

No PDF/A validator can be had as a package (veraPDF is Java): what PDF/A-3 and Factur-X ask of the file's structure is
looked at here.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from lxml import etree
from pypdf import PdfReader

from providers.formats.en16931.model import Attachment
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.writer import write_invoice

from .issued import make_document

NAMESPACES = {
    "pdfaid": "http://www.aiim.org/pdfa/ns/id/",
    "fx": "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#",
    "pdfaSchema": "http://www.aiim.org/pdfa/ns/schema#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}


@pytest.fixture(scope="module")
def content() -> bytes:
    return write_invoice(make_document(), "factur-x")


@pytest.fixture(scope="module")
def pdf(content: bytes) -> PdfReader:
    return PdfReader(BytesIO(content), strict=True)


def test_invoice_inside_is_the_one_written(content: bytes) -> None:
    document = make_document()
    found = read_invoice(content)
    assert found == replace(
        document, syntax="factur-x", message="CrossIndustryInvoice", tax_point_code="72", warnings=()
    )


def test_attachment_of_the_invoice_travels_in_its_xml() -> None:
    attachment = Attachment(
        reference="BL-7", description="BON_LIVRAISON", filename="bl.pdf", media_type="application/pdf", content=b"%PDF-"
    )
    found = read_invoice(write_invoice(make_document(attachments=(attachment,)), "factur-x"))
    assert found.attachments == (attachment,)


def test_xml_is_the_associated_file(pdf: PdfReader) -> None:
    root = pdf.trailer["/Root"]
    (file,) = [each.get_object() for each in root["/AF"]]
    assert (file["/UF"], file["/F"], file["/AFRelationship"]) == ("factur-x.xml", "factur-x.xml", "/Alternative")
    assert file["/EF"]["/F"].get_object()["/Subtype"] == "/text/xml"
    assert root["/Names"]["/EmbeddedFiles"]["/Names"][0] == "factur-x.xml"


def test_metadata_claims_pdfa3_and_the_profile(pdf: PdfReader) -> None:
    xmp = etree.fromstring(pdf.trailer["/Root"]["/Metadata"].get_data())

    def value(path: str) -> str | None:
        return xmp.findtext(f".//{path}", namespaces=NAMESPACES)

    assert (value("pdfaid:part"), value("pdfaid:conformance")) == ("3", "B")
    assert (value("fx:DocumentType"), value("fx:DocumentFileName")) == ("INVOICE", "factur-x.xml")
    assert value("fx:ConformanceLevel") == "EN 16931"
    assert value("pdfaSchema:namespaceURI") == NAMESPACES["fx"]
    # PDF/A wants the two places to agree.
    title = pdf.metadata.title if pdf.metadata else ""
    assert value("dc:title/rdf:Alt/rdf:li") == title == "Atelier Dupont F-2026-0042"


def test_file_stays_archivable(pdf: PdfReader) -> None:
    root = pdf.trailer["/Root"]
    assert root["/OutputIntents"][0]["/DestOutputProfile"]["/N"] == 3
    assert (root["/Lang"], "/Encrypt" in pdf.trailer, len(pdf.trailer["/ID"])) == ("fr", False, 2)
    fonts = [font for page in pdf.pages for font in page["/Resources"]["/Font"].values()]
    assert all("/FontFile2" in font["/DescendantFonts"][0]["/FontDescriptor"] for font in fonts)
    forbidden = {"/JavaScript", "/AA", "/XFA"}
    assert forbidden & set(root) == set()


def test_pages_speak_the_language_asked_for() -> None:
    pages = PdfReader(BytesIO(write_invoice(make_document(), "factur-x", language="en"))).pages
    assert "Invoice F-2026-0042" in pages[0].extract_text()

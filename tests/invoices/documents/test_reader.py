from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override
from pypdf import PdfWriter

from providers.formats import xml
from providers.formats.en16931.model import Identifier, Note
from providers.formats.en16931.reader import MAX_DOCUMENT_BYTES, read_invoice
from providers.formats.xml import UnreadableDocument

SAMPLES = Path(settings.BASE_DIR) / "tests" / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_text(encoding="utf-8")
CII = (SAMPLES / "invoice.cii.xml").read_bytes()
UBL_BODY = UBL.partition("?>")[2]


def pdf(*files, password=""):
    writer = PdfWriter()
    writer.add_blank_page(width=100, height=100)
    for name, content in files:
        writer.add_attachment(name, content)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def refusal(content, **claims):
    with pytest.raises(UnreadableDocument) as caught:
        read_invoice(content, **claims)
    assert str(caught.value)
    return caught.value.code


def warnings(invoice):
    with override("en"):
        return [str(warning) for warning in invoice.warnings]


def test_ubl_invoice_is_read_whole():
    invoice = read_invoice(UBL.encode())

    assert (invoice.syntax, invoice.message, invoice.number) == ("ubl", "Invoice", "PH-2026-101")
    assert (invoice.issue_date, invoice.due_date) == (date(2026, 10, 4), date(2026, 11, 3))
    assert invoice.notes == (
        Note(subject_code="PMT", text="Frais de recouvrement : 40 euros."),
        Note(text="Merci de votre commande."),
    )
    assert (invoice.seller.name, invoice.seller.siren, invoice.seller.siret) == (
        "Papeterie des Halles",
        "905334413",
        "90533441300010",
    )
    assert invoice.buyer.identifiers == (
        Identifier(value="80011223700014", scheme="0009"),
        Identifier(value="800112237", scheme="0002"),
    )
    assert invoice.buyer.address.lines == ("8 quai Vert",)
    assert invoice.order_reference == "BC-77"
    assert invoice.total_with_vat == Decimal("1481.40")
    line = invoice.lines[0]
    assert (line.quantity, line.unit, line.net_price, line.vat_rate) == (10, "C62", Decimal("123.45"), 20)
    assert invoice.payment_means[0].iban == "FR7630006000011234567890189"
    assert invoice.warnings == ()


@pytest.mark.parametrize("scheme", ["vat", "VA", "TVA", "\n VAT \n"])
def test_vat_number_is_one_however_its_scheme_is_written(scheme):
    number, entity = "FR50905334413", "<cac:PartyLegalEntity>"
    tax = f"<cbc:CompanyID>{number}</cbc:CompanyID><cac:TaxScheme><cbc:ID>{scheme}</cbc:ID></cac:TaxScheme>"
    ubl = read_invoice(UBL.replace(entity, f"<cac:PartyTaxScheme>{tax}</cac:PartyTaxScheme>{entity}").encode())
    tax = f'<ram:SpecifiedTaxRegistration><ram:ID schemeID="{scheme}">{number}</ram:ID></ram:SpecifiedTaxRegistration>'
    cii = read_invoice(CII.replace(b"</ram:SellerTradeParty>", f"{tax}</ram:SellerTradeParty>".encode()))

    assert [(each.seller.vat_number, each.seller.tax_registration) for each in (ubl, cii)] == [(number, "")] * 2


def test_attachment_is_decoded_and_loses_its_folder():
    attachment = read_invoice(UBL.encode()).attachments[0]

    assert (attachment.filename, attachment.media_type, attachment.content) == ("bl-12.csv", "text/csv", b"a;b\n1;2\n")


def test_ubl_credit_note_names_the_invoice_it_corrects():
    invoice = read_invoice((SAMPLES / "credit-note.ubl.xml").read_bytes())

    assert (invoice.message, invoice.type_code) == ("CreditNote", "381")
    assert [(r.number, r.issue_date) for r in invoice.preceding_invoices] == [("PH-2026-101", date(2026, 10, 4))]
    assert invoice.lines[0].quantity == 10


def test_cii_invoice_is_read_whole():
    invoice = read_invoice(CII)

    assert (invoice.syntax, invoice.number, invoice.due_date) == ("cii", "PH-2026-102", date(2026, 11, 4))
    assert invoice.tax_point_code == "72"
    assert invoice.payment_means[0].payment_reference == "PH102"
    allowance = invoice.lines[0].allowances_charges[0]
    assert (allowance.is_charge, allowance.amount, allowance.reason) == (False, 20, "Remise fidélité")
    assert invoice.warnings == ()


def test_facturx_gives_the_invoice_and_the_other_files():
    invoice = read_invoice(pdf(("factur-x.xml", CII), ("plan.txt", b"plan")))

    assert (invoice.syntax, invoice.number) == ("factur-x", "PH-2026-102")
    assert [(file.filename, file.content) for file in invoice.attachments] == [("plan.txt", b"plan")]


def test_facturx_under_another_name_is_read_with_a_warning():
    invoice = read_invoice(pdf(("facture.xml", CII)))

    assert warnings(invoice) == ["The invoice inside the PDF is named facture.xml instead of factur-x.xml."]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"Bonjour", "malformed"),
        ((SAMPLES / "truncated.ubl.xml").read_bytes(), "malformed"),
        (b'{"invoice": 1}', "not_an_invoice"),
        (b"PK\x03\x04....", "not_an_invoice"),
        (b"<Order/>", "not_an_invoice"),
        (b"<Invoice/>", "not_an_invoice"),
        (b"<!DOCTYPE html><html></html>", "web_page"),
        (b"<html><body>502</body></html>", "web_page"),
        (b"%PDF-1.7 and then nothing", "damaged_pdf"),
        (b"<a>" * 5000, "too_complex"),
        (b"<a>" + b"<b/>" * xml.MAX_XML_MARKS + b"</a>", "too_complex"),
        (b"x" * (MAX_DOCUMENT_BYTES + 1), "too_large"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "encoding"),
        (b'<?xml version="1.0" encoding="made-up"?><a/>', "encoding"),
        ("<a/>".encode("utf-32"), "encoding"),
        (b'<?xml version="1.0" encoding="UTF-8"?><a>\xe9</a>', "encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:24]),
)
def test_unreadable_document_is_refused_with_its_reason(content, code):
    assert refusal(content) == code


def test_huge_text_node_is_refused():
    assert refusal(UBL.replace("PH-2026-101", "9" * 10_500_000).encode()) == "too_complex"


DOCTYPES = {
    "plain": "<!DOCTYPE Invoice>",
    "after a comment": "<!-- <Invoice> -->\n<?pi x?><!DOCTYPE Invoice>",
    "billion laughs": '<!DOCTYPE i [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "external entity": '<!DOCTYPE i [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    "external DTD": '<!DOCTYPE i SYSTEM "http://127.0.0.1:9/evil.dtd">',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_document_type_is_refused_in_every_encoding(doctype, encoding):
    assert refusal((doctype + UBL_BODY).encode(encoding)) == "document_type"


def test_undeclared_entity_is_refused():
    assert refusal(UBL.replace("PH-2026-101", "&secret;").encode()) == "malformed"


def test_xinclude_is_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("a secret", encoding="utf-8")
    include = f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{tmp_path}/secret.txt" parse="text"/>'

    invoice = read_invoice(UBL.replace("PH-2026-101", include).encode())

    assert invoice.number == ""
    assert warnings(invoice) == ["The invoice has no number (BT-1)."]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("ISO-8859-1", "latin-1"),
        ("ISO-8859-15", "iso8859-15"),
        ("Windows-1252", "cp1252"),
        ("ISO-8859-1", "utf-8-sig"),
        ("ISO-8859-1", "utf-8"),
        ("windows-1252", "utf-8"),
    ],
)
def test_accents_survive_every_encoding(declared, encoding):
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""

    invoice = read_invoice((declaration + UBL_BODY).encode(encoding))

    assert invoice.lines[0].notes == (Note(text="Livré en une fois"),)


def test_wrong_extension_is_read_with_a_warning():
    invoice = read_invoice(CII, filename="facture.PDF", media_type="application/pdf")

    assert invoice.number == "PH-2026-102"
    assert warnings(invoice) == ["The file was announced as PDF but contains XML."]


def test_pdf_named_xml_is_read_with_a_warning():
    invoice = read_invoice(pdf(("factur-x.xml", CII)), filename="facture.xml")

    assert warnings(invoice) == ["The file was announced as XML but contains PDF."]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (pdf(), "pdf_without_invoice"),
        (pdf(("notes.xml", b"<notes/>")), "pdf_without_invoice"),
        (pdf(("factur-x.xml", CII), password="x"), "encrypted_pdf"),
        (pdf(("factur-x.xml", CII), ("zugferd-invoice.xml", CII + b" ")), "several_invoices"),
        (pdf(("a.xml", CII), ("b.xml", CII + b" ")), "several_invoices"),
        (pdf(("factur-x.xml", b"<!DOCTYPE a><a/>")), "document_type"),
        (pdf(("factur-x.xml", CII[:900])), "malformed"),
        (pdf(("factur-x.xml", CII))[:700], "damaged_pdf"),
    ],
    ids=["no file", "another XML", "encrypted", "two names", "two other names", "DOCTYPE", "broken XML", "cut"],
)
def test_pdf_without_a_clear_invoice_is_refused(content, code):
    assert refusal(content) == code


def test_same_invoice_listed_twice_counts_once():
    invoice = read_invoice(pdf(("factur-x.xml", CII), ("zugferd-invoice.xml", CII)))

    assert (invoice.number, invoice.attachments) == ("PH-2026-102", ())


@pytest.mark.parametrize(
    ("old", "new", "field", "value", "warning"),
    [
        (
            "2026-10-04<",
            "04/10/2026<",
            "issue_date",
            None,
            "“04/10/2026” is not a date and was left out (cbc:IssueDate).",
        ),
        (
            "2026-10-04<",
            "2026-13-45<",
            "issue_date",
            None,
            "“2026-13-45” is not a date and was left out (cbc:IssueDate).",
        ),
        (
            '"EUR">1481.40</cbc:Pay',
            '"EUR">NaN</cbc:Pay',
            "amount_due",
            None,
            "“NaN” is not a number and was left out (cbc:PayableAmount).",
        ),
    ],
)
def test_unusable_value_is_left_out_with_a_warning(old, new, field, value, warning):
    invoice = read_invoice(UBL.replace(old, new).encode())

    assert getattr(invoice, field) is value
    assert warnings(invoice)[0] == warning


def test_date_with_a_zone_is_read():
    assert read_invoice(UBL.replace("2026-10-04<", "2026-10-04+02:00<").encode()).issue_date == date(2026, 10, 4)


def test_invalid_siren_is_kept_with_a_warning():
    invoice = read_invoice(UBL.replace('"0002">905334413', '"0002">90533441').encode())

    assert invoice.seller.siren == "90533441"
    assert warnings(invoice) == ["Seller: SIREN 90533441 is not valid."]


def test_rate_compares_by_value():
    rates = [read_invoice(content).vat_breakdown[0].rate for content in (UBL.encode(), CII)]

    assert rates == [20, Decimal("20.00")]


def test_damaged_attachment_is_listed_without_content():
    invoice = read_invoice(UBL.replace("YTtiCjE7Mgo=", "not base64!").encode())

    assert (invoice.attachments[0].filename, invoice.attachments[0].content) == ("bl-12.csv", None)
    assert warnings(invoice) == ["An attachment is damaged and cannot be opened. Ask the sender for it."]

"""What kind of business an invoice is: who says so, and what follows from its parties."""

from pathlib import Path

import pytest

from invoices.register.services import receive_invoice
from providers.contract.base import File, InvoiceReport, Party
from tests.factories import SIREN, make_connection, make_customer, make_line

pytestmark = pytest.mark.django_db

UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_text()
NOTE = "<cbc:Note>#BAR#OUTOFSCOPE</cbc:Note>"


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


def receive(connection, rule="", text=UBL):
    report = InvoiceReport(provider_ref="1", direction="received", buyer=Party(siren=SIREN), processing_rule=rule)
    invoice, _new = receive_invoice(
        connection=connection, report=report, files=[File(kind="original", content=text.encode())] if text else []
    )
    invoice.refresh_from_db()
    return invoice.processing_rule, invoice.processing_source


def with_note(text):
    return text.replace("<cbc:InvoiceTypeCode>", f"{NOTE}<cbc:InvoiceTypeCode>", 1)


def from_abroad():
    text = UBL.replace("905334413", "HRB 1234").replace('schemeID="0002">HRB', 'schemeID="0204">HRB')
    text = text.replace('"0009">HRB', '"0088">HRB').replace('"0225">HRB', '"EM">HRB')
    return text.replace("<cbc:IdentificationCode>FR<", "<cbc:IdentificationCode>DE<", 1)


def test_platform_is_heard_first_and_again(connection):
    assert receive(connection, "B2BInt", text="") == ("B2BInt", "platform")
    assert receive(connection, "", with_note(UBL)) == ("B2BInt", "platform")
    assert receive(connection, "ArchiveOnly") == ("ArchiveOnly", "platform")


def test_invoice_says_it_itself(connection):
    assert receive(connection, "", with_note(UBL)) == ("OutOfScope", "document")


def test_two_companies_in_france(connection):
    assert receive(connection) == ("B2B", "parties")


def test_company_with_a_siren_at_an_address_abroad_is_not_judged(connection):
    assert receive(connection, "", UBL.replace("<cbc:IdentificationCode>FR<", "<cbc:IdentificationCode>LU<", 1)) == (
        "",
        "",
    )


@pytest.mark.parametrize(("country", "rule"), [("RE", "B2B"), ("MC", "B2B"), ("GF", "B2BInt"), ("NC", "B2BInt")])
def test_overseas_counts_as_french_vat_has_it(connection, country, rule):
    text = UBL.replace("<cbc:IdentificationCode>FR<", f"<cbc:IdentificationCode>{country}<", 1)
    assert receive(connection, "", text) == (rule, "parties")


def test_seller_abroad(connection):
    assert receive(connection, "", from_abroad()) == ("B2BInt", "parties")

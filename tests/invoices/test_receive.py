"""Taking an invoice in: whose it is, what its document tells, and what is kept of a broken one."""

import re
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from invoices.models import Invoice, InvoiceDocument
from invoices.register.services import UnknownOwner, receive_invoice, store_document
from invoices.register.stored import read_stored_original
from lifecycle.decisions import services
from lifecycle.decisions.messages import facts_for_platform
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from providers.contract.base import File, InvoiceReport, Party, StatusReport
from tests.factories import (
    OTHER_SIREN,
    SIREN,
    make_connection,
    make_customer,
    make_invoice,
    make_line,
    make_siren,
    make_user,
)
from tests.scripted import together

pytestmark = pytest.mark.django_db

UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


def known_by_one_number():
    """With VAT numbers, without SIRETs and French addresses."""
    text = UBL.decode().replace("0225", "EM")
    text = re.sub(r"<cac:PartyIdentification>.*?</cac:PartyIdentification>", "", text, flags=re.DOTALL)
    numbers = iter(["FR 50 905334413", "fr13800112237"])
    scheme = "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"
    tax = f"<cac:PartyTaxScheme><cbc:CompanyID>{{}}</cbc:CompanyID>{scheme}</cac:PartyTaxScheme>"
    return re.sub("<cac:PartyLegalEntity>", lambda found: tax.format(next(numbers)) + found[0], text)


def told(ref="inv-1", **values):
    defaults = {"direction": "received", "number": "F-1", "buyer": Party(name="Atelier", siren=SIREN)}
    return InvoiceReport(provider_ref=ref, **(defaults | values))


def original(content=UBL, **values):
    return File(kind="original", content=content, **values)


def receive(connection, report=None, *files):
    return receive_invoice(connection=connection, report=report or told(), files=files)


def test_document_rules_over_the_summary(connection):
    summary = told(number="platform's", total_with_vat=Decimal(1), due_date=date(2020, 1, 1), currency="USD")
    invoice, created = receive(connection, summary, original())

    assert (created, invoice.document_state, invoice.number, invoice.currency) == (True, "read", "PH-2026-101", "EUR")
    invoice = Invoice.objects.get()
    assert (invoice.total_without_vat, invoice.total_vat, invoice.due_date) == (
        Decimal("1234.50"), Decimal("246.90"), date(2026, 11, 3),
    )  # fmt: skip
    assert (invoice.seller_siren, invoice.buyer_name) == (OTHER_SIREN, "Atelier Dupont")


def test_invoice_without_document_waits_for_it(connection):
    invoice, _created = receive(connection)
    assert (invoice.document_state, invoice.number) == ("waiting", "F-1")

    later, created = receive(connection, told(), original())
    assert (later.pk, created, later.document_state, later.number) == (invoice.pk, False, "read", "PH-2026-101")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"0002">800112237<', '"0002">800 112 237<'),
        ('"0002">800112237<', '"0002">80011223700014<'),
        ('"0002">800112237<', '"0009">800 112 237 00014<'),
        (' schemeID="0002">800112237<', ">RCS Paris<"),  # the VAT number tells
    ],
)
def test_buyer_is_ours_however_its_number_is_written(connection, old, new):
    file = original(known_by_one_number().replace(old, new).encode())
    invoice, _created = receive(connection, told(buyer=Party()), file)
    assert (invoice.buyer_siren, invoice.customer.siren, invoice.document_state) == (SIREN, SIREN, "read")


def test_line_of_the_establishment_is_found_by_its_siret(connection):
    line = make_line(make_customer(SIREN), connection, f"{SIREN}_80011223700014")
    buyer = Party(siret="800 112 237 00014")
    assert receive(connection, told(buyer=buyer))[0].addressing_line == line
    assert receive(connection, told("inv-2", buyer=Party(vat_number="FR 13 800112237")))[0].customer == line.customer


def test_seller_known_by_its_vat_number_alone_gets_decisions_that_can_be_told(connection):
    text = known_by_one_number().replace(f' schemeID="0002">{OTHER_SIREN}<', ">RCS Marseille<")
    invoice, _created = receive(connection, told(), original(text.encode()))
    assert invoice.seller_siren == OTHER_SIREN
    assert facts_for_platform(invoice).seller.siren == OTHER_SIREN


def test_same_invoice_twice_is_one_with_one_document(connection):
    for _time in range(2):
        receive(connection, told(), original(filename="a.xml"))

    assert (Invoice.objects.count(), InvoiceDocument.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_same_invoice_at_the_same_moment_is_one(connection):
    results = together(*[partial(receive, connection, told(), original())] * 4)

    assert sorted(created for _invoice, created in results) == [False, False, False, True]
    assert (Invoice.objects.count(), InvoiceDocument.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"not xml", UBL[:900], b"\x89PNG",
     UBL.replace(b"<Invoice ", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Invoice ')],
    ids=["empty", "text", "truncated", "picture", "doctype"],
)  # fmt: skip
def test_broken_document_keeps_the_invoice_and_every_byte(connection, content):
    invoice, created = receive(connection, told(total_with_vat=Decimal("12.00")), original(content, filename="f.xml"))

    kept = Invoice.objects.get()
    assert (created, kept.document_state, kept.number, kept.total_with_vat) == (
        True, "unreadable", "F-1", Decimal("12.00"),
    )  # fmt: skip
    assert kept.document_error
    with invoice.original.file.open() as file:
        assert file.read() == content


@pytest.mark.parametrize("amount", [b"99999999999999999999", b"1E+30", b"NaN", b"Infinity", b"many"])
def test_amount_beyond_reason_is_left_out_with_a_warning(connection, amount):
    receive(connection, told(), original(UBL.replace(b">1234.50<", b">" + amount + b"<")))

    invoice = Invoice.objects.get()
    assert (invoice.document_state, invoice.total_without_vat, invoice.total_vat) == ("read", None, Decimal("246.90"))
    assert invoice.warnings


@pytest.mark.parametrize("word", [b"N" * 5000, "é\U0001f600".encode() * 300])
def test_long_words_are_cut_to_fit(connection, word):
    receive(connection, told(number="x" * 999), original(UBL.replace(b"PH-2026-101", word)))

    assert len(Invoice.objects.get().number) <= 200


def test_document_arriving_late_keeps_a_status_written_meanwhile(connection, platform):
    invoice, _created = receive(connection)
    events.record_report(invoice.pk, StatusReport(provider_ref="inv-1", status="203", key="1"))
    services.issue_status(user=make_user(is_superuser=True), invoice_id=invoice.pk, wish=Wish(status="204"))
    before = Invoice.objects.get()
    receive(connection, told(), original())

    after = Invoice.objects.get()
    assert (after.status, after.status_at, after.version) == (before.status, before.status_at, before.version)
    assert (after.status, after.document_state) == ("204", "read")


@pytest.mark.django_db(transaction=True)
def test_document_and_statuses_at_the_same_moment_both_count(connection):
    invoice, _created = receive(connection)
    reports = [StatusReport(provider_ref="inv-1", status=status, key=status) for status in ("200", "202", "203")]
    together(
        *[partial(receive, connection, told(), original())] * 3,
        *[partial(events.record_report, invoice.pk, report) for report in reports],
    )

    after = Invoice.objects.get()
    # Whatever order they came in, a step of the way to the buyer takes none back.
    assert (after.document_state, after.status, after.version) == ("read", "203", 4)


# --- whose ------------------------------------------------------------------------------------------------------------


def test_exact_address_comes_before_the_siren(connection):
    exact = make_line(make_customer(SIREN), connection, f"{SIREN}_{SIREN}00014")
    report = told(buyer=Party(siren=SIREN, identifier=f"{SIREN}_{SIREN}00014"))

    assert receive(connection, report)[0].addressing_line == exact


def test_unknown_address_of_a_known_company_is_its_own(connection):
    report = told(buyer=Party(identifier=f"{SIREN}_UNHEARD_OF"))

    assert receive(connection, report)[0].addressing_line.identifier == SIREN


def test_document_names_the_owner_where_the_summary_does_not(connection):
    assert receive(connection, told(buyer=Party()), original())[0].customer.siren == SIREN


def test_issued_invoice_is_the_sellers(connection):
    make_line(make_customer(OTHER_SIREN), connection)
    report = told(direction="issued", seller=Party(siren=OTHER_SIREN))

    assert receive(connection, report)[0].customer.siren == OTHER_SIREN


def test_line_of_another_connection_does_not_count(connection):
    with pytest.raises(UnknownOwner):
        receive(make_connection("scripted"))
    assert not Invoice.objects.exists()


def test_invoice_that_names_nobody_is_the_only_customers(connection):
    make_line(make_customer(SIREN), connection, f"{SIREN}_80011223700014")
    invoice, _created = receive(connection, told(buyer=Party()), original(b"<html>502</html>"))

    assert (invoice.document_state, invoice.addressing_line.identifier) == ("unreadable", SIREN)


def test_invoice_that_names_nobody_is_not_given_to_one_of_several_customers(connection):
    make_line(make_customer(OTHER_SIREN), connection)
    with pytest.raises(UnknownOwner):
        receive(connection, told(buyer=Party()), original(b"<html>502</html>"))


def test_unknown_owner_is_told_with_what_to_do(connection):
    stranger = make_siren(12345678)
    with pytest.raises(UnknownOwner) as refused:
        receive(connection, told(buyer=Party(siren=stranger)))

    assert [word in str(refused.value) for word in (connection.name, "F-1", stranger)] == [True, True, True]
    assert not Invoice.objects.exists()


def test_same_reference_on_two_connections_is_two_invoices(connection):
    other = make_connection("scripted")
    make_line(make_customer(OTHER_SIREN), other)
    receive(connection)
    receive(other, told(buyer=Party(siren=OTHER_SIREN)))

    assert Invoice.objects.count() == 2


# --- files ------------------------------------------------------------------------------------------------------------


def test_same_bytes_of_two_invoices_are_one_file_and_two_documents(connection):
    first, second = (store_document(invoice=make_invoice(), file=original(b"same")) for _invoice in range(2))

    assert (first.file.name, first.sha256, first.pk == second.pk) == (second.file.name, second.sha256, False)


def test_new_bytes_do_not_overwrite_the_old(connection):
    invoice = make_invoice()
    for content in (b"first", b"second"):
        store_document(invoice=invoice, file=original(content))

    assert sorted(_bytes_of(document) for document in invoice.documents.all()) == [b"first", b"second"]
    assert _bytes_of(invoice.original) == b"first"


def _bytes_of(document):
    with document.file.open() as file:
        return file.read()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b/passwd"])
def test_name_with_folders_is_kept_without_them(name):
    document = store_document(invoice=make_invoice(), file=original(b"x", filename=name))

    assert document.filename == "passwd"
    assert document.file.name.endswith(document.sha256)


def test_stored_original_is_read_again(connection):
    invoice, _created = receive(connection, told(), original())

    assert read_stored_original(invoice).number == "PH-2026-101"

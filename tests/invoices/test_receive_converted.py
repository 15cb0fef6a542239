"""A platform that keeps the original for itself: its own version is kept and read in its place."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils.translation import override

from invoices.register.services import receive_invoice
from invoices.register.stored import read_stored_original
from providers.contract.base import File, InvoiceReport, Party
from tests.factories import SIREN, make_connection, make_customer, make_line, make_user
from tests.providers.seqino.samples import make_data

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_english(settings):
    settings.LANGUAGE_CODE = "en"
    with override("en"):
        yield


REPORT = InvoiceReport(provider_ref="inv-1", direction="received", number="inv-1", buyer=Party(siren=SIREN))
UBL = (Path(settings.BASE_DIR) / "tests/samples/invoices/invoice.ubl.xml").read_bytes()


@pytest.fixture
def connection():
    connection = make_connection()
    make_line(make_customer(), connection)
    return connection


def converted(**changes):
    content = json.dumps(make_data(**changes)).encode()
    return File(kind="converted", content=content, media_type="application/json", filename="inv-1.json")


def original():
    return File(kind="original", content=UBL, media_type="application/xml", filename="F.xml")


def receive(connection, *files):
    return receive_invoice(connection=connection, report=REPORT, files=files)[0]


def test_platforms_version_tells_what_the_invoice_says(connection):
    invoice = receive(connection, converted())
    assert (invoice.document_state, invoice.number, invoice.total_with_vat) == ("read", "F-2026-0042", Decimal(1200))
    assert invoice.vat_breakdown == [{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}]
    assert [document.kind for document in invoice.documents.all()] == ["converted"]
    assert read_stored_original(invoice).syntax == "json"


def test_newest_version_counts(connection):
    receive(connection, converted())
    invoice = receive(connection, converted(invoice_number="F-2"))
    assert (invoice.number, read_stored_original(invoice).number) == ("F-2", "F-2")


def test_original_counts_more_whenever_it_comes(connection):
    number = receive(connection, original()).number
    invoice = receive(connection, converted(invoice_number="F-9"))
    assert (invoice.number, read_stored_original(invoice).syntax) == (number, "ubl")
    assert invoice.documents.count() == 2


def test_original_beside_it_is_read(connection):
    invoice = receive(connection, converted(), original())
    assert read_stored_original(invoice).syntax == "ubl"


def test_broken_version_does_not_lose_the_invoice(connection):
    invoice = receive(connection, replace(converted(), content=b"{}"))
    assert (invoice.document_state, invoice.number) == ("unreadable", "inv-1")
    assert invoice.documents.count() == 1


def test_page_shows_it(client, connection):
    invoice = receive(connection, converted())
    client.force_login(make_user(invoice.customer, "clerk"))
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk])).content.decode()
    assert all(words in page for words in ("F-2026-0042", "Papier", "Papeterie du Pont", "stays there"))

"""The tabs of a document: with and without script, for every kind of original."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pypdf import PdfWriter

from invoices.models import DocumentState, Invoice
from invoices.register import prepared, services
from providers.contract.base import File
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_invoice, make_user
from tests.pages import inline_code, parse, texts

pytestmark = pytest.mark.django_db

SAMPLES = Path(__file__).parent.parent / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_bytes()
CII = (SAMPLES / "invoice.cii.xml").read_bytes()
LISIBLE = UBL.replace(b"BON_LIVRAISON", b"LISIBLE").replace(b'"text/csv"', b'"application/pdf"')
WITHOUT_PICTURE = ["Readable", "XML", "Validation", "Files"]
WITH_PICTURE = ["Readable", "Original PDF", "Side by side", "XML", "Validation", "Files"]


def facturx() -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    writer.add_attachment("factur-x.xml", CII)
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


@pytest.fixture
def invoice(client: Client, monkeypatch: pytest.MonkeyPatch) -> Invoice:
    fake_provider.register(monkeypatch)
    customer = make_customer()
    client.force_login(make_user(customer))
    return make_invoice(customer, make_connection(), document_state=DocumentState.READ)


def store(invoice: Invoice, content: bytes, media_type: str = "application/xml", kind: str = "original") -> Any:
    file = File(kind=kind, content=content, media_type=media_type, filename="facture")
    document = services.store_document(invoice=invoice, file=file)
    prepared.drain()
    return document


def shown(client: Client, invoice: Invoice, tab: str = "") -> Any:
    path = reverse("lifecycle:invoice", args=[invoice.pk])
    return client.get(path, {"tab": tab} if tab else {}, headers={"accept-language": "en"})


def tabs(response: Any) -> list[str]:
    """Their names, without the count of files."""
    return [name.rstrip(" 0123456789") for name in texts(response, "//a[@role='tab']")]


def selected(response: Any) -> list[str]:
    return parse(response).xpath("//a[@role='tab'][@aria-selected='true']/@id")


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (UBL, "application/xml", WITHOUT_PICTURE),
        (CII, "application/xml", WITHOUT_PICTURE),
        (LISIBLE, "application/xml", WITH_PICTURE),
        (facturx(), "application/pdf", WITH_PICTURE),
        (b"<broken", "application/xml", WITHOUT_PICTURE),
        (b"%PDF-1.7 broken", "application/pdf", ["Readable", "Original PDF", "XML", "Validation", "Files"]),
    ],
    ids=["ubl", "cii", "ubl with a readable copy", "factur-x", "broken xml", "broken pdf"],
)
def test_tabs_follow_from_the_original(
    client: Client, invoice: Invoice, content: bytes, media_type: str, expected: list[str]
) -> None:
    store(invoice, content, media_type)
    assert tabs(shown(client, invoice)) == expected


def test_no_original_leaves_two_tabs(client: Client, invoice: Invoice) -> None:
    assert tabs(shown(client, invoice)) == ["Readable", "Files"]


def test_pdf_beside_the_original_is_the_picture(client: Client, invoice: Invoice) -> None:
    store(invoice, UBL)
    picture = store(invoice, b"%PDF-1.7", "application/pdf; charset=binary", kind="readable")
    response = shown(client, invoice, "original")
    source = parse(response).xpath("//iframe/@src")[0]
    assert source.split("#")[0] == reverse("invoices:view", args=[invoice.pk, picture.pk])


@pytest.mark.parametrize("tab", ["readable", "original", "compare", "xml", "files"])
def test_tab_is_a_page_of_its_own(client: Client, invoice: Invoice, tab: str) -> None:
    store(invoice, facturx(), "application/pdf")
    shown(client, invoice, tab)
    prepared.drain()
    response = shown(client, invoice, tab)
    assert (response.status_code, selected(response), inline_code(response)) == (200, [f"tab-{tab}"], [])
    assert parse(response).xpath("//*[@role='tabpanel']/@aria-labelledby") == [f"tab-{tab}"]


@pytest.mark.parametrize("tab", ["", "validity", "original", "../xml"])
def test_tab_that_is_not_there_gives_the_first(client: Client, invoice: Invoice, tab: str) -> None:
    store(invoice, UBL)
    assert selected(shown(client, invoice, tab)) == ["tab-readable"]


def test_tab_alone_is_what_the_page_shows(client: Client, invoice: Invoice) -> None:
    store(invoice, UBL)
    page = parse(shown(client, invoice, "xml")).get_element_by_id("invoice_document")
    path = reverse("lifecycle:invoice_document", args=[invoice.pk])
    alone = client.get(path, {"tab": "xml"}, headers={"HX-Request": "true", "accept-language": "en"})
    fresh = parse(alone).xpath("//*[@id='invoice_document']")[0]
    assert (fresh.get("hx-swap-oob"), fresh.text_content()) == ("true", page.text_content())


def test_document_that_comes_later_stays_in_the_tab(client: Client, invoice: Invoice) -> None:
    live = parse(shown(client, invoice, "files")).xpath("//*[@id='live']")[0]
    assert live.get("hx-include") == "#document-tab, #document-lines"
    store(invoice, UBL)
    invoice.save()
    answer = client.get(live.get("hx-get"), {"tab": "files"}, headers={"HX-Request": "true"})
    assert selected(answer) == ["tab-files"]


def test_files_are_listed_with_those_inside_the_invoice(client: Client, invoice: Invoice) -> None:
    document = store(invoice, UBL)
    response = shown(client, invoice, "files")
    assert parse(response).xpath("//table[contains(@class, 'files')]//a/@href") == [
        reverse("invoices:download", args=[invoice.pk, document.pk]),
        reverse("invoices:attachment", args=[invoice.pk, 0]),
    ]
    assert texts(response, "//a[@id='tab-files']") == ["Files 2"]


def test_address_of_the_sender_is_not_followed_blindly(client: Client, invoice: Invoice) -> None:
    start, end = UBL.index(b"<cbc:EmbeddedDocumentBinaryObject"), UBL.index(b"</cac:Attachment>")
    address = b"<cac:ExternalReference><cbc:URI>javascript:alert(1)</cbc:URI></cac:ExternalReference>"
    store(invoice, UBL[:start] + address + UBL[end:])
    response = shown(client, invoice, "files")
    assert parse(response).xpath("//a[starts-with(@href, 'javascript')]") == []
    assert texts(response, "//table[contains(@class, 'files')]//tr[last()]/td[1]") == ["BL-12 javascript:alert(1)"]


def test_lost_file_is_told(client: Client, invoice: Invoice) -> None:
    document = store(invoice, b"<lost-for-the-page/>")
    document.file.storage.delete(document.file.name)
    for tab in ("readable", "xml"):
        words = texts(shown(client, invoice, tab), "//*[@id='document-panel']//p")
        assert words.count("The stored file cannot be opened now. An administrator looks at the file storage.") == 1


def test_broken_xml_can_still_be_read_by_people(client: Client, invoice: Invoice) -> None:
    store(invoice, b"<Invoice><broken>")
    response = shown(client, invoice, "xml")
    assert texts(response, "//*[@id='document-panel']//code") == ["<Invoice><broken>"]
    assert texts(response, "//*[@id='document-panel']//p") == [
        "This is not well-formed XML; its text is shown as it came."
    ]

"""The tabs of a document in a real browser: with script by keys, and without any."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from invoices import services
from providers.base import File
from providers.models import Connection
from tests.factories import make_customer, make_invoice

UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


@pytest.fixture
def invoice(office):
    invoice = make_invoice(make_customer(), Connection.objects.get(), document_state="read")
    file = File(kind="original", content=UBL, media_type="application/xml", filename="facture.xml")
    services.store_document(invoice=invoice, file=file)
    return invoice


def test_tabs_by_keys_without_leaving_the_page(office, log_in, invoice):
    page = log_in("reader")
    page.goto(f"{office.navette.url}/invoices/{invoice.pk}/")
    page.evaluate("window.stayed = true")

    page.locator("#tab-readable").focus()
    page.keyboard.press("ArrowRight")

    expect(page.locator("#document-panel pre.xml")).to_contain_text("PH-2026-101")
    expect(page.locator("#tab-xml")).to_be_focused()
    assert page.url.endswith("?tab=xml")
    page.keyboard.press("End")
    expect(page.locator("#document-panel table.files")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.locator("#document-panel .doc")).to_be_visible()
    assert page.evaluate("window.stayed") is True


def test_tabs_without_script(office, log_in, invoice):
    page = log_in("reader", java_script_enabled=False)
    page.goto(f"{office.navette.url}/invoices/{invoice.pk}/")

    page.locator("#tab-xml").click()

    expect(page.locator("#document-panel pre.xml")).to_contain_text("PH-2026-101")
    expect(page.locator("#tab-xml")).to_have_attribute("aria-selected", "true")

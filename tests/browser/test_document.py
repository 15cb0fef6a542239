"""The tabs of a document in a real browser: with script by keys, and without any."""

from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override
from playwright.sync_api import expect

from invoices.register import services
from providers.contract.base import File
from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import read_invoice
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


EXTRA = """<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:AllowanceChargeReason>Fidélité
</cbc:AllowanceChargeReason><cbc:MultiplierFactorNumeric>1.25</cbc:MultiplierFactorNumeric><cbc:Amount>1234.50</cbc:Amount>
<cbc:BaseAmount>98760.00</cbc:BaseAmount><cac:TaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>5.5</cbc:Percent></cac:TaxCategory>
</cac:AllowanceCharge><cac:PreviousSettlementOfTheSameCustomer><cbc:Note>M-4</cbc:Note>
</cac:PreviousSettlementOfTheSameCustomer><cac:TaxTotal>"""


def test_narrow_sheet_keeps_every_figure_in_sight(page):
    text = UBL.decode().replace("<cac:TaxTotal>", EXTRA, 1)
    text = text.replace(">S</cbc:ID><cbc:Percent>20<", ">AE</cbc:ID><cbc:Percent>0<").replace(
        ">123.45<", ">12345.4567<"
    )
    with override("fr"):
        document = render_readable(read_invoice(text.encode()))
    style = (settings.BASE_DIR / "static" / "css" / "document.css").read_text()
    page.set_viewport_size({"width": 390, "height": 900})

    page.set_content(f"<style>{style}</style><div class='paper'>{document}</div>")

    wide = "sections => sections.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"
    assert page.locator(".doc-section").evaluate_all(wide) == []

"""Issuing in a real browser: files handed in one by one, and an invoice written on the form that saves itself."""

from playwright.sync_api import expect

from providers.formats.en16931.writer import write_invoice
from tests.invoices.documents.issued import make_document
from tests.invoices.drafting.test_drafts import TYPED

SECONDS = 90_000  # an answer that came too early is looked up after a minute


def test_files_and_a_written_invoice_reach_the_platform(office, log_in, tmp_path):
    page, base = log_in("approver"), office.navette.url
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_bytes(write_invoice(make_document(number="F-2026-9001"), "ubl"))
    bad.write_bytes(b"PK\x03\x04")

    page.goto(f"{base}/issuing/")
    page.check("#upload-submit")
    page.set_input_files("#upload-files", [good, bad])
    page.locator("form[data-upload] button[type=submit]").click()
    rows = page.locator(".upload-row")
    expect(rows.nth(1).locator(".upload-fault")).to_be_visible(timeout=SECONDS)
    # Its row goes on by itself: checked, sent, confirmed.
    expect(rows.nth(0).locator(".chip--good").nth(1)).to_be_visible(timeout=SECONDS)

    page.locator("form[action$='/drafts/'] button").click()
    for name, value in {"own_vat_number": "FR13800112237", **TYPED}.items():
        page.fill(f"[name='{name}']", value)
    expect(page.locator("#draft-side")).to_contain_text("120,01", timeout=SECONDS)
    expect(page.locator("#draft-side .lacks")).to_have_count(0)
    page.reload()
    expect(page.locator("[name=number]")).to_have_value("F-2026-0042")
    page.locator("button[value=send]").click()
    expect(page.locator("h1")).to_contain_text("F-2026-0042")
    expect(page.locator(".timeline .relay--confirmed")).to_be_visible(timeout=SECONDS)


def test_clerk_finds_the_form_by_keyboard_on_a_narrow_screen(office, log_in):
    page = log_in("clerk", viewport={"width": 390, "height": 840})
    page.goto(f"{office.navette.url}/issuing/")
    page.locator("form[action$='/drafts/'] button").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/issuing/drafts/*/")
    page.locator("button[value='add:lines']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[name='lines-1-name']")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("button[value=send]")).to_have_count(0)


def test_preview_of_a_draft_opens_again_and_again(office, log_in):
    page = log_in("clerk")
    page.goto(f"{office.navette.url}/issuing/")
    page.locator("form[action$='/drafts/'] button").click()
    for name in ("Première", "Seconde"):
        page.fill("[name='lines-0-name']", name)
        expect(page.locator("#draft-version")).not_to_have_value("0")
        page.wait_for_timeout(1200)  # saved as typed
        page.locator("a[href$='/preview/']").click()
        expect(page.locator("dialog[open] .paper")).to_contain_text(name)
        page.locator("dialog[open] [data-close]").click()
        expect(page.locator("dialog[open]")).to_have_count(0)

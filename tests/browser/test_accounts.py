"""The account's pages in a real browser: on a telephone, and when a session ends while somebody types."""

from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from providers.models import Connection
from tests.browser.conftest import PASSWORD
from tests.factories import make_customer, make_invoice


def test_account_pages_fit_a_telephone(office, log_in):
    page = log_in("administrator", viewport={"width": 390, "height": 844})
    for path in ("/accounts/sessions/", "/tokens/", "/audit/", "/accounts/2fa/"):
        page.goto(f"{office.navette.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_what_was_typed_comes_back_after_the_session_ended(office, log_in):
    invoice = make_invoice(make_customer(), Connection.objects.get())
    page = log_in("clerk")
    page.goto(f"{office.navette.url}/invoices/{invoice.pk}/")
    page.fill(".comment-form textarea", "Vu avec le fournisseur")
    Session.objects.all().delete()

    page.wait_for_url("**/accounts/login/**")
    page.fill("input[name=login]", "clerk")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")

    expect(page.locator(".comment-form textarea")).to_have_value("Vu avec le fournisseur")

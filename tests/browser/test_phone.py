"""On a telephone: what is to be touched can be, and nothing is wider than the screen."""

from providers.models import Connection
from tests.factories import make_customer, make_invoice


def test_list_and_relays_can_be_touched_on_a_telephone(office, log_in):
    invoice = make_invoice(make_customer(), Connection.objects.get(), ("203",))
    page, base = log_in("clerk", viewport={"width": 320, "height": 700}), office.navette.url
    page.goto(f"{base}/invoices/")
    tick = page.locator("td.tick input").bounding_box()
    assert min(tick["width"], tick["height"]) >= 24
    page.get_by_role("link", name=invoice.number).click(timeout=5000)
    page.wait_for_url(f"**/invoices/{invoice.pk}/")
    page.goto(f"{base}/relays/")
    assert page.locator("#relay-state").is_visible()
    for path in ("/", "/invoices/", "/relays/", "/issuing/", f"/invoices/{invoice.pk}/"):
        page.goto(f"{base}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path

"""An answer that needs a person, in a real browser."""

from playwright.sync_api import expect

from providers.contract.base import Reason
from providers.models import Connection
from tests.factories import make_customer, make_event, make_invoice


def test_rejection_of_another_transmission_is_seen_and_settled_without_a_reload(office, log_in):
    invoice = make_invoice(
        make_customer(), Connection.objects.get(), direction="issued", statuses=["200", "203", "205"]
    )
    make_event(invoice, "213", issuer_role="WK", reasons=[Reason(code="DOUBLON", text="Facture déjà reçue.")])
    page = log_in("approver")
    page.goto(f"{office.navette.url}/")
    expect(page.locator("#lane-alerts")).to_contain_text(invoice.number)
    page.goto(f"{office.navette.url}/invoices/{invoice.pk}/")
    page.evaluate("window.stayed = true")
    expect(page.locator(".remark--bad")).to_contain_text("Une plateforme a rejeté un autre envoi de cette facture.")
    expect(page.locator(".timeline")).to_contain_text("concerne : un autre envoi de la facture")
    page.get_by_role("button", name="Vu : rien ne change").click()

    expect(page.locator(".remark--bad")).to_have_count(0)
    expect(page.locator(".timeline")).to_contain_text("Réponse 213 réglée")
    assert page.evaluate("window.stayed") is True

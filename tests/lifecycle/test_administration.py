"""What the administration must hear of an invoice, and when the clock of it runs."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from django.utils.translation import override

from lifecycle.decisions import services
from lifecycle.decisions.administration import deadline_of, goes_to_administration, remarks_on, reported_in_words
from lifecycle.decisions.wishes import Wish
from lifecycle.outbox import relays
from providers.contract.base import Payment, Reason
from tests.factories import make_connection, make_customer, make_invoice, make_token, make_user

pytestmark = pytest.mark.django_db

TAXED = [{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}]
REDUCED = [{"category": "S", "rate": "5.50", "base": "100.00", "amount": "5.50"}]
EXEMPT = [{"category": "E", "rate": "0.00", "base": "1000.00", "amount": "0.00"}]
ZERO = [{"category": "S", "rate": "0.00", "base": "1000.00", "amount": "0.00"}]
REVERSE = [{"category": "AE", "rate": "0.00", "base": "1000.00", "amount": "0.00"}]


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


def issued(customer=None, **values):
    defaults = {"direction": "issued", "process": "S1", "vat_breakdown": TAXED}
    return make_invoice(customer=customer or make_customer(), **(defaults | values))


@pytest.mark.parametrize(
    ("values", "goes"),
    [
        ({}, True),
        ({"process": "M1"}, True),
        ({"process": "S6", "vat_breakdown": EXEMPT + REDUCED}, True),
        ({"process": "B1"}, False),
        ({"process": "B1", "type_code": "386"}, True),
        ({"process": "B1", "type_code": "500"}, True),
        ({"process": ""}, False),
        ({"vat_breakdown": EXEMPT}, False),
        ({"vat_breakdown": ZERO}, False),
        ({"vat_breakdown": REVERSE}, False),
        ({"vat_breakdown": []}, False),
        ({"vat_point": "3"}, False),
        ({"vat_point": "5"}, False),
        ({"vat_point": "432"}, True),
        ({"vat_point": "72"}, True),
        ({"buyer_siren": "", "buyer_vat_number": "BE0403170701"}, False),
        ({"buyer_siren": ""}, False),
        ({"buyer_siren": "", "buyer_vat_number": "FR13800112237"}, True),
    ],
)
def test_receipt_goes_to_the_administration_only_where_its_vat_falls_due(values, goes):
    assert goes_to_administration(issued(**values), "212") is goes


def test_receipts_of_a_seller_on_debits_do_not_go_there():
    assert goes_to_administration(issued(make_customer(vat_on_debits=True)), "212") is False


@pytest.mark.parametrize(
    ("values", "goes"),
    [
        ({}, True),
        ({"seller_siren": "", "seller_vat_number": "DE811907980"}, False),
        ({"seller_siren": "", "seller_vat_number": ""}, True),
        ({"process": "B1", "vat_breakdown": EXEMPT}, True),
    ],
)
def test_refusal_goes_there_unless_the_seller_is_foreign(values, goes):
    assert goes_to_administration(make_invoice(**values), "210") is goes


@pytest.mark.parametrize("status", ["204", "205", "206", "207", "208", "209", "211", "220"])
def test_other_statuses_never_go_there(status):
    invoice = issued()
    assert goes_to_administration(invoice, status) is False
    assert deadline_of(invoice, status, timezone.now()) is None


def tell(invoice, status="212"):
    user = make_user(invoice.customer, "approver")
    payments = (Payment(amount=Decimal(1200), vat_rate=Decimal(20)),) if status == "212" else ()
    reasons = (Reason(code="DOUBLON"),) if status == "210" else ()
    wish = Wish(status=status, payments=payments, reasons=reasons)
    return services.issue_status(user=user, invoice_id=invoice.pk, wish=wish)[0]


@pytest.mark.parametrize(("process", "runs"), [("S1", True), ("B1", False)])
def test_clock_of_a_receipt_runs_only_where_it_goes_there(process, runs, far_end):
    invoice = issued(process=process, connection=make_connection("scripted"), statuses=["200", "205"])
    relay = tell(invoice)
    relays.drain()

    assert relay.deadline_at == (relay.created_at + timedelta(hours=24) if runs else None)
    assert far_end.told[0].reaches_ppf is runs


def test_number_that_will_be_turned_down_is_said_before_deciding(client):
    invoice = make_invoice(number="FAC.2026.0417", connection=make_connection("scripted"), statuses=["203", "204"])
    user = make_user(invoice.customer, "approver")
    client.force_login(user)

    assert "FAC.2026.0417" in remarks_on(invoice, Wish(status="210"))[0]
    assert remarks_on(invoice, Wish(status="205")) == []
    words = "L’administration ne prendra pas le numéro « FAC.2026.0417 »"
    assert words in client.get(f"/invoices/{invoice.pk}/").content.decode()
    assert words in client.get(f"/invoices/{invoice.pk}/decide/210/").content.decode()
    api = {"Authorization": f"Token {make_token(user)}"}
    shown = client.get(f"/api/v1/invoices/{invoice.pk}/", headers=api).json()
    assert words in shown["warnings"][0]


def test_api_tells_what_it_filled_in(client):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["203", "204"])
    api = {"Authorization": f"Token {make_token(make_user(invoice.customer, 'approver'))}"}
    body = {"status": "210", "reasons": [{"code": "DOUBLON"}]}
    answer = client.post(
        f"/api/v1/invoices/{invoice.pk}/decisions/", body, content_type="application/json", headers=api
    ).json()

    assert answer["event"]["note"] == "Facture en doublon"
    assert answer["remarks"] == ["Ce statut exige un texte et aucun n’a été donné : « Facture en doublon » est envoyé."]


def test_preview_shows_the_words_that_are_sent(client):
    invoice = make_invoice(connection=make_connection("scripted"), statuses=["203", "204"])
    client.force_login(make_user(invoice.customer, "approver"))
    rows = {"reasons-TOTAL_FORMS": 1, "reasons-INITIAL_FORMS": 0, "reasons-0-code": "DOUBLON"}
    fields = {"version": invoice.version, "seen": 2, "key": "6f1c1a0e-3b7e-4a3c-9d52-0a3f5c9a1b77", "step": "preview"}
    page = client.post(f"/invoices/{invoice.pk}/decide/210/", rows | fields).content.decode()

    assert 'Facture en doublon <span class="muted">(libellé officiel : ce statut exige un texte)' in page
    assert "oui, sous 24 h" in page


def test_page_says_why_the_administration_does_not_hear_it():
    with override("en"):
        assert reported_in_words(issued(process="B1"), "212") == (
            "no: the VAT of this invoice does not fall due on receipt of the payment"
        )
        assert reported_in_words(issued(buyer_siren=""), "212").startswith(
            "no: the other party is not a French company"
        )
        assert reported_in_words(issued(), "212") == "yes, within 24 h"
        assert reported_in_words(issued(), "205") == "no"


def test_dashboard_names_the_fines_and_claims_none_for_a_late_status(client):
    client.force_login(make_user(make_customer(), "approver"))
    page = client.get("/dashboard/").content.decode()

    assert "Pour un statut transmis en retard, aucune amende propre n’a été trouvée." in page
    assert "facture non électronique" in page
    assert "données de transaction ou de paiement non transmises" in page

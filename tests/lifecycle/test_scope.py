"""What nobody can be told is refused before, with why, on every door; never accepted first and failed later."""

from decimal import Decimal

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from lifecycle import services
from lifecycle.codes import INVOICE_STATUSES
from lifecycle.models import RelayTask
from lifecycle.scope import objection
from lifecycle.services import DecisionRefused, Wish
from providers.afnor.adapter import Afnor
from providers.base import Payment
from tests import fake_provider
from tests.factories import make_customer, make_invoice, make_token, make_user
from tests.pages import texts

pytestmark = pytest.mark.django_db

RECEIPT = {"status": "212", "payments": [{"vat_rate": "20.00", "amount": "120.00", "currency": "EUR"}]}


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def user():
    return make_user(make_customer(), "approver", username="ada")


def issued(rule, **values):
    return make_invoice(direction="issued", statuses=["200", "202", "203", "205"], processing_rule=rule, **values)


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("", []), ("B2B", []), ("B2G", []), ("OutOfScope", []), ("B2BInt", ["212"]), ("B2GInt", ["212"]),
        ("B2C", list(INVOICE_STATUSES)), ("ArchiveOnly", list(INVOICE_STATUSES)),
    ],
)  # fmt: skip
def test_what_each_rule_keeps_back(rule, refused):
    assert [code for code in INVOICE_STATUSES if objection(rule, code)] == refused


def test_receipt_of_an_international_invoice_is_refused_with_why(user):
    invoice = issued("B2BInt")
    api = APIClient(headers={"Authorization": f"Token {make_token(user)}"})
    assert "212" not in api.get(f"/api/v1/invoices/{invoice.pk}/").json()["next_statuses"]
    answer = api.post(f"/api/v1/invoices/{invoice.pk}/decisions/", RECEIPT, format="json")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "cannot_be_told")
    assert error["message"].startswith("Cette facture est internationale")
    assert RelayTask.objects.count() == 0


def test_page_says_why_and_how_it_is_known(client, user):
    client.force_login(user)
    shown = client.get(reverse("lifecycle:invoice", args=[issued("B2C", processing_source="platform").pk]))
    (told,) = texts(shown, "//p[@class='remark remark--warn']")
    assert told.startswith("Cette facture s’adresse à un particulier, qu’aucune plateforme ne dessert")
    assert texts(shown, "//div[dt='Traitement']/dd") == ["À un particulier (e-reporting) B2C, selon la plateforme"]
    assert texts(client.get(reverse("lifecycle:decide", args=[issued("B2C").pk, "212"])), "//form//select") == []


def test_administration_has_no_clock_for_an_international_invoice(user):
    wish = Wish(status="212", payments=(Payment(amount=Decimal(120), vat_rate=Decimal(20)),))
    relay, _new = services.issue_status(user=user, invoice_id=issued("OutOfScope").pk, wish=wish)
    assert relay.deadline_at is None


def test_platform_that_cannot_name_the_seller_is_not_offered(user, monkeypatch):
    monkeypatch.setattr(fake_provider.FakePlatform, "objection", Afnor.objection)
    invoice = make_invoice(statuses=["203"], seller_siren="", seller_vat_number="BE0403170701")
    assert services.next_statuses(invoice) == ()
    with pytest.raises(DecisionRefused, match="pas de SIREN"):
        services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))
    known = make_invoice(statuses=["203"], seller_siren="905334413")
    assert "204" in services.next_statuses(known)

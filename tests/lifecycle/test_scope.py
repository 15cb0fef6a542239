"""What nobody can be told is refused before, with why, on every door; never accepted first and failed later."""

from decimal import Decimal

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from lifecycle.decisions import bulk, services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask
from providers.afnor.adapter import Afnor
from providers.contract.base import Payment
from providers.norm.codes import INVOICE_STATUSES
from providers.norm.scope import objection
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_token, make_user
from tests.pages import parse, texts

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


# --- what the platform has no words for -------------------------------------------------------------------------------

BREAKDOWN = [{"category": "S", "rate": "20.00", "base": "100.00", "amount": "20.00"}]
TAKEN_BACK = {
    "status": "212",
    "note": "Chèque sans provision",
    "payments": [{"vat_rate": "20.00", "amount": "-120.00", "currency": "EUR"}],
}


def at_platform(kind, **values):
    connection = make_connection(kind, settings={"api_url": "https://p.example.test"})
    values = {"vat_breakdown": BREAKDOWN, "total_with_vat": Decimal(120), "provider_ref": "4711"} | values
    return make_invoice(connection=connection, direction="issued", statuses=["200", "203", "205"], **values)


@pytest.mark.parametrize("kind", ["acube", "billit"])
def test_receipt_that_the_platform_cannot_take_back_is_refused_before(user, client, kind):
    invoice = at_platform(kind)
    make_event(invoice, "212", payments=(Payment(amount=Decimal(120), vat_rate=Decimal(20)),))
    api = APIClient(headers={"Authorization": f"Token {make_token(user)}"})
    answer = api.post(f"/api/v1/invoices/{invoice.pk}/decisions/", TAKEN_BACK, format="json")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (422, "payments", "not_carried")

    client.force_login(user)
    page = reverse("lifecycle:decide", args=[invoice.pk, "212"])
    form = parse(client.get(page)).xpath("//form[.//input[@name='key']]")[0]
    filled = {name: value or "" for name, value in form.form_values()} | {
        "payments-0-vat_rate": "20", "payments-0-amount": "-120", "note": "Chèque sans provision",
    }  # fmt: skip
    shown = client.post(page, filled | {"step": "preview"})
    assert (shown.status_code, " ".join(error["message"].split()) in " ".join(texts(shown, "//form"))) == (422, True)
    assert RelayTask.objects.count() == 0


@pytest.mark.parametrize("kind", ["acube", "billit"])
def test_refund_that_the_platform_cannot_carry_is_not_offered(user, client, kind):
    note = at_platform(kind, type_code="381")
    api = APIClient(headers={"Authorization": f"Token {make_token(user)}"})
    assert "212" not in api.get(f"/api/v1/invoices/{note.pk}/").json()["next_statuses"]
    answer = api.post(f"/api/v1/invoices/{note.pk}/decisions/", TAKEN_BACK, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "cannot_be_told")

    client.force_login(user)
    (told,) = texts(client.get(reverse("lifecycle:invoice", args=[note.pk])), "//p[@class='remark remark--warn']")
    assert "aucun montant négatif" in told or "que des paiements positifs" in told
    wish = Wish(status="212", payments=())
    (row,) = bulk.decide(user, bulk.plan(user, [note], wish))
    assert (row.relay, " ".join(row.problem.split()) in told) == (None, True)
    assert RelayTask.objects.count() == 0


def test_platform_that_carries_negative_amounts_takes_them(user):
    note = at_platform("afnor", type_code="381")
    assert "212" in services.next_statuses(note)


def test_status_left_to_people_is_not_held_to_the_platforms_words(user):
    invoice = make_invoice(connection=make_connection("billit"), statuses=["203"])
    relay, _new = services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))
    assert relay.state == "unsupported"

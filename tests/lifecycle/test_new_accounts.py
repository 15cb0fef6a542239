"""A supplier that names another account: told on its page, in lists and in the API until a person has checked it."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from invoices.models import AccountChange, PaymentAccount
from lifecycle.history.export import invoice_facts
from tests import fake_provider
from tests.factories import make_customer, make_invoice, make_token, make_user
from tests.pages import texts

pytestmark = pytest.mark.django_db

OLD, NEW = "FR7630006000011234567890189", "DE89370400440532013000"


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def invoice():
    earlier = make_invoice(number="F-1", statuses=["203"])
    invoice = make_invoice(number="F-2", statuses=["203"])
    PaymentAccount.objects.create(invoice=invoice, customer=invoice.customer, supplier=invoice.seller_key, iban=NEW)
    AccountChange.objects.create(
        invoice=invoice,
        new=[{"iban": NEW, "holder": "Garage Martin"}],
        known=[{"iban": OLD, "holder": "", "invoice": "F-1", "id": str(earlier.pk)}],
    )
    return invoice


def log_in(client, role):
    user = make_user(make_customer(), role, first_name="Ada", last_name="Martin")
    client.force_login(user)
    return user


def test_page_shows_both_accounts_until_somebody_has_checked(client, invoice):
    log_in(client, "clerk")
    page = reverse("lifecycle:invoice", args=[invoice.pk])
    assert texts(client.get(page), "//section[@class='account-change']//dd") == [
        "DE89 3704 0044 0532 0130 00 Garage Martin", "FR76 3000 6000 0112 3456 7890 189 F-1",
    ]  # fmt: skip

    client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk]))
    assert texts(client.get(page), "//section[@class='account-change']") == []
    (told,) = texts(client.get(page), "//p[@class='invoice-caution muted']")
    assert told.startswith("Nouveau compte, vérifié par Ada Martin")
    assert told.endswith("DE89 3704 0044 0532 0130 00 au lieu de FR76 3000 6000 0112 3456 7890 189")


def test_worklist_and_list_name_it(client, invoice):
    log_in(client, "clerk")
    lane = "//section[@id='lane-account']//th[@scope='row']/a"
    chips = "//tr[@data-row]//span[@class='chip chip--bad']"
    assert texts(client.get("/"), lane) == ["F-2"]
    listed = f"{reverse('lifecycle:invoices')}?lane=account"
    assert texts(client.get(listed), chips) == ["IBAN Nouveau compte"]

    client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk]))
    assert texts(client.get("/"), lane) == []
    assert texts(client.get(reverse("lifecycle:invoices")), chips) == []


def test_lost_invoice_waits_for_nobody(client, invoice):
    log_in(client, "clerk")
    invoice.status = "210"
    invoice.save()
    assert texts(client.get("/"), "//section[@id='lane-account']") == []


def test_reader_sees_it_and_confirms_nothing(client, invoice):
    log_in(client, "reader")
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk]))
    assert len(texts(page, "//section[@class='account-change']")) == 1
    assert texts(page, "//section[@class='account-change']//button") == []
    assert client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk])).status_code == 403
    client.force_login(make_user())
    assert client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk])).status_code == 404
    assert AccountChange.objects.get().acknowledged_at is None


def test_api_tells_and_takes_it(invoice):
    clerk = make_user(make_customer(), "clerk", username="ada")
    api = APIClient(headers={"Authorization": f"Token {make_token(clerk)}"})
    address = f"/api/v1/invoices/{invoice.pk}/"
    row = api.get(address).json()
    assert (row["ibans"], row["account_change"]["acknowledged_by"]) == ([NEW], None)
    assert (row["account_change"]["new"][0]["iban"], row["account_change"]["known"][0]["iban"]) == (NEW, OLD)

    assert api.post(f"{address}account/").json()["acknowledged_by"] == "ada"
    assert api.get("/api/v1/invoices/").json()["results"][0]["account_change"]["acknowledged_by"] == "ada"
    other = make_invoice(invoice.customer, number="F-3")
    assert api.post(f"/api/v1/invoices/{other.pk}/account/").status_code == 404
    stranger = APIClient(headers={"Authorization": f"Token {make_token(make_user())}"})
    assert stranger.post(f"{address}account/").status_code == 404


def test_export_says_who_has_checked(client, invoice):
    user = log_in(client, "clerk")
    client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk]))
    invoice.account_change.refresh_from_db()
    facts = invoice_facts(invoice)
    assert (facts["ibans"], facts["account_change"]["acknowledged_by"]) == ([NEW], user.get_username())

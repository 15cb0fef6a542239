"""An invoice whose file breaks the rules: shown, handled, with a visible warning; and what the API tells of it."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from invoices.models import Invoice, Validation
from invoices.register import services as invoices
from invoices.tasks import drain_validations
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from providers.contract.base import File
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_invoice, make_line, make_token, make_user
from tests.pages import parse, texts

pytestmark = pytest.mark.django_db

UBL = (Path(__file__).parents[1] / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


@pytest.fixture(autouse=True)
def _platforms(monkeypatch, settings, tmp_path):
    fake_provider.register(monkeypatch)
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def clerk(client):
    user = make_user(make_customer(), "clerk", username="ada")
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


def checked(content=UBL, **values):
    platform = make_connection()
    make_line(make_customer(), platform)
    invoice = make_invoice(None, platform, ["200", "203"], **values)
    invoices.store_document(invoice=invoice, file=File(kind="original", content=content, media_type="application/xml"))
    drain_validations()
    return Invoice.objects.get(pk=invoice.pk)


def test_invalid_invoice_is_marked_in_the_list_and_on_its_page(client, clerk):
    invoice = checked()

    assert texts(
        client.get("/invoices/"), "//td[contains(@class, 'cell-status')]//span[contains(@class, 'chip--bad')]"
    ) == ["Invalid"]
    head = texts(client.get(f"/invoices/{invoice.pk}/"), "//p[contains(@class, 'invoice-caution')]/span")
    assert head == ["Invalid"]


def test_report_is_a_tab_of_the_invoices_page(client, clerk):
    invoice = checked()
    page = client.get(f"/invoices/{invoice.pk}/?tab=validation")

    assert texts(page, "//a[@role='tab'][@aria-selected='true']") == ["Validation"]
    assert texts(page, "//div[@class='report']//header//span") == ["Invalid"]
    assert "The legal note on late payment penalties (PMD) is missing." in texts(page, "//li//strong")


def test_report_appears_on_an_open_page_by_itself(client, clerk):
    invoice = make_invoice()
    invoices.store_document(invoice=invoice, file=File(kind="original", content=UBL))
    seen = parse(client.get(f"/invoices/{invoice.pk}/?tab=validation")).get_element_by_id("live").get("hx-get")
    assert client.get(seen).status_code == 204
    drain_validations()

    news = client.get(f"{seen}&tab=validation", headers={"HX-Request": "true"})
    assert texts(news, "//div[@class='report']//header//span") == ["Invalid"]


def test_check_again_is_offered_where_it_helps(client, clerk):
    invoice = checked()
    offer = f"//form[@action='/invoices/{invoice.pk}/validation/']"
    assert texts(client.get(f"/invoices/{invoice.pk}/?tab=validation"), offer) == []
    Validation.objects.update(rules_version="factur-x 1.0")

    assert texts(client.get(f"/invoices/{invoice.pk}/?tab=validation"), offer) == ["Check again by today's rules"]


def test_invalid_invoice_is_handled_like_any_other(clerk):
    invoice = checked()
    services.issue_status(user=clerk, invoice_id=invoice.pk, wish=Wish(status="204"))

    assert Invoice.objects.get().status == "204"


def test_given_up_check_can_be_asked_for_again(client, clerk):
    invoice = checked()
    Validation.objects.update(state="given_up", outcome="", error="Worn out.")
    answer = client.post(f"/invoices/{invoice.pk}/validation/")

    assert (answer.status_code, Validation.objects.get().state) == (302, "waiting")


def test_invoice_without_a_file_has_nothing_to_check_again(client, clerk):
    invoice = make_invoice()
    answer = client.post(f"/invoices/{invoice.pk}/validation/", headers={"HX-Request": "true"})

    assert (answer.status_code, Validation.objects.count()) == (204, 0)
    assert '"tone": "bad"' in answer.headers["HX-Trigger"]


# --- API --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(clerk):
    return APIClient(headers={"Authorization": f"Token {make_token(clerk)}", "Accept-Language": "en"})


def test_api_tells_the_verdict_on_a_document(api):
    invoice = checked(UBL.replace(b'"EUR">1481.40</cbc:TaxInclusive', b'"EUR">9.99</cbc:TaxInclusive'))
    (row,) = api.get(f"/api/v1/invoices/{invoice.pk}/documents/").json()["results"]

    verdict = row["validation"]
    assert {name: verdict[name] for name in ("state", "outcome", "syntax", "profile", "checked", "error")} == {
        "state": "done",
        "outcome": "invalid",
        "syntax": "ubl",
        "profile": "urn:cen.eu:en16931:2017",
        "checked": ["XSD UBL 2.1 Invoice", "EN 16931", "BR-FR-Flux2"],
        "error": "",
    }
    finding = next(each for each in verdict["findings"] if each["rule"] == "BR-CO-15")
    assert (finding["rule_set"], finding["is_fatal"], finding["more"]) == ("EN 16931", True, 0)
    assert finding["problem"] == "The total with VAT is not the total without VAT plus the VAT."
    assert {"code": "BT-112", "name": "Invoice total amount with VAT"} in finding["terms"]
    (place,) = finding["places"]
    assert {"code": "BT-112", "found": "9.99"} in place["values"]
    assert api.get(f"/api/v1/invoices/{invoice.pk}/").json()["validation"] == "invalid"


def test_api_tells_nothing_of_other_files(api):
    invoice = make_invoice()
    invoices.store_document(invoice=invoice, file=File(kind="attachment", content=b"x"))
    (row,) = api.get(f"/api/v1/invoices/{invoice.pk}/documents/").json()["results"]

    assert (row["validation"], api.get(f"/api/v1/invoices/{invoice.pk}/").json()["validation"]) == (None, None)


def test_list_of_documents_costs_the_same_for_one_and_for_three(api):
    invoice = make_invoice()
    costs = []
    api.get(f"/api/v1/invoices/{invoice.pk}/documents/")  # notes the use of the token
    for content in (b"1", b"2", b"3"):
        invoices.store_document(invoice=invoice, file=File(kind="original", content=content))
        with CaptureQueriesContext(connection) as queries:
            api.get(f"/api/v1/invoices/{invoice.pk}/documents/")
        costs.append(len(queries))

    assert costs == [costs[0]] * 3

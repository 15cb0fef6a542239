"""Two copies of one invoice: what is not known yet, what they say otherwise, and what each page warns of."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from invoices.models import AccountChange, Invoice, InvoiceOrigin, PaymentAccount
from invoices.register.accounts import acknowledge
from invoices.register.origins import with_twins
from invoices.register.services import reread
from lifecycle.history import events
from lifecycle.inbox import deliveries
from providers.contract.base import File, InvoiceReport, Party, StatusReport
from providers.contract.moments import STATUS_TIMEZONE
from providers.formats.en16931.model import PaymentMeans
from providers.formats.en16931.writer import write_invoice
from tests import fake_provider
from tests.factories import (
    SIREN,
    make_connection,
    make_customer,
    make_event,
    make_invoice,
    make_line,
    make_user,
)
from tests.invoices.documents.issued import BUYER, SELLER, make_document
from tests.pages import texts

pytestmark = pytest.mark.django_db

OTHER_IBAN, THIRD_IBAN = "DE89370400440532013000", "BE68539007547034"
FIRST_IBAN = "FR7630006000011234567890189"


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def old():
    return make_line(make_customer(), make_connection(name="old"))


@pytest.fixture
def new():
    return make_line(make_customer(), make_connection(name="new"), f"{SIREN}_NEW")


def bring(line, ref, **values):
    """A copy with its document."""
    document = make_document(seller=BUYER, buyer=SELLER, **values)
    file = File(kind="original", content=write_invoice(document, "cii"), media_type="application/xml")
    report = InvoiceReport(provider_ref=ref, direction="received", buyer=Party(siren=SIREN))
    deliveries.save_invoice(line.connection, report, (file,))


def announce(line, ref, **values):
    """A copy whose platform tells its name alone; the document is still to come."""
    issued = make_document(seller=BUYER, buyer=SELLER)
    told = {"number": issued.number, "issue_date": issued.issue_date, "currency": "EUR", "type_code": "380"} | values
    seller = Party(siren=issued.seller.company.siren)
    report = InvoiceReport(provider_ref=ref, direction="received", buyer=Party(siren=SIREN), seller=seller, **told)
    deliveries.save_invoice(line.connection, report, ())


def only():
    (invoice,) = Invoice.objects.all()
    return invoice


def shown_origins(invoice):
    return [(each.connection.name, each.provider_ref) for each in invoice.origins]


def dearer():
    lines = make_document().lines
    return tuple(line.__class__(**{**vars(line), "net_price": line.net_price + 1}) for line in lines)


def paid_on(*ibans):
    return {"payment_means": tuple(PaymentMeans(code="58", iban=iban) for iban in ibans)}


# --- amounts that come later ------------------------------------------------------------------------------------------


def test_copy_that_was_announced_first_is_one_with_the_document_that_comes_elsewhere(old, new):
    announce(old, "o-1")
    bring(new, "n-1")
    bring(old, "o-1")
    invoice = only()
    assert (shown_origins(invoice), invoice.document_state) == ([("new", "n-1"), ("old", "o-1")], "read")
    assert (invoice.shown_warnings, invoice.debt is None) == ([], False)


def test_copy_that_is_announced_later_is_one_too(old, new):
    bring(old, "o-1")
    announce(new, "n-1")
    bring(new, "n-1")
    assert (shown_origins(only()), only().shown_warnings) == ([("old", "o-1"), ("new", "n-1")], [])


def test_announced_copy_of_another_currency_stays_apart(old, new):
    announce(old, "o-1", currency="USD")
    bring(new, "n-1")
    assert (Invoice.objects.count(), InvoiceOrigin.objects.count()) == (2, 0)


def test_amount_that_differs_in_the_late_document_is_told_to_a_person(old, new, client):
    bring(old, "o-1")
    owed = only().debt
    announce(new, "n-1")
    bring(new, "n-1", lines=dearer())
    invoice = only()
    assert invoice.debt == owed
    (warning,) = invoice.shown_warnings
    assert ("new" in warning, str(owed) in warning) == (True, False)
    client.force_login(make_user(invoice.customer, "reader"))
    (shown,) = texts(client.get(f"/invoices/{invoice.pk}/"), "//ul[@class='remark remark--warn']/li")
    assert shown == " ".join(warning.split())
    assert client.get(f"/api/v1/invoices/{invoice.pk}/").json()["warnings"] == [warning]
    bring(new, "n-1")
    assert only().shown_warnings == []


def test_status_of_the_announced_copy_stays_with_the_case(old, new):
    announce(old, "o-1")
    events.record_report(only().pk, StatusReport(provider_ref="o-1", status="203"))
    bring(new, "n-1")
    assert (only().status, shown_origins(only())[0]) == ("203", ("new", "n-1"))


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_copy_with_another_account_is_held_up(old, new, client):
    bring(old, "o-1", **paid_on(FIRST_IBAN))
    bring(new, "n-1", **paid_on(OTHER_IBAN))
    invoice = only()
    assert invoice.has_open_account_change
    change = invoice.account_change
    assert ([row["iban"] for row in change.new], [row["iban"] for row in change.known]) == ([OTHER_IBAN], [FIRST_IBAN])
    client.force_login(make_user(invoice.customer, "clerk"))
    page = client.get(f"/invoices/{invoice.pk}/")
    (section,) = texts(page, "//section[@class='account-change']")
    assert ("DE89 3704 0044 0532 0130 00" in section, "FR76 3000 6000 0112 3456 7890 189" in section) == (True, True)
    client.post(reverse("lifecycle:acknowledge_account", args=[invoice.pk]))
    assert not only().has_open_account_change


def test_copy_with_the_same_account_written_otherwise_is_not(old, new):
    bring(old, "o-1", **paid_on(FIRST_IBAN, OTHER_IBAN))
    bring(new, "n-1", **paid_on("de89 3704 0044 0532 0130 00"))
    assert AccountChange.objects.count() == 0


def test_account_of_a_copy_outlives_a_second_reading_and_is_known_once_checked(old, new):
    bring(old, "o-1", **paid_on(FIRST_IBAN))
    bring(new, "n-1", **paid_on(OTHER_IBAN))
    reread(only().pk)
    assert only().has_open_account_change
    acknowledge(user=make_user(), invoice=only())
    reread(only().pk)
    assert (only().account_change.acknowledged_at is None, PaymentAccount.objects.count()) == (False, 2)
    bring(old, "o-2", number="F-2026-0099", **paid_on(OTHER_IBAN))
    assert AccountChange.objects.count() == 1


def test_check_of_one_account_does_not_cover_the_next_copys(old, new):
    user = make_user(username="ada")
    bring(old, "o-0", number="F-2026-0001", **paid_on(FIRST_IBAN))
    bring(old, "o-1", **paid_on(OTHER_IBAN))
    invoice = Invoice.objects.get(provider_ref="o-1")
    acknowledge(user=user, invoice=invoice)
    bring(new, "n-1", **paid_on(THIRD_IBAN))
    change = AccountChange.objects.get()
    assert (change.acknowledged_at, [row["iban"] for row in change.new]) == (None, [THIRD_IBAN])
    assert [(row["iban"], row["checked_by"]) for row in change.known] == [(OTHER_IBAN, "ada")]


def test_account_of_a_copy_joins_what_is_in_doubt_already(old, new):
    bring(old, "o-0", number="F-2026-0001", **paid_on(FIRST_IBAN))
    bring(old, "o-1", **paid_on(OTHER_IBAN))
    bring(new, "n-1", **paid_on(THIRD_IBAN))
    (change,) = AccountChange.objects.all()
    assert [row["iban"] for row in change.new] == [OTHER_IBAN, THIRD_IBAN]
    assert [row["iban"] for row in change.known] == [FIRST_IBAN]


# --- what stays apart -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["213", "210"])
def test_warning_goes_with_one_of_the_two(old, status):
    bring(old, "o-1")
    bring(old, "o-2")
    first, second = Invoice.objects.order_by("created_at")
    assert (len(first.shown_warnings), len(second.shown_warnings)) == (1, 1)
    make_event(second, status)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.shown_warnings, second.shown_warnings) == ([], [])


def test_warning_outlives_a_second_reading(old):
    bring(old, "o-1")
    bring(old, "o-2")
    for invoice in Invoice.objects.all():
        reread(invoice.pk)
    assert [len(each.shown_warnings) for each in Invoice.objects.all()] == [1, 1]


def test_twins_of_a_page_are_found_in_one_query(django_assert_num_queries):
    customer, name = make_customer(), {"number": "F-1", "issue_date": date(2026, 10, 1)}
    pairs = [make_invoice(customer, **name), make_invoice(customer, **name), make_invoice(customer)]
    make_invoice(customer, **{**name, "issue_date": date(2025, 10, 1)})
    make_invoice(customer, **name, seller_siren="403112071")
    with django_assert_num_queries(1):
        with_twins(pairs)
        assert [each.twins for each in pairs] == [[pairs[1]], [pairs[0]], []]


@pytest.mark.parametrize("address", ["/invoices/", "/", "/api/v1/invoices/"])
def test_list_costs_the_same_for_one_and_three_of_a_name(client, address):
    customer, name = make_customer(), {"number": "F-1", "issue_date": date(2026, 10, 1)}
    client.force_login(make_user(customer, "clerk"))
    client.get(address)
    counts = []
    for more in (1, 2):
        for _each in range(more):
            make_invoice(customer, statuses=["203"], **name)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- times without a zone ---------------------------------------------------------------------------------------------


def test_time_of_the_second_copy_is_read_in_its_own_platforms_zone(old, new):
    new.connection.settings = {STATUS_TIMEZONE: "UTC"}
    new.connection.save()
    bring(old, "o-1")
    bring(new, "n-1")
    noon = (timezone.now() - timedelta(days=2)).astimezone(ZoneInfo("Europe/Paris"))
    noon = noon.replace(hour=12, minute=0, second=0, microsecond=0)
    naive = {"zone": "Europe/Paris", "occurred_at": noon}
    events.record_report(only().pk, StatusReport(provider_ref="o-1", status="203", **naive))
    events.record_report(only().pk, StatusReport(provider_ref="n-1", status="207", **naive))
    times = dict(only().status_events.values_list("status", "occurred_at"))
    as_utc = datetime(noon.year, noon.month, noon.day, 12, tzinfo=ZoneInfo("UTC"))
    assert (times["203"], times["207"]) == (noon, as_utc)


def test_history_names_the_platform_that_said_it(old, new, client):
    bring(old, "o-1")
    bring(new, "n-1")
    invoice = only()
    events.record_report(invoice.pk, StatusReport(provider_ref="o-1", status="203"))
    events.record_report(invoice.pk, StatusReport(provider_ref="n-1", status="207"))
    client.force_login(make_user(invoice.customer, "reader"))
    rows = client.get(f"/api/v1/invoices/{invoice.pk}/events/").json()["results"]
    assert {row["status"]: row["connection"] for row in rows} == {"203": "old", "207": "new"}
    said = texts(client.get(f"/invoices/{invoice.pk}/"), "//p[@class='event-who muted']")
    assert ["(new)" in each for each in said] == [True, False]

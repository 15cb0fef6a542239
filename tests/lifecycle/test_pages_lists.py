"""Lists: filters in the address, keyset pages, and as many queries for three rows as for one."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from invoices.models import Customer, Invoice, money
from invoices.people.desk import Desk
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.lists import queries
from lifecycle.models import RelayState, RelayTask
from lifecycle.templatetags.navette import rate
from providers.connections import health
from providers.contract.base import LoginRefused
from providers.models import Connection, WebhookDelivery
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_invoice,
    make_line,
    make_user,
)
from tests.pages import parse, texts

pytestmark = pytest.mark.django_db

ROWS = "//tr[@data-row]/th[@scope='row']/a"


@pytest.fixture
def customer(monkeypatch: pytest.MonkeyPatch) -> Customer:
    fake_provider.register(monkeypatch)
    return make_customer()


@pytest.fixture
def platform(customer: Customer) -> Connection:
    connection = make_connection()
    make_line(customer, connection)
    return connection


@pytest.fixture
def user(client: Client, customer: Customer) -> Any:
    user = make_user(customer, "administrator")
    client.force_login(user)
    return user


def listed(client: Client, **query: str) -> list[str]:
    return texts(client.get(reverse("lifecycle:invoices"), query), ROWS)


@pytest.mark.parametrize("name", ["worklist", "invoices", "relays", "deliveries", "connections", "dashboard"])
def test_list_makes_no_query_per_row(
    client: Client, user: Any, customer: Customer, platform: Connection, name: str, settings: Any
) -> None:
    settings.USERSESSIONS_TRACK_ACTIVITY = False  # five statements per request of any page, none of them the page's
    colleague = make_user(customer, "approver")

    def add_row() -> None:
        invoice = make_invoice(customer, platform, statuses=["203"], assigned_to=user)
        services.issue_status(user=colleague, invoice_id=invoice.pk, wish=Wish(status="204"))
        RelayTask.objects.update(state=RelayState.FAILED, deadline_at=timezone.now())
        make_delivery(platform, state=WebhookDelivery.State.QUARANTINED)

    def count() -> int:
        with CaptureQueriesContext(database) as caught:
            assert client.get(reverse(f"lifecycle:{name}")).status_code == 200
        return len(caught)

    add_row()
    count()  # the first request of a session does a little more
    one = count()
    add_row()
    add_row()
    assert (count(), one <= 12) == (one, True)


def test_invoice_list_of_another_customer(client: Client, user: Any, platform: Connection) -> None:
    other = make_customer(OTHER_SIREN)
    make_invoice(other, make_connection(), number="FOREIGN-1")
    own = make_invoice(platform.addressing_lines.get().customer, platform, number="OWN-1")
    assert (listed(client), listed(client, customer=OTHER_SIREN)) == ([str(own)], [])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["B-2", "A-1"]),
        ({"q": "papet"}, ["A-1"]),
        ({"q": "PAPETERIE a-1"}, ["A-1"]),
        ({"q": "905334"}, ["A-1"]),
        ({"q": "' & !! :* \\ ("}, []),
        ({"number": "B-2"}, ["B-2"]),
        ({"direction": "issued"}, ["B-2"]),
        ({"status": "203"}, ["A-1"]),
        ({"status": "204"}, []),
        ({"mine": "on"}, ["A-1"]),
        ({"lane": "in-hand"}, ["A-1"]),
        ({"since": "2026-10-02"}, ["B-2"]),
        ({"until": "2026-10-02"}, ["A-1"]),
    ],
)
def test_invoice_list_filters(
    client: Client, user: Any, customer: Customer, platform: Connection, query: dict[str, str], found: list[str]
) -> None:
    make_invoice(
        customer, platform, number="A-1", statuses=["203"], issue_date="2026-10-01", assigned_to=user,
        seller_name="Papeterie du Pont", created_at=timezone.now() - timedelta(days=1),
    )  # fmt: skip
    make_invoice(
        customer, platform, number="B-2", direction="issued", issue_date="2026-10-03", seller_name="Atelier Dupont",
        seller_siren="800112237", buyer_siren="", buyer_name="Mairie",
    )  # fmt: skip
    assert listed(client, **query) == found


@pytest.mark.parametrize(
    ("state", "results", "shown"),
    [
        ("active", [], ("platform platform--neutral", "main")),
        ("active", [{"name": "Key", "ok": True}], ("platform platform--neutral", "main")),
        ("active", [{"name": "Key", "ok": False}], ("platform platform--bad", "main – ne va pas bien")),
        ("paused", [{"name": "Key", "ok": False}], ("platform platform--warn", "main – En pause")),
    ],
)
def test_list_shows_the_health_of_the_platform(
    client: Client, user: Any, customer: Customer, platform: Connection, state: str, results: list[Any], shown: Any
) -> None:
    make_invoice(customer, platform)
    Connection.objects.update(name="main", state=state, check_results=results, checked_at=timezone.now())
    badge = parse(client.get(reverse("lifecycle:invoices"))).xpath("//td//span[contains(@class, 'platform')]")[0]

    assert (badge.get("class"), badge.get("title"), badge.text) == (*shown, "Fake platform")


@pytest.mark.parametrize(
    "text", ["905334413", "905 334 413", "905.334.413", "FR50905334413", "905\u202f334\u202f413 00010"]
)
def test_search_takes_any_number_of_a_company(
    client: Client, user: Any, customer: Customer, platform: Any, text: str
) -> None:
    make_invoice(customer, platform, number="F-1", seller_siren="905334413")
    make_invoice(customer, platform, number="F-2", seller_siren="403112071")
    assert listed(client, q=text) == ["F-1"]


def test_number_of_fourteen_digits_is_still_found(client: Client, user: Any, customer: Customer, platform: Any) -> None:
    make_invoice(customer, platform, number="20261004123456")
    assert listed(client, q="20261004123456") == ["20261004123456"]


def test_search_finds_the_digits_after_a_hyphen(client: Client, user: Any, customer: Customer, platform: Any) -> None:
    make_invoice(customer, platform, number="F-2026-0042")
    assert [listed(client, q=text) for text in ("F-2026-0042", "F-2026-00", "2026-0042", "0042")] == [
        ["F-2026-0042"]
    ] * 4


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ({"since": "yesterday"}, "since", "Enter a valid date."),
        ({"since": "2026-10-02", "until": "2026-10-01"}, "until", "This date lies before the first one."),
        ({"status": "999"}, "status", "Select a valid choice. 999 is not one of the available choices."),
    ],
)
def test_invoice_list_with_a_bad_filter(
    client: Client, user: Any, customer: Customer, platform: Connection, query: dict[str, str], name: str, message: str
) -> None:
    make_invoice(customer, platform)
    response = client.get(reverse("lifecycle:invoices"), query, headers={"Accept-Language": "en"})
    error = texts(response, f"//*[@id='filter-{name}']/..//span[@class='error']")
    assert (error, texts(response, ROWS)) == ([message], [])


def test_invoice_list_pages_by_key(
    client: Client, user: Any, customer: Customer, platform: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries.keyset_page, "__defaults__", (2,))
    moment = timezone.now()
    for number in range(5):  # all at the same instant: only the key tells them apart
        make_invoice(customer, platform, number=f"N-{number}", created_at=moment)
    seen: list[str] = []
    path = reverse("lifecycle:invoices")
    for _page in range(3):
        response = client.get(path)
        seen += texts(response, ROWS)
        links = parse(response).xpath("//a[@rel='next']/@href")
        path = reverse("lifecycle:invoices") + links[0] if links else ""
    assert (sorted(seen), path) == ([f"N-{number}" for number in range(5)], "")


@pytest.mark.parametrize("cursor", ["", "x", "2026-01-01T00:00:00+00:00~x", "2026-99-01~", "~" * 99])
def test_broken_cursor_is_the_first_page(cursor: str) -> None:
    assert queries.parse_cursor(cursor) is None


def test_worklist_puts_mine_first(client: Client, user: Any, customer: Customer, platform: Connection) -> None:
    colleague = make_user(customer, "clerk")
    for number, person in (("oldest", colleague), ("older", None), ("mine", user)):
        make_invoice(customer, platform, number=number, statuses=["203"], assigned_to=person)
    response = client.get(reverse("lifecycle:worklist"))
    assert texts(response, "//section[@id='lane-in-hand']" + ROWS) == ["mine", "oldest", "older"]


def test_worklist_of_an_idle_desk(client: Client, user: Any) -> None:
    response = client.get(reverse("lifecycle:worklist"), headers={"Accept-Language": "en"})
    assert texts(response, "//div[@class='empty empty--calm']//strong") == ["Nothing waits for you."]


def test_worklist_counts_are_capped(
    client: Client, user: Any, customer: Customer, platform: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "COUNT_LIMIT", 3)
    rows = [{"number": f"N-{number}", "status": "203"} for number in range(5)]
    for row in rows:
        invoice = make_invoice(customer, platform, number=row["number"])
        Invoice.objects.filter(pk=invoice.pk).update(status="203")
    response = client.get(reverse("lifecycle:worklist"))
    assert texts(response, "//a[@href='#lane-in-hand']/strong") == ["2+"]


def test_decision_awaiting_release_shows_to_the_second_person_only(
    client: Client, user: Any, customer: Customer, platform: Connection
) -> None:
    Customer.objects.update(four_eyes=True)
    first = make_user(customer, "approver")
    invoice = make_invoice(customer, platform, statuses=["203"])
    relay, _new = services.issue_status(user=first, invoice_id=invoice.pk, wish=Wish(status="205"))
    release = f"//button[@formaction='{reverse('lifecycle:relay_action', args=[relay.pk, 'release'])}']"
    seen = []
    for person in (user, first):
        client.force_login(person)
        seen.append(len(parse(client.get(reverse("lifecycle:worklist"))).xpath(release)))
    assert seen == [1, 0]


@pytest.mark.parametrize(("percent", "shown"), [("5.50", "5,5"), ("20.00", "20"), ("0", "0"), ("100", "100")])
def test_vat_rate_is_shown_without_needless_zeros(percent: str, shown: str) -> None:
    with override("fr"):
        assert rate(percent) == shown


def test_connection_that_is_ill_says_since_when_why_and_what_to_do(
    client: Client, user: Any, platform: Connection
) -> None:
    health.note(platform.pk, LoginRefused("Le mot de passe a expiré."))
    told = " ".join(texts(client.get(reverse("lifecycle:connections")), "//*[contains(@class, 'card-notice')]"))

    for words in ("Identifiants refusés", "depuis", "Le mot de passe a expiré.", "Saisissez les bons identifiants"):
        assert words in told


def test_lane_adds_up_what_is_owed_by_currency_and_takes_credit_notes_off() -> None:
    customer = make_customer()
    for values in (
        {"total_with_vat": Decimal("1200.00")},
        {"total_with_vat": Decimal("-180.00"), "type_code": "381"},
        {"total_with_vat": Decimal("100.00"), "type_code": "381"},
        {"total_with_vat": Decimal("50.00"), "currency": "USD"},
        {"total_with_vat": None},
    ):
        make_invoice(customer, statuses=["203"], **values)
    (lane,) = queries.fill_lanes(Desk(make_user(customer, "clerk")))
    assert (lane.count, lane.totals) == (5, {"EUR": Decimal("920.00"), "USD": Decimal("50.00")})


def lane_of(client: Client, number: str) -> list[str]:
    sections = parse(client.get(reverse("lifecycle:worklist"))).xpath(f"//section[.//th/a[text()='{number}']]")
    return [section.get("id") for section in sections]


@pytest.mark.parametrize(
    ("values", "lane"),
    [
        ({}, ["lane-cash"]),
        ({"type_code": "381", "total_with_vat": Decimal("120.00")}, ["lane-refund"]),
        ({"type_code": "381", "total_with_vat": Decimal("-120.00")}, ["lane-refund"]),
        ({"total_with_vat": Decimal("-120.00")}, ["lane-refund"]),
    ],
)
def test_payment_that_we_sent_is_not_one_of_the_buyer(
    client: Client, user: Any, customer: Customer, platform: Connection, values: Any, lane: list[str]
) -> None:
    make_invoice(customer, platform, number="F-1", direction="issued", statuses=["203", "205", "211"], **values)
    assert lane_of(client, "F-1") == lane


def test_credit_note_of_a_supplier_is_not_ours_to_pay(
    client: Client, user: Any, customer: Customer, platform: Connection
) -> None:
    today = timezone.localdate()
    for number, code in (("F-1", "380"), ("A-1", "381")):
        values = {"number": number, "type_code": code, "due_date": today, "total_with_vat": Decimal("120.00")}
        make_invoice(customer, platform, statuses=["203", "205"], **values)
    assert (lane_of(client, "F-1"), lane_of(client, "A-1")) == (["lane-pay"], [])


AMOUNTS = [None, Decimal("-120.00"), Decimal("-20.00"), Decimal("0.00"), Decimal("20.00"), Decimal("120.00")]


def test_query_and_invoice_agree_on_which_way_the_money_goes() -> None:
    cases = itertools.product(["380", "381"], AMOUNTS, AMOUNTS)
    for code, total, amount in cases:
        make_invoice(type_code=code, total_with_vat=total, amount_due=amount)
    backwards = set(Invoice.objects.filter(money.giving_back()).values_list("pk", flat=True))
    onwards = set(Invoice.objects.filter(~money.giving_back()).values_list("pk", flat=True))
    told = {invoice.pk for invoice in Invoice.objects.all() if invoice.gives_back}
    assert (backwards, onwards) == (told, set(Invoice.objects.values_list("pk", flat=True)) - told)

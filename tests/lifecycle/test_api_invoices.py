"""Lists, details and files: their shapes, filters, pages and cost."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from invoices.models import ApiToken, Invoice
from invoices.register import services as invoices
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask
from providers.contract.base import File, Payment, Reason
from providers.norm import codes
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_event,
    make_invoice,
    make_line,
    make_token,
    make_user,
)

pytestmark = pytest.mark.django_db

LIST = "/api/v1/invoices/"


@pytest.fixture(autouse=True)
def _platforms(monkeypatch, settings, tmp_path):
    fake_provider.register(monkeypatch)
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def user():
    return make_user(make_customer(), "approver", username="ada")


@pytest.fixture
def api(user):
    return APIClient(headers={"Authorization": f"Token {make_token(user)}"})


def numbers(answer):
    return [row["number"] for row in answer.json()["results"]]


def test_invoice_has_the_agreed_shape(api):
    invoice = make_invoice(
        connection=make_connection(name="acube-main"),
        statuses=["200", "202", "203", "204"],
        number="F-2026-0042",
        issue_date=date(2026, 10, 4),
        due_date=date(2026, 11, 3),
        total_without_vat=Decimal(1000),
        total_vat=Decimal(200),
        total_with_vat=Decimal(1200),
        amount_due=Decimal(1200),
        seller_vat_number="FR13905334413",
        warnings=["A warning"],
        document_state="read",
        vat_breakdown=[{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}],
    )
    row = api.get(f"{LIST}{invoice.pk}/").json()
    # What hangs on other invoices and on payments is told of a single invoice only.
    found = [row.pop(name) != [] for name in ("alerts", "links", "paid", "received", "ibans")]
    assert found == [False, False, True, True, False]
    assert row.keys() == api.get(LIST).json()["results"][0].keys()
    stamps = [row.pop(name) for name in ("created_at", "updated_at", "status_at")]
    assert all(datetime.fromisoformat(stamp).tzinfo == UTC and stamp.endswith("Z") for stamp in stamps)
    assert row == {
        "id": str(invoice.pk),
        "number": "F-2026-0042",
        "direction": "received",
        "type_code": "380",
        "process": "",
        "processing_rule": "",
        "processing_source": "",
        "issue_date": "2026-10-04",
        "instalments": [],
        "due_date": "2026-11-03",
        "currency": "EUR",
        "total_without_vat": "1000.00",
        "total_vat": "200.00",
        "total_with_vat": "1200.00",
        "amount_due": "1200.00",
        "debt": "1200.00",
        "vat_breakdown": [{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}],
        "seller": {"name": "Papeterie du Pont", "siren": OTHER_SIREN, "vat_number": "FR13905334413"},
        "buyer": {"name": "Atelier Dupont", "siren": SIREN, "vat_number": ""},
        "preceding_numbers": [],
        "preceding_invoices": [],
        "customer": SIREN,
        "addressing_line": None,
        "connection": "acube-main",
        "provider_ref": invoice.provider_ref,
        "origins": [
            {"connection": "acube-main", "provider_ref": invoice.provider_ref, "arrived_at": stamps[0]},
        ],
        "status": "204",
        "status_label": "Prise en charge",
        "alert": "",
        "next_statuses": list(services.next_statuses(invoice)),
        "version": invoice.version,
        "assigned_to": None,
        "document_state": "read",
        "document_error": "",
        "warnings": ["A warning"],
        "validation": None,
        "account_change": None,
    }


def test_labels_follow_accept_language(api):
    invoice = make_invoice(statuses=["200"])
    assert api.get(f"{LIST}{invoice.pk}/").json()["status_label"] == "Déposée"
    english = api.get(f"{LIST}{invoice.pk}/", headers={"Accept-Language": "en"})
    assert english.json()["status_label"] == "Submitted"


def test_invoice_without_a_status_offers_nothing(api):
    row = api.get(f"{LIST}{make_invoice().pk}/").json()
    assert (row["status"], row["status_label"], row["next_statuses"]) == (None, "", [])


FILTERS = {
    "number=F-1": ["F-1"],
    "customer=800112237": ["F-2", "F-1"],
    "customer=905334413": ["F-3"],
    "customer=123456782": [],
    "customer=800 112 237": ["F-2", "F-1"],
    "customer=80011223700014": ["F-2", "F-1"],
    "status=203": ["F-1"],
    "direction=issued": ["F-2"],
    "connection=second": ["F-3"],
    "type_code=381": ["F-2"],
    "issue_date_from=2026-10-02&issue_date_to=2026-10-02": ["F-2"],
    "q=encre": ["F-1"],
    "q=F-3": ["F-3"],
    "q=' %26 :*": [],
    "assigned=me": ["F-1"],
    "assigned=ada": ["F-1"],
    "assigned=none": ["F-3", "F-2"],
    "customer=800112237&status=203&number=F-1": ["F-1"],
    "page_size=1": ["F-3"],
}


@pytest.mark.parametrize("query", FILTERS)
def test_list_is_filtered_by(query, api, user):
    first, second = make_connection(name="first"), make_connection(name="second")
    other = make_customer(OTHER_SIREN)
    user.memberships.create(customer=other, role="reader")
    make_invoice(
        connection=first, number="F-1", statuses=["200", "203"], seller_name="Encres du Midi", assigned_to=user
    )
    make_invoice(connection=first, number="F-2", direction="issued", type_code="381", issue_date=date(2026, 10, 2))
    make_invoice(other, second, number="F-3")
    assert numbers(api.get(f"{LIST}?{query}")) == FILTERS[query]


BAD_QUERIES = {
    "status=999": "status",
    "status=205&costumer=1": "costumer",
    "direction=sideways": "direction",
    "issue_date_from=yesterday": "issue_date_from",
    "updated_since=now": "updated_since",
    "q=%00": "q",
    "page_size=0": "page_size",
    "page_size=201": "page_size",
    "page_size=two": "page_size",
    "cursor=forged": "cursor",
    "cursor=": "cursor",
}


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_query_that_cannot_be_used_is_refused(query, api):
    answer = api.get(f"{LIST}?{query}")
    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == [BAD_QUERIES[query]]


def walk(api, address, link="next"):
    while address:
        answer = api.get(address).json()
        yield answer
        address = answer[link]


def test_pages_walk_forth_and_back(api):
    made = [make_invoice(number=f"F-{number}").number for number in range(7)]
    Invoice.objects.update(created_at=datetime(2026, 10, 1, tzinfo=UTC))  # all in the same instant
    pages = list(walk(api, f"{LIST}?page_size=3"))
    there = [row["number"] for page in pages for row in page["results"]]
    assert [len(page["results"]) for page in pages] == [3, 3, 1]
    assert sorted(there) == made
    back = list(walk(api, pages[-1]["previous"], "previous"))
    assert [row["number"] for page in reversed(back) for row in page["results"]] == there[:6]
    assert back[0]["next"] is not None


def test_page_is_not_moved_by_newer_invoices(api):
    for number in range(4):
        make_invoice(number=f"F-{number}")
    first = api.get(f"{LIST}?page_size=2")
    make_invoice(number="F-new")
    assert numbers(first) + numbers(api.get(first.json()["next"])) == ["F-3", "F-2", "F-1", "F-0"]


def test_cursor_of_another_list_is_refused(api):
    invoice = make_invoice(statuses=["200", "201", "202"])
    cursor = api.get(f"{LIST}{invoice.pk}/events/?page_size=1").json()["next"].split("cursor=")[1].split("&")[0]
    assert api.get(f"{LIST}?cursor={cursor}").status_code == 400


def test_feed_of_changes_comes_oldest_first(api):
    old, new, newest = (make_invoice(number=number) for number in ("F-1", "F-2", "F-3"))
    now = datetime.now(UTC)
    for invoice, minutes in ((old, 30), (newest, 10), (new, 20)):
        Invoice.objects.filter(pk=invoice.pk).update(updated_at=now - timedelta(minutes=minutes))
    since = (now - timedelta(minutes=25)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert numbers(api.get(f"{LIST}?updated_since={since}")) == ["F-2", "F-3"]
    pages = list(walk(api, f"{LIST}?updated_since={since}&page_size=1"))
    assert [row["number"] for page in pages for row in page["results"]] == ["F-2", "F-3"]


@pytest.mark.django_db(transaction=True)
def test_feed_waits_for_a_change_that_is_not_committed_yet(api):
    slow, quick = make_invoice(number="F-slow"), make_invoice(number="F-quick")
    past = datetime.now(UTC) - timedelta(hours=1)
    Invoice.objects.update(updated_at=past)
    since = f"{LIST}?updated_since={(past + timedelta(minutes=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    changed, commit = threading.Event(), threading.Event()

    def change_slowly():
        with transaction.atomic():
            Invoice.objects.filter(pk=slow.pk).update(updated_at=datetime.now(UTC))
            changed.set()
            commit.wait(20)
        connections.close_all()

    thread = threading.Thread(target=change_slowly)
    thread.start()
    assert changed.wait(20)
    Invoice.objects.filter(pk=quick.pk).update(updated_at=datetime.now(UTC))
    meanwhile = numbers(api.get(since))
    commit.set()
    thread.join()
    # Both are settled once the clocks' tolerance has passed.
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while len(afterwards := numbers(api.get(since))) < 2 and datetime.now(UTC) < deadline:
        pass
    assert (meanwhile, afterwards) == ([], ["F-slow", "F-quick"])


def fill(count, connection):
    """Rows of every list, with as much behind them as they can have."""
    customer, user = make_customer(), make_user()
    for _each in range(count):
        invoice = make_invoice(customer, connection, ["200", "203"], assigned_to=user)
        make_invoice(customer, connection, ["200"], direction="issued")
        colleague = make_user(customer, "approver")
        services.issue_status(
            user=colleague,
            invoice_id=invoice.pk,
            wish=Wish(status="207", reasons=(Reason(code="QTE_ERR"),)),
        )
        make_delivery(connection)
        make_line(customer, make_connection(), f"{SIREN}_{invoice.number}")


@pytest.mark.parametrize("path", ["invoices", "relays", "deliveries", "customers", "addressing-lines", "connections"])
def test_list_costs_the_same_queries_whatever_its_length(path):
    connection = make_connection()
    make_line(make_customer(), connection)
    administrator = make_user(make_customer(), "administrator")
    api = APIClient(headers={"Authorization": f"Token {make_token(administrator)}"})
    costs = []
    for count in (1, 2):
        fill(count, connection)
        ApiToken.objects.update(last_used_at=None)
        with CaptureQueriesContext(database) as queries:
            assert api.get(f"/api/v1/{path}/").status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert costs[0] <= 12


def test_history_costs_the_same_queries_whatever_its_length(api, user):
    invoice = make_invoice(statuses=["200", "203"])
    costs = []
    for status in ("204", "205"):
        services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status))
        ApiToken.objects.update(last_used_at=None)
        with CaptureQueriesContext(database) as queries:
            api.get(f"{LIST}{invoice.pk}/events/")
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_events_have_the_agreed_shape(api, user):
    invoice = make_invoice(statuses=["200", "203"], direction="issued")
    make_event(invoice, None, native_status="ODD_WORD", reasons=(Reason(native_code="X9"),))
    payments = (Payment(amount=Decimal(120), vat_rate=Decimal(20)),)
    relay, _new = services.issue_status(
        user=user, invoice_id=invoice.pk, wish=Wish(status="212", payments=payments, note="Merci")
    )
    rows = api.get(f"{LIST}{invoice.pk}/events/").json()["results"]
    odd, ours = rows[2], rows[3]
    assert [row["status"] for row in rows] == ["200", "203", None, "212"]
    assert (odd["native_status"], odd["status_label"]) == ("ODD_WORD", "ODD_WORD")
    assert (odd["reasons"], odd["origin"], odd["relay"]) == ([{"code": "", "text": "X9"}], "platform", None)
    event = relay.event
    assert ours == {
        "id": str(event.pk),
        "sequence": 4,
        "status": "212",
        "status_label": "Encaissée",
        "native_status": "",
        "about": "invoice",
        "issuer_role": "SE",
        "origin": "us",
        "reasons": [],
        "note": "Merci",
        "payments": [{"vat_rate": "20.00", "amount": "120.00", "currency": "EUR"}],
        "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "recorded_at": event.recorded_at.isoformat().replace("+00:00", "Z"),
        "unexpected": False,
        "emitter": "",
        "ppf_duty": False,
        "decided_by": "ada",
        "relay": {"id": str(relay.pk), "state": "pending"},
        "time_source": "told",
        "told_time": "",
        "derived": False,
        "completed_by": [],
        "repeated": 0,
        "is_by_quote": False,
        "connection": None,
        "hash": event.hash,
    }


def test_documents_are_listed_and_come_byte_for_byte(api):
    invoice = make_invoice()
    content = b"%PDF-1.7 \x00\xff"
    file = File(kind="original", content=content, media_type="application/pdf", filename="facture é.pdf")
    document = invoices.store_document(invoice=invoice, file=file)
    (row,) = api.get(f"{LIST}{invoice.pk}/documents/").json()["results"]
    assert (row["id"], row["sha256"], row["size"]) == (str(document.pk), document.sha256, len(content))
    answer = api.get(row["url"], headers={"Accept": "application/pdf"})
    assert b"".join(answer.streaming_content) == content
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    answer.close()


def test_document_is_not_served_under_another_invoice(api):
    document = invoices.store_document(invoice=make_invoice(), file=File(kind="original", content=b"<x/>"))
    other = make_invoice()
    assert api.get(f"{LIST}{other.pk}/documents/{document.pk}/file/").status_code == 404


def test_corrected_invoice_may_be_cancelled_in_the_list_and_in_detail(api):
    connection = make_connection()
    own = make_invoice(None, connection, ["200", "203"], direction="issued", number="F-1", seller_siren=SIREN)
    make_invoice(None, connection, direction="issued", type_code="384", preceding_numbers=["F-1"], seller_siren=SIREN)
    detail = api.get(f"{LIST}{own.pk}/").json()["next_statuses"]
    (listed,) = api.get(f"{LIST}?number=F-1").json()["results"]
    assert detail == listed["next_statuses"] == list(services.next_statuses(own))
    assert "220" in detail


def test_relays_are_filtered(api, user):
    invoice = make_invoice(connection=make_connection(name="first"), statuses=["203"])
    for status in ("204", "205"):
        services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status))
    RelayTask.objects.filter(event__status="204").update(state="sent", receipt={"reference": "r-1", "text": ""})
    other = make_invoice(connection=make_connection(name="second"), statuses=["203"])
    services.issue_status(user=user, invoice_id=other.pk, wish=Wish(status="204"))

    def found(query):
        return [(row["status"], row["state"]) for row in api.get(f"/api/v1/relays/?{query}").json()["results"]]

    assert found(f"invoice={invoice.pk}") == [("205", "pending"), ("204", "sent")]
    assert found("state=sent") == [("204", "sent")]
    assert found("connection=second") == [("204", "pending")]
    assert api.get("/api/v1/relays/?state=lost").status_code == 400
    (row,) = api.get("/api/v1/relays/?state=sent").json()["results"]
    assert (row["attempts"], row["receipt"]) == (0, {"reference": "r-1", "text": ""})


def test_connections_show_no_setting_and_no_secret(api):
    connection = make_connection(settings={"api_url": "https://x.test"}, secrets={"password": "s3cret"})
    make_line(make_customer(), connection)
    answer = api.get("/api/v1/connections/")
    assert b"s3cret" not in answer.content
    assert b"x.test" not in answer.content
    assert [row["name"] for row in answer.json()["results"]] == [connection.name]


def test_codes_are_complete_and_reasons_filtered(api):
    statuses = api.get("/api/v1/codes/statuses/").json()["results"]
    assert [row["code"] for row in statuses] == list(codes.STATUSES)
    assert len(api.get("/api/v1/codes/reasons/").json()["results"]) == len(codes.REASONS)
    of_208 = api.get("/api/v1/codes/reasons/?status=208").json()["results"]
    assert [row["code"] for row in of_208] == list(codes.reasons_for("208"))


@pytest.mark.parametrize("number", [SIREN, "800 112 237", "80011223700014", "FR13800112237"])
def test_lines_are_found_by_any_number_of_their_customer(api, number):
    line = make_line(make_customer(), make_connection())
    make_line(make_customer(OTHER_SIREN), make_connection())
    found = api.get("/api/v1/addressing-lines/", {"customer": number}).json()["results"]
    assert [row["identifier"] for row in found] == [line.identifier]

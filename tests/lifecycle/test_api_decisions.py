"""Decisions through the API: what is recorded, repeated, refused, and how the caller is told."""

import threading

import pytest
from django.db import connections
from rest_framework.test import APIClient

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayTask, StatusEvent
from providers.models import WebhookDelivery
from tests import fake_provider
from tests.factories import (
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


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def user():
    return make_user(make_customer(), "approver", username="ada")


@pytest.fixture
def api(user):
    return client_of(user)


@pytest.fixture
def invoice():
    return make_invoice(statuses=["200", "202", "203", "204"])


def client_of(user, **options):
    return APIClient(headers={"Authorization": f"Token {make_token(user)}"}, **options)


def decide(api, invoice, body, **headers):
    return api.post(f"/api/v1/invoices/{invoice.pk}/decisions/", data=body, headers=headers)


def rows_of(answer):
    return [(row["field"], row["code"]) for row in answer.json()["errors"]]


DISPUTE = {
    "status": "207",
    "reasons": [{"code": "QTE_ERR", "text": "9 reçus sur 10"}],
    "note": "Un carton manque.",
    "payments": [],
}


def test_decision_is_recorded_with_its_relay(api, invoice):
    answer = decide(api, invoice, DISPUTE)
    assert answer.status_code == 201
    event, relay = answer.json()["event"], answer.json()["relay"]
    stored = RelayTask.objects.get()
    assert (relay["id"], relay["state"], relay["invoice"]) == (str(stored.pk), "pending", str(invoice.pk))
    assert (relay["status"], relay["attempts"], relay["receipt"]) == ("207", 0, None)
    assert event["id"] == str(stored.event_id)
    assert {name: event[name] for name in ("status", "origin", "issuer_role", "reasons", "note", "decided_by")} == {
        "status": "207",
        "origin": "us",
        "issuer_role": "BY",
        "reasons": DISPUTE["reasons"],
        "note": "Un carton manque.",
        "decided_by": "ada",
    }
    invoice.refresh_from_db()
    assert invoice.status == "207"


def test_same_key_and_body_is_answered_with_the_same_decision(api, invoice):
    first = decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k-1"})
    second = decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k-1"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert [answer.headers.get("Idempotent-Replayed") for answer in (first, second)] == [None, "true"]
    assert RelayTask.objects.count() == 1


def test_another_body_under_a_used_key_is_a_conflict(api, invoice):
    decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k-1"})
    answer = decide(api, invoice, DISPUTE | {"note": "Autre"}, **{"Idempotency-Key": "k-1"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:navette:problem:key-reused")


def test_key_used_on_another_invoice_is_a_conflict(api, invoice):
    decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k-1"})
    other = make_invoice(statuses=["203", "204"])
    assert decide(api, other, DISPUTE, **{"Idempotency-Key": "k-1"}).status_code == 409


def test_colleague_may_use_the_same_key(api, invoice):
    decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k-1"})
    colleague = client_of(make_user(make_customer(), "approver"))
    answer = decide(colleague, invoice, {"status": "205"}, **{"Idempotency-Key": "k-1"})
    assert answer.status_code == 201


def test_endless_key_is_refused(api, invoice):
    answer = decide(api, invoice, DISPUTE, **{"Idempotency-Key": "k" * 201})
    assert (answer.status_code, rows_of(answer)) == (422, [("Idempotency-Key", "too_long")])


@pytest.mark.django_db(transaction=True)
def test_same_key_sent_several_times_at_once_is_one_decision(user):
    invoice, other = (make_invoice(statuses=["203", "204"]) for _each in range(2))
    token = make_token(user)
    codes = []

    def post(target):
        client = APIClient(headers={"Authorization": f"Token {token}"})
        codes.append(decide(client, target, DISPUTE, **{"Idempotency-Key": "k-1"}).status_code)
        connections.close_all()

    threads = [threading.Thread(target=post, args=[target]) for target in (invoice, other, invoice, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [201, 201, 409, 409]
    assert RelayTask.objects.count() == 1


def test_stale_version_is_a_conflict(api, invoice):
    seen = api.get(f"/api/v1/invoices/{invoice.pk}/").json()["version"]
    make_event(invoice, "208")
    answer = decide(api, invoice, DISPUTE | {"version": seen})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:navette:problem:stale-invoice")
    now = api.get(f"/api/v1/invoices/{invoice.pk}/").json()["version"]
    assert decide(api, invoice, DISPUTE | {"version": now}).status_code == 201


def test_decision_against_the_table_says_what_is_possible(api):
    refused = make_invoice(statuses=["200", "203", "210"])
    answer = decide(api, refused, {"status": "205"})
    assert (answer.status_code, rows_of(answer)) == (422, [("status", "not_possible_now")])
    assert answer.json()["next_statuses"] == []
    alive = make_invoice(statuses=["200", "203", "204"])
    answer = decide(api, alive, {"status": "212"})
    assert answer.json()["next_statuses"] == list(services.next_statuses(alive))


BAD_BODIES = {
    "no reason": ({"status": "210"}, [("reasons", "required")]),
    "unknown reason": (
        {"status": "207", "reasons": [{"code": "NO_SUCH"}]},
        [("reasons[0].code", "unknown_reason")],
    ),
    "reason of another status": (
        {"status": "207", "reasons": [{"code": "QTE_ERR"}, {"code": "JUSTIF_ABS"}]},
        [("reasons[1].code", "not_for_status")],
    ),
    "other without words": (
        {"status": "207", "reasons": [{"code": "AUTRE"}]},
        [("reasons[0].text", "required")],
    ),
    "no status": ({}, [("status", "required")]),
    "status a number": ({"status": 205}, [("status", "invalid")]),
    "status null": ({"status": None}, [("status", "null")]),
    "unknown status": ({"status": "999"}, [("status", "unknown_status")]),
    "misspelt field": ({"status": "205", "reason": []}, [("reason", "unknown_field")]),
    "misspelt in a row": (
        {"status": "211", "payments": [{"amount": "1.00", "rate": "20"}]},
        [("payments[0].rate", "unknown_field")],
    ),
    "reasons no list": ({"status": "207", "reasons": "QTE_ERR"}, [("reasons", "not_a_list")]),
    "reason no object": ({"status": "207", "reasons": ["QTE_ERR"]}, [("reasons[0]", "invalid")]),
    "second reason wrong": (
        {"status": "207", "reasons": [{"code": "QTE_ERR"}, {"text": "x"}]},
        [("reasons[1].code", "required")],
    ),
    "amount no number": (
        {"status": "211", "payments": [{"amount": "abc"}]},
        [("payments[0].amount", "invalid")],
    ),
    "amount a float": (
        {"status": "211", "payments": [{"amount": 10.5}]},
        [("payments[0].amount", "not_a_string")],
    ),
    "amount infinite": (
        {"status": "211", "payments": [{"amount": "Infinity"}]},
        [("payments[0].amount", "invalid")],
    ),
    "amount huge": (
        {"status": "211", "payments": [{"amount": "1e400"}]},
        [("payments[0].amount", "not_an_amount")],
    ),
    "rate unknown": (
        {"status": "211", "payments": [{"amount": "1.00", "vat_rate": "33"}]},
        [("payments[0].vat_rate", "unknown_rate")],
    ),
    "version no number": ({"status": "205", "version": "new"}, [("version", "invalid")]),
    "note with a zero byte": ({"status": "205", "note": "a\0b"}, [("note", "null_characters_not_allowed")]),
    "note too long": ({"status": "205", "note": "x" * 1001}, [("note", "too_long")]),
    "no object": ([], [("", "invalid")]),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_wrong_body_names_the_field(name, api, invoice):
    body, expected = BAD_BODIES[name]
    answer = decide(api, invoice, body)
    assert (answer.status_code, rows_of(answer)) == (422, expected)
    assert StatusEvent.objects.filter(invoice=invoice).count() == 4


def test_decision_of_unknown_fields_is_explained_in_the_readers_language(api, invoice):
    french = decide(api, invoice, {"status": 205}).json()
    english = decide(api, invoice, {"status": 205}, **{"Accept-Language": "en"}).json()
    assert english["errors"][0]["message"] == "Not a valid string."
    assert french["errors"][0]["message"] != english["errors"][0]["message"]


def raw(api, invoice, content, content_type="application/json", **headers):
    return api.generic("POST", f"/api/v1/invoices/{invoice.pk}/decisions/", content, content_type, headers=headers)


def test_broken_json_is_a_bad_request(api, invoice):
    for content in ('{"status": "205"', "\xff", '{"status": NaN}', "205'"):
        assert raw(api, invoice, content).status_code == 400


def test_other_media_types_are_refused(api, invoice):
    assert raw(api, invoice, "status=205", "application/x-www-form-urlencoded").status_code == 415


def test_large_body_is_refused(api, invoice):
    answer = raw(api, invoice, '{"note": "' + "x" * 1024 * 1024 + '"}')
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")


def test_body_in_chunks_is_refused(api, invoice):
    answer = raw(api, invoice, "", **{"Transfer-Encoding": "chunked"})
    assert answer.status_code == 411


def test_deep_json_is_no_fault_of_ours(api, invoice):
    assert raw(api, invoice, "[" * 100_000).status_code == 400


def test_cancelled_relay_gives_the_old_status_back(api, invoice):
    invoice.customer.undo_seconds = 60
    invoice.customer.save()
    relay = decide(api, invoice, DISPUTE).json()["relay"]
    assert relay["state"] == "scheduled"
    answer = api.post(f"/api/v1/relays/{relay['id']}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert api.get(f"/api/v1/invoices/{invoice.pk}/").json()["status"] == "204"


def test_relay_in_another_state_is_a_conflict(api, invoice):
    relay = decide(api, invoice, DISPUTE).json()["relay"]
    answer = api.post(f"/api/v1/relays/{relay['id']}/cancel/")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:navette:problem:wrong-relay-state")


def test_second_person_releases(api, invoice, user):
    invoice.customer.four_eyes = True
    invoice.customer.save()
    relay = decide(api, invoice, {"status": "205"}).json()["relay"]
    assert relay["state"] == "awaiting_approval"
    second = client_of(make_user(make_customer(), "approver", username="grace"))
    answer = second.post(f"/api/v1/relays/{relay['id']}/release/").json()
    assert (answer["state"], answer["released_by"]) == ("pending", "grace")


def test_resolution_needs_its_answer(invoice):
    administrator = make_user(make_customer(), "administrator")
    relay, _new = services.issue_status(user=administrator, invoice_id=invoice.pk, wish=Wish(status="205"))
    RelayTask.objects.update(state="uncertain")
    address = f"/api/v1/relays/{relay.pk}/resolve/"
    assert rows_of(client_of(administrator).post(address, data={})) == [("arrived", "required")]
    assert client_of(administrator).post(address, data={"arrived": False}).json()["state"] == "pending"


def test_replayed_delivery_is_due_again():
    connection = make_connection()
    make_line(make_customer(), connection)
    delivery = make_delivery(connection, state="quarantined", error="Unknown invoice")
    administrator = client_of(make_user(make_customer(), "administrator"))
    answer = administrator.post(f"/api/v1/deliveries/{delivery.pk}/replay/")
    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (200, "received", "")
    assert [row.pk for row in deliveries.claim()] == [delivery.pk]


def test_deliveries_are_filtered_by_state():
    connection = make_connection()
    make_line(make_customer(), connection)
    for state in WebhookDelivery.State.values:
        make_delivery(connection, state=state)
    administrator = client_of(make_user(make_customer(), "administrator"))
    answer = administrator.get(f"/api/v1/deliveries/?state=quarantined&connection={connection.name}")
    assert [row["state"] for row in answer.json()["results"]] == ["quarantined"]

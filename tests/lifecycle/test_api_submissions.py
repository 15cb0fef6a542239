"""POST /api/v1/invoices/: what customers' software hands in, and how it is told what became of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from invoices.drafting.issuing import MAX_ISSUED_BYTES
from invoices.models import Invoice, Validation
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from providers.formats.en16931.writer import write_invoice
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_token, make_user
from tests.invoices.documents.issued import BUYER, SELLER, make_document

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/invoices/"


@pytest.fixture
def line(platform):
    return make_line(make_customer(), make_connection("scripted", name="main"))


@pytest.fixture
def api(line):
    return client_of(make_user(line.customer, "approver"))


def client_of(user: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Token {make_token(user)}"})


def upload(content: bytes | None = None, **values: Any) -> SimpleUploadedFile:
    content = write_invoice(make_document(**values), "ubl") if content is None else content
    return SimpleUploadedFile("facture.xml", content, "application/xml")


def post(api: APIClient, *, headers: Any = None, **given: Any) -> Any:
    body = {"file": upload(), "customer": SIREN, "addressing_line": SIREN, "submit": "true"} | given
    body = {name: value for name, value in body.items() if value is not None}
    return api.post(ADDRESS, data=body, format="multipart", headers=headers or {})


def rows_of(answer: Any) -> list[tuple[str, str]]:
    return [(row["field"], row["code"]) for row in answer.json()["errors"]]


def test_invoice_is_recorded_and_on_its_way(api, line, platform):
    answer = post(api)
    assert answer.status_code == 201
    invoice, relay = answer.json()["invoice"], answer.json()["relay"]
    stored = RelayTask.objects.get()
    assert (invoice["id"], invoice["number"], invoice["direction"]) == (str(stored.invoice_id), "F-2026-0042", "issued")
    assert (invoice["status"], invoice["next_statuses"], invoice["provider_ref"]) == (None, [], "")
    assert (invoice["connection"], invoice["addressing_line"], invoice["total_with_vat"]) == ("main", SIREN, "120.01")
    assert (relay["id"], relay["kind"], relay["state"]) == (str(stored.pk), "invoice", "pending")
    assert (relay["status"], relay["event"]) == (None, None)
    Validation.objects.update(state="done", outcome="valid")
    relays.drain()
    shown = api.get(f"/api/v1/relays/{stored.pk}/").json()
    assert (shown["state"], shown["receipt"]["reference"]) == ("sent", "p-F-2026-0042")


def test_without_submit_it_is_prepared_and_released_later(api, line, platform):
    relay = post(api, submit=None).json()["relay"]
    assert relay["state"] == "awaiting_approval"
    relays.drain()
    assert platform.handed_in == []
    assert api.post(f"/api/v1/relays/{relay['id']}/release/", data={}).json()["state"] == "pending"


def test_line_need_not_be_named_where_there_is_one(api, line):
    assert post(api, addressing_line=None).status_code == 201


def test_line_must_be_named_where_there_are_several(api, line):
    make_line(line.customer, line.connection, f"{SIREN}_2")
    answer = post(api, addressing_line=None)
    assert (answer.status_code, rows_of(answer)) == (422, [("addressing_line", "unknown")])


@pytest.mark.parametrize(
    ("given", "row"),
    [
        ({"file": None}, ("file", "required")),
        ({"customer": None}, ("customer", "required")),
        ({"customer": OTHER_SIREN}, ("customer", "unknown")),
        ({"addressing_line": OTHER_SIREN}, ("addressing_line", "unknown")),
        ({"submit": "perhaps"}, ("submit", "invalid")),
        ({"sumbit": "true"}, ("sumbit", "unknown_field")),
    ],
)
def test_wrong_part_is_named(api, line, given, row):
    make_customer(OTHER_SIREN)
    answer = post(api, **given)
    assert (answer.status_code, rows_of(answer)) == (422, [row])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"<a", "malformed"),
        (b"%PDF-1.7 broken", "damaged_pdf"),
        (b"\x00" * 50, "empty"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document_type"),
    ],
)
def test_file_that_is_no_invoice_is_named(api, line, content, code):
    answer = post(api, file=upload(content))
    assert (answer.status_code, rows_of(answer)) == (422, [("file", code)])
    assert answer.json()["type"] == "urn:navette:problem:cannot-issue"


def test_invoice_of_another_seller_is_named(api, line):
    answer = post(api, file=upload(seller=BUYER, buyer=SELLER))
    assert (answer.status_code, rows_of(answer)) == (422, [("file", "wrong_party")])


def test_number_given_before_is_a_conflict_that_names_the_invoice(api, line):
    first = post(api).json()["invoice"]["id"]
    answer = post(api)
    body = answer.json()
    assert (answer.status_code, body["type"], body["invoice"]) == (
        409,
        "urn:navette:problem:duplicate-invoice",
        first,
    )


def test_conflict_does_not_show_a_strangers_invoice(line):
    """The buyer self-bills a number that the seller, another customer of ours, has used."""
    post(client_of(make_user(line.customer, "approver")))
    other = make_line(make_customer(OTHER_SIREN), line.connection, OTHER_SIREN)
    stranger = client_of(make_user(other.customer, "approver"))
    answer = post(stranger, file=upload(type_code="389"), customer=OTHER_SIREN, addressing_line=OTHER_SIREN)
    assert (answer.status_code, answer.json()["invoice"]) == (409, None)


def test_same_key_and_file_is_answered_with_the_same_invoice(api, line):
    key = {"Idempotency-Key": "k-1"}
    first, second = post(api, headers=key), post(api, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert [answer.headers.get("Idempotent-Replayed") for answer in (first, second)] == [None, "true"]
    assert Invoice.objects.count() == 1


def test_another_file_under_a_used_key_is_a_conflict(api, line):
    key = {"Idempotency-Key": "k-1"}
    post(api, headers=key)
    answer = post(api, headers=key, file=upload(number="F-2"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:navette:problem:key-reused")


@pytest.mark.parametrize(
    ("role", "submit", "status"),
    [
        ("reader", None, 403),
        ("clerk", None, 201),
        ("clerk", "true", 403),
        ("approver", "true", 201),
        ("administrator", "true", 201),
    ],
)
def test_clerk_prepares_and_approver_submits(line, role, submit, status):
    api = client_of(make_user(line.customer, role))
    assert post(api, submit=submit).status_code == status
    assert Invoice.objects.count() == (status == 201)


def test_stranger_and_nobody_hand_in_nothing(line):
    stranger = client_of(make_user(make_customer(OTHER_SIREN), "administrator"))
    assert rows_of(post(stranger)) == [("customer", "unknown")]
    assert post(APIClient()).status_code == 401
    assert Invoice.objects.count() == 0


def test_json_is_the_wrong_media_type(api, line):
    answer = api.post(ADDRESS, data={"customer": SIREN}, format="json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (415, "application/problem+json")


def test_too_large_a_body_is_not_read(api, line):
    answer = api.post(
        ADDRESS, data=b"--x--", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=str(2 * MAX_ISSUED_BYTES)
    )
    assert answer.status_code == 413


def test_schema_tells_the_parts(api):
    operation = api.get("/api/v1/schema/?format=json").json()["paths"][ADDRESS]["post"]
    reference = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
    assert (operation["operationId"], reference.rpartition("/")[2]) == ("invoices_submit", "SubmissionRequest")

"""Invoices that our customers receive, handed to them where we are their platform."""

import pytest
from rest_framework.test import APIClient

from invoices.models import Invoice, Validation
from lifecycle.decisions import services
from lifecycle.inbox import deliveries
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays
from providers.connections import services as platforms
from providers.connections.registry import as_line
from providers.connections.sealing import Secrets
from providers.formats.en16931.writer import write_invoice
from providers.sandbox.server import SandboxServer
from tests.factories import SIREN, make_connection, make_customer, make_event, make_line, make_token, make_user
from tests.invoices.documents.issued import BUYER, SELLER, make_document
from tests.processes import wait_until

from .test_api_submissions import post, rows_of, upload

ADDRESS = "/api/v1/invoices/"


@pytest.fixture
def line(db):
    connection = make_connection(
        "cegid",
        settings={"od_url": "https://od.example.test", "requests_per_second": 0},
        secrets={"subscription_key": "k"},
    )
    line = make_line(make_customer(), connection)
    line.secrets = Secrets({"api_key": "client:s3cret"})
    line.save()
    return line


@pytest.fixture
def api(line):
    return APIClient(headers={"Authorization": f"Token {make_token(make_user(line.customer, 'approver'))}"})


def make_received(**values):
    """What somebody sells to our customer."""
    return upload(write_invoice(make_document(seller=BUYER, buyer=SELLER, **values), "cii"))


def test_received_invoice_is_recorded_where_its_history_begins(api, line):
    answer = post(api, file=make_received(), direction="received")
    invoice = answer.json()["invoice"]

    assert (answer.status_code, invoice["direction"], invoice["status"]) == (201, "received", "202")
    assert (invoice["buyer"]["siren"], invoice["next_statuses"], invoice["provider_ref"]) == (SIREN, [], "")
    assert (answer.json()["relay"]["kind"], answer.json()["relay"]["state"]) == ("invoice", "pending")
    event = Invoice.objects.get().status_events.get()
    assert (event.status, event.origin, event.issuer_role, event.unexpected) == ("202", "us", "WK", False)


def test_received_invoice_of_somebody_else_is_refused(api, line):
    answer = post(api, direction="received")
    assert (answer.status_code, rows_of(answer), Invoice.objects.count()) == (422, [("file", "wrong_party")], 0)


def test_invoice_of_the_customers_own_is_not_handed_to_it(api, line):
    answer = post(api)
    assert (answer.status_code, rows_of(answer)) == (422, [("file", "format")])


def test_received_invoice_twice_is_a_duplicate(api, line):
    first = post(api, file=make_received(), direction="received").json()["invoice"]["id"]
    again = post(api, file=make_received(), direction="received")
    assert (again.status_code, again.json()["invoice"]) == (409, first)
    assert Invoice.objects.count() == 1


def test_same_key_for_issuing_and_handing_over_is_another_request(api, line):
    headers = {"Idempotency-Key": "k-1"}
    first = post(api, file=make_received(), direction="received", headers=headers)
    again = post(api, file=make_received(), direction="received", headers=headers)
    other = post(api, file=make_received(), headers=headers)
    assert [answer.status_code for answer in (first, again, other)] == [201, 201, 409]
    assert RelayTask.objects.count() == 1


def test_other_platforms_are_handed_nothing(platform, db):
    line = make_line(make_customer(), make_connection("scripted"))
    api = APIClient(headers={"Authorization": f"Token {make_token(make_user(line.customer, 'approver'))}"})
    answer = post(api, file=make_received(), direction="received")
    assert (answer.status_code, rows_of(answer)) == (422, [("file", "format")])


def test_direction_is_one_of_two(api, line):
    assert rows_of(post(api, direction="sideways")) == [("direction", "invalid_choice")]


@pytest.mark.django_db(transaction=True)
def test_customer_decides_about_what_it_was_handed(line, api, live_server, settings):
    settings.PUBLIC_URL = live_server.url
    script = [["204", 0.05], ["205", 0.1]]
    with SandboxServer(settings={"cegid": {"customer_script": script}}) as sandbox:
        line.connection.settings["od_url"] = f"{sandbox.url}/cegid"
        line.connection.save()
        platforms.subscribe_line(connection=line.connection, line=as_line(line))
        post(api, file=make_received(), direction="received")
        Validation.objects.update(state="done", outcome="valid")

        def is_approved():
            relays.drain()
            deliveries.drain()
            return Invoice.objects.filter(status="205").exists()

        wait_until(is_approved, 20, lambda: list(RelayTask.objects.values_list("state", "last_error")))
        invoice = Invoice.objects.get()
        accepted = [row["status"] for row in sandbox.control("calls")["accepted"]]

    assert (RelayTask.objects.get().state, accepted) == (RelayState.SENT, ["submit"])
    assert list(invoice.status_events.order_by("sequence").values_list("status", "origin", "unexpected")) == [
        ("202", "us", False),
        ("204", "platform", False),
        ("205", "platform", False),
    ]
    assert invoice.provider_ref.startswith(f"received/{SIREN}/")


def test_number_of_what_was_rejected_or_withdrawn_is_free_again(api, line):
    first = post(api, file=make_received(), direction="received").json()["invoice"]["id"]
    make_event(Invoice.objects.get(pk=first), "213")
    line.customer.undo_seconds = 60
    line.customer.save()
    second = post(api, file=make_received(), direction="received").json()
    services.cancel(user=make_user(line.customer, "approver"), relay_id=second["relay"]["id"])
    third = post(api, file=make_received(), direction="received")
    assert (third.status_code, Invoice.objects.count()) == (201, 3)

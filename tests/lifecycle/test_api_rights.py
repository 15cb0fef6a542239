"""Who may call what: every address of the API, every kind of caller."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from invoices.models import AccountChange
from invoices.register import services as invoices
from lifecycle.api.urls import urlpatterns
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask
from providers.contract.base import File
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
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

CALLERS = ("anonymous", "stranger", "reader", "clerk", "approver", "administrator")
# One status code per caller. The stranger is an administrator, but of another customer.
LIST = (401, 200, 200, 200, 200, 200)
ONE = (401, 404, 200, 200, 200, 200)
CLERKS = (401, 404, 403, 201, 201, 201)
APPROVERS = (401, 404, 403, 403, 200, 200)
ADMINISTRATORS = (401, 404, 403, 403, 403, 200)

# Address: method, body, codes, and the state its relay is in.
CASES = {
    "invoice-list": ("get", None, LIST, ""),
    "invoice-detail": ("get", None, ONE, ""),
    "invoices-export": ("get", None, LIST, ""),
    "invoice-export": ("get", None, ONE, ""),
    "event-list": ("get", None, ONE, ""),
    "settle": ("post", {}, (401, 404, 403, 200, 200, 200), ""),
    "document-list": ("get", None, ONE, ""),
    "document-file": ("get", None, ONE, ""),
    "invoice-account": ("post", {}, (401, 404, 403, 200, 200, 200), ""),
    "decisions": ("post", {"status": "207", "reasons": [{"code": "QTE_ERR"}]}, CLERKS, "confirmed"),
    "relay-list": ("get", None, LIST, ""),
    "relay-detail": ("get", None, ONE, ""),
    "relay-proof": ("get", None, ONE, ""),
    "relay-retry": ("post", {}, ADMINISTRATORS, "failed"),
    "relay-cancel": ("post", {}, APPROVERS, "failed"),
    "relay-release": ("post", {}, APPROVERS, "awaiting_approval"),
    "relay-resolve": ("post", {"arrived": True}, ADMINISTRATORS, "uncertain"),
    "delivery-list": ("get", None, (401, 200, 403, 403, 403, 200), ""),
    "delivery-detail": ("get", None, ADMINISTRATORS, ""),
    "delivery-replay": ("post", {}, ADMINISTRATORS, ""),
    "customer-list": ("get", None, LIST, ""),
    "customer-detail": ("get", None, ONE, ""),
    "line-list": ("get", None, LIST, ""),
    "line-detail": ("get", None, ONE, ""),
    "connection-list": ("get", None, LIST, ""),
    "connection-detail": ("get", None, ONE, ""),
    "status-list": ("get", None, LIST, ""),
    "reason-list": ("get", None, LIST, ""),
    "schema": ("get", None, LIST, ""),
    "nothing": ("get", None, (404,) * 6, ""),
}
FOR_EVERYBODY = {"status-list", "reason-list", "schema"}


@pytest.fixture(autouse=True)
def _platforms(monkeypatch, settings, tmp_path):
    fake_provider.register(monkeypatch)
    settings.MEDIA_ROOT = tmp_path


class World:
    """A customer with one of everything, its colleagues, and a stranger."""

    def __init__(self, relay_state=""):
        self.customer = make_customer()
        self.connection = make_connection()
        self.line = make_line(self.customer, self.connection)
        self.invoice = make_invoice(self.customer, self.connection, ["200", "201", "202", "203"])
        self.answer = make_event(self.invoice, "251", issuer_role="DFH")
        self.document = invoices.store_document(invoice=self.invoice, file=File(kind="original", content=b"<x/>"))
        AccountChange.objects.create(invoice=self.invoice, new=[{"iban": "FR76", "holder": ""}])
        self.delivery = make_delivery(self.connection)
        self.colleague = make_user(self.customer, "approver", username="colleague")
        wish = Wish(status="205") if relay_state == "awaiting_approval" else Wish(status="204")
        self.relay, _new = services.issue_status(user=self.colleague, invoice_id=self.invoice.pk, wish=wish)
        if relay_state:
            RelayTask.objects.update(state=relay_state)

    def client(self, caller):
        if caller == "anonymous":
            return APIClient()
        home = make_customer(OTHER_SIREN) if caller == "stranger" else self.customer
        user = make_user(home, "administrator" if caller == "stranger" else caller)
        return APIClient(headers={"Authorization": f"Token {make_token(user)}"})

    def address(self, name):
        keys = {
            "invoice_id": self.invoice.pk,
            "event_id": self.answer.pk,
            "document_id": self.document.pk,
            "relay_id": self.relay.pk,
            "delivery_id": self.delivery.pk,
            "siren": self.customer.siren,
            "identifier": self.line.identifier,
            "name": self.connection.name,
        }
        pattern = next(pattern for pattern in urlpatterns if pattern.name == name).pattern
        if name == "nothing":
            return "/api/v1/no/such/thing"
        return reverse(f"api:{name}", kwargs={key: keys[key] for key in pattern.converters})


def test_every_address_has_a_case():
    assert {pattern.name for pattern in urlpatterns} == set(CASES)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", CASES)
def test_rights_per_address_and_caller(name, caller):
    method, body, codes, relay_state = CASES[name]
    world = World(relay_state)
    client = world.client(caller)

    answer = getattr(client, method)(world.address(name), data=body)

    assert answer.status_code == codes[CALLERS.index(caller)], answer.content
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    answer.close()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] == LIST or name == "delivery-list"])
def test_lists_show_a_stranger_nothing(name):
    if name in FOR_EVERYBODY or name == "invoices-export":  # a ZIP; test_export opens it
        return
    world = World()
    own = make_customer(OTHER_SIREN)
    make_line(own, make_connection())
    seen = world.client("stranger").get(world.address(name)).json()["results"]
    foreign = {str(world.invoice.pk), str(world.relay.pk), str(world.delivery.pk), world.customer.siren}
    foreign |= {world.line.identifier, world.connection.name}
    assert [row for row in seen if foreign & {str(value) for value in row.values()}] == []


def test_deliveries_of_a_connection_that_only_another_customer_uses_are_not_listed():
    world = World()
    other = make_connection()
    make_line(make_customer(OTHER_SIREN), other)
    make_delivery(other)
    answer = world.client("administrator").get(world.address("delivery-list")).json()
    assert [row["id"] for row in answer["results"]] == [str(world.delivery.pk)]


def test_clerk_may_dispute_but_not_refuse():
    world = World()
    client = world.client("clerk")
    reasons = [{"code": "TX_TVA_ERR"}]
    refused = client.post(world.address("decisions"), data={"status": "210", "reasons": reasons})
    assert refused.status_code == 403
    disputed = client.post(world.address("decisions"), data={"status": "207", "reasons": reasons})
    assert disputed.status_code == 201


def test_nobody_releases_their_own_decision():
    world = World("awaiting_approval")
    client = APIClient(headers={"Authorization": f"Token {make_token(world.colleague)}"})
    assert client.post(world.address("relay-release"), data={}).status_code == 403

"""Who sees which page, and what no page may contain."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from invoices.register import services as invoices
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from providers.contract.base import File
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
from tests.pages import inline_code, parse

pytestmark = pytest.mark.django_db

CALLERS = ("stranger", "reader", "clerk", "approver", "administrator")
# One code per caller. The stranger is an administrator, but of another customer.
OPEN = (200, 200, 200, 200, 200)
ONE = (404, 200, 200, 200, 200)
CLERKS = (404, 403, 302, 302, 302)
APPROVERS = (404, 403, 403, 200, 200)
DELIVERY_LIST = (200, 403, 403, 403, 200)
DELIVERY = (404, 403, 403, 403, 200)
ADMINISTRATORS = (404, 403, 403, 403, 302)

PAGES = {
    "worklist": OPEN,
    "worklist_live": OPEN,
    "invoices": OPEN,
    "invoice": ONE,
    "invoice_live": ONE,
    "relays": OPEN,
    "deliveries": DELIVERY_LIST,
    "delivery": DELIVERY,
    "connections": OPEN,
    "dashboard": OPEN,
    "decide-210": APPROVERS,
    "decide-207": (404, 403, 200, 200, 200),
    "invoice_document": ONE,
    "download": (404, 302, 302, 302, 302),
}
ACTIONS = {
    "comment": ({"text": "Seen"}, CLERKS),
    "assign": ({"to": ""}, CLERKS),
    "check_again": ({}, CLERKS),
    "check": ({}, ADMINISTRATORS),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One invoice in hand with a failed relay and a delivery, and every kind of caller."""
    fake_provider.register(monkeypatch)
    customer, other = make_customer(), make_customer(OTHER_SIREN)
    connection = make_connection()
    make_line(customer, connection)
    make_line(other, make_connection())
    users = {role: make_user(customer, role) for role in CALLERS[1:]}
    users["stranger"] = make_user(other, "administrator")
    invoice = make_invoice(customer, connection, statuses=["203"])
    services.issue_status(user=users["clerk"], invoice_id=invoice.pk, wish=Wish(status="204"))
    RelayTask.objects.update(state=RelayState.FAILED, last_error="Refused.")
    document = invoices.store_document(invoice=invoice, file=File(kind="original", content=b"<x/>"))
    return {
        "users": users, "invoice": invoice, "connection": connection, "delivery": make_delivery(connection),
        "relay": RelayTask.objects.get(), "document": document,
    }  # fmt: skip


def address(world: dict[str, Any], name: str) -> str:
    if name.startswith("decide-"):
        return reverse("lifecycle:decide", args=[world["invoice"].pk, name.removeprefix("decide-")])
    if name == "download":
        return reverse("invoices:download", args=[world["invoice"].pk, world["document"].pk])
    arguments = {"delivery": "delivery", "check": "connection"}
    of_invoice = ("invoice", "invoice_live", "invoice_document", "comment", "assign", "check_again")
    arguments |= dict.fromkeys(of_invoice, "invoice")
    return reverse(f"lifecycle:{name}", args=[world[arguments[name]].pk] if name in arguments else [])


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", PAGES)
def test_page_per_role(client: Client, world: dict[str, Any], name: str, caller: str) -> None:
    client.force_login(world["users"][caller])
    response = client.get(address(world, name))
    response.close()
    assert response.status_code == PAGES[name][CALLERS.index(caller)]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ACTIONS)
def test_action_per_role(client: Client, world: dict[str, Any], name: str, caller: str) -> None:
    data, codes = ACTIONS[name]
    client.force_login(world["users"][caller])
    assert client.post(address(world, name), data).status_code == codes[CALLERS.index(caller)]


@pytest.mark.parametrize("name", [*PAGES, *ACTIONS])
def test_page_without_login(client: Client, world: dict[str, Any], name: str) -> None:
    send = client.post if name in ACTIONS else client.get
    response = send(address(world, name))
    assert (response.status_code, response.headers["Location"].split("?")[0]) == (302, "/accounts/login/")


def test_fragment_after_the_session_ended(client: Client, world: dict[str, Any]) -> None:
    here = f"http://testserver{address(world, 'invoice')}"
    headers = {"HX-Request": "true", "HX-Current-URL": here}
    response = client.get(address(world, "invoice_live"), headers=headers)
    assert response.headers["HX-Redirect"] == f"/accounts/login/?next={address(world, 'invoice')}"


@pytest.mark.parametrize("caller", CALLERS[1:])
@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("download", "worklist_live", "invoice_live")])
def test_page_has_no_inline_code(client: Client, world: dict[str, Any], name: str, caller: str) -> None:
    client.force_login(world["users"][caller])
    assert inline_code(client.get(address(world, name))) == []


@pytest.mark.parametrize("path", ["/accounts/login/", "/nothing/"])
def test_public_page_has_no_inline_code(client: Client, db: None, path: str) -> None:
    assert inline_code(client.get(path)) == []


@pytest.mark.parametrize("name", ["worklist", "invoices", "invoice", "relays", "connections", "dashboard"])
def test_reader_has_no_buttons(client: Client, world: dict[str, Any], name: str) -> None:
    client.force_login(world["users"]["reader"])
    main = parse(client.get(address(world, name))).xpath("//main")[0]
    posting = main.xpath(".//form[@method='post'][.//button or .//textarea]")
    told = main.xpath(".//*[@hx-post] | .//*[@formaction] | .//a[@aria-haspopup]")
    own = main.xpath(".//form[@id='bulk']")  # the list's frame, empty for a reader
    assert [each for each in (*posting, *told) if each not in own] == []
    assert [button for form in own for button in form.xpath(".//button | .//input[@type='checkbox']")] == []


@pytest.mark.parametrize(
    ("caller", "buttons"),
    [("clerk", []), ("approver", ["give-up"]), ("administrator", ["retry", "give-up"])],
)
def test_failed_relay_offers_what_the_role_allows(
    client: Client, world: dict[str, Any], caller: str, buttons: list[str]
) -> None:
    client.force_login(world["users"][caller])
    found = parse(client.get(address(world, "relays"))).xpath("(//tr[@data-row])[1]//button/@formaction")
    assert [path.rstrip("/").split("/")[-1] for path in found] == buttons


def test_only_administrators_see_the_hook(client: Client, world: dict[str, Any]) -> None:
    from providers.connections.services import open_hook

    hook, _created = open_hook(connection=world["connection"])
    seen = {}
    for caller in CALLERS:
        client.force_login(world["users"][caller])
        seen[caller] = hook.token in client.get(address(world, "connections")).content.decode()
    assert seen == {caller: caller == "administrator" for caller in CALLERS}

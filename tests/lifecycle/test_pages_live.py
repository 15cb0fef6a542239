"""Live regions: nothing when nothing changed, and the region that did when something has."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from lxml import html

from invoices.models import Invoice
from invoices.register import services as invoices
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from providers.contract.base import File
from tests import fake_provider
from tests.factories import (
    make_connection,
    make_customer,
    make_delivery,
    make_event,
    make_invoice,
    make_line,
    make_user,
)
from tests.pages import parse, texts

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def invoice(client: Client, monkeypatch: pytest.MonkeyPatch) -> Invoice:
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    make_line(customer, connection)
    client.force_login(make_user(customer, "administrator"))
    return make_invoice(customer, connection, statuses=["203"])


def next_address(response: Any) -> str:
    return parse(response).xpath("//*[@id='live']/@hx-get")[0]


def changed_regions(before: Any, answer: Any) -> list[str]:
    """The regions the browser replaces: those whose content differs."""
    old = {each.get("id"): each.get("data-seen") for each in parse(before).xpath("//*[@data-seen]")}
    fresh = html.fragments_fromstring(answer.content.decode())
    return [each.get("id") for each in fresh if each.get("data-seen") not in (None, old.get(each.get("id")))]


def change_status(invoice: Invoice) -> None:
    make_event(invoice, "204", issuer_role="BY")


def change_comment(invoice: Invoice) -> None:
    services.add_comment(user=invoice.customer.memberships.get().user, invoice=invoice, text="Look")


def change_assignment(invoice: Invoice) -> None:
    colleague = make_user(invoice.customer, "clerk")
    services.assign(user=colleague, invoice=invoice, to=colleague)


def change_document(invoice: Invoice) -> None:
    invoices.store_document(invoice=invoice, file=File(kind="attachment", content=b"x", filename="x.txt"))
    invoice.save()


@pytest.mark.parametrize(
    ("change", "regions"),
    [
        (change_status, ["invoice_head", "invoice_decisions", "invoice_timeline"]),
        (change_comment, ["invoice_comments"]),
        (change_assignment, ["invoice_decisions"]),
        (change_document, ["invoice_document"]),
    ],
)
def test_invoice_page_changes_where_something_changed(
    client: Client, invoice: Invoice, change: Any, regions: list[str]
) -> None:
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk]))
    address = next_address(page)
    assert client.get(address, headers=HTMX).status_code == 204
    change(invoice)
    answer = client.get(address, headers=HTMX)
    assert (answer.status_code, changed_regions(page, answer)) == (200, regions)
    assert client.get(next_address(answer), headers=HTMX).status_code == 204


@pytest.mark.parametrize("state", [RelayState.SENT, RelayState.FAILED, RelayState.CONFIRMED])
def test_relay_moves_on_the_invoice_page(client: Client, invoice: Invoice, state: str) -> None:
    user = make_user(invoice.customer, "clerk")
    services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))
    address = next_address(client.get(reverse("lifecycle:invoice", args=[invoice.pk])))
    RelayTask.objects.update(state=state)  # as the worker does: no new version of the invoice
    answer = client.get(address, headers=HTMX)
    assert parse(answer).xpath(f"boolean(//div[contains(@class, 'relay--{state}')])")


@pytest.mark.parametrize("change", [change_status, change_assignment])
def test_worklist_changes_when_something_changed(client: Client, invoice: Invoice, change: Any) -> None:
    address = next_address(client.get(reverse("lifecycle:worklist")))
    assert client.get(address, headers=HTMX).status_code == 204
    change(invoice)
    answer = client.get(address, headers=HTMX)
    assert (answer.status_code, client.get(next_address(answer), headers=HTMX).status_code) == (200, 204)


def test_new_invoice_appears_on_the_worklist(client: Client, invoice: Invoice) -> None:
    address = next_address(client.get(reverse("lifecycle:worklist")))
    make_invoice(invoice.customer, invoice.connection, number="NEW-1", statuses=["203"])
    rows = texts(client.get(address, headers=HTMX), "//tr[@data-row]/th/a")
    assert sorted(rows) == sorted([invoice.number, "NEW-1"])


def test_relay_list_answers_not_modified(client: Client, invoice: Invoice) -> None:
    path = reverse("lifecycle:relays")
    first = client.get(path, headers=HTMX)
    again = client.get(path, headers={**HTMX, "If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_replayed_deliveries_are_taken_up_again(client: Client, invoice: Invoice) -> None:
    own = [make_delivery(invoice.connection, state="quarantined") for _number in range(2)]
    foreign = make_delivery(make_connection(), state="quarantined")
    ticked = [str(each.pk) for each in (*own, foreign)]
    response = client.post(reverse("lifecycle:replay"), {"delivery": [*ticked, "nonsense"]})
    for each in (*own, foreign):
        each.refresh_from_db()
    assert response.status_code == 302
    assert [each.state for each in (*own, foreign)] == ["received", "received", "quarantined"]


def test_delivery_body_is_shown_escaped(client: Client, invoice: Invoice) -> None:
    delivery = make_delivery(invoice.connection)
    type(delivery).objects.update(body=b'{"status": "<script>alert(1)</script>"}')
    page = client.get(reverse("lifecycle:delivery", args=[delivery.pk]))
    assert texts(page, "//pre[@class='raw']") == ['{ "status": "<script>alert(1)</script>" }']

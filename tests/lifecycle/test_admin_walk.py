"""Every page of the admin, as finance staff: what they work with, of their customers, and nothing else."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from invoices.models import Invoice
from invoices.people.staff import match_memberships
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask, StatusEvent
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_delivery, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db

OPEN = (Invoice, RelayTask, StatusEvent)


@pytest.fixture
def rows(monkeypatch):
    """An invoice with a decision of ours, and the same of a customer of somebody else's, on one connection."""
    fake_provider.register(monkeypatch)
    connection = make_connection()
    make_delivery(connection)
    found = []
    for customer in (make_customer(), make_customer("732829320")):
        make_line(customer, connection)
        invoice = make_invoice(customer, connection, ["203"])
        boss = make_user(customer, "approver")
        issue_status(user=boss, invoice_id=invoice.pk, wish=Wish(status="204"))
        found.append(invoice)
    return found


def pages_of(model):
    base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    yield "changelist", None, reverse(f"{base}_changelist")
    yield "add", None, reverse(f"{base}_add")
    for row in model._default_manager.all():
        for name in ("change", "history", "delete"):
            yield name, row, reverse(f"{base}_{name}", args=[row.pk])


@pytest.mark.parametrize("role", ["reader", "clerk", "approver"])
def test_staff_reach_their_invoices_events_and_relays_alone(client, rows, role):
    mine, _theirs = rows
    user = make_user(mine.customer, role)
    match_memberships(user)
    client.force_login(user)
    opened, wanted = set(), set()
    for model in admin.site._registry:
        for name, row, address in pages_of(model):
            is_mine = row is None or getattr(row, "invoice", row) == mine
            if model in OPEN and name in ("changelist", "change", "history") and is_mine:
                wanted.add(address)
            if client.get(address).status_code == 200:
                opened.add(address)
    assert opened == wanted


def test_shortcut_to_a_row_is_closed(client, rows):
    user = make_user(rows[0].customer, "clerk")
    match_memberships(user)
    client.force_login(user)
    kind = ContentType.objects.get_for_model(Invoice).pk
    for key in (rows[0].pk, rows[1].pk, "1"):
        assert client.get(f"/admin/r/{kind}/{key}/").status_code == 404

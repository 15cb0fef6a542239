"""The same invoice through two platforms: one case, decided once, told where it is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from invoices.models import Invoice, InvoiceOrigin
from invoices.register.services import UnknownOwner, receive_invoice
from lifecycle.decisions import messages, services
from lifecycle.decisions.wishes import Wish
from lifecycle.history import events
from lifecycle.history.answers import alerts_of
from lifecycle.history.links import links_of
from lifecycle.inbox import deliveries
from lifecycle.inbox.finding import find_invoice
from lifecycle.management.commands import reconcile
from lifecycle.models import RelayTask, StatusEvent
from providers.contract.base import File, InvoiceReport, Party, Reason, StatusReport
from providers.formats.en16931.writer import write_invoice
from providers.models import WebhookDelivery
from tests import fake_provider
from tests.factories import SIREN, make_connection, make_customer, make_delivery, make_line, make_user
from tests.invoices.documents.issued import BUYER, SELLER, make_document
from tests.scripted import together

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def old():
    return line_at("old")


@pytest.fixture
def new():
    return line_at("new", f"{SIREN}_NEW")


def line_at(name: str, identifier: str = "") -> Any:
    return make_line(make_customer(), make_connection(name=name), identifier)


def arrive(line: Any, ref: str, syntax: str = "ubl", **values: Any) -> Invoice:
    """A copy of the invoice F-2026-0042 as a platform brings it."""
    document = make_document(seller=BUYER, buyer=SELLER, **values)
    report = InvoiceReport(provider_ref=ref, direction="received", buyer=Party(siren=SIREN))
    file = File(kind="original", content=write_invoice(document, syntax), media_type="application/xml")
    deliveries.save_invoice(line.connection, report, (file,))
    found = find_invoice(line.connection, ref)
    assert found is not None
    return found


def report(ref: str, status: str, **values: Any) -> StatusReport:
    return StatusReport(provider_ref=ref, status=status, **values)


def decide(invoice: Invoice, status: str = "204") -> RelayTask:
    user = make_user(invoice.customer, "approver")
    return services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status))[0]


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
def test_second_copy_becomes_another_origin_of_the_first(old, new, syntax):
    first = arrive(old, "o-1")
    second = arrive(new, "n-1", syntax)
    assert (first.pk, Invoice.objects.count()) == (second.pk, 1)
    assert [(each.connection.name, each.provider_ref) for each in second.origins] == [("old", "o-1"), ("new", "n-1")]
    assert (first.documents.count(), second.shown_warnings) == (1 if syntax == "ubl" else 2, first.shown_warnings)


def test_second_copy_again_is_not_another(old, new):
    arrive(old, "o-1")
    for _each in range(2):
        arrive(new, "n-1", "cii")
    assert (Invoice.objects.count(), InvoiceOrigin.objects.count()) == (1, 1)


def test_file_of_the_first_platform_counts(old, new):
    first = arrive(old, "o-1")
    before = (first.original.sha256, first.process)
    arrive(new, "n-1", "cii", process="M1")
    first.refresh_from_db()
    assert (first.original.sha256, first.process) == before


def test_statuses_of_either_platform_land_on_the_case(old, new):
    invoice = arrive(old, "o-1")
    arrive(new, "n-1")
    events.record_report(find_invoice(old.connection, "o-1").pk, report("o-1", "203"))
    events.record_report(find_invoice(new.connection, "n-1").pk, report("n-1", "212", key="k"))
    invoice.refresh_from_db()
    assert invoice.status == "212"


@pytest.mark.parametrize("status", ["202", "203", "213"])
def test_way_of_the_second_copy_moves_nothing(old, new, status):
    invoice = arrive(old, "o-1")
    events.record_report(invoice.pk, report("o-1", "203"))
    decide(invoice)
    arrive(new, "n-1")
    events.record_report(invoice.pk, report("n-1", status, key="later"))
    invoice.refresh_from_db()
    told = StatusEvent.objects.get(invoice=invoice, source_key="later")
    assert (invoice.status, told.status, told.native_status[:3], "new" in told.native_status) == (
        "204", None, status, True,
    )  # fmt: skip


def test_second_copy_turned_down_as_a_double_is_told_to_a_person(old, new):
    invoice = arrive(old, "o-1")
    events.record_report(invoice.pk, report("o-1", "203"))
    arrive(new, "n-1")
    before = services.next_statuses(invoice)
    events.record_report(invoice.pk, report("n-1", "213", reasons=(Reason(code="DOUBLON"),)))
    invoice.refresh_from_db()
    (alert,) = alerts_of(invoice)
    assert (invoice.status, services.next_statuses(invoice), alert.status) == ("203", before, "213")


def test_decision_is_told_once_where_it_came_from(old, new):
    invoice = arrive(old, "o-1")
    events.record_report(invoice.pk, report("o-1", "203"))
    arrive(new, "n-1")
    relay = decide(invoice)
    assert (RelayTask.objects.count(), relay.connection, messages.message_of(relay).invoice.provider_ref) == (
        1, old.connection, "o-1",
    )  # fmt: skip


def test_decision_goes_through_the_other_where_the_first_was_left(old, new):
    invoice = arrive(old, "o-1")
    events.record_report(invoice.pk, report("o-1", "203"))
    before = decide(invoice)
    arrive(new, "n-1")
    old.connection.state = "paused"
    old.connection.save()
    relay = decide(invoice, "205")
    told = messages.message_of(relay).invoice
    assert (relay.connection, told.provider_ref, told.line_identifier) == (new.connection, "n-1", new.identifier)
    # What was told before still names the invoice as the first platform knows it.
    assert messages.message_of(RelayTask.objects.get(pk=before.pk)).invoice.provider_ref == "o-1"
    assert {find_invoice(each.connection, ref).pk for each, ref in ((old, "o-1"), (new, "n-1"))} == {invoice.pk}


def test_other_amounts_are_a_conflict_and_not_merged(old, new, client):
    first = arrive(old, "o-1")
    lines = tuple(line.__class__(**{**vars(line), "net_price": Decimal("999.00")}) for line in make_document().lines)
    second = arrive(new, "n-1", lines=lines)
    first.refresh_from_db()
    assert (first.pk == second.pk, Invoice.objects.count()) == (False, 2)
    assert ([link.relation for link in links_of(first)], [link.invoice for link in links_of(second)]) == (
        ["same_number"], [first],
    )  # fmt: skip
    assert ("new" in first.shown_warnings[-1], "old" in second.shown_warnings[-1]) == (True, True)
    client.force_login(make_user(first.customer, "reader"))
    assert "Porte le même numéro" in client.get(f"/invoices/{first.pk}/").content.decode()


def test_rejected_first_copy_leaves_the_number_to_the_second(old, new):
    first = arrive(old, "o-1")
    events.record_report(first.pk, report("o-1", "213"))
    second = arrive(new, "n-1")
    first.refresh_from_db()
    assert (first.pk == second.pk, second.shown_warnings == first.shown_warnings) == (False, True)


def test_copy_that_nobody_can_read_is_not_joined(old, new):
    arrive(old, "o-1")
    unread = InvoiceReport(provider_ref="x", direction="received", number="F-2026-0042", buyer=Party(siren=SIREN))
    receive_invoice(connection=new.connection, report=unread, files=())
    assert (Invoice.objects.count(), InvoiceOrigin.objects.count()) == (2, 0)


def test_news_that_waited_for_the_second_copy_is_due_when_it_joins(old, new):
    arrive(old, "o-1")
    row = make_delivery(new.connection, state="quarantined", waits_for="n-1")
    other = make_delivery(old.connection, state="quarantined", waits_for="n-1")
    arrive(new, "n-1")
    states = dict(WebhookDelivery.objects.values_list("pk", "state"))
    assert (states[row.pk], states[other.pk]) == ("received", "quarantined")


def test_two_copies_of_one_platform_are_shown_to_a_person(old):
    first, second = arrive(old, "o-1"), arrive(old, "o-2", "cii")
    first.refresh_from_db()
    assert (first.pk == second.pk, "old" in first.shown_warnings[-1], "old" in second.shown_warnings[-1]) == (
        False,
        True,
        True,
    )


@pytest.mark.django_db(transaction=True)
def test_two_copies_at_the_same_moment_are_one_case(old, new):
    together(lambda: arrive(old, "o-1"), lambda: arrive(new, "n-1", "cii"))
    assert (Invoice.objects.count(), InvoiceOrigin.objects.count()) == (1, 1)


def test_case_is_shown_with_both_origins(old, new, client):
    invoice = arrive(old, "o-1")
    arrive(new, "n-1")
    client.force_login(make_user(invoice.customer, "reader"))
    body = client.get(f"/api/v1/invoices/{invoice.pk}/").json()
    assert (body["connection"], [row["provider_ref"] for row in body["origins"]]) == ("old", ["o-1", "n-1"])
    for name, ref in (("old", "o-1"), ("new", "n-1")):
        for query in (f"connection={name}", f"provider_ref={ref}"):
            assert len(client.get(f"/api/v1/invoices/?{query}").json()["results"]) == 1
    assert "Aussi reçue par" in client.get(f"/invoices/{invoice.pk}/").content.decode()
    assert client.get("/invoices/?connection=new").content.decode().count(f"/invoices/{invoice.pk}/") == 1


def move(line: Any, name: str) -> Any:
    """The customer changes its platform: another connection serves the line from now on."""
    left = line.connection
    line.connection = make_connection(name=name)
    line.save()
    return left


def test_copy_of_the_platform_that_was_left_joins_although_the_line_moved(old):
    earlier = arrive(old, "o-0", number="F-2026-0001")
    left = move(old, "new")
    invoice = arrive(old, "n-1")
    document = write_invoice(make_document(seller=BUYER, buyer=SELLER), "cii")
    file = File(kind="original", content=document, media_type="application/xml")
    late = InvoiceReport(provider_ref="o-1", direction="received", buyer=Party(siren=SIREN))
    deliveries.save_invoice(left, late, (file,))
    assert [each.provider_ref for each in find_invoice(left, "o-1").origins] == ["n-1", "o-1"]
    assert Invoice.objects.count() == 2
    events.record_report(invoice.pk, report("n-1", "203"))
    assert decide(invoice).connection == old.connection
    assert earlier.other_origins.count() == 0


def test_platform_that_never_served_the_customer_joins_nothing(old):
    arrive(old, "o-1")
    foreign = make_connection(name="foreign")
    late = InvoiceReport(provider_ref="x-1", direction="received", buyer=Party(siren=SIREN))
    document = write_invoice(make_document(seller=BUYER, buyer=SELLER), "ubl")
    with pytest.raises(UnknownOwner):
        deliveries.save_invoice(foreign, late, (File(kind="original", content=document, media_type="application/xml"),))
    assert (Invoice.objects.count(), InvoiceOrigin.objects.count()) == (1, 0)


def test_decision_goes_where_the_line_is_served_now(old):
    invoice = arrive(old, "o-1")
    events.record_report(invoice.pk, report("o-1", "203"))
    move(old, "new")
    arrive(old, "n-1")
    relay = decide(invoice)
    assert (relay.connection.name, messages.message_of(relay).invoice.provider_ref) == ("new", "n-1")


def test_history_of_each_platform_is_asked_under_its_own_reference(old, new):
    invoice = arrive(old, "o-1")
    arrive(new, "n-1")
    for line, ref in ((old, "o-1"), (new, "n-1")):
        (row,) = reconcile.open_invoices(line.connection, invoice.created_at)
        assert (row.pk, row.origin_at(line.connection_id).provider_ref) == (invoice.pk, ref)


def test_admin_shows_the_further_origin_and_the_amount_that_counts(old, new, client):
    invoice = arrive(old, "o-1")
    arrive(new, "n-1")
    Invoice.objects.filter(pk=invoice.pk).update(type_code="381")
    client.force_login(make_user(username="root", is_staff=True, is_superuser=True))
    assert "new (n-1)" in client.get(f"/admin/invoices/invoice/{invoice.pk}/change/").content.decode()
    assert '<td class="field-owed">-' in client.get("/admin/invoices/invoice/").content.decode()

"""Pushes that name an invoice by what it is in law (seller, number, year), and pushes that are not understood."""

import json
from datetime import date

import pytest
from django.utils import timezone

from invoices.models import Customer, Invoice, InvoiceOrigin
from lifecycle.inbox import deliveries
from lifecycle.models import StatusEvent
from providers.connections.registry import get_adapter
from providers.connections.services import open_hook, store_delivery
from providers.contract.base import HookRequest, Party
from providers.models import WebhookDelivery
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db

LINE, OTHER_LINE = f"{SIREN}_80011223700014", f"{SIREN}_COMPTA"
NAMES = {"seller": OTHER_SIREN, "number": "F-1", "issued": "2026-10-04"}


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    return make_connection("scripted")


@pytest.fixture
def lines(connection):
    return [make_line(make_customer(SIREN), connection, identifier) for identifier in (LINE, OTHER_LINE)]


@pytest.fixture
def push(connection):
    """Store a push to the address of a line, have it worked on, return the row."""

    def push(key, *, line="", **body):
        hook, _new = open_hook(connection=connection, line_identifier=line)
        raw = json.dumps({"key": key, **body}).encode()
        pushed = HookRequest(
            method="POST",
            url=hook.url,
            headers={},
            body=raw,
            received_at=timezone.now(),
            line=get_adapter(connection).account.lines.find(line) if line else None,
        )
        store_delivery(hook=hook, pushed=pushed, key=key)
        deliveries.drain()
        return WebhookDelivery.objects.get(connection=connection, key=key)

    return push


def make_named(connection, line, **values):
    defaults = {"number": "F-1", "issue_date": date(2026, 10, 4), "addressing_line": line}
    return make_invoice(line.customer, connection, **(defaults | values))


def statuses(invoice):
    return list(StatusEvent.objects.filter(invoice=invoice).order_by("sequence").values_list("status", flat=True))


def test_invoice_is_found_by_its_names(push, connection, lines):
    invoice = make_named(connection, lines[0])

    row = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "204"}])

    assert (row.state, statuses(invoice)) == ("processed", ["204"])


@pytest.mark.parametrize(
    "values",
    [{"number": "F-2"}, {"seller_siren": SIREN}, {"issue_date": date(2025, 10, 4)}],
    ids=["number", "seller", "year"],
)
def test_invoice_of_other_names_is_not_meant(push, connection, lines, values):
    invoice = make_named(connection, lines[0], **values)

    row = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "204"}])

    assert (row.state, row.waits_for, statuses(invoice)) == ("quarantined", f"{OTHER_SIREN}/F-1", [])


@pytest.mark.parametrize("line", [OTHER_LINE, f"{OTHER_SIREN}_X"])
def test_invoice_of_another_line_is_out_of_reach(push, connection, lines, line):
    if line not in (LINE, OTHER_LINE):
        make_line(make_customer(OTHER_SIREN), connection, line)
    invoice = make_named(connection, lines[0])

    row = push("k-1", line=line, statuses=[{"names": NAMES, "status": "210"}])

    assert (row.state, statuses(invoice)) == ("quarantined", [])


def test_push_that_speaks_for_no_line_reaches_every_line(push, connection, lines):
    invoice = make_named(connection, lines[0])
    push("k-1", statuses=[{"names": NAMES, "status": "204"}])

    assert statuses(invoice) == ["204"]


def test_direction_tells_the_two_copies_apart(push, connection, lines):
    received = make_named(connection, lines[0], direction="received")
    issued = make_named(connection, lines[0], direction="issued")
    push("k-1", line=LINE, statuses=[{"names": NAMES | {"direction": "issued"}, "status": "205"}])
    row = push("k-2", line=LINE, statuses=[{"names": NAMES, "status": "207"}])

    assert (statuses(received), statuses(issued)) == ([], ["205"])
    assert row.state == "quarantined"  # either may be meant: nobody guesses


def test_push_waits_for_the_names_of_an_invoice(push, connection, lines):
    row = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "204"}])
    invoice = make_named(connection, lines[0])
    woken = deliveries.retry_waiting()
    deliveries.drain()
    row.refresh_from_db()

    assert (woken, row.state, statuses(invoice)) == (1, "processed", ["204"])


def test_push_is_woken_when_the_invoice_arrives(push, connection, lines, far_end):
    row = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "204"}])
    parties = {"seller": Party(siren=OTHER_SIREN), "buyer": Party(siren=SIREN, identifier=LINE)}
    far_end.has("ref-1", number="F-1", issue_date=date(2026, 10, 4), **parties)
    push("k-2", bells=[{"ref": "ref-1", "new": True}])
    deliveries.drain()
    row.refresh_from_db()

    assert (row.state, statuses(Invoice.objects.get())) == ("processed", ["204"])


def test_push_about_an_invoice_of_another_line_is_not_woken_again_and_again(push, connection, lines):
    invoice = make_named(connection, lines[0])
    push("k-1", line=OTHER_LINE, statuses=[{"names": NAMES, "status": "204"}])

    assert deliveries.retry_waiting() == 0
    invoice.save()  # something about it changed
    assert deliveries.retry_waiting() == 1
    deliveries.drain()
    assert (deliveries.retry_waiting(), statuses(invoice)) == (0, [])


def test_push_that_is_not_understood_is_put_aside_with_the_reason(push, connection, lines):
    invoice = make_named(connection, lines[0])
    row = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "204"}], unclear="The amount is no number.")

    assert (row.state, row.error) == ("quarantined", "The amount is no number.")
    assert statuses(invoice) == ["204"]  # what was understood is not lost


def test_name_that_fits_two_years_is_put_aside_with_both(push, connection, lines):
    for year in (2025, 2026):
        make_named(connection, lines[0], issue_date=date(year, 10, 4))

    undated = {name: NAMES[name] for name in ("seller", "number")}
    row = push("k-1", line=LINE, statuses=[{"names": undated, "status": "204"}])

    assert (row.state, StatusEvent.objects.count()) == ("quarantined", 0)
    assert all(f"{year}-10-04" in row.error for year in (2025, 2026))


def test_name_without_a_seller_means_nobody(push, connection, lines):
    invoice = make_named(connection, lines[0], seller_siren="", seller_name="")

    row = push("k-1", line=LINE, statuses=[{"names": {**NAMES, "seller": ""}, "status": "204"}])

    assert (row.state, statuses(invoice)) == ("quarantined", [])


def test_name_reaches_the_invoice_that_another_platform_brought_first(push, connection, lines):
    invoice = make_invoice(make_customer(SIREN), make_connection(), ["203"], number="F-1", issue_date=date(2026, 10, 4))
    InvoiceOrigin.objects.create(
        invoice=invoice, connection=connection, provider_ref="second", addressing_line=lines[0]
    )

    way = push("k-1", line=LINE, statuses=[{"names": NAMES, "status": "202"}])
    taken = push("k-2", line=LINE, statuses=[{"names": NAMES, "status": "204"}])
    other = push("k-3", line=OTHER_LINE, statuses=[{"names": NAMES, "status": "205"}])

    assert (way.state, taken.state, other.state) == ("processed", "processed", "quarantined")
    assert statuses(invoice) == ["203", None, "204"]


# --- pushes of invoices that nobody here is the owner of --------------------------------------------------------------


@pytest.mark.parametrize("identifier", [OTHER_SIREN, f"{OTHER_SIREN}_COMPTA"])
def test_push_of_an_unknown_owner_comes_in_by_itself_once_the_line_is_there(
    push, far_end, connection, lines, identifier
):
    far_end.has("inv-1", buyer=Party(siren=OTHER_SIREN))
    bell = [{"ref": "inv-1", "new": True}]
    row = push("k-1", bells=bell)
    assert (row.state, row.line_waited_for, OTHER_SIREN in row.error) == ("quarantined", OTHER_SIREN, True)

    make_line(make_customer(OTHER_SIREN), make_connection("scripted"), f"{OTHER_SIREN}_ELSEWHERE")
    make_line(make_customer("552100554"), connection, "552100554_COMPTA")
    assert deliveries.retry_waiting() == 0

    make_line(Customer.objects.get(siren=OTHER_SIREN), connection, identifier)
    assert (deliveries.retry_waiting(), deliveries.retry_waiting()) == (1, 0)
    deliveries.drain()
    row.refresh_from_db()
    assert (row.state, row.waits_for, Invoice.objects.get().customer.siren) == ("processed", "", OTHER_SIREN)


def test_page_says_which_line_a_delivery_waits_for(push, far_end, connection, lines, client):
    far_end.has("inv-1", buyer=Party(siren=OTHER_SIREN))
    row = push("k-1", bells=[{"ref": "inv-1", "new": True}])
    client.force_login(make_user(is_superuser=True))
    page = client.get(f"/deliveries/{row.pk}/").content.decode()
    assert f'<dt>Attend une ligne d’adressage de</dt><dd class="code">{OTHER_SIREN}</dd>' in page
    assert "line:" not in page

"""Keeping and purging: nothing goes before its time, and nothing without a trace."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from invoices.models import Customer, Invoice, InvoiceDocument
from invoices.register import services as invoices
from lifecycle import provisioning
from lifecycle.history import retention
from lifecycle.models import PurgedInvoice, RelayAttempt, RelayTask, SeenReport, StatusEvent
from providers.contract.base import File
from providers.models import WebhookDelivery
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_event,
    make_invoice,
    make_line,
    make_user,
)

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2010, 5, 4, 12, tzinfo=UTC)
TODAY = date(2021, 1, 1)


@pytest.fixture
def customer(monkeypatch: pytest.MonkeyPatch) -> Customer:
    fake_provider.register(monkeypatch)
    return make_customer(name="Atelier Dupont")


def old_invoice(customer: Customer, moment: datetime = LONG_AGO, **values: Any) -> Invoice:
    """An invoice of that time, with an event, a report, a relay with an attempt, a comment and a file."""
    invoice = make_invoice(
        customer, values.pop("connection", None), issue_date=moment.date(), created_at=moment, **values
    )
    event = StatusEvent(
        invoice=invoice, sequence=1, status="202", origin="us", occurred_at=moment, recorded_at=moment
    )  # fmt: skip
    event.hash = event.compute_hash()
    event.save(force_insert=True)
    SeenReport.objects.create(invoice=invoice, identity="old", event=event, is_timed=True)
    relay = RelayTask.objects.create(
        event=event, invoice=invoice, connection=invoice.connection, sequence=1, state="confirmed"
    )
    RelayAttempt.objects.create(relay=relay, kind="send", started_at=moment, duration_ms=1, outcome="accepted")
    invoice.comments.create(author=make_user(), text="Old.")
    invoices.store_document(invoice=invoice, file=File(kind="original", content=invoice.number.encode()))
    return invoice


def execute(*statements: tuple[str, list[Any]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement, values in statements:
            cursor.execute(statement, values)


@pytest.mark.parametrize(
    ("issued", "arrived", "told", "expected"),
    [
        (date(2020, 6, 1), datetime(2020, 6, 2, tzinfo=UTC), None, date(2030, 12, 31)),
        (date(2020, 6, 1), datetime(2021, 1, 2, tzinfo=UTC), None, date(2031, 12, 31)),
        (date(2022, 1, 1), datetime(2021, 12, 31, tzinfo=UTC), None, date(2032, 12, 31)),
        (date(2020, 6, 1), datetime(2020, 6, 2, tzinfo=UTC), datetime(2023, 3, 1, tzinfo=UTC), date(2033, 12, 31)),
        # Midnight in Paris comes before midnight in Greenwich.
        (None, datetime(2020, 12, 31, 23, 30, tzinfo=UTC), None, date(2031, 12, 31)),
    ],
    ids=["issue", "arrival", "dated ahead", "last event", "local time"],
)
def test_kept_from_the_last_thing_that_happened(
    customer: Customer, issued: date | None, arrived: datetime, told: datetime | None, expected: date
) -> None:
    invoice = make_invoice(customer, issue_date=issued, created_at=arrived)
    if told:
        StatusEvent.objects.create(
            invoice=invoice, sequence=1, status="202", origin="platform", occurred_at=told, recorded_at=told, hash="x"
        )
    assert retention.kept_until(invoice) == expected
    first_day = expected + timedelta(days=1)
    due = [list(retention.due_invoices(customer, day)) for day in (expected, first_day)]
    assert due == [[], [invoice]]


def test_purge_takes_everything_and_leaves_a_trace(customer: Customer, django_capture_on_commit_callbacks: Any) -> None:
    invoice = old_invoice(customer)
    document, event = invoice.documents.get(), invoice.status_events.get()
    kept = make_invoice(customer, statuses=["202"])

    trace = retention.purge(invoice.pk, TODAY)

    assert (trace.pk, trace.number, trace.kept_until, trace.events, trace.last_hash, trace.documents) == (
        invoice.pk, invoice.number, date(2020, 12, 31), 1, event.hash, [document.sha256]
    )  # fmt: skip
    left = {model: model.objects.count() for model in (Invoice, InvoiceDocument, StatusEvent, RelayTask, RelayAttempt)}
    assert left == {Invoice: 1, InvoiceDocument: 0, StatusEvent: 1, RelayTask: 0, RelayAttempt: 0}
    assert not document.file.storage.exists(document.file.name)
    assert Invoice.objects.get() == kept


def test_purge_refuses_before_time(customer: Customer) -> None:
    invoice = old_invoice(customer)
    with pytest.raises(retention.TooEarly, match=r"2020-12-31"):
        retention.purge(invoice.pk, date(2020, 12, 31))
    document = invoice.documents.get()
    assert document.file.storage.exists(document.file.name)


def test_purge_waits_for_the_customers_own_term(customer: Customer) -> None:
    customer.retention_years = 12
    customer.save()
    invoice = old_invoice(customer)
    with pytest.raises(retention.TooEarly):
        retention.purge(invoice.pk, TODAY)
    assert list(retention.due_invoices(customer, TODAY)) == []


def test_file_another_invoice_has_too_stays(customer: Customer) -> None:
    invoice = old_invoice(customer, number="SAME")
    other = make_invoice(customer)
    shared = invoices.store_document(invoice=other, file=File(kind="original", content=b"SAME"))
    retention.purge(invoice.pk, TODAY)
    with shared.file.open("rb") as file:
        assert file.read() == b"SAME"


def test_database_refuses_to_delete_what_is_too_young(customer: Customer) -> None:
    """Even for one who sets the purge's mark by hand."""
    invoice = make_invoice(customer)
    event = make_event(invoice, "202")
    SeenReport.objects.all().delete()
    mark = ("SELECT set_config('navette.purging', %s, true)", [str(invoice.pk)])
    with pytest.raises(IntegrityError, match="append-only"):
        execute(mark, ("DELETE FROM lifecycle_statusevent WHERE id = %s", [event.pk]))


def remove_relays() -> None:
    """As only the owner of the tables can, so that nothing but the history is left."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_relayattempt DISABLE TRIGGER USER")
        RelayAttempt.objects.all().delete()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_relayattempt ENABLE TRIGGER USER")
    RelayTask.objects.all().delete()


@pytest.mark.parametrize(
    "statement", ["DELETE FROM lifecycle_statusevent", "UPDATE lifecycle_statusevent SET note = 'x'"]
)
@pytest.mark.parametrize("mark", ["", "other"])
def test_database_refuses_changes_without_the_purges_mark(customer: Customer, statement: str, mark: str) -> None:
    old_invoice(customer)
    remove_relays()
    SeenReport.objects.all().delete()
    marking = ("SELECT set_config('navette.purging', %s, true)", [mark])
    with pytest.raises(IntegrityError, match="append-only"):
        execute(marking, (statement.format("lifecycle_statusevent"), []))


def test_mark_ends_with_its_transaction(customer: Customer) -> None:
    invoice, other = old_invoice(customer), old_invoice(customer)
    retention.purge(invoice.pk, TODAY)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('navette.purging', '', true)")
    remove_relays()
    SeenReport.objects.all().delete()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        other.status_events.all().delete()


@pytest.mark.parametrize(("years", "is_allowed"), [(5, False), (6, True), (30, True)])
def test_term_is_not_shorter_than_the_law_wants(customer: Customer, years: int, is_allowed: bool) -> None:
    customer.retention_years = years
    if is_allowed:
        customer.full_clean()
        customer.save()
    else:
        with pytest.raises(ValidationError):
            customer.full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            customer.save()


def test_term_is_provisioned(customer: Customer) -> None:
    wish = {"customers": [{"siren": customer.siren, "retention_years": 15}]}
    provisioning.provision(wish)
    provisioning.provision({"customers": [{"siren": customer.siren}]})
    customer.refresh_from_db()
    assert customer.retention_years == 15
    with pytest.raises(provisioning.WishRefused, match="retention_years"):
        provisioning.provision({"customers": [{"siren": customer.siren, "retention_years": 5}]})


# --- the command ------------------------------------------------------------------------------------------------------


def purged(*options: str, verbosity: int = 1) -> list[str]:
    heard = io.StringIO()
    call_command("purge_invoices", *options, stdout=heard, verbosity=verbosity)
    return heard.getvalue().splitlines()


def test_command_only_tells_unless_told_to_delete(customer: Customer) -> None:
    invoice = old_invoice(customer)
    make_invoice(customer)
    assert purged(verbosity=2) == [
        "Atelier Dupont (800112237): 1 invoices past their 10 years, issued 2010-05-04 to 2010-05-04, with 1 files",
        f"would delete {invoice} {invoice.pk}",
        "Nothing was deleted. With --delete it is deleted for good; export it first if it may be missed.",
    ]
    assert (Invoice.objects.count(), PurgedInvoice.objects.count()) == (2, 0)


def test_command_deletes_what_is_due_and_nothing_else(customer: Customer) -> None:
    invoice, young = old_invoice(customer), make_invoice(customer)
    stranger = old_invoice(make_customer(OTHER_SIREN))
    assert purged("--customer", customer.siren, "--delete", verbosity=2)[-1] == f"deleted {invoice} {invoice.pk}"
    assert set(Invoice.objects.all()) == {young, stranger}
    assert [trace.pk for trace in PurgedInvoice.objects.all()] == [invoice.pk]


def test_command_says_when_nothing_is_due(customer: Customer) -> None:
    make_invoice(customer)
    assert purged("--delete") == ["Atelier Dupont (800112237): no invoice is past its 10 years"]


def test_command_refuses_a_young_invoice_and_then_deletes_none(customer: Customer) -> None:
    old, young = old_invoice(customer), make_invoice(customer)
    until = f"{timezone.localdate().year + 10}-12-31"
    with pytest.raises(CommandError) as refusal:
        purged("--invoice", str(old.pk), "--invoice", str(young.pk), "--delete")
    assert str(refusal.value).splitlines() == [
        f"{young} of Atelier Dupont must be kept until {until}", "Nothing was deleted."
    ]  # fmt: skip
    assert Invoice.objects.count() == 2


@pytest.mark.parametrize(
    "options", [["--customer", "999999999"], ["--invoice", "00000000-0000-0000-0000-000000000000"]]
)
def test_command_refuses_what_is_not_there(customer: Customer, options: list[str]) -> None:
    with pytest.raises(CommandError):
        purged(*options)


def test_webhooks_are_kept_as_long_as_any_customer_wants(customer: Customer) -> None:
    link = make_connection()
    make_line(customer, link)
    other = make_customer(OTHER_SIREN, retention_years=30)
    states = WebhookDelivery.State
    old, waiting = make_delivery(link, received_at=LONG_AGO), make_delivery(link, received_at=LONG_AGO)
    young = make_delivery(link, state=states.PROCESSED)
    WebhookDelivery.objects.filter(pk=old.pk).update(state=states.PROCESSED)
    WebhookDelivery.objects.filter(pk=waiting.pk).update(state=states.QUARANTINED)
    nobodys = make_delivery(make_connection(), received_at=LONG_AGO, state=states.PROCESSED)

    line = make_line(other, link)
    purged("--delete")
    assert WebhookDelivery.objects.count() == 4
    line.delete()
    purged("--delete")

    assert set(WebhookDelivery.objects.all()) == {waiting, young, nobodys}


def test_purged_histories_do_not_break_the_verification(customer: Customer) -> None:
    retention.purge(old_invoice(customer).pk, TODAY)
    call_command("verify_history", "--files", stdout=io.StringIO())


def test_stored_file_is_never_written_again(customer: Customer) -> None:
    document = invoices.store_document(invoice=make_invoice(customer), file=File(kind="original", content=b"first"))
    path = Path(document.file.path)
    assert (path.name, path.stat().st_mode & 0o777) == (document.sha256, 0o400)


def test_damaged_file_is_not_taken_for_the_same_bytes(customer: Customer) -> None:
    first = invoices.store_document(invoice=make_invoice(customer), file=File(kind="original", content=b"whole file"))
    path = Path(first.file.path)
    path.chmod(0o600)
    path.write_bytes(b"whole")
    second = invoices.store_document(invoice=make_invoice(customer), file=File(kind="original", content=b"whole file"))
    with second.file.open("rb") as file:
        assert (second.file.name == first.file.name, file.read()) == (False, b"whole file")

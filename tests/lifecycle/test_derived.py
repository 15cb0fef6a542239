"""Codes that an adapter derived from a word that does not name one: recorded, but never against what was said."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from lifecycle.history import events
from lifecycle.inbox import deliveries
from providers.contract.base import StatusReport
from providers.models import WebhookDelivery
from tests.factories import make_connection, make_event, make_invoice
from tests.lifecycle.test_inbox import connection as connection
from tests.lifecycle.test_inbox import push as push

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


def derive(invoice, status, word, **values):
    report = StatusReport(provider_ref=invoice.provider_ref, status=status, native_status=word, derived=True, **values)
    return events.record_report(invoice.pk, report)


def told(invoice):
    invoice.refresh_from_db()
    rows = (
        invoice.status_events.filter(completes=None)
        .order_by("sequence")
        .values_list("status", "native_status", "unexpected")
    )
    return invoice.status, list(rows)


def make(*statuses):
    return make_invoice(connection=make_connection("scripted"), statuses=statuses, direction="issued")


def test_first_derived_code_counts_and_is_not_unexpected():
    invoice = make()
    derive(invoice, "203", "Delivered", key="a")
    assert told(invoice) == ("203", [("203", "Delivered", False)])


def test_derived_codes_go_forward():
    invoice = make()
    for status, word in (("201", "Sent"), ("202", "Accepted"), ("203", "Delivered")):
        derive(invoice, status, word, key=word)
    assert told(invoice) == ("203", [("201", "Sent", False), ("202", "Accepted", False), ("203", "Delivered", False)])


@pytest.mark.parametrize("said", ["203", "205", "207", "210", "213"])
def test_derived_code_does_not_take_back_what_was_said(said):
    invoice = make(said)
    derive(invoice, "203", "Delivered", key="a")
    assert told(invoice)[0] == said
    assert told(invoice)[1][1] == (None, "Delivered", False)


def test_derived_code_with_an_early_time_does_not_take_back_either():
    invoice = make()
    make_event(invoice, "205", occurred_at=NOON)
    derive(invoice, "203", "Delivered", key="a", occurred_at=NOON.replace(hour=9))
    assert told(invoice)[0] == "205"


def test_what_is_said_after_a_derived_code_counts():
    invoice = make()
    derive(invoice, "203", "Delivered", key="a")
    make_event(invoice, "210", occurred_at=timezone.now())
    assert told(invoice)[0] == "210"


def test_code_said_after_it_was_derived_is_the_same_fact():
    invoice = make()
    derive(invoice, "202", "Accepted", key="a")
    make_event(invoice, "202", occurred_at=timezone.now())
    assert told(invoice) == ("202", [("202", "Accepted", False)])


def test_word_of_unknown_cause_is_kept_and_its_cause_comes_after():
    invoice = make("203")
    events.record_report(
        invoice.pk, StatusReport(provider_ref=invoice.provider_ref, status=None, native_status="Refused", key="m1")
    )
    assert told(invoice)[0] == "203"
    make_event(invoice, "210", native_status="Refused", key="file 1", occurred_at=timezone.now())
    assert told(invoice) == ("210", [("203", "", True), (None, "Refused", False), ("210", "Refused", False)])


# --- news of a push, and what it turned out to mean -------------------------------------------------------------------


def hint(**values):
    return [{"ref": "inv-1", "hint": values}]


def state_of(row):
    return WebhookDelivery.objects.get(pk=row.pk).state


@pytest.mark.parametrize(
    ("news", "shown"),
    [
        ({"word": "Refused"}, StatusReport(provider_ref="inv-1", status="213", native_status="Refused")),
        ({"word": "Refused"}, StatusReport(provider_ref="inv-1", status=None, native_status="Refused")),
        (
            {"status": "202", "word": "Accepted", "derived": True},
            StatusReport(provider_ref="inv-1", status="202", native_status="202", occurred_at=NOON),
        ),
        (
            {"status": "202", "word": "Accepted", "derived": True},
            StatusReport(provider_ref="inv-1", status="203", native_status="Accepted", occurred_at=NOON),
        ),
    ],
    ids=["cause", "cause unknown", "same code", "same word"],
)
def test_history_that_explains_the_word_tells_the_news(push, far_end, connection, news, shown):
    far_end.has("inv-1", shown)
    make_invoice(connection=connection, provider_ref="inv-1")
    row = push("d1", bells=hint(**news))
    deliveries.drain()
    assert state_of(row) == "processed"
    events_of = list(connection.invoices.get().status_events.values_list("status", "native_status"))
    assert events_of == [(shown.status, shown.native_status)]


def test_known_code_of_another_word_is_other_news(push, far_end, connection):
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status="210", native_status="Refused"))
    make_invoice(connection=connection, provider_ref="inv-1")
    row = push("d1", bells=hint(status="213", word="Refused"))
    deliveries.drain()
    assert state_of(row) == "received"


@pytest.mark.parametrize(("standing", "derived", "rows"), [("203", "202", 1), ("202", "203", 2), ("210", "203", 1)])
def test_step_left_behind_is_no_news(push, far_end, connection, standing, derived, rows):
    far_end.has("inv-1", StatusReport(provider_ref="inv-1", status=standing, native_status="x", occurred_at=NOON))
    make_invoice(connection=connection, provider_ref="inv-1")
    row = push("d1", bells=hint(status=derived, word="y", derived=True))
    for _ in range(deliveries.HISTORY_PATIENCE + 1):
        WebhookDelivery.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now())
        deliveries.drain()
    assert (state_of(row), connection.invoices.get().status_events.count()) == ("processed", rows)
    assert connection.invoices.get().status == max(standing, derived if standing != "210" else "210")

"""An invoice handed in: announced before its answer, against our own check, and what it waits for."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from invoices.models import Invoice, Validation
from invoices.people.desk import Desk
from lifecycle.decisions import services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.inbox import deliveries
from lifecycle.inbox.finding import NotShown
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from lifecycle.outbox.actions import actions_of
from lifecycle.outbox.waits import waits_for
from providers.contract.base import InvoiceReport, Receipt, UncertainError
from providers.models import Connection
from tests.factories import make_connection, make_customer, make_invoice, make_line, make_user
from tests.scripted import Scripted, together

from .relaying import begin, ended, make_due
from .test_submissions import drained, hand_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(platform):
    return make_line(make_customer(), make_connection("scripted"))


@pytest.fixture
def approver(line):
    return make_user(line.customer, "approver")


@pytest.fixture
def clerk(line):
    return make_user(line.customer, "clerk")


# --- announced before the answer --------------------------------------------------------------------------------------


def checked(relay: RelayTask) -> RelayTask:
    Validation.objects.filter(document=relay.document).update(state="done", outcome="valid")
    return relay


def announce(line, ref: str) -> None:
    """A platform's word of an issued invoice that names nothing but its own reference."""
    deliveries.save_invoice(line.connection, InvoiceReport(provider_ref=ref, direction="issued"), ())


def test_nameless_announcement_waits_for_our_answer_and_makes_no_twin(approver, line):
    relay = checked(hand_in(approver, line))
    claim, spoke_at = begin(relay)
    with pytest.raises(NotShown):
        announce(line, "flow-1")
    ended(claim, spoke_at, receipt=Receipt(reference="flow-1"))
    announce(line, "flow-1")

    assert list(Invoice.objects.values_list("number", "provider_ref")) == [("F-2026-0042", "flow-1")]


def test_nameless_announcement_waits_while_the_answer_is_lost(approver, line, platform):
    platform.answer("submit", UncertainError("Cut."))
    platform.answer("find_invoice", Receipt(reference="flow-1", confirmed=True))
    relay = drained(hand_in(approver, line))
    with pytest.raises(NotShown):
        announce(line, "flow-1")
    assert drained(relay).state == "confirmed"
    announce(line, "flow-1")
    assert Invoice.objects.count() == 1


def test_nameless_announcement_of_others_waits_for_nobody(approver, line):
    checked(hand_in(approver, line))  # not told yet
    announce(line, "theirs")
    assert Invoice.objects.filter(provider_ref="theirs").exists()


def test_shell_of_an_announcement_is_taken_up_by_the_answer(approver, line):
    relay = checked(hand_in(approver, line))
    announce(line, "flow-1")
    claim, spoke_at = begin(relay)
    ended(claim, spoke_at, receipt=Receipt(reference="flow-1"))

    assert list(Invoice.objects.values_list("number", "provider_ref")) == [("F-2026-0042", "flow-1")]


def test_reference_of_another_invoice_loses_no_receipt(approver, line):
    make_invoice(connection=line.connection, provider_ref="p-1", number="OTHER", statuses=["200"])
    relay = checked(hand_in(approver, line))
    claim, spoke_at = begin(relay)
    ended(claim, spoke_at, receipt=Receipt(reference="p-1"))
    relay.refresh_from_db()

    assert (relay.state, relay.receipt["reference"], relay.invoice.provider_ref) == ("sent", "p-1", "")


@pytest.mark.django_db(transaction=True)
def test_announcement_at_the_moment_of_the_answer_ends_no_drain(approver, line):
    relay = checked(hand_in(approver, line))
    claim, spoke_at = begin(relay)
    inserted = threading.Event()

    def insert():
        with transaction.atomic():
            Invoice.objects.create(
                customer=line.customer, connection=line.connection, provider_ref="flow-1", direction="issued"
            )
            inserted.set()
            time.sleep(0.3)

    def answer():
        inserted.wait(10)
        ended(claim, spoke_at, receipt=Receipt(reference="flow-1"))

    assert together(insert, answer) == [None, None]
    relay.refresh_from_db()
    assert (relay.state, list(Invoice.objects.values_list("number", "provider_ref"))) == (
        "sent",
        [("F-2026-0042", "flow-1")],
    )


# --- what our own check is against ------------------------------------------------------------------------------------


def broken(relay: RelayTask) -> RelayTask:
    findings = [{"rule": "BR-FR-05", "is_fatal": True}]
    Validation.objects.filter(document=relay.document).update(state="done", outcome="invalid", findings=findings)
    Invoice.objects.filter(pk=relay.invoice_id).update(validation="invalid")
    return RelayTask.objects.select_related("invoice__customer", "connection", "document").get(pk=relay.pk)


def test_broken_file_is_not_offered_for_sending(clerk, approver, line, platform):
    relay = broken(hand_in(clerk, line, submit=False))
    assert [action.name for action in actions_of(Desk(approver), relay)] == ["undo"]
    assert "BR-FR-05" in waits_for(relay)
    with pytest.raises(DecisionRefused, match="BR-FR-05"):
        services.release(user=approver, relay_id=relay.pk)
    assert platform.handed_in == []


def test_broken_file_is_not_offered_to_be_tried_again(approver, line, platform):
    relay = hand_in(approver, line)
    broken(relay)
    make_due()
    relays.drain()
    relay = RelayTask.objects.select_related("invoice__customer", "connection", "document").get(pk=relay.pk)
    administrator = make_user(line.customer, "administrator")
    assert (relay.state, [action.name for action in actions_of(Desk(administrator), relay)]) == ("failed", ["give-up"])
    with pytest.raises(DecisionRefused, match="BR-FR-05"):
        services.retry(user=administrator, relay_id=relay.pk)
    assert platform.handed_in == []


def test_file_under_check_says_so(clerk, line):
    relay = hand_in(clerk, line, submit=False)
    assert waits_for(relay).startswith("Son fichier est en cours de contrôle")


# --- what it waits for ------------------------------------------------------------------------------------------------


def test_uncertain_hand_in_says_until_when_the_platform_may_be_silent(approver, line, platform, monkeypatch):
    monkeypatch.setattr(Scripted, "shown_after", classmethod(lambda cls, settings: 600.0))
    platform.answer("submit", UncertainError("Cut."))
    relay = drained(hand_in(approver, line))
    until = timezone.localtime(relay.spoke_at + timedelta(seconds=600))
    assert f"{until:%H:%M}" in waits_for(relay)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "paused"}, "en pause"),
        ({"health": "outage", "ill_reason": "Connection refused."}, "Connection refused."),
        ({"health": "refused", "ill_reason": "Wrong password."}, "Wrong password."),
    ],
)
def test_what_waits_for_its_connection_says_why(approver, line, values, words):
    relay = checked(hand_in(approver, line))
    Invoice.objects.update(validation="valid")
    Connection.objects.update(**values)
    relay = RelayTask.objects.select_related("invoice", "connection").get(pk=relay.pk)
    assert line.connection.name in waits_for(relay, Desk(approver))
    assert words in waits_for(relay, Desk(approver))

"""Invoices of ours on their way to the platform: prepared, released, sent once, looked for, withdrawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.utils import timezone

from invoices.drafting.issuing import CannotIssue
from invoices.models import Invoice, InvoiceDocument, Validation
from invoices.register.services import receive_invoice
from invoices.validation import services as validation
from lifecycle.decisions import carrying, services
from lifecycle.decisions.services import KeyReused, WrongRelayState
from lifecycle.models import RelayAttempt, RelayState, RelayTask
from lifecycle.outbox import relays, submissions
from lifecycle.outbox.relays import LOOK_UP_DELAYS
from lifecycle.outbox.submissions import Submission
from providers.contract.base import (
    Capabilities,
    File,
    InvoiceReport,
    Party,
    PermanentError,
    Receipt,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.writer import write_invoice
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_event, make_line, make_user
from tests.invoices.documents.issued import BUYER, SELLER, make_document
from tests.invoices.documents.issued import make_line as make_line_of_invoice
from tests.scripted import together

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


def as_file(document: ParsedInvoice, syntax: str = "ubl") -> File:
    return File(kind="original", content=write_invoice(document, syntax), media_type="text/xml", filename="facture.xml")


def submission(line: Any, *, submit: bool = True, file: File | None = None, **values: Any) -> Submission:
    return Submission(line=line, file=file or as_file(make_document(**values)), submit=submit)


def hand_in(user: Any, line: Any, **values: Any) -> RelayTask:
    return submissions.hand_in(user=user, submission=submission(line, **values))[0]


def drained(relay: RelayTask, outcome: str = "valid", **values: Any) -> RelayTask:
    """The worker has checked the file, and sent what was due."""
    waiting = Validation.objects.filter(document=relay.document, state="waiting")
    waiting.update(**{"state": "done", "outcome": outcome} | values)
    RelayTask.objects.filter(pk=relay.pk, next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    relays.drain()
    relay.refresh_from_db()
    relay.invoice.refresh_from_db()
    return relay


def codes_of(error: Any) -> list[str]:
    return [fault.code for fault in error.value.faults]


# --- recording --------------------------------------------------------------------------------------------------------


def test_approver_hands_in_an_invoice(approver, line, platform):
    relay = drained(hand_in(approver, line))
    invoice = relay.invoice
    assert (relay.state, relay.kind, relay.receipt["reference"]) == ("sent", "invoice", "p-F-2026-0042")
    assert (invoice.provider_ref, invoice.direction, invoice.status) == ("p-F-2026-0042", "issued", None)
    assert (invoice.seller_siren, invoice.buyer_siren, str(invoice.amount_due)) == (SIREN, OTHER_SIREN, "120.01")
    ((file, facts),) = platform.handed_in
    assert file.content == as_file(make_document()).content
    assert (facts.number, facts.direction, facts.line_identifier) == ("F-2026-0042", "issued", SIREN)


def test_file_is_kept_byte_for_byte_before_anything_is_sent(approver, line, platform):
    relay = hand_in(approver, line)
    (document,) = InvoiceDocument.objects.filter(invoice=relay.invoice)
    with document.file.open("rb") as stored:
        assert stored.read() == as_file(make_document()).content
    assert (document.kind, document.media_type, relay.document) == ("original", "application/xml", document)
    assert platform.handed_in == []


def test_clerk_prepares_and_approver_sends(clerk, approver, line, platform):
    relay = drained(hand_in(clerk, line, submit=False))
    assert (relay.state, platform.handed_in) == ("awaiting_approval", [])
    with pytest.raises(PermissionDenied):
        services.release(user=clerk, relay_id=relay.pk)
    services.release(user=approver, relay_id=relay.pk)
    assert drained(relay).state == "sent"


def test_clerk_cannot_send(clerk, line):
    with pytest.raises(PermissionDenied, match=r"Clerks prepare|préparent"):
        hand_in(clerk, line)
    assert Invoice.objects.count() == 0


def test_reader_and_stranger_cannot_prepare(line):
    for user in (make_user(line.customer, "reader"), make_user(make_customer(OTHER_SIREN), "administrator")):
        with pytest.raises(PermissionDenied):
            hand_in(user, line, submit=False)


def test_approver_may_send_what_they_prepared(approver, line, platform):
    relay = hand_in(approver, line, submit=False)
    services.release(user=approver, relay_id=relay.pk)
    assert drained(relay).state == "sent"


def test_four_eyes_want_a_second_person(approver, line, platform):
    line.customer.four_eyes = True
    line.customer.save()
    relay = drained(hand_in(approver, line))
    assert (relay.state, platform.handed_in) == ("awaiting_approval", [])
    with pytest.raises(PermissionDenied):
        services.release(user=approver, relay_id=relay.pk)
    services.release(user=make_user(line.customer, "approver"), relay_id=relay.pk)
    assert drained(relay).state == "sent"


def test_undo_time_holds_the_invoice_back(approver, line, platform):
    line.customer.undo_seconds = 60
    line.customer.save()
    relay = hand_in(approver, line)
    relays.drain()
    assert (relay.state, platform.handed_in) == ("scheduled", [])
    services.cancel(user=approver, relay_id=relay.pk)
    assert drained(relay).state == "cancelled"
    assert platform.handed_in == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"seller": BUYER, "buyer": SELLER}, "wrong_party"),
        ({"type_code": "389"}, "wrong_party"),
        ({"type_code": "325"}, "unknown_type"),
        ({"number": ""}, "no_number"),
        ({"issue_date": None}, "no_date"),
        ({"currency": ""}, "no_currency"),
        ({"lines": (make_line_of_invoice(net_price=Decimal(10) ** 16),)}, "amount"),
    ],
)
def test_invoice_that_cannot_be_ours_is_refused(approver, line, values, code):
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line, **values)
    assert codes_of(refused) == [code]
    assert (Invoice.objects.count(), InvoiceDocument.objects.count()) == (0, 0)


def test_self_billed_invoice_is_handed_in_by_the_buyer(approver, line, platform):
    relay = hand_in(approver, line, type_code="389", seller=BUYER, buyer=SELLER)
    assert (relay.invoice.side, relay.invoice.counterparty_name) == ("buyer", BUYER.name)
    assert carrying.seat_of(relay.invoice) == "buyer"


def test_file_that_is_no_invoice_is_refused(approver, line):
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line, file=File(kind="original", content=b"PK\x03\x04", filename="a.zip"))
    assert codes_of(refused) == ["not_an_invoice"]


def test_format_the_platform_does_not_take_is_refused(approver, line, platform):
    platform.capabilities = Capabilities(submit_formats=frozenset({"ubl"}))
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line, file=as_file(make_document(), "cii"))
    assert codes_of(refused) == ["format"]
    assert hand_in(approver, line).state == "pending"


def test_platform_that_takes_nothing_is_told_apart(approver, line, platform):
    platform.capabilities = Capabilities()
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line)
    assert "takes no invoices" in str(refused.value) or "aucune facture" in str(refused.value)


# --- the number -------------------------------------------------------------------------------------------------------


def test_same_number_in_the_same_year_is_refused(approver, line):
    first = hand_in(approver, line)
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line, issue_date=date(2026, 12, 1))
    assert (codes_of(refused), refused.value.duplicate_of) == (["duplicate"], first.invoice)


def test_same_number_in_another_year_or_of_another_seller_is_another_invoice(approver, line):
    hand_in(approver, line)
    hand_in(approver, line, issue_date=date(2025, 12, 31))
    hand_in(approver, line, type_code="389", seller=BUYER, buyer=SELLER)
    assert Invoice.objects.count() == 3


def test_number_an_earlier_invoice_bears_on_another_platform_is_refused(approver, line):
    report = InvoiceReport(provider_ref="old", direction="issued", seller=Party(siren=SIREN), buyer=Party())
    other = make_line(line.customer, make_connection("scripted"), f"{SIREN}_2")
    receive_invoice(connection=other.connection, report=report, files=[as_file(make_document())])
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line)
    assert codes_of(refused) == ["duplicate"]


def test_withdrawn_number_can_be_given_again(clerk, line):
    relay = hand_in(clerk, line, submit=False)
    services.cancel(user=clerk, relay_id=relay.pk)
    again = hand_in(clerk, line, submit=False)
    assert (again.invoice.number, again.invoice.holds_number) == ("F-2026-0042", True)


def test_rejected_number_can_be_given_again(approver, line):
    relay = drained(hand_in(approver, line))
    make_event(relay.invoice, "213")
    again = hand_in(approver, line)
    assert again.invoice != relay.invoice


def test_refused_number_stays_taken(approver, line):
    relay = drained(hand_in(approver, line))
    for status in ("200", "203", "210"):
        make_event(relay.invoice, status)
    with pytest.raises(CannotIssue):
        hand_in(approver, line)


def test_database_itself_refuses_a_number_twice(approver, line):
    first = hand_in(approver, line).invoice
    first.pk, first.provider_ref = None, "other"
    with pytest.raises(IntegrityError, match="one_issue_per_seller_number_and_year"):
        first.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_give_a_number_once(approver, line):
    call = lambda: hand_in(approver, line)  # noqa: E731
    results = together(call, call, call)
    assert sorted(type(each).__name__ for each in results) == ["CannotIssue", "CannotIssue", "RelayTask"]


# --- the same request twice -------------------------------------------------------------------------------------------


def test_same_key_and_file_is_answered_with_the_same_relay(approver, line):
    wish = submission(line)
    first, is_new = submissions.hand_in(user=approver, submission=wish, idempotency_key="k")
    again, is_new_again = submissions.hand_in(user=approver, submission=wish, idempotency_key="k")
    assert (first, is_new, is_new_again) == (again, True, False)


def test_another_file_under_a_used_key_is_refused(approver, line):
    submissions.hand_in(user=approver, submission=submission(line), idempotency_key="k")
    with pytest.raises(KeyReused):
        submissions.hand_in(user=approver, submission=submission(line, number="F-2"), idempotency_key="k")


@pytest.mark.django_db(transaction=True)
def test_same_key_twice_at_once_makes_one_invoice(approver, line):
    wish = submission(line)
    call = lambda: submissions.hand_in(user=approver, submission=wish, idempotency_key="k")[0]  # noqa: E731
    first, second = together(call, call)
    assert first == second
    assert Invoice.objects.count() == 1


# --- on the way -------------------------------------------------------------------------------------------------------


def test_lost_answer_is_looked_up_and_not_sent_again(approver, line, platform):
    platform.answer("submit", UncertainError("Timed out."))
    platform.answer("find_invoice", Receipt(reference="p-7", confirmed=True))
    relay = drained(hand_in(approver, line))
    assert (relay.state, relay.invoice.provider_ref) == ("uncertain", "")
    relay = drained(relay)
    assert (relay.state, relay.invoice.provider_ref) == ("confirmed", "p-7")
    assert len(platform.handed_in) == 1
    assert ("issued", "F-2026-0042") in platform.asked


def test_invoice_the_platform_never_shows_is_sent_again(approver, line, platform):
    platform.answer("submit", UncertainError("Timed out."), Receipt(reference="p-8"))
    relay = drained(hand_in(approver, line))
    for _look in LOOK_UP_DELAYS:
        assert (relay.state, len(platform.handed_in)) == (RelayState.UNCERTAIN, 1)
        relay = drained(relay)
    assert (relay.state, relay.invoice.provider_ref, len(platform.handed_in)) == ("sent", "p-8", 2)


def test_platform_that_cannot_be_searched_waits_for_a_person(approver, line, platform):
    platform.answer("submit", UncertainError("Timed out."))
    platform.answer("find_invoice", Unsupported("Cannot be searched."))
    relay = drained(drained(hand_in(approver, line)))
    assert (relay.state, relay.next_attempt_at, len(platform.handed_in)) == ("uncertain", None, 1)
    administrator = make_user(line.customer, "administrator")
    services.resolve(user=administrator, relay_id=relay.pk, arrived=True)
    relay.refresh_from_db()
    assert relay.state == "confirmed"


def test_busy_platform_is_tried_again(approver, line, platform):
    platform.answer("submit", TemporaryError("Busy."), Receipt(reference="p-9"))
    relay = drained(hand_in(approver, line))
    assert (relay.state, relay.attempts) == ("pending", 1)
    assert (drained(relay).state, relay.invoice.provider_ref) == ("sent", "p-9")


def test_refused_file_fails_and_can_be_given_up(approver, line, platform):
    platform.answer("submit", PermanentError("BR-FR-01: number too long.", status_code=422))
    relay = drained(hand_in(approver, line))
    assert (relay.state, relay.last_error) == ("failed", "BR-FR-01: number too long.")
    services.cancel(user=approver, relay_id=relay.pk)
    relay.invoice.refresh_from_db()
    assert relay.invoice.holds_number is False
    with pytest.raises(WrongRelayState):
        services.retry(user=make_user(line.customer, "administrator"), relay_id=relay.pk)


def test_nothing_is_sent_before_the_rules_were_asked(approver, line, platform):
    relay = hand_in(approver, line)
    relays.drain()
    assert (platform.handed_in, RelayAttempt.objects.count()) == ([], 0)
    assert drained(relay).state == "sent"


def test_file_that_breaks_a_rule_is_never_sent(approver, line, platform):
    findings = [{"rule": "BR-FR-05", "is_fatal": True}, {"rule": "BR-X", "is_fatal": False}]
    relay = drained(hand_in(approver, line), "invalid", findings=findings)
    assert (relay.state, platform.handed_in) == ("failed", [])
    assert "(BR-FR-05)" in relay.last_error


def test_file_with_mere_warnings_is_sent(approver, line, platform):
    assert drained(hand_in(approver, line), "warnings").state == "sent"


def test_file_that_could_not_be_checked_is_not_sent(approver, line, platform):
    relay = drained(hand_in(approver, line), "", state="given_up", error="Storage is down.")
    assert (relay.state, platform.handed_in) == ("failed", [])
    assert "Storage is down." in relay.last_error


def test_real_check_lets_a_good_file_through_and_stops_a_bad_one(approver, line, platform):
    good, bad = hand_in(approver, line), hand_in(approver, line, number="F-2", notes=())
    validation.drain()
    assert [drained(good).state, drained(bad).state] == ["sent", "failed"]
    assert "BR-FR-05" in bad.last_error


def test_tries_are_recorded(approver, line, platform):
    relay = drained(hand_in(approver, line))
    (attempt,) = RelayAttempt.objects.filter(relay=relay)
    assert (attempt.kind, attempt.outcome) == ("send", "accepted")


# --- the platform's news ----------------------------------------------------------------------------------------------


def report_of(ref: str) -> InvoiceReport:
    return InvoiceReport(
        provider_ref=ref, direction="issued", seller=Party(siren=SIREN), number="F-2026-0042",
        issue_date=date(2026, 11, 21), type_code="380",
    )  # fmt: skip


def test_news_before_the_answer_finds_our_invoice(approver, line, platform):
    relay = hand_in(approver, line)
    invoice, created = receive_invoice(connection=line.connection, report=report_of("p-1"), files=[])
    assert (invoice, created, invoice.provider_ref) == (relay.invoice, True, "p-1")
    make_event(invoice, "200")
    relay.refresh_from_db()
    assert relay.state == "confirmed"


def test_status_confirms_the_submission(approver, line):
    relay = drained(hand_in(approver, line))
    make_event(relay.invoice, "200")
    relay.refresh_from_db()
    relay.invoice.refresh_from_db()
    assert (relay.state, relay.invoice.status) == ("confirmed", "200")


def test_report_of_another_number_makes_its_own_invoice(approver, line):
    relay = hand_in(approver, line)
    other = replace(report_of("p-2"), number="F-2026-0043")
    invoice, created = receive_invoice(connection=line.connection, report=other, files=[])
    assert created
    assert invoice != relay.invoice


def test_withdrawn_invoice_is_not_taken_for_the_reported_one(clerk, line):
    relay = hand_in(clerk, line, submit=False)
    services.cancel(user=clerk, relay_id=relay.pk)
    invoice, _created = receive_invoice(connection=line.connection, report=report_of("p-3"), files=[])
    assert invoice != relay.invoice


def test_decisions_wait_for_the_first_status(approver, line):
    relay = drained(hand_in(approver, line))
    assert services.next_statuses(relay.invoice) == ()

"""What a platform's rejection answers: the submission it belongs to, and no other."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from invoices.drafting.issuing import CannotIssue
from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.models import RelayAttempt, RelayTask
from lifecycle.outbox import submissions
from lifecycle.outbox.submissions import Submission
from providers.contract.base import File, Reason
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml"
DOUBLED = (Reason(code="DOUBLON", text="Facture déjà reçue."),)
FAULTY = (Reason(code="REJ_SEMAN"),)


def at(minute):
    return datetime(2026, 10, 5, 12, minute, tzinfo=UTC)


def heard(*statuses, direction="issued", **values):
    """An invoice whose platform said this, a minute apart; a rejection says that it was there already."""
    invoice = make_invoice(direction=direction, **values)
    for minute, status in enumerate(statuses):
        reasons = DOUBLED if status == "213" else ()
        make_event(invoice, status, occurred_at=at(minute), reasons=reasons)
    invoice.refresh_from_db()
    return invoice


@pytest.mark.parametrize("direction", ["issued", "received"])
@pytest.mark.parametrize("reached", ["200", "201", "202", "203", "204", "205", "207", "211", "212"])
def test_duplicate_rejected_leaves_the_good_invoice_where_it_is(direction, reached):
    invoice = heard(reached, "213", direction=direction, holds_number=direction == "issued")

    assert (invoice.status, invoice.holds_number) == (reached, direction == "issued")
    assert list(invoice.status_events.values_list("status", flat=True)) == [reached, "213"]


@pytest.mark.parametrize("code", ["DOUBLON", "REJ_UNI"])
def test_what_was_possible_before_is_possible_after(code):
    invoice = heard("200", "203", "205")
    before = services.next_statuses(invoice)
    make_event(invoice, "213", occurred_at=at(9), reasons=[Reason(code=code)])

    assert services.next_statuses(invoice) == before != ()


def test_first_submission_rejected_closes_the_invoice_and_frees_its_number():
    invoice = heard("213", holds_number=True)

    assert (invoice.status, invoice.holds_number) == ("213", False)


def test_acceptance_told_after_the_rejection_of_its_double_counts():
    invoice = heard("213", "200", "203")

    assert invoice.status == "203"


def test_rejection_for_its_content_closes_what_is_on_its_way():
    invoice = make_invoice(statuses=["200"], direction="issued", holds_number=True)
    make_event(invoice, "213", reasons=FAULTY)
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == ("213", False)


@pytest.mark.parametrize("reached", ["204", "205", "211", "212"])
def test_rejection_for_its_content_is_too_late_once_the_parties_are_at_work(reached):
    invoice = make_invoice(direction="issued", holds_number=True)
    make_event(invoice, reached, occurred_at=at(0))
    make_event(invoice, "213", occurred_at=at(1), reasons=FAULTY)
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == (reached, True)


def test_refusal_by_the_buyer_as_a_duplicate_is_no_rejection():
    invoice = heard("200", "203")
    make_event(invoice, "210", issuer_role="BY", reasons=DOUBLED)
    invoice.refresh_from_db()

    assert invoice.status == "210"


@pytest.mark.parametrize(("first", "status"), [("UncertainError", None), ("TemporaryError", "213")])
def test_of_an_invoice_told_twice_the_second_may_be_meant(first, status):
    invoice = make_invoice(direction="issued", holds_number=True)
    user = make_user()
    document = invoice.documents.create(kind="original", sha256="0" * 64, size=1)
    relay = RelayTask.objects.create(
        kind="invoice",
        invoice=invoice,
        connection=invoice.connection,
        document=document,
        prepared_by=user,
        sequence=0,
        state="sent",
    )
    for outcome in (first, "accepted"):
        RelayAttempt.objects.create(relay=relay, kind="send", started_at=timezone.now(), duration_ms=1, outcome=outcome)
    make_event(invoice, "213", reasons=DOUBLED)
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == (status, status is None)


def test_the_same_file_is_no_new_invoice_after_its_double_was_rejected(platform):
    customer = make_customer()
    line = make_line(customer, make_connection("scripted"))
    user = make_user(customer, "approver")
    content = SAMPLE.read_bytes().replace(b"905334413", customer.siren.encode())
    file = File(kind="original", content=content, media_type="application/xml", filename="f.xml")
    relay, _is_new = submissions.hand_in(user=user, submission=Submission(line=line, file=file))
    for status, reasons in (("200", ()), ("203", ()), ("205", ()), ("213", DOUBLED)):
        make_event(relay.invoice, status, reasons=reasons)

    with pytest.raises(CannotIssue) as refused:
        submissions.hand_in(user=user, submission=Submission(line=line, file=file))
    assert refused.value.duplicate_of == relay.invoice


def test_number_is_held_again_once_the_good_transmission_is_accepted():
    invoice = heard("213", holds_number=True)
    assert (invoice.status, invoice.holds_number) == ("213", False)
    make_event(invoice, "203", occurred_at=at(5))
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == ("203", True)


def test_number_that_another_bears_by_now_stays_with_it_and_both_say_so():
    customer = make_customer()
    name = {"number": "FA-7", "issue_date": date(2026, 10, 1), "customer": customer}
    invoice = heard("213", holds_number=True, **name)
    other = make_invoice(direction="issued", holds_number=True, provider_ref="", **name)
    make_event(invoice, "203", occurred_at=at(5))
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == ("203", False)
    assert (len(invoice.shown_warnings), len(other.shown_warnings)) == (1, 1)


def test_withdrawn_invoice_does_not_take_its_number_back():
    invoice = heard("213", holds_number=True)
    document = invoice.documents.create(kind="original", sha256="0" * 64, size=1)
    RelayTask.objects.create(
        kind="invoice",
        invoice=invoice,
        connection=invoice.connection,
        document=document,
        prepared_by=make_user(),
        sequence=0,
        state="cancelled",
    )
    make_event(invoice, "203", occurred_at=at(5))
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == ("203", False)


def test_invoice_closed_by_its_double_before_the_upgrade_is_opened_by_reading_again(capsys):
    invoice = heard("200", "205", "213", holds_number=True)
    Invoice.objects.filter(pk=invoice.pk).update(status="213", holds_number=False)
    call_command("reread_documents")
    invoice.refresh_from_db()

    assert (invoice.status, invoice.holds_number) == ("205", True)
    assert capsys.readouterr().out.splitlines()[-1] == "1 invoices stand otherwise now."
    call_command("reread_documents")
    assert capsys.readouterr().out == "0 invoices read again, 0 cannot be read.\n"

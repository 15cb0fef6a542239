"""A platform that is left: no new invoice through it, while statuses of earlier ones still go and come."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from invoices.drafting.issuing import CannotIssue
from invoices.people.desk import Desk
from lifecycle.decisions import services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.decisions.wishes import Wish
from lifecycle.outbox import relays, submissions
from lifecycle.outbox.submissions import Submission
from lifecycle.pages.issuing_forms import lines_for_issuing
from providers.contract.base import File
from providers.formats.en16931.writer import write_invoice
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_line, make_user
from tests.invoices.documents.issued import make_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(platform):
    return make_line(make_customer(), make_connection("scripted"))


@pytest.fixture
def approver(line):
    return make_user(line.customer, "approver")


def leave(line, days=0):
    line.connection.leaving_on = timezone.localdate() + timedelta(days=days)
    line.connection.save()


def hand_in(user, line, **values):
    file = File(kind="original", content=write_invoice(make_document(), "ubl"), media_type="text/xml", filename="f.xml")
    return submissions.hand_in(user=user, submission=Submission(line=line, file=file, **values))[0]


def test_no_new_invoice_goes_through_it(line, approver):
    leave(line)
    assert lines_for_issuing(Desk(approver)) == []
    with pytest.raises(CannotIssue) as refused:
        hand_in(approver, line)
    assert [(fault.code, fault.field) for fault in refused.value.faults] == [("leaving", "addressing_line")]


def test_until_the_day_it_takes_them(line, approver):
    leave(line, days=1)
    assert lines_for_issuing(Desk(approver)) == [line]
    assert hand_in(approver, line).state == "awaiting_approval"


def test_what_was_prepared_before_is_not_sent_any_more(line, approver):
    relay = hand_in(approver, line)
    leave(line)
    with pytest.raises(DecisionRefused):
        services.release(user=approver, relay_id=relay.pk)
    services.cancel(user=approver, relay_id=relay.pk)


def test_statuses_still_go_and_come(line, approver, platform):
    invoice = make_invoice(customer=line.customer, connection=line.connection, statuses=["203"])
    leave(line, days=-300)
    relay, _is_new = services.issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="204"))
    relays.drain()
    relay.refresh_from_db()
    make_event(invoice, "207", occurred_at=timezone.now())
    invoice.refresh_from_db()

    assert (relay.state, invoice.status) == ("sent", "207")


def test_page_says_it_with_the_year_that_is_owed(line, client):
    line.connection.leaving_on = date(2026, 10, 1)
    line.connection.save()
    client.force_login(make_user(line.customer, "administrator"))
    page = client.get("/connections/").content.decode()

    assert "en cours de départ 01/10/2026" in page
    assert "au moins jusqu’au 01/10/2027" in page

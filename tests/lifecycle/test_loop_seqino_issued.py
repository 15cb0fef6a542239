"""Invoices of ours on their way through Seqino: as files and as drafts, and when the answer gets lost."""

import json

import pytest
from django.utils import timezone

from invoices.drafting.issuing import CannotIssue
from invoices.models import AddressingLine, Invoice, Validation
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays, submissions
from lifecycle.outbox.submissions import Submission
from providers.contract.base import File
from providers.formats.en16931.writer import write_invoice
from tests.invoices.documents.issued import make_document
from tests.providers.seqino.samples import make_data

from .test_loop_seqino import OTHERS, OURS
from .test_loop_seqino import desk as desk

pytestmark = pytest.mark.django_db(transaction=True)


def hand_in(desk, content):
    line = AddressingLine.objects.select_related("customer", "connection").get(identifier=OURS)
    submission = Submission(line=line, file=File(kind="original", content=content, filename="facture"), submit=True)
    relay = submissions.hand_in(user=desk.approver, submission=submission)[0]
    Validation.objects.filter(document=relay.document).update(state="done", outcome="valid")
    RelayTask.objects.filter(pk=relay.pk).update(next_attempt_at=timezone.now())
    relays.drain()
    relay.refresh_from_db()
    return relay


def accepted(desk):
    return [row["count"] for row in desk.sandbox.control("calls")["accepted"]]


def test_file_is_handed_in_and_its_statuses_come(desk):
    relay = hand_in(desk, write_invoice(make_document(), "ubl"))
    invoice = relay.invoice
    desk.work(lambda: desk.status(invoice) == "200")
    desk.say(Invoice.objects.get(pk=invoice.pk), "203")
    desk.work(lambda: desk.status(invoice) == "203")
    invoice.refresh_from_db()
    assert (invoice.direction, invoice.document_state, Invoice.objects.count()) == ("issued", "read", 1)
    assert RelayTask.objects.get(pk=relay.pk).state == RelayState.CONFIRMED
    assert accepted(desk) == [1]


def test_lost_answer_is_not_repeated_and_the_bell_brings_the_invoice(desk):
    desk.sandbox.control("faults", kind="cut_after", path="POST .*submit")
    relay = hand_in(desk, write_invoice(make_document(), "ubl"))
    desk.work(lambda: RelayTask.objects.get(pk=relay.pk).state == RelayState.CONFIRMED)
    invoice = Invoice.objects.get()
    assert (invoice.pk, invoice.provider_ref[:4], accepted(desk)) == (relay.invoice_id, "inv_", [1])


def test_lost_answer_without_a_bell_waits_for_a_person(desk, monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    desk.sandbox.control("faults", kind="cut_before", path="POST .*submit")
    relay = hand_in(desk, write_invoice(make_document(), "ubl"))
    desk.work(lambda: RelayTask.objects.filter(pk=relay.pk, state="uncertain", next_attempt_at=None).exists())
    assert accepted(desk) == []


def test_json_goes_by_way_of_a_draft(desk):
    desk.provision(enable_drafts=True)
    relay = hand_in(desk, json.dumps(make_data(seller=OURS, buyer=OTHERS)).encode())
    desk.work(lambda: desk.status(relay.invoice) == "200")
    invoice = Invoice.objects.get()
    assert (invoice.number, invoice.document_state, accepted(desk)) == ("F-2026-0042", "read", [1])
    paths = [call["path"] for call in desk.sandbox.control("calls")["calls"] if "/drafts" in call["path"]]
    assert [path.rpartition("/")[2] for path in paths] == ["validate-data", "drafts", "validate"]


def test_json_is_refused_where_drafts_are_not_enabled(desk):
    with pytest.raises(CannotIssue, match="JSON"):
        hand_in(desk, json.dumps(make_data(seller=OURS, buyer=OTHERS)).encode())

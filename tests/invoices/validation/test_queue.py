"""Files that wait for their verdict: asked for when stored, one at a time, tried again, given up."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone
from django_q.models import OrmQ

from invoices.models import Invoice, InvoiceDocument, Validation
from invoices.register.services import store_document
from invoices.tasks import drain_validations
from invoices.validation import services
from invoices.validation.rule_sets import rules_version
from lifecycle import tasks
from providers.connections import nudge
from providers.contract.base import File
from tests.factories import make_invoice
from tests.scripted import together

pytestmark = pytest.mark.django_db

UBL = (Path(__file__).parents[2] / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


def stored(content=UBL, kind="original", invoice=None):
    return store_document(invoice=invoice or make_invoice(), file=File(kind=kind, content=content))


def long_ago():
    return timezone.now() - timedelta(hours=1)


def test_stored_original_waits_and_gets_its_verdict():
    document = stored()
    assert [(row.state, row.outcome) for row in document.validations.all()] == [("waiting", "")]

    assert drain_validations() == 1

    row = document.validations.get()
    assert (row.state, row.outcome, row.syntax, row.rules_version) == ("done", "invalid", "ubl", rules_version())
    assert row.checked == ["XSD UBL 2.1 Invoice", "EN 16931", "BR-FR-Flux2"]
    assert (row.leased_until, row.error, row.checked_at > row.created_at) == (None, "", True)
    assert Invoice.objects.get().validation == "invalid"


def test_verdict_moves_the_invoice_in_the_feed_of_changes():
    invoice = stored().invoice
    Invoice.objects.update(updated_at=long_ago())
    drain_validations()

    assert Invoice.objects.get().updated_at > invoice.updated_at


@pytest.mark.parametrize("kind", ["converted", "readable", "attachment"])
def test_other_files_are_not_checked(kind):
    stored(kind=kind)

    assert not Validation.objects.exists()


def test_same_file_twice_is_asked_for_once():
    invoice = make_invoice()
    for _time in range(2):
        stored(invoice=invoice)

    assert (Validation.objects.count(), drain_validations(), drain_validations()) == (1, 1, 0)


def test_unreadable_file_gets_a_verdict_too():
    document = stored(b"not an invoice")
    drain_validations()

    row = document.validations.get()
    assert (row.state, row.outcome, row.findings[0]["rule"]) == ("done", "unreadable", "malformed")
    assert Invoice.objects.get().validation == "unreadable"


def test_second_original_does_not_speak_for_the_invoice():
    invoice = make_invoice()
    for content in (UBL, b"nonsense"):
        stored(content, invoice=invoice)

    assert drain_validations() == 2
    assert Invoice.objects.get().validation == "invalid"


def test_missing_file_is_tried_again_later_and_given_up_at_last():
    document = stored()
    default_storage.delete(document.file.name)
    for attempt in range(1, services.MAX_CLAIMS + 1):
        assert (drain_validations(), document.validations.get().attempts) == (1, attempt)
        Validation.objects.update(next_attempt_at=long_ago())

    row = document.validations.get()
    assert (row.state, row.outcome, Invoice.objects.get().validation) == ("given_up", "", "")
    assert [word in row.error for word in (str(services.MAX_CLAIMS), "FileNotFoundError")] == [True, True]


def test_failed_file_does_not_hold_up_the_next():
    default_storage.delete(stored().file.name)
    good = stored(b"<a/>")

    assert drain_validations() == 2
    assert good.validations.get().state == "done"


def test_file_that_ended_its_worker_twice_is_given_up():
    document = stored()
    for _time in range(services.MAX_ENDED_WORKERS):
        assert services.claim() is not None
        Validation.objects.update(leased_until=long_ago())

    assert drain_validations() == 0
    assert document.validations.get().state == "given_up"


def test_file_that_ended_its_worker_comes_after_all_others():
    first, second = stored(), stored(b"<a/>")
    assert services.claim().document == first
    Validation.objects.filter(document=first).update(leased_until=long_ago())

    assert services.claim().document == second


def test_while_one_file_is_checked_no_other_is_taken_up():
    stored()
    stored()
    assert services.claim() is not None

    assert services.claim() is None


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_meet_one_takes_the_file():
    stored()
    claims = together(*[partial(services.claim)] * 4)

    assert sum(claim is not None for claim in claims) == 1


def test_newer_rules_replace_what_waited_for_older_ones():
    document = stored()
    Validation.objects.update(rules_version="factur-x 1.0")
    drain_validations()

    assert [(row.rules_version, row.state) for row in document.validations.all()] == [(rules_version(), "done")]


def test_verdict_of_older_rules_is_kept_beside_the_new_one():
    document = stored()
    drain_validations()
    Validation.objects.update(rules_version="factur-x 1.0")
    services.ask_again(document)
    drain_validations()

    assert sorted(row.rules_version for row in document.validations.filter(state="done")) == sorted(
        ["factur-x 1.0", rules_version()]
    )


def test_given_up_file_can_be_asked_for_again():
    document = stored()
    Validation.objects.update(state="given_up", attempts=5, error="x")
    services.ask_again(document)

    assert [(row.state, row.attempts, row.error) for row in document.validations.all()] == [("waiting", 0, "")]


def test_sweep_wakes_the_worker_for_what_a_lost_nudge_left():
    stored()
    nudge._last.clear()
    tasks.sweep()

    (task,) = [row.task for row in OrmQ.objects.all() if row.func() == services.DRAIN_TASK]
    assert (task["func"], task["timeout"]) == ("invoices.tasks.drain_validations", services.TASK_SECONDS)
    assert settings.Q_CLUSTER["retry"] > services.TASK_SECONDS + services.DRAIN_SECONDS


def test_sweep_leaves_the_worker_alone_where_nothing_waits():
    tasks.sweep()

    assert services.DRAIN_TASK not in [row.func() for row in OrmQ.objects.all()]


def test_originals_from_before_validation_are_found():
    document = stored()
    assert list(services.never_checked()) == []
    Validation.objects.all().delete()

    assert list(services.never_checked()) == [document]
    assert InvoiceDocument.objects.count() == 1

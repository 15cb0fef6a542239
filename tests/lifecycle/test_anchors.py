"""A history that was cut, rewritten or taken back is found, even by somebody who may write to the database."""

import io
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core import mail
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import IntegrityError, ProgrammingError, transaction
from django.db import connection as database
from django.utils import timezone

from invoices.models import Invoice
from invoices.register.services import reread, store_document
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.history import anchors, events, exchanges, seals
from lifecycle.models import HistoryAnchor, PurgedInvoice, RelayState, RelayTask
from lifecycle.outbox import relays
from providers.contract.base import File, Receipt, UncertainError
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_user
from tests.scripted import platform as platform

SAMPLE = Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml"

pytestmark = pytest.mark.django_db

CHANGE = "UPDATE lifecycle_statusevent SET status = %s, note = %s, previous_hash = %s, hash = %s WHERE id = %s"


@pytest.fixture(autouse=True)
def _own_shelf(monkeypatch, settings, tmp_path):
    fake_provider.register(monkeypatch)
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "einvoice_project.storage.Shelf", "OPTIONS": {"location": tmp_path}},
    }
    monkeypatch.setattr(anchors, "default_storage", default_storage)


@pytest.fixture
def connection():
    return make_connection()


@pytest.fixture
def invoice(connection):
    return make_invoice(make_customer(), connection, ["200", "202", "203", "205", "212"])


def as_owner(*statements):
    """What whoever owns the tables can do."""
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for change in ("DISABLE", "ENABLE"):
            for table in ("lifecycle_statusevent", "lifecycle_relayattempt"):
                cursor.execute(f"ALTER TABLE {table} {change} TRIGGER USER")
            for sql, *values in statements if change == "DISABLE" else ():
                cursor.execute(sql, values)


def cut(invoice, after):
    as_owner(
        ("DELETE FROM lifecycle_seenreport WHERE invoice_id = %s", invoice.pk),
        ("DELETE FROM lifecycle_statusevent WHERE invoice_id = %s AND sequence > %s", invoice.pk, after),
    )


def verify(*options):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("verify_history", *options, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def rehash_from(invoice, sequence, **changes):
    """Change an event and hash it and all that follow anew, as only the owner can."""
    previous = ""
    for event in invoice.status_events.order_by("sequence"):
        if event.sequence >= sequence:
            for name, value in changes.items() if event.sequence == sequence else ():
                setattr(event, name, value)
            event.previous_hash = previous
            event.hash = event.compute_hash()
            values = [event.status, event.note, event.previous_hash, event.hash, event.pk]
            as_owner((CHANGE, *values))
        previous = event.hash


def test_whole_history_is_vouched_for(invoice):
    anchors.make()

    code, out, err = verify()

    assert [code, err] == [0, ""]
    assert "vouched for until" in out


def test_cut_tail_is_found_at_once(invoice):
    cut(invoice, 3)

    code, _out, err = verify()

    assert code == 1
    assert f"{invoice.pk} {invoice}: it ends at event 3, and 5 were recorded" in err


def test_cut_tail_with_the_count_set_back_is_found_by_the_seal(invoice):
    cut(invoice, 3)
    Invoice.objects.update(head_sequence=3)

    assert events.find_break(Invoice.objects.get()) == "its end, event 3, was not sealed by us"


def test_cut_tail_with_an_old_seal_put_back_is_found_by_the_anchor(connection):
    invoice = make_invoice(make_customer(), connection, ["200", "202"])
    old = Invoice.objects.values("head_sequence", "head_seal", "status", "status_at").get()
    make_event(invoice, "205")
    anchors.make()
    cut(invoice, 2)
    Invoice.objects.update(**old)

    code, _out, err = verify()

    assert [code, events.find_break(Invoice.objects.get())] == [1, ""]
    assert err == f"BROKEN invoice {invoice.pk}: event 3, which anchor 1 holds, is gone\n"


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_rehashed_history_is_found(invoice, sequence):
    rehash_from(invoice, sequence, note="rewritten")

    assert events.find_break(Invoice.objects.get()) == "its end, event 5, was not sealed by us"


def test_removed_seal_is_no_way_out(invoice):
    rehash_from(invoice, 5, status="210")
    Invoice.objects.update(head_seal="")

    assert events.find_break(Invoice.objects.get()) == "its end, event 5, carries no seal"


def test_event_removed_from_the_middle_is_found(invoice):
    as_owner(
        ("DELETE FROM lifecycle_seenreport",),
        ("DELETE FROM lifecycle_statusevent WHERE sequence = 3",),
    )

    assert events.find_break(Invoice.objects.get()) == "event 3 is missing"


def test_events_that_changed_places_are_found(invoice):
    as_owner(
        ("UPDATE lifecycle_statusevent SET sequence = 99 WHERE sequence = 2",),
        ("UPDATE lifecycle_statusevent SET sequence = 2 WHERE sequence = 3",),
        ("UPDATE lifecycle_statusevent SET sequence = 3 WHERE sequence = 99",),
    )

    assert events.find_break(Invoice.objects.get()) != ""


def test_event_inserted_at_the_end_is_found(invoice):
    last = invoice.status_events.get(sequence=5)
    last.pk, last.sequence, last.previous_hash, last.note = uuid4(), 6, last.hash, "inserted"
    last.hash = last.compute_hash()
    last.save(force_insert=True)

    assert events.find_break(Invoice.objects.get()) == "its end, event 6, was not sealed by us"


def test_emptied_table_is_found(invoice):
    anchors.make()
    cut(invoice, 0)
    Invoice.objects.update(head_sequence=0, head_seal="", status=None)

    code, _out, err = verify()

    assert [code, err] == [1, f"BROKEN invoice {invoice.pk}: event 5, which anchor 1 holds, is gone\n"]


def test_database_taken_back_to_before_the_anchor_is_found(invoice):
    anchors.make()
    HistoryAnchor.objects.all().delete()

    code, _out, err = verify()

    assert [code, err] == [1, "BROKEN anchor 1 is not in the database: the database is older than this anchor\n"]


def anchor_twice(invoice):
    first = anchors.make()
    make_event(invoice, "207")
    return first, anchors.make()


def test_second_anchor_holds_what_changed_and_names_the_first(invoice):
    first, second = anchor_twice(invoice)

    kept = list(anchors.kept())

    assert [each.number for each in kept] == [first.number, second.number]
    assert kept[1].previous == first.sha256
    assert {head[:2] for head in kept[1].heads} >= {(str(invoice.pk), 6)}
    assert verify()[0] == 0


def test_removed_anchor_is_missed(invoice):
    first, _second = anchor_twice(invoice)
    path = default_storage.path(first.file)
    default_storage.delete(first.file)

    code, _out, err = verify()

    assert code == 1, path
    assert "anchor 1: its file is gone" in err
    assert "an anchor is missing" in err


def test_changed_anchor_is_found(invoice, tmp_path):
    anchor = anchors.make()
    path = tmp_path / anchor.file
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b" ")

    code, _out, err = verify()

    assert code == 1
    assert f"anchor {anchor.number} is not the one that was made" in err


def test_forged_anchor_is_not_signed_by_us(invoice, settings, tmp_path):
    ours = settings.HISTORY_KEYS
    settings.HISTORY_KEYS = ["somebody else's key, long enough to be one"]
    anchors.make()
    settings.HISTORY_KEYS = ours

    assert "is not signed with a key of HISTORY_KEYS" in verify()[2]


def test_anchor_is_made_when_due_and_only_if_something_changed(invoice):
    made = anchors.make_due()
    too_soon = anchors.make_due()
    HistoryAnchor.objects.update(made_at=timezone.now() - timedelta(hours=2))
    again = anchors.make_due()
    HistoryAnchor.objects.update(made_at=timezone.now() + timedelta(minutes=1))

    assert made is not None
    assert too_soon is None
    assert again is not None
    assert anchors.make() is None


def test_anchor_is_mailed_outside(invoice, settings):
    settings.ANCHOR_MAIL = ["audit@example.test"]

    anchor = anchors.make()

    assert [anchor.sha256 in mail.outbox[0].body, mail.outbox[0].to] == [True, ["audit@example.test"]]


def test_purged_invoice_is_not_missed(invoice):
    anchors.make()
    PurgedInvoice.objects.create(
        id=invoice.pk, customer=invoice.customer, direction="received", kept_until=timezone.localdate(), events=5
    )
    cut(invoice, 0)
    Invoice.objects.update(head_sequence=0, head_seal="", status=None)

    assert verify()[0] == 0


# --- what was said and answered ---------------------------------------------------------------------------------------


@pytest.fixture
def told(platform):
    """A decision that its platform has taken."""
    invoice = make_invoice(make_customer(), make_connection("scripted"), ["203"])
    user = make_user(invoice.customer, "approver")
    relay, _new = issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))
    platform.answer("send", Receipt(reference="taken-1", text="Taken"))
    relays.drain()
    relay.refresh_from_db()
    assert relay.tries_made == 1
    return relay


def tamper(table, assignment):
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} SET {assignment}")  # noqa: S608 -- from the table below
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.mark.parametrize(
    ("table", "assignment", "problem"),
    [
        ("lifecycle_relayattempt", "answer = 'forged'", "try 1 was changed after it was written"),
        ("lifecycle_relayattempt", "started_at = started_at - interval '30 days'", "try 1 was changed"),
        ("lifecycle_relayattempt", "receipt = '{}'", "try 1 was changed"),
        ("lifecycle_relaytask", "receipt = jsonb_set(receipt, '{reference}', '\"forged\"')", "its receipt is none"),
        ("lifecycle_relaytask", "sent_at = sent_at - interval '30 days'", "the time at which it was sent is none"),
        ("lifecycle_relaytask", "tries_seal = ''", "its last try carries no seal"),
        ("lifecycle_relaytask", "tries_made = 2", "1 tries are there, and 2 were recorded"),
    ],
)
def test_changed_exchange_is_found(told, table, assignment, problem):
    before = verify()[0]
    tamper(table, assignment)

    code, _out, err = verify()

    assert [before, code] == [0, 1]
    assert problem in err


RELEASE_OWN = """
    UPDATE lifecycle_relaytask SET released_by_id = event.actor_id FROM lifecycle_statusevent AS event
    WHERE event.id = event_id
"""


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE invoices_invoice SET status = '210'"], "it is shown as 210, and its history makes it 204"),
        (["UPDATE lifecycle_relaytask SET state = 'cancelled'"], "it is shown as 204, and its history makes it 203"),
        (["UPDATE invoices_invoice SET status_at = status_at - interval '1 day'"], "it is shown as 204 since"),
        (["UPDATE lifecycle_relaytask SET deadline_at = now() + interval '9 days'"], "its legal deadline is shown as"),
        (["UPDATE lifecycle_relaytask SET spoke_at = spoke_at - interval '1 hour'"], "the time at which it spoke"),
        (["UPDATE lifecycle_relaytask SET spoke_at = spoke_at + interval '1 hour'"], "the time at which it spoke"),
        (["UPDATE lifecycle_relaytask SET confirmed_at = now() - interval '9 days'"], "it is shown as confirmed at"),
        (["UPDATE lifecycle_relaytask SET confirmed_at = now() + interval '9 days'"], "it is shown as confirmed at"),
        ([RELEASE_OWN], "it was released by whom it was decided by"),
        (
            ["DELETE FROM lifecycle_relayattempt", "DELETE FROM lifecycle_relaytask"],
            "what event 2 decided is there, and the relay that tells it is not",
        ),
    ],
)
def test_what_is_shown_against_the_history_is_found(told, statements, problem):
    before = verify()[0]
    as_owner(*((statement,) for statement in statements))

    code, _out, err = verify()

    assert [before, code] == [0, 1]
    assert problem in err


def test_total_that_its_file_does_not_say_is_found(platform):
    invoice = make_invoice(make_customer(), make_connection("scripted"), ["203"])
    store_document(
        invoice=invoice,
        file=File(kind="original", content=SAMPLE.read_bytes(), media_type="application/xml", filename="f.xml"),
    )
    assert reread(invoice.pk)
    before = verify("--files")[0]
    as_owner(("UPDATE invoices_invoice SET total_with_vat = 1",))

    code, _out, err = verify("--files")

    assert [before, code] == [0, 1]
    assert "its total_with_vat is shown as 1.00, and its file says" in err


def test_database_refuses_to_change_a_try(told):
    for statement in ("UPDATE lifecycle_relayattempt SET answer = 'x'", "DELETE FROM lifecycle_relayattempt"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), database.cursor() as cursor:
            cursor.execute(statement)


def test_removed_try_with_the_old_end_put_back_is_found_by_the_anchor(told):
    anchors.make()
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_relayattempt DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM lifecycle_relayattempt")
        cursor.execute("ALTER TABLE lifecycle_relayattempt ENABLE TRIGGER USER")
    RelayTask.objects.update(tries_made=0, tries_hash="", tries_seal="", receipt=None, sent_at=None)

    assert f"relay {told.pk}: the try that anchor 1 holds is gone or was changed" in verify()[2]


def test_history_of_tries_stays_whole_over_many(told, platform):
    for outcome in (Receipt(reference="taken-2"), UncertainError("No answer"), None):
        platform.answer("find", outcome)
        RelayTask.objects.update(state=RelayState.UNCERTAIN, next_attempt_at=timezone.now(), leased_until=None)
        relays.drain()
    told.refresh_from_db()

    assert told.tries_made == 4
    assert exchanges.find_break(told) == ""


# --- keys -------------------------------------------------------------------------------------------------------------

OLD, NEW = "an old key that is at least long enough", "a new key that is at least long enough"


def test_new_key_checks_and_seals_anew_what_the_old_one_sealed(settings, connection):
    settings.HISTORY_KEYS = [OLD]
    invoice = make_invoice(make_customer(), connection, ["200"])
    settings.HISTORY_KEYS = [NEW, OLD]
    both = events.find_break(invoice)

    code = verify("--reseal")[0]
    settings.HISTORY_KEYS = [NEW]

    assert [both, code, events.find_break(Invoice.objects.get())] == ["", 0, ""]


def test_lost_key_is_said(settings, connection):
    settings.HISTORY_KEYS = [OLD]
    invoice = make_invoice(make_customer(), connection, ["200"])
    settings.HISTORY_KEYS = [NEW]

    assert events.find_break(invoice) == "its end, event 1, is sealed with a key that is not in HISTORY_KEYS"


def test_broken_history_is_never_sealed_anew(settings, connection):
    settings.HISTORY_KEYS = [OLD]
    invoice = make_invoice(make_customer(), connection, ["200", "202"])
    settings.HISTORY_KEYS = [NEW, OLD]
    cut(invoice, 1)

    verify("--reseal")

    assert events.find_break(Invoice.objects.get()) == "it ends at event 1, and 2 were recorded"


def test_signature_fits_its_content_alone():
    signed = seals.sign(b"content")

    assert [seals.is_signed(b"content", signed), seals.is_signed(b"Content", signed)] == [True, False]
    assert [seals.is_signed(b"content", broken) for broken in (None, {}, {"public_key": "zz", "signature": ""})] == [
        False
    ] * 3


# --- roles ------------------------------------------------------------------------------------------------------------

ROLES = (Path(settings.BASE_DIR) / "deploy" / "roles.sql").read_text()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lifecycle_statusevent SET note = 'x'",
        "DELETE FROM lifecycle_statusevent",
        "TRUNCATE lifecycle_statusevent CASCADE",
        "ALTER TABLE lifecycle_statusevent DISABLE TRIGGER USER",
        "DROP TRIGGER status_events_are_append_only ON lifecycle_statusevent",
        "DELETE FROM lifecycle_historyanchor",
    ],
)
def test_role_of_web_and_workers_adds_to_the_history_and_does_nothing_else(connection, invoice, statement):
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("CREATE ROLE navette_app")
        cursor.execute(ROLES)
        cursor.execute("SET ROLE navette_app")
        make_event(invoice, "207")
        with pytest.raises(ProgrammingError), transaction.atomic():
            cursor.execute(statement)
        cursor.execute("RESET ROLE")

    assert [invoice.status_events.count(), events.find_break(Invoice.objects.get())] == [6, ""]

"""The inbox: every push is worked on, none stops another, and none is lost."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection as database
from django.utils import timezone

from invoices.models import Invoice
from lifecycle import tasks
from lifecycle.history import events
from lifecycle.inbox import deliveries
from lifecycle.inbox.calling import Calls
from lifecycle.models import StatusEvent
from providers.connections.services import open_hook, store_delivery
from providers.contract.base import File, HookRequest, Party, PermanentError, StatusReport
from providers.models import Connection, WebhookDelivery
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_invoice, make_line, make_user
from tests.scripted import together

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml"


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


@pytest.fixture
def push(connection):
    """Store a push as the door does; returns the row."""
    hook, _new = open_hook(connection=connection)

    def push(key, **body):
        lane = "fetch" if "bells" in body or "at" in body else "ingest"
        body = json.dumps({"key": key, **body}).encode()
        pushed = HookRequest(method="POST", url=hook.url, headers={}, body=body, received_at=timezone.now())
        store_delivery(hook=hook, pushed=pushed, key=key, lane=lane)
        return WebhookDelivery.objects.get(connection=connection, key=key)

    return push


def row_of(row):
    return WebhookDelivery.objects.get(pk=row.pk)


def state_of(row):
    return row_of(row).state


def make_due():
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())


def end_leases():
    """As if the workers had died and the time had passed."""
    WebhookDelivery.objects.exclude(leased_until=None).update(leased_until=timezone.now() - timedelta(seconds=1))


def end_outage():
    """As if the pause before the next probe were over."""
    Connection.objects.exclude(probe_at=None).update(probe_at=timezone.now())


def ask_for(rows):
    """One run of the lane for what was claimed before."""
    with Calls(each=2) as calls:
        run = deliveries.Run(calls)
        run.begin(rows)
        while calls:
            run.go_on()


def statuses(ref):
    events = StatusEvent.objects.filter(invoice__provider_ref=ref).order_by("sequence")
    return [event.status for event in events]


def report(ref, status, **values):
    return StatusReport(provider_ref=ref, status=status, **values)


# --- the usual --------------------------------------------------------------------------------------------------------


def test_bell_of_a_new_invoice_brings_everything(push, far_end):
    original = File(kind="original", content=SAMPLE.read_bytes(), media_type="application/xml", filename="f.xml")
    far_end.has("inv-1", report("inv-1", "200", key="1"), report("inv-1", "203", key="2"), files=(original,))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])

    assert deliveries.drain() == 1
    invoice = Invoice.objects.get(provider_ref="inv-1")
    assert (invoice.status, invoice.document_state, invoice.documents.count()) == ("203", "read", 1)
    done = row_of(row)
    assert (done.state, done.error, done.attempts, done.leased_until) == ("processed", "", 1, None)
    assert done.processed_at is not None


def test_bell_of_a_known_invoice_asks_for_its_history_only(push, far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read")
    far_end.has("inv-1", report("inv-1", "204", key="1"))
    push("d1", bells=[{"ref": "inv-1"}])
    deliveries.drain()

    assert (far_end.asked, statuses("inv-1")) == ([("statuses", "inv-1")], ["204"])


def test_bells_of_one_batch_ask_once_per_invoice(push, far_end):
    far_end.has("inv-1", report("inv-1", "203", key="1"))
    rows = [push(f"d{number}", bells=[{"ref": "inv-1", "new": True}]) for number in range(5)]
    deliveries.drain()

    assert far_end.asked == [("invoice", "inv-1"), ("files", "inv-1"), ("statuses", "inv-1")]
    assert {state_of(row) for row in rows} == {"processed"}


def test_same_push_twice_is_one_row(push, far_end):
    far_end.has("inv-1")
    for _time in range(2):
        push("d1", bells=[{"ref": "inv-1", "new": True}])

    assert (deliveries.drain(), deliveries.drain(), WebhookDelivery.objects.count()) == (1, 0, 1)


def test_push_of_no_concern_is_ignored_with_the_reason(push):
    row = push("d1", ignored="Onboarding of a company.")
    deliveries.drain()

    assert (state_of(row), row_of(row).error) == ("ignored", "Onboarding of a company.")


def test_push_with_the_news_itself_is_recorded(push, connection):
    make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    push("d1", statuses=[{"ref": "inv-1", "status": "207", "note": "Voir BL"}])
    deliveries.drain()

    assert statuses("inv-1") == ["203", "207"]


def test_unknown_word_is_stored_without_status(push, connection):
    invoice = make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    row = push("d1", statuses=[{"ref": "inv-1", "word": "MARINATED"}])
    deliveries.drain()

    event = invoice.status_events.last()
    invoice.refresh_from_db()
    assert (event.status, event.native_status, invoice.status, state_of(row)) == (None, "MARINATED", "203", "processed")


def test_same_undated_news_in_two_pushes_is_two_facts_and_a_replay_none(push, connection):
    make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    rows = [push(key, statuses=[{"ref": "inv-1", "status": "207"}]) for key in ("d1", "d2")]
    deliveries.drain()
    assert statuses("inv-1") == ["203", "207", "207"]

    for row in rows:
        deliveries.replay(user=make_user(is_superuser=True), delivery_id=row.pk)
    deliveries.drain()
    assert statuses("inv-1") == ["203", "207", "207"]


# --- news that comes before the history shows it ----------------------------------------------------------------------


def test_news_before_the_history_shows_it_waits_then_is_recorded(push, far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    far_end.has("inv-1")
    row = push("d1", bells=[{"ref": "inv-1", "hint": {"status": "205", "word": "OK"}}])
    for attempt in range(1, deliveries.HISTORY_PATIENCE + 1):
        make_due()
        deliveries.drain()
        assert (state_of(row), row_of(row).attempts, statuses("inv-1")) == ("received", attempt, ["203"])

    make_due()
    deliveries.drain()
    assert (state_of(row), statuses("inv-1")) == ("processed", ["203", "205"])

    far_end.has("inv-1", report("inv-1", "205", native_status="205", issuer_role="BY", occurred_at=timezone.now()))
    push("d2", bells=[{"ref": "inv-1"}])
    deliveries.drain()
    assert statuses("inv-1") == ["203", "205"]


def test_history_that_catches_up_tells_the_news_itself(push, far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    far_end.answer("fetch_statuses", (), (report("inv-1", "205", occurred_at=timezone.now()),))
    row = push("d1", bells=[{"ref": "inv-1", "hint": {"status": "205"}}])
    deliveries.drain()
    make_due()
    deliveries.drain()

    assert (state_of(row), statuses("inv-1")) == ("processed", ["203", "205"])


def test_old_dispute_in_the_history_is_not_the_new_one(push, far_end, connection):
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read", statuses=["203"])
    now = timezone.now()
    far_end.has("inv-1", report("inv-1", "207", occurred_at=now - timedelta(days=9)))
    row = push("d1", bells=[{"ref": "inv-1", "hint": {"status": "207", "at": now.isoformat()}}])
    deliveries.drain()

    assert state_of(row) == "received"


# --- crashes and poison -----------------------------------------------------------------------------------------------


def test_claim_survives_a_crash_and_is_counted(push, far_end):
    far_end.has("inv-1")
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    (claimed,) = deliveries.claim(lane="fetch")
    assert (claimed.pk, row_of(row).attempts, deliveries.claim(lane="fetch")) == (row.pk, 1, [])

    end_leases()
    deliveries.drain()
    assert (state_of(row), row_of(row).attempts) == ("processed", 2)


def test_delivery_that_kills_its_worker_is_quarantined_and_its_neighbours_pass(push, connection):
    for number in range(3):
        make_invoice(connection=connection, provider_ref=f"inv-{number}", statuses=["203"])
    neighbours = [push(f"d{number}", statuses=[{"ref": f"inv-{number}", "status": "205"}]) for number in range(3)]
    poison = push("poison")

    def worker():
        """One that dies of the poison, whatever else it had taken up."""
        while rows := deliveries.claim():
            if any(row.pk == poison.pk for row in rows):
                return
            deliveries._ingest(rows)

    for _time in range(deliveries.MAX_CLAIMS + 3):
        worker()
        end_leases()

    assert {state_of(row) for row in neighbours} == {"processed"}
    assert max(row_of(row).attempts for row in neighbours) == 2
    after = row_of(poison)
    assert (after.state, after.attempts) == ("quarantined", deliveries.MAX_CLAIMS)
    assert str(deliveries.MAX_CLAIMS) in after.error


def test_expired_claim_is_taken_alone(push):
    for number in range(3):
        push(f"d{number}")
    assert len(deliveries.claim()) == 3
    end_leases()

    assert [len(deliveries.claim()) for _time in range(4)] == [1, 1, 1, 0]


def test_fault_of_our_own_code_stays_on_its_row(push, far_end, caplog):
    far_end.answer("parse", lambda body: ZeroDivisionError("oops") if body["key"] == "bad" else None)
    far_end.has("inv-1")
    bad, good = push("bad"), push("good", bells=[{"ref": "inv-1", "new": True}])
    deliveries.drain()

    assert (state_of(good), state_of(bad)) == ("processed", "received")
    assert row_of(bad).error.endswith("ZeroDivisionError: oops")

    for _time in range(deliveries.MAX_CLAIMS):
        make_due()
        deliveries.drain()
    assert (state_of(bad), row_of(bad).attempts) == ("quarantined", deliveries.MAX_CLAIMS)


def test_result_after_the_lease_was_lost_is_not_written(push, far_end):
    far_end.has("inv-1")
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    slow = deliveries.claim(lane="fetch")
    end_leases()
    (quick,) = deliveries.claim(lane="fetch")
    ask_for(slow)
    assert (state_of(row), row_of(row).leased_until) == ("received", quick.leased_until)

    ask_for([quick])
    assert (state_of(row), Invoice.objects.count()) == ("processed", 1)


@pytest.mark.parametrize("broken", [{"kind": "nobody-speaks-this"}, {"secrets": "gAAAAABm"}], ids=["kind", "lost key"])
def test_connection_that_cannot_be_set_up_stops_nobody(push, far_end, broken, connection):
    far_end.has("inv-1")
    good = push("good", bells=[{"ref": "inv-1", "new": True}])
    other = make_connection("scripted")
    bad = WebhookDelivery.objects.create(connection=other, key="bad", url="", body=b'{"key": "bad"}')
    with database.cursor() as cursor:
        for column, value in broken.items():
            cursor.execute(
                f"UPDATE providers_connection SET {column} = %s WHERE id = %s",  # noqa: S608 - our own names
                [value, other.pk],
            )
    deliveries.drain()

    assert state_of(good) == "processed"
    assert state_of(bad) == ("received" if "kind" in broken else "processed")


@pytest.mark.django_db(transaction=True)
def test_two_workers_claim_different_deliveries(push):
    rows = [push(f"d{number}") for number in range(20)]
    claimed = [row.pk for rows in together(*[partial(deliveries.claim, 6)] * 4) for row in rows]

    assert (len(claimed), set(claimed)) == (20, {row.pk for row in rows})


@pytest.mark.django_db(transaction=True)
def test_many_workers_process_everything_once(push, far_end):
    for number in range(10):
        far_end.has(f"inv-{number}", report(f"inv-{number}", "203", occurred_at=timezone.now()))
    rows = [push(f"d{number}", bells=[{"ref": f"inv-{number % 10}", "new": True}]) for number in range(30)]
    done = together(*[partial(deliveries.drain, 4)] * 4)

    assert sum(done) == 30
    assert {state_of(row) for row in rows} == {"processed"}
    assert (Invoice.objects.count(), StatusEvent.objects.count()) == (10, 10)


# --- what cannot be taken in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [{"statuses": [{"ref": "inv-9", "status": "205"}]}, {"bells": [{"ref": "inv-9"}]}],
    ids=["report", "bell"],
)
def test_news_of_an_unknown_invoice_is_quarantined_at_once_and_woken_when_it_appears(push, far_end, body):
    row = push("d1", **body)
    deliveries.drain()
    waiting = row_of(row)
    assert (waiting.state, waiting.waits_for, waiting.attempts, "inv-9" in waiting.error) == (
        "quarantined", "inv-9", 1, True,
    )  # fmt: skip

    far_end.has("inv-9")
    push("d2", bells=[{"ref": "inv-9", "new": True}])
    deliveries.drain()
    assert (state_of(row), row_of(row).waits_for, row_of(row).error) == ("processed", "", "")


def test_news_of_an_unknown_invoice_is_woken_by_the_sweep(push, connection):
    row = push("d1", statuses=[{"ref": "inv-9", "status": "205"}])
    deliveries.drain()
    tasks.sweep()
    assert state_of(row) == "quarantined"

    make_invoice(connection=connection, provider_ref="inv-9")  # by a door that wakes nobody
    tasks.sweep()
    assert (state_of(row), statuses("inv-9")) == ("processed", ["205"])


def test_invoice_of_the_same_name_on_another_connection_wakes_nobody(push):
    row = push("d1", statuses=[{"ref": "inv-9", "status": "205"}])
    deliveries.drain()
    make_invoice(connection=make_connection("scripted"), provider_ref="inv-9")
    tasks.sweep()

    assert (state_of(row), statuses("inv-9")) == ("quarantined", [])


def test_known_news_beside_an_unknown_invoice_is_recorded_now(push, connection):
    make_invoice(connection=connection, provider_ref="inv-1", statuses=["203"])
    row = push("d1", statuses=[{"ref": "inv-9", "status": "205"}, {"ref": "inv-1", "status": "204"}])
    deliveries.drain()

    assert (statuses("inv-1"), state_of(row), row_of(row).waits_for) == (["203", "204"], "quarantined", "inv-9")


def test_broken_document_keeps_the_invoice_and_the_bytes(push, far_end):
    broken = File(kind="original", content=SAMPLE.read_bytes()[:900], media_type="application/xml")
    far_end.has("inv-1", report("inv-1", "203", key="1"), files=(broken,), number="F-1")
    far_end.has("inv-2")
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    other = push("d2", bells=[{"ref": "inv-2", "new": True}])
    deliveries.drain()

    invoice = Invoice.objects.get(provider_ref="inv-1")
    assert (invoice.document_state, invoice.number, invoice.status) == ("unreadable", "F-1", "203")
    with invoice.documents.get().file.open() as kept:
        assert kept.read() == broken.content
    assert (state_of(row), state_of(other), row_of(row).error.endswith(invoice.document_error)) == (
        "quarantined", "processed", True,
    )  # fmt: skip


def test_broken_document_mended_by_the_platform_is_read_on_replay(push, far_end):
    far_end.has("inv-1", files=(File(kind="original", content=b"<Invoice"),))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    deliveries.drain()
    far_end.has("inv-1", files=(File(kind="original", content=SAMPLE.read_bytes()),))
    deliveries.replay(user=make_user(is_superuser=True), delivery_id=row.pk)
    deliveries.drain()

    assert (state_of(row), Invoice.objects.get().document_state) == ("processed", "read")


def test_unknown_owner_is_quarantined_with_what_to_do(push, far_end, connection):
    far_end.has("inv-1", buyer=Party(siren=OTHER_SIREN))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    deliveries.drain()
    told = row_of(row)
    assert (told.state, connection.name in told.error, OTHER_SIREN in told.error) == ("quarantined", True, True)

    make_line(make_customer(OTHER_SIREN), connection)
    deliveries.replay(user=make_user(is_superuser=True), delivery_id=row.pk)
    deliveries.drain()
    assert (state_of(row), Invoice.objects.get().customer.siren) == ("processed", OTHER_SIREN)


def test_invoice_the_platform_refuses_to_show_is_quarantined(push, far_end):
    far_end.answer("fetch_invoice", PermanentError("Not yours.", status_code=403))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    deliveries.drain()

    assert (state_of(row), row_of(row).error) == ("quarantined", "Not yours.")


def test_missing_file_keeps_the_invoice(push, far_end):
    far_end.has("inv-1", report("inv-1", "203", key="1"))
    far_end.answer("fetch_files", PermanentError("Gone."))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    deliveries.drain()

    assert (state_of(row), row_of(row).error, statuses("inv-1")) == ("quarantined", "Gone.", ["203"])


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["reader", "clerk", "approver"])
def test_replay_without_the_right_is_refused(push, role):
    row = push("d1")

    with pytest.raises(PermissionDenied):
        deliveries.replay(user=make_user(make_customer(SIREN), role), delivery_id=row.pk)


def test_replay_by_an_administrator_of_somebody_else_is_refused(push):
    row = push("d1")

    with pytest.raises(PermissionDenied):
        deliveries.replay(user=make_user(make_customer(OTHER_SIREN), "administrator"), delivery_id=row.pk)


def test_replay_tells_nothing_twice(push, far_end):
    original = File(kind="original", content=SAMPLE.read_bytes())
    far_end.has("inv-1", report("inv-1", "203", occurred_at=timezone.now()), files=(original,))
    row = push("d1", bells=[{"ref": "inv-1", "new": True}])
    administrator = make_user(make_customer(SIREN), "administrator")
    for _time in range(3):
        deliveries.drain()
        again = deliveries.replay(user=administrator, delivery_id=row.pk)
        assert (again.state, again.attempts, again.error) == ("received", 0, "")
    deliveries.drain()

    invoice = Invoice.objects.get()
    assert (statuses("inv-1"), invoice.documents.count(), events.find_break(invoice)) == (["203"], 1, "")

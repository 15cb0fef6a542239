"""The operator's commands: what they print, what they change, how they end."""

import os
import signal
import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.utils import timezone

from invoices.models import AddressingLine
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask, StatusEvent
from providers.connections.sealing import Secrets
from providers.contract import kinds
from providers.contract.base import CheckResult, PollPage, StatusReport, TemporaryError
from providers.models import CachedToken, Connection, WebhookDelivery
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_invoice,
    make_line,
    make_user,
)

pytestmark = pytest.mark.django_db


class Talking(fake_provider.FakePlatform):
    """Shows the histories it is given; one invoice cannot be read."""

    kind = "talking"
    histories: dict[str, list[StatusReport]] = {}
    asked: list[str] = []

    def fetch_statuses(self, provider_ref):
        self.asked.append(provider_ref)
        if provider_ref not in self.histories:
            raise TemporaryError("The platform does not answer.")
        return tuple(self.histories[provider_ref])

    def poll(self, cursor):
        if self.account.name == "down":
            raise TemporaryError("The platform does not answer.")
        reports = [report for history in self.histories.values() for report in history]
        return PollPage(statuses=tuple(reports), cursor={"seen": len(reports)})

    def check(self):
        yield CheckResult(name="login", ok=self.account.name != "down", message="")

    def register_webhooks(self):
        if self.account.name == "down":
            raise TemporaryError("The platform does not answer.")
        return ("Registered.",)


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.lines, self.errors = code, out.splitlines(), err.splitlines()


def run(name: str, *arguments: str, **options) -> Answer:
    """The command as a shell would see it."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command(name, *arguments, stdout=out, stderr=err, no_color=True, **options)
    except SystemExit as end:
        code = end.code
    except CommandError as error:
        err.write(str(error))
        code = error.returncode
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)
    monkeypatch.setitem(kinds.ADAPTERS, "talking", f"{__name__}.Talking")
    monkeypatch.setattr(Talking, "histories", {})
    monkeypatch.setattr(Talking, "asked", [])


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def talking(customer):
    connection = make_connection(kind="talking", name="talking")
    make_line(customer, connection)
    return connection


@pytest.fixture
def approver(customer):
    return make_user(customer, "approver")


def tell(ref: str, *statuses: str) -> None:
    Talking.histories[ref] = [StatusReport(provider_ref=ref, status=s, key=f"{ref}-{s}") for s in statuses]


COMMANDS = (
    "check_connections", "poll", "process_deliveries", "reconcile", "relay_due", "rotate_secrets", "verify_history",
)  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_quiet_command_with_nothing_to_do_prints_nothing(name):
    answer = run(name, verbosity=0)

    assert (answer.code, answer.lines, answer.errors) == (0, [], [])


@pytest.mark.parametrize("name", ["check_connections", "poll", "reconcile"])
def test_unknown_connection_is_named(name):
    answer = run(name, "--connection", "nowhere")

    assert (answer.code, answer.errors) == (1, ["No connection is named nowhere."])


# --- poll -------------------------------------------------------------------------------------------------------------


def test_poll_takes_in_what_was_missed(customer, talking):
    invoice = make_invoice(customer, talking)
    tell(invoice.provider_ref, "203")

    first, second = run("poll"), run("poll")

    assert (first.code, first.lines) == (0, ["talking: 1 new"])
    assert second.lines == ["talking: 0 new"]
    assert [event.status for event in invoice.status_events.all()] == ["203"]


def test_poll_of_one_that_is_down_does_not_stop_the_others(talking):
    make_connection(kind="talking", name="down")

    answer = run("poll")

    assert (answer.code, answer.lines, answer.errors) == (
        1,
        ["talking: 0 new"],
        ["down: The platform does not answer."],
    )


def test_poll_names_what_it_could_not_take_in(talking):
    tell("unreadable", "203")

    answer = run("poll")

    words = "could not be taken in, tried again by the next poll"
    assert (answer.code, answer.errors) == (1, [f"talking: {words}: unreadable"])


def test_poll_leaves_paused_connections_alone_unless_named():
    make_connection(kind="talking", name="resting", state=Connection.State.PAUSED)

    assert run("poll").lines == []
    assert run("poll", "--connection", "resting").lines == ["resting: 0 new"]


def test_poll_of_a_platform_without_polling_is_no_failure():
    make_connection(name="mute")

    answer = run("poll")

    assert (answer.code, answer.lines) == (0, ["mute: This platform cannot be polled."])


def test_poll_of_an_unknown_kind_fails_in_words():
    make_connection(kind="forgotten", name="odd")

    answer = run("poll")

    assert answer.code == 1
    assert [line.split(":")[0] for line in answer.errors] == ["odd"]


# --- relay_due --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_relay_due_tells_what_is_due(customer, approver):
    invoice = make_invoice(customer, statuses=["203"])
    relay, _new = issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="204"))

    answer = run("relay_due")

    relay.refresh_from_db()
    assert (answer.code, answer.lines, relay.state) == (0, ["1 tries made"], RelayState.SENT)


@pytest.mark.parametrize("pause", ["0", "-1", "soon"])
def test_relay_due_wants_a_real_pause(pause):
    assert run("relay_due", f"--loop={pause}").code == 1


@pytest.mark.django_db(transaction=True)
def test_relay_due_loop_ends_with_a_signal(customer, approver):
    invoice = make_invoice(customer, statuses=["203"])
    issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="204"))
    timer = threading.Thread(target=lambda: (time.sleep(0.5), os.kill(os.getpid(), signal.SIGTERM)))
    before = signal.getsignal(signal.SIGTERM)
    timer.start()

    answer = run("relay_due", "--loop", "30")

    timer.join()
    assert (answer.code, answer.lines) == (0, ["1 tries made"])
    assert signal.getsignal(signal.SIGTERM) == before
    assert RelayTask.objects.get().state == RelayState.SENT


# --- process_deliveries -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_process_deliveries_works_the_inbox(talking):
    make_delivery(talking)

    answer = run("process_deliveries")

    assert (answer.code, answer.lines) == (0, ["1 taken up, 1 in quarantine"])
    assert "pushes nothing" in WebhookDelivery.objects.get().error


@pytest.mark.django_db(transaction=True)
def test_replay_takes_up_a_quarantined_delivery(customer, talking):
    delivery = make_delivery(talking, state="quarantined", attempts=5)
    make_user(customer, "administrator", username="ada")

    answer = run("process_deliveries", "--replay", str(delivery.pk), "--user", "ada")

    delivery.refresh_from_db()
    assert (answer.code, answer.lines) == (0, ["1 taken up, 1 in quarantine"])
    assert delivery.attempts == 1


@pytest.mark.parametrize("username", [None, "nobody", "clerk"])
def test_replay_is_for_administrators(customer, talking, username):
    delivery = make_delivery(talking, state="quarantined")
    make_user(customer, "clerk", username="clerk")

    answer = run("process_deliveries", "--replay", str(delivery.pk), *(["--user", username] if username else []))

    delivery.refresh_from_db()
    assert (answer.code, delivery.state) == (1, WebhookDelivery.State.QUARANTINED)


def test_replay_of_an_unknown_delivery_is_named(customer):
    make_user(customer, "administrator", username="ada")
    unknown = "00000000-0000-0000-0000-000000000000"

    answer = run("process_deliveries", "--replay", unknown, "--user", "ada")

    assert (answer.code, answer.errors) == (1, [f"No delivery has the id {unknown}."])


# --- reconcile --------------------------------------------------------------------------------------------------------


def test_reconcile_takes_in_missing_statuses(customer, talking):
    invoice = make_invoice(customer, talking)
    tell(invoice.provider_ref, "203")

    answer = run("reconcile")

    invoice.refresh_from_db()
    assert (answer.code, invoice.status) == (0, "203")
    assert answer.lines == [
        f"talking  {invoice}: taken in 203 Mise à disposition",
        "talking: 1 compared, 1 statuses taken in, 0 not shown there",
    ]


def test_reconcile_names_what_the_platform_does_not_show(customer, talking, approver):
    invoice = make_invoice(customer, talking, statuses=["203"])
    tell(invoice.provider_ref)
    relay, _new = issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="204"))
    relay.state, relay.sent_at = RelayState.SENT, timezone.now()
    relay.save()

    answer = run("reconcile")

    assert answer.code == 1
    assert answer.errors == [f"talking  {invoice}: 204 Prise en charge is sent and the platform does not show it"]


def test_reconcile_leaves_out_final_old_and_foreign_invoices(customer, talking):
    make_invoice(customer, talking, statuses=["203", "210"])
    old = make_invoice(customer, talking)
    old.created_at = timezone.now() - timedelta(days=91)
    old.save()
    make_invoice(customer, make_connection(name="mute"))

    answer = run("reconcile", "--connection", "talking")

    assert (answer.code, Talking.asked) == (0, [])


def test_reconcile_gives_up_on_a_platform_that_is_down(customer, talking):
    invoices = [make_invoice(customer, talking) for _number in range(5)]

    answer = run("reconcile")

    assert answer.code == 1
    assert Talking.asked == [invoice.provider_ref for invoice in invoices[:3]]
    assert answer.errors[-1] == "talking: given up after 3 failures in a row"


# --- verify_history ---------------------------------------------------------------------------------------------------


WHOLE = ["2 invoices checked, 0 broken", "0 relays checked, 0 broken", "no anchor was made yet"]


def tamper(sql: str, *values) -> None:
    """What somebody with the rights of a database owner could do."""
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no foreign key may wait while the table is altered
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER status_events_are_append_only")
        cursor.execute(sql, values)
        cursor.execute("ALTER TABLE lifecycle_statusevent ENABLE TRIGGER status_events_are_append_only")


def test_whole_history_is_verified(customer):
    make_invoice(customer, statuses=["203", "204"])
    make_invoice(customer)

    answer = run("verify_history")

    assert (answer.code, answer.lines, answer.errors) == (0, WHOLE, [])


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE lifecycle_statusevent SET note = 'x' WHERE id = %s", "event 2 was changed after it was written"),
        ("UPDATE lifecycle_statusevent SET hash = '0' WHERE id = %s", "event 2 was changed after it was written"),
        (
            "UPDATE lifecycle_statusevent SET previous_hash = '' WHERE id = %s",
            "event 2 does not follow the one before it",
        ),
    ],
    ids=["note", "hash", "link"],
)
def test_changed_event_is_found_and_named(customer, sql, problem):
    invoice = make_invoice(customer, statuses=["203", "204", "205"])
    whole = make_invoice(customer, statuses=["203"])
    tamper(sql, invoice.status_events.get(sequence=2).pk)

    answer = run("verify_history")

    assert (answer.code, answer.errors) == (1, [f"BROKEN {invoice.pk} {invoice}: {problem}"])
    assert answer.lines == ["2 invoices checked, 1 broken", *WHOLE[1:]]
    assert whole.status_events.count() == 1


def test_removed_event_is_found(customer):
    invoice = make_invoice(customer, statuses=["203", "204", "205"])
    event = invoice.status_events.get(sequence=2)
    tamper("DELETE FROM lifecycle_seenreport WHERE event_id = %s", event.pk)
    tamper("DELETE FROM lifecycle_statusevent WHERE id = %s", event.pk)

    answer = run("verify_history")

    assert (answer.code, answer.errors) == (1, [f"BROKEN {invoice.pk} {invoice}: event 2 is missing"])
    assert StatusEvent.objects.count() == 2


def test_history_of_one_customer_is_verified_alone(customer):
    make_invoice(customer, statuses=["203"])
    make_invoice(make_customer(OTHER_SIREN), statuses=["203"])

    assert run("verify_history", "--customer", OTHER_SIREN).lines == [
        "1 invoices checked, 0 broken",
        "0 relays checked, 0 broken",
    ]
    assert run("verify_history", "--customer", "123456782").code == 1


@pytest.mark.parametrize("written", ["800112237", "800 112 237", "80011223700014", "FR40800112237"])
def test_relays_of_one_customer_are_verified_however_its_number_is_written(customer, talking, approver, written):
    invoice = make_invoice(customer, talking, statuses=["203"])
    issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="204"))

    assert run("verify_history", "--customer", written).lines == [
        "1 invoices checked, 0 broken",
        "1 relays checked, 0 broken",
    ]


# --- check_connections ------------------------------------------------------------------------------------------------


def test_check_names_what_is_wrong_and_goes_on(talking):
    make_connection(kind="talking", name="down")

    answer = run("check_connections")

    assert (answer.code, answer.lines, answer.errors) == (1, ["talking  ok  login"], ["down  FAILED  login"])
    talking.refresh_from_db()
    assert talking.is_healthy


def test_check_registers_webhooks_on_request(talking):
    answer = run("check_connections", "--register-webhooks")

    assert (answer.code, answer.lines) == (0, ["talking  ok  login", "talking  ok  webhooks: Registered."])


def test_failed_registration_fails_the_command():
    make_connection(kind="talking", name="down")

    answer = run("check_connections", "--register-webhooks")

    assert answer.code == 1
    assert answer.errors[-1] == "down  FAILED  webhooks: The platform does not answer."


def test_check_of_an_unknown_kind_fails_in_words():
    make_connection(kind="forgotten", name="odd")

    answer = run("check_connections")

    assert answer.code == 1
    assert [line.split(":")[0] for line in answer.errors] == ["odd  FAILED  connection"]


# --- rotate_secrets ---------------------------------------------------------------------------------------------------


def test_every_secret_is_sealed_under_the_newest_key(customer, settings):
    connection = make_connection(secrets={"password": "s3cret"})
    line = make_line(customer, connection)
    AddressingLine.objects.filter(pk=line.pk).update(secrets=Secrets({"line_key": "l1ne"}))
    CachedToken.objects.create(connection=connection, scope="", value={"token": "t0ken"})
    newest = Fernet.generate_key().decode()
    settings.SECRETS_KEYS = [newest, *settings.SECRETS_KEYS]

    answer = run("rotate_secrets")

    settings.SECRETS_KEYS = [newest]
    assert answer.code == 0
    assert sorted(answer.lines) == [
        "invoices.AddressingLine.secrets: 1 sealed anew",
        "providers.CachedToken.value: 1 sealed anew",
        "providers.Connection.secrets: 1 sealed anew",
        "providers.Subscription.callback: 0 sealed anew",
    ]
    assert dict(Connection.objects.get().secrets) == {"password": "s3cret"}
    assert dict(AddressingLine.objects.get().secrets) == {"line_key": "l1ne"}
    assert dict(CachedToken.objects.get().value) == {"token": "t0ken"}


def test_rotation_works_in_batches_and_leaves_empty_columns(settings):
    for number in range(5):
        make_connection(secrets={"password": f"p{number}"})
    make_connection()
    settings.SECRETS_KEYS = [newest := Fernet.generate_key().decode(), *settings.SECRETS_KEYS]

    answer = run("rotate_secrets", "--batch", "2")

    settings.SECRETS_KEYS = [newest]
    assert answer.lines.count("providers.Connection.secrets: 5 sealed anew") == 1
    passwords = sorted(each.secrets.get("password", "") for each in Connection.objects.all())
    assert passwords == ["", "p0", "p1", "p2", "p3", "p4"]


def test_secret_of_a_lost_key_is_named_and_stays(settings):
    known = list(settings.SECRETS_KEYS)
    settings.SECRETS_KEYS = [lost := Fernet.generate_key().decode()]
    broken = make_connection(secrets={"password": "lost"})
    settings.SECRETS_KEYS = known
    make_connection(secrets={"password": "kept"})

    answer = run("rotate_secrets")

    settings.SECRETS_KEYS = [lost]
    assert answer.code == 1
    assert answer.errors[0].startswith(f"providers.Connection {broken.pk}, secrets: ")
    assert dict(Connection.objects.get(pk=broken.pk).secrets) == {"password": "lost"}

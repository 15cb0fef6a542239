"""What is wrong is found, named once, mailed once, and over when it is over."""

import io
import json
import smtplib
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Schedule

from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.history import anchors
from lifecycle.models import RelayState, ToldFinding
from lifecycle.watching import mail as watch_mail
from lifecycle.watching import watch
from providers.models import Connection, WebhookDelivery
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_delivery, make_invoice, make_line, make_user
from tests.scripted import platform as platform

pytestmark = pytest.mark.django_db

OPERATOR = "operator@example.test"


@pytest.fixture(autouse=True)
def _quiet_installation(monkeypatch, settings):
    """A worker runs, and every moment below is relative to this one."""
    fake_provider.register(monkeypatch)
    settings.WATCH_MAIL = [OPERATOR]
    Schedule.objects.filter(name="sweep").update(next_run=timezone.now())


@pytest.fixture
def connection():
    return make_connection(polled_at=timezone.now())


@pytest.fixture
def relay(connection):
    customer = make_customer()
    make_line(customer, connection)
    invoice = make_invoice(customer, connection, ["203"])
    return issue_status(user=make_user(customer, "approver"), invoice_id=invoice.pk, wish=Wish(status="204"))[0]


def ago(**span):
    return timezone.now() - timedelta(**span)


def change(row, **values):
    type(row).objects.filter(pk=row.pk).update(**values)


def found() -> dict[str, bool]:
    """The checks that found something, and whether it is urgent."""
    return {finding.check: finding.urgent for finding in watch.findings()}


def test_nothing_is_wrong(connection, relay):
    assert found() == {}


def test_gone_worker(connection):
    Schedule.objects.filter(name="sweep").update(next_run=ago(minutes=6))

    (finding,) = watch.findings()

    assert [finding.check, finding.urgent, finding.since < ago(minutes=5)] == ["worker", True, True]


def test_standing_queue_is_urgent(connection, relay):
    change(relay, next_attempt_at=ago(minutes=6))
    change(make_delivery(connection), next_attempt_at=ago(minutes=7))

    assert [finding.count for finding in watch.findings()] == [1, 1]
    assert found() == {"queue": True}


def test_queue_of_a_paused_connection_does_not_stand(connection, relay):
    change(relay, next_attempt_at=ago(hours=5))
    Connection.objects.update(state=Connection.State.PAUSED)

    assert found() == {}


@pytest.mark.parametrize(
    ("hours", "stage", "urgent"),
    [(13, "", None), (11, "half", False), (5, "quarter", True), (0, "missed", True), (-30, "missed", True)],
)
def test_clock_is_told_at_half_time_at_a_quarter_and_when_missed(relay, hours, stage, urgent):
    change(relay, deadline_at=timezone.now() + timedelta(hours=hours, minutes=-1))

    clocks = [(finding.subject.partition(":")[0], finding.urgent) for finding in watch.findings()]

    assert clocks == ([(stage, urgent)] if stage else [])


@pytest.mark.parametrize("state", [RelayState.SENT, RelayState.CONFIRMED, RelayState.CANCELLED])
def test_clock_of_what_is_told_or_given_up_stands_still(relay, state):
    change(relay, deadline_at=ago(hours=1), state=state)

    assert "clock" not in found()


@pytest.mark.parametrize("state", [RelayState.AWAITING_APPROVAL, RelayState.FAILED, RelayState.UNSUPPORTED])
def test_clock_runs_while_a_person_is_waited_for(relay, state):
    change(relay, deadline_at=ago(hours=1), state=state)

    assert "clock" in found()


def test_old_uncertain_and_failed_relays(relay):
    change(relay, state=RelayState.UNCERTAIN, next_attempt_at=None)
    fresh = found()
    change(relay, created_at=ago(minutes=31))
    old = found()
    change(relay, state=RelayState.FAILED)

    assert [fresh, old, found()] == [{}, {"uncertain": True}, {"failed": False}]


def test_quarantine_is_told_by_connection(connection):
    for _number in range(3):
        change(make_delivery(connection), state=WebhookDelivery.State.QUARANTINED)

    (finding,) = watch.findings()

    assert [finding.name, finding.count] == [f"quarantine:{connection.name}", 3]


def test_stale_poll_of_a_platform_that_is_polled(connection, platform):
    polled = make_connection("scripted", polled_at=ago(hours=3))
    change(connection, polled_at=ago(hours=3))  # this one cannot be polled

    assert [finding.name for finding in watch.findings()] == [f"poll:{polled.name}"]


def test_unwell_connection_says_why_and_what_to_do(connection):
    change(connection, health="refused", ill_since=ago(hours=1), ill_reason="Wrong password", probe_at=ago(minutes=1))

    (finding,) = watch.findings()

    assert [finding.check, finding.urgent, "Wrong password" in finding.what] == ["connection", True, True]
    assert finding.to_do


def test_history_without_anchor(relay):
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER USER")
        cursor.execute("UPDATE lifecycle_statusevent SET recorded_at = now() - interval '4 hours'")
        cursor.execute("ALTER TABLE lifecycle_statusevent ENABLE TRIGGER USER")
    without = found()
    anchors.make()

    assert [without, found()] == [{"anchor": False}, {}]


def test_role_that_owns_the_history_is_told_outside_the_demo(settings):
    settings.DEMO = False

    assert found() == {"role": False}


def test_number_of_queries_does_not_grow_with_what_is_wrong(connection, relay):
    change(make_delivery(connection), state=WebhookDelivery.State.QUARANTINED)
    with CaptureQueriesContext(database) as once:
        watch.findings()
    for _number in range(5):
        change(make_delivery(connection), state=WebhookDelivery.State.QUARANTINED)
    with CaptureQueriesContext(database) as again:
        watch.findings()

    assert len(once) == len(again)


# --- doctor and metrics -----------------------------------------------------------------------------------------------


def doctor(*options):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("doctor", *options, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_doctor_finds_nothing(connection):
    assert doctor() == (0, "Nothing is wrong.\n", "")


def test_doctor_says_what_since_when_and_what_to_do(relay):
    change(relay, state=RelayState.UNCERTAIN, created_at=ago(hours=2))

    code, _out, err = doctor()

    assert code == 1
    assert err.startswith("URGENT: ")
    assert "(since " in err
    assert "-> " in err


def test_doctor_tells_other_programs(relay):
    change(relay, state=RelayState.FAILED)

    code, out, _err = doctor("--json")

    (finding,) = json.loads(out)
    assert [code, finding["check"], finding["count"], finding["urgent"]] == [0, "failed", 1, False]


def test_doctor_mails_where_no_worker_does(connection):
    Schedule.objects.filter(name="sweep").update(next_run=ago(hours=1))

    doctor("--mail")

    assert [message.to for message in mail.outbox] == [[OPERATOR]]


def test_metrics_count_what_is_wrong(client, relay):
    change(relay, deadline_at=ago(hours=1))

    lines = client.get("/metrics").content.decode().splitlines()

    assert 'navette_findings{check="clock",urgent="true"} 1.0' in lines
    assert 'navette_findings{check="uncertain",urgent="true"} 0.0' in lines


# --- mail -------------------------------------------------------------------------------------------------------------


def sent_to() -> list[str]:
    return [person for message in mail.outbox for person in message.to]


def test_finding_is_mailed_once_while_it_lasts_and_when_it_is_over(relay):
    change(relay, state=RelayState.UNCERTAIN, created_at=ago(hours=2))

    first, second = watch_mail.tell(), watch_mail.tell()
    change(relay, state=RelayState.CONFIRMED)
    third, fourth = watch_mail.tell(), watch_mail.tell()

    assert [first, second, third, fourth] == [1, 0, 1, 0]
    assert sent_to() == [OPERATOR, OPERATOR]
    assert not ToldFinding.objects.exists()


def test_running_clock_is_told_to_who_may_decide_at_each_stage(relay):
    customer = relay.invoice.customer
    make_user(customer, "approver", email="approver@example.test")
    make_user(customer, "clerk", email="clerk@example.test")
    make_user(customer, "approver", email="gone@example.test", is_active=False)
    people = []
    for hours in (11, 5, -1):
        change(relay, deadline_at=timezone.now() + timedelta(hours=hours))
        mail.outbox.clear()
        watch_mail.tell()
        watch_mail.tell()
        people.append(sent_to())

    assert people == [[OPERATOR, "approver@example.test"]] * 3


def test_what_comes_and_goes_is_not_mailed(connection):
    change(make_delivery(connection), state=WebhookDelivery.State.QUARANTINED)

    assert [watch_mail.tell(), sent_to()] == [0, []]


def test_mail_that_could_not_be_sent_is_sent_later(relay, settings):
    change(relay, state=RelayState.UNCERTAIN, created_at=ago(hours=2))
    settings.EMAIL_BACKEND = "tests.lifecycle.test_watch.BrokenMail"
    broken = watch_mail.tell()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert [broken, watch_mail.tell(), sent_to()] == [0, 1, [OPERATOR]]


class BrokenMail:
    def __init__(self, *args, **kwargs):
        pass

    def send_messages(self, messages):
        raise smtplib.SMTPServerDisconnected("no server")


def test_without_addresses_nothing_is_sent_nor_kept_waiting(relay, settings):
    settings.WATCH_MAIL = []
    change(relay, state=RelayState.UNCERTAIN, created_at=ago(hours=2))

    watch_mail.tell()

    assert sent_to() == []


def test_mail_has_one_line_subject_and_french_words(relay):
    change(relay, state=RelayState.FAILED, created_at=ago(hours=2))

    watch_mail.tell()

    (message,) = mail.outbox
    assert " ".join(message.subject.split()) == "Navette: Décisions que leur plateforme n’a pas prises : 1."

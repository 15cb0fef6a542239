"""Nobody waits for another: shares of the threads, the nearest deadline first, outages that end, bytes under way."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries, polling
from lifecycle.models import RelayTask
from lifecycle.outbox import claims as relay_claims
from lifecycle.outbox import lanes, relays
from lifecycle.outbox import states as relay_states
from lifecycle.outbox.claims import claim_to_tell
from providers.connections import health
from providers.contract import http
from providers.contract.base import Reason, Receipt, TemporaryError, UncertainError
from providers.models import WebhookDelivery
from tests.factories import make_connection, make_invoice, make_user
from tests.scripted import Scripted

from .relaying import CUT, fresh, make_due, state_of, wait_of

pytestmark = pytest.mark.django_db
threaded = pytest.mark.django_db(transaction=True)
DUPLICATE = (Reason(code="DOUBLON"),)


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def user():
    return make_user(is_superuser=True)


@pytest.fixture
def decide(user):
    def decide(connection, status="204", invoice=None, **values):
        invoice = invoice or make_invoice(connection=connection, statuses=["203"])
        return services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status, **values))[0]

    return decide


@pytest.fixture
def clock(monkeypatch):
    """Time that passes as the test wants."""
    now = [timezone.now().replace(microsecond=0)]
    monkeypatch.setattr(timezone, "now", lambda: now[0])
    monkeypatch.setattr(relays.random, "uniform", lambda low, high: high)
    return now


# --- shares -----------------------------------------------------------------------------------------------------------


@threaded
def test_one_slow_platform_holds_up_nobody_else(decide, far_end, settings):
    settings.RELAY_THREADS = 4
    slow, healthy = make_connection("scripted"), make_connection("scripted")
    for _number in range(40):
        decide(slow)
    urgent = decide(healthy, "210", reasons=DUPLICATE)
    told = {}
    started = time.monotonic()

    def answer(message):
        if message.id == str(urgent.pk):
            told["after"] = time.monotonic() - started
        else:
            time.sleep(0.3)
        return Receipt()

    far_end.answer("send", answer)
    relays.drain()

    assert told["after"] < 1.5  # its turn in one queue would come after ten rounds of 0.3 s
    assert len(far_end.told) == 41


@threaded
def test_slow_look_ups_hold_up_no_decision(decide, far_end, settings):
    settings.RELAY_THREADS = 2
    asked, told = make_connection("scripted"), make_connection("scripted")
    far_end.answer("send", CUT)
    for _number in range(6):
        decide(asked)
    relays.drain()
    make_due()
    far_end.answer("find", lambda message: time.sleep(0.4))
    far_end.answer("send", lambda message: times.append(time.monotonic()) or Receipt())
    times: list[float] = []
    decide(told)
    started = time.monotonic()
    relays.drain()

    assert times[0] - started < 0.4


def test_share_of_a_connection_leaves_room_for_the_next(settings):
    settings.RELAY_THREADS = 8
    lane = lanes.Drain(relays.record).lanes[0]
    taken = []
    for connection in range(6):
        limit = lane._limit(connection)
        lane.running[connection] = limit
        taken.append(limit)

    assert taken[0] == 8  # alone, it has all that one may have
    assert sum(taken) < 8 * lanes.WIDTH
    assert min(taken) >= 1


def test_claim_takes_some_of_each_connection(decide):
    first, second = make_connection("scripted"), make_connection("scripted")
    for connection in (first, first, first, first, second):
        decide(connection)
    claims = claim_to_tell(2)

    assert sorted(claim.relay.connection.name for claim in claims) == sorted([first.name, first.name, second.name])


def test_paused_and_ill_connections_cost_a_claim_nothing(decide):
    well = make_connection("scripted")
    decide(well)
    for _number in range(5):
        decide(make_connection("scripted", state="paused"))
    ill = make_connection("scripted", health="outage", probe_at=timezone.now() + timedelta(minutes=1))
    decide(ill)

    assert [claim.relay.connection for claim in claim_to_tell()] == [well]


# --- order ------------------------------------------------------------------------------------------------------------


def test_nearest_legal_deadline_goes_first_then_age(decide, far_end, settings):
    settings.RELAY_THREADS = 1
    connection = make_connection("scripted")
    old, new, late, soon = (decide(connection) for _number in range(4))
    now = timezone.now()
    for relay, due, deadline in ((old, 50, None), (new, 1, None), (late, 40, 20), (soon, 2, 3)):
        moment = now + timedelta(hours=deadline) if deadline else None
        row = RelayTask.objects.filter(pk=relay.pk)
        row.update(next_attempt_at=now - timedelta(minutes=due), deadline_at=moment)
    relays.drain()

    assert [message.id for message in far_end.told] == [str(relay.pk) for relay in (soon, late, old, new)]


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_large_files_go_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(lanes, "BYTES_UNDER_WAY", 100)
    monkeypatch.setattr(lanes.Job, "size", property(lambda job: job.claim))
    lane = lanes.Lane("send", relay_claims.claim_to_tell, 8)
    lane.pool.submit = lambda run, lane, job: None
    monkeypatch.setattr(lanes.Job, "connection_id", 1)
    sizes = [60, 30, 30, 500, 10]
    jobs = [lanes.Job(size, None) for size in sizes]
    lane.waiting[1].extend(jobs)
    lane.start(None)
    assert [job.size for job in lane.waiting[1]] == [30, 500, 10]  # 60 and 30 fit

    for job in jobs[:2]:
        lane.ended(job)
    lane.start(None)
    lane.ended(jobs[2])
    lane.start(None)
    assert (lane.bytes_under_way, [job.size for job in lane.waiting[1]]) == (500, [10])  # what is larger goes alone


# --- the 24-hour clock and outages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [3, 8, 19.2, 22.5])
def test_what_has_a_deadline_is_told_in_time_once_the_platform_is_back(decide, far_end, clock, hours):
    connection = make_connection("scripted")
    start, back = clock[0], clock[0] + timedelta(hours=hours)
    relay = decide(connection, "210", reasons=DUPLICATE)
    far_end.answer("send", lambda message: TemporaryError("Refused.") if clock[0] < back else Receipt())
    while state_of(relay) == "pending":
        relays.drain()
        if state_of(relay) == "pending":
            due = fresh(relay).next_attempt_at
            connection.refresh_from_db()
            clock[0] = max(due, connection.probe_at or due) + timedelta(seconds=1)
            if clock[0] < back - timedelta(minutes=30):
                clock[0] += timedelta(minutes=20)  # nobody drains for a while

    after = fresh(relay)
    assert (after.state, after.deadline_at - start) == ("sent", timedelta(hours=24))
    assert after.sent_at < after.deadline_at
    assert after.sent_at - back < timedelta(minutes=25)


def test_waits_shrink_towards_the_deadline(decide, clock):
    relay = decide(make_connection("scripted"), "210", reasons=DUPLICATE)
    for left, most in ((24, 6), (4, 1), (1, 0.25), (0.05, 1 / 60), (-5, 0.25)):
        relay.deadline_at = clock[0] + timedelta(hours=left)
        assert relays.after(28800, relay) - clock[0] <= timedelta(hours=most, seconds=1)


@pytest.mark.parametrize("error", [TemporaryError("Refused."), UncertainError("Cut.")])
def test_backlog_of_an_outage_follows_at_once_when_it_ends(decide, far_end, clock, error):
    connection = make_connection("scripted")
    far_end.answer("send", error)
    far_end.answer("find", error)
    early = [decide(connection) for _number in range(5)]
    for _minute in range(10):
        relays.drain()
        clock[0] += timedelta(minutes=1)
    late = [decide(connection) for _number in range(45)]
    tried = len(far_end.told)
    assert tried <= 20  # not each of them, again and again

    far_end.answer("send", Receipt())
    far_end.answer("find", Receipt())
    for _second in range(5):
        clock[0] += timedelta(seconds=1)
        relays.drain()
    # The next probe is never further than a minute away; from it on all goes at once.
    for _second in range(62):
        if {state_of(relay) for relay in late + early} == {"sent"}:
            break
        clock[0] += timedelta(seconds=1)
        relays.drain()
    assert {state_of(relay) for relay in late + early} == {"sent"}


def found_by_inbox(connection, far_end):
    body = json.dumps({"key": "bell", "bells": [{"ref": "inv-1"}]}).encode()
    WebhookDelivery.objects.create(connection=connection, key="bell", body=body, url="")
    deliveries.drain()


def found_by_poll(connection, far_end):
    polling.poll_due()


def found_by_person(connection, far_end):
    health.reset(connection.pk)


@pytest.mark.parametrize("find", [found_by_inbox, found_by_poll, found_by_person])
def test_end_of_an_outage_that_another_lane_finds_wakes_the_backlog(decide, far_end, clock, find):
    connection, other = make_connection("scripted"), make_connection("scripted")
    make_invoice(connection=connection, provider_ref="inv-1", document_state="read")
    early, elsewhere = decide(connection), decide(other)
    RelayTask.objects.update(next_attempt_at=clock[0] + timedelta(hours=4))
    for _failure in range(health.OUTAGE_AFTER):
        health.note(connection.pk, TemporaryError("Down."))
    far_end.has("inv-1")
    clock[0] += timedelta(minutes=1)

    find(connection, far_end)
    connection.refresh_from_db()
    assert connection.health == "well"
    relays.drain()
    assert (state_of(early), state_of(elsewhere)) == ("sent", "pending")


def test_outage_is_discovered_by_few_and_ends_by_one_probe(decide, far_end, clock):
    connection = make_connection("scripted")
    far_end.answer("send", TemporaryError("Refused."))
    decided = [decide(connection) for _number in range(30)]
    relays.drain()
    connection.refresh_from_db()
    assert connection.health == "outage"
    before = len(far_end.told)
    clock[0] += timedelta(seconds=30)
    relays.drain()
    assert len(far_end.told) == before + 1
    assert max(fresh(relay).attempts for relay in decided) <= 1


def test_quiet_time_is_kept_by_what_is_in_hand_already(decide, far_end, settings):
    settings.RELAY_THREADS = 1
    connection = make_connection("scripted")
    far_end.answer("send", TemporaryError("Too many.", retry_after=60, status_code=429))
    for _number in range(20):
        decide(connection)
    relays.drain()

    assert len(far_end.told) <= 2


# --- look-ups ---------------------------------------------------------------------------------------------------------


def test_failing_look_ups_become_rarer(decide, far_end):
    connection = make_connection("scripted")
    far_end.answer("send", CUT)
    far_end.answer("find", TemporaryError("Down."))
    relay = decide(connection)
    relays.drain()
    waits = []
    for _look in range(10):
        make_due()
        relays.drain()
        waits.append(wait_of(relay))

    assert waits == sorted(waits, key=lambda wait: round(wait / 1.3, -3))
    assert waits[-1] > 3000
    assert (state_of(relay), len(far_end.told)) == ("uncertain", 1)


def test_failed_look_ups_do_not_count_as_not_shown(decide, far_end):
    relay = decide(make_connection("scripted"))
    far_end.answer("send", CUT, Receipt())
    far_end.answer("find", *[TemporaryError("Down.")] * 5, None)
    relays.drain()
    for _look in range(5 + len(relays.LOOK_UP_DELAYS) - 1):
        make_due()
        relays.drain()
    assert (state_of(relay), len(far_end.told)) == ("uncertain", 1)

    make_due()
    relays.drain()
    assert (state_of(relay), len(far_end.told)) == ("sent", 2)


def test_not_shown_within_the_platform_s_patience_means_nothing(decide, far_end, monkeypatch):
    monkeypatch.setattr(Scripted, "shown_after", classmethod(lambda cls, settings: 600.0))
    relay = decide(make_connection("scripted"))
    far_end.answer("send", CUT, Receipt())
    relays.drain()
    for _look in range(8):
        make_due()
        relays.drain()
    assert (state_of(relay), len(far_end.told)) == ("uncertain", 1)
    assert fresh(relay).next_attempt_at >= fresh(relay).spoke_at + timedelta(seconds=600)

    RelayTask.objects.update(spoke_at=timezone.now() - timedelta(seconds=601))
    for _look in range(2):
        make_due()
        relays.drain()
    assert (state_of(relay), len(far_end.told)) == ("sent", 2)


# --- time -------------------------------------------------------------------------------------------------------------


@threaded
def test_drain_that_is_out_of_time_leaves_the_rest_pending_at_once(decide, far_end, settings, monkeypatch):
    settings.RELAY_THREADS = 2
    monkeypatch.setattr(lanes, "DRAIN_SECONDS", 0.2)
    connection = make_connection("scripted")
    made = [decide(connection) for _number in range(12)]
    far_end.answer("send", lambda message: (threading.Event().wait(0.3) and None) or Receipt())
    relays.drain()

    states = {relay.pk: state_of(relay) for relay in made}
    assert set(states.values()) == {"sent", "pending"}
    assert not RelayTask.objects.filter(state="pending").exclude(leased_until=None).exists()
    assert len(far_end.told) == list(states.values()).count("sent")


def test_task_of_a_drain_lasts_longer_than_all_that_it_may_start(settings):
    longest = 5 + 120 + http.LONGEST_RECEIPT_SECONDS  # connecting, AFNOR's upload, a dripping answer
    assert lanes.DRAIN_SECONDS + longest + sum(lanes.RECORD_DELAYS) < relay_states.TASK_SECONDS
    assert settings.Q_CLUSTER["retry"] > relay_states.TASK_SECONDS

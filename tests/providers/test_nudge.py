"""Nudges: few, harmless, and lost without loss."""

import threading
import time

import pytest
from django.db import connection as database
from django_q.models import OrmQ

from providers.connections.nudge import INTERVAL, nudge

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "lifecycle.tasks.drain_inbox"
OTHER = "lifecycle.tasks.drain_relays"


def queued():
    return sorted(row.func() for row in OrmQ.objects.all())


def timers():
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def wait_for_timers():
    for timer in timers():
        timer.join()


def test_first_nudge_goes_at_once():
    nudge(TASK)

    assert queued() == [TASK]


def test_burst_is_one_now_and_one_later():
    for _time in range(50):
        nudge(TASK)
    assert (queued(), len(timers())) == ([TASK], 1)

    wait_for_timers()
    assert queued() == [TASK, TASK]


def test_nudge_after_a_pause_goes_at_once():
    nudge(TASK)
    time.sleep(INTERVAL)
    nudge(TASK)

    assert (queued(), timers()) == ([TASK, TASK], [])


def test_tasks_do_not_throttle_each_other():
    nudge(TASK)
    nudge(OTHER)

    assert queued() == [TASK, OTHER]


def test_nudge_for_later_waits():
    nudge(TASK, delay=0.3)
    assert queued() == []

    wait_for_timers()
    assert queued() == [TASK]


def test_later_nudges_share_the_earliest_timer():
    for delay in (5, 6, 7, 0.3, 8, 9):
        nudge(TASK, delay=delay)

    assert len(timers()) == 2


def test_nudge_for_now_does_not_wait_for_one_for_later():
    nudge(TASK, delay=5)
    nudge(TASK)

    assert queued() == [TASK]


def test_broken_broker_is_no_fault_of_the_caller(caplog):
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE django_q_ormq RENAME TO elsewhere")
    try:
        nudge(TASK)
    finally:
        with database.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_q_ormq")

    assert "could not be nudged" in caplog.text

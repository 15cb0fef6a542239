"""Some dozens of histories, always the same; `make simulate` plays as many as one likes."""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
from django.db import connection

from .defects import FOUND_BY
from .running import MOVES, live, search, shortest

pytestmark = pytest.mark.django_db(transaction=True)

HISTORIES = 40
GROUP = 4
# Seeds among which a defect is found: a statement more in the code may move it to a neighbour.
NEIGHBOURS = 6


@pytest.fixture(autouse=True)
def _quiet_logs():
    """What goes wrong on purpose need not be told."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, HISTORIES, GROUP))
def test_histories_keep_every_promise(first):
    failed = [history for seed in range(first, first + GROUP) if (history := live(seed)).faults]

    assert not failed, f"{len(failed)} of {GROUP} histories failed; the first at its shortest:\n{shortest(failed[0])}"


@contextmanager
def put_back(defect):
    with ExitStack() as stack:
        for owner, name, wrong in defect():
            stack.enter_context(mock.patch.object(owner, name, wrong))
        yield


@pytest.mark.parametrize("defect", FOUND_BY, ids=lambda defect: defect.__name__)
def test_defect_put_back_is_found(defect):
    seed, words = FOUND_BY[defect]
    with put_back(defect):
        played = (live(each) for each in range(seed, seed + NEIGHBOURS))
        found = next((history for history in played if any(words in fault for fault in history.faults)), None)

    assert found is not None, f"no history from seed {seed} on says: {words}"


def test_seed_makes_the_same_history_again():
    first, second = live(7), live(7)

    assert (first.turns, first.accidents) == (second.turns, second.accidents)


def test_history_beside_an_event_loop_opens_no_connection_of_its_own(monkeypatch):
    """A browser's tests leave a loop running in their thread; whichever process plays histories after them."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def play():
        connection.ensure_connection()
        try:
            return live(7).turns, sessions()
        finally:
            connection.close()

    alone = live(7).turns, sessions() + 1

    # In a thread of its own: in this one such a loop may be running already.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, play()).result() == alone


def sessions():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_search():
    if "HISTORIES" not in os.environ:
        pytest.skip("plays thousands of histories: `make simulate` runs it")
    seed = int(os.environ.get("SEED", "0"))

    accidents, played, failed = search(range(seed, seed + int(os.environ["HISTORIES"])), MOVES)

    print(f"{played} histories, {sum(accidents.values())} accidents: {dict(accidents)}")
    assert failed is None, f"the shortest history that fails:\n{failed}"

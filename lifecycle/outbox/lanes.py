"""The work of one drain: lanes of threads that talk to the platforms, and the one thread that asks the database.

A relay is claimed by the drain, told or asked about by a thread of its lane, and recorded by the drain. A thread that
is about to speak asks the drain for the word, whose one update marks it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db import connection as database
from django.utils import timezone
from django.utils.translation import gettext as _

from lifecycle.decisions.messages import NOTHING, SPEAK, Known, known_of
from lifecycle.models import RelayAttempt, RelayTask
from providers.connections import health
from providers.connections.registry import get_adapter
from providers.contract.base import Adapter, NotSpoken, Receipt, Spoken, TemporaryError
from providers.models import Connection

from . import states
from .claims import claim_to_look_up, claim_to_tell
from .states import Claim

logger = logging.getLogger(__name__)

# A drain takes up no more after this. What it tells then ends long before its task's time does (TASK_SECONDS).
DRAIN_SECONDS = 45
# How often a drain that waits for answers looks for what came meanwhile.
LOOK_AGAIN_SECONDS = 0.25
# How long an answer waits for others, to be written with them; only what was accepted does.
GATHER_SECONDS = 0.02
# How long a thread waits for the word that it may speak; the database answers long before.
WORD_SECONDS = 30
# What is in hand of a connection beside what is being told, so that no thread waits for a claim.
AHEAD = 2
# Of the threads that are free, one connection takes half at most: however many platforms are slow, some are left.
FREE_SHARE = 2
# Lanes have this many times the threads that one connection may take.
WIDTH = 4
# Files under way at a time, in bytes; a larger one goes alone.
BYTES_UNDER_WAY = 64 * 1024 * 1024
# Seconds before an outcome that the database did not take is written again; then its lease leaves it uncertain.
RECORD_DELAYS = (0.2, 1.0, 3.0)


# --- lanes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A relay taken up, with what is needed to tell it or to ask about it."""

    claim: Claim
    adapter: Adapter | Exception
    known: Known = NOTHING

    @property
    def connection_id(self) -> Any:
        return self.claim.relay.connection_id

    @property
    def size(self) -> int:
        """Bytes that it holds while it is told; nothing of them is read before."""
        document = self.claim.relay.document
        return document.size if document else 0


@dataclass
class Lane:
    """One kind of calls. Each connection has a queue of its own in it, and no more than its share of the threads."""

    kind: str
    claim: Callable[..., list[Claim]]
    share: int
    waiting: dict[Any, deque[Job]] = field(default_factory=lambda: defaultdict(deque))
    running: Counter[Any] = field(default_factory=Counter)
    bytes_under_way: int = 0
    looked_at: float = 0.0
    having_more: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.share * WIDTH, self.kind)

    @property
    def is_idle(self) -> bool:
        return not self.running and not any(self.waiting.values())

    def refill(self, *, at_once: bool) -> None:
        """Take up more, as soon as a connection that had more runs dry; else now and then, for what came meanwhile."""
        dry = any(len(self.waiting.get(each, ())) < self.share for each in self.having_more)
        if not (dry or at_once or time.monotonic() - self.looked_at > LOOK_AGAIN_SECONDS):
            return
        enough = [each for each, jobs in self.waiting.items() if len(jobs) >= self.share]
        claims = self.claim(AHEAD * self.share, passing_over=enough)
        self.looked_at = time.monotonic()
        taken = Counter(claim.relay.connection_id for claim in claims)
        self.having_more = {each for each, count in taken.items() if count >= AHEAD * self.share}
        adapters = {each: _adapter_or_fault(each) for each in {claim.relay.connection for claim in claims}}
        known = {} if self.kind == RelayAttempt.Kind.SEND else known_of(claim.relay for claim in claims)
        for claim in claims:
            job = Job(claim, adapters[claim.relay.connection], known.get(claim.relay.pk, NOTHING))
            self.waiting[job.connection_id].append(job)

    def start(self, run: Callable[[Lane, Job], None]) -> None:
        """Give each connection the threads it may have now."""
        for connection_id, jobs in list(self.waiting.items()):
            while jobs and self.running[connection_id] < self._limit(connection_id) and self._fits(jobs[0]):
                job = jobs.popleft()
                self.running[connection_id] += 1
                self.bytes_under_way += job.size
                self.pool.submit(run, self, job)
            if not jobs:
                del self.waiting[connection_id]

    def _limit(self, connection_id: Any) -> int:
        free = self.share * WIDTH - self.running.total() + self.running[connection_id]
        return max(1, min(self.share, free // FREE_SHARE))

    def _fits(self, job: Job) -> bool:
        return not self.bytes_under_way or self.bytes_under_way + job.size <= BYTES_UNDER_WAY

    def ended(self, job: Job) -> None:
        self.bytes_under_way -= job.size
        self.running[job.connection_id] -= 1
        self.running = +self.running  # only those above zero

    def drop_waiting(self) -> None:
        """No time is left for these: they are due again at once, for any worker."""
        states.let_go([job.claim for jobs in self.waiting.values() for job in jobs])
        self.waiting.clear()


# --- one drain --------------------------------------------------------------------------------------------------------


@dataclass
class Word:
    """A thread's question whether its relay may be told now."""

    claim: Claim
    questions: queue.SimpleQueue[Any]
    spoke_at: datetime | None = None
    spoken: Spoken | None = None
    answered: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Returns where it may. Asked once: what is said again after a renewed login is the same try."""
        if self.spoke_at is not None:
            return
        self.questions.put(self)
        if not self.answered.wait(WORD_SECONDS) or self.spoke_at is None:
            raise NotSpoken(_("It may not be told now."))

    def note(self, spoken: Spoken) -> None:
        """What left us; of several requests of one try the last, which was answered."""
        self.spoken = spoken


@dataclass(frozen=True)
class Try:
    """One try of one relay: what was done, when, and the receipt or the error. `spoke_at`: its mark, None if nothing of
    it may have left. `shown_after`: the platform's patience (Adapter).
    """

    claim: Claim
    kind: str
    started_at: datetime
    seconds: float
    receipt: Receipt | None = None
    error: Exception | None = None
    spoke_at: datetime | None = None
    shown_after: float = 0
    spoken: Spoken | None = None

    @property
    def relay(self) -> RelayTask:
        return self.claim.relay

    @property
    def is_sending(self) -> bool:
        return self.kind == RelayAttempt.Kind.SEND

    @property
    def is_none(self) -> bool:
        """It waited, for a login or for its turn, or the connection wants a person: no try of this relay's."""
        waited = self.is_sending and self.spoke_at is None and isinstance(self.error, TemporaryError)
        return waited or isinstance(self.error, NotSpoken) or health.needs_person(self.error)


@dataclass(frozen=True)
class Ended:
    lane: Lane
    job: Job
    made: Try


class Drain:
    """`record` writes what came of tries: all of it or, by raising, nothing."""

    def __init__(self, record: Callable[[Sequence[Try]], None]) -> None:
        self.record = record
        threads = settings.RELAY_THREADS
        self.lanes = (
            Lane(RelayAttempt.Kind.SEND, claim_to_tell, threads),
            Lane(RelayAttempt.Kind.LOOK_UP, claim_to_look_up, max(1, threads // WIDTH)),
        )
        self.messages: queue.SimpleQueue[Word | Ended] = queue.SimpleQueue()
        self.stop_at = time.monotonic() + DRAIN_SECONDS
        self.unwell: set[Any] = set()
        self.unwritten: list[Try] = []
        self.write_at = 0.0
        self.made = 0

    def run(self) -> int:
        try:
            self._work()
        finally:
            self._write()
            for lane in self.lanes:
                lane.drop_waiting()
                lane.pool.shutdown(wait=False)
        if time.monotonic() >= self.stop_at:
            states.nudge_drain()
        return self.made

    def _work(self) -> None:
        while True:
            has_time = time.monotonic() < self.stop_at
            is_idle = all(lane.is_idle for lane in self.lanes)
            for lane in self.lanes:
                if has_time:
                    lane.refill(at_once=is_idle)
                    lane.start(self._try)
                else:
                    lane.drop_waiting()
            if all(lane.is_idle for lane in self.lanes):
                if not self.unwritten:
                    return
                self._write()
                continue
            messages = self._next_messages()
            self._answer([each for each in messages if isinstance(each, Word)])
            for each in messages:
                if isinstance(each, Ended):
                    each.lane.ended(each.job)
                    self._gather(each.made)
            if self.unwritten and time.monotonic() >= self.write_at:
                self._write()

    def _next_messages(self) -> list[Word | Ended]:
        """What the threads ask and bring: all that is there, after waiting for the first."""
        messages = []
        try:
            messages.append(self.messages.get(timeout=GATHER_SECONDS if self.unwritten else LOOK_AGAIN_SECONDS))
            while True:
                messages.append(self.messages.get_nowait())
        except queue.Empty:
            return messages

    def _answer(self, words: list[Word]) -> None:
        try:
            marks = states.speak([word.claim for word in words]) if words else {}
        except DatabaseError:
            logger.exception("The database does not say whether relays may be told: they are told later")
            marks = {}
        for word in words:
            word.spoke_at = marks.get(word.claim.relay.pk)
            word.answered.set()

    # --- in the threads

    def _try(self, lane: Lane, job: Job) -> None:
        relay = job.claim.relay
        word = Word(job.claim, self.messages)
        started_at, clock = timezone.now(), time.monotonic()
        receipt: Receipt | None = None
        error: Exception | None = None
        shown_after = 0.0
        try:
            if isinstance(job.adapter, Exception):
                raise job.adapter
            adapter = job.adapter
            shown_after = adapter.shown_after(adapter.account.settings)
            if lane.kind == RelayAttempt.Kind.SEND:
                adapter = adapter.speaking(word.ask, word.note)
                if not adapter.marks_speaking:
                    word.ask()
            receipt = SPEAK[relay.kind, lane.kind](adapter, relay, job.known)
        except Exception as raised:  # an adapter's own fault must stop nobody; it is recorded
            error = raised
        finally:
            if database.connection is not None and not database.in_atomic_block:
                database.close()  # this thread's own, where a token was read
        seconds = time.monotonic() - clock
        spoke_at, spoken = word.spoke_at, word.spoken
        made = Try(job.claim, lane.kind, started_at, seconds, receipt, error, spoke_at, shown_after, spoken)
        self.messages.put(Ended(lane, job, made))

    # --- recording

    def _gather(self, made: Try) -> None:
        """What was accepted waits a moment for others; a fault may be the connection's, and is known at once."""
        if not self.unwritten:
            self.write_at = time.monotonic() + GATHER_SECONDS
        self.unwritten.append(made)
        if made.error is not None:
            self.write_at = 0

    def _write(self) -> None:
        """Together where the database takes them so, else each by itself: one that it does not take loses no other."""
        tries, self.unwritten = self.unwritten, []
        if len(tries) > 1:
            try:
                self.record(tries)
            except DatabaseError:
                logger.exception("What came of %s relays could not be written together", len(tries))
            else:
                for made in tries:
                    self._note(made)
                return
        for made in tries:
            self._write_alone(made)

    def _write_alone(self, made: Try) -> None:
        for delay in (*RECORD_DELAYS, None):
            try:
                self.record([made])
                self._note(made)
                return
            except DatabaseError:
                logger.exception("What came of telling relay %s could not be written", made.relay.pk)
                if delay is not None:
                    time.sleep(delay)
        logger.error("Relay %s is left to its lease, and then looked up", made.relay.pk)

    def _note(self, made: Try) -> None:
        self.made += not made.is_none
        self._note_health(made)

    def _note_health(self, made: Try) -> None:
        """A platform that answers again is told at once what waited for it. Where all was well no statement is made."""
        connection, is_probe = made.relay.connection, made.claim.is_probe
        if isinstance(made.error, NotSpoken):
            if is_probe:
                health.give_probe_back(connection.pk)
            return
        if made.error is None and not (is_probe or connection.failures or connection.pk in self.unwell):
            return
        self.unwell.discard(connection.pk)
        if health.note(connection.pk, made.error):
            self.unwell.add(connection.pk)
        elif is_probe:
            states.wake(beside=made.relay)


def _adapter_or_fault(connection: Connection) -> Adapter | Exception:
    """A connection that cannot be set up must not stop the others; nothing was sent."""
    try:
        return get_adapter(connection)
    except Exception as error:
        logger.exception("Connection %s cannot be used", connection.name)
        return error

"""Rings webhooks: a few lanes (the events of an invoice stay in order), retries as the platforms announce them."""

import queue
import ssl
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from zlib import crc32

import httpx

from .faults import Fault
from .records import Destination, Event, Ring, State, now

if TYPE_CHECKING:
    from .app import Sandbox

LANES = 4
# A-Cube's sibling Peppol API: 15 attempts more, the first after 300 s, each wait 1.25 times the one before; 404 ends it
RETRIES, FIRST_WAIT, GROWTH = 15, 300.0, 1.25
EVENT_FAULTS = ("late", "twice", "out_of_order", "unknown_status", "unknown_invoice")
KEPT_ANSWER = 500
MALFORMED = b"status=205;label=Approved"
UNKNOWN_WORD = "XYZ"


@cache
def _certificate_authorities() -> ssl.SSLContext:
    """Loading them takes longer than most of what a test does: once per process."""
    return httpx.create_ssl_context()


@dataclass
class Delivery:
    event: Event
    destination: Destination
    ring: Ring
    state: State
    lane: int
    trick: str = ""
    attempts: int = 0
    written: tuple[str, dict[str, str], bytes] | None = None


class Ringer:
    def __init__(self, sandbox: "Sandbox", transport: httpx.BaseTransport | None) -> None:
        self._sandbox = sandbox
        self._client = httpx.Client(
            transport=transport, follow_redirects=False, trust_env=False, verify=_certificate_authorities()
        )
        self._lanes: list[queue.SimpleQueue[Delivery | None]] = [queue.SimpleQueue() for _ in range(LANES)]
        self._lock = threading.Lock()
        self._busy = 0
        self._held: list[Delivery] = []
        self._threads = [threading.Thread(target=self._work, args=(lane,), daemon=True) for lane in self._lanes]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        with self._lock:
            return self._busy + len(self._held)

    def ring(self, event: Event) -> None:
        """Queues the event for every destination; an armed fault that fits is taken for all of them together."""
        places = ("event", "echo") if event.echo else ("event",)
        fault = self._sandbox.faults.take(places, event.type)
        if fault is not None and fault.kind == "no_echo":
            return
        dialect = self._sandbox.dialect(event.dialect)
        invoice = dialect.invoices.get(event.invoice)
        if fault is not None and fault.kind == "unknown_status" and invoice is not None:
            dialect.report(invoice, UNKNOWN_WORD)
        stranger = dialect.stranger(event) if fault is not None and fault.kind == "unknown_invoice" else None
        for destination in dialect.destinations(event):
            if stranger is not None:
                self._start(stranger, destination, None)
            self._start(event, destination, fault)

    def _start(self, event: Event, destination: Destination, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        ring = Ring(event.dialect, event.id, event.type, event.invoice, destination.target, kind)
        lane = crc32((event.invoice or event.id).encode()) % LANES
        trick = kind if kind not in EVENT_FAULTS else ""
        delivery = Delivery(event, destination, ring, self._sandbox.state, lane, trick)
        with self._sandbox.lock:
            delivery.state.rings.append(ring)
        if kind == "out_of_order" and fault:
            with self._lock:
                self._held.append(delivery)
            self._sandbox.clock.later(fault.delay, self._release, delivery)
        elif kind == "late" and fault:
            self._sandbox.clock.later(fault.delay, self._enqueue, delivery)
        else:
            self._enqueue(delivery)
            if kind == "twice":
                self._enqueue(Delivery(event, destination, ring, delivery.state, (lane + 1) % LANES))
            self._let_pass(delivery)

    def _let_pass(self, overtaking: Delivery) -> None:
        """What was held goes behind the delivery that overtook it, in the same lane."""
        with self._lock:
            held = [d for d in self._held if d.destination.target == overtaking.destination.target]
        for delivery in held:
            delivery.lane = overtaking.lane
            self._release(delivery)

    def _release(self, delivery: Delivery) -> None:
        with self._lock:
            if delivery not in self._held:
                return
            self._held.remove(delivery)
        self._enqueue(delivery)

    def _enqueue(self, delivery: Delivery) -> None:
        if delivery.state is self._sandbox.state:
            with self._lock:
                self._busy += 1
            self._lanes[delivery.lane].put(delivery)

    def _work(self, lane: "queue.SimpleQueue[Delivery | None]") -> None:
        while (delivery := lane.get()) is not None:
            if delivery.state is self._sandbox.state:
                self._attempt(delivery)
            with self._lock:
                self._busy -= 1

    def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        started = time.monotonic()
        status, answer = self._post(delivery)
        seconds = round(time.monotonic() - started, 4)
        attempt = {"at": now().isoformat(), "status": status, "answer": answer, "seconds": seconds}
        with self._sandbox.lock:
            delivery.ring.tries.append(attempt)
        if status is not None and 200 <= status < 300:
            delivery.ring.state = "delivered"
        elif status == 404 or delivery.attempts > RETRIES:
            delivery.ring.state = "given up"
        else:
            delivery.ring.state = "waiting"
            wait = FIRST_WAIT * GROWTH ** (delivery.attempts - 1) * self._sandbox.settings["retry_scale"]
            self._sandbox.clock.later(wait, self._enqueue, delivery)

    def _post(self, delivery: Delivery) -> tuple[int | None, str]:
        dialect = self._sandbox.dialect(delivery.event.dialect)
        if delivery.written is None or delivery.trick or self._sandbox.settings["resign_retries"]:
            body = MALFORMED if delivery.trick == "malformed_body" else dialect.body(delivery.event)
            delivery.written = dialect.envelope(body, delivery.destination, delivery.trick)
        target, headers, body = delivery.written
        if delivery.trick:  # only the first attempt misbehaves: the retry brings the news all the same
            delivery.trick, delivery.written = "", None
        return self.post(target, headers, body)

    def post(
        self, target: str, headers: dict[str, str], body: bytes, *, method: str = "POST"
    ) -> tuple[int | None, str]:
        """Status and start of the answer; no status when nobody answered."""
        timeout = self._sandbox.settings["ring_timeout"]
        try:
            response = self._client.request(method, target, headers=headers, content=body, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"
        return response.status_code, response.text[:KEPT_ANSWER]

    def clear(self) -> None:
        with self._lock:
            self._held.clear()

    def stop(self) -> None:
        for lane in self._lanes:
            lane.put(None)
        for thread in self._threads:
            thread.join()
        self._client.close()

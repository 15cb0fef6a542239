"""Later: one thread that runs short jobs at their time, in the order of their times."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Clock:
    def __init__(self) -> None:
        self._jobs: list[tuple[float, int, Callable[..., object], tuple]] = []
        self._count = itertools.count()
        self._wake = threading.Condition()
        self._running = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="sandbox-clock", daemon=True)
        self._thread.start()

    def later(self, delay: float, job: Callable[..., object], *arguments: object) -> None:
        with self._wake:
            heapq.heappush(self._jobs, (time.monotonic() + max(delay, 0), next(self._count), job, arguments))
            self._wake.notify()

    @property
    def pending(self) -> int:
        with self._wake:
            return len(self._jobs) + self._running

    def clear(self) -> None:
        with self._wake:
            self._jobs.clear()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._jobs.clear()
            self._wake.notify()
        self._thread.join()

    def _next(self) -> tuple[Callable[..., object], tuple] | None:
        with self._wake:
            while not self._stopped:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    self._running = 1
                    return heapq.heappop(self._jobs)[2:]
                self._wake.wait(wait)
        return None

    def _run(self) -> None:
        while following := self._next():
            job, arguments = following
            try:
                job(*arguments)
            except Exception:
                logger.exception("a scheduled job of the sandbox failed")
            with self._wake:
                self._running = 0

"""Calls to platforms, several at a time and a few of each connection: a slow one keeps no other waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

from django.db import connection as database

Key = TypeVar("Key")
Answered = TypeVar("Answered")

# Connections that may have all their calls under way at once; each further one makes every share smaller.
LANES = 4
# How long the first answer waits for others, to be recorded with it.
GATHER_SECONDS = 0.02


class Calls(Generic[Key]):
    """A pool of threads for one run. `each`: calls at once of one connection; `lanes`: connections at once."""

    def __init__(self, each: int, lanes: int = LANES) -> None:
        self.each = each
        self.total = lanes * each
        self._pool = ThreadPoolExecutor(max_workers=self.total)
        self._running: dict[Future[Any], tuple[Any, Key]] = {}

    def __enter__(self) -> Calls[Key]:
        return self

    def __exit__(self, *error: object) -> None:
        """Whatever still runs ends by itself and is not waited for: a task has a time limit, its rows a lease."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._running)

    @property
    def room(self) -> int:
        return self.total - len(self._running)

    @property
    def share(self) -> int:
        """How many calls one connection may have under way: room is kept for one that has none yet."""
        busy = len({connection_id for connection_id, _key in self._running.values()})
        return max(1, min(self.each, self.total // (busy + 1)))

    def full(self) -> list[Any]:
        """The connections that have half their share under way, or more."""
        running = Counter(connection_id for connection_id, _key in self._running.values())
        return [connection_id for connection_id, count in running.items() if 2 * count >= self.share]

    def start(self, connection_id: Any, key: Key, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._running[self._pool.submit(_in_thread, call, *args, **kwargs)] = (connection_id, key)

    def ended(self, timeout: float) -> list[tuple[Key, Any]]:
        """What has ended, with its answer or what it raised; after `timeout` seconds perhaps nothing."""
        wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED)
        done, _running = wait(self._running, timeout=GATHER_SECONDS)
        return [(self._running.pop(future)[1], future.result()) for future in done]


def quietly(call: Callable[..., Answered], *args: Any, **kwargs: Any) -> Answered | Exception:
    """The answer, or what was raised instead."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return error


def _in_thread(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return quietly(call, *args, **kwargs)
    finally:
        if database.connection is not None and not database.in_atomic_block:
            database.close()  # this thread's own, where a token was read

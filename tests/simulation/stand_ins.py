"""What the code under test takes from the operating system, in simulated time: threads, queues, clocks, nudges."""

from __future__ import annotations

import importlib
import queue
import random
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

import django.utils.timezone
from django.conf import settings
from django.db import connection as database

from lifecycle import tasks
from lifecycle.inbox import asking, calling, deliveries
from lifecycle.outbox import lanes, relays
from providers.connections import nudge, services, tokens

from .kernel import Kernel, Task


class Future:
    def __init__(self, kernel: Kernel, task: Task) -> None:
        self.kernel, self.task = kernel, task

    def done(self) -> bool:
        return self.task.is_done

    def result(self) -> Any:
        self.kernel.wait(self.done)
        if self.task.error is not None:
            raise self.task.error
        return self.task.result


class Executor:
    """Threads of the process that makes it; at most so many at work."""

    def __init__(self, kernel: Kernel, max_workers: int) -> None:
        self.kernel, self.most = kernel, max_workers
        self.running: list[Task] = []

    def submit(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        kernel = self.kernel
        assert kernel.current is not None

        def run() -> Any:
            kernel.wait(lambda: sum(not each.is_done for each in self.running[:place]) < self.most)
            return call(*args, **kwargs)

        place = len(self.running)
        task = kernel.spawn(kernel.current.process, run, getattr(call, "__name__", "thread"))
        self.running.append(task)
        return Future(kernel, task)

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        if wait:
            self.kernel.wait(lambda: all(each.is_done for each in self.running))

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()


class SimpleQueue:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.items = kernel, []

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def put(self, item: Any) -> None:
        self.items.append(item)

    def get(self, timeout: float | None = None) -> Any:
        if not self.items and not self.kernel.wait(lambda: self.items, timeout):
            raise queue.Empty
        return self.items.pop(0)

    def get_nowait(self) -> Any:
        if not self.items:
            raise queue.Empty
        return self.items.pop(0)


class Event:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.is_set_ = kernel, False

    def set(self) -> None:
        self.is_set_ = True

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set_ or self.kernel.wait(lambda: self.is_set_, timeout)


def word_in(kernel: Kernel) -> type[lanes.Word]:
    class Word(lanes.Word):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, answered=Event(kernel))  # type: ignore[arg-type]

    return Word


def clock(kernel: Kernel) -> Any:
    """A module `time`."""
    return types.SimpleNamespace(monotonic=lambda: kernel.seconds, sleep=kernel.sleep, time=lambda: kernel.seconds)


def moments(kernel: Kernel) -> type[datetime]:
    class Moment(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return kernel.now.astimezone(tz) if tz else kernel.now.replace(tzinfo=None)

    return Moment


def wait_for(kernel: Kernel) -> Callable[..., Any]:
    def wait(futures: Any, timeout: float | None = None, return_when: str = ALL_COMPLETED) -> Any:
        rows = list(futures)
        enough = any if return_when == FIRST_COMPLETED else all
        if rows:
            kernel.wait(lambda: enough(each.done() for each in rows), timeout)
        done = {each for each in rows if each.done()}
        return done, set(rows) - done

    return wait


@contextmanager
def installed(kernel: Kernel, on_nudge: Callable[[str, float], None]) -> Iterator[None]:
    """The code under test lives in simulated time, and everything it draws by chance follows from the seed."""
    time = clock(kernel)
    chance = random.Random(kernel.rng.random())
    system = types.SimpleNamespace(urandom=chance.randbytes)

    def nudged(task: str, *, delay: float = 0, timeout: int | None = None) -> None:
        on_nudge(task, delay)

    with ExitStack() as stack:

        def put(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        put(django.utils.timezone, "datetime", moments(kernel))
        put(uuid, "os", system)
        for module in (asking, deliveries, lanes, tasks, services, tokens):
            put(module, "time", time)
        put(relays, "random", chance)
        put(lanes, "queue", types.SimpleNamespace(SimpleQueue=lambda: SimpleQueue(kernel), Empty=queue.Empty))
        put(lanes, "threading", types.SimpleNamespace(Event=lambda: Event(kernel)))
        put(lanes, "Word", word_in(kernel))
        put(lanes, "ThreadPoolExecutor", lambda number, name="": Executor(kernel, number))
        put(calling, "ThreadPoolExecutor", lambda max_workers: Executor(kernel, max_workers))
        put(calling, "wait", wait_for(kernel))
        for module in users_of_nudge():
            put(module, "nudge", nudged)
        # All tasks share one connection: a thread that ends must not close it.
        put(database, "close", lambda: None)
        stack.enter_context(kernel.hooked())
        yield


def users_of_nudge() -> list[Any]:
    """Every module that has the function under its name, whichever were loaded before."""
    importlib.import_module(settings.ROOT_URLCONF)
    ours = ("lifecycle.", "providers.", "invoices.")
    loaded = [module for name, module in sorted(sys.modules.items()) if name.startswith(ours)]
    return [module for module in loaded if getattr(module, "nudge", None) is nudge.nudge]

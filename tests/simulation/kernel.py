"""Simulated time, tasks that take turns, and processes that may die between any two statements.

Tasks are greenlets: one runs at a time, until it waits or comes to a point where another may go on. All of them share
one database connection, so turns change only outside transactions: what a transaction does is one step for the others,
as PostgreSQL makes it.
"""

from __future__ import annotations

import contextvars
import random
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import greenlet
from django.db import connection as database


class Crash(BaseException):
    """The process is dead: nothing of it runs on, and no `except Exception` holds it up."""


class Stuck(AssertionError):
    """A history that does not come to rest."""


class Process:
    """What dies as a whole. `statements` it may still make before it is killed; None while nobody wants to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.statements: int | None = None


class Task:
    def __init__(
        self, process: Process, run: Callable[[], Any], name: str, parent: Any, context: contextvars.Context
    ) -> None:
        self.process, self.name = process, name
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_done = False
        self.until: datetime | None = None
        self.ready: Callable[[], Any] | None = None
        self.greenlet = greenlet.greenlet(lambda: self._run(run), parent)
        self.greenlet.gr_context = context

    def _run(self, run: Callable[[], Any]) -> None:
        try:
            if not self.process.is_alive:
                raise Crash
            self.result = run()
        except BaseException as error:  # a task ends as a thread would: whoever waits for it looks
            self.error = error
        finally:
            self.is_done = True


class Kernel:
    def __init__(self, seed: int, start: datetime) -> None:
        self.rng = random.Random(seed)
        self.start = self.now = start
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.main = greenlet.getcurrent()
        # Where an event loop runs in this thread (Playwright's), Django keeps its connection in the context.
        self.context = contextvars.copy_context()
        self.crashes = 0
        self.turns = 0
        self.quiet = False  # no turns at statements: for the judge

    # --- time

    @property
    def seconds(self) -> float:
        return (self.now - self.start).total_seconds()

    def spawn(self, process: Process, run: Callable[[], Any], name: str = "") -> Task:
        task = Task(process, run, name, self.main, self.context.copy())
        self.tasks.append(task)
        return task

    def wait(self, ready: Callable[[], Any] | None, seconds: float | None = None) -> bool:
        """Give the turn away until `ready()` is true or `seconds` have passed; returns whether it is. A process that
        died meanwhile does not come back. Outside any task nothing is waited for.
        """
        task = self.current
        if task is None:
            return bool(ready and ready())
        task.ready = ready
        task.until = None if seconds is None else self.now + timedelta(seconds=max(0.0, seconds))
        self.main.switch()
        if not task.process.is_alive:
            raise Crash
        return bool(ready and ready())

    def sleep(self, seconds: float) -> None:
        self.wait(None, seconds)

    def give_way(self) -> None:
        """Others may go on here."""
        if self.current is not None and not self.quiet and not database.in_atomic_block:
            self.wait(None, 0)

    # --- turns

    def run(self, until: datetime) -> None:
        """Let tasks take turns until nothing can happen before that moment."""
        while True:
            runnable = [task for task in self.tasks if self._is_runnable(task)]
            if not runnable:
                moments = [task.until for task in self.tasks if task.until is not None]
                if not moments or min(moments) > until:
                    self.now = max(self.now, until)
                    return
                self.now = max(self.now, min(moments))
                continue
            self._turn(self.rng.choice(runnable))

    def _is_runnable(self, task: Task) -> bool:
        if not task.process.is_alive or (task.ready is None and task.until is None):
            return True
        if task.until is not None and task.until <= self.now:
            return True
        return bool(task.ready and task.ready())

    def _turn(self, task: Task) -> None:
        self.turns += 1
        if self.turns > 200_000:
            raise Stuck(f"{self.turns} turns; last: {task.name} at {self.now}")
        task.ready = task.until = None
        self.current = task
        try:
            task.greenlet.switch()
        finally:
            self.current = None
        if task.is_done:
            self.tasks.remove(task)

    # --- accidents

    def kill(self, process: Process) -> None:
        """SIGKILL: its tasks end where they stand, at their next turn."""
        process.is_alive = False
        self.crashes += 1

    def kill_soon(self, process: Process) -> None:
        process.statements = self.rng.randint(0, 25)

    @contextmanager
    def hooked(self) -> Any:
        """Every statement of a task is a place where its process may die, and outside transactions others may go on."""
        with database.execute_wrapper(self._around):
            yield

    def _around(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        task = self.current
        if task is None or self.quiet:
            return execute(sql, params, many, context)
        process = task.process
        self._die_here(process)
        if not database.in_atomic_block:
            self.give_way()
        if not process.is_alive:
            raise Crash
        result = execute(sql, params, many, context)
        self._die_here(process)  # what it has just done is done, and nobody notes it
        return result

    def _die_here(self, process: Process) -> None:
        if process.statements is not None:
            process.statements -= 1
            if process.statements < 0:
                process.statements = None
                self.kill(process)
        if not process.is_alive:
            raise Crash

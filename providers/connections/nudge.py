"""Tell the worker there is something to do: at most one task every 100 ms per process, and harmless if lost."""

import logging
import threading
import time

from django.db import connection
from django_q.tasks import async_task

INTERVAL = 0.1

logger = logging.getLogger(__name__)
_last: dict[str, float] = {}
_due: dict[str, float] = {}  # the earliest timer that waits, by task
_lock = threading.Lock()


def nudge(task: str, *, delay: float = 0, timeout: int | None = None) -> None:
    """Enqueue `task` (a dotted name) after `delay` seconds, at most once per INTERVAL in this process.

    `timeout` is for a task that needs longer than the others before its worker is ended.
    Call it after commit. A lost nudge loses nothing: the sweep runs every minute. Nor does one that an earlier waiting
    timer makes superfluous: the drain it starts looks for what comes next.
    """
    now = time.monotonic()
    with _lock:
        at = max(now + delay, _last.get(task, -INTERVAL) + INTERVAL)
        if at <= now:
            _last[task] = now
        elif now < _due.get(task, 0) <= at:
            return
        else:
            _due[task] = at
    if at <= now:
        _enqueue(task, timeout)
        return
    timer = threading.Timer(at - now, _enqueue_later, args=[task, timeout])
    timer.daemon = True
    timer.start()


def _enqueue_later(task: str, timeout: int | None) -> None:
    with _lock:
        _due.pop(task, None)
        _last[task] = time.monotonic()
    try:
        _enqueue(task, timeout)
    finally:
        connection.close()  # this thread's own


def _enqueue(task: str, timeout: int | None) -> None:
    options = {"timeout": timeout} if timeout else {}
    try:
        async_task(task, **options)
    except Exception:  # whatever the broker raises: the row is stored, and the sweep will find it
        logger.warning("The worker could not be nudged for %s; the sweep will find the work.", task, exc_info=True)

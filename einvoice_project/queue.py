"""The worker runs the tasks named here, and nothing else: whoever can write a row of its tables gets no shell by that.

Messages are signed with SECRET_KEY; schedules are not, and name any function with any options.
"""

from __future__ import annotations

import logging
from typing import Any

from django_q.brokers import Broker
from django_q.brokers.orm import ORM
from django_q.signals import pre_enqueue
from django_q.signing import BadSignature, SignedPackage

TASKS = frozenset(
    {
        "invoices.tasks.drain_validations",
        "invoices.tasks.prepare_documents",
        "lifecycle.tasks.ask_open",
        "lifecycle.tasks.drain_inbox",
        "lifecycle.tasks.drain_relays",
        "lifecycle.tasks.fetch_news",
        "lifecycle.tasks.poll_due",
        "lifecycle.tasks.sweep",
        "providers.tasks.check_asked",
    }
)
# What django-q2 notes of a task, and the one option of ours. `sync`, `hook` and `chain` would run something elsewhere.
PARTS = frozenset({"id", "name", "func", "args", "kwargs", "started", "group", "cluster", "timeout", "ack_failure"})

logger = logging.getLogger(__name__)


def is_ours(task: Any) -> bool:
    is_named = isinstance(task, dict) and isinstance(task.get("func"), str) and task["func"] in TASKS
    return is_named and not task["args"] and not task["kwargs"] and set(task) <= PARTS


def strip(sender: Any, task: dict[str, Any], **_signal: Any) -> None:
    """A schedule with the option `sync` would run within the scheduler: every task goes through the queue."""
    for part in set(task) - PARTS:
        del task[part]


pre_enqueue.connect(strip)


class NamedTasksOnly(Broker):
    def dequeue(self) -> list[tuple[Any, Any]]:
        return [(key, message) for key, message in super().dequeue() or () if self._accepts(key, message)]

    def _accepts(self, key: Any, message: Any) -> bool:
        try:
            task = SignedPackage.loads(message)
        except (TypeError, BadSignature):
            task = None
        if is_ours(task):
            return True
        named = str(task.get("func"))[:200] if isinstance(task, dict) else "a message that we have not signed"
        logger.error("The worker refused %s: it is no task of ours. Who wrote to the queue?", named)
        self.fail(key)
        return False


class DatabaseQueue(NamedTasksOnly, ORM):
    pass

"""Whoever can write a row of the queue gets nothing run by it."""

import ast
import logging
from datetime import timedelta
from multiprocessing import Event, Queue
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.models import OrmQ, Schedule
from django_q.pusher import pusher
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from einvoice_project.queue import TASKS

OURS = "lifecycle.tasks.sweep"


@pytest.fixture
def empty_queue(transactional_db):
    """The scheduler closes its connection first, so a transaction would not see what it does."""
    Schedule.objects.all().delete()


def step():
    """One round of a cluster: what is due is scheduled, what is queued goes to the workers. Returns their tasks."""
    scheduler(broker=get_broker())
    return push()


def push():
    event, tasks, broker = Event(), Queue(), get_broker()
    event.set()
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=1))
    for _message in range(OrmQ.objects.count()):
        pusher(tasks, event, broker)
    tasks.put("STOP")
    return [task["func"] for task in iter(tasks.get, "STOP")]


def schedule(func, **values):
    past = timezone.now() - timedelta(minutes=1)
    return Schedule.objects.create(func=func, schedule_type=Schedule.ONCE, repeats=-1, next_run=past, **values)


def package(**task):
    facts = {"id": "1" * 32, "name": "x", "args": (), "kwargs": {}, "started": timezone.now()}
    return SignedPackage.dumps(facts | task)


def queue(payload):
    return OrmQ.objects.create(key="navette", payload=payload, lock=timezone.now() - timedelta(seconds=1))


@pytest.mark.usefixtures("empty_queue")
def test_our_own_tasks_run():
    schedule(OURS, name="sweep")
    async_task("lifecycle.tasks.drain_relays", timeout=300)
    assert sorted(step()) == ["lifecycle.tasks.drain_relays", OURS]


@pytest.mark.usefixtures("empty_queue")
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kwargs": "{'q_options': {'sync': True}}"},
        {"hook": "os.system"},
        {"kwargs": "q_options={'chain': [('os.system', ('touch /tmp/x',))], 'sync': True}"},
    ],
)
def test_hostile_schedule_runs_nothing(tmp_path, caplog, values):
    mark = tmp_path / "ran"
    schedule("os.system", args=f"'touch {mark}',", **values)
    schedule(OURS, name="sweep")
    assert step() == [OURS]
    assert not mark.exists()
    assert OrmQ.objects.count() == 1  # ours, until a worker has done it
    assert [each.getMessage() for each in caplog.records if each.name == "einvoice_project.queue"] == [
        "The worker refused os.system: it is no task of ours. Who wrote to the queue?"
    ]


@pytest.mark.usefixtures("empty_queue")
def test_schedule_of_ours_gets_no_hook_and_runs_in_the_queue():
    schedule(OURS, hook="os.system", kwargs="{'q_options': {'sync': True}}")
    assert step() == [OURS]
    assert {"hook", "sync"} & set(SignedPackage.loads(OrmQ.objects.get().payload)) == set()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload",
    [
        "gASVAAA:forged:signature",
        lambda: package(func="os.system", args=("true",)),
        lambda: package(func=print),
        lambda: package(func=OURS, args=("1",)),
        lambda: package(func=OURS, hook="os.system"),
        lambda: package(func=OURS, chain=[("os.system", ("true",))]),
        lambda: SignedPackage.dumps("no task"),
    ],
    ids=["unsigned", "foreign", "function", "arguments", "hook", "chain", "text"],
)
def test_hostile_message_is_refused_and_removed(caplog, payload):
    queue(payload() if callable(payload) else payload)
    with caplog.at_level(logging.ERROR):
        assert push() == []
    assert OrmQ.objects.count() == 0
    assert "refused" in caplog.text


def test_queue_is_not_in_the_admin():
    models = {model.__name__ for model in admin.site._registry if model._meta.app_label == "django_q"}
    assert models == set()


def test_tasks_are_those_there_are():
    defined = {
        f"{app}.tasks.{node.name}"
        for app in ("invoices", "lifecycle", "providers")
        for node in ast.parse((Path(settings.BASE_DIR) / app / "tasks.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert defined == TASKS
    assert all(callable(import_string(name)) for name in TASKS)

"""Checks and registrations that people ask for. The worker makes them, several at once: a platform that answers slowly,
or never, holds up no page and no push.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, Q
from django.utils import timezone

from providers.contract.base import CheckResult
from providers.contract.kinds import UnknownKind
from providers.models import Connection
from providers.network.deadlines import within

from . import services
from .nudge import nudge
from .sealing import SealBroken

TASK = "providers.tasks.check_asked"
# One run makes so many, each with this for all its calls together: it ends below a task's 120 seconds.
AT_ONCE = 16
SECONDS = 30
LEASE = timedelta(seconds=90)


def ask(connection: Connection, *, register: bool = False) -> None:
    """Have the connection checked soon, or our address registered there and then checked."""
    wish = {"asked_at": timezone.now()} | ({"asked_to_register": True} if register else {})
    Connection.objects.filter(pk=connection.pk).update(**wish)
    transaction.on_commit(lambda: nudge(TASK))


def nudge_for_due() -> None:
    if _free().exists():
        nudge(TASK)


def run_asked() -> int:
    """One run at a time, so that checks never take up more than one process of the worker."""
    ids = _claim()
    if not ids:
        return 0
    with ThreadPoolExecutor(max_workers=len(ids)) as pool:
        list(pool.map(_run, ids))
    nudge_for_due()
    return len(ids)


def run(connection: Connection) -> None:
    """Write down what the platform answers now, and that nobody waits for it any more."""
    asked_at = connection.asked_at
    results = services.registered(connection) if connection.asked_to_register else []
    try:
        services.check_connection(connection, before=results)
    except (UnknownKind, SealBroken) as error:
        services.keep_results(connection, [*results, CheckResult(name="connection", ok=False, message=str(error))])
    row = Connection.objects.filter(pk=connection.pk)
    row.filter(asked_at=asked_at).update(asked_at=None, asked_to_register=False)
    row.update(check_leased_until=None)


def _free() -> Any:
    held = Q(check_leased_until__gt=timezone.now())
    return Connection.objects.filter(~Exists(Connection.objects.filter(held)), asked_at__isnull=False)


def _claim() -> list[Any]:
    with transaction.atomic():
        rows = _free().select_for_update(skip_locked=True).order_by("asked_at")[:AT_ONCE]
        ids = [row.pk for row in rows]
        Connection.objects.filter(pk__in=ids).update(check_leased_until=timezone.now() + LEASE)
    return ids


def _run(connection_id: Any) -> None:
    try:
        with within(SECONDS):
            run(Connection.objects.get(pk=connection_id))
    finally:
        database.close()  # this thread's own

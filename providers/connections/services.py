"""What is done with connections, hooks and pushed requests."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db import connection as database
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from providers.contract import base, found
from providers.contract.kinds import UnknownKind, adapter_class, find_adapter_class
from providers.models import Connection, Hook, RefusedRequest, Subscription, WebhookDelivery
from providers.network.hiding import hide

from . import health
from .hosts import forget_credentials, goes_elsewhere
from .registry import as_line, get_adapter
from .sealing import SealBroken, Secrets

# A hook and its adapter are kept this long per process: a push costs one INSERT and no look-up. It is also the time
# a closed hook or a changed secret may still be served by a web process.
HOOK_KEPT_SECONDS = 5
REFUSED_KEPT = 1000  # rows of diagnosis per connection; a flood of forgeries must not fill the disk
SECRET_HEADERS = {"authorization", "cookie", "x-webhook-token", "x-api-key", "apikey", "ocp-apim-subscription-key"}

_hooks: dict[str, tuple[float, Hook, base.Adapter]] = {}


def find_hook(kind: str, token: str) -> tuple[Hook, base.Adapter] | None:
    """The open hook behind a token with its connection's adapter, or None."""
    if "\0" in token:  # no column can hold it
        return None
    kept = _hooks.get(token)
    if kept is None or kept[0] < time.monotonic():
        hook = Hook.objects.select_related("connection").filter(token=token, closed_at=None).first()
        if hook is None:
            _hooks.pop(token, None)
            return None
        kept = (time.monotonic() + HOOK_KEPT_SECONDS, hook, get_adapter(hook.connection))
        _hooks[token] = kept
    return (kept[1], kept[2]) if kept[1].connection.kind == kind else None


def line_of(pushed_to: Hook | WebhookDelivery, adapter: base.Adapter | None) -> base.Line | None:
    """The addressing line a hook or its delivery belongs to; a bare one where its row is gone."""
    identifier = pushed_to.line_identifier
    if not identifier:
        return None
    found = adapter.account.lines.find(identifier) if adapter else None
    return found or base.Line(identifier=identifier)


def forget_hooks() -> None:
    """Drop what this process keeps, after a change of hooks or secrets."""
    _hooks.clear()


def open_hook(*, connection: Connection, line_identifier: str = "", token: str = "") -> tuple[Hook, bool]:
    """The open hook of a connection (or of one of its lines), made where there is none. A given token replaces it."""
    with transaction.atomic():
        hook = connection.hooks.filter(closed_at=None, line_identifier=line_identifier).first()
        if hook and (not token or hook.token == token):
            return hook, False
        if token and Hook.objects.filter(token=token).exists():
            raise ValueError("This hook token was used before, and a closed address stays closed: give another one.")
        if hook:
            close_hook(hook=hook)
        given = {"token": token} if token else {}
        return Hook.objects.create(connection=connection, line_identifier=line_identifier, **given), True


def close_hook(*, hook: Hook) -> None:
    """From now on the address answers 410."""
    hook.closed_at = timezone.now()
    hook.save(update_fields=["closed_at"])
    forget_hooks()


INSERT = """
    INSERT INTO providers_webhookdelivery
        (id, connection_id, line_identifier, key, received_at, url, headers, body, state, error, waits_for, attempts,
         next_attempt_at, lane, found)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'received', '', '', 0, %s, %s, %s)
    ON CONFLICT (connection_id, key) DO NOTHING
"""
# A bell rung again: what is in work is looked at once more after it (its worker's claim no longer counts), with its
# tries; anything else starts anew.
RING = INSERT.replace(
    "DO NOTHING",
    """DO UPDATE SET
        attempts = CASE WHEN old.state = 'received' THEN old.attempts ELSE 0 END,
        next_attempt_at = CASE WHEN old.state = 'received' THEN old.next_attempt_at ELSE excluded.next_attempt_at END,
        error = CASE WHEN old.state = 'received' THEN old.error ELSE '' END,
        found = excluded.found, lane = excluded.lane, state = 'received', waits_for = '', leased_until = NULL,
        processed_at = NULL, received_at = excluded.received_at""",
).replace("INTO providers_webhookdelivery", "INTO providers_webhookdelivery AS old")
Lane = WebhookDelivery.Lane


def store_delivery(*, hook: Hook, pushed: base.HookRequest, key: str, lane: str = Lane.INGEST) -> None:
    """One statement in autocommit, much cheaper than the ORM's BEGIN, INSERT, COMMIT; a duplicate changes nothing."""
    values: list[Any] = [
        uuid.uuid4(), hook.connection_id, pushed.line.identifier if pushed.line else "", storable_key(key),
        pushed.received_at, pushed.url[:300], json.dumps(_without_secrets(pushed, hook.connection)), pushed.body,
        pushed.received_at, lane, None,
    ]  # fmt: skip
    # A kept connection is not asked first whether it still lives: that would be a statement more for every push.
    database.health_check_done = True  # type: ignore[attr-defined]
    try:
        _execute(INSERT, values)
    except (InterfaceError, OperationalError):
        if database.in_atomic_block or database.is_usable():
            raise
        database.close()
        _execute(INSERT, values)


def store_poll(connection: Connection, page: base.PollPage, bells: Iterable[base.Bell]) -> int:
    """Put what a poll found into the inbox, and its cursor with the connection: both or neither. Returns how much of it
    is to be looked at. Things pushed and statuses are new once; a bell asks for another look each time it is rung, and
    so does what earlier polls found and could not be taken in.
    """
    states = WebhookDelivery.State
    anew = {"state": states.RECEIVED, "attempts": 0, "error": "", "processed_at": None}
    rung = {f"bell {bell.provider_ref}": found.write(bells=[bell]) for bell in bells}
    told = {f"told {_digest(each)}": each for each in (found.write(statuses=[row]) for row in page.statuses)}
    with transaction.atomic():
        waits = Q(waits_for="") | Q(waits_for__startswith=WebhookDelivery.WAITS_FOR_LINE)
        aside = connection.deliveries.filter(waits, state=states.QUARANTINED, found__isnull=False)
        new = aside.update(**anew, next_attempt_at=timezone.now())
        new += _store(connection, RING, [(key, b"", json.dumps(bell)) for key, bell in rung.items()], Lane.FETCH)
        new += _store(connection, INSERT, [(key, b"", json.dumps(each)) for key, each in told.items()], Lane.INGEST)
        new += _store(connection, INSERT, [(push.key, push.body, None) for push in page.pushes], Lane.INGEST)
        Connection.objects.filter(pk=connection.pk).update(poll_cursor=dict(page.cursor))
    connection.poll_cursor = dict(page.cursor)
    return new


def _store(connection: Connection, statement: str, things: list[tuple[str, bytes, str | None]], lane: str) -> int:
    """As if it had been pushed in this order."""
    now, tick = timezone.now(), timedelta(microseconds=1)
    rows = [
        (uuid.uuid4(), connection.pk, "", storable_key(key), now + place * tick, "", "{}", body, now, lane, thing)
        for place, (key, body, thing) in enumerate(things)
    ]
    with database.cursor() as cursor:
        if rows:
            cursor.executemany(statement, rows)
        return cursor.rowcount if rows else 0


def _digest(thing: Any) -> str:
    return hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()


def _execute(statement: str, values: list[Any]) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement, values)


def _without_secrets(pushed: base.HookRequest, connection: Connection) -> dict[str, str]:
    """By name, and by value: a platform may show our shared secret in a header of any name."""
    of_line = pushed.line.secrets.values() if pushed.line else ()
    secrets = [secret for secret in (*connection.secrets.values(), *of_line) if secret]
    return {
        name: storable(value)
        for name, value in pushed.headers.items()
        if name.lower() not in SECRET_HEADERS and hide(value, secrets) == value
    }


def storable(text: str) -> str:
    """The text with a mark for what PostgreSQL cannot hold: NUL and halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def storable_key(key: str) -> str:
    """A key as the column holds it: one that does not fit is replaced by its digest, so that no two become the same."""
    if len(key) <= 200 and storable(key) == key:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_stored(delivery: WebhookDelivery, adapter: base.Adapter | None = None) -> base.HookRequest:
    """A stored delivery as the request it was, to be parsed by the worker; its line as `adapter` knows it."""
    return base.HookRequest(
        method="POST",
        url=delivery.url,
        headers=delivery.headers,
        body=bytes(delivery.body),
        received_at=delivery.received_at,
        line=line_of(delivery, adapter),
    )


def note_refusal(*, connection: Connection, error: base.HookError, size: int) -> None:
    """Keep a row of diagnosis, and only the newest REFUSED_KEPT of them."""
    reason = storable(str(error))[:300]
    RefusedRequest.objects.create(
        connection=connection, status_code=error.status_code, reason=reason, size=min(size, 2**31 - 1)
    )
    rows = RefusedRequest.objects.filter(connection=connection)
    for newest_too_many in rows.order_by("-id")[REFUSED_KEPT : REFUSED_KEPT + 1]:
        rows.filter(id__lte=newest_too_many.id).delete()


def save_connection(
    *, name: str, kind: str, environment: str, settings: dict[str, Any], secrets: dict[str, str]
) -> tuple[Connection, bool]:
    """Make or change a connection; settings and secrets merge into what is there, but a new host is never shown the
    secrets of the old one. ValueError on unknown names.
    """
    cls = adapter_class(kind)
    refuse_unknown(settings, cls.settings_fields, f"settings of connection “{name}”")
    refuse_unknown(secrets, cls.secret_fields, f"secrets of connection “{name}”")
    with transaction.atomic():
        connection = Connection.objects.select_for_update().filter(name=name).first() or Connection(
            name=name, kind=kind
        )
        if connection.kind != kind:
            raise ValueError(f"Connection “{name}” is of kind “{connection.kind}” and cannot become “{kind}”.")
        created = connection._state.adding
        merged = {**connection.settings, **settings}
        has_moved = not created and goes_elsewhere(connection, environment, merged)
        connection.environment, connection.settings = environment, merged
        connection.secrets = Secrets(secrets if has_moved else {**connection.secrets, **secrets})
        connection.save()
        if has_moved:
            forget_credentials(connection)
    health.reset(connection.pk)
    forget_hooks()
    return connection, created


def refuse_unknown(given: Iterable[str], fields: tuple[base.Field, ...], where: str) -> None:
    known = {field.name for field in fields}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"Unknown {where}: {', '.join(unknown)}. Known: {', '.join(sorted(known)) or 'none'}.")


def subscribe_line(*, connection: Connection, line: base.Line) -> str:
    """Subscribe an addressing line with an address of its own; says what was done. Raises PlatformError."""
    adapter = get_adapter(connection)
    if adapter.hook_per_line:
        open_hook(connection=connection, line_identifier=line.identifier)
    return adapter.subscribe(line)


def unsubscribe_line(*, connection: Connection, line: base.Line) -> str:
    """End a line's subscription; its own address answers 410 from then on. Raises PlatformError."""
    words = get_adapter(connection).unsubscribe(line)
    for hook in connection.hooks.filter(closed_at=None, line_identifier=line.identifier):
        close_hook(hook=hook)
    return words


def leave_line(*, connection: Connection, line_identifier: str) -> None:
    """The line is deleted here, or served by another connection: nothing of it is open any more."""
    if line_identifier:
        for hook in connection.hooks.filter(closed_at=None, line_identifier=line_identifier):
            close_hook(hook=hook)
    closed = {"state": Subscription.State.CLOSED, "callback": Secrets(), "changed_at": timezone.now()}
    connection.subscriptions.filter(line_identifier=line_identifier).update(**closed)


# What people may do with a subscription besides: from which states, and what it becomes.
STEPS = {
    "suspend": (frozenset({Subscription.State.ACTIVE}), Subscription.State.SUSPENDED),
    "resume": (frozenset({Subscription.State.SUSPENDED}), Subscription.State.ACTIVE),
}


def step_subscription(*, connection: Connection, line_identifier: str, step: str) -> None:
    """Suspend or resume: while suspended nothing is sent, and what is pushed is still taken. ValueError elsewhere."""
    allowed, becomes = STEPS[step]
    rows = connection.subscriptions.filter(line_identifier=line_identifier, state__in=allowed)
    if not rows.update(state=becomes, last_error="", changed_at=timezone.now()):
        raise ValueError(
            _("The subscription of addressing line %(line)s is not in a state for this: reload the page.")
            % {"line": line_identifier}
        )


def follow_connection_data(*, connection: Connection, line: base.Line) -> None:
    """After a change of a line's secrets: its subscription waits for the connection data, or has them."""
    cls = find_adapter_class(connection.kind)
    if cls is None or not cls.connection_data:
        return
    states = Subscription.State
    is_there = all(line.secrets.get(name) for name in cls.connection_data)
    before, after = (states.DRAFT, states.CONNECTION_DATA_RECEIVED)[:: 1 if is_there else -1]
    row, _is_new = connection.subscriptions.get_or_create(line_identifier=line.identifier)
    if row.state == before:
        row.state, row.changed_at = after, timezone.now()
        row.save(update_fields=["state", "changed_at"])


def make_connection_data(*, connection: Connection, line_identifier: str) -> dict[str, str]:
    """Connection data for the other party, kept sealed with the line and shown this once. Raises PlatformError."""
    with transaction.atomic():
        # The layer above gives a connection its lines: read and written as data, so that no import points up.
        row = connection.addressing_lines.select_for_update().get(identifier=line_identifier)
        data = get_adapter(connection).new_connection_data(as_line(row))
        row.secrets = Secrets({**row.secrets, **data.secrets})
        row.save(update_fields=["secrets"])
    return dict(data.shown)


def check_connection(connection: Connection, *, before: Iterable[base.CheckResult] = ()) -> list[base.CheckResult]:
    """Ask the platform, keep the answer with the connection, after what was found `before`."""
    results = [*before]
    try:
        results += get_adapter(connection).check()
    except (base.PlatformError, SealBroken) as error:
        results.append(base.CheckResult(name="check", ok=False, message=str(error)))
    keep_results(connection, results)
    if results and all(result.ok for result in results):
        health.note_success(connection.pk)  # what waits need not wait for the next probe
    return results


def keep_results(connection: Connection, results: list[base.CheckResult]) -> None:
    connection.checked_at = timezone.now()
    connection.check_results = [vars(result) for result in results]
    connection.save(update_fields=["checked_at", "check_results"])


def registered(connection: Connection) -> list[base.CheckResult]:
    """What registering our address did; a platform where it is done by hand is no failure."""
    try:
        changes = get_adapter(connection).register_webhooks()
    except base.Unsupported as error:
        return [base.CheckResult(name="webhooks", ok=True, message=error.message)]
    except base.PlatformError as error:
        return [base.CheckResult(name="webhooks", ok=False, message=error.message)]
    except (UnknownKind, SealBroken) as error:
        return [base.CheckResult(name="webhooks", ok=False, message=str(error))]
    return [base.CheckResult(name="webhooks", ok=True, message=" ".join(changes) or _("nothing had to be changed."))]

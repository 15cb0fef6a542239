"""What was said to platforms and what they answered, chained try by try like the events of an invoice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from django.db import connection as database
from django.utils.dateparse import parse_datetime

from lifecycle.models import RelayAttempt, RelayTask, hash_of
from providers.contract.base import Spoken

from . import seals

# How long after its answer a receipt may be written: the database may not have taken it at once.
WRITTEN_WITHIN = timedelta(minutes=5)


def request_of(spoken: Spoken) -> dict[str, Any]:
    names = ("method", "url", "sha256", "size")
    return {name: getattr(spoken, name) for name in names} | {"headers": [list(header) for header in spoken.headers]}


def facts_of(attempt: Any) -> dict[str, Any]:
    """Everything an attempt's hash covers, in JSON types. The request's own hash stands for its bytes."""
    names = ("kind", "duration_ms", "outcome", "status_code", "message", "answer", "receipt", "sent", "previous_hash")
    return {name: getattr(attempt, name) for name in names} | {
        "relay": str(attempt.relay_id),
        "started_at": attempt.started_at.astimezone(UTC).isoformat(),
    }


def append(attempts: Sequence[RelayAttempt]) -> None:
    """Add tries to the chains of their relays. Inside a transaction, in which nobody else adds to them."""
    rows = RelayTask.objects.filter(pk__in={attempt.relay_id for attempt in attempts}).order_by("pk")
    locked = rows.select_for_update(of=("self",)).values_list("pk", "tries_made", "tries_hash")
    ends = {key: (made, end) for key, made, end in locked}
    for attempt in attempts:
        made, attempt.previous_hash = ends[attempt.relay_id]
        attempt.hash = hash_of(facts_of(attempt))
        ends[attempt.relay_id] = made + 1, attempt.hash
    RelayAttempt.objects.bulk_create(attempts)
    _write_ends(ends)


def _write_ends(ends: Mapping[Any, tuple[int, str]]) -> None:
    rows = [(made, end, seals.seal_head(key, made, end), key) for key, (made, end) in ends.items()]
    with database.cursor() as cursor:
        cursor.executemany(
            "UPDATE lifecycle_relaytask SET tries_made = %s, tries_hash = %s, tries_seal = %s WHERE id = %s", rows
        )


def seal_anew(relay: RelayTask) -> None:
    """A sound chain under the newest key, unless it grew meanwhile."""
    if relay.tries_made:
        seal = seals.seal_head(relay.pk, relay.tries_made, relay.tries_hash)
        RelayTask.objects.filter(pk=relay.pk, tries_made=relay.tries_made).update(tries_seal=seal)


def find_break(relay: RelayTask) -> str:
    """The first thing wrong with what was said and answered, in words; "" if it is whole. `tries` may be prefetched."""
    tries = sorted(relay.tries.all(), key=lambda attempt: attempt.pk)
    chain = ((facts_of(attempt), attempt.hash, attempt.sent_body) for attempt in tries)
    return first_break(chain) or _end_break(relay, tries) or _receipt_break(relay, tries)


def first_break(chain: Iterable[tuple[dict[str, Any], str, Any]]) -> str:
    """The same for the facts, hashes and bytes of tries wherever they come from, oldest first."""
    previous = ""
    for number, (facts, found, body) in enumerate(chain, start=1):
        if facts.get("previous_hash") != previous:
            return f"try {number} does not follow the one before it"
        if found != hash_of(facts):
            return f"try {number} was changed after it was written"
        if body and hashlib.sha256(bytes(body)).hexdigest() != (facts.get("sent") or {}).get("sha256"):
            return f"the bytes of try {number} are not those that were sent"
        previous = found
    return ""


def _end_break(relay: RelayTask, tries: list[RelayAttempt]) -> str:
    if len(tries) != relay.tries_made:
        return f"{len(tries)} tries are there, and {relay.tries_made} were recorded"
    fault = seals.head_fault(relay.tries_seal, relay.pk, len(tries), tries[-1].hash) if tries else ""
    return f"its last try {fault}" if fault else ""


def _receipt_break(relay: RelayTask, tries: list[RelayAttempt]) -> str:
    """What the relay shows of its receipt must be what a try brought."""
    given = [attempt for attempt in tries if attempt.receipt]
    shown = relay.receipt or {}
    if shown.get("at") and not any(_is_same(shown, attempt.receipt or {}) for attempt in given):
        return "its receipt is none that the platform gave"
    ends = [parse_datetime((attempt.receipt or {})["at"]) for attempt in given]
    if shown.get("at") and relay.sent_at and not any(end and abs(relay.sent_at - end) < WRITTEN_WITHIN for end in ends):
        return "the time at which it was sent is none of its tries'"
    return ""


def _is_same(shown: dict[str, Any], receipt: dict[str, Any]) -> bool:
    return all(shown.get(name) == receipt.get(name) for name in ("reference", "text"))

"""Anchors: now and then the ends of all histories that changed are written down, signed and kept outside the database.

Each anchor names the one before it, so that none can be left out. What an anchor holds must still be in the database:
a history cut off at its end, a table taken back to yesterday or an invoice that is gone does not fit it any more.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import send_mail
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from lifecycle.models import HistoryAnchor, PurgedInvoice, RelayAttempt, RelayTask, StatusEvent

from . import seals

logger = logging.getLogger(__name__)

FORMAT = "navette-anchor/1"
FOLDER = "anchors"
EVERY = timedelta(hours=1)
# A transaction may commit after a later one: what it recorded counts for the next anchor too. Longer than any may last.
OVERLAP = timedelta(minutes=10)
# Any number no other advisory lock of ours has.
LOCK = 7_304_002
CHECKED_AT_ONCE = 1000

# An invoice, the number of its last event and its hash; or a relay, 0, and the hash of its last try.
Head = tuple[str, int, str]


@dataclass(frozen=True)
class Kept:
    """An anchor as it lies outside the database. `fault` says what is wrong with the file itself."""

    number: int
    name: str
    made_at: datetime | None = None
    previous: str = ""
    sha256: str = ""
    heads: tuple[Head, ...] = ()
    fault: str = ""


def make_due() -> HistoryAnchor | None:
    """Every sweep: an anchor where the last is an hour old and something was recorded since."""
    last = HistoryAnchor.objects.order_by("-number").first()
    if last and last.made_at > timezone.now() - EVERY:
        return None
    return make()


def make() -> HistoryAnchor | None:
    """Write down what changed since the last anchor; None if nothing did, or somebody else is at it."""
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return None
        last = HistoryAnchor.objects.order_by("-number").first()
        now = timezone.now()
        heads = changed_heads(last.made_at - OVERLAP if last else None)
        if not heads or (last and not StatusEvent.links.filter(recorded_at__gt=last.made_at).exists()):
            return None
        anchor = HistoryAnchor(number=last.number + 1 if last else 1, made_at=now, heads=len(heads))
        content = _written(anchor, last.sha256 if last else "", heads)
        anchor.sha256 = hashlib.sha256(content).hexdigest()
        # The file first: one without a row is found and named, a row without a file could not be checked.
        anchor.file = default_storage.save(f"{FOLDER}/{anchor.number:08d}-{anchor.sha256}.json", ContentFile(content))
        anchor.save(force_insert=True)
    _mail(anchor)
    return anchor


def changed_heads(since: datetime | None) -> list[Head]:
    """The last event of each invoice in whose history something was recorded since, and the last try of each relay."""
    tries = RelayAttempt.objects.order_by("relay_id", "-pk").distinct("relay_id")
    if since is not None:
        tries = tries.filter(started_at__gte=since)
    recent = StatusEvent.links.order_by("invoice_id", "-sequence").distinct("invoice_id")
    if since is not None:
        recent = recent.filter(recorded_at__gte=since)
    heads = [(str(key), number, text) for key, number, text in recent.values_list("invoice_id", "sequence", "hash")]
    return heads + [(str(key), 0, text) for key, text in tries.values_list("relay_id", "hash")]


def _written(anchor: HistoryAnchor, previous: str, heads: list[Head]) -> bytes:
    facts = {
        "format": FORMAT,
        "number": anchor.number,
        "made_at": anchor.made_at.isoformat(),
        "previous": previous,
        "heads": heads,
    }
    text = json.dumps(facts, separators=(",", ":"))
    return json.dumps({"anchor": text, **seals.sign(text.encode())}, indent=0).encode()


def _mail(anchor: HistoryAnchor) -> None:
    """To somebody outside: its hash alone is enough to hold the file to."""
    if not settings.ANCHOR_MAIL:
        return
    subject = f"Navette: history anchor {anchor.number}"
    body = f"{anchor.made_at.isoformat()}\n{anchor.heads} histories\nSHA-256 {anchor.sha256}\n"
    try:
        send_mail(subject, body, None, settings.ANCHOR_MAIL)
    except OSError:
        logger.exception("Anchor %s could not be mailed", anchor.number)


# --- checking ---------------------------------------------------------------------------------------------------------


def kept() -> Iterator[Kept]:
    """The anchors that lie outside, oldest first."""
    try:
        names = sorted(default_storage.listdir(FOLDER)[1])
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.endswith(".json"):
            yield read(name)


def read(name: str) -> Kept:
    number = int(name[:8]) if name[:8].isdecimal() else 0
    try:
        with default_storage.open(f"{FOLDER}/{name}", "rb") as file:
            content = file.read()
        signed = json.loads(content)
        facts = json.loads(signed["anchor"])
        is_ours = seals.is_signed(signed["anchor"].encode(), signed) and signed["public_key"] in seals.own_public_keys()
        found = Kept(
            number=facts["number"],
            name=name,
            made_at=parse_datetime(facts["made_at"]),
            previous=facts["previous"],
            sha256=hashlib.sha256(content).hexdigest(),
            heads=tuple((str(key), int(sequence), str(last)) for key, sequence, last in facts["heads"]),
            fault="" if is_ours else "is not signed with a key of HISTORY_KEYS",
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Kept(number=number, name=name, fault=f"cannot be read ({type(error).__name__})")
    return found


def faults() -> Iterator[str]:
    """Everything in which the database and the anchors outside it differ, in words."""
    rows = dict(HistoryAnchor.objects.values_list("number", "sha256"))
    files = [replace(each, heads=()) for each in kept()]
    yield from _chain_faults(files, rows)
    yield from _head_faults(files)


def _chain_faults(files: list[Kept], rows: dict[int, str]) -> Iterator[str]:
    before = ""
    for place, each in enumerate(files, start=1):
        if each.fault:
            yield f"anchor {each.name} {each.fault}"
        elif each.number != place or each.previous != before:
            yield f"anchor {each.name} does not follow the one before it: an anchor is missing"
        elif each.number not in rows:
            yield f"anchor {each.number} is not in the database: the database is older than this anchor"
        elif rows[each.number] != each.sha256:
            yield f"anchor {each.number} is not the one that was made: its file or its row was changed"
        before = each.sha256
    numbers = {each.number for each in files}
    yield from (f"anchor {number}: its file is gone" for number in sorted(set(rows) - numbers))


def _head_faults(files: list[Kept]) -> Iterator[str]:
    """Newest first: what a later anchor holds of an invoice, the earlier need not say again."""
    seen: set[str] = set()
    for each in reversed(files):
        if each.fault:
            continue
        heads = [head for head in read(each.name).heads if head[0] not in seen]
        seen.update(head[0] for head in heads)
        for start in range(0, len(heads), CHECKED_AT_ONCE):
            yield from _missing(heads[start : start + CHECKED_AT_ONCE], each.number)


def _missing(heads: list[Head], number: int) -> Iterator[str]:
    yield from _missing_events([head for head in heads if head[1]], number)
    yield from _missing_tries([head for head in heads if not head[1]], number)


def _missing_tries(heads: list[Head], number: int) -> Iterator[str]:
    """A purge takes the tries with the invoice, and leaves no trace of each."""
    there = set(RelayAttempt.objects.filter(hash__in=[head[2] for head in heads]).values_list("hash", flat=True))
    gone: list[Any] = [head[0] for head in heads if head[2] not in there]
    known = {str(key) for key in RelayTask.objects.filter(pk__in=gone).values_list("pk", flat=True)}
    for key in gone:
        if key in known:
            yield f"relay {key}: the try that anchor {number} holds is gone or was changed"


def _missing_events(heads: list[Head], number: int) -> Iterator[str]:
    ids: list[Any] = [head[0] for head in heads]
    rows = StatusEvent.links.filter(invoice__in=ids, sequence__in={head[1] for head in heads})
    found = {(str(key), place): text for key, place, text in rows.values_list("invoice_id", "sequence", "hash")}
    purged = {str(key) for key in PurgedInvoice.objects.filter(pk__in=ids).values_list("pk", flat=True)}
    for key, sequence, wanted in heads:
        if found.get((key, sequence)) == wanted or key in purged:
            continue
        if (key, sequence) in found:
            yield f"invoice {key}: event {sequence} is not the one that anchor {number} holds"
        else:
            yield f"invoice {key}: event {sequence}, which anchor {number} holds, is gone"


def vouched_until() -> datetime | None:
    """When the last sound anchor outside was made: what is older cannot have been changed unseen."""
    return max((each.made_at for each in kept() if each.made_at and not each.fault), default=None)

"""What the sandbox remembers, and the words its parts exchange."""

import secrets
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .documents import Document

KEPT_CALLS = 20_000


def now() -> datetime:
    return datetime.now(UTC)


def uuid7() -> str:
    """Time-ordered UUID (RFC 9562, 5.7): 48 bits of milliseconds, then chance."""
    chance = secrets.randbits(74)
    value = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | (chance >> 62) << 64 | 2 << 62 | chance & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))


@dataclass
class StatusEntry:
    """One line of an invoice's history: a status code, or whatever word the platform uses."""

    code: str
    at: datetime
    details: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=uuid7)


@dataclass
class Invoice:
    direction: str
    content: bytes
    document: Document
    id: str = field(default_factory=uuid7)
    created_at: datetime = field(default_factory=now)
    history: list[StatusEntry] = field(default_factory=list)

    @property
    def status(self) -> StatusEntry:
        return self.history[-1]

    @property
    def updated_at(self) -> datetime:
        return self.status.at

    @property
    def closed(self) -> bool:
        return any(entry.code in ("210", "213") for entry in self.history)


@dataclass
class Event:
    """News for the other side; `body` is written in the dialect's own words."""

    dialect: str
    type: str
    body: dict[str, Any]
    invoice: str = ""
    echo: bool = False
    id: str = field(default_factory=uuid7)


@dataclass
class Destination:
    event: str
    target: str
    auth_type: str = "none"
    auth_key: str = ""
    auth_token: str = ""
    active: bool = True
    id: str = field(default_factory=uuid7)


@dataclass
class Call:
    dialect: str
    method: str
    path: str
    query: str
    body: str
    at: datetime
    status: int | None
    answer: str
    seconds: float
    fault: str

    def as_json(self) -> dict:
        return {**self.__dict__, "at": self.at.isoformat()}


@dataclass
class Ring:
    """One webhook and every attempt to ring it."""

    dialect: str
    event_id: str
    event_type: str
    invoice: str
    target: str
    fault: str = ""
    state: str = "waiting"
    tries: list[dict] = field(default_factory=list)

    def as_json(self) -> dict:
        return {**self.__dict__, "tries": list(self.tries)}


class Lock:
    """A lock that may be entered again, and comes back open with a state that was kept."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *failure: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Lock"], tuple[()]]:
        return Lock, ()


class State:
    """All that a reset forgets. A job still holding an older State writes where nobody reads any more."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.rings: deque[Ring] = deque(maxlen=KEPT_CALLS)
        self.accepted: Counter[tuple[str, str, str]] = Counter()
        self.invoices: dict[str, dict[str, Invoice]] = {}
        self.of_dialect: dict[str, Any] = {}
        self.serial = 0
        self.seeded = False

    def __getstate__(self) -> dict[str, Any]:
        """Of a kept state, calls and webhooks are left behind: they only tell what happened."""
        return {name: value for name, value in vars(self).items() if name not in ("calls", "rings")}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        vars(self).update(kept)

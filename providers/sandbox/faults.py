"""Misbehaviours: armed through the control API, taken one per call or per event, in the order they were armed."""

import re
import threading
from dataclasses import dataclass

# kind -> (where it strikes, what it does, default of `delay` in seconds)
KINDS: dict[str, tuple[str, str, float]] = {
    "slow": ("before", "the answer comes after `delay` seconds", 2.0),
    "unauthorized_once": ("before", "401, and the token that was used is no longer valid", 0),
    "rate_limited": ("before", "429 with Retry-After: `delay`", 1.0),
    "server_error": ("before", "500, nothing was done", 0),
    "cut_before": ("before", "the connection is closed, nothing was done", 0),
    "server_error_after": ("after", "500, although the call was accepted", 0),
    "cut_after": ("after", "the call is accepted, then the connection is closed without an answer", 0),
    "broken_document": ("document", "the downloaded original is not an invoice", 0),
    "late": ("event", "the webhook is rung `delay` seconds later", 3.0),
    "twice": ("event", "the webhook is rung twice, at the same moment", 0),
    "out_of_order": ("event", "the webhook is overtaken by the next one (or rung after `delay` seconds)", 5.0),
    "unsigned": ("event", "the webhook carries no signature", 0),
    "wrong_signature": ("event", "the webhook is signed with another key", 0),
    "stale_signature": ("event", "the signature was made an hour ago", 0),
    "wrong_token": ("event", "the webhook carries another shared secret", 0),
    "malformed_body": ("event", "the body is not what the platform documents, but well signed", 0),
    "unknown_status": ("event", "the event is preceded by a status nobody knows, on the same invoice", 0),
    "unknown_invoice": ("event", "the event is preceded by one about an invoice that does not exist", 0),
    "no_echo": ("echo", "a status of ours enters the history, but no webhook tells so", 0),
}


class UnknownFaultError(ValueError):
    """The control API named a kind, or gave a value, that cannot be armed."""


@dataclass
class Fault:
    kind: str
    times: int = 1
    path: str = ""
    delay: float = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownFaultError(f"Unknown fault {self.kind!r}. Known: {', '.join(KINDS)}.")
        try:
            self._pattern = re.compile(self.path)
        except re.error as error:
            raise UnknownFaultError(f"path is not a regular expression: {error}.") from error

    def strikes(self, place: str, text: str) -> bool:
        return KINDS[self.kind][0] == place and self._pattern.search(text) is not None


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, *, kind: str, times: int = 1, path: str = "", delay: float | None = None) -> Fault:
        default = KINDS[kind][2] if kind in KINDS else 0
        fault = Fault(kind, int(times), path, float(default if delay is None else delay))
        with self._lock:
            self._armed.append(fault)
        return fault

    def take(self, places: tuple[str, ...], text: str, *, only_named: bool = False) -> Fault | None:
        """The first armed fault that strikes here, once less; None when all is well."""
        with self._lock:
            for fault in self._armed:
                if only_named and not fault.path:
                    continue
                if any(fault.strikes(place, text) for place in places):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._armed.remove(fault)
                    return fault
        return None

    def armed(self) -> list[dict]:
        with self._lock:
            return [{"kind": f.kind, "times": f.times, "path": f.path, "delay": f.delay} for f in self._armed]

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

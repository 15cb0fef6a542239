"""Defects that the loop once had, to be put back one at a time: a simulator that finds nothing proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from lifecycle.history import recognition
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import claims, relays, states

# Owner, name, and what stands there while the defect is back.
Defect = tuple[Any, str, Callable[..., Any]]


def killed_while_speaking_is_told_again() -> list[Defect]:
    """What a killed worker was telling goes back to the queue, as if nothing had left."""

    def doubt_killed() -> int:
        stuck = RelayTask.objects.filter(state=RelayState.SENDING, leased_until__lt=timezone.now())
        return stuck.update(state=RelayState.PENDING, leased_until=None, next_attempt_at=timezone.now())

    return [(states, "doubt_killed", doubt_killed)]


def no_answer_is_no_effect() -> list[Defect]:
    """An uncertain outcome is tried again at once."""
    real = relays._after_sending

    def after_sending(each: Any) -> Any:
        name, changes = real(each)
        return ("unspeak", changes) if name == "doubt" else (name, changes)

    return [(relays, "_after_sending", after_sending)]


def code_is_an_identity() -> list[Defect]:
    """A colleague's status made on the platform is taken for ours, whatever it states."""

    def contradict(one: Any, other: Any) -> bool:
        return bool(one.status != other.status)

    return [(recognition, "contradict", contradict)]


def any_order() -> list[Defect]:
    """Of one invoice, several are told at once."""
    return [(claims, "_tellable", lambda: claims._due(claims.TELLING))]


def two_of_one_second_are_one() -> list[Defect]:
    """Receipts of the same second are the same, whatever their key and amounts."""

    def identity(report: Any) -> str:
        return f"{report.status}|{report.issuer_role}|{report.occurred_at}"

    return [
        (recognition, "identity_of", identity),
        (recognition, "digest_of", identity),
        (recognition, "contradict_in_detail", lambda one, other: False),
    ]


# The first seed whose history finds each, and what it says there.
FOUND_BY = {
    killed_while_speaking_is_told_again: (1, "took effect 2 times"),
    no_answer_is_no_effect: (8, "took effect"),
    code_is_an_identity: (3, "on the platform, and not here"),
    any_order: (1, "took effect after"),
    two_of_one_second_are_one: (3, "on the platform, and not here"),
}

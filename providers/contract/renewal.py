"""Secrets of webhooks when they are replaced: what was under way still shows the former one, for a stated time only;
and the new one may be on the first push before the answer that told it has been kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.utils.translation import gettext_lazy as _

from .base import Field, HookRequest, NotGenuine, NotYet, Vault

Fitting = TypeVar("Fitting")

FORMER = "secret "
MAKING = "making"
MAKING_SECONDS = 60

HOURS = Field(
    name="former_secret_hours",
    type="int",
    default=24,
    help=_("Hours for which a webhook's former secret or key is still accepted after it was replaced; 0: not at all."),
)


def print_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def retire(vault: Vault, name: str, secret: str, *, hours: float) -> None:
    """Accept a secret of a vault's entry that was replaced just now for so long."""
    if secret:
        until = datetime.now(UTC) + timedelta(hours=hours)
        vault.change(_beside(name), **{FORMER + print_of(secret): f"{until.isoformat()} {secret}"})


def begin(vault: Vault, name: str, **notes: str) -> None:
    """Before a webhook is made: it may ring before we know its secret. What is noted besides, `noted` tells."""
    vault.change(_beside(name), **{MAKING: datetime.now(UTC).isoformat(), **notes})


def end(vault: Vault, name: str) -> None:
    """The new secret is kept: whatever does not fit from now on is a forgery."""
    vault.change(_beside(name), **{MAKING: ""})


def noted(vault: Vault, name: str, note: str) -> str:
    return vault.get(_beside(name)).get(note, "")


def check(
    vault: Vault, name: str, request: HookRequest, fits: Callable[[list[str]], Fitting], error: NotGenuine
) -> Fitting:
    """For a push that fits no secret in use (`error`): what `fits` makes of the former ones whose time is not over.
    Raises the error, or NotYet where a webhook is being made right now.
    """
    kept = vault.get(_beside(name))
    rows = [value.split(" ", 1) for key, value in kept.items() if key.startswith(FORMER)]
    former = [secret for until, secret in rows if datetime.fromisoformat(until) > datetime.now(UTC)]
    if former:
        with suppress(NotGenuine):
            return fits(former)
    begun = kept.get(MAKING)
    if begun and abs(request.received_at - datetime.fromisoformat(begun)) < timedelta(seconds=MAKING_SECONDS):
        raise NotYet(str(error)) from None
    raise error from None


def _beside(name: str) -> str:
    return f"{name} former"

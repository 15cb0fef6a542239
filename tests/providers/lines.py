"""Addressing lines and subscriptions for testing adapters without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.contract.base import Line, Subscription


class Lines:
    def __init__(self, *lines: Line, hooks: str = "https://navette.example.test/hooks/cegid/{}/") -> None:
        self.lines = list(lines)
        self.hooks = hooks

    def find(self, identifier: str) -> Line | None:
        return next((line for line in self.lines if line.identifier == identifier), None)

    def all(self) -> list[Line]:
        return list(self.lines)

    def of_invoice(self, provider_ref: str) -> Line | None:
        return None

    def hook_url(self, identifier: str) -> str:
        return self.hooks.format(f"t0k3n-of-{identifier}") if self.find(identifier) else ""

    def change(self, identifier: str, **changes: Any) -> None:
        self.lines = [replace(line, **changes) if line.identifier == identifier else line for line in self.lines]


class Subscriptions:
    """Remembers every state a subscription went through."""

    def __init__(self, *known: Subscription) -> None:
        self.rows = {row.line_identifier: row for row in known}
        self.states: list[str] = []

    def find(self, line_identifier: str) -> Subscription | None:
        return self.rows.get(line_identifier)

    def save(self, subscription: Subscription) -> None:
        self.rows[subscription.line_identifier] = subscription
        self.states.append(subscription.state)


class Settled(Subscriptions):
    """Stays as it is: shared by tests that must not touch each other."""

    def save(self, subscription: Subscription) -> None:
        pass

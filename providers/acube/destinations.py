"""Webhook registrations at A-Cube ("event destinations"): one for each kind of event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import PermanentError, Unsupported

from . import tables
from .session import Session

TOKEN_MEMORY = "registered_token"  # noqa: S105 - the name of a fact


class Destinations(Session):
    """Lists first, then adds or repairs. Registrations with another address are somebody else's."""

    def register_webhooks(self) -> tuple[str, ...]:
        if not self.account.hook_url:
            raise Unsupported(_("This connection has no webhook address yet."))
        if not self.account.secrets.get("webhook_token"):
            raise PermanentError(_("Set the secret webhook_token first: A-Cube is to show it with every webhook."))
        existing = self.list_destinations()
        changes = tuple(change for event in tables.EVENTS for change in self._settle(event, existing))
        self.memory.set(TOKEN_MEMORY, self._token_print())
        return changes

    def list_destinations(self) -> tuple[dict[str, Any], ...]:
        url = self.url("destinations_path")
        found: list[dict[str, Any]] = []
        for number in range(1, 21):
            page = self.read_list(url, params={"page": number, "itemsPerPage": 100})
            known = {str(item) for item in found}
            new = [item for item in page.items if str(item) not in known]
            found += new
            if not new or page.more is False:
                break
        return tuple(found)

    def faulty_events(self) -> Iterator[str]:
        """Events that would not reach us as they should."""
        existing = self.list_destinations()
        for event in tables.EVENTS:
            mine = self._mine(event, existing)
            if not mine or any(self._differs(item, event) for item in mine):
                yield event

    def _settle(self, event: str, existing: tuple[dict[str, Any], ...]) -> Iterator[str]:
        mine = self._mine(event, existing)
        if not mine:
            self.tell("POST", self.url("destinations_path"), json=self._wanted(event))
            yield _("%(event)s: registered.") % {"event": event}
        for item in mine:
            if self._differs(item, event):
                self._repair(item, event)
                yield _("%(event)s: put right.") % {"event": event}

    def _repair(self, item: dict[str, Any], event: str) -> None:
        reference = str(item.get("uuid") or item.get("id") or "")
        if not reference.replace("-", "").replace("_", "").isalnum():
            raise PermanentError(
                _("The registration of %(event)s has no number: put it right in A-Cube's console.") % {"event": event}
            )
        # A full replacement, so making it twice changes nothing more.
        url = f"{self.url('destinations_path')}/{reference}"
        answer = self.exchange("PUT", url, repeatable=True, json=self._wanted(event))
        self.wire.require_success(answer, repeatable=True)

    def _mine(self, event: str, existing: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
        names = tables.ENTITY_EVENTS if event in tables.ENTITY_EVENTS else {event}
        return [item for item in existing if item.get("event") in names and item.get("target") == self.account.hook_url]

    def _differs(self, item: dict[str, Any], event: str) -> bool:
        # The secret may come back masked or not at all, so what we last registered is remembered as a hash.
        wanted = {name: value for name, value in self._wanted(event).items() if name not in ("event", "authToken")}
        return any(item.get(name) != value for name, value in wanted.items()) or (
            self.memory.get(TOKEN_MEMORY) != self._token_print()
        )

    def _wanted(self, event: str) -> dict[str, str]:
        return {
            "event": event,
            "target": self.account.hook_url,
            "delivery": "webhook",
            "status": "active",
            "authType": "header",
            "authKey": self.setting("webhook_header"),
            "authToken": self.account.secrets.get("webhook_token", ""),
        }

    def _token_print(self) -> str:
        return hashlib.sha256(self.account.secrets.get("webhook_token", "").encode()).hexdigest()

"""A-Cube's public key: fetched, kept for a day, and every change reported.

A changed key that came over TLS from A-Cube's own host is followed, because refusing it would deafen us until somebody
notices; the shared secret still guards the door. Whoever wants to decide themselves sets `signature_key_pin`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils.translation import gettext as _

from ..base import PermanentError, PlatformError
from . import webhooks
from .session import JSON, Session

KEY_MEMORY = "signature_key"  # {"key", "fingerprint", "fetched_at"}
ALERT_MEMORY = "signature_key_changed"  # {"from", "to", "at"}
TRIED_MEMORY = "signature_key_tried_at"

KEPT = timedelta(hours=24)
NOT_MORE_OFTEN = timedelta(minutes=1)  # a forged request must not make us call A-Cube each time

logger = logging.getLogger(__name__)


class Keys(Session):
    def accepts(self, fits: Callable[[Ed25519PublicKey], bool]) -> bool:
        """Whether the key we hold, or the one A-Cube shows now, passes the test."""
        kept = self.memory.get(KEY_MEMORY)
        if kept is None or self._is_old(kept):
            kept = self._refresh() or kept
        if kept and self._test(kept, fits):
            return True
        newer = self._refresh()
        return newer is not None and self._test(newer, fits)

    def fetch_key(self) -> Ed25519PublicKey:
        """The key A-Cube shows now; nothing is remembered. It is public, so no token goes with the call."""
        timeout = httpx.Timeout(5, connect=3)  # a push is waiting for our answer
        url = self.login_url + self.setting("public_key_path")
        answer = self.wire.exchange("GET", url, repeatable=True, headers={"Accept": JSON}, timeout=timeout)
        document = self.wire.require_json(self.wire.require_success(answer, repeatable=True))
        text = document.get("public_key") if isinstance(document, dict) else None
        try:
            return webhooks.parse_public_key(text if isinstance(text, str) else "")
        except ValueError:
            raise PermanentError(_("What A-Cube shows as its public key is no Ed25519 key.")) from None

    def _test(self, kept: dict[str, Any], fits: Callable[[Ed25519PublicKey], bool]) -> bool:
        pin = self.pinned_print()
        return (not pin or kept["fingerprint"] == pin) and fits(webhooks.parse_public_key(kept["key"]))

    def pinned_print(self) -> str:
        return (self.setting("signature_key_pin") or "").replace(":", "").strip().lower()

    def _refresh(self) -> dict[str, Any] | None:
        """The key fetched anew and remembered; None if it was tried a moment ago, or in vain."""
        now, tried = datetime.now(UTC), self.memory.get(TRIED_MEMORY)
        if tried and timedelta(0) <= now - datetime.fromisoformat(tried) < NOT_MORE_OFTEN:
            return None
        self.memory.set(TRIED_MEMORY, now.isoformat())
        try:
            return self._remember(self.fetch_key(), now)
        except PlatformError as error:
            logger.warning("The public key of %s could not be fetched: %s", self.account.name, error.message)
            return None

    def _remember(self, key: Ed25519PublicKey, now: datetime) -> dict[str, Any]:
        before, printed = self.memory.get(KEY_MEMORY), webhooks.fingerprint(key)
        if before and before["fingerprint"] != printed:
            change = {"from": before["fingerprint"], "to": printed, "at": now.isoformat()}
            self.memory.set(ALERT_MEMORY, change)
            logger.error("A-Cube's signature key for %s has changed: %s", self.account.name, change)
        kept = {"key": webhooks.dump_public_key(key), "fingerprint": printed, "fetched_at": now.isoformat()}
        self.memory.set(KEY_MEMORY, kept)
        return kept

    @staticmethod
    def _is_old(kept: dict[str, Any]) -> bool:
        return datetime.now(UTC) - datetime.fromisoformat(kept["fetched_at"]) > KEPT

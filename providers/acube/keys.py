"""A-Cube's public key: fetched once for all our processes, kept for a day, and every change reported.

A changed key that came over TLS from A-Cube's own host is followed, because refusing it would deafen us until somebody
notices; the shared secret still guards the door. Whoever wants to decide themselves sets `signature_key_pin`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils.translation import gettext as _

from providers.contract.base import NotYet, PermanentError, PlatformError
from providers.contract.doors import at_the_door

from . import webhooks
from .session import JSON, Session

KEY_MEMORY = "signature_key"  # {"key", "fingerprint", "fetched_at"}
ALERT_MEMORY = "signature_key_changed"  # {"from", "to", "at"}
TRIED_MEMORY = "signature_key_tried_at"  # when a key was last fetched in vain: the signature was a forgery
FETCHING_MEMORY = "signature_key_fetching"

KEPT = timedelta(hours=24)
NOT_MORE_OFTEN = timedelta(seconds=5)  # a forged request must not make us call A-Cube each time
FETCH_SECONDS = 10  # of all processes one fetches; after a failure nobody does for so long
WAIT_SECONDS = 3  # for the key that another process is fetching

logger = logging.getLogger(__name__)


class Keys(Session):
    def accepts(self, fits: Callable[[Ed25519PublicKey], bool]) -> bool:
        """Whether the key we hold, or the one A-Cube shows now, passes the test. Raises NotYet where A-Cube's key is
        not to be had now: a push that cannot be judged is no forgery.
        """
        arrived = datetime.now(UTC)
        kept = self.memory.get(KEY_MEMORY)
        if kept and self._test(kept, fits):
            return not self._is_old(kept) or self._test(self._renewed(kept), fits)
        kept = self.memory.fresh(KEY_MEMORY)
        if kept and self._test(kept, fits):
            return True
        if kept and self._was_tried(arrived):
            return False
        good = self._test(self._newest(arrived), fits)
        if not good:
            self.memory.set(TRIED_MEMORY, datetime.now(UTC).isoformat())
        return good

    def _was_tried(self, now: datetime) -> bool:
        tried = self.memory.fresh(TRIED_MEMORY)
        return bool(tried) and timedelta(0) <= now - datetime.fromisoformat(tried) < NOT_MORE_OFTEN

    def _newest(self, arrived: datetime) -> dict[str, Any]:
        """The key as A-Cube shows it since the push arrived, fetched by one of our processes for all. A push that
        waits for it keeps a thread as busy as one that fetches it.
        """
        with self._at_the_door():
            return self._awaited(arrived)

    def _awaited(self, arrived: datetime) -> dict[str, Any]:
        give_up = time.monotonic() + WAIT_SECONDS
        while not self.memory.claim(FETCHING_MEMORY, FETCH_SECONDS):
            if kept := self._since(arrived):
                return kept
            if time.monotonic() > give_up:
                raise NotYet("A-Cube's public key is being fetched.")
            time.sleep(0.1)
        if kept := self._since(arrived):  # fetched a moment before the claim
            self.memory.set(FETCHING_MEMORY, None)
            return kept
        return self._fetched()

    def _since(self, moment: datetime) -> dict[str, Any] | None:
        kept = self.memory.fresh(KEY_MEMORY)
        return kept if kept and datetime.fromisoformat(kept["fetched_at"]) >= moment else None

    def _renewed(self, kept: dict[str, Any]) -> dict[str, Any]:
        if self.memory.claim(FETCHING_MEMORY, FETCH_SECONDS):
            with suppress(NotYet), self._at_the_door():
                return self._fetched()
        return kept

    @contextmanager
    def _at_the_door(self) -> Iterator[None]:
        """Raises NotYet where enough others wait, or where A-Cube does not answer."""
        try:
            with at_the_door():
                yield
        except PlatformError as error:
            logger.warning("The public key of %s could not be fetched: %s", self.account.name, error.message)
            raise NotYet("A-Cube's public key cannot be had now.", retry_after=FETCH_SECONDS) from None

    def _fetched(self) -> dict[str, Any]:
        kept = self._remember(self.fetch_key(), datetime.now(UTC))
        self.memory.set(FETCHING_MEMORY, None)
        return kept

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

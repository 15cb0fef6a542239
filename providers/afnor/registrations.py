"""Our webhooks at the platform: one of any kind (contract 1.3), or one for each type and direction (1.2)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from providers.contract import renewal
from providers.contract.base import MIB, PermanentError, Unsupported

from . import tables
from .session import Session

VAULT = "webhooks"  # {"token": ours} for 1.2, {id of the webhook: its signing key} for 1.3
TOKEN = "token"  # noqa: S105 - a name
TOKEN_MEMORY = "registered_token"  # noqa: S105 - the name of a fact
GONE = (404,)

Row = dict[str, Any]


class Registrations(Session):
    def register_webhooks(self) -> tuple[str, ...]:
        """Registrations with another address are somebody else's."""
        if not self.account.hook_url:
            raise Unsupported(_("This connection has no webhook address yet."))
        if self.setting("contract") == "1.1":
            raise Unsupported(_("Contract 1.1 has no call to register webhooks: ask the platform to set them up."))
        if self.setting("contract") == "1.3":
            return tuple(self._register_signed())
        return tuple(self._register_shared())

    def signing_keys(self) -> list[str]:
        return list(_signing_keys(self.account.vault.get(VAULT)).values())

    def _retire(self, name: str) -> None:
        """A key that is not in use any more, of a webhook by its id."""
        key = self.account.vault.get(VAULT).get(name, "")
        renewal.retire(self.account.vault, VAULT, key, hours=self.setting(renewal.HOURS.name))
        self.account.vault.change(VAULT, **{name: ""})

    def hook_token(self) -> str:
        """The secret the platform shows: entered by a person, else ours."""
        return self.account.secrets.get("webhook_token", "") or self.account.vault.get(VAULT).get(TOKEN, "")

    def missing_webhooks(self) -> list[str]:
        """What would not reach us, in words."""
        if self.setting("contract") == "1.3":
            known = self.account.vault.get(VAULT)
            good = [row for row in self._mine() if known.get(_id(row)) and _hears_all(row)]
            return [] if good else [_("all flows")]
        heard = {_heard(row) for row in self._mine()} if self._token_is_registered else set()
        return [f"{kind} ({direction})" for kind, direction in _wanted() if (kind, direction) not in heard]

    # --- contract 1.3 ---

    def _register_signed(self) -> Iterator[str]:
        """A webhook whose signing key we do not hold is useless, so it is made anew."""
        known = self.account.vault.get(VAULT)
        good = ""
        for row in self._mine():
            if not good and (self._adopt(row) or known.get(_id(row))) and _hears_all(row):
                good = _id(row)
            else:
                self._drop(row)
                yield _("A webhook that could not be used was removed.")
        if not good:
            good = self._make({"callbackUrl": self.account.hook_url, "flowTypes": list(tables.FOLLOWED)})
            yield _("A webhook for all flows was registered.")
        for name in _signing_keys(self.account.vault.get(VAULT)):
            if name != good:  # its webhook is gone
                self._retire(name)

    def _adopt(self, row: Row) -> bool:
        """The list may show the signing key."""
        key = row.get("signingKey")
        if not isinstance(key, str) or not key or not _id(row):
            return False
        if self.account.vault.get(VAULT).get(_id(row), "") not in ("", key):
            self._retire(_id(row))
        self.account.vault.change(VAULT, **{_id(row): key})
        return True

    # --- contract 1.2 ---

    def _register_shared(self) -> Iterator[str]:
        """The secret cannot be read back: registrations that show another than ours are made anew."""
        existing = self._mine()
        if not self._token_is_registered:
            for row in existing:
                self._drop(row)
            existing = []
        if not self.hook_token():
            self.account.vault.change(VAULT, **{TOKEN: secrets.token_urlsafe(32)})
        self.memory.set(TOKEN_MEMORY, self._token_print())
        heard = {_heard(row) for row in existing}
        for kind, direction in _wanted():
            if (kind, direction) not in heard:
                self._make(self._shared(kind, direction))
                yield _("%(kind)s (%(direction)s): registered.") % {"kind": kind, "direction": direction}

    @property
    def _token_is_registered(self) -> bool:
        return bool(self.hook_token()) and self.memory.get(TOKEN_MEMORY) == self._token_print()

    def _token_print(self) -> str:
        return hashlib.sha256(f"{self.setting('webhook_header')} {self.hook_token()}".encode()).hexdigest()

    def _shared(self, kind: str, direction: str) -> Row:
        header = {"headerName": self.setting("webhook_header"), "headerValue": self.hook_token()}
        return {
            "callback": {"url": self.account.hook_url, "headers": [header]},
            "metadata": {"flowType": kind, "flowDirection": direction},
        }

    # --- calls ---

    def _make(self, wish: Row) -> str:
        """The id of the new webhook."""
        renewal.begin(self.account.vault, VAULT)
        answer = self.call("POST", self.url("webhooks"), repeatable=False, json=wish)
        document = answer.find_json()
        row = document if isinstance(document, dict) else {}
        if self.setting("contract") == "1.3" and not self._adopt(row):
            message = _("%(platform)s registered a webhook without telling its signing key. Ask the platform.")
            raise PermanentError(message % {"platform": self.platform}, status_code=answer.status_code)
        renewal.end(self.account.vault, VAULT)
        return _id(row)

    def _drop(self, row: Row) -> None:
        url = self.url("webhooks", quote(_id(row), safe=""))
        self.call("DELETE", url, repeatable=True, allow=GONE)
        self._retire(_id(row))

    def _mine(self) -> list[Row]:
        return [row for row in self._list() if _id(row) and _address(row) == self.account.hook_url]

    def _list(self) -> Iterator[Row]:
        """A list of webhooks or of their ids, bare or in an envelope."""
        document = self.read("GET", self.url("webhooks"))
        if isinstance(document, dict):
            document = document.get("webhooks") or document.get("webhookIds") or []
        for item in document if isinstance(document, list) else ():
            if isinstance(item, dict):
                yield item
            elif isinstance(item, str) and item:
                shown = self.call(
                    "GET", self.url("webhooks", quote(item, safe="")), repeatable=True, allow=GONE, max_bytes=MIB
                )
                row = shown.find_json() if shown.is_success else None
                yield {"webhookId": item} | (row if isinstance(row, dict) else {})


def _wanted() -> Iterator[tuple[str, str]]:
    for kind in tables.FOLLOWED:
        for direction in (tables.IN, tables.OUT):
            yield kind, direction


def _signing_keys(kept: Mapping[str, str]) -> dict[str, str]:
    """By the id of their webhook."""
    return {name: key for name, key in kept.items() if key and name != TOKEN}


def _id(row: Row) -> str:
    value = row.get("webhookId") or row.get("webhookUid")
    return value if isinstance(value, str) else ""


def _address(row: Row) -> str:
    callback = row.get("callback")
    return str((callback.get("url") if isinstance(callback, dict) else row.get("callbackUrl")) or "")


def _heard(row: Row) -> tuple[str, str]:
    metadata = row.get("metadata")
    told = metadata if isinstance(metadata, dict) else row
    return str(told.get("flowType")), str(told.get("flowDirection"))


def _hears_all(row: Row) -> bool:
    kinds = row.get("flowTypes")
    is_filtered = bool(row.get("flowDirection") or row.get("ackStatus"))
    return not is_filtered and (not kinds or set(tables.FOLLOWED) <= set(kinds))

"""Calls to the concentrator: one token per addressing line, never shared; the subscription key where it is wanted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from providers.contract.base import Line, LoginRefused, TemporaryError
from providers.contract.http import Answer, Wire

from .seat import JSON, Seat

RENEW_BEFORE = timedelta(seconds=60)
LONGEST_LIFE = timedelta(days=1)
REFUSED = (400, 401, 403)


class Session(Seat):
    @property
    def od_url(self) -> str:
        return str(self.setting("od_url") or "").rstrip("/")

    @property
    def account_url(self) -> str:
        return str(self.setting("account_url") or "").rstrip("/") or self.od_url

    def line_wire(self, line: Line) -> Wire:
        """The wire of a line: what it must not show includes our own address, which nobody else may know."""
        key_id, _colon, secret = line.secrets.get("api_key", "").partition(":")
        hook = self.account.lines.hook_url(line.identifier)
        token = urlsplit(hook).path.rstrip("/").rpartition("/")[2]
        # The first half alone is no secret, but short enough to be another word too.
        hidden = (line.secrets.get("api_key", ""), secret, key_id if len(key_id) > 8 else "", hook, token)
        return self.make_wire(*hidden, *line.secrets.values())

    # --- tokens ---

    def token_name(self, line: Line) -> str:
        """The cache's key: another line, key, host or environment must not inherit a token."""
        parts = (self.account.environment, self.account_url, line.identifier, line.secrets.get("api_key", ""))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]

    def log_in(self, line: Line) -> tuple[str, datetime]:
        """The token and the time from which a new one is wanted."""
        key = line.secrets.get("api_key", "").strip()
        client_id, colon, secret = key.partition(":")
        if not (client_id and colon and secret and _fits_a_header(key)):
            message = _("Addressing line %(line)s has no usable API key: paste key:secret out of its connection data.")
            raise LoginRefused(message % {"line": line.identifier}, line=line.identifier)
        form = {"grant_type": "client_credentials"}
        if scope := self.setting("token_scope"):
            form["scope"] = scope
        options: dict[str, Any] = {"headers": {"Accept": JSON}, "timeout": self.timeout()}
        if header := self.setting("apikey_header"):
            options["headers"][header] = key
        if self.setting("token_credentials") == "basic":
            options["auth"] = (client_id, secret)
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        url = f"{self.account_url}/{self.setting('token_path')}"
        wire = self.line_wire(line)
        answer = wire.exchange("POST", url, repeatable=True, data=form, **options)
        if answer.status_code in REFUSED:
            message = _("Cegid Account refuses the API key of addressing line %(line)s: ask for new connection data.")
            told = message % {"line": line.identifier}
            raise LoginRefused(told, line=line.identifier, status_code=answer.status_code, answer=answer.text)
        return self._read_token(wire.require_json(wire.require_success(answer, repeatable=True)), answer)

    def _read_token(self, document: Any, answer: Answer) -> tuple[str, datetime]:
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
            raise TemporaryError(_("Cegid Account's answer holds no token."), status_code=answer.status_code)
        seconds = document.get("expires_in")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            seconds = self.setting("token_lifetime")
        life = min(timedelta(seconds=min(seconds, 10**6)), LONGEST_LIFE)
        # A very short life is used to its half, rather than not at all.
        return token, datetime.now(UTC) + max(life - RENEW_BEFORE, life / 2)

    # --- calls ---

    def exchange(
        self, line: Line, method: str, path: str, *, repeatable: bool, is_lifecycle: bool, **options: Any
    ) -> Answer:
        """With the line's token; one refused is replaced once, for a 401 says that nothing was done."""
        wire, name = self.line_wire(line), self.token_name(line)
        headers = {"Accept": JSON, **self._subscription_key(is_lifecycle), **options.pop("headers", {})}
        options |= {"headers": headers, "timeout": self.timeout(), "repeatable": repeatable}
        url = f"{self.od_url}/{path}"
        token = self.tokens.get(name, lambda: self.log_in(line))
        answer = wire.exchange(method, url, bearer=token, **options)
        if answer.status_code != 401:
            return answer
        self.tokens.drop(name, token)
        token = self.tokens.get(name, lambda: self.log_in(line))
        answer = wire.exchange(method, url, bearer=token, **options)
        if answer.status_code == 401:
            message = _("The concentrator does not accept the token of addressing line %(line)s: check both addresses.")
            told = message % {"line": line.identifier}
            raise LoginRefused(told, line=line.identifier, status_code=401, answer=answer.text)
        return answer

    def _subscription_key(self, is_lifecycle: bool) -> dict[str, str]:
        wanted = self.setting("subscription_key_on")
        if wanted not in ("all", "lifecycle" if is_lifecycle else "subscriptions"):
            return {}
        key = self.account.secrets.get("subscription_key", "")
        if not key or not _fits_a_header(key):
            raise LoginRefused(_("The subscription key from Cegid Developers is missing, or not one."))
        return {self.setting("subscription_key_header"): key}


def _fits_a_header(key: str) -> bool:
    return key.isascii() and key.isprintable()

"""Authenticated calls to Billit: addresses, key or token, companies, time limits."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self
from urllib.parse import quote

from django.utils.translation import gettext as _

from providers.contract.base import MIB, Line, LoginRefused, PermanentError, TemporaryError
from providers.contract.http import Answer, HttpAdapter

from . import oauth, tables

JSON = "application/json"
SEVERAL = 8 * MIB
NUMBER = re.compile(r"[1-9][0-9]{0,18}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

# What may stand in an address, by name: an order's number may come from a push.
PARTS = {"order": NUMBER, "webhook": NUMBER, "registration": NAME, "file": NAME}


@dataclass(frozen=True)
class Entity:
    """A company of ours at Billit, with the line that leads to it: `registration` in paths, `party` as a header."""

    line: Line
    registration: str
    party: str


class Session(HttpAdapter):
    """What all calls share."""

    acting: Line | None = None

    def acting_for(self, account: str) -> Self:
        """In the name of an addressing line: pushes come to the address of one."""
        if not account:
            return self
        speaking = copy.copy(self)
        speaking.acting = self.account.lines.find(account)
        return speaking

    @property
    def api_url(self) -> str:
        return self._address("api_url", tables.API_URLS)

    @property
    def portal_url(self) -> str:
        return self._address("portal_url", tables.PORTAL_URLS)

    def _address(self, name: str, defaults: Mapping[str, str]) -> str:
        return (self.setting(name) or defaults.get(self.account.environment, "")).rstrip("/")

    def url(self, path_name: str, **parts: str) -> str:
        path = self.setting(path_name)
        for name, value in parts.items():
            if not PARTS[name].fullmatch(value):
                raise PermanentError(_("“%(value)s” is no number of Billit's.") % {"value": value[:100]})
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return self.api_url + path

    # --- companies ---

    def entities(self) -> list[Entity]:
        """Each company once, whichever of its lines comes first: Billit takes one set of webhooks for a company."""
        found: dict[str, Entity] = {}
        for line in sorted(self.account.lines.all(), key=lambda each: each.identifier):
            if registered(line):
                found.setdefault(registered(line), entity_of(line))
        return list(found.values())

    def entity_for(self, line_identifier: str, provider_ref: str) -> Entity:
        """The company in whose name something is said of an invoice."""
        line = self.account.lines.find(line_identifier) if line_identifier else None
        line = line or self.acting or self.account.lines.of_invoice(provider_ref)
        if line is None:
            message = _("The addressing line of order %(order)s at Billit is not known: give the invoice its line.")
            raise PermanentError(message % {"order": provider_ref})
        return entity_of(line)

    def candidates(self, provider_ref: str) -> list[Entity]:
        """The companies under which an order may be found, the likeliest alone where there is one."""
        line = self.acting or self.account.lines.of_invoice(provider_ref)
        return [entity_of(line)] if line else self.entities()

    # --- calls ---

    def exchange(
        self, method: str, url: str, *, repeatable: bool, party: str = "", upload: bool = False, **options: Any
    ) -> Answer:
        """With our key, or with a token that is replaced once: a 401 says that nothing was done."""
        headers = {"Accept": JSON} | options.pop("headers", {}) | ({"PartyID": party} if party else {})
        options = {"timeout": self.timeout(upload=upload)} | options
        if self.setting("auth_mode") == "oauth2":
            return self._exchange_with_token(method, url, repeatable, headers, options)
        key = self.account.secrets.get("api_key", "")
        if not key:
            raise LoginRefused(_("The API key of the Billit account is missing: set the secret api_key."))
        return self.wire.exchange(method, url, repeatable=repeatable, headers=headers | {"apiKey": key}, **options)

    def _exchange_with_token(
        self, method: str, url: str, repeatable: bool, headers: Mapping[str, str], options: Mapping[str, Any]
    ) -> Answer:
        scope = oauth.token_scope(self)
        for is_last in (False, True):
            token = self.tokens.get(scope, self.log_in)
            answer = self.wire.exchange(method, url, repeatable=repeatable, bearer=token, headers=headers, **options)
            if answer.status_code != 401 or is_last:
                break
            self.tokens.drop(scope, token)
        return answer

    def log_in(self) -> tuple[str, Any]:
        return oauth.log_in(self, self.make_wire)

    def read(self, url: str, **options: Any) -> Any:
        """The JSON of a resource."""
        answer = self.exchange("GET", url, repeatable=True, max_bytes=SEVERAL, **options)
        return self.wire.require_json(self.require_success(answer, repeatable=True))

    def require_success(self, answer: Answer, *, repeatable: bool) -> Answer:
        """Where Billit asks for patience and does not say how long, the settings do."""
        try:
            return self.wire.require_success(answer, repeatable=repeatable)
        except TemporaryError as error:
            if error.status_code == 429 and error.retry_after is None:
                error.retry_after = float(self.setting("rate_limit_pause"))
            raise

    def tell(self, method: str, url: str, body: Any = None, **options: Any) -> Answer:
        """A call that must not be made twice."""
        if body is not None:
            options["content"] = dump(body).encode()
            options["headers"] = {"Content-Type": JSON} | options.get("headers", {})
        answer = self.exchange(method, url, repeatable=False, **options)
        return self.require_success(answer, repeatable=False)


def dump(value: Any) -> str:
    """JSON in which a Decimal keeps its digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {dump(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def registered(line: Line) -> str:
    return str(line.settings.get("registration_id") or "").strip()


def entity_of(line: Line) -> Entity:
    registration = registered(line)
    if not registration:
        message = _("Addressing line %(line)s has no registration_id: set it up at Billit, or enter the number.")
        raise PermanentError(message % {"line": line.identifier})
    return Entity(line, registration, str(line.settings.get("party_id") or "").strip() or registration)


def objects(value: Any, *names: str) -> Iterable[dict[str, Any]]:
    """The objects of a list, bare or under the first of these names."""
    if isinstance(value, dict):
        value = next((value[name] for name in names if isinstance(value.get(name), list)), [])
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

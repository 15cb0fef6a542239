"""Calls to Seqino: addresses, the bare API key, and the client in whose name each call is made."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
from django.utils.translation import gettext as _

from providers.contract.base import MIB, Account, Line, LoginRefused, Memory, PermanentError, Tokens, UncertainError
from providers.contract.http import Answer, HttpAdapter, Wire

from . import tables, usage

# May come from a push, and stands in a path or a header.
REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
LIMITS_MEMORY = "usage_limits"
CLIENTS_TRIED = 50  # in whose name an invoice that nobody is named for may be


class Session(HttpAdapter):
    """What all of Seqino's calls share. `acting` is the client that a push named, "" for none."""

    def __init__(self, account: Account, *, client: httpx.Client, tokens: Tokens, memory: Memory) -> None:
        super().__init__(account, client=client, tokens=tokens, memory=memory)
        self.acting = ""
        # By invoice, while this adapter lives: whose it turned out to be, and what was read and not yet kept.
        self.found_clients: dict[str, str] = {}
        self.just_read: dict[str, Answer] = {}

    def acting_for(self, account: str) -> Self:
        if not REFERENCE.fullmatch(account):
            return self
        other = copy.copy(self)
        other.acting = account
        return other

    # --- addresses ---

    @property
    def api_url(self) -> str:
        return (self.setting("api_url") or tables.API_URLS.get(self.account.environment, "")).rstrip("/")

    @property
    def health_url(self) -> str:
        parts = urlsplit(self.api_url)
        beside = parts.path.removesuffix("/api")
        return str(self.setting("health_url") or f"{parts.scheme}://{parts.netloc}{beside}/health")

    def url(self, *parts: str) -> str:
        """The address of a resource; its parts cannot leave their place in the path."""
        path = "/".join(quote(part, safe="") for part in parts)
        return f"{self.api_url}/{path}" + ("/" if self.setting("trailing_slash") else "")

    def reference(self, value: str) -> str:
        if not REFERENCE.fullmatch(value):
            raise PermanentError(_("“%(reference)s” is no id of Seqino's.") % {"reference": value[:100]})
        return value

    # --- clients ---

    def client_of(self, line: Line | None) -> str:
        """The client of a line of ours. PermanentError where it was never set up."""
        client = str(line.settings.get("client_id") or "") if line else ""
        if not client:
            told = {"line": line.identifier if line else "?"}
            raise PermanentError(_("Addressing line %(line)s has no client at Seqino yet: set it up first.") % told)
        return client

    def all_clients(self) -> tuple[str, ...]:
        ids = (str(line.settings.get("client_id") or "") for line in self.account.lines.all())
        return tuple(dict.fromkeys(filter(None, ids)))

    def any_client(self) -> str:
        """For what every client may ask."""
        clients = self.all_clients()
        if not clients:
            raise PermanentError(_("No addressing line of this connection has a client at Seqino yet: set one up."))
        return clients[0]

    def clients_for(self, provider_ref: str) -> tuple[str, ...]:
        """In whose name an invoice may be asked for, the likeliest first."""
        if provider_ref in self.found_clients:
            return (self.found_clients[provider_ref],)
        line = self.account.lines.of_invoice(provider_ref)
        known = str(line.settings.get("client_id") or "") if line else ""
        named = tuple(dict.fromkeys(filter(None, (self.acting, known))))
        return named or self.all_clients()[:CLIENTS_TRIED] or (self.any_client(),)

    def read_of_invoice(self, provider_ref: str, *parts: str, **options: Any) -> Answer:
        """Read something of an invoice, in the name of the client it turns out to belong to."""
        self.reference(provider_ref)
        clients = self.clients_for(provider_ref)
        for client in clients:
            try:
                answer = self.get(self.url(*parts), client=client, **options)
            except PermanentError as error:
                if error.status_code not in (403, 404) or client == clients[-1]:
                    raise
                continue
            self.found_clients[provider_ref] = client
            return answer
        raise AssertionError("There is always a client to try.")

    # --- calls ---

    @property
    def pace(self) -> float:
        return usage.pace(super().pace, self.memory.get(LIMITS_MEMORY))

    @property
    def wire(self) -> Wire:
        return self.make_wire(self.api_key)

    @property
    def api_key(self) -> str:
        return str(self.account.secrets.get("api_key", "")).strip()

    def headers(self, client: str) -> dict[str, str]:
        if not self.api_key or not self.api_key.isascii() or not self.api_key.isprintable():
            raise LoginRefused(_("The API key of Seqino is missing, or not one: enter it anew."))
        headers = {"Accept": "application/json", "Authorization": self.api_key}
        if client:
            headers["X-PDP-Client-Id"] = client
        if sponsor := self.setting("sponsor_id"):
            headers["X-PDP-Sponsor-Id"] = sponsor
        return headers

    def exchange(self, method: str, url: str, *, client: str = "", repeatable: bool, **options: Any) -> Answer:
        timeout = self.timeout(upload=options.pop("upload", False))
        headers = self.headers(client)
        limit = options.pop("max_bytes", MIB)
        return self.wire.exchange(
            method, url, repeatable=repeatable, headers=headers, timeout=timeout, max_bytes=limit, **options
        )

    def get(self, url: str, *, client: str = "", **options: Any) -> Answer:
        """A read that succeeded. A 401 is asked once more: a key does not expire, but a gateway may stumble."""
        answer = self.exchange("GET", url, client=client, repeatable=True, **options)
        if answer.status_code == 401:
            answer = self.exchange("GET", url, client=client, repeatable=True, **options)
        return self.wire.require_success(answer, repeatable=True)

    def read(self, url: str, *, client: str = "", **options: Any) -> Any:
        return self.wire.require_json(self.get(url, client=client, **options))

    def tell(self, method: str, url: str, *, client: str = "", repeatable: bool = False, **options: Any) -> Answer:
        """A call that changes something; `repeatable` if it may be made twice without changing more."""
        answer = self.exchange(method, url, client=client, repeatable=repeatable, **options)
        return self.wire.require_success(answer, repeatable=repeatable)

    def told_object(self, answer: Answer) -> Mapping[str, Any]:
        """The object a change was answered with; {} where there is none."""
        document = answer.find_json()
        return document if isinstance(document, dict) else {}

    def receipt_object(self, answer: Answer) -> Mapping[str, Any]:
        """Likewise of what must not be said twice. That it is a JSON object is our assumption (November 2026): no page
        shows such an answer.
        """
        document = self.wire.require_receipt(answer)
        if not isinstance(document, dict):
            message = _("Seqino answered with something that is no receipt: did it take it in?")
            raise UncertainError(message, status_code=answer.status_code, answer=answer.text)
        return document


def objects(document: Any, *names: str) -> tuple[dict[str, Any], ...]:
    """A list of objects, bare or under one of `names`; a lone object counts as a list of one."""
    if isinstance(document, dict):
        inner = next((document[name] for name in names if isinstance(document.get(name), list)), None)
        document = [document] if inner is None else inner
    return tuple(item for item in document if isinstance(item, dict)) if isinstance(document, Iterable) else ()

"""How an adapter is built for a connection."""

from __future__ import annotations

import atexit
import os
from functools import cache, partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
from django.conf import settings

from providers.contract import base
from providers.contract.kinds import adapter_class
from providers.models import Connection
from providers.network.callbacks import GuardedTransport, Policy
from providers.network.deadlines import keep_deadlines

from .pace import next_turn
from .subscriptions import ConnectionSubscriptions
from .tokens import ConnectionMemory, ConnectionVault, SharedTokens

# Without this httpx asks for whatever coding happens to be installed; `http.CODINGS` are read.
HEADERS = {"User-Agent": "Navette", "Accept-Encoding": "gzip, deflate"}


@cache
def _client_of_process(pid: int, policy: Policy) -> httpx.Client:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=60)
    timeout = httpx.Timeout(30, connect=5)
    # A proxy of the environment would resolve names for us, unguarded.
    options: dict[str, Any] = {"transport": GuardedTransport(policy, limits), "trust_env": False}
    client = httpx.Client(follow_redirects=False, timeout=timeout, headers=HEADERS, **options)
    keep_deadlines(client)
    # The client is shared by all connections: a cookie of one must not travel with the calls of another.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    atexit.register(client.close)
    return client


def platform_policy(environment: str) -> Policy:
    """What a platform's own address may be. A sandbox may stand beside us; nothing may be a metadata service."""
    inside = environment == Connection.Environment.SANDBOX or settings.OUTBOUND_INSIDE
    return Policy(private=inside, plain=inside)


def http_client(policy: Policy) -> httpx.Client:
    """The one way out for calls to platforms: one kept client per process and policy, made after fork. It never follows
    redirects, for requests carry tokens.
    """
    return _client_of_process(os.getpid(), policy)


class ConnectionLines:
    """Implements `base.Lines` on the reverse relations that `invoices` gives a connection: read as data, so that no
    import points up.
    """

    def __init__(self, connection: Connection) -> None:
        self._rows = connection.addressing_lines
        self._hooks = connection.hooks
        self._invoices = connection.invoices
        self._origins = connection.invoice_origins

    def find(self, identifier: str) -> base.Line | None:
        row = self._rows.filter(identifier=identifier).first()
        return as_line(row) if row else None

    def all(self) -> list[base.Line]:
        return [as_line(row) for row in self._rows.order_by("identifier")]

    def hook_url(self, identifier: str) -> str:
        hook = self._hooks.filter(closed_at=None, line_identifier=identifier).first() if identifier else None
        return hook.url if hook else ""

    def of_invoice(self, provider_ref: str) -> base.Line | None:
        row = self._rows.filter(invoices__in=self._invoices.filter(provider_ref=provider_ref)).first()
        row = row or self._rows.filter(invoice_origins__in=self._origins.filter(provider_ref=provider_ref)).first()
        return as_line(row) if row else None


def as_line(row: Any) -> base.Line:
    """A row of the layer above as adapters see it."""
    return base.Line(identifier=row.identifier, settings=row.settings, secrets=row.secrets)


def get_adapter(connection: Connection, *, client: httpx.Client | None = None) -> base.Adapter:
    """The adapter of a connection."""
    hook = connection.hooks.filter(closed_at=None, line_identifier="").first()
    account = base.Account(
        id=str(connection.pk),
        name=connection.name,
        environment=connection.environment,
        settings=connection.settings,
        secrets=connection.secrets,
        hook_url=hook.url if hook else "",
        lines=ConnectionLines(connection),
        vault=ConnectionVault(connection.pk),
        subscriptions=ConnectionSubscriptions(connection),
        next_turn=partial(next_turn, connection.pk),
    )
    cls = adapter_class(connection.kind)
    policy = cls.callback_policy(connection.settings) or platform_policy(connection.environment)
    return cls(
        account,
        client=client or http_client(policy),
        tokens=SharedTokens(connection.pk),
        memory=ConnectionMemory(connection),
    )


def explain(kind: str) -> dict[str, Any]:
    """What `provision --explain KIND` prints: every setting and secret of a platform, and what it can carry."""
    cls = adapter_class(kind)
    blank = cls(base.Account(id="", name="", environment="sandbox"), client=None, tokens=None, memory=None)  # type: ignore[arg-type]
    capabilities = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in vars(blank.capabilities).items()
    }
    groups = {
        "settings": cls.settings_fields,
        "secrets": cls.secret_fields,
        "line_settings": cls.line_setting_fields,
        "line_secrets": cls.line_secret_fields,
    }
    return {
        "kind": kind,
        **{group: [_explain_field(field) for field in fields] for group, fields in groups.items()},
        "capabilities": capabilities,
    }


def _explain_field(field: base.Field) -> dict[str, Any]:
    row = {name: getattr(field, name) for name in ("name", "type", "default", "required")}
    row["help"] = str(field.help)
    row |= {"operator_only": True} if field.is_operators else {}
    return row | ({"choices": list(field.choices)} if field.choices else {})

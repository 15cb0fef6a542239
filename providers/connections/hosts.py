"""Where a connection's calls go: what may be called, and what is forgotten when they go elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from providers.contract.kinds import find_adapter_class
from providers.models import CachedToken, Connection

from .sealing import SealBroken, Secrets

Hosts = Mapping[str, tuple[Any, ...]]


def hosts_of(kind: str, environment: str, settings: Mapping[str, Any]) -> Hosts:
    """By setting: scheme, host and port, or the environment whose own host is meant."""
    cls = find_adapter_class(kind)
    names = [field.name for field in cls.settings_fields if field.type == "url"] if cls else []
    return {name: _origin(settings.get(name) or "") or (environment,) for name in names}


def goes_elsewhere(connection: Connection, environment: str, settings: Mapping[str, Any]) -> bool:
    """Whether the connection would call another host with these."""
    before = hosts_of(connection.kind, connection.environment, connection.settings)
    return before != hosts_of(connection.kind, environment, settings)


def _origin(url: str) -> tuple[Any, ...]:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return (url,)
    return (parts.scheme, parts.host, parts.port) if url else ()


def forget_credentials(connection: Connection) -> None:
    """Tokens, and what lines show at the old host. The connection's own secrets are the caller's to replace."""
    CachedToken.objects.filter(connection=connection).delete()
    cls = find_adapter_class(connection.kind)
    names = set(cls.connection_data) if cls else set()
    for row in connection.addressing_lines.select_for_update() if names else ():
        row.secrets = Secrets({name: value for name, value in _known(row).items() if name not in names})
        row.save(update_fields=["secrets"])


def _known(row: Any) -> Mapping[str, str]:
    try:
        return dict(row.secrets)
    except SealBroken:
        return {}

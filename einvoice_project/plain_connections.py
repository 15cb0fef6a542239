"""Connections to other hosts that anybody between could read."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.db import connections

ENCRYPTED = ("require", "verify-ca", "verify-full")
HINT = "Set %s, or PLAIN_CONNECTIONS where nobody else reaches the network between. See docs/environment.md."


@register(Tags.security)
def check_plain_connections(**_app_configs: Any) -> list[Error]:
    """The database and Redis are asked for TLS unless they are on this machine."""
    if settings.PLAIN_CONNECTIONS:
        return []
    found = []
    database = connections["default"].settings_dict
    if not is_here(database["HOST"]) and database["OPTIONS"].get("sslmode") not in ENCRYPTED:
        words = f"The database on {database['HOST']} is reached without TLS."
        found.append(Error(words, hint=HINT % "?sslmode=verify-full in DATABASE_URL", id="navette.E001"))
    redis = urlsplit(settings.REDIS_URL)
    if redis.scheme == "redis" and not is_here(redis.hostname or ""):
        words = f"Redis on {redis.hostname} is reached without TLS."
        found.append(Error(words, hint=HINT % "rediss:// in REDIS_URL", id="navette.E002"))
    return found


def is_here(host: str) -> bool:
    """A socket in the file system, or this machine by name or address."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host in ("", "localhost") or host.startswith("/")

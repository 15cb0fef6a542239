"""Logging in at A-Cube: one JSON Web Token for a day, of which we read the claims but check no signature."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import LoginRefused, TemporaryError
from providers.contract.http import Wire

from . import tables

RENEW_BEFORE = timedelta(minutes=5)
UNKNOWN_LIFE = timedelta(hours=1)  # of a token that does not tell its end


def log_in(wire: Wire, url: str, credentials: dict[str, str], *, timeout: Any) -> tuple[str, datetime]:
    """The token and the time from which a new one is wanted."""
    answer = wire.exchange("POST", url, repeatable=True, json=credentials, timeout=timeout)
    if answer.status_code in (400, 401, 403):
        message = _("A-Cube refuses the login: check the e-mail address, the password and the environment.")
        raise LoginRefused(message, status_code=answer.status_code, answer=answer.text)
    document = wire.require_json(wire.require_success(answer, repeatable=True))
    token = document.get("token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise TemporaryError(_("A-Cube's answer to the login holds no token."), status_code=answer.status_code)
    claims = read_claims(token)
    require_french_access(claims)
    return token, _renew_at(claims)


def read_claims(token: str) -> dict[str, Any]:
    """The claims of a JSON Web Token, {} if it is none."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def require_french_access(claims: dict[str, Any]) -> None:
    roles = claims.get("roles")
    if isinstance(roles, dict) and not any(str(host).endswith(tables.FRENCH_HOST) for host in roles):
        message = _("This A-Cube account has no French access: ask A-Cube to open the French API for it.")
        raise LoginRefused(message)


def token_scope(login_url: str, email: str) -> str:
    """Another account or host must not inherit the token of the former one."""
    return hashlib.sha256(f"{login_url} {email}".encode()).hexdigest()[:32]


def _renew_at(claims: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(claims["exp"], tz=UTC) - RENEW_BEFORE
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return datetime.now(UTC) + UNKNOWN_LIFE

"""OAuth 2 as Billit does it: authorization code once, refresh tokens from then on, no client credentials.

Pages "OAuth" and "OAuth FAQ" of docs.billit.be, November 2026. A refresh token may be good for one use: whatever comes
back is kept at once, sealed. Done by hand, for a library would do little: the login page takes parameters of its own,
and a token is one POST.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from providers.contract.base import LoginRefused, TemporaryError
from providers.contract.http import Answer, Wire

if TYPE_CHECKING:
    from .session import Session

VAULT = "oauth"
LIFETIME = 3600  # page "OAuth FAQ"
MARGIN = 300
REFUSALS = frozenset({400, 401, 403})


def login_url(session: Session, state: str) -> str:
    """Where a person logs in; Billit then leads to the redirect address, with the code."""
    parameters = {
        "client_id": session.setting("client_id"),
        "redirect_uri": session.setting("redirect_uri"),
        "state": state,
    }
    return f"{session.portal_url}/Account/Logon?{urlencode(parameters)}"


def token_scope(session: Session) -> str:
    """Another login or another client means another token."""
    told = "\n".join((session.api_url, str(session.setting("client_id")), _given(session)[1]))
    return f"oauth {hashlib.sha256(told.encode()).hexdigest()[:40]}"


def log_in(session: Session, wire_hiding: Callable[..., Wire]) -> tuple[str, datetime]:
    """A new access token and when to renew it; the refresh token that came with it is kept in the vault."""
    grant = _grant(session)
    body = {
        "client_id": session.setting("client_id"),
        "client_secret": session.account.secrets.get("client_secret", ""),
        **grant,
    }
    if not body["client_id"] or not body["client_secret"]:
        raise LoginRefused(_("The client_id or the client_secret of the Billit connection is missing."))
    wire = wire_hiding(*grant.values())
    form: dict[str, Any] = {"data" if session.setting("token_request") == "form" else "json": body}
    url = session.api_url + session.setting("token_path")
    # Nothing of ours was said by it, whatever became of it.
    answer = wire.exchange("POST", url, repeatable=True, timeout=session.timeout(), **form)
    if answer.status_code in REFUSALS:
        raise _refused(session, answer)
    document = wire.require_json(wire.require_success(answer, repeatable=True))
    return _keep(session, document, grant.get("refresh_token", ""))


def _given(session: Session) -> tuple[str, str]:
    """What an administrator entered: the kind of grant, and its value."""
    secrets = session.account.secrets
    for kind in ("refresh_token", "authorization_code"):
        if value := secrets.get(kind, ""):
            return kind, value
    return "", ""


def _grant(session: Session) -> dict[str, str]:
    kind, value = _given(session)
    kept = session.account.vault.get(VAULT)
    if kept.get("refresh_token") and (not value or kept.get("source") == _print(value)):
        return {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
    if kind == "refresh_token":
        return {"grant_type": "refresh_token", "refresh_token": value}
    if kind:
        redirect_uri = session.setting("redirect_uri")
        return {"grant_type": "authorization_code", "code": value, "redirect_uri": redirect_uri}
    raise LoginRefused(
        _("Nobody has logged in to Billit yet. Open %(url)s, then set the secret authorization_code.")
        % {"url": login_url(session, session.account.name)}
    )


def _keep(session: Session, document: Any, used: str) -> tuple[str, datetime]:
    token = _token(document, "access_token")
    if not token:
        raise TemporaryError(_("Billit's answer to the login holds no token."))
    refresh = _token(document, "refresh_token") or used
    session.account.vault.change(VAULT, refresh_token=refresh, source=_print(_given(session)[1]))
    seconds = document.get("expires_in")
    lifetime = seconds if isinstance(seconds, int) and 0 < seconds < 10**6 else LIFETIME
    return token, datetime.now(UTC) + timedelta(seconds=max(lifetime - MARGIN, lifetime // 2))


def _token(document: Any, name: str) -> str:
    """A token that may stand in a header, or ""."""
    value = document.get(name) if isinstance(document, Mapping) else None
    good = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    return value if good else ""  # type: ignore[return-value]


def _print(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def _refused(session: Session, answer: Answer) -> LoginRefused:
    message = _("Billit refuses the login (%(code)s). Open %(url)s, then set the secret authorization_code.")
    url = login_url(session, session.account.name)
    told = {"code": answer.status_code, "url": url}
    return LoginRefused(message % told, status_code=answer.status_code, answer=answer.text)

"""Access of accredited platforms: client credentials per addressing line (RFC 6749 section 4.4), bearer tokens we sign.

A token is not stored: it names its line and shows, by a digest, for which API key it was given. New connection data,
and a token of another connection, are therefore refused at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

from django.core import signing
from oauthlib.common import Request
from oauthlib.oauth2 import BackendApplicationServer, OAuth2Error, RequestValidator

from providers.contract.base import HookRequest, Line, Lines, Malformed, NotGenuine, Refusal, Reply

# At a level below, the library writes tokens into its log.
logging.getLogger("oauthlib").setLevel(logging.INFO)

GRANT = "client_credentials"


class Access:
    """Gives and recognises the tokens of one connection."""

    def __init__(self, *, account_id: str, lines: Lines, lifetime: int) -> None:
        self.salt = f"cegid_od {account_id}"
        self.lines = lines
        self.lifetime = lifetime
        self.server = BackendApplicationServer(
            _Validator(self), token_generator=self._sign, token_expires_in=max(lifetime, 1)
        )

    def give(self, request: HookRequest) -> Reply:
        """Answers the token endpoint. Refusal in the words of RFC 6749 section 5.2."""
        try:
            _headers, body, status = self.server.create_token_response(
                request.url, request.method, _text(request.body), dict(request.headers)
            )
        except OAuth2Error as error:  # some are raised rather than answered
            body, status = error.json, error.status_code
        document = json.loads(body)
        if status != 200:
            raise Refusal(f"No access token: {document.get('error', status)}.", status, document)
        return Reply(document=document)

    def find_line(self, request: HookRequest) -> Line | None:
        """The line that a request's bearer token speaks for."""
        # Without query and body: a token is shown in its header alone.
        address, headers = request.url.partition("?")[0], dict(request.headers)
        is_valid, read = self.server.verify_request(address, request.method, None, headers, [])
        return read.client.line if is_valid else None

    def _sign(self, request: Request) -> str:
        return signing.dumps(
            {"line": request.client.line.identifier, "key": _print_of(request.client.line)}, salt=self.salt
        )

    def read_token(self, token: str | None) -> Line | None:
        try:
            claims = signing.loads(token or "", salt=self.salt, max_age=self.lifetime)
        except signing.BadSignature:
            return None
        line = self.lines.find(claims["line"])
        return line if line and hmac.compare_digest(_print_of(line), claims["key"]) and _print_of(line) else None

    def find_client(self, client_id: str, secret: str) -> Line | None:
        """The line whose API key this is. All lines are compared, so that the time taken tells nothing."""
        shown = f"{client_id}:{secret}".encode()
        found = None
        for line in self.lines.all():
            key = line.secrets.get("api_key", "").encode()
            if key and hmac.compare_digest(key, shown):
                found = line
        return found if client_id and secret else None


class _Validator(RequestValidator):
    """What oauthlib asks: who the client is, and what it may have."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        return True

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        client_id, secret = _basic(request) or (request.client_id or "", request.client_secret or "")
        line = self.access.find_client(client_id, secret)
        if line is None:
            return False
        request.client_id = client_id
        request.client = SimpleNamespace(client_id=client_id, line=line)
        return True

    def validate_grant_type(self, client_id: str, grant_type: str, *args: Any, **kwargs: Any) -> bool:
        return grant_type == GRANT

    def get_default_scopes(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> list[str]:
        return []

    def validate_scopes(self, client_id: str, scopes: list[str], *args: Any, **kwargs: Any) -> bool:
        return True  # there is one perimeter, the line; whatever scope is named, no more is given

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        pass

    def validate_bearer_token(self, token: str | None, scopes: list[str], request: Request) -> bool:
        line = self.access.read_token(token)
        request.client = SimpleNamespace(line=line)
        return line is not None


def _print_of(line: Line) -> str:
    key = line.secrets.get("api_key", "")
    return hashlib.sha256(f"cegid_od token {key}".encode()).hexdigest()[:32] if key else ""


def _basic(request: Request) -> tuple[str, str] | None:
    """HTTP Basic (RFC 6749 section 2.3.1: both halves are form-encoded first)."""
    kind, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ("", "")
    return unquote_plus(client_id), unquote_plus(secret)


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("A form is sent in ASCII.") from None


def require_key(request: HookRequest, *, header: str, key: str) -> None:
    """The subscription key goes with every call but the one for a token."""
    if not key or not hmac.compare_digest(request.header(header).encode(), key.encode()):
        raise NotGenuine(f"The header {header} does not show the subscription key.")

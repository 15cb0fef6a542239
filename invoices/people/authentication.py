"""Who calls the REST API: `Authorization: Token <api_token>`."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from invoices.models import ApiToken

from . import tokens

KEYWORD = "Token"


class ApiTokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        keyword, _space, secret = get_authorization_header(request).partition(b" ")
        if keyword.lower() != KEYWORD.lower().encode():
            return None
        # One answer for unknown, expired and revoked tokens and closed accounts, so that nobody learns which it is.
        token = find_token(secret.strip().decode("latin-1"))
        if token is None:
            raise AuthenticationFailed(_("This API token is not valid."))
        tokens.note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


def find_token(secret: str) -> ApiToken | None:
    return ApiToken.valid().select_related("user").filter(digest=ApiToken.digest_of(secret)).first()


class ApiTokenScheme(OpenApiAuthenticationExtension):
    target_class = "invoices.people.authentication.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f"`Authorization: {KEYWORD} <api_token>`",
        }

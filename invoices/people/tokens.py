"""Tokens of the REST API: made, used, revoked. Each of it is in the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from invoices.models import ApiToken
from invoices.models.tokens import Scope

from . import audit
from .audit import Action

# A token's last use is shown to the minute: one UPDATE per minute, not one per request.
USE_NOTED_EVERY = timedelta(minutes=1)
LONGEST = timedelta(days=366)


@transaction.atomic
def make(
    *, user: Any, name: str = "", scopes: Iterable[str] = Scope.values, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """The row, and the token itself, which nobody can be shown again."""
    secret = ApiToken.new_token()
    expires_at = expires_at or timezone.now() + LONGEST
    row = ApiToken.objects.create(
        user=user,
        name=name,
        digest=ApiToken.digest_of(secret),
        hint=secret[-4:],
        scopes=list(scopes),
        expires_at=expires_at,
    )
    note_made(row)
    return row, secret


def note_made(token: ApiToken) -> None:
    audit.record(Action.TOKEN_MADE, account=token.user, subject=f"{token.user}: {token.label}", scopes=token.scopes)


def note_use(token: ApiToken) -> None:
    now, before = timezone.now(), token.last_used_at
    if before is not None and before > now - USE_NOTED_EVERY:
        return
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    if before is None or timezone.localdate(before) < timezone.localdate(now):
        audit.record(Action.TOKEN_USED, actor=token.user, account=token.user, subject=f"{token.user}: {token.label}")


@transaction.atomic
def revoke(token: ApiToken) -> None:
    """At once and for good; again changes nothing."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(Action.TOKEN_REVOKED, account=token.user, subject=f"{token.user}: {token.label}")


def revoke_all(user: Any) -> None:
    """With a password that may be known to others, or an account that is closed, its tokens end too."""
    for token in user.api_tokens.filter(revoked_at=None).select_related("user"):
        revoke(token)

"""What happens to accounts, whichever door it comes through: written to the audit log, and tokens end with them."""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa import signals as factors
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Q
from django.db.models.signals import post_save
from django.dispatch import receiver

from . import audit, tokens
from .audit import Action


@receiver(user_logged_in)
def note_login(user: Any, **_signal: Any) -> None:
    audit.record(Action.LOGIN, actor=user, account=user, subject=user)


@receiver(user_logged_out)
def note_logout(user: Any, **_signal: Any) -> None:
    if user is not None:
        audit.record(Action.LOGOUT, actor=user, account=user, subject=user)


@receiver(user_login_failed)
def note_failed_login(credentials: dict[str, Any], **_signal: Any) -> None:
    account = find_account(credentials)
    audit.record(Action.LOGIN_FAILED, account=account, subject=account or "")


def find_account(credentials: dict[str, Any]) -> Any:
    """Whose account is tried. A name that nobody has is not kept: people type passwords there."""
    name = credentials.get("username") or credentials.get("email") or ""
    if not name or "\0" in name:
        return None
    return get_user_model().objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).first()


@receiver(post_save, sender=get_user_model())
def follow_account(instance: Any, created: bool, raw: bool = False, **_signal: Any) -> None:
    if raw:
        return
    if created:
        audit.record(Action.ACCOUNT_MADE, account=instance, subject=instance)
        return
    # Set by set_password alone: hashing the same password anew at a login is no change.
    has_new_password = instance._password is not None
    if has_new_password:
        audit.record(Action.PASSWORD_CHANGED, account=instance, subject=instance)
    if has_new_password or not instance.is_active:
        tokens.revoke_all(instance)


@receiver(factors.authenticator_added)
@receiver(factors.authenticator_reset)
def note_added_factor(user: Any, authenticator: Any, **_signal: Any) -> None:
    audit.record(Action.FACTOR_ADDED, account=user, subject=user, factor=authenticator.type)
    end_other_sessions(user)


@receiver(factors.authenticator_removed)
def note_removed_factor(user: Any, authenticator: Any, **_signal: Any) -> None:
    audit.record(
        Action.FACTOR_REMOVED, account=authenticator.user, subject=authenticator.user, factor=authenticator.type
    )
    end_other_sessions(authenticator.user)


def end_other_sessions(user: Any) -> None:
    """Whoever came in by the old factors does not stay; the session that changed them does."""
    here = context.request.session.session_key if context.request else None
    for session in UserSession.objects.filter(user=user).exclude(session_key=here):
        session.end()


@receiver(factors.authentication_failed)
def note_failed_factor(user: Any, **_signal: Any) -> None:
    audit.record(Action.FACTOR_FAILED, account=user, subject=user)

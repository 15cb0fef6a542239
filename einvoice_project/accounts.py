"""Who gets in: administrators make the accounts, nobody signs up by themselves."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from invoices.people import audit
from invoices.people.account_events import find_account
from providers.connections.sealing import seal, unseal


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Addresses in mails are those of PUBLIC_URL, whatever host the request named."""
        named = self.request.build_absolute_uri("/").rstrip("/")
        told = {
            name: settings.PUBLIC_URL + value.removeprefix(named)
            if isinstance(value, str) and value.startswith(f"{named}/")
            else value
            for name, value in context.items()
        }
        host = urlsplit(settings.PUBLIC_URL).netloc
        super().send_mail(template_prefix, email, told | {"current_site": {"name": host, "domain": host}})

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Wrong guesses count by account and source: nobody elsewhere locks the right password out."""
        login = credentials.get("email", credentials.get("username", "")).lower()
        return f"{login}:{self.get_client_ip(request)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            note_locked(credentials, self._get_login_attempts_cache_key(request, **credentials))
            raise


def note_locked(credentials: dict[str, Any], key: str) -> None:
    """Once per account, source and five minutes: whoever goes on guessing does not fill the audit log."""
    if cache.add(f"locked:{hashlib.sha256(key.encode()).hexdigest()}", True, timeout=300):
        account = find_account(credentials)
        audit.record(audit.Action.LOGIN_LOCKED, account=account, subject=account or "")


class MFAAdapter(DefaultMFAAdapter):
    """Seeds of one-time and recovery codes lie sealed."""

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text)


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whoever the company's single sign-on lets in gets an account, which sees nothing until it has a role."""
        return True

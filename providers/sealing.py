"""Secrets at rest: JSON sealed with MultiFernet, keys from SECRETS_KEYS (the first seals, all unseal)."""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class SealBroken(Exception):
    """A sealed value was written under a key we no longer have."""


class Secrets(dict[str, str]):
    """Unsealed secrets that never show themselves in a repr, a log or a debug page."""

    def __repr__(self) -> str:
        return f"<Secrets: {', '.join(sorted(self)) or 'none'}>"

    __str__ = __repr__


def _box() -> MultiFernet:
    if not settings.SECRETS_KEYS:
        raise ImproperlyConfigured("SECRETS_KEYS is empty: give at least one Fernet key to seal platform secrets.")
    return MultiFernet([Fernet(key) for key in settings.SECRETS_KEYS])


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealBroken(
            "A secret cannot be opened with the keys in SECRETS_KEYS: add the key it was sealed with, or enter it anew."
        ) from error


def reseal(sealed: str) -> str:
    """The same secret under the newest key."""
    try:
        return _box().rotate(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealBroken("A secret cannot be opened with the keys in SECRETS_KEYS.") from error


class SealedField(models.TextField):
    """A dict of strings, sealed in the column. Cannot be searched; serialises to nothing readable."""

    def from_db_value(self, value: str | None, *args: Any) -> Secrets:
        return Secrets(json.loads(unseal(value))) if value else Secrets()

    def to_python(self, value: Any) -> Secrets:
        return value if isinstance(value, Secrets) else Secrets(value or {})

    def get_prep_value(self, value: Any) -> str:
        return seal(json.dumps(dict(value))) if value else ""

    def value_to_string(self, obj: models.Model) -> str:
        return ""

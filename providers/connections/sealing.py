"""Secrets at rest: JSON sealed with MultiFernet, keys from SECRETS_KEYS (the first seals, all unseal)."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

if TYPE_CHECKING:
    _Text = models.TextField[Mapping[str, str], "Secrets"]
else:
    _Text = models.TextField


class SealBroken(Exception):
    """A sealed value was written under a key we no longer have."""


class Secrets(Mapping[str, str]):
    """Secrets that never show themselves in a repr, a pickle, a log or a debug page.

    Those of a stored row are opened when first read: a lost key breaks the call that needs the secret, not every query
    that touches the row, and saving the row keeps what could not be opened.
    """

    def __init__(self, values: Mapping[str, str] | None = None, *, sealed: str = "") -> None:
        self._values = dict(values or {})
        self._sealed = sealed

    def _open(self) -> dict[str, str]:
        if self._sealed:
            self._values, self._sealed = json.loads(unseal(self._sealed)), ""
        return self._values

    def sealed(self) -> str:
        """What the column holds: "" for no secrets."""
        return self._sealed or (seal(json.dumps(self._values)) if self._values else "")

    def __getitem__(self, name: str) -> str:
        return self._open()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._open())

    def __len__(self) -> int:
        return len(self._open())

    def __repr__(self) -> str:
        return "<Secrets: hidden>"

    def __reduce__(self) -> Any:
        return _unpickle, (self.sealed(),)


def _unpickle(sealed: str) -> Secrets:
    return Secrets(sealed=sealed)


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


class SealedField(_Text):
    """A dict of strings, sealed in the column. Cannot be searched; serialises to nothing readable."""

    def from_db_value(self, value: str | None, *args: Any) -> Secrets:
        return Secrets(sealed=value or "")

    def to_python(self, value: Any) -> Secrets:
        return value if isinstance(value, Secrets) else Secrets(value)

    def get_prep_value(self, value: Any) -> str:
        return self.to_python(value).sealed()

    def value_to_string(self, obj: models.Model) -> str:
        return ""

"""Access tokens and learned facts, kept in the database so that all processes share them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import DateTimeField, F, Func, JSONField, Q, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from providers.contract.errors import TemporaryError, UncertainError
from providers.models import CachedToken, Connection

from .sealing import Secrets


class SharedTokens:
    """Implements `base.Tokens` on a locked row: N workers meeting an expired token log in once.

    An instance lives as long as its adapter and keeps what it read, so that a batch of calls reads the row once.
    """

    def __init__(self, connection_id: Any) -> None:
        self.connection_id = connection_id
        self._kept: dict[str, tuple[str, datetime]] = {}
        self._failed: dict[str, tuple[float, Exception]] = {}
        self._lock = threading.Lock()

    def get(self, scope: str, login: Callable[[], tuple[str, datetime]]) -> str:
        # One thread of a pool opens a database connection for it, the others wait, and share how that ended.
        asked_at = time.monotonic()
        with self._lock:
            token, expires_at = self._kept.get(scope, ("", None))
            if expires_at is None or expires_at <= timezone.now():
                failed_at, failure = self._failed.get(scope, (0.0, None))
                if failure is not None and failed_at > asked_at:
                    raise failure
                token, expires_at = self._kept[scope] = self._find(scope, login)
        return token

    def _find(self, scope: str, login: Callable[[], tuple[str, datetime]]) -> tuple[str, datetime]:
        """Whatever goes wrong here, nothing was said yet: not even a lost answer leaves anything uncertain."""
        try:
            return self._read(scope) or self._log_in(scope, login)
        except Exception as error:
            failure = _nothing_said(error)
            self._failed[scope] = time.monotonic(), failure
            raise failure from error

    def _read(self, scope: str) -> tuple[str, datetime] | None:
        row = CachedToken.objects.filter(
            connection_id=self.connection_id, scope=scope, expires_at__gt=timezone.now()
        ).first()
        return (row.value["token"], row.expires_at) if row and row.expires_at else None

    def _log_in(self, scope: str, login: Callable[[], tuple[str, datetime]]) -> tuple[str, datetime]:
        # The one call made inside a transaction: the row's lock keeps logins single, and nothing else waits on it.
        CachedToken.objects.get_or_create(connection_id=self.connection_id, scope=scope)
        with transaction.atomic():
            row = CachedToken.objects.select_for_update().get(connection_id=self.connection_id, scope=scope)
            if row.expires_at and row.expires_at > timezone.now():
                return row.value["token"], row.expires_at
            token, expires_at = login()
            row.value, row.expires_at = {"token": token}, expires_at
            row.save(update_fields=["value", "expires_at"])
        return token, expires_at

    def drop(self, scope: str, token: str) -> None:
        # Locked until the row is empty too: another thread would read the refused token there, and keep it again.
        with self._lock:
            if self._kept.get(scope, ("", None))[0] == token:
                del self._kept[scope]
            self._empty(scope, token)

    def _empty(self, scope: str, token: str) -> None:
        with transaction.atomic():
            row = CachedToken.objects.select_for_update().filter(connection_id=self.connection_id, scope=scope).first()
            if row and row.value.get("token") == token:
                row.value, row.expires_at = {}, None
                row.save(update_fields=["value", "expires_at"])


def _nothing_said(error: Exception) -> Exception:
    if isinstance(error, OperationalError):
        return TemporaryError(_("Another worker's login did not end in time: it is tried again."))
    if isinstance(error, UncertainError):
        return TemporaryError(error.message, status_code=error.status_code, answer=error.answer)
    return error


class ConnectionVault:
    """Implements `base.Vault` beside the tokens: a row that never expires."""

    PREFIX = "vault "

    def __init__(self, connection_id: Any) -> None:
        self.connection_id = connection_id

    def get(self, name: str) -> Mapping[str, str]:
        row = CachedToken.objects.filter(connection_id=self.connection_id, scope=self.PREFIX + name).first()
        return dict(row.value) if row else {}

    def change(self, name: str, **changes: str) -> Mapping[str, str]:
        where = {"connection_id": self.connection_id, "scope": self.PREFIX + name}
        CachedToken.objects.get_or_create(**where)
        with transaction.atomic():
            row = CachedToken.objects.select_for_update().get(**where)
            kept = {**row.value, **changes}
            row.value = Secrets(kept)
            row.save(update_fields=["value"])
        return kept


class ConnectionMemory:
    """Implements `base.Memory` on Connection.memory; one key is written without touching the others."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def get(self, name: str) -> Any:
        return self.connection.memory.get(name)

    def set(self, name: str, value: Any) -> None:
        self.connection.memory[name] = value
        Connection.objects.filter(pk=self.connection.pk).update(memory=self._merged({name: value}))

    def fresh(self, name: str) -> Any:
        kept = Connection.objects.filter(pk=self.connection.pk).values_list(KeyTransform(name, "memory"), flat=True)
        self.connection.memory[name] = kept.first()
        return self.connection.memory[name]

    def claim(self, name: str, seconds: float) -> bool:
        now = timezone.now()
        claimed_at = Cast(KeyTextTransform(name, "memory"), DateTimeField())
        free = Q(claimed_at=None) | Q(claimed_at__lt=now - timedelta(seconds=seconds))
        rows = Connection.objects.filter(pk=self.connection.pk).annotate(claimed_at=claimed_at)
        return bool(rows.filter(free).update(memory=self._merged({name: now.isoformat()})))

    @staticmethod
    def _merged(facts: dict[str, Any]) -> Func:
        return Func(F("memory"), Value(facts, JSONField()), template="%(expressions)s", arg_joiner=" || ")

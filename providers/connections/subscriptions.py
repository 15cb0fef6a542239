"""Subscriptions of addressing lines, kept in the database."""

from __future__ import annotations

from django.utils import timezone

from providers.contract import base
from providers.models import Connection, Subscription

from .sealing import Secrets


class ConnectionSubscriptions:
    """Implements `base.Subscriptions`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find(self, line_identifier: str) -> base.Subscription | None:
        row = self.connection.subscriptions.filter(line_identifier=line_identifier).first()
        if row is None:
            return None
        return base.Subscription(
            line_identifier=row.line_identifier,
            state=row.state,
            reference=row.reference,
            callback_url=row.callback.get("url", ""),
            error=row.last_error,
        )

    def save(self, subscription: base.Subscription) -> None:
        Subscription.objects.update_or_create(
            connection=self.connection,
            line_identifier=subscription.line_identifier,
            defaults={
                "state": subscription.state,
                "reference": subscription.reference[:200],
                # An address nobody can guess is a secret.
                "callback": Secrets({"url": subscription.callback_url} if subscription.callback_url else {}),
                "last_error": subscription.error,
                "changed_at": timezone.now(),
            },
        )

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from lifecycle.inbox import deliveries
from providers.models import WebhookDelivery


class Command(BaseCommand):
    help = (
        "Works through the stored webhooks that are due. The worker does it by itself; several may run at once. "
        "Exit code 1 if a replay is refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--replay",
            type=UUID,
            action="append",
            default=[],
            metavar="ID",
            help="first put this delivery back at the start, whatever its state; may be repeated",
        )
        parser.add_argument("--user", metavar="NAME", help="who replays: an administrator of a customer it serves")

    def handle(self, *args: Any, replay: list[UUID], user: str | None, verbosity: int, **options: Any) -> None:
        if replay:
            self.replay_all(replay, user)
        deliveries.retry_waiting()
        done = deliveries.drain()
        if verbosity:
            left = WebhookDelivery.objects.filter(state=WebhookDelivery.State.QUARANTINED)[:1001].count()
            shown = "more than 1000" if left > 1000 else left
            self.stdout.write(f"{done} taken up, {shown} in quarantine")

    def replay_all(self, ids: list[UUID], username: str | None) -> None:
        user = get_user_model().objects.filter(username=username).first() if username else None
        if user is None:
            raise CommandError("--replay needs --user with the name of an existing user.")
        for delivery_id in ids:
            try:
                deliveries.replay(user=user, delivery_id=delivery_id)
            except WebhookDelivery.DoesNotExist as error:
                raise CommandError(f"No delivery has the id {delivery_id}.") from error
            except PermissionDenied as error:
                raise CommandError(f"{delivery_id}: {error}") from error

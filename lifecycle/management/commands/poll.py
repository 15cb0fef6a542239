from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.urls import reverse

from lifecycle.inbox import asking, deliveries, polling
from providers.connections.named import add_connection_argument, chosen_connections
from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken
from providers.contract.base import PlatformError, Unsupported
from providers.contract.kinds import UnknownKind
from providers.models import Connection, WebhookDelivery

SHOWN = 100


class Command(BaseCommand):
    help = (
        "Asks the platforms for invoices and statuses that no webhook brought, and takes them in. The worker does it "
        "every half hour by itself. Exit code 1 if a platform could not be asked or an invoice not be taken in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_connection_argument(parser)

    def handle(self, *args: Any, connection: list[str], verbosity: int, **options: Any) -> None:
        self.verbosity = verbosity
        asked = [self.poll_one(each) for each in chosen_connections(connection)]
        if not all(asked):
            sys.exit(1)

    def poll_one(self, connection: Connection) -> bool:
        try:
            found = polling.poll(connection)
            if get_adapter(connection).capabilities.ask_each:
                found += asking.ask(connection, everything=True)
        except Unsupported as error:
            self.say(f"{connection.name}: {error.message}")
        except PlatformError as error:
            self.stderr.write(f"{connection.name}: {error.message}")
            return False
        except (UnknownKind, SealBroken) as error:
            self.stderr.write(f"{connection.name}: {error}")
            return False
        else:
            deliveries.drain()
            self.say(f"{connection.name}: {found} new")
            return self.nothing_left_out(connection)
        return True

    def nothing_left_out(self, connection: Connection) -> bool:
        states = (WebhookDelivery.State.RECEIVED, WebhookDelivery.State.QUARANTINED)
        left = connection.deliveries.filter(found__isnull=False, state__in=states).order_by("received_at")
        if names := [key.removeprefix("bell ") for key in left.values_list("key", flat=True)[: SHOWN + 1]]:
            words = "could not be taken in, tried again by the next poll"
            more = [f"and more, see {reverse('lifecycle:deliveries')}"] if len(names) > SHOWN else []
            self.stderr.write(f"{connection.name}: {words}: {', '.join(names[:SHOWN] + more)}")
        return not names

    def say(self, text: str) -> None:
        if self.verbosity:
            self.stdout.write(text)

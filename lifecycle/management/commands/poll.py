from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from lifecycle import asking, polling
from providers.base import PlatformError, Unsupported
from providers.management.connections import add_connection_argument, chosen_connections
from providers.models import Connection
from providers.registry import UnknownKind, get_adapter
from providers.sealing import SealBroken


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
            new = polling.poll(connection)
            if get_adapter(connection).capabilities.ask_each:
                new += asking.ask(connection, everything=True)
        except Unsupported as error:
            self.say(f"{connection.name}: {error.message}")
        except PlatformError as error:
            self.stderr.write(f"{connection.name}: {error.message}")
            return False
        except (UnknownKind, SealBroken) as error:
            self.stderr.write(f"{connection.name}: {error}")
            return False
        else:
            self.say(f"{connection.name}: {new} new")
            return self.nothing_left_out(connection)
        return True

    def nothing_left_out(self, connection: Connection) -> bool:
        connection.refresh_from_db(fields=["memory"])
        left_out = connection.memory.get(polling.LEFT_OUT) or []
        if left_out:
            words = "could not be taken in, tried again by the next poll"
            self.stderr.write(f"{connection.name}: {words}: {', '.join(left_out)}")
        return not left_out

    def say(self, text: str) -> None:
        if self.verbosity:
            self.stdout.write(text)

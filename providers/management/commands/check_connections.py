from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand

from providers.connections import services
from providers.connections.named import add_connection_argument, chosen_connections
from providers.connections.sealing import SealBroken
from providers.contract.base import CheckResult
from providers.contract.kinds import UnknownKind
from providers.models import Connection


class Command(BaseCommand):
    help = (
        "Tries the credentials and rights of each connection at its platform, changing nothing there. "
        "Exit code 1 if anything is wrong, 0 if all is well."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_connection_argument(parser)
        parser.add_argument(
            "--register-webhooks",
            action="store_true",
            help="also tell each platform the address it is to push to; repeating it changes nothing",
        )

    def handle(
        self, *args: Any, connection: list[str], register_webhooks: bool, verbosity: int, **options: Any
    ) -> None:
        self.verbosity = verbosity
        connections = chosen_connections(connection)
        if not connections and verbosity:
            self.stdout.write("There is no active connection.")
        healthy = [self.check_one(each, register_webhooks) for each in connections]
        if not all(healthy):
            sys.exit(1)

    def check_one(self, connection: Connection, register_webhooks: bool) -> bool:
        try:
            results = services.check_connection(connection)
            if register_webhooks:
                results = [*results, *services.registered(connection)]
        except (UnknownKind, SealBroken) as error:
            results = [CheckResult(name="connection", ok=False, message=str(error))]
        self.write_results(connection, results)
        return all(result.ok for result in results)

    def write_results(self, connection: Connection, results: Iterable[CheckResult]) -> None:
        for result in results:
            words = f"{connection.name}  {'ok' if result.ok else 'FAILED'}  {result.name}"
            line = f"{words}: {result.message}" if result.message else words
            if not result.ok:
                self.stderr.write(line)
            elif self.verbosity:
                self.stdout.write(line)

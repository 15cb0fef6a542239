from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from invoices.models import AddressingLine
from providers.connections import services
from providers.connections.registry import as_line
from providers.connections.sealing import SealBroken
from providers.contract.base import PlatformError
from providers.contract.kinds import UnknownKind, find_adapter_class
from providers.models import Subscription

SUBSCRIBE, UNSUBSCRIBE, DATA = "subscribe", "unsubscribe", "connection-data"


class Command(BaseCommand):
    help = (
        "Lists the addressing lines that are subscribed one by one, or does something about one of them. "
        "Connection data are printed as JSON, this once only; what was given before no longer opens anything. "
        "Exit code 1 if the other end refuses."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("line", nargs="?", help="the addressing line (default: list all)")
        parser.add_argument("action", nargs="?", choices=(SUBSCRIBE, UNSUBSCRIBE, *services.STEPS, DATA))

    def handle(self, *, line: str | None, action: str | None, **options: Any) -> None:
        # What commands print is in English throughout.
        with translation.override("en"):
            if line is None:
                self.write_list()
                return
            row = AddressingLine.objects.select_related("connection").filter(identifier=line).first()
            if row is None or not joined(row):
                raise CommandError(f"There is no addressing line {line} that is subscribed by itself.")
            try:
                self.act(row, action)
            except PlatformError as error:
                raise CommandError(error.message) from error
            except (UnknownKind, SealBroken, ValueError) as error:
                raise CommandError(str(error)) from error

    def write_list(self) -> None:
        lines = AddressingLine.objects.select_related("connection").order_by("connection__name", "identifier")
        for row in filter(joined, lines):
            self.write_line(row)

    def write_line(self, row: AddressingLine) -> None:
        known = Subscription.objects.filter(connection=row.connection, line_identifier=row.identifier).first()
        state = known.state if known else Subscription.State.DRAFT
        error = f": {known.last_error}" if known and known.last_error else ""
        self.stdout.write(f"{row.connection.name}  {row.identifier}  {state}{error}")

    def act(self, row: AddressingLine, action: str | None) -> None:
        if action == SUBSCRIBE:
            self.stdout.write(services.subscribe_line(connection=row.connection, line=as_line(row)))
        elif action == UNSUBSCRIBE:
            self.stdout.write(services.unsubscribe_line(connection=row.connection, line=as_line(row)))
        elif action == DATA:
            shown = services.make_connection_data(connection=row.connection, line_identifier=row.identifier)
            self.stdout.write(json.dumps(shown, ensure_ascii=False, indent=2))
        elif action:
            services.step_subscription(connection=row.connection, line_identifier=row.identifier, step=action)
            self.write_line(row)
        else:
            self.write_line(row)


def joined(row: AddressingLine) -> bool:
    cls = find_adapter_class(row.connection.kind)
    return bool(cls and cls.connection_data)

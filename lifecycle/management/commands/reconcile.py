from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.models import Invoice
from invoices.register.origins import held_by
from lifecycle.inbox import polling
from lifecycle.models import RelayState, RelayTask
from providers.connections.named import add_connection_argument, chosen_connections
from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken
from providers.contract.base import PlatformError
from providers.contract.kinds import UnknownKind
from providers.models import Connection
from providers.norm.codes import FINAL_STATUSES

# A platform that fails this often in a row is left alone: it would cost a timeout per invoice.
PATIENCE = 3
UNCONFIRMED = (RelayState.SENT, RelayState.UNCERTAIN)


class Command(BaseCommand):
    help = (
        "Compares the open invoices with what their platforms show: takes in statuses that never reached us, and names "
        "decisions of ours that a platform does not show. Exit code 1 if such a decision is left or a platform could "
        "not be asked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_connection_argument(parser)
        parser.add_argument(
            "--days",
            type=int,
            default=90,
            help="only invoices that arrived in the last so many days (default: %(default)s)",
        )

    def handle(self, *args: Any, connection: list[str], days: int, verbosity: int, **options: Any) -> None:
        self.verbosity = verbosity
        since = timezone.now() - timedelta(days=days)
        agree = [self.reconcile_one(each, open_invoices(each, since)) for each in chosen_connections(connection)]
        if not all(agree):
            sys.exit(1)

    def reconcile_one(self, connection: Connection, invoices: QuerySet[Invoice]) -> bool:
        try:
            has_history = get_adapter(connection).capabilities.history
        except (UnknownKind, SealBroken) as error:
            self.stderr.write(f"{connection.name}: {error}")
            return False
        if not has_history:
            self.say(f"{connection.name}: its platform shows no history, nothing to compare")
            return True
        return self.compare_all(connection, invoices)

    def compare_all(self, connection: Connection, invoices: QuerySet[Invoice]) -> bool:
        compared = found = open_points = failures = failures_in_row = 0
        for invoice in invoices.iterator(chunk_size=200):
            try:
                new = polling.refresh(invoice, connection)
            except PlatformError as error:
                self.stderr.write(f"{connection.name}  {invoice}: {error.message}")
                failures, failures_in_row = failures + 1, failures_in_row + 1
                if failures_in_row == PATIENCE:
                    self.stderr.write(f"{connection.name}: given up after {PATIENCE} failures in a row")
                    break
                continue
            compared, failures_in_row = compared + 1, 0
            for event in new:
                self.say(f"{connection.name}  {invoice}: taken in {event.status or ''} {event.label}".rstrip())
            unshown = list(not_shown(invoice))
            for line in unshown:
                self.stderr.write(f"{connection.name}  {invoice}: {line}")
            found, open_points = found + len(new), open_points + len(unshown)
        self.say(f"{connection.name}: {compared} compared, {found} statuses taken in, {open_points} not shown there")
        return not failures and not open_points

    def say(self, text: str) -> None:
        if self.verbosity:
            self.stdout.write(text)


def open_invoices(connection: Connection, since: Any) -> QuerySet[Invoice]:
    still_open = Q(status=None) | ~Q(status__in=FINAL_STATUSES)
    rows = Invoice.objects.filter(still_open, held_by(connection), created_at__gte=since)
    return rows.exclude(provider_ref="").select_related("connection").order_by("created_at", "pk")


def not_shown(invoice: Invoice) -> Iterator[str]:
    """Our decisions that the platform's history, just read, did not confirm."""
    for relay in RelayTask.objects.filter(invoice=invoice, state__in=UNCONFIRMED).select_related("event"):
        yield f"{relay.label} is {relay.state} and the platform does not show it"

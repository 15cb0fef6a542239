from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from invoices.models import Customer, Invoice
from lifecycle import events

PROGRESS = 10_000


class Command(BaseCommand):
    help = (
        "Checks that nobody rewrote the history: recomputes every hash of every invoice's status events, link by link. "
        "Exit code 1 if a chain is broken; each is named."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer", metavar="SIREN", help="only the invoices of this customer")

    def handle(self, *args: Any, customer: str | None, verbosity: int, **options: Any) -> None:
        checked = broken = 0
        for invoice in chosen_invoices(customer).iterator(chunk_size=1000):
            checked += 1
            if problem := events.find_break(invoice):
                broken += 1
                self.stderr.write(f"BROKEN {invoice.pk} {invoice}: {problem}")
            if verbosity > 1 and checked % PROGRESS == 0:
                self.stdout.write(f"{checked} checked so far")
        if verbosity:
            self.stdout.write(f"{checked} invoices checked, {broken} broken")
        if broken:
            sys.exit(1)


def chosen_invoices(siren: str | None) -> QuerySet[Invoice]:
    invoices = Invoice.objects.only("pk", "number", "provider_ref").order_by("pk")
    if siren is None:
        return invoices
    if not Customer.objects.filter(siren=siren).exists():
        raise CommandError(f"No customer has the SIREN {siren}.")
    return invoices.filter(customer__siren=siren)

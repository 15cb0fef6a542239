from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Max, Min, ProtectedError

from invoices.models import Customer, Invoice, InvoiceDocument
from lifecycle.history import retention
from providers.models import Connection
from providers.norm.companies import siren_in


class Command(BaseCommand):
    help = (
        "Deletes the invoices whose time to be kept is over, with their history and files, and the stored webhooks of "
        "that time. Without --delete it only says what it would delete. What must still be kept is refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer", metavar="SIREN", help="only the invoices of this customer")
        parser.add_argument(
            "--invoice", metavar="ID", type=UUID, action="append", default=[], help="only this one; may be repeated"
        )
        parser.add_argument("--delete", action="store_true", help="delete for good; there is no way back")

    def handle(
        self,
        *args: Any,
        customer: str | None,
        invoice: list[UUID],
        delete: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        self.verbosity, self.day = verbosity, retention.today()
        if invoice:
            due = chosen_invoices(invoice, customer)
            self.refuse_early(due)
            self.go_through(due, delete)
        else:
            for each in chosen_customers(customer):
                self.go_through_customer(each, delete)
            if customer is None:
                self.go_through_deliveries(delete)
        if not delete:
            self.say("Nothing was deleted. With --delete it is deleted for good; export it first if it may be missed.")

    def refuse_early(self, invoices: Iterable[Invoice]) -> None:
        early = [each for each in invoices if self.day <= retention.kept_until(each)]
        if early:
            lines = [f"{each} of {each.customer} must be kept until {retention.kept_until(each)}" for each in early]
            raise CommandError("\n".join([*lines, "Nothing was deleted."]))

    def go_through_customer(self, customer: Customer, delete: bool) -> None:
        due = retention.due_invoices(customer, self.day)
        span = due.aggregate(first=Min("issue_date"), last=Max("issue_date"))
        count, years = due.count(), customer.retention_years
        if not count:
            self.say(f"{customer} ({customer.siren}): no invoice is past its {years} years")
            return
        files = InvoiceDocument.objects.filter(invoice__in=due).count()
        self.say(
            f"{customer} ({customer.siren}): {count} invoices past their {years} years, "
            f"issued {span['first'] or '?'} to {span['last'] or '?'}, with {files} files"
        )
        self.go_through(due.order_by("created_at").iterator(chunk_size=500), delete)

    def go_through(self, invoices: Iterable[Invoice], delete: bool) -> None:
        for invoice in invoices:
            name = f"{invoice} {invoice.pk}"
            if delete:
                try:
                    retention.purge(invoice.pk, self.day)
                except (retention.TooEarly, ProtectedError) as refusal:
                    self.stderr.write(f"{name} was not deleted: {refusal}")
                    continue
            self.say(f"{'deleted' if delete else 'would delete'} {name}", detail=True)

    def go_through_deliveries(self, delete: bool) -> None:
        for connection in Connection.objects.order_by("name"):
            due = retention.due_deliveries(connection, self.day)
            if count := due.count():
                self.say(f"{connection.name}: {count} stored webhooks that nobody has to keep")
                if delete:
                    due.delete()

    def say(self, words: str, *, detail: bool = False) -> None:
        if self.verbosity > (1 if detail else 0):
            self.stdout.write(words)


def chosen_customers(siren: str | None) -> Iterable[Customer]:
    if siren is None:
        return Customer.objects.order_by("siren")
    found = Customer.numbered(siren)
    if not found:
        raise CommandError(f"No customer has the SIREN {siren}.")
    return found


def chosen_invoices(ids: list[UUID], siren: str | None) -> list[Invoice]:
    found = Invoice.objects.filter(pk__in=ids).select_related("customer")
    if siren is not None:
        found = found.filter(customer__siren=siren_in(siren))
    missing = set(ids) - {each.pk for each in found}
    if missing:
        raise CommandError(f"There is no such invoice: {', '.join(sorted(map(str, missing)))}")
    return list(found)

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from invoices.models import Customer, Direction, Invoice
from lifecycle.history.export import export
from lifecycle.history.export_check import check_export
from providers.norm.companies import siren_in


class Command(BaseCommand):
    help = (
        "Writes invoices with their originals, readable copies, history and proofs into a ZIP, and checks it as "
        "`verify_history --export` does. Exit code 1 if something in it is not as it was received."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("output", metavar="FILE.zip", type=Path, help="must not exist yet")
        parser.add_argument("--customer", metavar="SIREN", help="only the invoices of this customer")
        parser.add_argument("--direction", choices=Direction.values, help="only received or only issued ones")
        parser.add_argument(
            "--from", dest="since", metavar="DATE", type=date.fromisoformat, help="issued from this day"
        )
        parser.add_argument("--until", metavar="DATE", type=date.fromisoformat, help="issued until then")
        parser.add_argument(
            "--invoice", metavar="ID", type=UUID, action="append", default=[], help="only this one; may be repeated"
        )

    def handle(self, *args: Any, output: Path, verbosity: int, **options: Any) -> None:
        if output.exists():
            raise CommandError(f"{output} exists already.")
        invoices = chosen_invoices(**{name: options[name] for name in OPTIONS})
        write_whole(output, export(in_order(invoices), made_by="export_invoices"))
        report = check_export(output)
        if verbosity:
            self.stdout.write(f"{report.invoices} invoices, {report.files} files, {output}")
            self.stdout.write(f"SHA-256 of its manifest: {report.manifest_sha256}")
        if report.problems:
            raise CommandError("\n".join(report.problems))


OPTIONS = ("customer", "direction", "since", "until", "invoice")


def chosen_invoices(
    *, customer: str | None, direction: str | None, since: date | None, until: date | None, invoice: list[UUID]
) -> QuerySet[Invoice]:
    if customer is not None and not Customer.numbered(customer).exists():
        raise CommandError(f"No customer has the SIREN {customer}.")
    wanted = {
        "customer__siren": customer and siren_in(customer),
        "direction": direction, "issue_date__gte": since, "issue_date__lte": until,
        "pk__in": invoice or None,
    }  # fmt: skip
    found = Invoice.objects.filter(**{look_up: value for look_up, value in wanted.items() if value is not None})
    if missing := set(invoice) - set(found.values_list("pk", flat=True) if invoice else ()):
        raise CommandError(f"There is no such invoice: {', '.join(sorted(map(str, missing)))}")
    return found


def in_order(invoices: QuerySet[Invoice]) -> Iterator[Any]:
    return invoices.order_by("created_at", "pk").values_list("pk", flat=True).iterator(chunk_size=1000)


def write_whole(output: Path, pieces: Iterator[bytes]) -> None:
    """The file appears when it is complete."""
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}-", delete=False) as draft:
        unfinished = Path(draft.name)
        try:
            for piece in pieces:
                draft.write(piece)
            draft.close()
            unfinished.rename(output)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

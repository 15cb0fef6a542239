from __future__ import annotations

import hashlib
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from invoices.models import Customer, Invoice, InvoiceDocument
from lifecycle.history import anchors, events, exchanges, seals, untruths
from lifecycle.history.export_check import NotAnExport, check_export
from lifecycle.models import RelayTask
from providers.norm.companies import siren_in

PROGRESS = 10_000


class Command(BaseCommand):
    help = (
        "Checks that nobody rewrote the history: recomputes every hash of every invoice's status events, link by link, "
        "checks the seal at its end and what is shown of it, and holds the whole against the anchors kept outside the "
        "database. Exit code 1 if anything was changed, cut off, inserted or taken back; each is named. With --files "
        "the stored files are read and hashed too. With --export it checks an exported ZIP instead, without any "
        "database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer", metavar="SIREN", help="only the invoices of this customer")
        parser.add_argument("--files", action="store_true", help="also read every stored file and compare its SHA-256")
        parser.add_argument("--reseal", action="store_true", help="seal sound histories under the newest key")
        parser.add_argument("--show-key", action="store_true", help="print the public key of our signatures, and end")
        parser.add_argument("--export", metavar="FILE.zip", type=Path, help="check this ZIP and nothing else")

    def handle(
        self,
        *args: Any,
        customer: str | None,
        files: bool,
        export: Path | None,
        reseal: bool,
        show_key: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        self.verbosity, self.reseal = verbosity, reseal
        if show_key:
            self.stdout.write(seals.own_public_keys()[0])
            return
        if export is not None:
            if customer is not None or files:
                raise CommandError("--export is checked as a whole: leave --customer and --files away.")
            is_whole = self.check_export(export)
        else:
            is_whole = self.check_histories(chosen_invoices(customer))
            is_whole &= self.check_exchanges(chosen_relays(customer))
            is_whole &= customer is not None or self.check_anchors()
            is_whole &= not files or self.check_files(chosen_documents(customer))
            is_whole &= not files or self.check_amounts(chosen_invoices(customer))
        if not is_whole:
            sys.exit(1)

    def check_histories(self, invoices: QuerySet[Invoice]) -> bool:
        checked = broken = 0
        for invoice in invoices.iterator(chunk_size=1000):
            checked += 1
            if problem := events.find_break(invoice) or untruths.of_invoice(invoice.pk):
                broken += 1
                self.stderr.write(f"BROKEN {invoice.pk} {invoice}: {problem}")
            elif self.reseal:
                events.seal_anew(invoice.pk)
            self.say_progress(checked)
        self.say(f"{checked} invoices checked, {broken} broken")
        return not broken

    def check_exchanges(self, relays: QuerySet[RelayTask]) -> bool:
        """What was said to platforms, and what they answered."""
        checked = broken = 0
        for relay in relays.prefetch_related("tries", "event__sightings").iterator(chunk_size=1000):
            checked += 1
            if problem := exchanges.find_break(relay) or untruths.of_relay(relay):
                broken += 1
                self.stderr.write(f"BROKEN {relay.invoice_id} {relay.invoice}, relay {relay.pk}: {problem}")
            elif self.reseal:
                exchanges.seal_anew(relay)
            self.say_progress(checked)
        self.say(f"{checked} relays checked, {broken} broken")
        return not broken

    def check_anchors(self) -> bool:
        faults = list(anchors.faults())
        for fault in faults:
            self.stderr.write(f"BROKEN {fault}")
        until = anchors.vouched_until()
        self.say(f"vouched for until {until.isoformat()} by the anchors" if until else "no anchor was made yet")
        return not faults

    def check_files(self, documents: QuerySet[InvoiceDocument]) -> bool:
        checked = broken = 0
        for document in documents.iterator(chunk_size=1000):
            checked += 1
            if problem := file_problem(document):
                broken += 1
                self.stderr.write(f"BROKEN {document.invoice_id} {document.invoice}, file {document}: {problem}")
            self.say_progress(checked)
        self.say(f"{checked} files checked, {broken} broken")
        return not broken

    def check_amounts(self, invoices: QuerySet[Invoice]) -> bool:
        """What is shown of an invoice, as its file says it."""
        broken = 0
        for invoice in invoices.defer(None).iterator(chunk_size=200):
            if problem := untruths.of_file(invoice):
                broken += 1
                self.stderr.write(f"BROKEN {invoice.pk} {invoice}: {problem}")
        self.say(f"{broken} invoices are shown otherwise than their files say")
        return not broken

    def check_export(self, path: Path) -> bool:
        try:
            report = check_export(path)
        except NotAnExport as error:
            raise CommandError(str(error)) from error
        for problem in report.problems:
            self.stderr.write(f"BROKEN {problem}")
        self.say(f"{path}: made {report.made_at} by {report.made_by}")
        self.say(f"{report.invoices} invoices and {report.files} files checked, {len(report.problems)} problems")
        self.say(f"SHA-256 of its manifest: {report.manifest_sha256}")
        if report.public_key:
            whose = "this installation's" if report.public_key in seals.own_public_keys() else "somebody else's"
            self.say(f"signed with {whose} key {report.public_key}")
        return not report.problems

    def say_progress(self, checked: int) -> None:
        if self.verbosity > 1 and checked % PROGRESS == 0:
            self.stdout.write(f"{checked} checked so far")

    def say(self, words: str) -> None:
        if self.verbosity:
            self.stdout.write(words)


def file_problem(document: InvoiceDocument) -> str:
    digest = hashlib.sha256()
    try:
        with document.file.open("rb") as file:
            for chunk in file.chunks():
                digest.update(chunk)
    except OSError as error:
        return f"cannot be opened ({error.strerror or error})"
    return "" if digest.hexdigest() == document.sha256 else "was changed after it was received"


def chosen_invoices(siren: str | None) -> QuerySet[Invoice]:
    invoices = Invoice.objects.only("pk", "number", "provider_ref", "head_sequence", "head_seal").order_by("pk")
    if siren is None:
        return invoices
    if not Customer.numbered(siren).exists():
        raise CommandError(f"No customer has the SIREN {siren}.")
    return invoices.filter(customer__siren=siren_in(siren))


def chosen_relays(siren: str | None) -> QuerySet[RelayTask]:
    relays = RelayTask.objects.select_related("invoice", "event").defer("invoice__search").order_by("pk")
    return relays if siren is None else relays.filter(invoice__customer__siren=siren_in(siren))


def chosen_documents(siren: str | None) -> QuerySet[InvoiceDocument]:
    documents = InvoiceDocument.objects.select_related("invoice").order_by("pk")
    return documents if siren is None else documents.filter(invoice__customer__siren=siren_in(siren))

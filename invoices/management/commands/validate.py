from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from invoices.validation import validate
from invoices.validation.report import ShownFinding, ShownVerdict, shown_verdict
from invoices.validation.services import ask, never_checked


class Command(BaseCommand):
    help = (
        "Checks files against the official schemas and rules and prints what is wrong, which business term, what "
        "stands there and what to do. With --unchecked it queues the stored originals that were never checked; the "
        "worker then gives their verdicts. Exit code 1 if a file is invalid or cannot be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", type=Path, help="a UBL, CII or Factur-X invoice")
        parser.add_argument("--unchecked", action="store_true", help="queue what was stored before there were checks")

    def handle(self, *args: Any, files: list[Path], unchecked: bool, verbosity: int, **options: Any) -> None:
        if not files and not unchecked:
            raise CommandError("Name a file, or give --unchecked.")
        if unchecked:
            self.queue_unchecked(verbosity)
        results = [self.report(file, verbosity) for file in files]
        if not all(results):
            sys.exit(1)

    def queue_unchecked(self, verbosity: int) -> None:
        count = 0
        for document in never_checked().iterator(chunk_size=500):
            ask(document)
            count += 1
        if verbosity:
            self.stdout.write(f"{count} files wait to be checked by the worker")

    def report(self, file: Path, verbosity: int) -> bool:
        try:
            verdict = validate(file.read_bytes())
        except OSError as error:
            self.stderr.write(f"{file}: {error.strerror}")
            return False
        shown = shown_verdict(verdict, str(file))
        if verbosity or not verdict.is_sendable:
            self.stdout.write(f"{file}: {shown.label} ({verdict.milliseconds} ms; {facts(shown)})")
        for finding in (*shown.fatal, *(shown.warnings if verbosity else ())):
            for line in lines(finding):
                self.stdout.write(f"  {line}")
        return verdict.is_sendable


def facts(shown: ShownVerdict) -> str:
    return ", ".join([shown.format, *shown.checked, shown.rules_version] if shown.format else [shown.rules_version])


def lines(finding: ShownFinding) -> list[str]:
    found = [
        f"    {value.code} {value.name}: {value.found or '–'}" for place in finding.places for value in place.values
    ]
    head = f"{'✗' if finding.is_fatal else '!'} {finding.rule}: {finding.problem} {finding.remedy}".rstrip()
    return [head, *found]

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from lifecycle import provisioning
from lifecycle.provisioning import WishRefused, provision
from providers.connections.registry import explain
from providers.contract.kinds import UnknownKind


class Command(BaseCommand):
    help = (
        "Sets customers, addressing lines, connections and users up from a JSON file, all or nothing. It may be run "
        "again: what the file does not name stays as it is. Prints as JSON what there is now, with hook addresses and "
        "the tokens it generated, which are shown this once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="the wish as JSON; - reads standard input")
        parser.add_argument(
            "--explain",
            metavar="KIND",
            help="print the settings and secrets of a kind of platform, and what it carries",
        )
        parser.add_argument(
            "--set-up-lines",
            action="store_true",
            help="then have the platforms serve the file's addressing lines, where that can be asked of them; "
            "exit code 1 if one is not served",
        )

    def handle(self, *, file: str | None, explain: str | None, set_up_lines: bool, **options: Any) -> None:
        if bool(file) == bool(explain):
            raise CommandError("Name a file, - for standard input, or --explain KIND.")
        answer = _explain(explain) if explain else _provision(file or "")
        all_served = _set_up_lines(answer) if set_up_lines and not explain else True
        self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2, default=str))
        if not all_served:
            sys.exit(1)


def _explain(kind: str) -> Any:
    try:
        return explain(kind)
    except UnknownKind as error:
        raise CommandError(str(error)) from error


def _provision(file: str) -> Any:
    try:
        # What commands print is in English throughout.
        with translation.override("en"):
            return provision(_read(file))
    except WishRefused as error:
        raise CommandError(str(error)) from error


def _set_up_lines(made: Any) -> bool:
    with translation.override("en"):
        return provisioning.set_up_lines(made)


def _read(file: str) -> Any:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{file} is not JSON in UTF-8: {error}.") from error

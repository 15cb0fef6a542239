from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from lifecycle.watching import mail
from lifecycle.watching.watch import Finding, findings


class Command(BaseCommand):
    help = (
        "Says what is wrong, since when, and what to do: a worker that is gone, queues that stand, legal deadlines, "
        "uncertain and failed decisions, quarantine, stale polls, unwell connections, a history that is not anchored. "
        "Exit code 1 if anything urgent is among it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--mail", action="store_true", help="for cron: also mail it (WATCH_MAIL), as the worker does while it runs"
        )
        parser.add_argument("--json", action="store_true", help="for another program: a list of findings")

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        found = findings()
        if options["mail"]:
            mail.tell()
        if options["json"]:
            self.stdout.write(json.dumps([facts(finding) for finding in found], ensure_ascii=False, indent=1))
        else:
            for finding in found:
                self.write(finding)
            if verbosity and not found:
                self.stdout.write("Nothing is wrong.")
        if any(finding.urgent for finding in found):
            sys.exit(1)

    def write(self, finding: Finding) -> None:
        out = self.stderr if finding.urgent else self.stdout
        since = f" (since {timezone.localtime(finding.since):%Y-%m-%d %H:%M})" if finding.since else ""
        out.write(f"{'URGENT' if finding.urgent else 'look'}: {finding.what}{since}\n  -> {finding.to_do}")


def facts(finding: Finding) -> dict[str, Any]:
    names = ("check", "subject", "what", "to_do", "count", "urgent")
    since = finding.since.isoformat() if finding.since else None
    return {**{name: getattr(finding, name) for name in names}, "since": since}

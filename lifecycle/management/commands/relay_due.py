from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import close_old_connections

from lifecycle.outbox import relays


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise ArgumentTypeError(f"“{text}” is not a number of seconds above 0.")
    return value


class Command(BaseCommand):
    help = (
        "Tells the platforms every decision that is due, and looks up those whose fate is uncertain. The worker does "
        "it by itself; several may run at once without saying anything twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loop",
            type=seconds,
            metavar="SECONDS",
            help="go on until a signal, with this pause whenever nothing is due (default: once)",
        )

    def handle(self, *args: Any, loop: float | None, verbosity: int, **options: Any) -> None:
        if loop is None:
            self.drain(say=verbosity > 0)
        else:
            self.go_on(loop, verbosity)

    def drain(self, *, say: bool, say_none: bool = True) -> None:
        made = relays.drain()
        if say and (made or say_none):
            self.stdout.write(f"{made} tries made")

    def go_on(self, pause: float, verbosity: int) -> None:
        """A signal ends it between two rounds, never in the middle of one."""
        stop = threading.Event()
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not stop.is_set():
                close_old_connections()
                try:
                    self.drain(say=verbosity > 0, say_none=verbosity > 1)
                except DatabaseError as error:
                    self.stderr.write(f"The database did not answer, trying again in {pause:g} s: {error}")
                stop.wait(pause)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

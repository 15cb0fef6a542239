"""`python -m tests.hostile`: reads each file of the corpus under hard limits and tells, a line of JSON each, what came
of it and how many seconds of the processor it took. Whoever starts it asserts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import django

from .corpus import INVOICES, MESSAGES

MEMORY = 1536 * 1024 * 1024
SECONDS = 60


def main(only: str = "") -> None:
    django.setup()
    from providers.formats.cdar.reader import read
    from providers.formats.en16931.reader import read_invoice

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    made = {name: make() for name, make in (INVOICES | MESSAGES).items() if only in name}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name, content in made.items():
        report(name, read if name in MESSAGES else read_invoice, content)


def report(name: str, read: Callable[[bytes], Any], content: bytes) -> None:
    from providers.formats.xml import UnreadableDocument

    began = time.process_time()
    try:
        read(content)
        outcome = "read"
    except UnreadableDocument as error:
        outcome = error.code
    except BaseException as error:  # what a reader did not declare is what this looks for
        outcome = f"raised {type(error).__name__}"
    seconds = round(time.process_time() - began, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps({"name": name, "outcome": outcome, "seconds": seconds, "peak": peak, "size": len(content)}),
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

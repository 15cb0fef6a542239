"""What a lifecycle message (CDAR) costs: written, checked by the official schema, by the official rules, by ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

from lxml import etree

from providers.contract.shapes import InvoiceFacts, Party, Payment, StatusMessage
from providers.formats import cdar
from providers.formats.cdar import files, rules
from providers.formats.schematron import Schematron
from providers.formats.xml import parse_xml

from . import harness

FIRST, ALL, WRITTEN, SCHEMA = "first message of a process", "written, all checks", "written", "written, schema"
OFFICIAL, OURS, UNKEPT = "official rules alone", "our rules alone", "written, all checks, compiled each time"
NUMBERS = count(1)


def main(arguments: list[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--messages", type=int, default=200, help="messages a round")
    parser.add_argument("--first", action="store_true", help="only print the seconds of this process's first message")
    options = parser.parse_args(arguments)
    if options.first:
        print(harness.seconds(lambda: cdar.prepare(message())))
        return
    check()
    figures = harness.Figures("Lifecycle messages (CDAR)", "milliseconds a message")
    subjects = {name: average(work, options.messages) for name, work in WORKS.items()}
    subjects |= {UNKEPT: average(compiled_anew, 2), FIRST: first}
    harness.interleave(figures, subjects, options.rounds)
    figures.aim(f"{UNKEPT} ÷ {ALL}", figures.ratio(UNKEPT, ALL), least=10)
    figures.note(f"{ALL} ÷ {OFFICIAL}: {figures.ratio(ALL, OFFICIAL):.3g}")
    figures.note(f"{FIRST} ÷ {ALL}: {figures.ratio(FIRST, ALL):.3g}")
    figures.note(f"messages a second, one process: {1000 / figures.median(ALL):.0f}")
    figures.show()


def message() -> StatusMessage:
    """A payment in two rates, each time another one."""
    number = next(NUMBERS)
    seller = Party(name="Imprimerie des Quais SAS", siren="905334413")
    buyer = Party(name="Atelier Dupont", siren="800112237")
    return StatusMessage(
        id=f"benchmark-{number}",
        invoice=InvoiceFacts(
            provider_ref=str(number),
            direction="issued",
            number=f"F-2026-{number}",
            type_code="380",
            issue_date=date(2026, 10, 4),
            seller=seller,
            buyer=buyer,
        ),
        status="212",
        issuer_role="SE",
        occurred_at=datetime(2026, 10, 12, 8, 30, tzinfo=UTC),
        payments=(
            Payment(amount=Decimal("1200.00"), vat_rate=Decimal(20)),
            Payment(amount=Decimal("211.00"), vat_rate=Decimal("5.5")),
        ),
    )


def check() -> None:
    cdar.prepare(message())


def schema() -> None:
    files.schema().assertValid(parse_xml(cdar.write(message())))


def official() -> None:
    files.rules().check(ROOT)


def ours() -> None:
    list(rules.findings([READ]))


def compiled_anew() -> None:
    """What a check costs that keeps nothing, as pyfrctc does: the rules come under a name not seen before."""
    etree.XMLSchema(file=str(files.folder() / files.SCHEMA)).assertValid(parse_xml(cdar.write(message())))
    ours()
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(files.rules().stylesheet, folder)
        Schematron(Path(copy)).check(ROOT)


WORKS: dict[str, Callable[[], object]] = {
    WRITTEN: lambda: cdar.write(message()),
    SCHEMA: schema,
    OURS: ours,
    OFFICIAL: official,
    ALL: check,
}


def average(work: Callable[[], object], times: int) -> harness.Measure:
    def measure() -> float:
        started = time.perf_counter()
        for _turn in range(times):
            work()
        return (time.perf_counter() - started) / times * 1000

    return measure


def first() -> float:
    command = [sys.executable, "-m", "benchmarks.cdar", "--first"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1000


CONTENT = cdar.write(message())
ROOT = parse_xml(CONTENT)
(READ,) = cdar.read(CONTENT)

if __name__ == "__main__":
    main()

"""What checking an invoice costs: first and warm, beside rules compiled anew for each call; and the peak of memory."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from invoices.validation import rule_sets, validate
from providers.formats import schematron

from . import harness

KEPT, ANEW = "rules kept", "rules compiled for each call"
BASE = Path(__file__).parent.parent
SAMPLES = BASE / "tests" / "samples" / "invoices"
NORM = BASE.parent / "shared" / "norm" / "invoices"
# A process of its own: the first call compiles, and the peak is that file's alone.
FIRST = """
import sys, benchmarks
from pathlib import Path
from benchmarks.validation import peak
from invoices.validation import validate
content = Path(sys.argv[1]).read_bytes()
before = peak()
verdict = validate(content)
print(verdict.milliseconds, before, peak(), verdict.outcome)
"""


def main(arguments: list[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="invoices (default: the samples, and the norm's examples)")
    parser.add_argument("--lines", type=int, default=10_000, help="lines of the long invoice")
    options = parser.parse_args(arguments)
    files = options.files or [*sorted(SAMPLES.glob("*.xml")), *sorted(NORM.glob("*valid/*.*"))]
    show_files(files, options.rounds)
    show_first([next(file for file in files if ending in file.name) for ending in endings(files)])
    show_long(options)
    show_ratio(files[0], options)


def show_files(files: list[Path], rounds: int) -> None:
    print(f"\nVerdicts by {rule_sets.rules_version()}, milliseconds: first in this process, then warm\n")
    width = max(len(file.name) for file in files)
    for file in files:
        content = file.read_bytes()
        first = validate(content)
        warm = statistics.median(validate(content).milliseconds for _round in range(rounds))
        fatal, warnings = ([finding.rule for finding in group] for group in (first.fatal, first.warnings))
        words = f"{' '.join(fatal) or '–'}{'; warnings: ' + ' '.join(warnings) if warnings else ''}"
        print(f"  {file.name:<{width}} {first.outcome:<10} {first.milliseconds:>6} {warm:>5.0f}  {words}", flush=True)


def endings(files: list[Path]) -> list[str]:
    return sorted({file.name.partition(".")[2] for file in files})


def show_first(files: list[Path]) -> None:
    print("\nFirst call of a fresh process\n")
    for file in files:
        print(f"  {file.name}: {first_call(file)}", flush=True)


def show_long(options: Namespace) -> None:
    from tests.invoices.odd_files import CII, MB, UBL, pdf, with_lines

    print(f"\n{options.lines} lines, and a Factur-X of 100 MB, each in a fresh process\n")
    long = {
        "UBL": with_lines(options.lines, UBL),
        "CII": with_lines(options.lines, CII),
        "Factur-X EXTENDED": pdf(("factur-x.xml", with_lines(options.lines, extended(CII)))),
        "Factur-X of 100 MB": pdf(("factur-x.xml", CII.encode()), padding=bytes(100 * MB)),
    }
    for name, content in long.items():
        file = Path(stage_folder()) / "long"
        file.write_bytes(content)
        print(f"  {name}, {len(content) / MB:.1f} MB: {first_call(file)}", flush=True)


def extended(cii: str) -> str:
    return cii.replace(f"<ram:ID>{rule_sets.EN16931}</ram:ID>", f"<ram:ID>{rule_sets.EXTENDED}</ram:ID>")


def stage_folder() -> str:
    import os

    folder = Path(os.environ["NAVETTE_BENCHMARK_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def first_call(file: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", FIRST, str(file)], capture_output=True, text=True, check=True, cwd=BASE)
    milliseconds, before, after, outcome = ran.stdout.split()
    return f"{outcome}, {milliseconds} ms, peak {after} MB ({before} MB before the check, the file included)"


def peak() -> int:
    """Megabytes. Not ru_maxrss: that is inherited from the process which started this one."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


def show_ratio(file: Path, options: Namespace) -> None:
    content = file.read_bytes()
    validate(content)
    figures = harness.Figures(f"Checks a second of {file.name}", "checks a second")
    subjects = {KEPT: lambda: 1 / harness.seconds(lambda: validate(content)), ANEW: lambda: 1 / compiled_anew(content)}
    harness.interleave(figures, subjects, options.rounds)
    figures.aim(f"{KEPT} ÷ {ANEW}", figures.ratio(KEPT, ANEW), least=25)
    figures.show()


def compiled_anew(content: bytes) -> float:
    schematron._compiled.cache_clear()
    rule_sets.compiled_schema.cache_clear()
    return harness.seconds(lambda: validate(content))


if __name__ == "__main__":
    main()

import json
from collections.abc import Iterable

from django.core.management.base import BaseCommand

from providers.norm.codes import INVOICE_STATUSES, status_label
from providers.norm.transitions import START, TABLE, Cell

MATRIX_ROWS = (START, *INVOICE_STATUSES)

NEEDS = {
    "209": "an open 208",
    "220": "a corrective invoice that references this one",
    "228": "an earlier 225, 226 or 227 that no 228 has undone",
}

LEGEND = """\
Down: the last status. Across: the next one.
  E   said by a text or an example       S+  no source, assumed yes
  G   "any time, any order"              S-  no source, assumed no
  X   excluded
  *   our users may issue it, if it is for their side
  ?   they may issue it once a fact is there:"""


class Command(BaseCommand):
    help = "Shows which status may follow which, and which of them our users may issue."
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("--from", dest="previous", choices=MATRIX_ROWS, help="only what may follow this status")
        parser.add_argument("--json", action="store_true", dest="as_json", help="every pair as JSON")

    def handle(self, *, previous: str | None, as_json: bool, **options):
        rows = (previous,) if previous else MATRIX_ROWS
        if as_json:
            self.stdout.write(json.dumps(list(pairs(rows)), ensure_ascii=False, indent=1))
        elif previous:
            self.write_successors(previous)
        else:
            self.write_matrix()

    def write_successors(self, previous: str):
        self.stdout.write(f"After {named(previous)}:")
        for new in INVOICE_STATUSES:
            self.stdout.write(f"  {mark(TABLE[previous, new]):<4}{named(new)}")
        self.write_legend()

    def write_matrix(self):
        self.stdout.write("      " + "".join(f"{code:<4}" for code in INVOICE_STATUSES).rstrip())
        for previous in MATRIX_ROWS:
            marks = "".join(f"{mark(TABLE[previous, new]):<4}" for new in INVOICE_STATUSES)
            self.stdout.write(f"{previous:<6}{marks}".rstrip())
        self.write_legend()

    def write_legend(self):
        self.stdout.write("")
        self.stdout.write(LEGEND)
        for code, fact in NEEDS.items():
            self.stdout.write(f"      {code} needs {fact}")


def named(code: str) -> str:
    return "the start" if code == START else f"{code} {status_label(code)}"


def mark(cell: Cell) -> str:
    if needs_fact(cell):
        return f"{cell.verdict}?"
    return f"{cell.verdict}*" if cell.offer == "yes" else str(cell.verdict)


def needs_fact(cell: Cell) -> bool:
    return cell.offer == "guard" or cell.lifted_by_guard


def pairs(rows: Iterable[str]) -> Iterable[dict[str, str]]:
    for previous in rows:
        for new in INVOICE_STATUSES:
            cell = TABLE[previous, new]
            needs = NEEDS[new] if needs_fact(cell) else ""
            yield {"from": previous, "to": new, "verdict": cell.verdict, "offer": cell.offer, "needs": needs}

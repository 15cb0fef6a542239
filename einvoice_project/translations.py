"""Compiles the message catalogues without gettext's programs: `python -m einvoice_project.translations [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import polib

FOLDER = Path(__file__).resolve().parent.parent / "locale"


def faults(catalogue: Path) -> Iterator[str]:
    messages = polib.pofile(str(catalogue))
    for entry in messages.untranslated_entries() + messages.fuzzy_entries():
        yield f"{catalogue}:{entry.linenum}: no sure translation of {entry.msgid!r}"
    compiled = catalogue.with_suffix(".mo")
    if not compiled.exists() or compiled.read_bytes() != messages.to_binary():
        yield f"{compiled} is out of date: run make fix"


def main(arguments: list[str]) -> int:
    catalogues = sorted(FOLDER.glob("*/LC_MESSAGES/*.po"))
    if "--check" in arguments:
        found = [fault for catalogue in catalogues for fault in faults(catalogue)]
        print("\n".join(found) or f"{len(catalogues)} message catalogues are complete and compiled.")
        return int(bool(found))
    for catalogue in catalogues:
        polib.pofile(str(catalogue)).save_as_mofile(str(catalogue.with_suffix(".mo")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

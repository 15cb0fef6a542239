"""Compiles the message catalogues without gettext's programs: `python -m einvoice_project.translations [--check]`."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import polib
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "locale"
SOURCES = ("einvoice_project", "invoices", "lifecycle", "providers")

# Name of a call: places of the context and of the message.
CALLS: dict[str, tuple[int | None, int]] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"), (None, 0)),
    **dict.fromkeys(("pgettext", "pgettext_lazy", "npgettext", "npgettext_lazy"), (0, 1)),
}
# What Django makes of a template: calls as in Python, between characters that are none.
TEMPLATE_CALL = re.compile(
    r"""\b(?:[np]{0,2}gettext)\((?:u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\w+)[, ]*)+\)""", re.DOTALL
)

Message = tuple[str | None, str]


def said() -> Iterator[tuple[Message, str]]:
    """Every message of the program with the file that says it."""
    for app in SOURCES:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield from ((message, str(path)) for message in _calls(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "templates").rglob("*.*")):
        code = templatize(path.read_text(encoding="utf-8"))
        for call in TEMPLATE_CALL.finditer(code):
            yield from ((message, str(path)) for message in _calls(call.group()))


def _calls(code: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(code)):
        name = getattr(getattr(node, "func", None), "id", "")
        if isinstance(node, ast.Call) and name in CALLS:
            context, message = CALLS[name]
            texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
            if len(texts) > message and isinstance(texts[message], str):
                yield (None if context is None else str(texts[context])), str(texts[message])


def faults(catalogue: Path) -> Iterator[str]:
    messages = polib.pofile(str(catalogue))
    known = {(entry.msgctxt, entry.msgid) for entry in messages}
    unknown = {message: path for message, path in said() if message not in known}
    for (_context, text), path in unknown.items():
        yield f"{path}: {text!r} is not in {catalogue}"
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

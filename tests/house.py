"""The map of the house: `python -m tests.house` writes docs/modules.md, every room with its modules in a line each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .test_architecture import FLOORS, MODULES, imports_of, room_of

TARGET = Path(__file__).resolve().parents[1] / "docs" / "modules.md"
HEAD = """# The house

Written by `make fix` from the imports and the first sentence of each module. Rooms stand on the floors below them: a
room may use those, and no other (`tests/test_architecture.py`).
"""


def first_sentence(path: Path) -> str:
    """Of a module's docstring, or what a command says of itself."""
    tree = ast.parse(path.read_text())
    words = ast.get_docstring(tree) or ""
    if not words:
        told = (
            node for node in ast.walk(tree) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "help"
        )
        words = next((str(ast.literal_eval(node.value)) for node in told if isinstance(node.value, ast.Constant)), "")
    paragraph = " ".join(words.split("\n\n")[0].split())
    return re.split(r"(?<=[.:!?]) (?=[A-Z`0-9])", paragraph)[0].rstrip(":")


def rooms() -> Iterator[tuple[str, list[str]]]:
    """Top floor first, each with the modules that stand in it."""
    for floor in reversed(FLOORS.split("\n")):
        for room in floor.split():
            yield room, [module for module in MODULES if room_of(module) == room]


def written() -> str:
    parts = [HEAD]
    for room, modules in rooms():
        used = {room_of(other) for module in modules for other in imports_of(MODULES[module])} - {room}
        parts.append(f"\n## {room}\n")
        if room in MODULES and (words := first_sentence(MODULES[room])):
            parts.append(f"\n{words}\n")
        if used:
            parts.append(f"\nUses {', '.join(sorted(used))}.\n")
        lines = [
            f"- `{module}`: {words}\n"
            for module in modules
            if (words := first_sentence(MODULES[module])) and module != room
        ]
        parts += ["\n", *lines] if lines else []
    return "".join(parts)


if __name__ == "__main__":
    TARGET.write_text(written())

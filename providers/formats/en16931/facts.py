"""Tables of facts: label, attribute, how to write it, and what checks it. A missing value is not shown."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .checks import Remark

Fact = tuple[Any, str, Callable[[Any], str]] | tuple[Any, str, Callable[[Any], str], Callable[[str], Remark]]


class Shown(NamedTuple):
    """A fact as the reader sees it."""

    name: Any
    value: str
    remark: Remark | None = None


def facts(table: Iterable[Fact], source: Any) -> list[Shown]:
    found = ((name, getattr(source, attribute), *how) for name, attribute, *how in table)
    return [shown(*row) for row in found if row[1] not in ("", None)]


def shown(name: Any, value: Any, write: Callable[[Any], str], check: Callable[[str], Remark] | None = None) -> Shown:
    return Shown(name, write(value), check(value) if check else None)

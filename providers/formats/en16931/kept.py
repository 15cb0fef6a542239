"""A parsed invoice as text, shown without reading the file again. The bytes of embedded files stay in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import get_language, override

from .model import Attachment, Line, ParsedInvoice

Reader = Callable[[Any], Any]
SIMPLE: dict[Any, Reader] = {date: date.fromisoformat, Decimal: Decimal}
LANGUAGES = [code for code, _name in settings.LANGUAGES]


@dataclass(frozen=True, kw_only=True)
class Unopened(Attachment):
    """An embedded file, without its bytes."""

    kept_size: int = 0

    @property
    def size(self) -> int | None:
        return self.kept_size


def write_kept(value: ParsedInvoice | tuple[Line, ...]) -> str:
    return json.dumps(_plain(value), separators=(",", ":"))


def read_kept(text: str) -> ParsedInvoice:
    """In the language of whoever reads."""
    found: ParsedInvoice = _reader_of(ParsedInvoice)(json.loads(text))
    return found


def read_kept_lines(text: str) -> tuple[Line, ...]:
    return tuple(map(_reader_of(Line), json.loads(text)))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        cls: Any = type(value)
        told = ((name, getattr(value, name), default) for name, default in _defaults(cls))
        return {name: _plain(found) for name, found, default in told if found != default}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Promise):
        return in_each_language(value)
    if isinstance(value, bytes):
        return len(value)
    return str(value) if isinstance(value, Decimal | date) else value


def in_each_language(words: object) -> dict[str, str]:
    told = {}
    for language in LANGUAGES:
        with override(language):
            told[language] = str(words)
    return told


def in_own_language(words: str | dict[str, str]) -> str:
    return words if isinstance(words, str) else words.get(get_language() or "", "") or words[LANGUAGES[0]]


@cache
def _defaults(cls: Any) -> list[tuple[str, Any]]:
    return [(each.name, each.default) for each in fields(cls)]


@cache
def _reader_of(hint: Any) -> Reader:
    inner = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is tuple:
        each = _reader_of(inner[0])
        return lambda rows: tuple(map(each, rows))
    if get_origin(hint) in (Union, UnionType):
        return in_own_language if Promise in inner else _reader_of(inner[0])
    if is_dataclass(hint):
        return _reader_of_class(hint)
    return SIMPLE.get(hint, lambda value: value)


def _reader_of_class(cls: Any) -> Reader:
    hints = get_type_hints(cls)
    readers = {each.name: _reader_of(hints[each.name]) for each in fields(cls)}

    def read(told: dict[str, Any]) -> Any:
        found = {name: readers[name](value) for name, value in told.items()}
        if cls is Attachment and "content" in found:
            return Unopened(kept_size=found.pop("content"), **found)
        return cls(**found)

    return read

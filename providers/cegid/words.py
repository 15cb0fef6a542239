"""Translation tables kept in settings: Cegid publishes no vocabulary, so each code travels as it is until told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from providers.norm.codes import STATUSES


@dataclass(frozen=True)
class Words:
    """`statuses` and `reasons` map national codes to the other end's words; identity where they say nothing."""

    statuses: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    line_prefix: str = ""

    @classmethod
    def of(cls, statuses: Iterable[str], reasons: Iterable[str], line_prefix: str) -> Words:
        return cls(_pairs(statuses), _pairs(reasons), line_prefix)

    def say_status(self, code: str) -> str | int:
        """A national code travels as a number, a word as text."""
        word = self.statuses.get(code, code)
        return int(word) if word == code else word

    def read_status(self, word: str) -> str | None:
        code = _back(self.statuses, word)
        return code if code in STATUSES else None

    def say_reason(self, code: str) -> str:
        return self.reasons.get(code, code)

    def read_reason(self, word: str) -> str:
        return _back(self.reasons, word)

    def say_line(self, identifier: str) -> str:
        return self.line_prefix + identifier

    def read_line(self, word: str) -> str:
        return word.removeprefix(self.line_prefix)


def _pairs(rows: Iterable[str]) -> dict[str, str]:
    """Entries such as `205=APPROVED`; what has no sign between says nothing."""
    cut = (row.partition("=") for row in rows)
    return {code.strip(): word.strip() for code, sign, word in cut if sign and code.strip() and word.strip()}


def _back(table: Mapping[str, str], word: str) -> str:
    return next((code for code, other in table.items() if other == word), word)

"""What checking a file gives: plain data, kept as JSON, worded when it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    VALID = "valid", _("Valid")
    WARNINGS = "warnings", _("Valid, with warnings")
    INVALID = "invalid", _("Invalid")
    UNREADABLE = "unreadable", _("Unreadable")


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of the document where a rule is broken.

    `values` pairs the code of a business term, or the name of an element, with what stands there; "" is missing.
    """

    path: str = ""
    source_line: int | None = None
    invoice_line: str = ""
    values: tuple[tuple[str, str], ...] = ()
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that is broken, with the first places; `count` is how many there are.

    `texts` holds our own words by language, where there is no official rule to quote.
    """

    rule: str
    rule_set: str
    is_fatal: bool
    terms: tuple[str, ...] = ()
    test: str = ""
    count: int = 1
    places: tuple[Place, ...] = ()
    texts: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    outcome: Outcome
    rules_version: str
    syntax: str = ""
    profile: str = ""
    checked: tuple[str, ...] = ()  # names of the schema and the rule sets that were run
    basis: str = ""  # why these: see `binding`
    findings: tuple[Finding, ...] = ()
    milliseconds: int = 0

    @property
    def is_sendable(self) -> bool:
        """No platform refuses it for its form."""
        return self.outcome in (Outcome.VALID, Outcome.WARNINGS)

    @property
    def fatal(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.is_fatal)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.is_fatal)


def as_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def from_json(row: dict[str, Any]) -> Finding:
    places = tuple(
        Place(**{**place, "values": tuple((code, value) for code, value in place["values"])}) for place in row["places"]
    )
    return Finding(**{**row, "terms": tuple(row["terms"]), "places": places})

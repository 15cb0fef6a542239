"""Verdicts as a person reads them: what is wrong, which business term, what stands there, what to do.

The official rule with its XPath is kept for whoever made the file; the templates hide it one click away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from providers.formats.en16931.terms import Term, find_term

from .advice import advice_for
from .binding import reason_of
from .rule_sets import rules_version
from .verdict import Finding, Outcome, Place, Verdict, from_json

if TYPE_CHECKING:
    from invoices.models import Validation

TONES = {
    Outcome.VALID: "good",
    Outcome.WARNINGS: "warn",
    Outcome.INVALID: "bad",
    Outcome.UNREADABLE: "bad",
}
SYNTAX_NAMES = {"ubl": "UBL", "cii": "CII", "factur-x": "Factur-X"}


@dataclass(frozen=True)
class ShownValue:
    """What stands at a place under a term; `found` is "" where nothing stands there."""

    code: str
    name: str
    found: str


@dataclass(frozen=True)
class ShownPlace:
    path: str
    source_line: int | None
    invoice_line: str
    values: tuple[ShownValue, ...]
    text: str


@dataclass(frozen=True)
class ShownFinding:
    rule: str
    rule_set: str
    is_fatal: bool
    problem: str
    remedy: str
    terms: tuple[Term, ...]
    places: tuple[ShownPlace, ...]
    test: str
    more: int  # places beyond those kept


@dataclass(frozen=True)
class ShownVerdict:
    """A verdict, or why there is none yet: then `outcome` is "" and `waits` or `error` says more."""

    document: str
    outcome: str
    label: str | Promise
    tone: str
    rules_version: str
    is_current: bool  # given by the rules installed now
    format: str
    profile: str
    checked: tuple[str, ...]
    checked_at: datetime | None
    fatal: tuple[ShownFinding, ...]
    warnings: tuple[ShownFinding, ...]
    why: str | Promise = ""  # these rules
    waits: bool = False
    error: str = ""


def shown_row(row: Validation) -> ShownVerdict:
    """A stored verdict. `row.document` is loaded."""
    findings = [shown_finding(from_json(finding)) for finding in row.findings]
    return _shown(
        str(row.document),
        outcome=row.outcome,
        version=row.rules_version,
        syntax=row.syntax,
        profile=row.profile,
        checked=tuple(row.checked),
        checked_at=row.checked_at,
        basis=row.basis,
        findings=findings,
        waits=row.state == row.State.WAITING and not row.outcome,
        error=row.error if row.state == row.State.GIVEN_UP else "",
    )


def shown_verdict(verdict: Verdict, name: str = "") -> ShownVerdict:
    """A verdict on something that is not stored, such as a draft."""
    return _shown(
        name,
        outcome=verdict.outcome,
        version=verdict.rules_version,
        syntax=verdict.syntax,
        profile=verdict.profile,
        checked=verdict.checked,
        checked_at=None,
        basis=verdict.basis,
        findings=[shown_finding(finding) for finding in verdict.findings],
    )


def _shown(
    document: str,
    *,
    outcome: str,
    version: str,
    syntax: str,
    profile: str,
    checked: tuple[str, ...],
    checked_at: datetime | None,
    findings: list[ShownFinding],
    basis: str = "",
    waits: bool = False,
    error: str = "",
) -> ShownVerdict:
    return ShownVerdict(
        document=document,
        outcome=outcome,
        label=Outcome(outcome).label if outcome else _("Not checked yet"),
        tone=TONES[Outcome(outcome)] if outcome else "neutral",
        rules_version=version,
        is_current=version == rules_version(),
        format=SYNTAX_NAMES.get(syntax, syntax),
        profile=profile,
        checked=checked,
        checked_at=checked_at,
        fatal=tuple(finding for finding in findings if finding.is_fatal),
        warnings=tuple(finding for finding in findings if not finding.is_fatal),
        why=reason_of(basis),
        waits=waits,
        error=error,
    )


def shown_finding(finding: Finding) -> ShownFinding:
    terms = tuple(filter(None, map(find_term, finding.terms)))
    problem, remedy = own_words(finding) if finding.texts else advised_words(finding, terms)
    return ShownFinding(
        rule=finding.rule,
        rule_set=finding.rule_set,
        is_fatal=finding.is_fatal,
        problem=problem,
        remedy=remedy,
        terms=terms,
        places=tuple(shown_place(place) for place in finding.places),
        test=finding.test,
        more=finding.count - len(finding.places) if finding.places else 0,
    )


def own_words(finding: Finding) -> tuple[str, str]:
    texts = finding.texts or {}
    language = (get_language() or "fr").split("-")[0]
    return texts.get(language) or next(iter(texts.values()), ""), ""


def advised_words(finding: Finding, terms: tuple[Term, ...]) -> tuple[str, str]:
    advice = advice_for(finding.rule, finding.test)
    leading = next((term for term in terms if not term.is_group), terms[0] if terms else None)
    name = f"{leading.name} ({leading.code})" if leading else _("a value")
    return str(advice.problem).replace("{term}", str(name)), str(advice.remedy)


def shown_place(place: Place) -> ShownPlace:
    values = tuple(
        ShownValue(code, term.name if (term := find_term(code)) else "", found) for code, found in place.values
    )
    return ShownPlace(place.path, place.source_line, place.invoice_line, values, place.text)

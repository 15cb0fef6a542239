"""Run the official checks on the bytes of an invoice. No database, no network; tens of milliseconds when warm."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from django.conf import settings
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from lxml import etree

from providers.formats.en16931 import cii, ubl
from providers.formats.en16931.mapping import NAMESPACES, Node
from providers.formats.en16931.reader import OpenedInvoice, open_invoice
from providers.formats.schematron import Failure, RulesStopped
from providers.formats.xml import UnreadableDocument

from .binding import basis_of
from .places import Document
from .rule_sets import UNNAMED, Checks, RuleSet, Schema, checks_for, compiled_schema, rules_version, schematron
from .verdict import Finding, Outcome, Place, Verdict

# A rule broken on each of 10,000 lines is one finding; so many of its places are kept.
SHOWN_PLACES = 5
SHOWN_SCHEMA_ERRORS = 50
# An invoice of 10,000 lines has about 220,000 elements; the longest rules take half a minute and 650 MB for it.
MAX_RULED_ELEMENTS = 250_000
TOO_LONG = _(
    "The invoice is so long that only its schema was checked, not the business rules. Ask the sender to split it."
)
# The Factur-X rules warn of every empty element, also of the one that the schema demands even where it has no content.
EMPTY_ELEMENT = "PEPPOL-EN16931-R008"
PROFILE_PARENT = f"{{{NAMESPACES['ram']}}}GuidelineSpecifiedDocumentContextParameter"
MAY_BE_EMPTY = f"{{{NAMESPACES['ram']}}}ApplicableHeaderTradeDelivery"


def validate(content: bytes, *, media_type: str = "", rule: str = "") -> Verdict:
    """Check a UBL, CII or Factur-X invoice against the rules its format and profile (BT-24) call for.

    Pure and without exceptions: what cannot be read is a verdict too. `media_type` is what the sender claims; the
    bytes decide. `rule` is the processing rule its platform told: it helps to say whose rules bind. The first call of a
    process compiles the rules (up to four seconds), so this runs in the worker.
    """
    started = time.perf_counter()
    try:
        opened = open_invoice(content)
    except UnreadableDocument as error:
        finding = own_finding(error.code, error.message, is_fatal=True)
        return _verdict(started, findings=[finding], outcome=Outcome.UNREADABLE)
    profile = read_profile(opened)
    basis = basis_of(opened, rule)
    message = etree.QName(opened.root).localname
    checks = checks_for(syntax=opened.checked_as, message=message, profile=profile, is_french=basis.is_french)
    document = Document(opened.root, opened.checked_as)
    findings = list(profile_findings(checks, profile))
    broken = check_schema(checks.schema, document)
    findings += broken
    checked = [checks.schema.name]
    if not broken and is_too_long(opened.root):
        findings.append(own_finding("LENGTH", TOO_LONG, is_fatal=False))
    elif not broken:  # the rules presume what the schema grants: platforms stop here too
        for rule_set in checks.rule_sets:
            findings += check_rules(rule_set, document, any_profile=checks.may_be_other)
            checked.append(rule_set.name)
    return _verdict(
        started,
        findings=findings,
        syntax=opened.syntax,
        profile=profile[:200],
        checked=tuple(checked),
        basis=str(basis),
    )


def _verdict(started: float, *, findings: list[Finding], outcome: Outcome | None = None, **known: object) -> Verdict:
    return Verdict(
        outcome=outcome or outcome_of(findings),
        rules_version=rules_version(),
        findings=tuple(sorted(findings, key=lambda finding: not finding.is_fatal)),
        milliseconds=round((time.perf_counter() - started) * 1000),
        **known,  # type: ignore[arg-type]
    )


def outcome_of(findings: Iterable[Finding]) -> Outcome:
    severities = {finding.is_fatal for finding in findings}
    if True in severities:
        return Outcome.INVALID
    return Outcome.WARNINGS if severities else Outcome.VALID


def read_profile(opened: OpenedInvoice) -> str:
    header = ubl.HEADER if opened.checked_as == "ubl" else cii.HEADER
    return str(header["profile"](Node(opened.root, [])))


def is_too_long(root: etree._Element) -> bool:
    return sum(1 for _element in islice(root.iter(), MAX_RULED_ELEMENTS + 1)) > MAX_RULED_ELEMENTS


def profile_findings(checks: Checks, profile: str) -> Iterable[Finding]:
    if profile and not checks.knows_profile and not checks.may_be_other:
        message = _("The profile {profile} is not one of the French reform. The file was checked as EN 16931.")
        yield own_finding("PROFILE", format_lazy(message, profile=profile[:100]), is_fatal=False, terms=("BT-24",))


def own_finding(rule: str, message: str | Promise, *, is_fatal: bool, terms: tuple[str, ...] = ()) -> Finding:
    """A finding in our words, kept in each language: the worker does not know who will read it."""
    texts = {}
    for code, _name in settings.LANGUAGES:
        with override(code):
            texts[code] = str(message)
    return Finding(rule=rule, rule_set="Navette", is_fatal=is_fatal, terms=terms, texts=texts)


# --- schema -----------------------------------------------------------------------------------------------------------


def check_schema(schema: Schema, document: Document) -> list[Finding]:
    compiled = compiled_schema(schema)
    if compiled.validate(document.root):
        return []
    errors = islice(cast("Iterable[etree._LogEntry]", compiled.error_log), SHOWN_SCHEMA_ERRORS)
    return [schema_finding(schema, document, error) for error in errors]


def schema_finding(schema: Schema, document: Document, error: etree._LogEntry) -> Finding:
    node = element_at(document.root, error.path)
    text = short_names(error.message or "")
    terms = document.terms_of("", "", node) if node is not document.root else ()
    place = document.place("", node, terms, text)
    return Finding(
        rule="XSD", rule_set=schema.name, is_fatal=True, terms=terms, test=str(error.type_name), places=(place,)
    )


def element_at(root: etree._Element, path: str | None) -> etree._Element:
    """The element an XSD error names, or the root: some paths have prefixes that the root does not declare."""
    try:
        found = root.xpath(path or "", namespaces={key: uri for key, uri in root.nsmap.items() if key})
    except etree.XPathError:
        return root
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else root


def short_names(message: str) -> str:
    """{urn:oasis:…:CommonBasicComponents-2}DueDate reads as DueDate."""
    words = message.split("{")
    return words[0] + "".join(word.partition("}")[2] for word in words[1:])


# --- rules ------------------------------------------------------------------------------------------------------------


def check_rules(rule_set: RuleSet, document: Document, *, any_profile: bool = False) -> list[Finding]:
    groups: dict[tuple[str, bool, str], Group] = {}
    try:
        for failure in schematron(rule_set).each(document.root):
            if is_false_alarm(failure, document) or (any_profile and is_about_profile(failure, document)):
                continue
            rule, unnamed = failure.rule or UNNAMED, "" if failure.rule else failure.text
            is_fatal = failure.is_fatal and rule not in rule_set.advice
            groups.setdefault((rule, is_fatal, unnamed), Group()).add(failure)
    except RulesStopped as error:
        message = _(
            "The rules {name} could not be run to their end on this file. A value in it has a form they do not expect. "
            "Tell an administrator: {error}"
        )
        return [own_finding("STOPPED", format_lazy(message, name=rule_set.name, error=str(error)[:500]), is_fatal=True)]
    return [group.finding(rule_set, document, rule, is_fatal) for (rule, is_fatal, _text), group in groups.items()]


def is_false_alarm(failure: Failure, document: Document) -> bool:
    return failure.rule == EMPTY_ELEMENT and document.find(failure.location).tag == MAY_BE_EMPTY


def is_about_profile(failure: Failure, document: Document) -> bool:
    """The Factur-X rules know no other value of BT-24 than their own."""
    parent = document.find(failure.location).getparent()
    return parent is not None and parent.tag == PROFILE_PARENT


@dataclass
class Group:
    """The failures of one rule, of which the first are kept."""

    first: list[Failure] = field(default_factory=list)
    count: int = 0

    def add(self, failure: Failure) -> None:
        self.count += 1
        if self.count <= SHOWN_PLACES:
            self.first.append(failure)

    def finding(self, rule_set: RuleSet, document: Document, rule: str, is_fatal: bool) -> Finding:
        terms: tuple[str, ...] = ()
        places: list[Place] = []
        for failure in self.first:
            node = document.find(failure.location)
            terms = terms or document.terms_of(rule, failure.text, node)
            places.append(document.place(failure.location, node, terms, failure.text))
        return Finding(
            rule=rule,
            rule_set=rule_set.name,
            is_fatal=is_fatal,
            terms=terms,
            test=self.first[0].test,
            count=self.count,
            places=tuple(places),
        )

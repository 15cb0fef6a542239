"""The official validators, their failures put into words. Files and versions: `files.py`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.formats.schematron import Failure, find_node
from providers.norm.codes import Action, DataType, reason_label, reasons_for, status_label

from . import files
from .finding import LONGEST_VALUE, Finding, field_at
from .model import Cdar
from .reader import place

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# MDT-2, and what stands for the same in the messages of the PPF (rule BR-FR-CDV-CL-01).
PROCESSES = frozenset({"REGULATED", "NON_REGULATED", "B2C", "B2CINT", "B2BINT", "OUTOFSCOPE"})
# Rule BR-FR-04.
INVOICE_TYPES = (
    "380", "389", "393", "501", "386", "500", "384", "471", "472", "473", "261", "262", "381", "396", "502", "503",
)  # fmt: skip
SCHEMA_RULE = "XSD"
OWN_TEXT = re.compile(r"^\[[^]]*\]\s*:?\s*")
FIELD_OF_RULE = re.compile(r"MD[TG]-\d+(-\d+)?")


@dataclass(frozen=True)
class Words:
    """`path` leads from the node that a rule names to the value at fault."""

    field: str
    advice: StrOrPromise
    path: str = ""
    allowed: Callable[[], str] | None = None


def _codes(*codes: str) -> Callable[[], str]:
    return lambda: ", ".join(codes)


def _labels(choices: type[Action] | type[DataType]) -> Callable[[], str]:
    return lambda: ", ".join(f"{code} ({label})" for code, label in choices.choices)


def _reasons(status: str, *, b2g: bool = False) -> Callable[[], str]:
    return lambda: ", ".join(f"{code} ({reason_label(code)})" for code in reasons_for(status, b2g=b2g))


status_in_words = lazy(lambda code: f"{code} ({status_label(code)})", str)

_PROGRAM = _("This is a fault of the program that wrote the message, not of your decision: tell your administrator.")
_ROLES = "BY, AB, DL, SE, SR, PE, PR, II, IV"
_REASON_OF_STATUS = _("This reason may not go with status {status}. Choose one of: {allowed}.")
_SENDER, _ISSUER = "ram:SenderTradeParty/ram:RoleCode", "ram:IssuerTradeParty/ram:RoleCode"


def with_program(text: StrOrPromise) -> StrOrPromise:
    """Advice where a clerk can do nothing."""
    return format_lazy("{text} {program}", text=text, program=_PROGRAM)


# By rule of BR-FR-CDV 1.4.0.03 (FNFE-MPE, 31 July 2026).
WORDS: dict[str, Words] = {
    "BR-FR-04_MDT-91": Words(
        "MDT-91",
        _("Invoices of this type are not used in France. Correct the type of the invoice (BT-3); allowed: {allowed}."),
        allowed=_codes(*INVOICE_TYPES),
    ),
    "BR-FR-CDV-01_MDG-3": Words("MDG-3", with_program(_("It is missing."))),
    "BR-FR-CDV-02_MDT-3": Words(
        "MDT-3",
        with_program(
            _("Only a message to the administration alone (number 0000) may bear another one than “invoice”.")
        ),
        "ram:GuidelineSpecifiedDocumentContextParameter/ram:ID",
    ),
    "BR-FR-CDV-03_MDT-4": Words("MDT-4", with_program(_("It is missing."))),
    "BR-FR-CDV-04_MDG-4": Words("MDG-4", with_program(_("It is missing."))),
    "BR-FR-CDV-05_MDG-9": Words("MDG-9", with_program(_("It is missing."))),
    "BR-FR-CDV-06_MDT-21": Words("MDT-21", with_program(_("It is missing."))),
    "BR-FR-CDV-07_MDT-38_yes": Words(
        "MDT-38",
        _("The company that sets this status is not identified. Enter its SIREN on its record or on the invoice."),
    ),
    "BR-FR-CDV-07_MDT-38_no": Words(
        "MDT-38",
        with_program(_("A platform that reports on the transmission stays unnamed.")),
        "ram:GlobalID",
    ),
    "BR-FR-CDV-08_MDT-73": Words(
        "MDT-73",
        _("Without it the message cannot be delivered. Take it from the invoice (BT-34, BT-49) or from the directory."),
    ),
    "BR-FR-CDV-09_MDT-77": Words(
        "MDT-77", with_program(_("It is 305 for transmission or 23 for processing, nothing else."))
    ),
    "BR-FR-CDV-10_MDT-87": Words("MDT-87", _("It is missing. Correct the record of the invoice.")),
    "BR-FR-CDV-11_MDG-35": Words("MDG-35", _("It is missing. Correct the record of the invoice (BT-2).")),
    "BR-FR-CDV-12_MDT-105": Words("MDT-105", with_program(_("It is missing."))),
    "BR-FR-CDV-13_MDT-129": Words(
        "MDT-129", _("The seller is not identified. Enter the seller's SIREN on the record of the invoice (BT-30).")
    ),
    "BR-FR-CDV-14_MDT-207": Words(
        "MDT-207",
        _(
            "A payment received (212) needs at least one amount with VAT (MEN), and a VAT rate beside each. Enter one "
            "amount for each rate of the invoice."
        ),
    ),
    "BR-FR-CDV-15_MDT-113": Words(
        "MDT-113", _("Status {status} needs a reason. Choose one of: {allowed}."), "ram:ReasonCode"
    ),
    "BR-FR-CDV-16_MDT-124-2": Words(
        "MDT-124-2", with_program(_("Each reason, amount or note of the message bears its number: 1, 2, 3…"))
    ),
    "BR-FR-CDV-CL-01_MDT-2": Words(
        "MDT-2",
        with_program(_("Allowed: {allowed}. A message to the administration bears none.")),
        "ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID",
        _codes(*sorted(PROCESSES)),
    ),
    "BR-FR-CDV-CL-02_MDT-21_305": Words(
        "MDT-21", with_program(_("Only a platform (WK) may report on the transmission.")), _SENDER
    ),
    "BR-FR-CDV-CL-02_MDT-21_23": Words("MDT-21", with_program(_("Allowed: {allowed}.")), _SENDER, _codes(_ROLES, "WK")),
    "BR-FR-CDV-CL-03_MDT-40_305": Words(
        "MDT-40",
        _("Only a platform (WK) may set this status. Choose a status that your side of the invoice may set."),
        _ISSUER,
    ),
    "BR-FR-CDV-CL-03_MDT-40_23": Words(
        "MDT-40",
        _("A company sets this status, not a platform or the administration. Allowed: {allowed}."),
        _ISSUER,
        _codes(_ROLES),
    ),
    "BR-FR-CDV-CL-04_MDT-59": Words("MDT-59", with_program(_("Allowed: {allowed}.")), "", _codes(_ROLES, "WK", "DFH")),
    "BR-FR-CDV-CL-05_MDT-88_305": Words(
        "MDT-88",
        with_program(_("For the transmission it is one of {allowed}, or absent.")),
        "ram:StatusCode",
        _codes("10", "51", "43", "8", "48"),
    ),
    "BR-FR-CDV-CL-05_MDT-88_23": Words(
        "MDT-88",
        with_program(_("For the processing it is one of {allowed}, or absent.")),
        "ram:StatusCode",
        _codes("45", "39", "37", "50", "49", "47", "46", "1", "5"),
    ),
    "BR-FR-CDV-CL-06_MDT-105": Words(
        "MDT-105", _("This code is not in the official list. Use it only where both sides have agreed on it.")
    ),
    "BR-FR-CDV-CL-06_MDT-115": Words(
        "MDT-115", _("This code is not in the official list. Use it only where both sides have agreed on it.")
    ),
    "BR-FR-CDV-CL-07_MDT-132": Words("MDT-132", with_program(_("It can only be the seller's (SE)."))),
    "BR-FR-CDV-CL-08_MDT-158": Words(
        "MDT-158", with_program(_("Allowed: {allowed}.")), "", _codes(_ROLES, "WK", "DFH")
    ),
    "BR-FR-CDV-CL-09_MDT-113": Words(
        "MDT-113", _("This reason is not in the official list. Choose one that is offered for the status.")
    ),
    **{
        f"BR-FR-CDV-CL-09_MDT-113_{status}": Words("MDT-113", _REASON_OF_STATUS, allowed=_reasons(status))
        for status in ("200", "206", "207", "208", "210", "213", "221", "501")
    },
    "BR-FR-CDV-CL-09_MDT-113_210B2G": Words("MDT-113", _REASON_OF_STATUS, allowed=_reasons("210", b2g=True)),
    "BR-FR-CDV-CL-10_MDT-121": Words("MDT-121", _("Choose one of: {allowed}."), allowed=_labels(Action)),
    "BR-FR-CDV-CL-11_MDT-207": Words("MDT-207", _("Choose one of: {allowed}."), allowed=_labels(DataType)),
}


def findings(root: etree._Element, messages: Sequence[Cdar]) -> Iterator[Finding]:
    """Schema first; the rules presuppose it."""
    if errors := _schema_errors(root):
        yield from map(_against_schema, errors)
        return
    for failure in files.rules().check(root):
        if not _is_false_alarm(failure, messages):
            yield explain(failure, root, messages[0])


# --- schema -----------------------------------------------------------------------------------------------------------


# A schema keeps the errors of its last use, whichever thread used it.
_schema_lock = threading.Lock()


def _schema_errors(root: etree._Element) -> list[etree._LogEntry]:
    schema = files.schema()
    with _schema_lock:
        return [] if schema.validate(root) else [*schema.error_log]  # type: ignore[misc]


def _against_schema(error: etree._LogEntry) -> Finding:
    # libxml2 writes /rsm:Cross…/ram:X[2]; what is left out of the path is of the namespace of the document.
    path = "/".join(re.sub(r"^[^:]*:|\[\d+\]$", "", step) for step in (error.path or "").split("/") if step)
    told = re.sub(r"\{[^}]*\}", "", error.message)
    advice = format_lazy(
        _("Line {line} is not built as the official schema wants: {told} {program}"),
        line=error.line,
        told=told,
        program=_PROGRAM,
    )
    return Finding(rule=SCHEMA_RULE, field=field_at(path), advice=advice)


# --- rules ------------------------------------------------------------------------------------------------------------


def _is_false_alarm(failure: Failure, messages: Sequence[Cdar]) -> bool:
    """The copy in pyfrctc 0.24 is older than the fix of 31 July 2026, which lets every process through, not only
    REGULATED.
    """
    return failure.rule == "BR-FR-CDV-CL-01_MDT-2" and not messages[0].is_to_ppf and messages[0].process in PROCESSES


def explain(failure: Failure, root: etree._Element, message: Cdar) -> Finding:
    """An official failure in our words."""
    words = WORDS.get(failure.rule)
    if words is None:  # a rule of a newer version: its own words, French
        field = FIELD_OF_RULE.search(failure.rule)
        text = OWN_TEXT.sub("", failure.text)
        return Finding(rule=failure.rule, is_fatal=failure.is_fatal, field=field[0] if field else "", advice=text)
    node = find_node(root, failure.location)
    status = message.status
    allowed = words.allowed or (_reasons(status) if "{allowed}" in words.advice else lambda: "")
    return Finding(
        rule=failure.rule,
        is_fatal=failure.is_fatal,
        field=words.field,
        value=_value(node, words.path)[:LONGEST_VALUE],
        advice=format_lazy(words.advice, status=status_in_words(status), allowed=lazy(allowed, str)()),
    )


def _value(node: etree._Element | None, path: str) -> str:
    found = node if node is None or not path else node.find(place(path))
    if found is None or len(found):
        return ""
    return (found.text or "").strip()

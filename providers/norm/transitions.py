"""Which status may follow which, who may say it, and what it must carry. One table and pure questions; no database.

Two kinds of question, never mixed: `is_expected` judges a fact a platform reports (it is recorded whatever the
answer), `issuable` and `check_wish` judge what our user wants to say (it must pass).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from .codes import (
    FINAL_STATUSES,
    INVOICE_STATUSES,
    REASONS,
    STATUSES,
    VAT_RATES,
    Phase,
    Role,
    Side,
    Status,
    StatusInfo,
    official_comment,
    reason_label,
    reasons_for,
    status_label,
)

START = "start"

# Reasons of a rejection that says: we have this invoice already (MDT-113).
ALREADY_THERE = frozenset({"DOUBLON", "REJ_UNI"})
# Proof that a platform took the invoice in; that the parties are at work on it, too late for any platform's rejection.
# 202 and 203 are no such proof: where a platform does not say them they are derived from its other words.
TAKEN = frozenset(INVOICE_STATUSES) - {Status.REJECTED, Status.ROUTING_ERROR}
AT_WORK = frozenset(code for code in TAKEN if STATUSES[code].phase == Phase.PROCESSING)

Offer = Literal["yes", "no", "guard"]


class Verdict(StrEnum):
    EXPLICIT = "E"  # a text or a worked example says so
    GENERIC = "G"  # only "processing statuses come at any time, in any order"
    EXCLUDED = "X"
    SILENT_YES = "S+"  # no source; we assume yes
    SILENT_NO = "S-"  # no source; we assume no


@dataclass(frozen=True)
class Cell:
    """`offer`: whether our screens and API may issue it; "guard": only with the fact `GUARDS` names."""

    verdict: Verdict
    offer: Offer
    lifted_by_guard: bool = False


# "o" is 209 away from its 208: not to be expected, unless that 208 still waits (a 212 in between does not answer it).
SYMBOLS = {
    "E": Cell(Verdict.EXPLICIT, "yes"),
    "e": Cell(Verdict.EXPLICIT, "no"),
    "G": Cell(Verdict.GENERIC, "yes"),
    "g": Cell(Verdict.GENERIC, "no"),
    "?": Cell(Verdict.GENERIC, "guard"),
    "+": Cell(Verdict.SILENT_YES, "yes"),
    "-": Cell(Verdict.SILENT_NO, "no"),
    "o": Cell(Verdict.SILENT_NO, "no", lifted_by_guard=True),
    ".": Cell(Verdict.EXCLUDED, "no"),
}

# One row per last status, one letter per next status, in the order of INVOICE_STATUSES: 200-203, 204-212, 213 and 214,
# 220 and 221, 224-228. Sources: FNFE-MPE guide to XP Z12-014 (30 June 2026) for the explicit ones; the administration
# publishes no matrix. The buyer's statuses are not offered before 203, though they may arrive earlier.
MATRIX = {
    START: "E... ......... E. .. .....",
    "200": "-EE. gggggoggG Eg ?+ GGGG?",
    "201": ".-E. gggggoggG Eg ?+ GGGG?",
    "202": "..-E ggeegoegG .g ?. GGGG?",
    "203": "...- EGGEGoEGG .G ?. GGGG?",
    "204": ".... -EGGGoGGG .G ?. GGGG?",
    "205": ".... g-GGGoEEE .G ?. GGGG?",
    "206": ".... gG+GGoGGE .G ?. GGGG?",
    "207": ".... gEG+EoGGG .G E. GGGG?",
    "208": ".... gGGG+EGGG .G ?. GGGG?",
    "209": ".... gEGGGoGGG .G ?. GGGG?",
    "210": ".... --------. .- -. -----",
    "211": ".... gGGEGoE+E .G ?. GGGG?",
    "212": ".... gGGEGoEGE .G ?. GGGG?",
    "213": ".... ......... .. .. .....",
    "214": ".... gGGGGoGGG .+ ?. GGGG?",
    "220": ".... ......... .. .. .....",
    "221": "-++- --------- +- -+ -----",
    "224": ".... gGGGGoGGG .G ?. -GGG?",
    "225": ".... gGGGGoGGG .G ?. G-GGE",
    "226": ".... gGGGGoGGG .G ?. GG-E?",
    "227": ".... gGGGGoGGG .G ?. GGG+?",
    "228": ".... gGGGGoGGG .G ?. GGGG-",
}

TABLE: dict[tuple[str, str], Cell] = {
    (previous, new): SYMBOLS[symbol]
    for previous, row in MATRIX.items()
    for new, symbol in zip(INVOICE_STATUSES, row.replace(" ", ""), strict=True)
}

# The least membership role that may issue a status; roles are cumulative (reader < clerk < approver < administrator).
MINIMUM_ROLE: dict[str, str] = {
    Status.IN_HAND.value: "clerk",
    Status.APPROVED.value: "approver",
    Status.PARTIALLY_APPROVED.value: "approver",
    Status.DISPUTED.value: "clerk",
    Status.SUSPENDED.value: "clerk",
    Status.COMPLETED.value: "clerk",
    Status.REFUSED.value: "approver",
    Status.PAYMENT_SENT.value: "approver",
    Status.PAYMENT_RECEIVED.value: "approver",
    Status.CANCELLED.value: "approver",
    Status.DIRECT_PAYMENT_REQUESTED.value: "approver",
    Status.FACTORED.value: "approver",
    Status.FACTORED_CONFIDENTIALLY.value: "approver",
    Status.ACCOUNT_CHANGED.value: "approver",
    Status.NOT_FACTORED.value: "approver",
}

ROLE_OF_SIDE = {Side.BUYER: Role.BUYER, Side.SELLER: Role.SELLER}

# Our own limits: no source sets any, and some platforms show these texts in one line.
NOTE_MAX_LENGTH = 1000
REASON_TEXT_MAX_LENGTH = 500
AMOUNT_LIMIT = Decimal(10) ** 15

CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Facts:
    """What is known of an invoice when a status is chosen. `history`: codes in the order of the projection; `side`: the
    one our people speak for, "" for none. `untold`: statuses nobody can be told of this invoice, each with why.
    `heard`: the same codes in the order of arrival.
    """

    history: tuple[str, ...]
    side: str
    is_corrected: bool = False
    is_refund: bool = False
    untold: Mapping[str, str | Promise] = field(default_factory=dict)
    heard: tuple[str, ...] = ()


class ReasonRow(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def text(self) -> str: ...


class PaymentRow(Protocol):
    @property
    def vat_rate(self) -> Decimal | None: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...


@dataclass(frozen=True)
class Problem:
    """One violation: where (`payments[0].amount`), which rule, and the sentence for the person."""

    field: str
    code: str
    message: str


def current_status(history: Iterable[str]) -> str | None:
    """The projection: the last status of the invoice, except that 210, 213 and 220 stay."""
    current = None
    for code in history:
        if code in INVOICE_STATUSES and current not in FINAL_STATUSES:
            current = code
    return current


@dataclass(frozen=True)
class Said:
    """One event as far as it tells which transmission is meant: `place` in the order of arrival; `is_ruled`: a person
    said that it is the invoice's.
    """

    status: str | None
    place: int = 0
    reasons: frozenset[str] = frozenset()
    is_ruled: bool = False


def is_of_another_transmission(history: Sequence[Said], place: int, *, told_twice: bool = False) -> bool:
    """Whether a rejection in this history answers another transmission than the one that brought the invoice.

    An invoice that was taken in and is "there already" was sent a second time, whichever of the two answers came first;
    so was one of ours that we told twice ourselves. Any other rejection is too late once the parties are at work.
    """
    said = history[place]
    if said.status != Status.REJECTED or said.is_ruled:
        return False
    if said.reasons & ALREADY_THERE:
        return told_twice or any(each.status in TAKEN for each in history)
    return any(each.status in AT_WORK and each.place < said.place for each in history[:place])


def awaits_completion(history: Iterable[str]) -> bool:
    """A 208 that no 209 has answered yet."""
    answers = [code for code in history if code in (Status.SUSPENDED, Status.COMPLETED)]
    return bool(answers) and answers[-1] == Status.SUSPENDED


def is_factored(history: Iterable[str]) -> bool:
    """Something that a 228 can undo, and that none has undone yet."""
    undoable = (Status.FACTORED, Status.FACTORED_CONFIDENTIALLY, Status.ACCOUNT_CHANGED)
    told = [code for code in history if code in (*undoable, Status.NOT_FACTORED)]
    return bool(told) and told[-1] != Status.NOT_FACTORED


GUARDS: dict[str, Callable[[Facts], bool]] = {
    Status.COMPLETED.value: lambda facts: awaits_completion(facts.history),
    Status.CANCELLED.value: lambda facts: facts.is_corrected,
    Status.NOT_FACTORED.value: lambda facts: is_factored(facts.history),
}


def cell(previous: str | None, new: str) -> Cell:
    return TABLE[previous or START, new]


def verdict(previous: str | None, new: str) -> Verdict:
    return cell(previous, new).verdict


def is_expected(history: Sequence[str], new: str) -> bool:
    """Whether a reported status fits what came before. Answers about files or flows (250, 601...) follow no order."""
    if new not in INVOICE_STATUSES:
        return new in STATUSES
    pair = cell(current_status(history), new)
    if pair.lifted_by_guard:
        return awaits_completion(history)
    return pair.verdict not in (Verdict.EXCLUDED, Verdict.SILENT_NO)


def is_expected_first_at_buyer(new: str) -> bool:
    """Likewise for the first status a buyer sees: the seller's platform tells 200 and 201 to the seller alone."""
    unheard = ((), (Status.SUBMITTED,), (Status.SUBMITTED, Status.RECEIVED))
    return any(is_expected(history, new) for history in unheard)


def belongs_to_side(code: str, facts: Facts) -> bool:
    if code == Status.PAYMENT_SENT:  # whoever pays: the buyer, and a credit note the seller
        return (facts.side == Side.SELLER) == facts.is_refund
    return ROLE_OF_SIDE[Side(facts.side)] in STATUSES[code].issuers


def _is_offered(code: str, current: str, facts: Facts) -> bool:
    pair = cell(current, code)
    if pair.offer == "guard" or pair.lifted_by_guard:
        return GUARDS[code](facts)
    return pair.offer == "yes"


def issuable(facts: Facts) -> tuple[str, ...]:
    """The statuses our user may issue now, whatever the clocks say. Every door asks: buttons, API, admin, bulk."""
    possible = _issuable(facts)
    if facts.heard in ((), facts.history):
        return possible
    by_arrival = _issuable(replace(facts, history=facts.heard))
    return tuple(code for code in possible if code in by_arrival)


def _issuable(facts: Facts) -> tuple[str, ...]:
    current = current_status(facts.history)
    if current is None or not facts.side:
        return ()
    offered = (c for c in INVOICE_STATUSES if belongs_to_side(c, facts) and _is_offered(c, current, facts))
    return tuple(code for code in offered if code not in facts.untold)


def kept_back(facts: Facts) -> tuple[str, ...]:
    """Why statuses that would be possible now are not offered; each sentence once."""
    possible = issuable(replace(facts, untold={}))
    return tuple(dict.fromkeys(str(facts.untold[code]) for code in possible if code in facts.untold))


def check_wish(
    facts: Facts,
    status: str,
    *,
    reasons: Sequence[ReasonRow] = (),
    payments: Sequence[PaymentRow] = (),
    note: str = "",
) -> list[Problem]:
    """Everything that keeps this status from being issued; empty means it may be."""
    if status not in INVOICE_STATUSES:
        message = _("%(status)s is not a status of an invoice.") % {"status": status}
        return [Problem("status", "unknown_status", message)]
    info = STATUSES[status]
    return [
        *_check_order(facts, info),
        *_check_reasons(info, reasons),
        *_check_payments(info, payments),
        *_check_direction(facts, info, payments),
        *_check_note(facts, info, reasons, payments, note),
    ]


def note_told(status: str, *, reasons: Sequence[ReasonRow], payments: Sequence[PaymentRow], note: str) -> str:
    """The note as it travels: the person's, or the official words where a text is needed and none was given."""
    if note.strip() or any((row.text or "").strip() for row in reasons):
        return note
    takes_back = status == Status.PAYMENT_RECEIVED and any(row.amount < 0 for row in payments)
    return official_comment(status, [row.code for row in reasons], takes_back=takes_back)


def _named(code: str) -> str:
    return f"{code} {status_label(code)}"


def _check_order(facts: Facts, info: StatusInfo) -> Iterable[Problem]:
    possible = issuable(facts)
    if info.code in possible:
        return
    if info.code in facts.untold:
        yield Problem("status", "cannot_be_told", str(facts.untold[info.code]))
        return
    words = {"status": _named(info.code), "possible": ", ".join(map(_named, possible))}
    if possible:
        message = _("“%(status)s” cannot be issued for this invoice now. Possible now: %(possible)s.") % words
    else:
        message = _("“%(status)s” cannot be issued: nothing can be issued for this invoice now.") % words
    yield Problem("status", "not_possible_now", message)


def _check_reasons(info: StatusInfo, reasons: Sequence[ReasonRow]) -> Iterable[Problem]:
    words = {"status": _named(info.code)}
    if info.reason == "required" and not reasons:
        yield Problem("reasons", "required", _("“%(status)s” needs at least one reason.") % words)
    if info.reason == "none" and reasons:
        yield Problem("reasons", "not_allowed", _("“%(status)s” takes no reason.") % words)
        return
    for index, row in enumerate(reasons):
        yield from _check_reason(info, row, f"reasons[{index}]")


def _check_reason(info: StatusInfo, row: ReasonRow, field: str) -> Iterable[Problem]:
    if not row.code:
        yield Problem(f"{field}.code", "required", _("Choose a reason from the official list."))
    elif row.code not in REASONS:
        message = _("%(code)s is not a code of the official list of reasons.") % {"code": row.code}
        yield Problem(f"{field}.code", "unknown_reason", message)
    elif row.code not in reasons_for(info.code):
        words = {"reason": f"{row.code} {reason_label(row.code)}", "status": _named(info.code)}
        message = _("The reason “%(reason)s” cannot be given with “%(status)s”.") % words
        yield Problem(f"{field}.code", "not_for_status", message)
    text = (row.text or "").strip()
    if row.code == "AUTRE" and not text:
        yield Problem(f"{field}.text", "required", _("Explain the reason “Other” in your own words."))
    if len(text) > REASON_TEXT_MAX_LENGTH:
        message = _("This explanation is longer than %(limit)d characters.") % {"limit": REASON_TEXT_MAX_LENGTH}
        yield Problem(f"{field}.text", "too_long", message)


def _check_payments(info: StatusInfo, payments: Sequence[PaymentRow]) -> Iterable[Problem]:
    words = {"status": _named(info.code)}
    if info.payment == "required" and not payments:
        message = _("“%(status)s” needs the amount received, VAT included, for each VAT rate.") % words
        yield Problem("payments", "required", message)
    if info.payment == "none" and payments:
        yield Problem("payments", "not_allowed", _("“%(status)s” takes no amounts.") % words)
        return
    seen: set[Decimal | None] = set()
    for index, row in enumerate(payments):
        field = f"payments[{index}]"
        yield from _check_rate(info, row.vat_rate, seen, f"{field}.vat_rate")
        yield from _check_amount(row.amount, f"{field}.amount")
        yield from _check_currency(info, row.currency, f"{field}.currency")
        seen.add(row.vat_rate)


def _check_direction(facts: Facts, info: StatusInfo, payments: Sequence[PaymentRow]) -> Iterable[Problem]:
    """On a credit note money goes back: the seller receives a negative amount (212, FNFE use case 5) and says what it
    sent as a positive one (211). The other sign only takes back what was declared before.
    """
    total = sum(row.amount for row in payments if row.amount.is_finite())
    if not facts.is_refund or info.code in facts.history:
        return
    if info.code == Status.PAYMENT_RECEIVED and total > 0:
        message = _("This document gives money back to the buyer: the receipt is negative. Write %(amount)s.")
    elif info.code == Status.PAYMENT_SENT and total < 0:
        message = _("Write what the seller has sent to the buyer, without a minus sign: %(amount)s.")
    else:
        return
    for index, row in enumerate(payments):
        if row.amount.is_finite() and row.amount * total > 0:
            yield Problem(f"payments[{index}].amount", "wrong_direction", message % {"amount": f"{-row.amount:f}"})


def _check_rate(info: StatusInfo, rate: Decimal | None, seen: set[Decimal | None], field: str) -> Iterable[Problem]:
    words = {"rate": str(rate), "status": _named(info.code)}
    if rate is None and info.payment == "required":
        yield Problem(field, "required", _("“%(status)s” needs the VAT rate of each amount.") % words)
    elif rate is not None and rate not in VAT_RATES:
        yield Problem(field, "unknown_rate", _("%(rate)s %% is not a VAT rate in use in France.") % words)
    elif rate in seen:
        yield Problem(field, "duplicate_rate", _("This VAT rate is given twice: add the amounts up in one row."))


def _check_amount(amount: Decimal, field: str) -> Iterable[Problem]:
    if not amount.is_finite() or abs(amount) >= AMOUNT_LIMIT:
        yield Problem(field, "not_an_amount", _("This is not an amount of money."))
    elif amount == 0:
        yield Problem(field, "zero", _("The amount cannot be zero."))
    elif amount != round(amount, 2):
        yield Problem(field, "too_many_decimals", _("An amount has at most two decimals."))


def _check_currency(info: StatusInfo, currency: str, field: str) -> Iterable[Problem]:
    # A receipt is declared to the tax administration, in euro whatever the currency of the invoice.
    if info.code == Status.PAYMENT_RECEIVED and currency != "EUR":
        yield Problem(field, "not_euro", _("A payment received is declared in euro (EUR)."))
    elif not CURRENCY.fullmatch(currency or ""):
        yield Problem(field, "not_a_currency", _("Give the currency as three capital letters, such as EUR."))


def _check_note(
    facts: Facts, info: StatusInfo, reasons: Sequence[ReasonRow], payments: Sequence[PaymentRow], note: str
) -> Iterable[Problem]:
    if len(note) > NOTE_MAX_LENGTH:
        message = _("The note is longer than %(limit)d characters.") % {"limit": NOTE_MAX_LENGTH}
        yield Problem("note", "too_long", message)
    # DGFiP rule P1.17. On a credit note a negative receipt is the normal one (FNFE use case 5), not a reversal.
    amounts = [row.amount for row in payments if row.amount.is_finite()]
    if facts.is_refund:
        reverses = sum(amounts) > 0 and info.code in facts.history
    else:
        reverses = any(amount < 0 for amount in amounts)
    if info.code == Status.PAYMENT_RECEIVED and reverses and not reasons and not note.strip():
        yield Problem("note", "required", _("Say in the note why this payment is taken back."))

"""When an invoice is to be paid, where its file gives several days: cash discounts, instalments, penalties."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from .model import Condition, ParsedInvoice, PaymentTerm

# UN/ECE Recommendation 20, the units of a period that are a number of days.
DAYS = {"": 1, "DAY": 1, "D": 1, "WEE": 7}
LONGEST_PERIOD = 3660
# How German invoices write conditions into BT-20 (KoSIT, XRechnung 3.0, BR-DE-18): #SKONTO#TAGE=14#PROZENT=2.00#.
CODED = re.compile(
    r"^[ \t]*#(SKONTO|VERZUG)#TAGE=([0-9]{1,4})#PROZENT=([0-9]{1,3}(?:\.[0-9]{1,2})?)#"
    r"(?:BASISBETRAG=(-?[0-9]{1,15}(?:\.[0-9]{1,2})?)#)?[ \t]*$",
    re.MULTILINE,
)


def settled_terms(rows: Iterable[PaymentTerm], issue_date: date | None) -> tuple[PaymentTerm, ...]:
    """The terms, with the last day of each condition; none where one day and one text say it all."""
    found = tuple(dated(term, issue_date) for row in rows for term in (*in_words(row), *coded_terms(row.text)))
    plain = not any(term.is_part or term.discount or term.penalty for term in found)
    return () if plain and len({term.due_date for term in found if term.due_date}) < 2 else found


def in_words(term: PaymentTerm) -> Iterable[PaymentTerm]:
    """The term without the conditions that `coded_terms` reads from its text, if anything is left of it."""
    said = replace(term, text="\n".join(filter(None, map(str.strip, CODED.sub("", term.text).splitlines()))))
    return (term,) if not CODED.search(term.text) else (said,) if said != PaymentTerm() else ()


def coded_terms(text: str) -> Iterable[PaymentTerm]:
    for kind, days, percentage, base in CODED.findall(text):
        condition = Condition(
            percentage=Decimal(percentage), base=Decimal(base) if base else None, period=Decimal(days), unit="DAY"
        )
        yield PaymentTerm(discount=condition) if kind == "SKONTO" else PaymentTerm(penalty=condition)


def dated(term: PaymentTerm, issue_date: date | None) -> PaymentTerm:
    return replace(term, discount=last_day(term.discount, issue_date), penalty=last_day(term.penalty, term.due_date))


def last_day(condition: Condition | None, start: date | None) -> Condition | None:
    """`until`, reckoned from its period where only that is written."""
    if condition is None or condition.until or condition.period is None:
        return condition
    start, days = condition.from_date or start, DAYS.get(condition.unit)
    if not (start and days and 0 <= condition.period <= LONGEST_PERIOD):
        return condition
    try:
        return replace(condition, until=start + timedelta(days=int(condition.period) * days))
    except OverflowError:  # after the last day there is
        return condition


def due_date_of(terms: Sequence[PaymentTerm], stated: date | None = None) -> date | None:
    """BT-9: the day the whole is due, of instalments the first; never the last day of a discount.

    `stated` is what the head of the invoice says, where its syntax has such a place.
    """
    parts = [term.due_date for term in terms if term.is_instalment and term.due_date]
    if len(parts) > 1:
        return min(parts)
    net = [term.due_date for term in terms if term.due_date and not term.discount]
    if stated and not (net and any(term.discount and term.discount.until == stated for term in terms)):
        return stated
    after_discount = [
        term.due_date
        for term in terms
        if term.due_date and term.discount and (term.discount.until or date.max) < term.due_date
    ]
    undecided = [term.due_date for term in terms if term.due_date and term.discount and not term.discount.until]
    # One term with a discount without a period of its own: the only day there is was meant as BT-9.
    return max(net or after_discount or (undecided if len(terms) == 1 else []), default=None)


def is_of_discount(invoice: ParsedInvoice, day: date | None) -> bool:
    """Until then, paying earlier costs less: no day on which anything is due."""
    return any(term.discount and day in (term.discount.until, term.due_date) for term in invoice.terms)


def instalments_of(invoice: ParsedInvoice) -> list[tuple[date, Decimal]]:
    """Day and amount of each part, in order; a share in percent is one of what was to be paid."""
    whole = invoice.amount_due or Decimal(0)
    return [
        (term.due_date, term.amount if term.amount is not None else cents(whole * (term.percentage or 0) / 100))
        for term in invoice.instalments
        if term.due_date
    ]


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def left_of_each(amounts: Iterable[Decimal], covered: Decimal) -> list[Decimal]:
    """What stays of each part, the first paid first."""
    found = []
    for amount in amounts:
        taken = max(min(covered, abs(amount)), Decimal(0))
        covered -= taken
        found.append(amount - taken.copy_sign(amount))
    return found


def next_due(instalments: Iterable[tuple[date, Decimal]], paid: Decimal) -> date | None:
    """The day of the first part that what was paid does not cover; the last one's where all is paid."""
    parts = list(instalments)
    left = left_of_each([amount for _day, amount in parts], paid)
    days = [day for (day, _amount), rest in zip(parts, left, strict=True) if rest] or [
        day for day, _amount in parts[-1:]
    ]
    return days[0] if days else None

"""What a status states, whoever states it: when two are the same, when they cannot be, and what one adds to another.

A statement is told apart by its word, issuer, time, reasons, amounts and texts; what one leaves out does not contradict
what the other says. Pure: no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.models import StatusEvent
from providers.connections.services import storable
from providers.contract.base import Payment, Reason, StatusReport
from providers.norm.codes import REASONS

# A time without a zone may have been meant in another than it is read in: Paris and UTC lie one hour or two apart, and
# an hour of autumn comes twice.
ZONE_SLIPS = tuple(timedelta(hours=hours) for hours in (0, 1, -1, 2, -2))

Amount = tuple[Decimal | None, Decimal, str]


@dataclass(frozen=True)
class Statement:
    """`moments`: the instants its time may mean, () where it tells none."""

    status: str
    native_status: str = ""
    issuer_role: str = ""
    emitter: str = ""
    moments: tuple[datetime, ...] = ()
    reasons: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    payments: tuple[Amount, ...] = ()

    @property
    def is_bare(self) -> bool:
        return not (self.reasons or self.texts or self.payments)


def of_report(report: StatusReport) -> Statement:
    told = [reason.text for reason in report.reasons] + ([] if report.is_remark or report.derived else [report.note])
    return Statement(
        status=report.status or "",
        native_status=storable(report.native_status)[:100],
        issuer_role=report.issuer_role,
        emitter=storable(report.emitter)[:100],
        moments=moments_of(report),
        reasons=_codes(reason.code or reason.native_code for reason in report.reasons),
        texts=_texts(told),
        payments=_amounts((each.vat_rate, each.amount, each.currency) for each in report.payments),
    )


def of_event(event: StatusEvent) -> Statement:
    return Statement(
        status=event.status or "",
        native_status=event.native_status,
        issuer_role=event.issuer_role,
        emitter=event.emitter,
        moments=(event.told_moment,) if event.told_moment else (),
        reasons=_codes(row["code"] or row.get("native_code", "") for row in event.reasons),
        texts=_texts([*(row.get("text", "") for row in event.reasons), "" if event.derived else event.note]),
        payments=_amounts(map(amount_of, event.payments)),
    )


def fullest_first(reports: Iterable[StatusReport]) -> list[StatusReport]:
    """As they came, but of one status those that state most come first: a bare one like ours is not to be taken for
    its echo while the echo itself is there.
    """
    told = list(reports)
    turns: dict[str | None, list[StatusReport]] = {}
    for report in sorted(told, key=lambda report: of_report(report).is_bare):
        turns.setdefault(report.status, []).append(report)
    return [turns[report.status].pop(0) for report in told]


def moments_of(report: StatusReport) -> tuple[datetime, ...]:
    if report.occurred_at is None:
        return ()
    moment = report.occurred_at.replace(microsecond=0)
    return tuple(_shifted(moment, slip) for slip in ZONE_SLIPS) if report.zone else (moment,)


def _shifted(moment: datetime, slip: timedelta) -> datetime:
    try:
        return moment + slip
    except OverflowError:  # the first and last hours that a datetime can tell
        return moment


def digest_of(report: StatusReport) -> str:
    """Of all that it states, its time to the second and as it was written where it names no zone."""
    stated = [
        report.status or report.native_status,
        report.issuer_role,
        report.emitter,
        _written_time(report),
        sorted([reason.code, reason.native_code, reason.text] for reason in report.reasons),
        "" if report.is_remark else report.note,
        sorted(map(str, _amounts((each.vat_rate, each.amount, each.currency) for each in report.payments))),
    ]
    text = storable(json.dumps(stated, ensure_ascii=False, separators=(",", ":")))
    return hashlib.sha256(text.encode()).hexdigest()


def _written_time(report: StatusReport) -> str:
    if report.occurred_at is None:
        return report.said_on
    moment = report.occurred_at.replace(microsecond=0)
    try:
        zone = ZoneInfo(report.zone) if report.zone else UTC
        return moment.astimezone(zone).replace(tzinfo=None if report.zone else UTC).isoformat()
    except OverflowError:
        return moment.isoformat()


# --- two statements ---------------------------------------------------------------------------------------------------


def contradict(one: Statement, other: Statement) -> bool:
    """Whether they cannot be the same, whatever their times."""
    return (
        _of_other_words(one, other)
        or bool(one.issuer_role and other.issuer_role and one.issuer_role != other.issuer_role)
        or bool(one.emitter and other.emitter and one.emitter != other.emitter)
        or contradict_in_detail(one, other)
        or _contradicting_texts(one.texts, other.texts)
    )


def contradict_in_detail(one: Statement, other: Statement) -> bool:
    """What makes two of what bears one identity: another code, other reasons, other amounts."""
    return (
        bool(one.status and other.status and one.status != other.status)
        or _contradicting_reasons(one.reasons, other.reasons)
        or _contradicting_amounts(one.payments, other.payments)
    )


def goes_beyond(report: Statement, ours: Statement) -> bool:
    """It states what we did not say: an echo may leave out, not add."""
    return (
        not report.reasons <= ours.reasons
        or bool(report.payments and not ours.payments)
        or bool(report.texts and not ours.texts)
    )


def say_the_same(one: Statement, other: Statement) -> bool:
    """Nothing that one states is left open by the other, but for words."""
    return not contradict(one, other) and (one.reasons, one.payments) == (other.reasons, other.payments)


def leaves_out(less: Statement, more: Statement) -> bool:
    """Whether it lacks reasons, amounts or texts that the other has; the two do not contradict each other."""
    return (less.reasons, bool(less.texts), bool(less.payments)) != (
        more.reasons,
        bool(more.texts),
        bool(more.payments),
    )


def are_of_one_moment(one: Statement, other: Statement) -> bool:
    return bool(set(one.moments) & set(other.moments))


def adds(more: Statement, known: Statement) -> bool:
    """Whether it tells anything that is not known yet."""
    return (
        bool(more.moments and not known.moments)
        or bool(more.issuer_role and not known.issuer_role)
        or more.reasons > known.reasons
        or bool(more.payments and not known.payments)
        or bool(more.texts and not known.texts)
    )


def _of_other_words(one: Statement, other: Statement) -> bool:
    if one.status or other.status:
        return one.status != other.status
    return one.native_status != other.native_status


def _contradicting_reasons(one: frozenset[str], other: frozenset[str]) -> bool:
    """A platform may have room for fewer than were given."""
    return not (one <= other or other <= one)


def _contradicting_amounts(one: tuple[Amount, ...], other: tuple[Amount, ...]) -> bool:
    if not one or not other:
        return False
    if all(rate is not None for rate, _amount, _currency in (*one, *other)):
        return one != other
    return _totals(one) != _totals(other)


def _totals(amounts: Iterable[Amount]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for _rate, amount, currency in amounts:
        totals[currency] = totals.get(currency, Decimal(0)) + amount
    return totals


def _contradicting_texts(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Nothing in common: platforms cut texts, and put several into one."""
    if not one or not other:
        return False
    return not any(mine in theirs or theirs in mine for mine in one for theirs in other)


# --- their parts ------------------------------------------------------------------------------------------------------


def _codes(codes: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(None, codes))


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    """As they compare; the label of an official reason says no more than its code."""
    plain = {" ".join(storable(text).split()).casefold() for text in texts}
    return tuple(sorted(plain - LABELS - {""}))


def _amounts(rows: Iterable[tuple[Decimal | None, Decimal, str]]) -> tuple[Amount, ...]:
    """By rate and currency: in how many rows one rate is written says nothing."""
    sums: dict[tuple[Decimal | None, str], Decimal] = {}
    for rate, amount, currency in rows:
        place = (None if rate is None else _cents(rate), currency)
        sums[place] = sums.get(place, Decimal(0)) + _cents(amount)
    found = [(rate, amount, currency) for (rate, currency), amount in sums.items()]
    return tuple(sorted(found, key=lambda row: (row[0] is None, row[0] or Decimal(0), row[1], row[2])))


def _cents(number: Decimal) -> Decimal:
    return Decimal(f"{number:.2f}")


def amount_of(row: Mapping[str, Any]) -> tuple[Decimal | None, Decimal, str]:
    rate = row["vat_rate"]
    return (None if rate is None else Decimal(rate), Decimal(row["amount"]), row["currency"])


LABELS = frozenset(
    " ".join(label.split()).casefold() for info in REASONS.values() for label in (info.label_fr, info.label_en)
)


# --- as they are kept -------------------------------------------------------------------------------------------------


def reason_row(reason: Reason) -> dict[str, str]:
    row = {"code": reason.code, "text": reason.text}
    more = {"native_code": reason.native_code, "rule": reason.rule, "place": reason.place}
    row |= {name: value for name, value in more.items() if value}
    return {name: storable(value) for name, value in row.items()}


def payment_row(payment: Payment) -> dict[str, str | None]:
    rate = None if payment.vat_rate is None else f"{payment.vat_rate:.2f}"
    return {"vat_rate": rate, "amount": f"{payment.amount:.2f}", "currency": payment.currency}


def payment_of(row: dict[str, str | None]) -> Payment:
    rate, amount, currency = amount_of(row)
    return Payment(vat_rate=rate, amount=amount, currency=currency)

"""A status message in A-Cube's words, and what of it the dialect cannot carry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from providers.contract.base import Payment, StatusMessage, StatusReport, Unsupported
from providers.contract.told import text_of
from providers.norm.codes import Role, Side

from . import tables

NO_NEGATIVE = gettext_lazy(
    "A-Cube carries no negative amount, so neither a refund nor a receipt taken back can be declared here: do it in "
    "A-Cube's own console."
)
SELLER_ROLES = frozenset({Role.SELLER, Role.SELLER_AGENT, Role.FACTOR, Role.PAYEE, Role.INVOICER})

# How much earlier than our decision A-Cube's clock may put the status.
CLOCK_SKEW = timedelta(seconds=60)


def side_of(message: StatusMessage) -> Side:
    return Side.SELLER if message.issuer_role in SELLER_ROLES else Side.BUYER


def dump(value: Any) -> str:
    """JSON in which a Decimal is a number with exactly two decimals, as A-Cube's examples write money."""
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {dump(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(dump(item) for item in value) + "]"
    return json.dumps(value)


@dataclass(frozen=True)
class Letter:
    """The body to send, and for people what it had to leave out."""

    body: dict[str, Any]
    left_out: str = ""


def write(message: StatusMessage, *, field: str, as_name: bool, missing_documents_on_208: bool) -> Letter:
    """Unsupported where leaving something out would change what is said."""
    if message.status not in tables.BY_SIDE[side_of(message)]:
        raise Unsupported(_("A-Cube does not take status %(status)s from this side.") % {"status": message.status})
    names = tables.reason_names(message.status, missing_documents_on_208=missing_documents_on_208)
    body: dict[str, Any] = {field: tables.NAMES[message.status] if as_name else int(message.status)}
    if message.reasons:
        body["rejectionDetails"] = _rejection(message, names)
    if message.payments and message.status in tables.TAKE_PAYMENTS:
        body["paymentDetails"] = [_payment(payment) for payment in message.payments]
    return Letter(body, " ".join(_left_out(message, body)))


def _rejection(message: StatusMessage, names: dict[str, str]) -> dict[str, str]:
    for reason in message.reasons:
        if reason.code not in names:
            told = {"reason": reason.code, "status": message.status}
            raise Unsupported(_("A-Cube does not take reason %(reason)s with status %(status)s.") % told)
    text = text_of(message)
    return {"rejectionReason": names[message.reasons[0].code]} | ({"message": text} if text else {})


def _payment(payment: Payment) -> dict[str, Any]:
    amount = _two_decimals(payment.amount)
    if amount < 0:
        raise Unsupported(str(NO_NEGATIVE))
    row: dict[str, Any] = {} if payment.vat_rate is None else {"vatRate": _two_decimals(payment.vat_rate)}
    return row | {"amount": amount, "currency": payment.currency}


def _two_decimals(number: Decimal) -> Decimal:
    if not number.is_finite() or number != Decimal(f"{number:.2f}"):
        raise Unsupported(
            _("A-Cube takes amounts and rates with two decimals; %(number)s has more.") % {"number": number}
        )
    return number


def _left_out(message: StatusMessage, body: dict[str, Any]) -> Iterator[str]:
    if message.note and "rejectionDetails" not in body:
        yield _("A-Cube has no room for a note with this status: the note was not passed on.")
    if message.payments and "paymentDetails" not in body:
        yield _("A-Cube takes no amounts with this status: they were not passed on.")


# --- looking a message up ---------------------------------------------------------------------------------------------


def find_told(message: StatusMessage, reports: Iterable[StatusReport]) -> list[StatusReport]:
    """The items of a history that may be this message; one without a time is among them."""
    return [report for report in reports if _may_be(message, report)]


def _may_be(message: StatusMessage, report: StatusReport) -> bool:
    if report.status != message.status:
        return False
    if report.issuer_role and (report.issuer_role in SELLER_ROLES) != (message.issuer_role in SELLER_ROLES):
        return False
    if report.occurred_at and report.occurred_at < message.occurred_at - CLOCK_SKEW:
        return False
    return _same_reason(message, report) and _same_payments(message, report)


def _same_reason(message: StatusMessage, report: StatusReport) -> bool:
    if not report.reasons or not report.reasons[0].code:
        return True
    return bool(message.reasons) and message.reasons[0].code == report.reasons[0].code


def _same_payments(message: StatusMessage, report: StatusReport) -> bool:
    if not report.payments:
        return True
    return sorted(map(_money, message.payments)) == sorted(map(_money, report.payments))


def _money(payment: Payment) -> tuple[Decimal, Decimal, str]:
    return payment.amount, payment.vat_rate if payment.vat_rate is not None else Decimal(-1), payment.currency

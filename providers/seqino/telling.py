"""A status in Seqino's words, for the experimental endpoint: no page of Seqino's shows one that takes statuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from providers.contract.base import StatusMessage, StatusReport, UncertainError, Unsupported
from providers.contract.told import pick_told, text_of
from providers.norm.codes import Role, Side

from . import tables

SELLER_ROLES = frozenset({Role.SELLER, Role.SELLER_AGENT, Role.FACTOR, Role.PAYEE, Role.INVOICER})
BY_SIDE = {Side.BUYER: tables.BUYER_STATUSES, Side.SELLER: tables.SELLER_STATUSES}
# How much earlier than our decision Seqino's clock may put the status.
CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True)
class Letter:
    """The body to send, and for people what it had to leave out."""

    body: dict[str, str]
    left_out: str = ""


def side_of(message: StatusMessage) -> Side:
    return Side.SELLER if message.issuer_role in SELLER_ROLES else Side.BUYER


def require_sayable(message: StatusMessage) -> None:
    if message.status not in BY_SIDE[side_of(message)]:
        raise Unsupported(_("Seqino does not take status %(status)s from this side.") % {"status": message.status})


def write(message: StatusMessage) -> Letter:
    require_sayable(message)
    body = {"status_code": tables.WORDS[message.status]}
    if message.reasons:
        body["rejection_reason"] = message.reasons[0].code
    if words := text_of(message):
        body["reason"] = words
    left_out = _("Seqino takes no amounts with a status: they were not passed on.") if message.payments else ""
    return Letter(body, left_out)


def find_told(message: StatusMessage, reports: Iterable[StatusReport]) -> StatusReport | None:
    """The item of a history that is this message; None if none can be. UncertainError where one cannot be told."""
    same = [report for report in reports if report.status == message.status and _same_reason(message, report)]
    floor = message.occurred_at - CLOCK_SKEW
    if found := pick_told(message, [report for report in same if report.occurred_at and report.occurred_at >= floor]):
        return found
    if any(report.occurred_at is None for report in same):
        told = {"status": message.status}
        raise UncertainError(_("Seqino shows a status %(status)s without its time: is it this one?") % told)
    return None


def _same_reason(message: StatusMessage, report: StatusReport) -> bool:
    if not report.reasons or not report.reasons[0].code:
        return True
    return bool(message.reasons) and message.reasons[0].code == report.reasons[0].code

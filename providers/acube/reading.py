"""A-Cube's JSON as reports. Lenient: only the identity is required, what is unknown stays in `raw`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import InvoiceReport, Party, Payment, Reason, StatusReport
from providers.contract.moments import zone_read
from providers.formats.decimals import read_decimal
from providers.norm.codes import CREDIT_NOTE_TYPES, Role
from providers.norm.processing import rule_in

from . import tables

DIRECTIONS = {"INBOUND": "received", "OUTBOUND": "issued"}

# The order in which a history item is read: our assumption, the pages do not show one.
STATUS_FIELDS = ("afnorStatusCode", "status", "invoiceStatus", "statusCode")
TIME_FIELDS = ("createdAt", "date", "occurredAt")
KEY_FIELDS = ("eventId", "uuid", "id")
ITEM_FIELDS = ("hydra:member", "member", "history", "items")

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class ListPage:
    """`count` includes items that are no objects. `more` is None where the answer does not tell."""

    items: tuple[dict[str, Any], ...]
    count: int
    more: bool | None = None


def parse_list(document: Any) -> ListPage | None:
    """A bare array or a Hydra collection, with or without prefixes; None for anything else."""
    if isinstance(document, list):
        return ListPage(_objects(document), len(document))
    if not isinstance(document, dict):
        return None
    items = next((document[name] for name in ITEM_FIELDS if isinstance(document.get(name), list)), None)
    if items is None:
        return None
    view = document.get("hydra:view") or document.get("view")
    more = ("hydra:next" in view or "next" in view) if isinstance(view, dict) else None
    return ListPage(_objects(items), len(items), more)


def _objects(items: list[Any]) -> tuple[dict[str, Any], ...]:
    return tuple(item for item in items if isinstance(item, dict))


# --- invoices ---------------------------------------------------------------------------------------------------------


def find_reference(item: Mapping[str, Any]) -> str:
    """The invoice's uuid, or "" where there is none that can stand in a path."""
    reference = item.get("uuid")
    return reference if isinstance(reference, str) and REFERENCE.fullmatch(reference) else ""


def parse_invoice(item: Mapping[str, Any]) -> InvoiceReport | None:
    """None without an identity or a direction: the invoice then belongs to no side of ours."""
    reference, direction = find_reference(item), DIRECTIONS.get(_text(item.get("direction")).upper())
    if not reference or not direction:
        return None
    ours, theirs = parse_party(item.get("party")), parse_party(item.get("counterparty"))
    seller, buyer = (ours, theirs) if direction == "issued" else (theirs, ours)
    return InvoiceReport(
        provider_ref=reference,
        direction=direction,
        number=_text(item.get("invoiceNumber")),
        type_code=_text(item.get("invoiceTypeCode")),
        issue_date=parse_date(item.get("invoiceDate")),
        due_date=parse_date(item.get("dueDate")),
        currency=_text(item.get("currency")),
        seller=seller,
        buyer=buyer,
        native_status=_text(item.get("status")),
        processing_rule=rule_in(item),
        created_at=parse_time(item.get("createdAt")),
        raw=dict(item),
    )


def parse_party(value: Any) -> Party:
    if not isinstance(value, dict):
        return Party()
    return Party(
        name=_text(value.get("name")),
        siren=_text(value.get("siren")),
        siret=_text(value.get("siret")),
        vat_number=_text(value.get("vatNumber")),
        scheme=_text(value.get("identifierScheme")),
        identifier=_text(value.get("identifierValue")),
    )


# --- statuses ---------------------------------------------------------------------------------------------------------


def parse_history(document: Any, provider_ref: str) -> tuple[tuple[StatusReport, ...], bool]:
    """The statuses, oldest first whatever order the platform chose, and whether every item could be read."""
    page = parse_list(document)
    if page is None:
        page = ListPage(_objects([document]), 1)
    reports = [parse_status(item, provider_ref) for item in page.items if _status_word(item)]
    keys = [report.key for report in reports]
    if len(set(keys)) < len(keys):  # then it names something else than the item
        reports = [replace(report, key="") for report in reports]
    return tuple(_oldest_first(reports)), len(reports) == page.count and not page.more


def _oldest_first(reports: list[StatusReport]) -> list[StatusReport]:
    dated = [(report.occurred_at, report) for report in reports if report.occurred_at]
    if len(dated) < len(reports):
        return reports
    if dated and dated[0][0] > dated[-1][0]:
        dated.reverse()  # so that items of one instant keep their order
    return [report for _moment, report in sorted(dated, key=lambda pair: pair[0])]


def parse_status(item: Mapping[str, Any], provider_ref: str) -> StatusReport:
    word = _status_word(item)
    status, derived = tables.find_status(word)
    note = next((text for name in ("note", "comment", "message") if (text := _text(item.get(name)))), "")
    return StatusReport(
        provider_ref=provider_ref,
        status=status,
        native_status=word,
        issuer_role=tables.ISSUERS.get(status or "", ""),
        reasons=tuple(_reasons(item.get("rejectionDetails"))),
        is_remark=derived and not note,
        note=note or (_("Derived from A-Cube's word “%(word)s”.") % {"word": word} if derived else ""),
        payments=tuple(_payments(item.get("paymentDetails"))),
        occurred_at=next((time for name in TIME_FIELDS if (time := parse_time(item.get(name)))), None),
        zone=next((zone_read(item[name]) for name in TIME_FIELDS if parse_time(item.get(name))), ""),
        key=_key(item, provider_ref),
        raw=dict(item),
    )


def with_refund_issuer(report: StatusReport, type_code: str) -> StatusReport:
    """The seller pays a credit note back; every other payment is the buyer's."""
    if report.status == "211" and type_code in CREDIT_NOTE_TYPES:
        return replace(report, issuer_role=Role.SELLER.value)
    return report


def _status_word(item: Mapping[str, Any]) -> str:
    return next((word for name in STATUS_FIELDS if (word := _text(item.get(name)))), "")


def _key(item: Mapping[str, Any], provider_ref: str) -> str:
    keys = (_text(item.get(name)) for name in KEY_FIELDS)
    return next((key for key in keys if key and key != provider_ref), "")


def _reasons(details: Any) -> Iterator[Reason]:
    for detail in details if isinstance(details, list) else [details]:
        if isinstance(detail, dict) and (detail.get("rejectionReason") or detail.get("message")):
            word = _text(detail.get("rejectionReason"))
            yield Reason(code=tables.find_reason(word), text=_text(detail.get("message")), native_code=word)


def _payments(details: Any) -> Iterator[Payment]:
    for detail in details if isinstance(details, list) else [details]:
        amount = read_decimal(detail.get("amount")) if isinstance(detail, dict) else None
        if amount is not None:
            rate, currency = read_decimal(detail.get("vatRate")), _text(detail.get("currency"))
            yield Payment(amount=amount, vat_rate=rate, currency=currency or "EUR")


# --- values -----------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else ""


def parse_date(value: Any) -> date | None:
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None


def parse_time(value: Any) -> datetime | None:
    """An instant. A bare date is none: taken as midnight it would order wrongly."""
    text = _text(value)
    if len(text) <= 10:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

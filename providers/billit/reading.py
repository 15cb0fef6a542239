"""Billit's orders as reports. Lenient: only the number is required, what is unknown stays in `raw`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from providers.contract.base import InvoiceReport, Line, Party, Reason, StatusReport
from providers.formats.decimals import read_decimal
from providers.norm import companies
from providers.norm.processing import rule_in

from . import tables
from .session import NUMBER, objects

BELGIAN_DATE = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?")

DELIVERY = "CurrentDocumentDeliveryDetails"


def find_number(item: Mapping[str, Any]) -> str:
    """The order's number as our reference, or ""."""
    number = text(item.get("OrderID"))
    return number if NUMBER.fullmatch(number) else ""


# --- the invoice ------------------------------------------------------------------------------------------------------


def parse_order(order: Mapping[str, Any], line: Line | None, zone: ZoneInfo) -> InvoiceReport | None:
    """None for what is no invoice of ours: an offer, a delivery note, an order without a direction."""
    number, direction = find_number(order), tables.DIRECTIONS.get(text(order.get("OrderDirection")))
    type_code = tables.ORDER_TYPES.get(text(order.get("OrderType")))
    if not number or direction is None or type_code is None:
        return None
    seller, buyer = parse_party(order.get("Supplier")), parse_party(order.get("Customer"))
    theirs = parse_party(order.get("CounterParty"))
    if direction == "issued":
        seller, buyer = as_ours(seller, line), buyer if buyer != Party() else theirs
    else:
        seller, buyer = seller if seller != Party() else theirs, as_ours(buyer, line)
    return InvoiceReport(
        provider_ref=number,
        direction=direction,
        number=text(order.get("OrderNumber")),
        type_code=type_code,
        issue_date=parse_day(order.get("OrderDate")),
        due_date=parse_day(order.get("ExpiryDate")),
        currency=text(order.get("Currency")),
        total_with_vat=read_decimal(order.get("TotalIncl")),
        seller=seller,
        buyer=buyer,
        native_status=text(_delivery(order).get("DocumentDeliveryStatus")) or text(order.get("OrderStatus")),
        processing_rule=rule_in(order),
        created_at=parse_time(order.get("Created"), zone),
        raw=dict(order),
    )


def parse_party(value: Any) -> Party:
    if not isinstance(value, dict):
        return Party()
    identifiers = [(text(row.get("IdentifierType")), text(row.get("Identifier"))) for row in _identifiers(value)]
    # An older table of Billit's has SIREN and SIRET the wrong way round.
    known = [(tables.NUMBER_SCHEMES[kind], found) for kind, found in identifiers if kind in tables.NUMBER_SCHEMES]
    company = companies.identify(identifiers=known, vat_number=text(value.get("VATNumber")))
    address = next((found for kind, found in identifiers if kind == "CTC"), "")
    return Party(
        name=text(value.get("Name")) or text(value.get("DisplayName")),
        **vars(company),
        scheme=tables.ADDRESS_SCHEME if address else "",
        identifier=address,
    )


def _identifiers(value: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return objects(value.get("Identifiers"))


def as_ours(party: Party, line: Line | None) -> Party:
    """Our own side, with the line that led to the order: Billit's address of a company may be one for answers only.
    An order that names another company keeps it: whose it is, is not for the registration to say.
    """
    if line is None or (party.siren and party.siren != line.identifier[:9]):
        return party
    siren = party.siren or line.identifier[:9]
    return replace(party, siren=siren, identifier=line.identifier, scheme=tables.ADDRESS_SCHEME)


# --- what an order tells of itself ------------------------------------------------------------------------------------


def parse_milestones(order: Mapping[str, Any], received_status: str) -> list[StatusReport]:
    """What is derived from the order's own fields. None has a time: theirs name no zone, so ours orders them."""
    number, delivery = find_number(order), _delivery(order)
    if tables.DIRECTIONS.get(text(order.get("OrderDirection"))) == "received":
        note = _("Billit shows the invoice in the buyer's account, and tells no French status of it.")
        return [replace(_derived(number, received_status, "Cost", issuer=tables.PLATFORM), note=note)]
    words = []
    if order.get("IsSent") is True:
        words.append(tables.SENT)
    if text(delivery.get("DocumentDeliveryStatus")) == tables.DELIVERED or delivery.get("IsDocumentDelivered") is True:
        words.append(tables.DELIVERED)
    reports = [_derived(number, tables.FLOW_STATES[word], word, issuer=tables.PLATFORM) for word in words]
    if text(delivery.get("DocumentDeliveryStatus")) == "Error":
        info = text(delivery.get("DocumentDeliveryInfo"))
        reports.append(replace(_derived(number, None, "Error"), note=info, key=f"{number}:Error:{info}"))
    if order.get("Paid") is True and text(order.get("BusinessProcessType")) not in tables.ALREADY_PAID:
        reports.append(_derived(number, "212", "Paid", issuer=tables.SELLER))
    return reports


def _derived(number: str, status: str | None, word: str, *, issuer: str = "") -> StatusReport:
    return StatusReport(
        provider_ref=number,
        status=status,
        native_status=word,
        issuer_role=issuer,
        note=_("Derived from Billit's word “%(word)s”.") % {"word": word} if status else "",
        key=f"{number}:{word}",
        derived=status is not None,
    )


def milestone(number: str, word: str, *, note: str = "") -> StatusReport | None:
    """A flow state that has a nearest code; once for an order, whichever of its messages reached it."""
    if word not in tables.FLOW_STATES:
        return None
    report = _derived(number, tables.FLOW_STATES[word], word, issuer=tables.PLATFORM)
    return replace(report, note=f"{report.note} {note}".strip())


def is_refused_by_tax_authority(order: Mapping[str, Any]) -> bool:
    """Page "GET Info back via API": the report failed, and although "Pending" nothing will be delivered."""
    return text(order.get("TaxReportingStatusTC")) == "Failed"


def is_refused(order: Mapping[str, Any]) -> bool:
    return bool(text(_delivery(order).get("DocumentRefusedDate")))


def parse_refusal(order: Mapping[str, Any]) -> StatusReport | None:
    """What the order itself knows of a refusal: one of Billit's reasons is the buyer's; else the cause is unknown."""
    number, delivery = find_number(order), _delivery(order)
    if is_refused_by_tax_authority(order):
        report = replace(_derived(number, "501", tables.REFUSED, issuer=tables.PPF), key=f"{number}:TaxReporting")
        note = _("The tax administration refused the report of this invoice: it will not be delivered. Correct it.")
        return replace(report, note=note)
    if not is_refused(order):
        return None
    word, info = text(delivery.get("DocumentRefusedReasonTC")), text(delivery.get("DocumentRefusedInfo"))
    is_ours = tables.DIRECTIONS.get(text(order.get("OrderDirection"))) == "received"
    code = tables.NATIONAL_REASONS.get(word, "")
    if not is_ours and not code:
        return refused_unqualified(number, key=f"{number}:{tables.REFUSED}", told=": ".join(filter(None, [word, info])))
    return StatusReport(
        provider_ref=number,
        status="210",
        native_status=tables.REFUSED,
        issuer_role=tables.BUYER,
        reasons=(Reason(code=code, text=info, native_code=word),) if word or info else (),
        key=f"{number}:{tables.REFUSED}",
        raw=delivery,
    )


def refused_unqualified(number: str, *, key: str, told: str = "", raw: Mapping[str, Any] | None = None) -> StatusReport:
    """Refused, by the buyer (210), a platform (213) or the administration (501): Billit's word does not say."""
    note = _("Billit does not say who refused it, nor why: look at the order in MyBillit, or ask the other party.")
    return StatusReport(
        provider_ref=number,
        status=None,
        native_status=tables.REFUSED,
        note=" ".join(filter(None, [note, told])),
        key=key,
        raw=raw or {},
    )


def _delivery(order: Mapping[str, Any]) -> dict[str, Any]:
    delivery = order.get(DELIVERY)
    return delivery if isinstance(delivery, dict) else {}


# --- its files --------------------------------------------------------------------------------------------------------


def answers(order: Mapping[str, Any]) -> list[str]:
    """Files of the messages that came in, oldest first: lifecycle files are among them."""
    return [file for row in _messages(order) if not _is_outgoing(row) and (file := text(row.get("FileID")))]


def sent_files(order: Mapping[str, Any]) -> list[str]:
    """Files of the messages that went to the network, newest first: the invoice as it was sent."""
    return [file for row in reversed(_messages(order)) if _is_outgoing(row) and (file := text(row.get("FileID")))]


def attachments(order: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = objects(order.get("Attachments"))
    return [(file, text(row.get("FileName"))) for row in rows if (file := text(row.get("FileID")))]


def readable(order: Mapping[str, Any]) -> tuple[str, str] | None:
    pdf = order.get("OrderPDF")
    file = text(pdf.get("FileID")) if isinstance(pdf, dict) else ""
    return (file, text(pdf.get("FileName"))) if file and isinstance(pdf, dict) else None


def _messages(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In the order of their dates."""
    zone = ZoneInfo("UTC")  # all are of one zone, whichever it is
    first = datetime.min.replace(tzinfo=zone)
    return sorted(objects(order.get("Messages")), key=lambda row: parse_time(row.get("CreationDate"), zone) or first)


def _is_outgoing(row: Mapping[str, Any]) -> bool:
    return text(row.get("MessageDirection")) == "Outgoing"


# --- values -----------------------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def parse_time(value: Any, zone: ZoneInfo) -> datetime | None:
    """dd/MM/yyyy with or without a time, or ISO; without a zone it is local time there."""
    written = text(value)
    if belgian := BELGIAN_DATE.fullmatch(written):
        day, month, year, clock = belgian.groups()
        written = f"{year}-{month}-{day}T{clock or '00:00'}"
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def parse_day(value: Any) -> date | None:
    moment = parse_time(value, ZoneInfo("UTC"))
    return moment.date() if moment else None

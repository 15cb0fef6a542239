"""Messages as we receive them, in either seat. Lenient: what is not understood is kept, and named for a person."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import (
    Delivery,
    File,
    HookRequest,
    InvoiceKey,
    InvoiceReport,
    Malformed,
    Party,
    Payment,
    Reason,
    StatusReport,
    WrongLine,
)
from providers.contract.http import load_json, safe_filename
from providers.contract.moments import zone_read
from providers.contract.shapes import LONGEST_KEY
from providers.formats.decimals import read_decimal
from providers.norm.codes import Role, Status
from providers.norm.companies import siren_in
from providers.norm.processing import rule_in

from . import tables
from .words import Words

LONGEST_REFERENCE = 200
LONGEST_ID = 64


class Unclear(Exception):
    """The message is genuine, but says nothing we understand."""


@dataclass(frozen=True)
class Message:
    """The envelope, read. `doubts` are what of it could not be read, for people."""

    line: str
    direction: str
    key: InvoiceKey
    buyer_siren: str
    occurred_at: datetime | None
    words: Words
    raw: Mapping[str, Any]
    doubts: list[str] = field(default_factory=list)


def load(body: bytes) -> dict[str, Any]:
    try:
        document = load_json(body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Malformed("The body is not a JSON object.")
    return document


def check_line(document: Mapping[str, Any], line: str, words: Words) -> None:
    """A message that names an addressing line names the one it was sent for."""
    named = document.get("addressingLine")
    if named not in (None, "") and (not isinstance(named, str) or words.read_line(named) != line):
        raise WrongLine("The message names another addressing line than the one it was sent for.")


def parse(request: HookRequest, words: Words) -> Delivery:
    document = load(request.body)
    line = request.line.identifier if request.line else words.read_line(_text(document.get("addressingLine")))
    key = key_of(document, request.body, line)
    try:
        return _read(document, line, key, words)
    except Unclear as unclear:
        return Delivery(key=key, unclear=str(unclear))


def key_of(document: Mapping[str, Any], body: bytes, line: str) -> str:
    """The message's own id, else its bytes: one news of one subscription."""
    message_id = _text(document.get("messageId"))
    if not message_id or len(message_id) > LONGEST_ID:
        message_id = hashlib.sha256(body).hexdigest()
    key = f"{line}/{message_id}" if line else message_id
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(body).hexdigest()


def _read(document: Mapping[str, Any], line: str, key: str, words: Words) -> Delivery:
    message = _envelope(document, line, words)
    report, files = _invoice(message, document.get("document"))
    status = _status(message, document.get("status"), is_new=report is not None)
    if status is None and report is None:
        raise Unclear(_("The message carries neither a status nor a document."))
    return Delivery(
        key=key,
        invoices=(report,) if report else (),
        files={report.provider_ref: files} if report else {},
        statuses=(status,) if status else (),
        unclear=" ".join(message.doubts),
    )


def _envelope(document: Mapping[str, Any], line: str, words: Words) -> Message:
    kind, invoice = _text(document.get("kind")), document.get("invoice")
    if kind not in tables.DIRECTIONS:
        raise Unclear(_("The message is of an unknown kind: “%(kind)s”.") % {"kind": kind[:50]})
    if not isinstance(invoice, dict):
        raise Unclear(_("The message names no invoice."))
    seller, buyer = (siren_in(_text(invoice.get(name))) for name in ("sellerSiren", "buyerSiren"))
    number = _text(invoice.get("number"))
    if not seller or not number or len(number) > LONGEST_REFERENCE:
        raise Unclear(_("The message does not name its invoice by the seller's SIREN and the number."))
    direction = tables.DIRECTIONS[kind]
    own = buyer if direction == "received" else seller
    if own and line and own != line.partition("_")[0]:
        told = {"own": own[:20], "line": line, "number": number[:50]}
        raise Unclear(_("Invoice %(number)s is one of %(own)s, but the message came for %(line)s.") % told)
    invoice_key = InvoiceKey(
        seller_siren=seller,
        number=number,
        type_code=_text(invoice.get("typeCode")),
        issue_date=_date(invoice.get("issueDate")),
        direction=direction,
    )
    return Message(
        line, direction, invoice_key, buyer, _time(document.get("occurredAt")), words, _without_file(document)
    )


def _without_file(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "document"}


# --- the invoice ------------------------------------------------------------------------------------------------------


def reference_of(line: str, key: InvoiceKey) -> str:
    """What we call an invoice: the protocol has no id. Of one line alone, so that no line reaches another's."""
    reference = f"{key.direction}/{line}/{key}"
    return reference if len(reference) <= LONGEST_REFERENCE else hashlib.sha256(reference.encode()).hexdigest()


def _invoice(message: Message, document: Any) -> tuple[InvoiceReport | None, tuple[File, ...]]:
    if document in (None, {}):
        return None, ()
    file = _file(document)
    seller, buyer = Party(siren=message.key.seller_siren), Party(siren=message.buyer_siren)
    if message.direction == "received":
        buyer = replace(buyer, identifier=message.line, scheme="0225")
    else:
        seller = replace(seller, identifier=message.line, scheme="0225")
    report = InvoiceReport(
        provider_ref=reference_of(message.line, message.key),
        direction=message.direction,
        number=message.key.number,
        type_code=message.key.type_code,
        issue_date=message.key.issue_date,
        seller=seller,
        buyer=buyer,
        processing_rule=rule_in(message.raw) or rule_in(message.raw.get("invoice")),
        created_at=message.occurred_at,
        raw=message.raw,
    )
    return report, (file,)


def _file(document: Any) -> File:
    encoded = document.get("contentBase64") if isinstance(document, dict) else None
    if not isinstance(encoded, str) or not encoded:
        raise Unclear(_("The message's document has no content."))
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Unclear(_("The message's document is not in base64.")) from None
    told = _text(document.get("sha256")).lower()
    if told and told != hashlib.sha256(content).hexdigest():
        raise Unclear(_("The message's document is not the one of its SHA-256: it was damaged on the way."))
    syntax = _text(document.get("syntax")).upper()
    return File(
        kind="original",
        content=content,
        media_type=tables.MEDIA_TYPES.get(syntax, ""),
        filename=safe_filename(_text(document.get("fileName"))),
    )


# --- the status -------------------------------------------------------------------------------------------------------


def _status(message: Message, status: Any, *, is_new: bool) -> StatusReport | None:
    if not isinstance(status, dict) or not _text(status.get("code")):
        return _submitted(message) if is_new and message.direction == "issued" else None
    word = _text(status.get("code"))
    code = message.words.read_status(word)
    issuer = _text(status.get("issuer"))
    return StatusReport(
        provider_ref="",
        invoice_key=message.key,
        status=code,
        native_status=word,
        issuer_role=tables.role_of(issuer, direction=message.direction, status=code, type_code=message.key.type_code),
        reasons=tuple(_reasons(message, status.get("reasons"))),
        note=_text(status.get("note")),
        payments=tuple(_payments(message, status.get("payments"))),
        occurred_at=message.occurred_at,
        zone=zone_read(message.raw.get("occurredAt")),
        said_on="" if message.occurred_at else _text(message.raw.get("occurredAt")),
        raw=message.raw,
    )


def _submitted(message: Message) -> StatusReport:
    """A new invoice of the customer's: nothing was said of it yet but that it was handed to the platform."""
    return StatusReport(
        provider_ref="",
        invoice_key=message.key,
        status=Status.SUBMITTED.value,
        issuer_role=Role.PLATFORM.value,
        occurred_at=message.occurred_at,
        raw=message.raw,
    )


def _reasons(message: Message, rows: Any) -> Iterator[Reason]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and (row.get("code") or row.get("text")):
            word = _text(row.get("code"))
            code = message.words.read_reason(word)
            yield Reason(code=code, text=_text(row.get("text")), native_code=word if word != code else "")


def _payments(message: Message, rows: Any) -> Iterator[Payment]:
    for row in rows if isinstance(rows, list) else []:
        amount = read_decimal(row.get("amount")) if isinstance(row, dict) else None
        if amount is None:
            message.doubts.append(_("An amount of the message cannot be read."))
            continue
        currency = _text(row.get("currency"))
        yield Payment(amount=amount, vat_rate=read_decimal(row.get("vatRate")), currency=currency or "EUR")


# --- values -----------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else ""


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None


def _time(value: Any) -> datetime | None:
    """An instant. A bare date is none: taken as midnight it would order wrongly."""
    text = _text(value)
    if len(text) <= 10:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""Messages as we send them, from either seat. Cegid's definition is not public: this is the contract we propose."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import File, InvoiceFacts, StatusMessage, Unsupported
from providers.contract.told import note_of
from providers.formats.files import find_format

from . import tables
from .words import Words

SYNTAXES = {"ubl": "UBL", "cii": "CII", "facturx": "FACTUR-X"}

# Names an invoice we hand over, so that a second try is the same message.
NAMESPACE = uuid.UUID("5f3a3f0e-6f0c-4b38-9d5c-0c5a3d2f7d11")


def dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def write_status(message: StatusMessage, *, issuer: str, words: Words) -> dict[str, Any]:
    status: dict[str, Any] = {"code": words.say_status(message.status), "issuer": issuer}
    if message.reasons:
        status["reasons"] = [
            {"code": words.say_reason(reason.code)} | ({"text": reason.text} if reason.text else {})
            for reason in message.reasons
        ]
    if note := note_of(message):
        status["note"] = note
    if message.payments:
        status["payments"] = list(_payments(message))
    return _envelope(message.id, message.invoice, message.occurred_at, words) | {"status": status}


def _payments(message: StatusMessage) -> Iterator[dict[str, str]]:
    """Money as text, so that no reader makes a binary fraction of it."""
    for payment in message.payments:
        rate = {} if payment.vat_rate is None else {"vatRate": f"{payment.vat_rate:.2f}"}
        kind = {"type": tables.AMOUNT_TYPES[message.status]} if message.status in tables.AMOUNT_TYPES else {}
        yield kind | rate | {"amount": f"{payment.amount:.2f}", "currency": payment.currency}


def write_invoice(
    file: File, invoice: InvoiceFacts, *, status: dict[str, Any] | None, words: Words, occurred_at: datetime
) -> dict[str, Any]:
    """A message that carries the document itself. Unsupported for a file that is no invoice format."""
    syntax = SYNTAXES.get(find_format(file.content))
    if syntax is None:
        raise Unsupported(_("Only UBL, CII and Factur-X files can be handed over; this is none of them."))
    digest = hashlib.sha256(file.content).hexdigest()
    names = (invoice.direction, invoice.line_identifier, invoice.seller.siren, invoice.number, digest)
    message = _envelope(str(uuid.uuid5(NAMESPACE, "\n".join(names))), invoice, occurred_at, words)
    message["document"] = {
        "syntax": syntax,
        "fileName": file.filename or f"invoice.{'pdf' if syntax == 'FACTUR-X' else 'xml'}",
        "contentBase64": base64.b64encode(file.content).decode(),
        "sha256": digest,
    }
    return message | ({"status": status} if status else {})


def _envelope(message_id: str, invoice: InvoiceFacts, occurred_at: datetime, words: Words) -> dict[str, Any]:
    named = {
        "number": invoice.number,
        "issueDate": invoice.issue_date.isoformat() if invoice.issue_date else "",
        "typeCode": invoice.type_code,
        "sellerSiren": invoice.seller.siren,
        "buyerSiren": invoice.buyer.siren,
    }
    return {
        "messageId": message_id,
        "kind": tables.KINDS[invoice.direction],
        "addressingLine": words.say_line(invoice.line_identifier),
        "occurredAt": occurred_at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        "invoice": {name: value for name, value in named.items() if value},
    }

"""The proposed messages of Cegid's protocol, as strict as the proposal is. Both dialects write and read them."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from werkzeug import Request, Response

from ...documents import Document
from ...records import Event, Invoice, StatusEntry, uuid7

KINDS = {"INBOUND": "incoming", "OUTBOUND": "outgoing"}
DIRECTIONS = {kind: direction for direction, kind in KINDS.items()}
PLATFORM_CODES = frozenset({"200", "201", "202", "203", "213", "221", "501"})
SELLER_CODES = frozenset({"209", "212", "220", "224", "225", "226", "227", "228"})
NEEDS_REASON = frozenset({"206", "207", "208", "210"})
SYNTAXES = {"UBL": "UBL", "CII": "CII"}


class RefusedError(Exception):
    """An answer that is no success, in the shape of Azure API Management."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def as_json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status=status, mimetype="application/json")


def error(status: int, message: str) -> Response:
    return as_json({"statusCode": status, "message": message}, status)


REFUSALS = {
    "unauthorized_once": (401, "Unauthorized. Access token is missing or invalid."),
    "rate_limited": (429, "Rate limit is exceeded."),
    "server_error": (500, "Internal server error"),
    "not_found": (404, "Resource not found"),
    "not_allowed": (405, "Method not allowed"),
    "too_large": (413, "The message is too large."),
}


def read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise RefusedError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "The body is not a JSON object.")
    return body


def bearer(request: Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""


# -- writing


def issuer_of(code: str) -> str:
    return "PLATFORM" if code in PLATFORM_CODES else "SELLER" if code in SELLER_CODES else "BUYER"


def write(
    invoice: Invoice, entry: StatusEntry | None, *, line: str, issuer: Callable[[str], str], with_document: bool
) -> dict[str, Any]:
    document = invoice.document
    named = {
        "number": document.number,
        "issueDate": document.issue_date,
        "typeCode": document.type_code,
        "sellerSiren": document.seller.siren,
        "buyerSiren": document.buyer.siren,
    }
    message: dict[str, Any] = {
        "messageId": entry.id if entry else uuid7(),
        "kind": KINDS[invoice.direction],
        "addressingLine": line,
        "occurredAt": _time(entry.at if entry else invoice.created_at),
        "invoice": {name: value for name, value in named.items() if value},
    }
    if entry:
        code = int(entry.code) if entry.code.isdecimal() else entry.code
        message["status"] = {"code": code, "issuer": issuer(entry.code), **entry.details}
    if with_document:
        message["document"] = _document(invoice.content, document)
    return message


def _document(content: bytes, document: Document) -> dict[str, str]:
    return {
        "syntax": document.syntax or "UBL",
        "fileName": f"{document.number}.xml",
        "contentBase64": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stranger(event: Event) -> Event:
    """The same news of an invoice nobody has."""
    body = dict(event.body)
    body["messageId"] = uuid7()
    body["invoice"] = {**event.body["invoice"], "number": f"UNKNOWN-{uuid7()[-8:]}"}
    body.pop("document", None)
    body.setdefault("status", {"code": 204, "issuer": "CUSTOMER"})
    return Event(event.dialect, event.type, body)


def payment_rows(invoice: Invoice) -> dict[str, Any]:
    currency = invoice.document.currency
    rows = [
        {"type": "MPA", "vatRate": f"{rate:.2f}", "amount": f"{amount:.2f}", "currency": currency}
        for rate, amount in invoice.document.vat
    ]
    return {"payments": rows} if rows else {}


# -- reading


def check(body: dict[str, Any], line: str) -> None:
    """What every message must have."""
    if body.get("addressingLine") not in (None, line):
        raise RefusedError(403, "The message is for another addressing line.")
    invoice = body.get("invoice")
    named = isinstance(invoice, dict) and invoice.get("number") and invoice.get("sellerSiren")
    if not body.get("messageId") or body.get("kind") not in DIRECTIONS or not named:
        raise RefusedError(422, "messageId, kind, invoice.number and invoice.sellerSiren are needed.")
    if not body.get("status") and not body.get("document"):
        raise RefusedError(422, "There is neither a status nor a document.")


def read_status(body: dict[str, Any], issuers: frozenset[str]) -> tuple[str, dict[str, Any]] | None:
    """Code and what goes with it; None where the message has no status."""
    status = body.get("status")
    if status is None:
        return None
    if not isinstance(status, dict) or not isinstance(status.get("code"), int) or isinstance(status["code"], bool):
        raise RefusedError(422, "status.code is not a number.")
    code = str(status["code"])
    if status.get("issuer") not in issuers:
        raise RefusedError(422, f"status.issuer must be one of {', '.join(sorted(issuers))}.")
    if code in NEEDS_REASON and not status.get("reasons"):
        raise RefusedError(422, f"Status {code} needs a reason.")
    for row in status.get("payments", ()):
        if not isinstance(row, dict) or not isinstance(row.get("amount"), str):
            raise RefusedError(422, "An amount is written as text.")
    return code, {name: value for name, value in status.items() if name not in ("code", "issuer")}


def read_document(body: dict[str, Any]) -> bytes | None:
    document = body.get("document")
    if document is None:
        return None
    try:
        content = base64.b64decode(document["contentBase64"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise RefusedError(422, "document.contentBase64 is not base64.") from None
    if document.get("sha256") != hashlib.sha256(content).hexdigest():
        raise RefusedError(422, "document.sha256 does not fit.")
    return content

"""Checks of a lifecycle message, as strict as A-Cube's pages say."""

from typing import Any

from .answers import ProblemError
from .tables import (
    CLIENT_CODES,
    CODES,
    PAYMENT_POSSIBLE,
    PAYMENT_REQUIRED,
    REASON_POSSIBLE,
    REASON_REQUIRED,
    REASONS,
    STATUSES,
)


def read_status(body: dict[str, Any]) -> str:
    """Both field names of the pages, and a number, a number in a string, or a name."""
    word = body.get("afnorStatusCode", body.get("invoiceStatus"))
    if word is None or isinstance(word, bool) or not isinstance(word, int | str):
        raise ProblemError(400, "afnorStatusCode is missing or neither a number nor a name.")
    code = CODES.get(str(word), str(word))
    if code not in STATUSES:
        raise ProblemError(422, afnorStatusCode=f"Unknown status {word}.")
    if code not in CLIENT_CODES:
        raise ProblemError(422, afnorStatusCode=f"Status {word} cannot be set by a client.")
    return code


def check_reason(code: str, body: dict[str, Any], missing_documents_on_208: bool) -> dict[str, Any]:
    details = body.get("rejectionDetails")
    if details is None:
        if code in REASON_REQUIRED:
            raise ProblemError(422, rejectionDetails=f"Status {code} requires a rejection reason.")
        return {}
    if not isinstance(details, dict) or not isinstance(details.get("message", ""), str | None):
        raise ProblemError(400, "rejectionDetails must be an object with rejectionReason and message.")
    reason = details.get("rejectionReason")
    if code not in REASON_POSSIBLE:
        raise ProblemError(422, rejectionDetails=f"Status {code} takes no rejection reason.")
    if reason not in REASONS:
        raise ProblemError(422, **{"rejectionDetails.rejectionReason": f"Unknown reason {reason}."})
    allowed = REASONS[reason] | ({"208"} if reason == "MISSING_DOCUMENTS" and missing_documents_on_208 else set())
    if ("207" if code == "206" else code) not in allowed:
        raise ProblemError(422, **{"rejectionDetails.rejectionReason": f"{reason} is not allowed with status {code}."})
    return {"rejectionDetails": details}


def check_payments(code: str, body: dict[str, Any]) -> dict[str, Any]:
    rows = body.get("paymentDetails")
    if not rows:
        if code in PAYMENT_REQUIRED:
            raise ProblemError(422, paymentDetails=f"Status {code} requires payment details.")
        return {}
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProblemError(400, "paymentDetails must be a list of objects.")
    if code not in PAYMENT_POSSIBLE:
        raise ProblemError(422, paymentDetails=f"Status {code} takes no payment details.")
    for number, row in enumerate(rows):
        for name in ("vatRate", "amount"):
            if isinstance(row.get(name), bool) or not isinstance(row.get(name), int | float):
                raise ProblemError(422, **{f"paymentDetails[{number}].{name}": "This value should be a number."})
        if not isinstance(row.get("currency"), str) or len(row["currency"]) != 3:
            raise ProblemError(422, **{f"paymentDetails[{number}].currency": "This value is not a valid currency."})
    return {"paymentDetails": rows}


def read_message(body: dict[str, Any], missing_documents_on_208: bool) -> tuple[str, dict[str, Any]]:
    """Status code and the details that go with it; raises ProblemError."""
    code = read_status(body)
    return code, check_reason(code, body, missing_documents_on_208) | check_payments(code, body)

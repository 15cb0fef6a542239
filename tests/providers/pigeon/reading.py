"""From Pigeon's JSON to the contract's shapes."""

from datetime import datetime
from typing import Any

from providers.contract.base import InvoiceReport, Party, Reason, StatusReport

from . import tables

DIRECTIONS = {"in": "received", "out": "issued"}


def text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def read_bill(row: Any) -> InvoiceReport | None:
    """None where it does not say which bill it is, or whose."""
    if not isinstance(row, dict) or not text(row, "bill") or text(row, "way") not in DIRECTIONS:
        return None
    return InvoiceReport(
        provider_ref=text(row, "bill"),
        direction=DIRECTIONS[text(row, "way")],
        number=text(row, "number"),
        seller=Party(siren=text(row, "from")),
        buyer=Party(siren=text(row, "to")),
        raw=row,
    )


def read_state(bill: str, row: dict[str, Any]) -> StatusReport:
    """A line of a bill's history. A word we do not know stays a word."""
    word = text(row, "word")
    status = tables.STATUSES.get(word)
    return StatusReport(
        provider_ref=bill,
        status=status,
        native_status=word,
        issuer_role=tables.ISSUERS.get(status or "", ""),
        reasons=tuple(_reason(word) for word in row.get("why") or () if isinstance(word, str)),
        occurred_at=_time(row),
        key=text(row, "id"),
        raw=row,
    )


def _reason(word: str) -> Reason:
    return Reason(code=tables.REASONS.get(word, ""), native_code=word)


def _time(row: dict[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text(row, "at"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None

"""Flows as the platform keeps them, and how they are searched."""

import base64
import datetime as dt
import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

from ...records import uuid7
from .answers import FlowError

SYNTAXES = ("CII", "UBL", "Factur-X", "CDAR", "FRR")
PROFILES = ("Basic", "CIUS", "Extended-CTC-FR", "Undefined")
RULES = (
    "B2B", "B2BInt", "B2C", "B2G", "B2GInt", "OutOfScope", "B2GOutOfScope", "ArchiveOnly", "NotApplicable", "Undefined",
)  # fmt: skip
ID_LENGTHS = {"1.1": 36, "1.2": 36, "1.3": 64}
MAX_LIMIT, USUAL_LIMIT = 100, 25
CRITERIA = ("updatedAfter", "updatedBefore", "processingRule", "flowType", "flowDirection", "trackingId", "ackStatus")


def shown_time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Flow:
    type: str
    direction: str
    syntax: str
    name: str
    content: bytes
    submitted_at: dt.datetime
    tracking_id: str = ""
    profile: str = "Undefined"
    rule: str = ""
    ack: str = "Pending"
    details: list[dict[str, str]] = field(default_factory=list)
    invoice: str = ""
    hidden: int = 0  # searches that do not show it yet
    id: str = field(default_factory=uuid7)

    def __post_init__(self) -> None:
        self.updated_at = self.submitted_at

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def as_json(self) -> dict[str, Any]:
        acknowledgement: dict[str, Any] = {"status": self.ack}
        if self.details:
            acknowledgement["details"] = self.details
        return {
            "flowId": self.id,
            **({"trackingId": self.tracking_id} if self.tracking_id else {}),
            "name": self.name,
            "flowType": self.type,
            "flowDirection": self.direction,
            "flowSyntax": self.syntax,
            "flowProfile": self.profile,
            "processingRule": self.rule or "NotApplicable",
            "processingRuleSource": "Input" if self.rule else "Computed",
            "submittedAt": shown_time(self.submitted_at),
            "updatedAt": shown_time(self.updated_at),
            "acknowledgement": acknowledgement,
        }


def read_flow_info(text: str, contract: str) -> dict[str, Any]:
    """What is submitted with a file; raises FlowError."""
    try:
        info = json.loads(text)
    except ValueError:
        raise FlowError(400, "INVALID_FLOW_INFO", "flowInfo is not JSON") from None
    if not isinstance(info, dict):
        raise FlowError(400, "INVALID_FLOW_INFO", "flowInfo is not an object")
    for name in ("flowSyntax", *(("name",) if contract != "1.1" else ())):
        if not info.get(name):
            raise FlowError(400, "MISSING_REQUIRED_FIELD", f"{name} is required")
    limits = {"trackingId": ID_LENGTHS[contract], "name": 255}
    for name, limit in limits.items():
        if not isinstance(info.get(name, ""), str) or len(info.get(name, "")) > limit:
            raise FlowError(400, "INVALID_FIELD", f"{name} is longer than {limit} characters")
    known = {"flowSyntax": SYNTAXES, "flowProfile": PROFILES, "processingRule": RULES}
    for name, words in known.items():
        if name in info and info[name] not in words:
            raise FlowError(400, "INVALID_FIELD", f"{name} is not one of {', '.join(words)}")
    return info


@dataclass
class Search:
    """A search as it was asked for. Times compare with the precision in which they are shown."""

    where: dict[str, Any]
    limit: int
    cursor: tuple[str, str] | None

    @classmethod
    def read(cls, body: Any) -> "Search":
        where = body.get("where") if isinstance(body, dict) else None
        if not isinstance(where, dict) or not any(where.get(name) for name in CRITERIA):
            raise FlowError(400, "MISSING_CRITERION", "at least one criterion is required")
        if unknown := set(where) - set(CRITERIA):
            raise FlowError(400, "UNKNOWN_CRITERION", f"unknown criterion {min(unknown)}")
        limit = body.get("limit", USUAL_LIMIT)
        if not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
            raise FlowError(400, "INVALID_FIELD", f"limit must be from 1 to {MAX_LIMIT}")
        for name in ("updatedAfter", "updatedBefore"):
            if name in where:
                _time(where[name], name)
        return cls(where, limit, _read_cursor(body.get("cursor")))

    def matches(self, flow: Flow) -> bool:
        shown = flow.as_json()
        where, updated = self.where, _time(shown["updatedAt"], "updatedAt")
        lists = ("processingRule", "flowType", "flowDirection")
        return (
            all(shown[name] in where[name] for name in lists if where.get(name))
            and where.get("trackingId", flow.tracking_id) == flow.tracking_id
            and where.get("ackStatus", flow.ack) == flow.ack
            and ("updatedAfter" not in where or updated > _time(where["updatedAfter"], "updatedAfter"))
            and ("updatedBefore" not in where or updated < _time(where["updatedBefore"], "updatedBefore"))
        )

    def answer(self, flows: list[Flow], *, cap: int, has_cursor: bool, shuffled: bool) -> dict[str, Any]:
        """The oldest that match; behind the cursor where there is one."""
        limit = min(self.limit, cap)
        matching = sorted((flow for flow in flows if self.matches(flow)), key=_place)
        if has_cursor and self.cursor:
            matching = [flow for flow in matching if _place(flow) > self.cursor]
        page, more = matching[:limit], matching[limit:]
        body: dict[str, Any] = {"limit": limit, "filters": self.where}
        if has_cursor and more:
            body["nextCursor"] = base64.urlsafe_b64encode(json.dumps(_place(page[-1])).encode()).decode()
        if shuffled:
            random.shuffle(page)
        return {**body, "results": [flow.as_json() for flow in page]}


def _place(flow: Flow) -> tuple[str, str]:
    return shown_time(flow.updated_at), flow.id


def _read_cursor(cursor: Any) -> tuple[str, str] | None:
    if cursor is None:
        return None
    try:
        moment, flow_id = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, TypeError):
        raise FlowError(400, "INVALID_CURSOR", "the cursor is unknown or too old") from None
    return str(moment), str(flow_id)


def _time(value: Any, name: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise FlowError(400, "INVALID_FIELD", f"{name} is no date-time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

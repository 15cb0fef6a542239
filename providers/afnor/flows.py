"""Flow objects as data. Lenient: only the identity is required, unknown words stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import Reason

from . import tables

# What may stand in a path; the contract allows any text of 64 characters.
FLOW_ID = re.compile(r"(?!\.{1,2}$)[^\x00-\x20\x7f/\\?#%]{1,128}")


@dataclass(frozen=True)
class AckDetail:
    level: str
    item: str
    code: str
    message: str

    @property
    def in_words(self) -> str:
        """For people: our sentence where we know the code, the platform's own words, and what it is about."""
        known = tables.ACK_REASONS.get(self.code)
        words = str(known.text) if known else self.code
        said = self.message if self.message not in ("", words, self.code) else ""
        place = f"({self.item})" if self.item else ""
        return " ".join(filter(None, [words, said, place]))

    @property
    def reason(self) -> Reason:
        known = tables.ACK_REASONS.get(self.code)
        return Reason(code=known.national if known else "", text=self.in_words, native_code=self.code)


@dataclass(frozen=True)
class Flow:
    """`direction` is In (to us) or Out (from us), `ack` Pending, Ok or Error; each "" where the platform is silent."""

    id: str
    type: str = ""
    direction: str = ""
    syntax: str = ""
    name: str = ""
    tracking_id: str = ""
    ack: str = ""
    details: tuple[AckDetail, ...] = ()
    submitted_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_refused(self) -> bool:
        return self.ack == tables.ERROR

    @property
    def is_duplicate(self) -> bool:
        """Refused only because the platform had it already."""
        codes = {detail.code for detail in self.details if detail.level != "Warning"}
        return self.is_refused and codes == {tables.ALREADY_THERE}

    @property
    def in_words(self) -> str:
        """What the platform says of it, for people."""
        return " ".join(detail.in_words for detail in self.details) or _("The platform gives no reason.")

    @property
    def key(self) -> str:
        """Of the news that it is so: every change of the acknowledgement moves `updatedAt`."""
        moment = self.raw.get("updatedAt")
        return f"{self.id} {self.ack} {moment}" if isinstance(moment, str) else ""


def parse_flow(document: Any) -> Flow | None:
    """None without an identity that can stand in a path. Contract 1.1 pushes wrap it in `flowInfo`."""
    if isinstance(document, dict) and "flowId" not in document:
        document = document.get("flowInfo")
    if not isinstance(document, dict) or not FLOW_ID.fullmatch(_text(document.get("flowId"))):
        return None
    acknowledgement = document.get("acknowledgement")
    ack = acknowledgement if isinstance(acknowledgement, dict) else {}
    return Flow(
        id=_text(document.get("flowId")),
        type=_text(document.get("flowType")),
        direction=_text(document.get("flowDirection")),
        syntax=_text(document.get("flowSyntax")),
        name=_text(document.get("name")),
        tracking_id=_text(document.get("trackingId")),
        ack=_text(ack.get("status")),
        details=tuple(_details(ack.get("details"))),
        submitted_at=parse_time(document.get("submittedAt")),
        updated_at=parse_time(document.get("updatedAt")),
        raw=document,
    )


def _details(rows: Any) -> Iterator[AckDetail]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            names = ("level", "item", "reasonCode", "reasonMessage")
            yield AckDetail(*(_text(row.get(name)) for name in names))


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def parse_time(value: Any) -> datetime | None:
    """Any offset, any precision (beyond microseconds it is cut, which only makes us read again)."""
    try:
        moment = datetime.fromisoformat(_text(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # within a day of the year 1 or 9999 there is no such time in UTC
        return None


def write_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"

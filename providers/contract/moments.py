"""Times as platforms write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from .base import Field

# The setting with which a connection says what zone the times of its statuses are of, where they name none.
STATUS_TIMEZONE = "status_timezone"
STATUS_TIMEZONE_FIELD = Field(
    name=STATUS_TIMEZONE,
    type="choice",
    default="learn",
    choices=("learn", "Europe/Paris", "UTC"),
    help=_(
        "Zone of the times of statuses that name none. Learn: Europe/Paris in status messages (CDAR), else UTC, unless "
        "their arrival shows another."
    ),
)


def zone_read(value: Any) -> str:
    """The zone that an instant was read in because it names none; "" where it names one, or is none."""
    try:
        moment = datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):
        return ""
    return "" if moment.tzinfo else "UTC"


def in_utc(moment: datetime) -> str:
    try:
        return moment.astimezone(UTC).isoformat()
    except OverflowError:  # the first and last hours that a datetime can tell
        return moment.isoformat()

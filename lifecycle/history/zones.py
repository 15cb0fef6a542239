"""Times that name no zone: read in the one the connection is set to, or in the one that their arrival shows.

A status message (CDAR) has no zone. We read it as Paris, which no text says, and a platform may write UTC: then all of
its times are an hour or two off, and the status would go back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from providers.connections.tokens import ConnectionMemory
from providers.contract.base import StatusReport
from providers.contract.moments import STATUS_TIMEZONE
from providers.models import Connection

# The zones that platforms are known to write.
ZONES = ("Europe/Paris", "UTC")
# How soon after its time a status is heard at most, for its arrival to show its zone; clocks are off by as much.
PROMPT = timedelta(minutes=3)
# Where a connection's memory keeps how many in a row were of another zone, which, and since when.
SLIPS = "zone_slips"
# So many are no chance.
CONSISTENT = 3


def as_set(connection: Connection, report: StatusReport) -> StatusReport:
    """The report with its time read in the zone that the connection is set to, where it names none itself."""
    wanted = connection.settings.get(STATUS_TIMEZONE)
    if not report.zone or not report.occurred_at or wanted not in ZONES or wanted == report.zone:
        return report
    return replace(report, occurred_at=_read_in(wanted, report.occurred_at, report.zone), zone=wanted)


def as_arrived(connection: Connection, report: StatusReport) -> datetime | None:
    """The time in another zone, where it fits the arrival only in that one; None where it may stay as it was read."""
    if not report.zone or not report.occurred_at or connection.settings.get(STATUS_TIMEZONE):
        return None
    now = timezone.now()
    if abs(now - report.occurred_at) <= PROMPT:
        _note(connection, "")
        return None
    for zone in ZONES:
        moment = _read_in(zone, report.occurred_at, report.zone)
        if zone != report.zone and moment != report.occurred_at and abs(now - moment) <= PROMPT:
            _note(connection, zone)
            return moment
    return None


def _read_in(zone: str, moment: datetime, read_in: str) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(read_in)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:  # the first and last hours that a datetime can tell
        return moment


def _note(connection: Connection, zone: str) -> None:
    known = connection.memory.get(SLIPS) or {}
    if not zone and not known:
        return
    again = bool(zone) and known.get("zone") == zone
    since = known["since"] if again else timezone.now().isoformat()
    count = known["count"] + 1 if again else 1
    ConnectionMemory(connection).set(SLIPS, {"zone": zone, "count": count, "since": since} if zone else {})


def suspected(connection: Connection) -> tuple[str, datetime] | None:
    """The zone that a connection's times seem to be of, other than they are read in, and since when."""
    known = connection.memory.get(SLIPS) or {}
    if known.get("count", 0) < CONSISTENT or connection.settings.get(STATUS_TIMEZONE):
        return None
    return known["zone"], datetime.fromisoformat(known["since"])

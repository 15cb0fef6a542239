"""How many calls Seqino allows. Page "usage": limits per minute, hour, day and month, each of which may be null; what
they are called and how high they are is not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60, "month": 30 * 24 * 60}
# Names that speak of what is used up or left, not of the limit itself.
NOT_LIMITS = ("used", "remaining", "left", "current", "count", "reset")


def parse_limits(document: Any) -> dict[str, int]:
    """The limits found in an answer, by period; the lowest where there are several."""
    found: dict[str, int] = {}
    for name, value in _numbers(document, ""):
        period = next((period for period in MINUTES if period in name or _adverb(period) in name), None)
        if period and not any(word in name for word in NOT_LIMITS):
            found[period] = min(value, found.get(period, value))
    return found


def _adverb(period: str) -> str:
    return "daily" if period == "day" else f"{period}ly"


def _numbers(value: Any, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _numbers(item, f"{path}.{name}".lower())
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, path)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        yield path, value


def per_minute(limits: Mapping[str, int]) -> float | None:
    """The calls a minute that no limit minds in the long run; None without limits."""
    return min((limit / MINUTES[period] for period, limit in limits.items() if period in MINUTES), default=None)


def pace(wanted: float, limits: Mapping[str, int] | None) -> float:
    """Calls a second, within the limit for a minute; the longer ones are kept by asking for less."""
    limit = (limits or {}).get("minute")
    if not limit:
        return wanted
    return min(wanted, limit / 60) if wanted > 0 else limit / 60

"""How often one caller may do something, counted for all processes in one statement."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db import connection

# One row per key, overwritten by each new window.
COUNT = """
INSERT INTO providers_ratewindow AS kept (key, begun, count) VALUES (%s, %s, 1)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN kept.begun = EXCLUDED.begun THEN LEAST(kept.count, 1000000000) + 1 ELSE 1 END,
    begun = EXCLUDED.begun
RETURNING count
"""


@dataclass(frozen=True)
class Limit:
    name: str
    amount: int
    seconds: int = 60


@dataclass(frozen=True)
class Spent:
    limit: Limit
    count: int
    resets_in: int

    @property
    def is_over(self) -> bool:
        return self.count > self.limit.amount

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers writes them; with Retry-After once it is over."""
        limit, left = self.limit, max(self.limit.amount - self.count, 0)
        told = {
            "RateLimit-Policy": f'"{limit.name}";q={limit.amount};w={limit.seconds}',
            "RateLimit": f'"{limit.name}";r={left};t={self.resets_in}',
        }
        return told | ({"Retry-After": str(self.resets_in)} if self.is_over else {})


def spend(limit: Limit, caller: object) -> Spent:
    """Count one more. Not to be called inside a transaction: all callers of that key would wait for its end."""
    now = int(time.time())
    begun = now - now % limit.seconds
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [f"{limit.name}:{caller}"[:100], begun])
        count = cursor.fetchone()[0]
    return Spent(limit, count, begun + limit.seconds - now)

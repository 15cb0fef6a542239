"""The pace of each connection, in the database: however many machines call a platform, together they keep it."""

from __future__ import annotations

from typing import Any

from django.db import connection as database

# By the database's clock, for those of the machines differ.
TAKE = """
    UPDATE providers_connection
    SET paced_until = greatest(paced_until, clock_timestamp()) + %(gap)s * interval '1 second'
    WHERE id = %(id)s
    RETURNING extract(epoch FROM paced_until - clock_timestamp())
"""


def next_turn(connection_id: Any, per_second: float) -> float:
    """Take the next turn of a connection, and say how many seconds it is away: bursts of one second's worth, then
    evenly.
    """
    if database.in_atomic_block:
        return 0.0  # a login, which is rare: a lock on the connection must not last as long as a call
    with database.cursor() as cursor:
        cursor.execute(TAKE, {"gap": 1 / per_second, "id": connection_id})
        row = cursor.fetchone()
    return max(0.0, float(row[0]) - max(1.0, 1 / per_second)) if row else 0.0

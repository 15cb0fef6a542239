"""Platforms asked while a person waits for the page, or a push for its answer: briefly, and by few at once, so that
the threads of a web process never all wait for platforms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.utils.translation import gettext as _

from providers.network.deadlines import within

from .base import TemporaryError

# For all calls of one page together.
SECONDS = 8
# Of one process, which has twice as many threads (deploy/gunicorn.conf.py).
AT_ONCE = 2
_room = BoundedSemaphore(AT_ONCE)


@contextmanager
def at_the_door(seconds: float = SECONDS) -> Iterator[None]:
    """Raises TemporaryError, and asks nobody, where enough others wait already."""
    if not _room.acquire(blocking=False):
        raise TemporaryError(_("Too many questions to platforms are under way: try again in a few seconds."))
    try:
        with within(seconds):
            yield
    finally:
        _room.release()

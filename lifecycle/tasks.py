"""What the worker runs. Tasks carry no data: each drains our own tables, and may be lost or come twice without harm."""

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from invoices.validation import services as validation
from providers.base import PlatformError, Unsupported
from providers.models import Connection

from . import anchors, asking, inbox, polling, relays, watch_mail

logger = logging.getLogger(__name__)

POLL_EVERY = timedelta(minutes=30)


def drain_inbox() -> int:
    return inbox.drain()


def drain_relays() -> int:
    return relays.drain()


def ask_open() -> int:
    return asking.ask_due()


def sweep() -> None:
    """Every minute: whatever a lost nudge, a killed worker or a silent platform left behind."""
    # What may take longer than a sweep has.
    nudges = (relays.nudge_for_due, asking.nudge_for_due, validation.nudge_for_due)
    for step in (inbox.retry_waiting, inbox.drain, poll_due, *nudges, anchors.make_due, watch_mail.tell):
        try:
            step()
        except Exception:  # a fault in one must not stop the others, minute after minute
            logger.exception("The sweep's step %s failed", step.__name__)


def poll_due() -> None:
    due = Connection.objects.filter(Q(polled_at=None) | Q(polled_at__lt=timezone.now() - POLL_EVERY))
    for connection in due.filter(state=Connection.State.ACTIVE):
        # Of two sweeps that meet, one polls.
        if due.filter(pk=connection.pk).update(polled_at=timezone.now()):
            poll_one(connection)


def poll_one(connection: Connection) -> int | None:
    """How many things were new, or None where the platform cannot be polled now."""
    try:
        return polling.poll(connection)
    except Unsupported:
        logger.debug("%s cannot be polled", connection.name)
    except PlatformError as error:
        logger.warning("Poll of %s failed: %s", connection.name, error.message)
    except Exception:
        logger.exception("Poll of %s failed", connection.name)
    Connection.objects.filter(pk=connection.pk).update(polled_at=timezone.now())
    return None

"""What the worker runs. Tasks carry no data: each drains our own tables, and may be lost or come twice without harm.

Each kind of work has a task of its own, a lane: what one waits for keeps none of the others waiting.
"""

import logging
import time

from invoices.people import audit
from invoices.register import prepared
from invoices.validation import services as validation
from lifecycle.history import anchors
from lifecycle.inbox import asking, deliveries, polling
from lifecycle.outbox import relays
from lifecycle.watching import mail
from providers.connections import checks

logger = logging.getLogger(__name__)

# The sweep begins no step after this: it ends long before django-q2 would end its worker.
SWEEP_SECONDS = 20
INBOX_SECONDS = 10


def drain_inbox() -> int:
    return deliveries.ingest()


def fetch_news() -> int:
    return deliveries.fetch()


def drain_relays() -> int:
    return relays.drain()


def ask_open() -> int:
    return asking.ask_due()


def poll_due() -> None:
    polling.poll_due()


def sweep() -> None:
    """Every minute: whatever a lost nudge, a killed worker or a silent platform left behind.

    Each lane that has something to do is nudged first; then the sweep lends a hand, as far as its time goes.
    """
    lanes = (deliveries, relays, polling, asking, validation, prepared, checks)
    begun = time.monotonic()
    nudges = (lane.nudge_for_due for lane in lanes)
    short = (deliveries.retry_waiting, anchors.make_due, mail.tell, audit.purge)
    for step in (*nudges, *short, polling.poll_due, _drain_inbox):
        if time.monotonic() - begun > SWEEP_SECONDS:
            break
        try:
            step()
        except Exception:  # a fault in one must not stop the others, minute after minute
            logger.exception("The sweep's step %s failed", step.__name__)


def _drain_inbox() -> None:
    deliveries.drain(seconds=INBOX_SECONDS)

"""What a relay waits for, in words for people: its file, its platform, or what the platform may still show."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from invoices.people.desk import Desk
from lifecycle.decisions.messages import obstacle_to
from lifecycle.models import RelayState, RelayTask
from providers.connections import health
from providers.contract.kinds import find_adapter_class

UNSENT = (RelayState.AWAITING_APPROVAL, RelayState.SCHEDULED, RelayState.PENDING)
BY_ITSELF = (RelayState.SCHEDULED, RelayState.PENDING, RelayState.UNCERTAIN)


def waits_for(relay: RelayTask, desk: Desk | None = None) -> str:
    """Empty where it waits for nothing but its turn or a person. `desk`: who is told; not what only some may know,
    if nobody is named.
    """
    words = _of_file(relay) if relay.state in UNSENT else ""
    if relay.state in BY_ITSELF:
        words = words or _of_connection(relay, desk)
    if relay.state == RelayState.UNCERTAIN and relay.next_attempt_at:
        words = " ".join(filter(None, [_of_patience(relay), words]))
    return words


def _of_file(relay: RelayTask) -> str:
    if relay.is_submission and not relay.invoice.validation:
        return _("Its file is being checked against the official rules; nothing is sent before.")
    return obstacle_to(relay)


def _of_connection(relay: RelayTask, desk: Desk | None) -> str:
    advice = health.what_to_do(relay.connection)
    if not advice:
        return ""
    reason = desk.why_ill(relay.connection) if desk else ""
    words = _("It waits for connection “%(connection)s”.") % {"connection": relay.connection.name}
    return " ".join(filter(None, [words, reason, advice]))


def _of_patience(relay: RelayTask) -> str:
    """How long the platform may take to show what it has: before, that it is not shown says nothing."""
    cls = find_adapter_class(relay.connection.kind)
    patience = cls.shown_after(relay.connection.settings) if cls else 0
    until = relay.spoke_at + timedelta(seconds=patience) if relay.spoke_at else timezone.now()
    if until <= timezone.now():
        return ""
    moment = date_format(timezone.localtime(until), "H:i")
    return _("The platform may take until %(time)s to show what it has taken in: it is not sent again before.") % {
        "time": moment
    }

"""Mail to people: what is wrong, once while it lasts, and once more when it is over.

Operators get everything (WATCH_MAIL); a running clock is also told to those who may decide for the customer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from invoices.models import Membership, Role
from lifecycle.models import RelayTask, ToldFinding

from .watch import Finding, findings

logger = logging.getLogger(__name__)

# What comes and goes within this is not worth a mail, unless it is urgent.
PATIENCE = timedelta(minutes=10)


def tell() -> int:
    """Every sweep. A mail that could not be sent is tried again by the next one. Returns how many were sent."""
    with translation.override(settings.LANGUAGE_CODE):
        now = {finding.name: finding for finding in findings()}
        told = set(ToldFinding.objects.values_list("name", flat=True))
        sent = sum(_tell(finding) for name, finding in now.items() if name not in told and _is_due(finding))
        over = ToldFinding.objects.filter(name__in=told - set(now))
        return sent + _tell_over(over)


def _is_due(finding: Finding) -> bool:
    if finding.urgent or finding.check == "clock" or finding.since is None:
        return True
    return finding.since < timezone.now() - PATIENCE


def _tell(finding: Finding) -> bool:
    since = f"{timezone.localtime(finding.since):%d/%m/%Y %H:%M}" if finding.since else ""
    lines = [finding.what, since and _("Since %(moment)s.") % {"moment": since}, finding.to_do, settings.PUBLIC_URL]
    if not _send(finding.what, lines, recipients(finding)):
        return False
    ToldFinding.objects.get_or_create(name=finding.name, defaults={"what": finding.what[:500]})
    return True


def _tell_over(rows: QuerySet[ToldFinding]) -> int:
    """Clocks that stopped are no news: who told the platform knows."""
    rows.filter(name__startswith="clock:").delete()
    ended = list(rows)
    if not ended or not _send(_("Over"), [_("Over: %(what)s") % {"what": row.what} for row in ended], _operators()):
        return 0
    rows.filter(pk__in=[row.pk for row in ended]).delete()
    return 1


def recipients(finding: Finding) -> list[str]:
    people = _operators()
    if finding.check == "clock":
        people += _deciders(finding.subject.partition(":")[2])
    return list(dict.fromkeys(people))


def _operators() -> list[str]:
    return list(settings.WATCH_MAIL)


def _deciders(relay_id: str) -> list[str]:
    customer = RelayTask.objects.filter(pk=relay_id).values("invoice__customer")
    able = Membership.objects.filter(customer__in=customer, role__in=Role.at_least(Role.APPROVER), user__is_active=True)
    return sorted(able.exclude(user__email="").values_list("user__email", flat=True))


def _send(subject: str, lines: Iterable[str], people: list[str]) -> bool:
    """True also where nobody wants mail: then there is nothing to send again."""
    try:
        for person in people:  # each alone: an address is nobody else's business
            send_mail(f"Navette: {' '.join(subject.split())[:150]}", "\n".join(filter(None, lines)), None, [person])
    except OSError:
        logger.exception("Mail about “%s” could not be sent", subject)
        return False
    return True

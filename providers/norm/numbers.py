"""Invoice numbers that the administration will not take, although platforms and official rules let them pass."""

from __future__ import annotations

import re
from datetime import date

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

# DGFiP rule G1.05 (annex 7 v1.9): flows 1, 6 and 10. FNFE's BR-FR-02 only warns of other characters on reception.
TAKEN = re.compile(r"[A-Za-z0-9+_/-]+( [A-Za-z0-9+_/-]+)*", re.ASCII)
LONGEST = 35


def number_warning(number: str, on: date | None = None) -> str:
    """Why the administration will turn down what it is told about an invoice of this number; "" where it will not."""
    if not number:
        return ""
    if not TAKEN.fullmatch(number) or len(number) > LONGEST:
        return _(
            "The administration will not take number “%(number)s”: it takes letters without accents, digits, - + _ / "
            "and single spaces inside, %(longest)s characters at most. What it is told about this invoice will "
            "probably be turned down."
        ) % {"number": number[:60], "longest": LONGEST}
    until = date.fromisoformat(settings.PPF_NUMBER_LENGTH_UNTIL) if settings.PPF_NUMBER_LENGTH_UNTIL else None
    if len(number) <= settings.PPF_NUMBER_LENGTH or (until and (on or timezone.localdate()) > until):
        return ""
    return _(
        "The administration takes numbers of %(length)s characters at most until %(until)s: “%(number)s” has "
        "%(found)s. What it is told about this invoice before will probably be turned down."
    ) % {
        "length": settings.PPF_NUMBER_LENGTH,
        "until": until.strftime("%d/%m/%Y") if until else "?",
        "number": number,
        "found": len(number),
    }

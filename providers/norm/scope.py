"""What can be told of an invoice that is no domestic e-invoice, and what cannot. Asked before a status is accepted.

Source: DGFiP, external specifications v3.2, notes 30 and 32 (read on 29 November 2026): the administration hears
nothing of the life cycle of international and consumer invoices; their money is e-reported (CGI, art. 290 A).
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .codes import Status
from .processing import INTERNATIONAL, Rule

# Rule to the one sentence that keeps every status from being told.
SILENT: dict[str, Promise | str] = {
    Rule.ARCHIVE_ONLY.value: _("This invoice is only archived, not transmitted: nobody can be told its statuses."),
    Rule.B2C.value: _(
        "This invoice is to a consumer, whom no platform serves: nobody can be told its statuses. Its receipts are "
        "e-reported."
    ),
}
NO_RECEIPT: Promise | str = _(
    "This invoice is international: its receipts are e-reported, not told by a status. Do not declare them here."
)


def objection(rule: str, status: str) -> Promise | str:
    """Why this status of an invoice under this processing rule cannot be told; "" where it can."""
    if rule in SILENT:
        return SILENT[rule]
    if status == Status.PAYMENT_RECEIVED and rule in INTERNATIONAL:
        return NO_RECEIPT
    return ""

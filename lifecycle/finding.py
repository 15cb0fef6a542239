"""Which invoice a platform speaks of."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from invoices.models import Invoice
from providers.base import InvoiceKey, StatusReport
from providers.models import Connection

from .answers import find_answered, reasons_in_words
from .codes import STATUSES, status_label


class UnknownInvoice(Exception):
    """A report names an invoice we do not have."""

    def __init__(self, provider_ref: str) -> None:
        super().__init__(
            _("The platform speaks of invoice %(ref)s, which we do not know (yet). Retried when it arrives.")
            % {"ref": provider_ref}
        )
        self.provider_ref = provider_ref


class UnknownAnswer(UnknownInvoice):
    """An answer names a message, file or transmission that we did not send, or that we do not find again."""

    def __init__(self, report: StatusReport) -> None:
        super().__init__("")
        about = STATUSES[report.status].object.label if report.status else "?"
        told = {
            "status": f"{report.status} {status_label(report.status)}",
            "about": about,
            "answers": report.answers,
            "reasons": "\n".join(reasons_in_words(report)) or "–",
        }
        message = _(
            "The answer %(status)s speaks of “%(answers)s” (%(about)s), which nothing of ours bears. %(reasons)s\n"
            "Ask the platform what it means."
        )
        self.args = (message % told,)


def unknown(report: StatusReport) -> UnknownInvoice:
    """Why a report cannot be recorded with any invoice."""
    return UnknownAnswer(report) if report.answers else UnknownInvoice(waiting_name(report))


class NotShown(UnknownInvoice):
    """The platform announced an invoice that it does not show: its answers may lag behind its pushes."""


def find_invoice(connection: Connection, provider_ref: str) -> Invoice | None:
    # Without a reference are those of ours that the platform has not taken yet.
    rows = Invoice.objects.filter(connection=connection, provider_ref=provider_ref)
    return rows.first() if provider_ref else None


def find_reported(connection: Connection, report: StatusReport, line_identifier: str = "") -> Invoice | None:
    """The invoice of a report: by the platform's reference, by what of ours it answers, or by its names in law."""
    if report.answers and not report.provider_ref:
        answered = find_answered(connection, report.answers)
        return answered.invoice if answered else None
    if report.provider_ref or report.invoice_key is None:
        return find_invoice(connection, report.provider_ref)
    return find_named(connection, report.invoice_key, line_identifier)


def find_named(connection: Connection, key: InvoiceKey, line_identifier: str = "") -> Invoice | None:
    """None also where several fit. Whoever speaks for one addressing line reaches the invoices of that line alone."""
    rows = Invoice.objects.filter(connection=connection, number=key.number)
    if key.seller_siren or not key.is_quoted:
        rows = rows.filter(seller_siren=key.seller_siren)
    if key.direction:
        rows = rows.filter(direction=key.direction)
    if key.issue_date:
        rows = rows.filter(Q(issue_date__year=key.issue_date.year) | Q(issue_date=None))
    if line_identifier:
        rows = rows.filter(addressing_line__identifier=line_identifier)
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def waiting_name(report: StatusReport) -> str:
    """What a delivery waits for, where nobody knows its invoice yet."""
    key = report.invoice_key
    return report.provider_ref if report.provider_ref or key is None else lawful_name(key.seller_siren, key.number)


def lawful_name(seller_siren: str, number: str) -> str:
    return f"{seller_siren}/{number}"[:200]


def get_invoice(connection: Connection, provider_ref: str) -> Invoice:
    invoice = find_invoice(connection, provider_ref)
    if invoice is None:
        raise UnknownInvoice(provider_ref)
    return invoice

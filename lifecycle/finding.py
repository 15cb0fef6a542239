"""Which invoice a platform speaks of."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from invoices.models import Invoice
from providers.base import InvoiceKey, StatusReport
from providers.models import Connection


class UnknownInvoice(Exception):
    """A report names an invoice we do not have."""

    def __init__(self, provider_ref: str) -> None:
        super().__init__(
            _("The platform speaks of invoice %(ref)s, which we do not know (yet). Retried when it arrives.")
            % {"ref": provider_ref}
        )
        self.provider_ref = provider_ref


class NotShown(UnknownInvoice):
    """The platform announced an invoice that it does not show: its answers may lag behind its pushes."""


def find_invoice(connection: Connection, provider_ref: str) -> Invoice | None:
    # Without a reference are those of ours that the platform has not taken yet.
    rows = Invoice.objects.filter(connection=connection, provider_ref=provider_ref)
    return rows.first() if provider_ref else None


def find_reported(connection: Connection, report: StatusReport, line_identifier: str = "") -> Invoice | None:
    """The invoice of a report: by the platform's reference, or by the names it has in law."""
    if report.provider_ref or report.invoice_key is None:
        return find_invoice(connection, report.provider_ref)
    return find_named(connection, report.invoice_key, line_identifier)


def find_named(connection: Connection, key: InvoiceKey, line_identifier: str = "") -> Invoice | None:
    """None also where several fit. Whoever speaks for one addressing line reaches the invoices of that line alone."""
    rows = Invoice.objects.filter(connection=connection, seller_siren=key.seller_siren, number=key.number)
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

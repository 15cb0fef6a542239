"""How long invoices are kept, and how they are purged after that: never before, and not without a trace."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Customer, Invoice
from invoices.people import audit
from invoices.register.origins import held_by
from invoices.register.services import discard_content
from lifecycle.models import PurgedInvoice, RelayAttempt, SeenReport, StatusEvent
from providers.models import Connection, WebhookDelivery

from .events import lock_invoice

SETTLED_DELIVERIES = (WebhookDelivery.State.PROCESSED, WebhookDelivery.State.IGNORED)


class TooEarly(Exception):
    """The invoice must still be kept."""


def today() -> date:
    return timezone.localdate()


def kept_until(invoice: Invoice) -> date:
    """The end of so many calendar years after the year of the last thing that happened to it."""
    last_event = StatusEvent.links.filter(invoice=invoice).aggregate(last=Max("recorded_at"))["last"]
    moments = [timezone.localdate(moment) for moment in (invoice.created_at, last_event) if moment]
    last = max([*moments, *([invoice.issue_date] if invoice.issue_date else [])])
    return date(last.year + invoice.customer.retention_years, 12, 31)


def cutoff(customer: Customer, day: date) -> datetime:
    """What happened before this moment need not be kept on that day."""
    return timezone.make_aware(datetime(day.year - customer.retention_years, 1, 1))


def due_invoices(customer: Customer, day: date) -> QuerySet[Invoice]:
    """The invoices whose `kept_until` has passed."""
    moment = cutoff(customer, day)
    later = StatusEvent.links.filter(invoice=OuterRef("pk"), recorded_at__gte=moment)
    issued_before = Q(issue_date=None) | Q(issue_date__lt=moment.date())
    return Invoice.objects.filter(issued_before, ~Exists(later), customer=customer, created_at__lt=moment)


def due_deliveries(connection: Connection, day: date) -> QuerySet[WebhookDelivery]:
    """Its stored webhooks that no customer it serves has to keep."""
    served = Q(addressing_lines__connection=connection) | Q(invoices__in=Invoice.objects.filter(held_by(connection)))
    moments = [cutoff(customer, day) for customer in Customer.objects.filter(served).distinct()]
    settled = WebhookDelivery.objects.filter(connection=connection, state__in=SETTLED_DELIVERIES)
    return settled.filter(received_at__lt=min(moments)) if moments else settled.none()


def purge(invoice_id: Any, day: date) -> PurgedInvoice:
    """Delete an invoice with its history and files for good. Raises TooEarly."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        until = kept_until(invoice)
        if day <= until:
            raise TooEarly(
                _("Invoice %(invoice)s of %(customer)s must be kept until %(until)s.")
                % {"invoice": invoice, "customer": invoice.customer, "until": until.isoformat()}
            )
        names = list(invoice.documents.values_list("file", flat=True))
        trace = _leave_trace(invoice, until)
        audit.record(audit.Action.PURGED, customer=invoice.customer, subject=invoice)
        _delete_rows(invoice)
    for name in names:
        discard_content(name)
    return trace


def _leave_trace(invoice: Invoice, until: date) -> PurgedInvoice:
    last = StatusEvent.links.filter(invoice=invoice).order_by("sequence").last()
    return PurgedInvoice.objects.create(
        id=invoice.pk,
        customer=invoice.customer,
        number=invoice.number,
        direction=invoice.direction,
        issue_date=invoice.issue_date,
        kept_until=until,
        events=last.sequence if last else 0,
        last_hash=last.hash if last else "",
        documents=sorted(invoice.documents.values_list("sha256", flat=True)),
    )


def _delete_rows(invoice: Invoice) -> None:
    with database.cursor() as cursor:
        # The database refuses to delete events, but for those of the invoice named here, and only after six years.
        cursor.execute("SELECT set_config('navette.purging', %s, true)", [str(invoice.pk)])
    RelayAttempt.objects.filter(relay__invoice=invoice).delete()
    invoice.relays.all().delete()
    SeenReport.objects.filter(invoice=invoice).delete()
    StatusEvent.links.filter(invoice=invoice).delete()
    invoice.documents.all().delete()
    invoice.delete()

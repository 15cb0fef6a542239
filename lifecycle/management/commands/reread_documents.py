"""Reads the stored documents of all invoices again, so that what newer versions take from them is known of old ones."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Q

from invoices.models import Invoice
from invoices.register.services import reread
from lifecycle.history.events import project_anew
from providers.norm.codes import Status


class Command(BaseCommand):
    help = (
        "Read the stored documents of all invoices again, oldest first: columns that a newer version fills get their "
        "values, and the accounts suppliers named so far are known. What follows from histories is worked out again: "
        "an invoice closed by the rejection of its double is open again, with its number. May be stopped and run again."
    )

    def handle(self, **options: Any) -> None:
        rows = Invoice.objects.order_by("created_at", "pk")
        ids = rows.exclude(documents=None).values_list("pk", flat=True).distinct()
        results = [reread(invoice_id) for invoice_id in ids.iterator()]
        self.stdout.write(f"{sum(results)} invoices read again, {len(results) - sum(results)} cannot be read.")
        # Whose status or due date an older version may have taken from the same events otherwise.
        others = rows.filter(Q(status=Status.REJECTED) | ~Q(instalments=[])).values_list("pk", flat=True)
        if changed := sum(project_anew(invoice_id) for invoice_id in others.iterator()):
            self.stdout.write(f"{changed} invoices stand otherwise now.")

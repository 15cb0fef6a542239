"""Reads the stored documents of all invoices again, so that what newer versions take from them is known of old ones."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from invoices.models import Invoice
from invoices.services import reread


class Command(BaseCommand):
    help = (
        "Read the stored documents of all invoices again, oldest first: columns that a newer version fills get their "
        "values, and the accounts suppliers named so far are known. Statuses stay; may be stopped and run again."
    )

    def handle(self, **options: Any) -> None:
        ids = (
            Invoice.objects.exclude(documents=None).order_by("created_at", "pk").values_list("pk", flat=True).distinct()
        )
        results = [reread(invoice_id) for invoice_id in ids.iterator()]
        self.stdout.write(f"{sum(results)} invoices read again, {len(results) - sum(results)} cannot be read.")

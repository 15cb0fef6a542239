"""Making a platform serve an addressing line of ours."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from providers.base import Party
from providers.registry import as_line, get_adapter

from .models import AddressingLine


def set_up_line(*, line: AddressingLine) -> dict[str, Any]:
    """Idempotent. Returns the settings it learned, which are kept with the line. Raises PlatformError.

    The platform is called outside any transaction: what it made stays made, and is found again by the next try.
    """
    customer = line.customer
    owner = Party(name=customer.name, siren=customer.siren, vat_number=customer.vat_number)
    kept = get_adapter(line.connection).set_up_line(as_line(line), owner)
    learned = {name: value for name, value in kept.items() if line.settings.get(name) != value}
    if learned:
        with transaction.atomic():
            row = AddressingLine.objects.select_for_update().get(pk=line.pk)
            row.settings = {**row.settings, **learned}
            row.save(update_fields=["settings"])
    return learned

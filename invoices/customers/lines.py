"""Making a platform serve an addressing line of ours."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from invoices.models import AddressingLine
from providers.connections.registry import as_line, get_adapter
from providers.contract.base import Party, PermanentError
from providers.contract.kinds import find_adapter_class
from providers.models import Connection


class OfAnotherCompany(PermanentError):
    """What names a company at the platform is the name of another customer there."""


def refuse_shared_identifiers(line: AddressingLine) -> None:
    """Raises OfAnotherCompany. Inside the transaction that saves the line: until it ends no other line of the
    connection can be saved so.
    """
    cls = find_adapter_class(line.connection.kind)
    names = [field.name for field in cls.line_setting_fields if field.of_one_company] if cls else []
    given = {name: str(value).strip() for name in names if (value := line.settings.get(name))}
    if not given:
        return
    Connection.objects.select_for_update().get(pk=line.connection_id)
    others = AddressingLine.objects.filter(connection=line.connection_id).exclude(customer=line.customer_id)
    for settings in others.values_list("settings", flat=True):
        for name, value in given.items():
            if str(settings.get(name) or "").strip() == value:
                told = {"line": line, "name": name, "value": value}
                raise OfAnotherCompany(_taken() % told)


def _taken() -> str:
    return _(
        "%(line)s: %(name)s %(value)s is that of another customer of this connection. Look the right one up at the "
        "platform."
    )


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
            refuse_shared_identifiers(row)
            row.save(update_fields=["settings"])
    return learned

"""Plain functions that make rows for tests. Every company is invented; SIRENs have valid check digits."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth import get_user_model

from invoices.models import AddressingLine, ApiToken, Customer, Invoice, Membership
from lifecycle.history import events
from providers.connections.sealing import Secrets
from providers.contract.base import StatusReport
from providers.models import Connection, WebhookDelivery

SIREN = "800112237"
OTHER_SIREN = "905334413"

_numbers = itertools.count(1)


def make_siren(number: int) -> str:
    """A nine-digit number with a valid check digit."""
    body = f"{number:08d}"
    digits = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(body)]
    total = sum(digit - 9 if digit > 9 else digit for digit in digits)
    return f"{body}{-total % 10}"


def make_customer(siren: str = SIREN, **values: Any) -> Customer:
    values.setdefault("name", f"Customer {siren}")
    return Customer.objects.get_or_create(siren=siren, defaults=values)[0]


def make_connection(kind: str = "fake", **values: Any) -> Connection:
    values.setdefault("name", f"{kind}-{next(_numbers)}")
    values["secrets"] = Secrets(values.get("secrets", {}))
    return Connection.objects.create(kind=kind, **values)


def make_line(customer: Customer, connection: Connection, identifier: str = "") -> AddressingLine:
    return AddressingLine.objects.create(
        customer=customer, connection=connection, identifier=identifier or customer.siren
    )


def make_user(customer: Customer | None = None, role: str = "reader", **values: Any) -> Any:
    user = get_user_model().objects.create_user(values.pop("username", f"user{next(_numbers)}"), **values)
    if customer:
        Membership.objects.create(user=user, customer=customer, role=role)
    return user


def make_token(user: Any) -> str:
    """A token of the REST API, as its owner was shown it."""
    token = ApiToken.new_token()
    ApiToken.objects.create(user=user, digest=ApiToken.digest_of(token), hint=token[-4:])
    return token


def make_invoice(
    customer: Customer | None = None, connection: Connection | None = None, statuses: Any = (), **values: Any
) -> Invoice:
    """An invoice whose history is `statuses`, as its platform reported them."""
    number = next(_numbers)
    defaults = {
        "provider_ref": f"ref-{number}",
        "number": f"F-2026-{number:04d}",
        "direction": "received",
        "type_code": "380",
        "currency": "EUR",
        "seller_name": "Papeterie du Pont",
        "seller_siren": OTHER_SIREN,
        "buyer_name": "Atelier Dupont",
        "buyer_siren": SIREN,
    }
    invoice = Invoice.objects.create(
        customer=customer or make_customer(), connection=connection or make_connection(), **(defaults | values)
    )
    for status in statuses:
        make_event(invoice, status)
    invoice.refresh_from_db()
    return invoice


def make_delivery(connection: Connection, **values: Any) -> WebhookDelivery:
    values.setdefault("key", f"delivery-{next(_numbers)}")
    return WebhookDelivery.objects.create(connection=connection, body=b"{}", url="https://navette.test/", **values)


def make_event(invoice: Invoice, status: str | None, **values: Any) -> Any:
    """A status as the invoice's platform reports it; returns the event, or None if it was known."""
    values.setdefault("key", f"report-{next(_numbers)}")
    report = StatusReport(provider_ref=invoice.provider_ref, status=status, **values)
    return events.record_report(invoice.pk, report)

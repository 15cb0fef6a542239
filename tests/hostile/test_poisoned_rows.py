"""Whatever stands in a row, every page, answer, admin page and export that shows it comes, and comes soon."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection as database
from django.db import models
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from invoices.models import Invoice, InvoiceDocument, Validation
from invoices.register import services as invoices
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayAttempt, RelayState, RelayTask, StatusEvent
from providers.contract.base import File
from providers.models import Connection, RefusedRequest, WebhookDelivery
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_delivery, make_invoice, make_line, make_user
from tests.invoices.odd_files import UBL

pytestmark = pytest.mark.django_db

SECONDS = 4
FIRST, LAST = date(1, 1, 1), date(9999, 12, 31)
RTL = "\u202e\u2066abc\u200f"
# As JSON keeps what PostgreSQL cannot: halves of pairs and NUL are told with a backslash.
ODD = "\\ud800 \\u0000 " + RTL + " <script>alert(1)</script> \U0010ffff"
DEEP: Any = "end"
for _level in range(60):
    DEEP = [DEEP]

LONG = "é" * 1_000_000
TIMES = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
OBJECTS = [{"code": 1, "text": [], "amount": "1E+999999999"}]
# A column takes the next of its kind where the column before took this one, and another in the other round.
TEXTS, NUMBERS, JSONS = (ODD, LONG, ""), (1, -1, 0), (10**300, OBJECTS, [None, [[]], DEEP], ODD)


@dataclass(frozen=True)
class Round:
    day: date
    time: datetime
    start: int


ROUNDS = {"first days": Round(FIRST, TIMES[0], 0), "last days": Round(LAST, TIMES[1], 1)}
# What addresses and rights hang on, and the marks by which a history is proven.
KEPT = {
    "id", "kind", "hash", "previous_hash", "head_seal", "tries_hash", "tries_seal", "key", "username", "password",
    "token", "digest", "siren", "identifier", "secrets", "callback", "sha256", "leased_until",
}  # fmt: skip
MODELS = (
    Invoice,
    InvoiceDocument,
    Validation,
    StatusEvent,
    RelayTask,
    RelayAttempt,
    WebhookDelivery,
    Connection,
    RefusedRequest,
)
# Written by our own code alone, in its own shape: what others said stands inside it.
SHAPED: dict[str, Any] = {
    "reasons": [{"code": ODD[:20], "text": LONG}],
    "payments": [{"amount": "9" * 400, "vat_rate": "-1E+9", "currency": RTL}],
    "warnings": [LONG, ODD],
    "preceding_numbers": [ODD],
    "preceding_dates": [None],
    "check_results": [{"name": ODD, "ok": False, "message": LONG}],
    "headers": {ODD: LONG},
    "findings": [],
    "checked": [],
    "vat_breakdown": [{"category": ODD, "rate": "1E+999999999", "base": "9" * 400, "amount": None}],
    "instalments": [],
    "settings": {"api_url": ODD, "unknown": [DEEP]},
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, client: Any) -> dict[str, Any]:
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    make_line(customer, connection)
    clerk = make_user(customer, "clerk")
    invoice = make_invoice(customer, connection, statuses=["203"])
    relay, _new = services.issue_status(user=clerk, invoice_id=invoice.pk, wish=Wish(status="204"))
    RelayTask.objects.update(state=RelayState.FAILED, last_error="Refused.")
    RelayAttempt.objects.create(relay=relay, kind="send", started_at=timezone.now(), outcome="failed", duration_ms=1)
    document = invoices.store_document(invoice=invoice, file=File(kind="original", content=UBL.encode()))
    delivery = make_delivery(connection)
    RefusedRequest.objects.create(connection=connection, status_code=401, reason="x")
    boss = make_user(customer, "administrator", username="boss", is_staff=True, is_superuser=True)
    client.force_login(boss)
    client.raise_request_exception = False
    return {
        "invoice_id": invoice.pk, "relay_id": relay.pk, "delivery_id": delivery.pk, "connection_id": connection.pk,
        "document_id": document.pk, "event_id": relay.event_id, "status": "207", "index": 0, "name": connection.name,
        "siren": customer.siren, "identifier": customer.siren,
    }  # fmt: skip


def poison(values: Round) -> None:
    """Every column of every row takes a value of its kind; where the database refuses it, it keeps its own."""
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("lifecycle_statusevent", "lifecycle_relayattempt"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    columns = ((model, field) for model in MODELS for field in model._meta.concrete_fields)
    for place, (model, field) in enumerate(columns, values.start):
        value = poisoned(field, values, place)
        if value is not None:
            write(model, field, value[0])


def poisoned(field: models.Field[Any, Any], values: Round, place: int) -> tuple[Any] | None:
    if field.is_relation or field.choices or field.unique or field.name in KEPT:
        return None
    if field.name == "ppf_duty":
        return (True,)
    if isinstance(field, models.DateTimeField):
        return (values.time,)
    if isinstance(field, models.DateField):
        return (values.day,)
    if isinstance(field, models.DecimalField):
        largest = Decimal(10) ** (field.max_digits - field.decimal_places) - 1
        return (NUMBERS[place % len(NUMBERS)] * largest,)
    if isinstance(field, models.JSONField):
        return (SHAPED[field.name] if field.name in SHAPED else JSONS[place % len(JSONS)],)
    if isinstance(field, models.CharField | models.TextField):
        return (TEXTS[place % len(TEXTS)][: field.max_length],)
    return None


def write(model: type[models.Model], field: models.Field[Any, Any], value: Any) -> None:
    from django.db import DatabaseError, transaction

    rows = StatusEvent.links if model is StatusEvent else model._default_manager
    try:
        with transaction.atomic():
            rows.update(**{field.name: value})
    except DatabaseError:  # a constraint: such a row cannot be
        return


def addresses(world: dict[str, Any]) -> list[str]:
    """Every address of ours that the world can fill in, and every page of the admin that shows a row."""
    found = {filled for name in names(get_resolver(), "") if (filled := fill(name, world))}
    for model in admin.site._registry:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.add(reverse(f"{place}_changelist"))
        found |= {reverse(f"{place}_change", args=[row.pk]) for row in model._default_manager.all()[:2]}
    return sorted(found)


def names(resolver: URLResolver, space: str) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            inner = f"{space}{each.namespace}:" if each.namespace else space
            found += names(each, inner) if inner.split(":")[0] not in ("admin", "socialaccount") else []
        elif isinstance(each, URLPattern) and each.name:
            found.append((space + each.name, tuple(each.pattern.converters)))
    return found


def fill(named: tuple[str, tuple[str, ...]], world: dict[str, Any]) -> str:
    name, parts = named
    if name.split(":")[0] in ("account_logout", "providers") or not set(parts) <= set(world):
        return ""
    try:
        return reverse(name, kwargs={part: world[part] for part in parts})
    except NoReverseMatch:
        return ""


@pytest.mark.parametrize("values", ROUNDS.values(), ids=ROUNDS)
def test_everything_shows_what_is_stored(client, world, values):
    poison(values)
    event, invoice = StatusEvent.objects.first(), Invoice.objects.get()
    assert (event.payments, event.occurred_at) == (SHAPED["payments"], values.time)
    assert (invoice.vat_breakdown, invoice.issue_date) == (SHAPED["vat_breakdown"], values.day)

    failed, slow = [], []
    for address in addresses(world):
        began = time.process_time()
        response = client.get(address)
        if response.streaming:
            b"".join(response.streaming_content)
        if response.status_code >= 500 and not address.startswith(("/readyz", "/metrics")):
            failed.append((address, response.status_code))
        if time.process_time() - began > SECONDS:
            slow.append(address)

    assert (failed, slow) == ([], [])

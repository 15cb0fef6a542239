"""Every secret of both ends, and every place where a person, a log or a row could show one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from psycopg import sql

from invoices.models import AddressingLine, Invoice
from lifecycle.models import RelayTask
from providers.connections.services import check_connection
from providers.models import CachedToken, Connection, Hook, Subscription, WebhookDelivery

from .platforms import Desk

ROWS_LOOKED_AT = 5
# Sealed or hashed by others than us, and the one column that has to hold our own addresses.
TABLES_APART = {"django_session", "providers_hook", "providers_webhookdelivery"}
LISTS = ("worklist", "invoices", "relays", "deliveries", "connections", "dashboard")
API_LISTS = ("invoice", "relay", "delivery", "line", "connection", "customer")
SHORTEST = 8  # characters of what can be searched for without finding it by chance


def secrets_of(desk: Desk) -> set[str]:
    """What either end keeps: given by people, made at a registration, or issued for an hour."""
    here = list(_kept_here())
    there = [name for kind in ("acube", "billit", "cegid", "afnor") for name in _state(desk, kind).tokens]
    there += [webhook.secret for webhook in _state(desk, "billit").webhooks.values()]
    there += [row["destination"].auth_token for row in _state(desk, "afnor").destinations.values()]
    there += [each.auth_token for each in _state(desk, "acube").destinations.values()]
    there += [_state(desk, "seqino").webhook["secret"]]
    for row in _state(desk, "cegid_od").lines.values():
        there += [row["apiKey"].partition(":")[2], row["subscriptionKey"], row["callback"]]
    return {secret for secret in (*here, *there) if len(secret) >= SHORTEST}


def _state(desk: Desk, kind: str) -> Any:
    return desk.sandbox.sandbox.state.of_dialect[kind]


def _kept_here() -> Iterator[str]:
    for row in (*Connection.objects.all(), *AddressingLine.objects.all()):
        for secret in row.secrets.values():
            yield from (secret, secret.partition(":")[2])
    for cached in CachedToken.objects.all():
        # Beside the secret, what a platform gave holds its state and where it is called.
        names = {"token", "secret", "key", "refresh_token"}
        yield from (value for name, value in cached.value.items() if name in names)
    # Where others want to be called; our own addresses are shown to administrators, to be copied.
    callbacks = [row.callback.get("url", "") for row in Subscription.objects.all()]
    yield from (url for url in callbacks if not any(token in url for token in hook_tokens()))


def hook_tokens() -> set[str]:
    return set(Hook.objects.values_list("token", flat=True))


def shown_to_people(administrator: Client) -> Iterator[str]:
    """The admin's lists and forms, our pages, the API's lists and details, and what objects call themselves."""
    paths = [reverse(f"lifecycle:{name}") for name in LISTS]
    paths += [reverse(f"api:{name}-list") for name in API_LISTS]
    for model in admin.site._registry:
        paths.append(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        for row in model._default_manager.all()[:ROWS_LOOKED_AT]:
            paths.append(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk]))
            yield f"{row!r} {row} {vars(row)}"
    for name, model in (("invoice", Invoice), ("relay", RelayTask), ("delivery", WebhookDelivery)):
        for row in model._default_manager.all()[:ROWS_LOOKED_AT]:
            paths.append(reverse(f"api:{name}-detail", args=[row.pk]))
            paths += [reverse(f"lifecycle:{name}", args=[row.pk])] if name != "relay" else []
    for path in paths:
        answer = administrator.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        yield b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()
    for connection in Connection.objects.all():
        yield str(check_connection(connection))


def stored() -> Iterator[str]:
    """Every row of every table as text: tasks, errors, answers, learned facts. Sealed columns stay sealed."""
    with database.cursor() as cursor:
        for table in sorted(set(database.introspection.table_names(cursor)) - TABLES_APART):
            cursor.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            yield from (row[0] for row in cursor.fetchall())
    for row in WebhookDelivery.objects.all():
        yield f"{json.dumps(row.headers)} {row.body_text} {row.error} {row.key}"

"""What the webhook door does besides verifying: the platforms' own cases are in their contract batteries."""

import json

import pytest
from django.db import connection
from django.utils import timezone

from providers import services
from providers.base import HookRequest
from providers.models import WebhookDelivery
from tests.factories import make_connection


def test_push_that_accepts_only_html_is_still_answered_plainly(client, db):
    answer = client.post("/hooks/acube/closed/", b"{}", content_type="application/json", HTTP_ACCEPT="text/html")

    assert (answer.status_code, answer["Content-Type"]) == (410, "text/plain; charset=utf-8")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_get_of_a_hook_is_refused_with_a_readable_body(client, db):
    answer = client.get("/hooks/acube/closed/")

    assert answer.status_code == 405
    assert json.loads(answer.content)["status"] == 405


@pytest.mark.django_db(transaction=True)
def test_delivery_is_stored_although_the_kept_database_connection_was_lost():
    hook = services.open_hook(connection=make_connection())[0]
    pushed = HookRequest(
        method="POST", url="http://127.0.0.1/hooks/", headers={}, body=b"{}", received_at=timezone.now()
    )
    other = connection.copy()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (mine,) = cursor.fetchone()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [mine])
    other.close()

    services.store_delivery(hook=hook, pushed=pushed, key="event-1")

    assert [row.key for row in WebhookDelivery.objects.all()] == ["event-1"]

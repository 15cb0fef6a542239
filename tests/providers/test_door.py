"""What the webhook door does besides verifying: the platforms' own cases are in their contract batteries."""

import json
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from providers.connections import services
from providers.contract.base import HookRequest
from providers.models import WebhookDelivery
from tests.factories import make_connection
from tests.scripted import SECRET


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


REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'as the database says it' USING ERRCODE = '{code}';
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON providers_webhookdelivery FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("code", "status"),
    [("53100", 503), ("53200", 503), ("25006", 503), ("57014", 503), ("40P01", 503), ("55P03", 503), ("42703", 500)],
    ids=["disk full", "out of memory", "read-only", "statement timeout", "deadlock", "lock timeout", "our own fault"],
)
def test_push_that_the_database_does_not_take_now_is_to_come_again(client, platform, code, status):
    hook = services.open_hook(connection=make_connection("scripted"))[0]
    path, body = urlsplit(hook.url).path, json.dumps({"key": "event-1"})
    client.raise_request_exception = False

    def push():
        return client.post(path, body, content_type="application/json", headers={"X-Secret": SECRET})

    with connection.cursor() as cursor:
        cursor.execute(REFUSE.format(code=code))
    answer = push()
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, "30" if status == 503 else None)
    assert (push().status_code, [row.key for row in WebhookDelivery.objects.all()]) == (204, ["event-1"])

"""A database that takes nothing now (full, read-only, locked, slow): page and API say so, keep nothing, and recover.

What platforms push has its own test (tests/providers/test_door.py), and so has what the worker records (test_speaking).
"""

import json

import pytest
from django.db import connection
from django.urls import reverse

from invoices.models import Comment
from lifecycle.models import RelayTask, StatusEvent
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_invoice, make_line, make_token, make_user

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("invoices_comment", "lifecycle_statusevent")
REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'as the database says it' USING ERRCODE = '{code}';
    END $$;
"""
CODES = {
    "disk full": ("53100", 503),
    "read-only": ("25006", 503),
    "statement timeout": ("57014", 503),
    "deadlock": ("40P01", 503),
    "serialization failure": ("40001", 503),
    "server shutting down": ("57P01", 503),
    "our own fault": ("42703", 500),
}
WORDS = {
    503: "The database cannot do this now: nothing was kept. Try again in a moment.",
    500: "Something went wrong on our side. It was logged; try again later.",
}


@pytest.fixture(params=CODES.values(), ids=CODES)
def refused(request, approver):
    """The status that a refused write is answered with."""
    code, status = request.param
    with connection.cursor() as cursor:
        cursor.execute(REFUSE.format(code=code))
        for table in TABLES:
            cursor.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()")
    yield status
    recover()


def recover():
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS refuse CASCADE")


@pytest.fixture
def invoice(client, monkeypatch):
    fake_provider.register(monkeypatch)
    client.raise_request_exception = False
    platform = make_connection()
    line = make_line(make_customer(), platform)
    return make_invoice(line.customer, platform, statuses=["203"])


@pytest.fixture
def approver(invoice):
    return make_user(invoice.customer, "approver")


def test_page_says_that_the_database_is_in_the_way(client, invoice, approver, refused):
    client.force_login(approver)
    path = reverse("lifecycle:comment", args=[invoice.pk])

    def answer():
        return client.post(path, {"text": "Vu."}, headers={"Accept-Language": "en"})

    met = answer()
    told = (met.status_code, met.headers.get("Retry-After"), WORDS[503] in met.text)
    assert told == (refused, "30" if refused == 503 else None, refused == 503)

    recover()
    assert (answer().status_code, Comment.objects.count()) == (302, 1)


def test_api_says_that_the_database_is_in_the_way(client, invoice, approver, refused):
    headers = {"Authorization": f"Token {make_token(approver)}", "Idempotency-Key": "one", "Accept-Language": "en"}
    path, body = f"/api/v1/invoices/{invoice.pk}/decisions/", json.dumps({"status": "204"})

    def answer():
        return client.post(path, body, content_type="application/json", headers=headers)

    met = answer()
    told = (met.status_code, met.headers.get("Retry-After"), met.json()["detail"])
    assert told == (refused, "30" if refused == 503 else None, WORDS[refused])
    assert (StatusEvent.objects.filter(status="204").count(), RelayTask.objects.count()) == (0, 0)

    recover()
    assert (answer().status_code, RelayTask.objects.count()) == (201, 1)

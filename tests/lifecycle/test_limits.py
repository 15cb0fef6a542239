"""How often software and people may ask, and how they are told when it is too often."""

import pytest
from django.urls import reverse

from invoices.people import tokens
from providers.connections.limits import Limit, spend
from providers.models import RateWindow
from tests.factories import make_customer, make_invoice, make_user

pytestmark = pytest.mark.django_db
LIST = "/api/v1/customers/"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = [1_800_000_010]
    monkeypatch.setattr("providers.connections.limits.time.time", lambda: now[0])
    return now


@pytest.fixture
def user():
    return make_user(make_customer(), "administrator")


def call(client, user, path=LIST):
    return client.get(path, headers={"Authorization": f"Token {tokens.make(user=user)[1]}"})


def test_count_begins_anew_with_each_window(clock):
    limit = Limit("test", 2, 60)
    counts = [(spent.count, spent.is_over, spent.resets_in) for spent in (spend(limit, "a") for _time in range(3))]
    clock[0] += 50
    assert counts == [(1, False, 50), (2, False, 50), (3, True, 50)]
    assert (spend(limit, "a").count, spend(limit, "b").count, RateWindow.objects.count()) == (1, 1, 2)


def test_call_beyond_the_limit_is_told_when_to_go_on(client, user, settings):
    settings.API_CALLS_PER_MINUTE = 2
    headers = {"Authorization": f"Token {tokens.make(user=user)[1]}"}
    answers = [client.get(LIST, headers=headers) for _call in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"calls";r=1;t=50', '"calls";r=0;t=50', '"calls";r=0;t=50',
    ]  # fmt: skip
    refused = answers[-1]
    assert (refused.headers["Content-Type"], refused.headers["Retry-After"]) == ("application/problem+json", "50")
    assert (refused.headers["RateLimit-Policy"], refused.json()["status"]) == ('"calls";q=2;w=60', 429)


def test_each_token_and_each_person_counts_apart(client, user, settings):
    settings.API_CALLS_PER_MINUTE = 1
    assert [call(client, user).status_code for _token in range(2)] == [200, 200]
    client.force_login(user)
    assert [client.get(LIST).status_code for _call in range(2)] == [200, 429]


def test_exports_count_together_by_page_and_api(client, user, settings):
    settings.EXPORTS_PER_MINUTE = 2
    invoice = make_invoice()
    client.force_login(user)
    answers = [
        client.get(reverse("lifecycle:export_one", args=[invoice.pk])),
        client.get(reverse("lifecycle:export_audit_log")),
        client.get(reverse("lifecycle:export_one", args=[invoice.pk])),
        call(client, user, f"/api/v1/invoices/{invoice.pk}/export/"),
    ]
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers] == [
        (200, None), (200, None), (429, "50"), (429, "50"),
    ]  # fmt: skip


def test_previews_are_limited(client, user, settings):
    settings.PREVIEWS_PER_MINUTE = 0
    client.force_login(user)
    answer = client.get(reverse("invoices:readable_pdf", args=[make_invoice().pk]))
    assert (answer.status_code, answer.content.decode()) == (
        429, "Trop de demandes en peu de temps. Continuez dans 50 secondes.",
    )  # fmt: skip

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from providers.models import Connection, WebhookDelivery

pytestmark = pytest.mark.django_db


def wait(seconds: int, *, state: str = "received") -> None:
    account, _ = Connection.objects.get_or_create(name="acube-main", defaults={"kind": "acube"})
    since = timezone.now() - timedelta(seconds=seconds)
    WebhookDelivery.objects.create(
        connection=account, key=f"{seconds}", body=b"{}", state=state, received_at=since, next_attempt_at=since
    )


def figures(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_alive_says_so(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_ready_with_empty_queues(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": "answers",
        "unapplied_migrations": [],
        "oldest_waiting_seconds": {"deliveries": 0, "relays": 0, "validations": 0},
    }


def test_ready_is_late_when_a_delivery_waits_for_minutes(client: Client) -> None:
    wait(3600)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "late"
    assert round(response.json()["oldest_waiting_seconds"]["deliveries"]) == 3600


def test_ready_ignores_deliveries_that_are_settled(client: Client) -> None:
    wait(3600, state="processed")
    assert client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize(
    ("lane", "values", "status"),
    [
        ("ingest", {"state": "paused"}, "ready"),
        ("fetch", {"state": "paused"}, "ready"),
        ("fetch", {"health": "outage"}, "ready"),
        ("fetch", {"quiet_until": timezone.now() + timedelta(hours=1)}, "ready"),
        ("fetch", {"quiet_until": timezone.now() - timedelta(hours=1)}, "late"),
        ("ingest", {"health": "outage"}, "late"),
    ],
)
def test_what_waits_for_its_connection_is_not_late(
    client: Client, lane: str, values: dict[str, object], status: str
) -> None:
    wait(3600)
    WebhookDelivery.objects.update(lane=lane)
    Connection.objects.update(**values)
    assert client.get("/readyz").json()["status"] == status


def test_unready_with_an_unapplied_migration(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["unapplied_migrations"] == ["sessions.0001_initial"]


def test_metrics_count_the_queues(client: Client) -> None:
    wait(60)
    wait(90)
    wait(70, state="quarantined")
    found = figures(client)
    assert found['navette_deliveries{state="received"}'] == 2
    assert found['navette_deliveries{state="quarantined"}'] == 1
    assert found['navette_relays{state="failed"}'] == 0
    assert round(found['navette_queue_age_seconds{queue="deliveries"}']) == 90


def test_metrics_refuse_other_machines(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403


def test_metrics_refuse_what_a_proxy_on_this_machine_passes_on(client: Client) -> None:
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403


@pytest.mark.parametrize(("given", "status"), [("Bearer s3same", 200), ("Bearer wrong", 403), ("", 403)])
def test_metrics_ask_for_the_token(client: Client, settings: Settings, given: str, status: int) -> None:
    settings.METRICS_TOKEN = "s3same"
    assert client.get("/metrics", headers={"Authorization": given}).status_code == status

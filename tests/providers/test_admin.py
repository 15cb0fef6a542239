"""Connections in the admin: secrets are written and never read, and who may change what."""

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoices.people.staff import grant_administrator_permissions
from providers.connections.services import open_hook
from providers.models import Connection, Hook, RefusedRequest
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_line,
    make_user,
)

pytestmark = pytest.mark.django_db

SECRET = "correct-horse-battery-staple"
LIST = reverse("admin:providers_connection_changelist")


@pytest.fixture(autouse=True)
def _fake_platform(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def connection():
    return make_connection(settings={"api_url": "https://api.example.test/"}, secrets={"password": SECRET, "pin": "1"})


@pytest.fixture
def staff(client, connection):
    """An administrator of the one customer that the connection serves, signed in."""
    customer = make_customer()
    make_line(customer, connection)
    user = make_user(customer, "administrator")
    grant_administrator_permissions(user)
    client.force_login(user)
    return client


def page_of(connection: Connection) -> str:
    return reverse("admin:providers_connection_change", args=[connection.pk])


def form_of(**values: str) -> dict[str, str]:
    inline = {"hooks-TOTAL_FORMS": "0", "hooks-INITIAL_FORMS": "0"}
    known = {"name": "fake-1", "environment": "sandbox", "state": "active"}
    settings = {"setting_api_url": "https://api.example.test/", "setting_page_size": "50", "setting_mode": "slow"}
    return inline | known | settings | values


def run_action(client, name: str, *rows: Connection):
    return client.post(LIST, {"action": name, "_selected_action": [row.pk for row in rows]})


def texts(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_stored_secret_is_on_no_page(admin_client, connection):
    pages = [page_of(connection), LIST, reverse("admin:providers_connection_history", args=[connection.pk])]

    bodies = [admin_client.get(page).content.decode() for page in pages]

    assert [body.count(SECRET) for body in bodies] == [0, 0, 0]
    assert bodies[0].count('name="secret_password"') == 1


def test_secret_stays_out_of_the_page_when_the_form_is_wrong(admin_client, connection):
    wrong = form_of(secret_password="a-new-secret-typed-now", setting_page_size="many")

    response = admin_client.post(page_of(connection), wrong)

    assert response.status_code == 200
    assert [*response.context["adminform"].form.errors] == ["setting_page_size"]
    assert response.content.decode().count("a-new-secret-typed-now") == 0


def test_empty_secret_keeps_the_stored_one(admin_client, connection):
    response = admin_client.post(page_of(connection), form_of(secret_password="", setting_page_size="20"))

    assert response.status_code == 302
    connection.refresh_from_db()
    assert dict(connection.secrets) == {"password": SECRET, "pin": "1"}
    assert connection.settings == {"api_url": "https://api.example.test/", "page_size": 20}


def test_new_secret_replaces_one_and_is_not_logged(admin_client, connection):
    admin_client.post(page_of(connection), form_of(secret_password="a-new-secret"))

    connection.refresh_from_db()
    assert dict(connection.secrets) == {"password": "a-new-secret", "pin": "1"}
    entry = LogEntry.objects.get()
    assert "a-new-secret" not in entry.change_message + entry.object_repr
    assert "password" in entry.change_message


def test_optional_secret_can_be_forgotten_and_a_required_one_cannot(admin_client, connection):
    refused = admin_client.post(page_of(connection), form_of(forget_secrets="password"))
    admin_client.post(page_of(connection), form_of(forget_secrets="pin"))

    assert [*refused.context["adminform"].form.errors] == ["forget_secrets"]
    connection.refresh_from_db()
    assert dict(connection.secrets) == {"password": SECRET}


def test_missing_required_secret_is_asked_for(admin_client):
    connection = make_connection(name="fake-1")

    response = admin_client.post(page_of(connection), form_of())

    assert [*response.context["adminform"].form.errors] == ["secret_password"]


def test_secret_without_its_key_can_be_entered_anew(admin_client, connection, settings):
    sealed = Connection.objects.get().secrets.sealed()
    settings.SECRETS_KEYS = [Fernet.generate_key().decode()]

    shown = admin_client.get(page_of(connection))
    admin_client.post(page_of(connection), form_of(setting_page_size="20"))
    settings_only = Connection.objects.get()
    still_sealed = settings_only.secrets.sealed()
    admin_client.post(page_of(connection), form_of(secret_password="a-new-secret"))

    assert shown.status_code == 200
    assert still_sealed == sealed
    assert settings_only.settings["page_size"] == 20
    assert dict(Connection.objects.get().secrets) == {"password": "a-new-secret"}


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_are_typed_and_defaults_are_not_stored(admin_client, connection):
    typed = {"setting_page_size": "20", "setting_strict": "on", "setting_mode": "fast", "setting_tags": "a\r\n\r\n b "}
    admin_client.post(page_of(connection), form_of(**typed))
    connection.refresh_from_db()
    changed = connection.settings

    admin_client.post(page_of(connection), form_of())
    connection.refresh_from_db()

    assert changed == {
        "api_url": "https://api.example.test/", "page_size": 20, "strict": True, "mode": "fast", "tags": ["a", "b"],
    }  # fmt: skip
    assert connection.settings == {"api_url": "https://api.example.test/"}


def test_new_connection_starts_paused_and_leads_to_its_fields(admin_client):
    response = admin_client.post(
        reverse("admin:providers_connection_add"), {"name": "acube-main", "kind": "acube", "environment": "sandbox"}
    )

    connection = Connection.objects.get()
    assert response.url == page_of(connection)
    assert connection.state == Connection.State.PAUSED
    assert Hook.objects.get().connection == connection
    assert admin_client.get(response.url).content.decode().count(Hook.objects.get().url) == 1


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["connection", "webhookdelivery", "refusedrequest"])
def test_who_is_no_staff_is_sent_to_the_login(client, model):
    client.force_login(make_user(make_customer(), "administrator"))

    response = client.get(reverse(f"admin:providers_{model}_changelist"))

    assert response.status_code == 302


def test_staff_of_another_customer_sees_nothing(client, connection):
    make_line(make_customer(), connection)
    make_delivery(connection)
    RefusedRequest.objects.create(connection=connection, status_code=401, reason="forged")
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")
    grant_administrator_permissions(stranger)
    client.force_login(stranger)

    counts = [
        client.get(reverse(f"admin:providers_{model}_changelist")).context["cl"].result_count
        for model in ("connection", "webhookdelivery", "refusedrequest")
    ]
    page = client.get(page_of(connection))

    assert counts == [0, 0, 0]
    assert page.status_code == 302


def test_administrator_changes_the_own_connection(staff, connection):
    response = staff.post(page_of(connection), form_of(secret_password="a-new-secret"))

    assert response.status_code == 302
    connection.refresh_from_db()
    assert connection.secrets["password"] == "a-new-secret"


def test_connection_shared_with_another_customer_is_not_shown(staff, connection):
    make_line(make_customer(OTHER_SIREN), connection)

    page = staff.get(page_of(connection))
    written = staff.post(page_of(connection), form_of(secret_password="a-new-secret"))
    run_action(staff, "pause", connection)

    assert [page.status_code, written.status_code] == [302, 302]  # to the index, as for a row that does not exist
    connection.refresh_from_db()
    assert connection.secrets["password"] == SECRET
    assert connection.state == Connection.State.ACTIVE


def test_administrator_cannot_add_or_delete_connections(staff, connection):
    add = staff.get(reverse("admin:providers_connection_add"))
    delete = staff.post(reverse("admin:providers_connection_delete", args=[connection.pk]), {"post": "yes"})

    assert (add.status_code, delete.status_code) == (403, 403)


# --- actions ----------------------------------------------------------------------------------------------------------


def test_pause_and_resume(staff, connection):
    run_action(staff, "pause", connection)
    connection.refresh_from_db()
    paused = connection.state
    run_action(staff, "resume", connection)
    connection.refresh_from_db()

    assert [paused, connection.state] == [Connection.State.PAUSED, Connection.State.ACTIVE]
    assert LogEntry.objects.count() == 2


def test_check_is_left_to_the_worker(staff, connection):
    response = run_action(staff, "check_now", connection)

    connection.refresh_from_db()
    assert [connection.asked_at is not None, connection.check_results] == [True, []]
    said = "sera contrôlée dans un instant ; le résultat figurera sur la page de la connexion."
    assert [text.replace("\xa0", " ") for text in texts(response)] == [f"{connection} : {said}"]


def test_registering_is_left_to_the_worker(staff, connection):
    run_action(staff, "register_webhooks", connection)

    connection.refresh_from_db()
    assert [connection.asked_at is not None, connection.asked_to_register] == [True, True]


def test_replaced_address_closes_the_old_one(staff, connection):
    old, _created = open_hook(connection=connection)

    run_action(staff, "replace_hooks", connection)

    old.refresh_from_db()
    assert old.closed_at is not None
    assert connection.hooks.get(closed_at=None).token != old.token


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_delivery_body_is_shown_escaped(admin_client, connection):
    delivery = make_delivery(connection)
    delivery.body = b'{"note": "<script>alert(1)</script>"}'
    delivery.save()

    page = admin_client.get(reverse("admin:providers_webhookdelivery_change", args=[delivery.pk])).content.decode()

    assert page.count("<script>alert(1)") == 0
    assert page.count("&lt;script&gt;alert(1)") == 1


@pytest.mark.parametrize("model", ["webhookdelivery", "refusedrequest"])
def test_records_cannot_be_changed_by_a_superuser(admin_client, connection, model):
    row = {
        "webhookdelivery": lambda: make_delivery(connection),
        "refusedrequest": lambda: RefusedRequest.objects.create(connection=connection, status_code=401, reason="x"),
    }[model]()

    codes = [
        admin_client.post(reverse(f"admin:providers_{model}_add"), {}).status_code,
        admin_client.post(reverse(f"admin:providers_{model}_change", args=[row.pk]), {}).status_code,
        admin_client.post(reverse(f"admin:providers_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code,
    ]

    assert codes == [403, 403, 403]


def test_delivery_is_found_by_key_and_by_id(admin_client, connection):
    first, second = make_delivery(connection, key="key-1"), make_delivery(connection, key="key-2")
    address = reverse("admin:providers_webhookdelivery_changelist")

    pages = [admin_client.get(address, {"q": term}) for term in ("key-1", str(second.pk), "key")]

    found = [[row.pk for row in page.context["cl"].result_list] for page in pages]
    assert found == [[first.pk], [second.pk], []]


@pytest.mark.parametrize("model", ["connection", "webhookdelivery", "refusedrequest"])
def test_list_queries_do_not_grow(admin_client, connection, model):
    def add():
        made = make_connection(secrets={"password": "x"})
        make_delivery(made)
        RefusedRequest.objects.create(connection=made, status_code=401, reason="x")

    address = reverse(f"admin:providers_{model}_changelist")
    add()
    admin_client.get(address)  # the first request of a session notes it
    with CaptureQueriesContext(database) as one:
        admin_client.get(address)
    add()
    add()
    with CaptureQueriesContext(database) as three:
        admin_client.get(address)

    assert len(three) == len(one)

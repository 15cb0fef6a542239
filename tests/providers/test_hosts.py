"""What is forgotten when a connection calls another host, and what no connection may call."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import translation

from lifecycle.provisioning import WishRefused, provision
from providers.connections.registry import get_adapter, http_client, platform_policy
from providers.connections.services import save_connection
from providers.contract import fields
from providers.contract.base import PermanentError
from providers.contract.http import Wire
from providers.models import CachedToken, Connection
from providers.network.callbacks import Policy
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_line, make_user

pytestmark = pytest.mark.django_db

OLD, NEW = "https://old.example.test/api", "https://new.example.test/api"


@pytest.fixture
def connection(monkeypatch) -> Connection:
    fake_provider.register(monkeypatch)
    made = make_connection(name="fake", settings={"api_url": OLD}, secrets={"password": "p4ss", "pin": "12"})
    CachedToken.objects.create(connection=made, scope="main", value={"token": "t"})
    return made


def save(**changes: Any) -> Connection:
    wish = {"name": "fake", "kind": "fake", "environment": "sandbox", "settings": {}, "secrets": {}}
    return save_connection(**wish | changes)[0]


@pytest.mark.parametrize("url", [NEW, "http://old.example.test/api", "https://old.example.test:8443/api"])
def test_another_host_is_shown_no_secret_of_the_old_one(connection, url):
    changed = save(settings={"api_url": url}, secrets={"pin": "34"})
    assert dict(changed.secrets) == {"pin": "34"}
    assert not CachedToken.objects.exists()


def test_same_host_keeps_what_is_known(connection):
    changed = save(settings={"api_url": "https://old.example.test/v2"})
    assert dict(changed.secrets) == {"password": "p4ss", "pin": "12"}
    assert CachedToken.objects.exists()


def test_environment_decides_on_the_host_where_none_is_named(monkeypatch):
    fake_provider.register(monkeypatch)
    made = make_connection(name="fake", secrets={"password": "p4ss"})
    assert dict(save(environment="sandbox").secrets) == {"password": "p4ss"}
    assert dict(save(environment="production").secrets) == {}
    assert made.pk == Connection.objects.get().pk


def test_line_shows_its_key_to_no_new_host():
    urls = {"od_url": "https://od.example.test"}
    connection = make_connection("cegid", name="od", settings=urls, secrets={"subscription_key": "k"})
    line = make_line(make_customer(), connection)
    line.secrets = {"api_key": "a:b", "callback_secret": "c"}
    line.save()
    wish = {"name": "od", "kind": "cegid", "environment": "sandbox", "secrets": {}}
    save_connection(**wish, settings={"account_url": "https://elsewhere.example.test"})
    line.refresh_from_db()
    assert dict(line.secrets) == {"callback_secret": "c"}


def test_provision_asks_for_the_secrets_of_the_new_host(connection):
    wish: dict[str, Any] = {"name": "fake", "settings": {"api_url": NEW}}
    with pytest.raises(WishRefused, match=r"secrets\.password"):
        provision({"connections": [wish]})
    connection.refresh_from_db()
    assert (connection.settings["api_url"], dict(connection.secrets)["pin"]) == (OLD, "12")
    made = provision({"connections": [wish | {"secrets": {"password": "n3w"}}]})["connections"][0]
    assert made["secrets_forgotten"] == ["pin"]


def change(client: Any, connection: Connection, **entered: str) -> Any:
    client.force_login(make_user(is_superuser=True, is_staff=True))
    sent = {"name": "fake", "environment": "sandbox", "state": "active", "setting_page_size": "50"}
    sent |= {"setting_mode": "slow", "hooks-TOTAL_FORMS": "0", "hooks-INITIAL_FORMS": "0"}
    return client.post(reverse("admin:providers_connection_change", args=[connection.pk]), sent | entered)


def test_admin_says_that_a_new_host_needs_its_secrets_and_forgets_the_old(client, connection):
    answer = change(client, connection, setting_api_url=NEW)
    assert "secret_password" in answer.context["adminform"].form.errors
    connection.refresh_from_db()
    assert connection.settings["api_url"] == OLD
    assert change(client, connection, setting_api_url=NEW, secret_password="n3w").status_code == 302
    connection.refresh_from_db()
    assert (connection.settings["api_url"], dict(connection.secrets)) == (NEW, {"password": "n3w"})
    assert not CachedToken.objects.exists()


# --- what may be called -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "is_open", "policy"),
    [
        ("sandbox", False, Policy(private=True, plain=True)),
        ("production", False, Policy()),
        ("production", True, Policy(private=True, plain=True)),
    ],
)
def test_operator_decides_what_platforms_in_production_may_be(settings, environment, is_open, policy):
    settings.OUTBOUND_INSIDE = is_open
    assert platform_policy(environment) == policy


def test_adapter_calls_through_the_guard(monkeypatch, connection):
    connection.environment = "production"
    assert get_adapter(connection).client is http_client(Policy())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://127.0.0.1/", "127.0.0.1 leads to an address that must not be called."),
        ("https://169.254.169.254/", "169.254.169.254 leads to an address that must not be called."),
        ("http://pdp.example.test/", "An address must begin with one of: https."),
    ],
)
def test_call_inside_is_refused_and_says_why(url, told):
    wire = Wire(http_client(Policy()), platform="PDP")
    with translation.override("en"), pytest.raises(PermanentError) as refused:
        wire.exchange("GET", url, repeatable=True)
    assert refused.value.message == told


def test_metadata_service_is_closed_to_a_sandbox_too():
    wire = Wire(http_client(platform_policy("sandbox")), platform="PDP")
    with pytest.raises(PermanentError):
        wire.exchange("GET", "http://169.254.169.254/latest/", repeatable=True)


def test_path_and_address_are_the_operators():
    assert [
        fields.Field(name=name, type=kind).is_operators
        for name, kind in [("a", "url"), ("b_path", "str"), ("c", "str")]
    ] == [True, True, False]

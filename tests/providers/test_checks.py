"""Checks that people ask for are the worker's; what a page must ask itself is brief, and asked by few at once."""

import runpy
import time
from contextlib import ExitStack

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from providers.connections import checks, registry
from providers.connections.services import open_hook
from providers.contract import http
from providers.contract.base import TemporaryError
from providers.contract.doors import AT_ONCE, at_the_door
from providers.models import Connection
from providers.network.callbacks import Policy
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_line, make_user
from tests.processes import Navette
from tests.providers.drips import dripping


@pytest.fixture
def fake(monkeypatch):
    fake_provider.register(monkeypatch)
    return make_connection(settings={"api_url": "https://api.example.test/"}, secrets={"password": "x", "pin": "1"})


@pytest.mark.django_db(transaction=True)
def test_check_asked_for_is_made_once(fake):
    checks.ask(fake)

    made = [checks.run_asked(), checks.run_asked()]

    fake.refresh_from_db()
    assert made == [1, 0]
    assert [line["message"] for line in fake.check_results] == ["This platform cannot be checked."]
    assert [fake.asked_at, fake.check_leased_until] == [None, None]


@pytest.mark.django_db(transaction=True)
def test_registering_asked_for_says_what_was_done(fake):
    checks.ask(fake, register=True)

    checks.run_asked()

    fake.refresh_from_db()
    said = [line["message"] for line in fake.check_results]
    assert said == ["Webhooks are registered by hand on this platform.", "This platform cannot be checked."]
    assert fake.asked_to_register is False


@pytest.mark.django_db(transaction=True)
def test_runs_do_not_take_up_two_processes(fake):
    other = make_connection(name="other", settings=fake.settings)
    checks.ask(fake)
    Connection.objects.filter(pk=other.pk).update(check_leased_until=timezone.now() + checks.LEASE)

    assert checks.run_asked() == 0


@pytest.mark.django_db(transaction=True)
def test_check_by_a_killed_worker_is_made_again(fake):
    checks.ask(fake)
    Connection.objects.filter(pk=fake.pk).update(check_leased_until=timezone.now())

    assert checks.run_asked() == 1


@pytest.mark.django_db(transaction=True)
def test_check_of_a_dripping_platform_ends(monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.4)
    with dripping("headers") as drip:
        rows = [make_acube(drip.url, number) for number in range(4)]
        for row in rows:
            checks.ask(row)
        began = time.monotonic()
        checks.run_asked()
        took = time.monotonic() - began

    found = Connection.objects.values_list("check_results", flat=True)
    assert took < 3
    assert [[line["ok"] for line in results if line["name"] == "login"] for results in found] == [[False]] * 4


def make_acube(url: str, number: int = 0) -> Connection:
    return make_connection(
        name=f"acube-{number}",
        kind="acube",
        settings={"api_url": url, "login_url": url, "requests_per_second": 0},
        secrets={"email": "bot@example.test", "password": "s3cret", "webhook_token": "abc"},
    )


def test_few_wait_at_the_door_at_once():
    with ExitStack() as held:
        for _place in range(AT_ONCE):
            held.enter_context(at_the_door())
        with pytest.raises(TemporaryError), at_the_door():
            pass
    with at_the_door():
        pass  # there is room again


def test_half_of_the_threads_of_a_web_process_never_wait_at_the_door():
    served = runpy.run_path(str(settings.BASE_DIR / "deploy" / "gunicorn.conf.py"))
    assert served["threads"] - AT_ONCE >= served["threads"] / 2


def test_door_ends_what_drips():
    began = time.monotonic()
    wire = http.Wire(registry.http_client(Policy(private=True, plain=True)), platform="Nimbus")
    with dripping("body") as drip, pytest.raises(TemporaryError), at_the_door(0.3):
        wire.exchange("GET", drip.url, repeatable=True)
    assert time.monotonic() - began < 2


@pytest.mark.django_db(transaction=True)
def test_forty_checks_of_a_dripping_platform_stop_no_page_and_no_push(client, settings):
    navette = Navette()
    settings.PUBLIC_URL = navette.url
    try:
        with dripping("headers") as drip:
            row = make_acube(drip.url)
            customer = make_customer()
            make_line(customer, row)
            hook, _new = open_hook(connection=row)
            client.force_login(make_user(customer, "administrator"))
            navette.start_web()
            session = {"session": client.cookies["session"].value}
            with httpx.Client(base_url=navette.url, cookies=session, trust_env=False, timeout=3) as browser:
                token = browser.get("/connections/").cookies["csrf"]
                data = {"csrfmiddlewaretoken": token}
                answers = [browser.post(f"/connections/{row.pk}/check/", data=data).status_code for _ in range(40)]
                alive = browser.get("/healthz").status_code
                pushed = browser.post(hook.url, content=b"{}").status_code
    finally:
        navette.stop()

    assert answers == [302] * 40
    assert (alive, pushed) == (200, 401)

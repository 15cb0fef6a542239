"""Every address in the menus answers, for every role and in both languages."""

from __future__ import annotations

import pytest
from django.test import Client

from invoices.people.staff import match_memberships
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_line, make_user
from tests.pages import parse

pytestmark = pytest.mark.django_db

LINKS = "//header//a[@href] | //main//a[starts-with(@href, '/accounts/')]"
PASSWORD = "a-password-of-the-menus"


def links_on(response) -> set[str]:
    return {link.get("href").partition("#")[0] for link in parse(response).xpath(LINKS)} - {""}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("role", ["reader", "clerk", "approver", "administrator", "superuser"])
def test_every_address_of_the_menus_answers(client: Client, monkeypatch, role, language):
    fake_provider.register(monkeypatch)
    customer = make_customer()
    make_line(customer, make_connection())
    is_super = role == "superuser"
    user = make_user(customer, "reader" if is_super else role, password=PASSWORD, is_superuser=is_super)
    if not is_super:
        match_memberships(user)
    client.force_login(user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    headers = {"Accept-Language": language}
    seen: dict[str, int] = {}
    waiting = {"/"}
    while waiting:
        path = waiting.pop()
        response = client.get(path, headers=headers, follow=True)
        seen[path] = response.status_code
        if (response.status_code == 200 and path == "/") or path.startswith("/accounts/"):
            waiting |= links_on(response) - set(seen)
    assert {path: code for path, code in seen.items() if code != 200} == {}
    assert {"/invoices/", "/relays/", "/tokens/", "/accounts/sessions/", "/accounts/2fa/"} <= set(seen)
    assert ("/deliveries/" in seen) == (role in ("administrator", "superuser"))

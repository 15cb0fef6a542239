"""Tokens of the REST API: for how long, for what, and what ends them."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from invoices.models import ApiToken, AuditEntry
from invoices.models.tokens import Scope
from invoices.people import tokens
from lifecycle import provisioning
from lifecycle.api.urls import urlpatterns
from lifecycle.api.views.base import ApiView
from tests import fake_provider
from tests.factories import make_customer, make_invoice, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "agrafe cheval pile"
LIST = "/api/v1/invoices/"


@pytest.fixture
def user():
    return make_user(make_customer(), "administrator", username="ada", password=PASSWORD)


def status(client, secret, path=LIST, method="get"):
    return getattr(client, method)(path, headers={"Authorization": f"Token {secret}"}).status_code


def log_in(client, user):
    client.post(reverse("account_login"), {"login": user.username, "password": PASSWORD})


def test_token_expires(client, user):
    row, secret = tokens.make(user=user)
    assert status(client, secret) == 200
    assert row.expires_at - timezone.now() <= timedelta(days=366)
    ApiToken.objects.update(expires_at=timezone.now())
    assert status(client, secret) == 401


@pytest.mark.parametrize("change", ["password", "closing"])
def test_token_ends_with_the_password_or_the_account(client, user, change):
    _row, secret = tokens.make(user=user)
    if change == "password":
        user.set_password("ficelle ombre tambour")
    else:
        user.is_active = False
    user.save()
    user.is_active = True
    user.save()
    assert status(client, secret) == 401
    assert AuditEntry.objects.filter(action="token_revoked", account=user).count() == 1


def test_login_that_hashes_the_password_anew_ends_no_token(client, user, settings):
    _row, secret = tokens.make(user=user)
    before = user.password
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    log_in(client, user)
    user.refresh_from_db()
    assert user.password != before
    assert status(client, secret) == 200


def test_first_use_of_a_day_is_in_the_audit_log(client, user):
    row, secret = tokens.make(user=user)
    for _call in range(2):
        status(client, secret)
    ApiToken.objects.filter(pk=row.pk).update(last_used_at=timezone.now() - timedelta(days=1))
    status(client, secret)
    assert AuditEntry.objects.filter(action="token_used").count() == 2


POSTS = {
    "decisions": "decide", "settle": "decide", "invoice-account": "decide", "relay-cancel": "decide",
    "relay-release": "decide", "invoice-list": "submit", "relay-retry": "administer", "relay-resolve": "administer",
    "delivery-replay": "administer",
}  # fmt: skip


def test_each_address_that_takes_something_names_its_scope():
    views = {pattern.name: pattern.callback.cls for pattern in urlpatterns if hasattr(pattern.callback, "cls")}
    taking = {name: view.scope for name, view in views.items() if issubclass(view, ApiView) and hasattr(view, "post")}
    assert taking == POSTS


@pytest.mark.parametrize("name", POSTS)
def test_token_without_the_scope_is_refused(client, user, name):
    _row, secret = tokens.make(user=user, scopes=[scope for scope in Scope.values if scope != POSTS[name]])
    route = next(pattern.pattern._route for pattern in urlpatterns if pattern.name == name)
    path = re.sub("<uuid:[a-z_]+>", str(uuid4()), route)
    answer = client.post(f"/api/v1/{path}", headers={"Authorization": f"Token {secret}"})
    assert (answer.status_code, f"« {POSTS[name]} »" in answer.json()["detail"]) == (403, True)


def test_token_for_decisions_decides(client, user, monkeypatch):
    fake_provider.register(monkeypatch)
    invoice = make_invoice(statuses=["200", "202", "203"])
    _row, secret = tokens.make(user=user, scopes=["read", "decide"])
    answer = client.post(
        f"/api/v1/invoices/{invoice.pk}/decisions/", {"status": "204"}, "application/json",
        headers={"Authorization": f"Token {secret}"},
    )  # fmt: skip
    assert answer.status_code == 201


def test_person_makes_and_revokes_a_token_of_ones_own(client, user):
    log_in(client, user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    page = client.post(reverse("lifecycle:tokens"), {"name": "ERP", "scopes": ["decide"], "days": "30"})
    secret = page.context["secret"]
    row = ApiToken.objects.get()
    assert (row.name, row.scopes, (row.expires_at - timezone.now()).days) == ("ERP", ["read", "decide"], 29)
    assert (page.content.decode().count(secret), row.digest) == (1, ApiToken.digest_of(secret))
    assert status(client, secret) == 200
    assert secret not in client.get(reverse("lifecycle:tokens")).content.decode()
    client.post(reverse("lifecycle:revoke_token", args=[row.pk]))
    row.refresh_from_db()
    assert row.is_valid
    client.post(reverse("lifecycle:revoke_token", args=[row.pk]), {"confirmed": "yes"})
    client.logout()
    assert status(client, secret) == 401
    rows = AuditEntry.objects.filter(action__startswith="token").order_by("at")
    assert [row.action for row in rows] == [
        "token_made", "token_used", "token_revoked",
    ]  # fmt: skip


def test_token_of_another_cannot_be_revoked(client, user):
    row, secret = tokens.make(user=user)
    client.force_login(make_user(make_customer(), "administrator"))
    assert client.post(reverse("lifecycle:revoke_token", args=[row.pk])).status_code == 404
    client.logout()
    assert status(client, secret) == 200


def test_making_a_token_asks_for_the_password_again(client, user):
    client.force_login(user)
    answer = client.post(reverse("lifecycle:tokens"), {"name": "ERP", "days": "30"})
    assert answer.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert ApiToken.objects.count() == 0


def provision(**user):
    return provisioning.provision({"users": [{"username": "ada", **user}]})


def test_provisioned_token_stays_until_it_is_revoked(client, user):
    provision(api_token="a-fixed-token-of-the-erp")
    provision(api_token="a-fixed-token-of-the-erp")
    assert status(client, "a-fixed-token-of-the-erp") == 200
    tokens.revoke(ApiToken.objects.get())
    with pytest.raises(provisioning.WishRefused, match="révoqué"):
        provision(api_token="a-fixed-token-of-the-erp")
    provision(api_token="a-fixed-token-of-the-erp", password="ficelle ombre tambour")
    assert status(client, "a-fixed-token-of-the-erp") == 200

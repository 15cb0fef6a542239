"""When a session ends, who needs a second factor, and that a code opens one login only."""

import threading

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.db import connections
from django.test import Client
from django.urls import reverse

from tests.factories import make_customer, make_token, make_user

PASSWORD = "agrafe cheval pile"
SECRET = "JBSWY3DPEHPK3PXP"
WORKLIST = "lifecycle:worklist"
MINUTE, HOUR = 60, 3600


def code():
    return format_hotp_value(hotp_value(SECRET, next(yield_hotp_counters_from_time())))


@pytest.fixture
def clock(monkeypatch):
    """The clock of sessions, put forward by hand."""
    now = [1_800_000_000]
    monkeypatch.setattr("einvoice_project.sessions.time.time", lambda: now[0])
    return now


@pytest.fixture
def person(client, db):
    user = make_user(make_customer(), "clerk", username="ada", password=PASSWORD)
    client.force_login(user)
    return user


def is_in(client, **headers):
    return client.get(reverse(WORKLIST), headers=headers).status_code == 200


@pytest.mark.usefixtures("person")
def test_session_ends_when_nobody_does_anything(client, clock):
    for minutes, expected in ((0, True), (59, True), (59, True), (61, False)):
        clock[0] += minutes * MINUTE
        assert is_in(client) == expected
    answer = client.get(reverse(WORKLIST))
    assert answer.headers["Location"] == f"{reverse('account_login')}?next=/"


@pytest.mark.usefixtures("person")
def test_page_that_refreshes_itself_keeps_no_session(client, clock):
    is_in(client)
    for _poll in range(6):
        clock[0] += 10 * MINUTE
        assert is_in(client, **{"HX-Request": "true", "HX-Trigger": "live"})
    clock[0] += MINUTE
    answer = client.get(reverse(WORKLIST), headers={"HX-Request": "true", "HX-Trigger": "live"})
    assert answer.headers["HX-Redirect"].startswith(reverse("account_login"))


@pytest.mark.usefixtures("person")
def test_session_ends_after_its_longest_time_however_busy(client, clock):
    answers = []
    for _half_hour in range(25):
        answers.append(is_in(client))
        clock[0] += 30 * MINUTE
    assert (all(answers), is_in(client)) == (True, False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("least", "role", "is_sent_away"),
    [
        ("nobody", "administrator", False), ("administrator", "approver", False),
        ("administrator", "administrator", True), ("approver", "approver", True), ("reader", "reader", True),
        ("administrator", "superuser", True), ("administrator", "staff", True), ("reader", "nothing", False),
    ],
)  # fmt: skip
def test_second_factor_is_asked_by_role(client, settings, least, role, is_sent_away):
    settings.MFA_REQUIRED_FROM = least
    special = {"superuser": {"is_superuser": True, "is_staff": True}, "staff": {"is_staff": True}, "nothing": {}}
    user = make_user(**special[role]) if role in special else make_user(make_customer(), role)
    client.force_login(user)
    pages = [client.get(reverse(name)) for name in (WORKLIST, "admin:index", "lifecycle:audit_log")]
    away = [page.status_code == 302 and page.headers["Location"] == reverse("mfa_index") for page in pages]
    assert away == [is_sent_away] * 3
    assert client.get(reverse("mfa_index")).status_code == 200


@pytest.mark.django_db
def test_whoever_has_set_up_a_second_factor_goes_on(client, settings):
    settings.MFA_REQUIRED_FROM = "administrator"
    user = make_user(make_customer(), "administrator")
    client.force_login(user)
    poll = client.get(reverse(WORKLIST), headers={"HX-Request": "true"})
    assert (is_in(client), poll.headers["HX-Redirect"]) == (False, reverse("mfa_index"))
    TOTP.activate(user, SECRET)
    assert is_in(client)
    Authenticator.objects.all().delete()
    assert not is_in(client)


@pytest.mark.django_db
def test_software_needs_no_second_factor(client, settings):
    settings.MFA_REQUIRED_FROM = "reader"
    token = make_token(make_user(make_customer(), "administrator"))
    assert client.get("/api/v1/customers/", headers={"Authorization": f"Token {token}"}).status_code == 200


@pytest.mark.django_db
def test_admin_asks_for_the_second_factor_at_its_own_door(client):
    user = make_user(is_superuser=True, is_staff=True, password=PASSWORD)
    TOTP.activate(user, SECRET)
    door = client.get(reverse("admin:index"), follow=True)
    assert door.redirect_chain[-1][0].startswith(reverse("account_login"))
    client.post(reverse("account_login"), {"login": user.username, "password": PASSWORD})
    assert client.get(reverse("admin:index")).status_code == 302
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert client.get(reverse("admin:index")).status_code == 200


@pytest.mark.usefixtures("person")
def test_signing_out_empties_the_browser(client):
    cleared = [client.post(reverse(name)).headers.get("Clear-Site-Data") for name in (WORKLIST, "account_logout")]
    assert cleared == [None, '"cache", "storage"']


@pytest.mark.django_db
def test_other_sessions_end_with_a_changed_second_factor(client):
    user, elsewhere = make_user(make_customer(), "clerk", password=PASSWORD), Client()
    for browser in (client, elsewhere):
        browser.post(reverse("account_login"), {"login": user.username, "password": PASSWORD})
    TOTP.activate(user, SECRET)
    assert (is_in(client), is_in(elsewhere)) == (True, True)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.post(reverse("mfa_deactivate_totp"))
    assert (is_in(client), is_in(elsewhere)) == (True, False)


@pytest.mark.django_db
def test_sessions_end_where_an_administrator_takes_a_factor_away(client):
    user, boss = make_user(password=PASSWORD), Client()
    client.post(reverse("account_login"), {"login": user.username, "password": PASSWORD})
    TOTP.activate(user, SECRET)
    boss.force_login(make_user(is_superuser=True, is_staff=True))
    factor = Authenticator.objects.get()
    boss.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})
    assert (Authenticator.objects.exists(), is_in(client)) == (False, False)


@pytest.mark.django_db(transaction=True)
def test_code_opens_one_login_only():
    """Two processes at once: each has a connection of its own, and the cache that both share is the database."""
    TOTP.activate(make_user(), SECRET)
    used, barrier, answers = code(), threading.Barrier(2), []

    def log_in():
        factor = TOTP(Authenticator.objects.get())
        barrier.wait()
        answers.append(factor.validate_code(used))
        connections.close_all()

    threads = [threading.Thread(target=log_in) for _process in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, True]

"""The account pages, and what an account is protected by."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings as project
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse

from providers.connections.sealing import unseal
from tests.factories import make_customer, make_user

pytestmark = pytest.mark.django_db
PAGES = ("usersessions_list", "mfa_list_webauthn", "mfa_index", "mfa_add_webauthn", "mfa_activate_totp",
         "account_email", "account_change_password", "account_reauthenticate", "account_logout")  # fmt: skip
PASSWORD = "agrafe cheval pile"


def log_in(client, user, password=PASSWORD, **extra):
    client.post(reverse("account_login"), {"login": user.username, "password": password}, **extra)
    return "_auth_user_id" in client.session


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("role", ["reader", "administrator"])
def test_account_pages_open(client, role, language):
    assert log_in(client, make_user(make_customer(), role, password=PASSWORD))
    for name in PAGES:
        assert client.get(reverse(name), HTTP_ACCEPT_LANGUAGE=language, follow=True).status_code == 200, name


def test_seed_of_one_time_codes_lies_sealed():
    user = make_user()
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    sealed = Authenticator.objects.get().data["secret"]
    assert sealed.startswith("gAAAAA")
    call_command("rotate_secrets", verbosity=0)
    anew = Authenticator.objects.get().data["secret"]
    assert (anew != sealed, unseal(anew)) == (True, "JBSWY3DPEHPK3PXP")


def test_cache_is_shared_by_processes():
    assert project.CACHES["default"]["BACKEND"] == "django.core.cache.backends.db.DatabaseCache"


def test_guesses_from_elsewhere_lock_nobody_out(client):
    user = make_user(password=PASSWORD)
    for _try in range(8):
        log_in(client, user, "wrong", REMOTE_ADDR="203.0.113.9")
    assert not log_in(client, user, REMOTE_ADDR="203.0.113.9")
    assert log_in(client, user, REMOTE_ADDR="198.51.100.7")


def test_reset_mail_names_our_own_address(client, settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://navette.example.com", ["*"]
    make_user(email="ada@example.test", password=PASSWORD)
    client.post(reverse("account_reset_password"), {"email": "ada@example.test"}, HTTP_HOST="evil.example")
    assert "https://navette.example.com/accounts/password/reset/key/" in mail.outbox[0].body
    assert "evil" not in mail.outbox[0].body + mail.outbox[0].subject


@pytest.mark.parametrize("weak", ["short-1", "password1234", "azertyuiop12", "a" * 80])
def test_weak_password_is_refused(weak):
    with pytest.raises(ValidationError):
        validate_password(weak)
    validate_password(PASSWORD)


def test_words_of_the_context_make_no_password(settings):
    settings.PUBLIC_URL = "https://escargot.example.com"
    customer = make_customer(name="Quincaillerie Zéphyrin")
    user = make_user(customer, first_name="Philiberte", last_name="Vauquelinette")
    for word in ("Quincaillerie1", "Zéphyrin2026!", "escargotNavette", "PhiliberteNavette"):
        with pytest.raises(ValidationError):
            validate_password(word, user)
    validate_password("Quincaillerie-agrafe-cheval-pile", user)

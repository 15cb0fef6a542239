"""The audit log: what is written, that it stays, and who reads it."""

from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from invoices.models import AuditEntry, Membership
from invoices.people import audit
from lifecycle import provisioning
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayState, RelayTask
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_invoice,
    make_line,
    make_user,
)

pytestmark = pytest.mark.django_db
Action = AuditEntry.Action
PASSWORD = "agrafe cheval pile"
SECRETS = {"email": "a@b.test", "password": "s3cret", "webhook_token": "abc"}
SECRET = "JBSWY3DPEHPK3PXP"


def written(*actions):
    rows = AuditEntry.objects.filter(action__in=actions) if actions else AuditEntry.objects.all()
    return [(row.action, row.actor_name, row.subject) for row in rows.order_by("at")]


def log_in(client, user, password=PASSWORD, **extra):
    return client.post(reverse("account_login"), {"login": user.username, "password": password}, **extra)


@pytest.fixture
def ada(client):
    user = make_user(make_customer(), "administrator", username="ada", password=PASSWORD)
    log_in(client, user)
    return user


def test_logins_are_written_with_their_source(client):
    user = make_user(username="ada", password=PASSWORD)
    log_in(client, user, "wrong", REMOTE_ADDR="203.0.113.9")
    log_in(client, user, REMOTE_ADDR="203.0.113.9")
    client.post(reverse("account_logout"))
    assert written("login_failed", "login", "logout") == [
        ("login_failed", "", "ada"), ("login", "ada", "ada"), ("logout", "ada", "ada"),
    ]  # fmt: skip
    assert set(AuditEntry.objects.filter(action="login").values_list("source", flat=True)) == {"203.0.113.9"}


def test_name_that_nobody_has_is_not_kept(client):
    client.post(reverse("account_login"), {"login": "my secret password", "password": "x"})
    assert [(row.account, row.subject, row.details) for row in AuditEntry.objects.all()] == [(None, "", {})]


def test_held_back_guesses_are_written_once(client):
    user = make_user(username="ada", password=PASSWORD)
    for _guess in range(9):
        log_in(client, user, "wrong")
    assert len(written("login_failed")) == 5
    assert written("login_locked") == [("login_locked", "", "ada")]


def test_second_factors_are_written(client, ada):
    TOTP.activate(ada, SECRET)
    client.post(reverse("account_logout"))
    log_in(client, ada)
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    code = format_hotp_value(hotp_value(SECRET, next(yield_hotp_counters_from_time())))
    client.post(reverse("mfa_authenticate"), {"code": code})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.exists()
    assert written("factor_failed", "factor_removed") == [
        ("factor_failed", "", "ada"), ("factor_removed", "ada", "ada"),
    ]  # fmt: skip


def test_new_password_is_written_without_it(client, ada):
    new = "ficelle ombre tambour"
    client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert written("password_changed") == [("password_changed", "ada", "ada")]
    assert new not in str(list(AuditEntry.objects.values()))


def test_roles_are_written_whoever_gives_them(client):
    boss = make_user(username="boss", is_superuser=True, is_staff=True)
    client.force_login(boss)
    customer, bob = make_customer(), make_user(username="bob")
    membership = Membership.objects.create(user=bob, customer=customer, role="reader")
    form = {
        "username": "bob", "is_active": "on",
        "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": membership.pk, "memberships-0-user": bob.pk,
        "memberships-0-customer": customer.pk, "memberships-0-role": "approver",
        "api_tokens-TOTAL_FORMS": 0, "api_tokens-INITIAL_FORMS": 0,
    }  # fmt: skip
    address = reverse("admin:auth_user_change", args=[bob.pk])
    client.post(address, form)
    client.post(address, form | {"memberships-0-DELETE": "on"})
    provisioning.provision({"users": [{"username": "bob", "customers": {customer.siren: "clerk"}}]})
    provisioning.provision({"users": [{"username": "bob", "customers": {customer.siren: "clerk"}}]})
    rows = AuditEntry.objects.filter(action__startswith="role").order_by("at")
    assert [(row.action, row.actor_name, row.customer, row.details) for row in rows] == [
        ("role_given", "boss", customer, {"role": "approver"}),
        ("role_removed", "boss", customer, {"role": "approver"}),
        ("role_given", "", customer, {"role": "clerk"}),
    ]


def test_what_a_person_does_with_a_relay_is_written(monkeypatch):
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    make_line(customer, connection)
    boss = make_user(customer, "administrator", username="boss")
    invoice = make_invoice(customer, connection, ["203"])
    relay, _new = services.issue_status(user=boss, invoice_id=invoice.pk, wish=Wish(status="204"))
    RelayTask.objects.update(state=RelayState.FAILED)
    services.retry(user=boss, relay_id=relay.pk)
    for arrived in (False, True):
        RelayTask.objects.update(state=RelayState.UNCERTAIN)
        services.resolve(user=boss, relay_id=relay.pk, arrived=arrived)
    rows = AuditEntry.objects.filter(action__startswith="relay").order_by("at")
    assert [(row.action, row.actor, row.customer, row.subject, row.details) for row in rows] == [
        ("relay_retried", boss, customer, str(invoice), {}),
        ("relay_resolved", boss, customer, str(invoice), {"arrived": False}),
        ("relay_resolved", boss, customer, str(invoice), {"arrived": True}),
    ]


def test_asked_checks_of_a_connection_are_written(client, ada):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    connection = make_connection("acube", secrets=SECRETS)
    for action in ("check_now", "register_webhooks"):
        form = {"action": action, "_selected_action": [str(connection.pk)]}
        client.post(reverse("admin:providers_connection_changelist"), form)
    rows = AuditEntry.objects.filter(action="connection_changed").order_by("at")
    assert [(row.actor, row.details) for row in rows] == [
        (ada, {"changed": ["vérification"]}), (ada, {"changed": ["enregistrement de notre adresse"]}),
    ]  # fmt: skip


def test_rules_are_written_with_both_values(client):
    client.force_login(make_user(username="boss", is_superuser=True, is_staff=True))
    customer = make_customer(name="Atelier Dupont")
    form = {
        "four_eyes": "on", "siren": customer.siren, "name": customer.name, "undo_seconds": 0, "retention_years": 10,
        "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0,
        "addressing_lines-TOTAL_FORMS": 0, "addressing_lines-INITIAL_FORMS": 0,
    }  # fmt: skip
    client.post(reverse("admin:invoices_customer_change", args=[customer.pk]), form)
    row = AuditEntry.objects.get(action="customer_changed")
    assert (row.actor_name, row.customer, row.details) == ("boss", customer, {"rules": {"four_eyes": [False, True]}})


def test_secrets_are_written_by_name_only():
    wish = {"connections": [{"name": "main", "kind": "acube", "secrets": SECRETS}]}
    provisioning.provision(wish)
    wish["connections"][0]["secrets"] = SECRETS | {"password": "another"}
    provisioning.provision(wish)
    provisioning.provision(wish)
    details = AuditEntry.objects.filter(action="connection_changed").order_by("at").values_list("details", flat=True)
    assert list(details) == [{"changed": ["email", "password", "webhook_token"]}, {"changed": ["password"]}]


def test_exports_files_and_replays_are_written_for_the_customer(client, ada):
    customer, other = make_customer(), make_customer(OTHER_SIREN)
    Membership.objects.create(user=ada, customer=other, role="reader")
    line = make_connection()
    make_line(customer, line)
    first, second = make_invoice(customer, line), make_invoice(other, line)
    client.get(reverse("lifecycle:export_one", args=[first.pk]))
    client.get(reverse("lifecycle:export_many"))
    client.get(reverse("invoices:readable_pdf", args=[first.pk]))
    deliveries.replay(user=ada, delivery_id=make_delivery(line, key="push-1", line_identifier=customer.siren).pk)
    rows = AuditEntry.objects.filter(action__in=["exported", "file_opened", "replayed"]).order_by("action", "at")
    assert {(row.action, row.customer.siren, row.subject) for row in rows} == {
        ("exported", customer.siren, first.number), ("exported", other.siren, second.number),
        ("replayed", customer.siren, "push-1"),
    }  # fmt: skip


@pytest.mark.parametrize("change", [{"subject": "x"}, None])
def test_database_refuses_to_change_or_delete_entries(change):
    audit.record(Action.LOGIN)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(**change) if change else AuditEntry.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgenabled FROM pg_trigger WHERE tgname LIKE 'audit_entries%' ORDER BY 1")
        assert len(cursor.fetchall()) == 2
    assert AuditEntry.objects.count() == 1


def test_only_what_is_past_its_time_is_purged(settings):
    settings.AUDIT_DAYS = 400
    for days in (0, 390, 401):
        entry = AuditEntry(action=Action.LOGIN, at=timezone.now() - timedelta(days=days))
        entry.save()
    assert (audit.purge(), AuditEntry.objects.count()) == (1, 2)
    settings.AUDIT_DAYS = 300
    AuditEntry.objects.create(action=Action.LOGIN, at=timezone.now() - timedelta(days=310))
    with pytest.raises(IntegrityError), transaction.atomic():
        audit.purge()


def test_entries_outlive_people_and_customers():
    customer, user = make_customer(), make_user(username="ada")
    audit.record(Action.EXPORTED, actor=user, customer=customer, subject="F-1")
    user.delete()
    customer.delete()
    assert written("exported") == [("exported", "ada", "F-1")]


def seen(user):
    return set(
        audit.entries_seen_by(user).filter(action__in=["exported", "login_failed"]).values_list("subject", flat=True)
    )


def test_administrators_see_their_customers_entries_only():
    mine, other = make_customer(), make_customer(OTHER_SIREN)
    clerk, stranger = make_user(mine, "clerk"), make_user(other, "clerk")
    for customer, person, name in ((mine, clerk, "mine"), (other, stranger, "other")):
        audit.record(Action.EXPORTED, actor=person, customer=customer, subject=name)
        audit.record(Action.LOGIN_FAILED, account=person, subject=f"{name} login")
    audit.record(Action.LOGIN_FAILED, subject="nobody")
    assert seen(make_user(mine, "administrator")) == {"mine", "mine login"}
    assert seen(make_user(mine, "approver")) == set()
    assert seen(make_user(is_superuser=True)) == {"mine", "mine login", "other", "other login", "nobody"}


@pytest.mark.parametrize(("role", "status"), [("approver", 403), ("administrator", 200)])
def test_page_is_for_administrators(client, role, status):
    client.force_login(make_user(make_customer(), role))
    pages = [reverse("lifecycle:audit_log"), reverse("lifecycle:export_audit_log")]
    assert [client.get(page).status_code for page in pages] == [status, status]


def test_page_filters(client, ada):
    audit.record(Action.EXPORTED, actor=ada, customer=make_customer(), subject="F-2026-1", count=1)
    client.get(reverse("lifecycle:audit_log"))
    found = client.get(reverse("lifecycle:audit_log"), {"action": "exported", "who": "ADA", "customer": "800112237"})
    assert [row.subject for row in found.context["found"].rows] == ["F-2026-1"]
    assert "Factures exportées" in found.content.decode()
    assert "nombre de factures 1" in found.content.decode()
    none = client.get(reverse("lifecycle:audit_log"), {"action": "exported", "until": "2020-01-01"})
    assert none.context["found"].rows == []


def test_csv_runs_nothing_in_a_spreadsheet(client, ada):
    audit.record(Action.EXPORTED, actor=ada, customer=make_customer(), subject="=HYPERLINK(1)")
    response = client.get(reverse("lifecycle:export_audit_log"), {"action": "exported"})
    header, row, _end = b"".join(response.streaming_content).decode().split("\r\n")
    assert header == "\ufeffHeure,Qui,Action,Objet,Client,Adresse d’origine,Précisions"
    assert row.split(",")[1:5] == ["ada", "Factures exportées", "'=HYPERLINK(1)", "800112237"]
    assert written("log_exported") == [("log_exported", "ada", "action=exported")]


def test_page_needs_as_many_queries_for_3_rows_as_for_1(client, ada, django_assert_max_num_queries):
    client.get(reverse("lifecycle:audit_log"))
    for _entry in range(3):
        audit.record(Action.EXPORTED, actor=ada, customer=make_customer())
    with django_assert_max_num_queries(6):
        client.get(reverse("lifecycle:audit_log"))

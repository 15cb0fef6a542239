"""Customers, lines, people and invoices in the admin."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from invoices.models import AddressingLine, ApiToken, Customer, Invoice, Membership, Role
from invoices.people.staff import ADMINISTRATORS, RIGHTS, STAFF, grant_administrator_permissions, match_memberships
from providers.admin import EstimatePaginator
from providers.connections.services import open_hook
from providers.models import Hook
from tests import fake_provider
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db

User = get_user_model()


@pytest.fixture(autouse=True)
def _fake_platform(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def administrator(client, customer):
    user = make_user(customer, "administrator", username="ada")
    grant_administrator_permissions(user)
    client.force_login(user)
    return user


def list_of(model: str) -> str:
    return reverse(f"admin:{model}_changelist")


def page_of(model: str, row) -> str:
    return reverse(f"admin:{model}_change", args=[row.pk])


def shown(client, model: str, **query: str) -> list:
    return [row.pk for row in client.get(list_of(model), query).context["cl"].result_list]


def formset(prefix: str, *rows: dict[str, str], initial: int = 0) -> dict[str, str]:
    fields = {f"{prefix}-{index}-{name}": value for index, row in enumerate(rows) for name, value in row.items()}
    return {f"{prefix}-TOTAL_FORMS": str(len(rows)), f"{prefix}-INITIAL_FORMS": str(initial)} | fields


# --- rights -----------------------------------------------------------------------------------------------------------


def test_every_right_of_the_groups_exists(customer):
    match_memberships(make_user(customer, "administrator"))

    assert {group.name: group.permissions.count() for group in Group.objects.all()} == {
        name: sum(len(actions) for _app, _model, actions in rights) for name, rights in RIGHTS.items()
    }


def test_granting_twice_changes_nothing_and_mends_the_group(customer):
    user = make_user(customer, "administrator")
    group = grant_administrator_permissions(user)
    before = set(group.permissions.values_list("codename", flat=True))
    group.permissions.set(Permission.objects.filter(codename="delete_user"))

    grant_administrator_permissions(user)

    assert set(group.permissions.values_list("codename", flat=True)) == before
    assert [each.name for each in user.groups.all()] == [ADMINISTRATORS]


def test_who_is_no_administrator_any_more_keeps_what_staff_see(customer):
    user = make_user(customer, "administrator")
    match_memberships(user)
    before = {group.name for group in user.groups.all()}
    Membership.objects.update(role=Role.CLERK)

    match_memberships(user)

    user.refresh_from_db()
    assert before == {ADMINISTRATORS, STAFF}
    assert user.is_staff
    assert [group.name for group in user.groups.all()] == [STAFF]


def test_who_works_for_nobody_any_more_leaves_the_admin(customer):
    user = make_user(customer, "reader")
    match_memberships(user)
    inside = user.is_staff
    Membership.objects.all().delete()

    match_memberships(user)

    user.refresh_from_db()
    assert [inside, user.is_staff, user.groups.count()] == [True, False, 0]


def test_matching_leaves_other_staff_alone(customer):
    user = make_user(customer, "clerk", is_staff=True)

    match_memberships(user)

    assert user.is_staff


@pytest.mark.parametrize(
    "model", ["invoices_customer", "invoices_addressingline", "invoices_invoice", "auth_user", "mfa_authenticator"]
)
def test_who_is_no_staff_is_sent_to_the_login(client, customer, model):
    client.force_login(make_user(customer, "administrator"))

    assert client.get(list_of(model)).status_code == 302


def test_staff_see_the_rows_of_their_customers(client, customer, administrator):
    other = make_customer(OTHER_SIREN)
    own_line = make_line(customer, make_connection())
    make_line(other, make_connection())
    own_invoice = make_invoice(customer)
    make_invoice(other)
    make_user(other, "clerk")

    assert shown(client, "invoices_customer") == [customer.pk]
    assert shown(client, "invoices_addressingline") == [own_line.pk]
    assert shown(client, "invoices_invoice") == [own_invoice.pk]
    assert shown(client, "auth_user") == [administrator.pk]


def test_staff_of_another_customer_sees_no_row(client, customer):
    make_invoice(customer)
    make_line(customer, make_connection())
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")
    grant_administrator_permissions(stranger)
    client.force_login(stranger)

    assert shown(client, "invoices_invoice") == []
    assert shown(client, "invoices_addressingline") == []
    assert client.get(page_of("invoices_customer", customer)).status_code == 302


@pytest.mark.parametrize("role", ["reader", "clerk", "approver"])
def test_staff_see_the_invoices_of_their_customers_and_no_set_up(client, customer, role):
    own = make_invoice(customer)
    make_invoice(make_customer(OTHER_SIREN))
    user = make_user(customer, role)
    match_memberships(user)
    client.force_login(user)

    apps = client.get(reverse("admin:index")).context["app_list"]

    assert shown(client, "invoices_invoice") == [own.pk]
    assert {model["object_name"] for app in apps for model in app["models"]} == {"Invoice", "StatusEvent", "RelayTask"}


def test_administrators_rights_without_the_role_open_no_set_up(client, customer):
    approver = make_user(customer, "approver")
    grant_administrator_permissions(approver)
    client.force_login(approver)

    for model in ("invoices_customer", "invoices_addressingline", "providers_connection"):
        assert shown(client, model) == []


# --- customers and lines ----------------------------------------------------------------------------------------------


def test_customer_is_found_by_siren(admin_client, customer):
    make_customer(OTHER_SIREN)

    assert shown(admin_client, "invoices_customer", q=SIREN) == [customer.pk]


def test_numbers_of_a_customer_may_be_pasted_with_their_spaces(admin_client):
    values = {"siren": "800 112 237", "vat_number": "fr 13 800.112.237", "name": "x"}
    values |= {"undo_seconds": "0", "retention_years": "10"}
    admin_client.post(
        reverse("admin:invoices_customer_add"), values | formset("addressing_lines") | formset("memberships")
    )
    assert list(Customer.objects.values_list("siren", "vat_number")) == [("800112237", "FR13800112237")]


def test_wrong_siren_is_refused(admin_client):
    values = {"siren": "800112238", "name": "x", "undo_seconds": "0", "retention_years": "10"}
    response = admin_client.post(
        reverse("admin:invoices_customer_add"), values | formset("addressing_lines") | formset("memberships")
    )

    assert [*response.context["adminform"].form.errors] == ["siren"]
    assert Customer.objects.count() == 0


def test_role_given_on_the_customers_page_opens_the_admin(admin_client, customer):
    user = make_user()
    row = {"user": str(user.pk), "role": "administrator", "customer": str(customer.pk)}

    response = admin_client.post(
        page_of("invoices_customer", customer),
        {"siren": SIREN, "name": "Atelier Dupont", "undo_seconds": "0", "retention_years": "10"}
        | formset("addressing_lines")
        | formset("memberships", row),
    )

    assert response.status_code == 302
    user.refresh_from_db()
    assert user.is_staff


def test_administrator_cannot_move_a_line_to_a_foreign_customer_or_connection(client, customer, administrator):
    other = make_customer(OTHER_SIREN)
    foreign = make_connection()
    make_line(other, foreign)

    response = client.post(
        reverse("admin:invoices_addressingline_add"),
        {"customer": str(other.pk), "identifier": f"{OTHER_SIREN}_X", "connection": str(foreign.pk)},
    )

    assert sorted(response.context["adminform"].form.errors) == ["connection", "customer"]


def test_line_of_a_platform_with_one_address_per_line_gets_its_own(admin_client, customer):
    connection = make_connection(kind="fake_line")

    response = admin_client.post(
        reverse("admin:invoices_addressingline_add"),
        {"customer": str(customer.pk), "identifier": SIREN, "connection": str(connection.pk)},
    )

    line = AddressingLine.objects.get()
    hook = Hook.objects.get()
    assert hook.line_identifier == SIREN
    assert response.url == page_of("invoices_addressingline", line)
    assert admin_client.get(response.url).content.decode().count(hook.url) == 1


def test_secret_of_a_line_is_written_and_never_shown(admin_client, customer):
    line = make_line(customer, make_connection())
    values = {"identifier": SIREN, "setting_mandate": "m-1", "secret_line_key": "correct-horse-battery"}

    admin_client.post(page_of("invoices_addressingline", line), values)

    line.refresh_from_db()
    assert dict(line.secrets) == {"line_key": "correct-horse-battery"}
    assert line.settings == {"mandate": "m-1"}
    for address in (page_of("invoices_addressingline", line), page_of("invoices_customer", customer)):
        assert admin_client.get(address).content.decode().count("correct-horse-battery") == 0


def test_deleted_line_closes_its_address(admin_client, customer):
    connection = make_connection(kind="fake_line")
    line = make_line(customer, connection)
    hook, _created = open_hook(connection=connection, line_identifier=SIREN)
    other, _created = open_hook(connection=connection, line_identifier=f"{SIREN}_X")

    admin_client.post(list_of("invoices_addressingline"), {
        "action": "delete_selected", "_selected_action": [line.pk], "post": "yes"
    })  # fmt: skip

    hook.refresh_from_db()
    other.refresh_from_db()
    assert AddressingLine.objects.count() == 0
    assert [hook.closed_at is None, other.closed_at is None] == [False, True]


# --- people -----------------------------------------------------------------------------------------------------------


def user_form(user, *memberships: dict[str, str], initial: int = 0, **values: str) -> dict[str, str]:
    known = {"username": user.username, "email": "", "is_active": "on"}
    return known | formset("memberships", *memberships, initial=initial) | formset("api_tokens") | values


def test_administrator_cannot_raise_anybody_to_superuser(client, customer, administrator):
    clerk = make_user(customer, "clerk")
    row = {"id": str(clerk.memberships.get().pk), "user": str(clerk.pk), "customer": str(customer.pk), "role": "reader"}

    response = client.post(
        page_of("auth_user", clerk), user_form(clerk, row, initial=1, is_superuser="on", is_staff="on", first_name="Bo")
    )

    assert response.status_code == 302
    clerk.refresh_from_db()
    assert [clerk.first_name, clerk.is_superuser, clerk.groups.get().name] == ["Bo", False, STAFF]
    assert clerk.memberships.get().role == "reader"


def test_administrator_gives_no_role_for_a_foreign_customer(client, customer, administrator):
    other = make_customer(OTHER_SIREN)
    clerk = make_user(customer, "clerk")

    client.post(page_of("auth_user", clerk), user_form(clerk, {"customer": str(other.pk), "role": "administrator"}))

    assert [each.customer for each in clerk.memberships.all()] == [customer]


@pytest.mark.parametrize("kind", ["superuser", "works elsewhere too"])
def test_password_of_a_stronger_account_cannot_be_set(client, customer, administrator, kind):
    target = make_user(customer, "clerk", is_superuser=kind == "superuser")
    if kind != "superuser":
        Membership.objects.create(user=target, customer=make_customer(OTHER_SIREN), role="reader")

    password = client.post(
        reverse("admin:auth_user_password_change", args=[target.pk]),
        {"password1": "N3w-password!", "password2": "N3w-password!", "usable_password": "true"},
    )
    token = client.post(list_of("auth_user"), {"action": "create_token", "_selected_action": [target.pk]})

    assert password.status_code == 403
    assert token.status_code == 302
    assert ApiToken.valid().count() == 0


def test_administrator_adds_a_user_with_a_role_only(client, customer, administrator):
    new = {"username": "bob", "password1": "N3w-password!", "password2": "N3w-password!", "usable_password": "true"}
    address = reverse("admin:auth_user_add")

    without = client.post(address, new | formset("memberships"))
    given = client.post(address, new | formset("memberships", {"customer": str(customer.pk), "role": "clerk"}))

    assert without.status_code == 200
    assert given.status_code == 302
    assert User.objects.get(username="bob").memberships.get().role == "clerk"


def test_api_token_is_shown_once_and_works(client, customer, administrator):
    clerk = make_user(customer, "clerk")

    response = client.post(list_of("auth_user"), {"action": "create_token", "_selected_action": [clerk.pk]})

    (message,) = [str(each) for each in get_messages(response.wsgi_request)]
    (secret,) = re.findall(r"<code[^>]*>(.+)</code>", message)
    row = ApiToken.objects.get()
    assert (row.user, row.digest, row.hint) == (clerk, ApiToken.digest_of(secret), secret[-4:])
    answer = APIClient().get("/api/v1/customers/", headers={"Authorization": f"Token {secret}"})
    assert answer.status_code == 200
    client.get(list_of("auth_user"))
    assert client.get(page_of("auth_user", clerk)).content.decode().count(secret) == 0


def test_api_token_is_revoked_on_the_users_page(client, customer, administrator):
    clerk = make_user(customer, "clerk")
    token = ApiToken.objects.create(user=clerk, digest="0" * 64, hint="abcd")
    membership = clerk.memberships.get()
    role = {"id": str(membership.pk), "user": str(clerk.pk), "customer": str(customer.pk), "role": "clerk"}
    row = {"id": str(token.pk), "user": str(clerk.pk), "DELETE": "on"}

    response = client.post(
        page_of("auth_user", clerk), user_form(clerk, role, initial=1) | formset("api_tokens", row, initial=1)
    )

    assert response.status_code == 302
    assert ApiToken.valid().count() == 0


def test_second_factor_is_deleted_and_never_shown(admin_client, customer):
    factor = Authenticator.objects.create(
        user=make_user(customer), type=Authenticator.Type.TOTP, data={"secret": "JBSWY3DPEHPK3PXP"}
    )

    page = admin_client.get(page_of("mfa_authenticator", factor)).content.decode()
    admin_client.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})

    assert page.count("JBSWY3DPEHPK3PXP") == 0
    assert Authenticator.objects.count() == 0


def test_single_sign_on_secrets_have_no_page():
    assert [admin.site.is_registered(model) for model in (SocialApp, SocialToken)] == [False, False]


# --- invoices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["F-2026-77", "papet", SIREN, "dupont f-2026-77"])
def test_invoice_is_found_by_number_siren_and_names(admin_client, customer, term):
    wanted = make_invoice(customer, number="F-2026-77")
    make_invoice(customer, seller_name="Menuiserie", seller_siren="", buyer_siren="", buyer_name="x", number="Z-1")

    assert shown(admin_client, "invoices_invoice", q=term) == [wanted.pk]


def test_invoice_cannot_be_changed_by_a_superuser(admin_client, customer):
    invoice = make_invoice(customer, statuses=["203"])

    codes = [
        admin_client.post(reverse("admin:invoices_invoice_add"), {}).status_code,
        admin_client.post(page_of("invoices_invoice", invoice), {"number": "X"}).status_code,
        admin_client.post(reverse("admin:invoices_invoice_delete", args=[invoice.pk]), {"post": "yes"}).status_code,
    ]

    assert codes == [403, 403, 403]
    assert admin_client.get(page_of("invoices_invoice", invoice)).status_code == 200


@pytest.mark.parametrize("model", ["invoices_customer", "invoices_addressingline", "invoices_invoice", "auth_user"])
def test_list_queries_do_not_grow(client, customer, administrator, model):
    connection = make_connection()

    def add(number: int) -> None:
        make_line(customer, connection, identifier=f"{SIREN}_{number}")
        make_invoice(customer, connection)
        make_user(customer, "clerk")

    add(1)
    client.get(list_of(model))  # the first request of a session notes it
    with CaptureQueriesContext(database) as one:
        client.get(list_of(model))
    add(2)
    add(3)
    with CaptureQueriesContext(database) as three:
        client.get(list_of(model))

    assert len(three) == len(one)


def test_paginator_counts_small_tables_and_estimates_large_ones(customer, monkeypatch):
    connection = make_connection()
    for _number in range(5):
        make_invoice(customer, connection)
    exact = EstimatePaginator(Invoice.objects.order_by("pk"), 2).count
    with database.cursor() as cursor:
        cursor.execute("ANALYZE invoices_invoice")
    monkeypatch.setattr(EstimatePaginator, "COUNTED", 3)

    assert exact == 5
    assert EstimatePaginator(Invoice.objects.order_by("pk"), 2).count == 5
    assert EstimatePaginator(Invoice.objects.filter(customer=customer), 2).count == 3

"""Who may see and do what."""

import pytest
from django.contrib.auth.models import AnonymousUser

from invoices.models import Role
from invoices.people.access import customers_of, has_role, invoices_of, role_of
from tests.factories import OTHER_SIREN, make_customer, make_invoice, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def other():
    return make_customer(OTHER_SIREN)


@pytest.mark.parametrize("held", Role.values)
@pytest.mark.parametrize("asked", Role.values)
def test_roles_are_cumulative(customer, other, held, asked):
    user = make_user(customer, held)
    may = Role.values.index(held) >= Role.values.index(asked)

    assert has_role(user, customer, asked) is may
    assert list(customers_of(user, asked)) == ([customer] if may else [])


@pytest.mark.parametrize("asked", Role.values)
def test_stranger_has_no_role(customer, other, asked):
    stranger = make_user(other, "administrator")

    assert (has_role(stranger, customer, asked), role_of(stranger, customer)) == (False, None)
    assert customer not in customers_of(stranger, asked)


def test_user_without_any_membership_sees_nothing(customer):
    make_invoice(customer)
    user = make_user()

    assert (list(customers_of(user)), list(invoices_of(user)), role_of(user, customer)) == ([], [], None)


def test_superuser_has_every_role_everywhere(customer, other):
    user = make_user(is_superuser=True)

    assert role_of(user, other) == "administrator"
    assert set(customers_of(user, "administrator")) == {customer, other}


@pytest.mark.parametrize("values", [{}, {"is_superuser": True}])
def test_closed_account_has_no_role(customer, values):
    user = make_user(customer, "administrator", is_active=False, **values)

    assert (role_of(user, customer), has_role(user, customer, "reader"), list(customers_of(user))) == (None, False, [])


def test_nobody_has_no_role(customer):
    assert (role_of(AnonymousUser(), customer), list(customers_of(AnonymousUser()))) == (None, [])


def test_invoices_are_those_of_ones_customers(customer, other):
    mine, theirs = make_invoice(customer), make_invoice(other)

    assert list(invoices_of(make_user(customer))) == [mine]
    assert list(invoices_of(make_user(customer), "clerk")) == []
    assert set(invoices_of(make_user(is_superuser=True))) == {mine, theirs}

"""The directory look-up in the admin: who may, what is shown, and where a choice leads."""

import pytest
from django.urls import reverse

from invoices.models import AddressingLine
from invoices.people.staff import grant_administrator_permissions
from providers.contract import kinds
from providers.contract.base import Capabilities, DirectoryEntry, TemporaryError, Unsupported
from tests import fake_provider
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user

pytestmark = pytest.mark.django_db

PAGE = "admin:invoices_addressingline_directory"
SIRET = f"{SIREN}00014"


class Directory(fake_provider.FakePlatform):
    kind = "directory"
    answer = ()
    asked = []

    @property
    def capabilities(self):
        return Capabilities(directory=True)

    def search_directory(self, identifier):
        self.asked.append(identifier)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def platform(monkeypatch):
    fake_provider.register(monkeypatch)
    monkeypatch.setitem(kinds.ADAPTERS, "directory", f"{__name__}.Directory")
    monkeypatch.setattr(Directory, "asked", [])
    return Directory


@pytest.fixture
def connection():
    return make_connection("directory")


@pytest.fixture
def customer(connection):
    customer = make_customer()
    make_line(customer, connection)
    return customer


@pytest.fixture
def administrator(client, customer):
    user = make_user(customer, "administrator")
    grant_administrator_permissions(user)
    client.force_login(user)
    return user


def entry(identifier=f"{SIREN}_{SIRET}", **values):
    return DirectoryEntry(identifier=identifier, siren=identifier[:9], **values)


def look_up(client, customer, connection, identifier=""):
    wish = {"customer": customer.pk, "connection": connection.pk, "identifier": identifier}
    return client.get(reverse(PAGE), wish)


def rows(page):
    return [(row.entry.identifier, row.line is not None, bool(row.add_url)) for row in page.context["found"]]


def test_page_is_linked_from_the_list_and_the_form(client, administrator):
    for name in ("changelist", "add"):
        page = client.get(reverse(f"admin:invoices_addressingline_{name}"))
        assert page.content.decode().count(f'href="{reverse(PAGE)}"') == 1


def test_customer_is_looked_up_by_its_siren(client, administrator, customer, connection, monkeypatch):
    lines = (entry(active=False), entry(SIREN), entry(f"{SIREN}_COMPTA", name="Atelier", routing_name="Compta"))
    monkeypatch.setattr(Directory, "answer", lines)
    page = look_up(client, customer, connection)

    assert (Directory.asked, page.context["error"]) == ([SIREN], "")
    assert rows(page) == [
        (SIREN, True, True),
        (f"{SIREN}_COMPTA", False, True),
        (f"{SIREN}_{SIRET}", False, True),
    ]


def test_chosen_line_opens_the_form_filled_in(client, administrator, customer, connection, monkeypatch):
    monkeypatch.setattr(Directory, "answer", (entry(),))
    (row,) = look_up(client, customer, connection).context["found"]
    initial = client.get(row.add_url).context["adminform"].form.initial
    assert initial == {
        "customer": str(customer.pk),
        "connection": str(connection.pk),
        "identifier": f"{SIREN}_{SIRET}",
    }

    client.post(row.add_url, initial)
    assert AddressingLine.objects.filter(identifier=f"{SIREN}_{SIRET}", customer=customer).exists()


def test_line_of_another_company_cannot_be_used(client, administrator, customer, connection, monkeypatch):
    monkeypatch.setattr(Directory, "answer", (entry(OTHER_SIREN),))
    page = look_up(client, customer, connection, OTHER_SIREN)
    assert (Directory.asked, rows(page)) == ([OTHER_SIREN], [(OTHER_SIREN, False, False)])


@pytest.mark.parametrize("error", [TemporaryError("The directory is down."), Unsupported("None here.")])
def test_platform_in_trouble_is_told_and_nothing_is_claimed(
    client, administrator, customer, connection, error, monkeypatch
):
    monkeypatch.setattr(Directory, "answer", error)
    page = look_up(client, customer, connection)
    assert (page.status_code, page.context["error"], page.context["found"]) == (200, error.message, None)


def test_words_of_a_platform_are_no_markup(client, administrator, customer, connection, monkeypatch):
    monkeypatch.setattr(Directory, "answer", (entry(name="<script>alert(1)</script>"),))
    assert "<script>alert" not in look_up(client, customer, connection).content.decode()


def test_only_platforms_with_a_directory_are_offered(client, administrator, customer, connection):
    make_line(customer, make_connection("fake"), f"{SIREN}_X")
    make_line(customer, make_connection("nobody-speaks-this"), f"{SIREN}_Y")
    offered = client.get(reverse(PAGE)).context["form"].fields["connection"].queryset
    assert list(offered) == [connection]


def test_nobody_asks_through_a_connection_or_for_a_customer_of_others(client, administrator, customer, connection):
    stranger = make_customer(OTHER_SIREN)
    others = make_connection("directory")
    make_line(stranger, others)
    for pair in ((stranger, connection), (customer, others)):
        assert look_up(client, *pair).context["found"] is None
    assert Directory.asked == []


@pytest.mark.parametrize("role", ["reader", "clerk", "approver"])
def test_page_is_for_administrators(client, customer, connection, role):
    client.force_login(make_user(customer, role))
    assert look_up(client, customer, connection).status_code == 302
    client.force_login(make_user(customer, role, is_staff=True))
    assert look_up(client, customer, connection).status_code == 403
    assert Directory.asked == []

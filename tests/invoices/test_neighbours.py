"""Two customers on one connection: nobody reaches the other's rows through what they share."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone

from invoices.customers.lines import OfAnotherCompany, set_up_line
from invoices.models import Membership
from invoices.people.access import deliveries_of, hooks_of, wholly_administered_connections
from invoices.people.staff import match_memberships
from invoices.register.services import UnknownOwner, receive_invoice
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayTask
from lifecycle.provisioning import WishRefused, provision
from providers.connections.services import open_hook
from providers.contract.base import Field, InvoiceReport, Line, Party
from providers.contract.kinds import ADAPTERS, adapter_class
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_invoice,
    make_line,
    make_token,
    make_user,
)

pytestmark = pytest.mark.django_db


class MistakenPlatform(fake_provider.FakePlatform):
    """Tells every company the same number."""

    kind = "mistaken"
    line_setting_fields = (Field(name="number", of_one_company=True),)

    def set_up_line(self, line: Line, owner: Party) -> dict[str, str]:
        return {"number": "7"}


@pytest.fixture
def shared(monkeypatch) -> Any:
    fake_provider.register(monkeypatch)
    connection = make_connection()
    for siren in (SIREN, OTHER_SIREN):
        make_line(make_customer(siren), connection)
        open_hook(connection=connection, line_identifier=siren)
        make_delivery(connection, key=siren, line_identifier=siren)
    open_hook(connection=connection)
    make_delivery(connection, key="of-all")
    return connection


def administrator(*sirens: str) -> Any:
    user = make_user()
    for siren in sirens:
        Membership.objects.create(user=user, customer=make_customer(siren), role="administrator")
    match_memberships(user)
    return user


def keys(user: Any) -> set[str]:
    return set(deliveries_of(user).values_list("key", flat=True))


def test_rows_of_a_line_are_seen_by_its_administrator_alone(shared):
    user = administrator(SIREN)
    assert keys(user) == {SIREN}
    assert [hook.line_identifier for hook in hooks_of(user)] == [SIREN]
    assert not wholly_administered_connections(user).exists()


def test_rows_of_a_connection_are_seen_by_who_administers_all_of_it(shared):
    user = administrator(SIREN, OTHER_SIREN)
    assert keys(user) == {SIREN, OTHER_SIREN, "of-all"}
    assert hooks_of(user).count() == 3
    assert [*wholly_administered_connections(user)] == [shared]


def test_former_customer_still_keeps_a_connection_from_who_is_left(shared):
    make_customer(OTHER_SIREN).addressing_lines.all().delete()
    user = administrator(SIREN)
    assert [*wholly_administered_connections(user)] == [shared]
    make_invoice(make_customer(OTHER_SIREN), shared)
    assert not wholly_administered_connections(user).exists()


def test_clerk_sees_no_push_at_all(shared):
    assert keys(make_user(make_customer(), "approver")) == set()


@pytest.mark.parametrize(("key", "is_taken_up"), [(SIREN, True), (OTHER_SIREN, False), ("of-all", False)])
def test_replay_reaches_what_is_seen_and_nothing_else(shared, key, is_taken_up):
    row = shared.deliveries.get(key=key)
    row.state = "quarantined"
    row.save()
    if is_taken_up:
        deliveries.replay(user=administrator(SIREN), delivery_id=row.pk)
    else:
        with pytest.raises(PermissionDenied):
            deliveries.replay(user=administrator(SIREN), delivery_id=row.pk)
    row.refresh_from_db()
    assert row.state == ("received" if is_taken_up else "quarantined")


def test_pages_and_admin_show_no_address_of_a_neighbour(client, shared):
    shared.ill_reason = "secret of the neighbour"
    shared.check_results = [{"name": OTHER_SIREN, "ok": False, "message": "wrong"}]
    shared.save()
    client.force_login(administrator(SIREN))
    hooks = {hook.line_identifier: hook.token for hook in shared.hooks.all()}
    line = make_customer().addressing_lines.get()
    pages = [
        client.get(reverse("lifecycle:connections")),
        client.get(reverse("admin:invoices_addressingline_change", args=[line.pk])),
        client.get(reverse("admin:providers_connection_change", args=[shared.pk]), follow=True),
    ]
    text = "".join(page.content.decode() for page in pages)
    assert [name for name, token in hooks.items() if token in text] == [SIREN]
    assert [word for word in ("secret of the neighbour", OTHER_SIREN) if word in text] == []


# --- names at the platform --------------------------------------------------------------------------------------------


def test_hosts_paths_and_names_at_the_platform_are_the_operators():
    opened = {
        f"{kind}.{field.name}"
        for kind in ADAPTERS
        for field in (*adapter_class(kind).settings_fields, *adapter_class(kind).line_setting_fields)
        if not field.is_operators and ("url" in field.name or "path" in field.name or field.name.endswith("_id"))
    }
    assert opened == set()


def test_form_of_a_line_does_not_take_a_name_at_the_platform(client):
    connection = make_connection("billit", secrets={"api_key": "k"})
    line = make_line(make_customer(), connection)
    client.force_login(administrator(SIREN))
    page = reverse("admin:invoices_addressingline_change", args=[line.pk])
    sent = {"identifier": SIREN, "setting_registration_id": "99", "setting_email": "a@example.test"}
    sent |= {"setting_doc_types": "CDAR;MLR", "setting_language": "FR"}
    assert client.post(page, sent).status_code == 302
    line.refresh_from_db()
    assert line.settings == {"email": "a@example.test"}


def test_superuser_cannot_give_two_customers_one_name(client):
    connection = make_connection("billit", secrets={"api_key": "k"})
    make_line(make_customer(OTHER_SIREN), connection)
    connection.addressing_lines.update(settings={"registration_id": "99"})
    line = make_line(make_customer(), connection)
    client.force_login(make_user(is_superuser=True, is_staff=True))
    page = reverse("admin:invoices_addressingline_change", args=[line.pk])
    sent = {"identifier": SIREN, "setting_registration_id": "99"}
    sent |= {"setting_doc_types": "CDAR;MLR", "setting_language": "FR"}
    assert client.post(page, sent).status_code == 200
    line.refresh_from_db()
    assert line.settings == {}


def test_provision_cannot_give_two_customers_one_name():
    make_connection("billit", name="billit", secrets={"api_key": "k"})

    def wish(siren: str) -> dict[str, Any]:
        line = {"identifier": siren, "connection": "billit", "settings": {"registration_id": "99"}}
        return {"customers": [{"siren": siren, "name": siren, "addressing_lines": [line]}]}

    provision(wish(SIREN))
    provision(wish(SIREN))
    with pytest.raises(WishRefused, match="registration_id 99"):
        provision(wish(OTHER_SIREN))


def test_set_up_does_not_learn_the_name_of_a_neighbour(monkeypatch):
    monkeypatch.setitem(ADAPTERS, "mistaken", f"{__name__}.MistakenPlatform")
    connection = make_connection("mistaken")
    set_up_line(line=make_line(make_customer(), connection))
    line = make_line(make_customer(OTHER_SIREN), connection)
    with pytest.raises(OfAnotherCompany):
        set_up_line(line=line)
    line.refresh_from_db()
    assert line.settings == {}


def test_invoice_that_came_under_another_company_is_nobodys(shared):
    told = Party(siren=OTHER_SIREN, identifier=SIREN, scheme="0225")
    report = InvoiceReport(provider_ref="r-1", direction="received", number="F-1", buyer=told)
    with pytest.raises(UnknownOwner, match=f"{SIREN}, {OTHER_SIREN}"):
        receive_invoice(connection=shared, report=report, files=())
    assert not shared.invoices.exists()


# --- the callback of a line -------------------------------------------------------------------------------------------


def test_new_line_at_cegid_has_a_callback_secret():
    make_connection("cegid", name="od", settings={"od_url": "https://od.example.test"})
    line = {"identifier": SIREN, "connection": "od"}
    wish = {"customers": [{"siren": SIREN, "name": "A", "addressing_lines": [line]}]}
    made = provision(wish)["customers"][0]["addressing_lines"][0]
    kept = make_customer().addressing_lines.get()
    assert made["callback_secret"] == kept.secrets["callback_secret"]
    assert len(made["callback_secret"]) == 43
    assert "callback_secret" not in provision(wish)["customers"][0]["addressing_lines"][0]
    assert make_customer().addressing_lines.get().secrets == kept.secrets


# --- why a connection is ill ------------------------------------------------------------------------------------------


def told_of_illness(client, connection, user):
    """What the card of a connection, the list of relays and the API say of its illness."""
    client.force_login(user)
    token = {"Authorization": f"Token {make_token(user)}"}
    pages = [client.get(reverse("lifecycle:connections")), client.get(reverse("lifecycle:relays"))]
    pages.append(client.get(reverse("api:relay-list"), headers=token))
    return [connection.ill_reason in page.content.decode() for page in pages]


def fall_ill(connection):
    author = make_user(make_customer(), "clerk")
    invoice = make_invoice(make_customer(), connection, ["203"])
    issue_status(user=author, invoice_id=invoice.pk, wish=Wish(status="204"))
    RelayTask.objects.update(state="pending")
    connection.health, connection.ill_reason, connection.ill_since = "outage", "No answer in time", timezone.now()
    connection.save()


@pytest.mark.parametrize("role", ["reader", "clerk", "approver", "administrator"])
def test_illness_of_a_connection_for_own_customers_alone_is_told_with_its_reason(client, monkeypatch, role):
    fake_provider.register(monkeypatch)
    connection = make_connection()
    make_line(make_customer(), connection)
    fall_ill(connection)
    assert told_of_illness(client, connection, make_user(make_customer(), role)) == [True, True, True]


def test_illness_of_a_shared_connection_is_told_without_its_reason(client, shared):
    fall_ill(shared)
    assert told_of_illness(client, shared, administrator(SIREN)) == [False, False, False]
    assert told_of_illness(client, shared, administrator(SIREN, OTHER_SIREN)) == [True, True, True]

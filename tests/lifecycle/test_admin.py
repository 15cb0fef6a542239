"""History, relays and deliveries in the admin: read-only, with actions that ask the services."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoices.people.staff import grant_administrator_permissions, match_memberships
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayAttempt, RelayState, RelayTask, StatusEvent
from providers.models import WebhookDelivery
from tests import fake_provider, pages
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_delivery,
    make_event,
    make_invoice,
    make_line,
    make_user,
)

pytestmark = pytest.mark.django_db

INVOICES = reverse("admin:invoices_invoice_changelist")
EVENTS = reverse("admin:lifecycle_statusevent_changelist")
RELAYS = reverse("admin:lifecycle_relaytask_changelist")
DELIVERIES = reverse("admin:providers_webhookdelivery_changelist")


@pytest.fixture(autouse=True)
def _fake_platform(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def connection(customer):
    connection = make_connection()
    make_line(customer, connection)
    return connection


@pytest.fixture
def invoice(customer, connection):
    return make_invoice(customer, connection, ["203"])


@pytest.fixture
def administrator(client, customer):
    user = make_user(customer, "administrator")
    grant_administrator_permissions(user)
    client.force_login(user)
    return user


@pytest.fixture
def relay(invoice, administrator):
    return issue_status(user=administrator, invoice_id=invoice.pk, wish=Wish(status="204"))[0]


def run_action(client, address: str, name: str, *rows):
    sure = {"confirmed": "yes", "why": "Seen there."} if address.startswith(RELAYS) else {}
    return client.post(address, {"action": name, "_selected_action": [row.pk for row in rows]} | sure)


def texts(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def shown(client, address: str, **query: str) -> list:
    return [row.pk for row in client.get(address, query).context["cl"].result_list]


# --- decisions --------------------------------------------------------------------------------------------------------


def test_taking_in_hand_goes_through_the_one_door(client, customer, connection, invoice, administrator):
    refused = make_invoice(customer, connection, ["203", "210"])

    response = run_action(client, INVOICES, "take_in_hand", invoice, refused)

    assert {event.actor for event in invoice.status_events.filter(status="204")} == {administrator}
    assert RelayTask.objects.get().invoice == invoice
    said = texts(response)
    assert [text.split(":")[0] for text in said] == [str(refused), str(invoice)]
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(invoice.pk)]


def test_superuser_needs_no_membership_to_decide(admin_client, invoice):
    run_action(admin_client, INVOICES, "take_in_hand", invoice)

    invoice.refresh_from_db()
    assert invoice.status == "204"


def test_deciding_needs_the_permission(client, invoice, administrator):
    group = administrator.groups.get()
    group.permissions.remove(Permission.objects.get(codename="add_statusevent"))

    run_action(client, INVOICES, "take_in_hand", invoice)

    assert RelayTask.objects.count() == 0


def test_deciding_for_another_customer_does_nothing(client, administrator):
    foreign = make_invoice(make_customer(OTHER_SIREN), make_connection(), ["203"])

    run_action(client, INVOICES, "take_in_hand", foreign)

    assert RelayTask.objects.count() == 0


def test_invoice_page_shows_its_history(client, invoice, relay):
    page = client.get(reverse("admin:invoices_invoice_change", args=[invoice.pk]))

    inline = next(each for each in page.context["inline_admin_formsets"] if each.opts.model is StatusEvent)
    assert [form.original.status for form in inline if form.original] == ["203", "204"]


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_is_told_in_the_readers_time(client, invoice, administrator):
    moment = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
    make_event(invoice, "212", occurred_at=moment)

    page = client.get(reverse("admin:invoices_invoice_change", args=[invoice.pk]))
    event = client.get(reverse("admin:lifecycle_statusevent_change", args=[invoice.status_events.get(status="212").pk]))

    assert pages.texts(page, "//td[@class='field-moment']")[-1] == "5 octobre 2026 14:30"
    assert pages.texts(event, "//div[contains(@class, 'field-moment')]//div[@class='readonly']") == [
        "5 octobre 2026 14:30"
    ]


def test_rows_nobody_may_open_are_named_without_a_link(client, customer, relay, administrator):
    addresses = [
        reverse("admin:lifecycle_relaytask_change", args=[relay.pk]),
        reverse("admin:lifecycle_statusevent_change", args=[relay.event.pk]),
    ]
    clerk = make_user(customer, "clerk")
    match_memberships(clerk)

    def links():
        return [
            link for address in addresses for link in pages.texts(client.get(address), "//div[@class='readonly']//a")
        ]

    of_administrator = links()
    client.force_login(clerk)

    assert of_administrator == [relay.invoice.number, relay.connection.name, relay.invoice.number, str(administrator)]
    assert links() == [relay.invoice.number] * 2


def test_events_cannot_be_touched_by_a_superuser(admin_client, invoice):
    event = invoice.status_events.get()
    before = event.facts()

    codes = [
        admin_client.get(reverse("admin:lifecycle_statusevent_add")).status_code,
        admin_client.post(reverse("admin:lifecycle_statusevent_add"), {"status": "205"}).status_code,
        admin_client.post(
            reverse("admin:lifecycle_statusevent_change", args=[event.pk]), {"status": "205"}
        ).status_code,
        admin_client.post(reverse("admin:lifecycle_statusevent_delete", args=[event.pk]), {"post": "yes"}).status_code,
    ]
    run_action(admin_client, EVENTS, "delete_selected", event)

    assert codes == [403, 403, 403, 403]
    assert StatusEvent.objects.get().facts() == before
    assert admin_client.get(reverse("admin:lifecycle_statusevent_change", args=[event.pk])).status_code == 200


def test_events_are_listed_by_invoice(admin_client, customer, connection, invoice):
    make_invoice(customer, connection, ["203"])

    assert shown(admin_client, EVENTS) == []
    assert shown(admin_client, EVENTS, q=invoice.number) == [invoice.status_events.get().pk]


# --- relays -----------------------------------------------------------------------------------------------------------


def set_state(relay: RelayTask, state: RelayState) -> None:
    relay.state = state
    relay.save()


@pytest.mark.parametrize(
    ("action", "state", "after"),
    [
        ("retry", RelayState.FAILED, RelayState.PENDING),
        ("cancel", RelayState.FAILED, RelayState.CANCELLED),
        ("say_arrived", RelayState.UNCERTAIN, RelayState.CONFIRMED),
        ("say_not_arrived", RelayState.UNCERTAIN, RelayState.PENDING),
    ],
)
def test_relay_action_changes_the_state_and_is_logged(client, relay, action, state, after):
    set_state(relay, state)

    response = run_action(client, RELAYS, action, relay)

    relay.refresh_from_db()
    assert relay.state == after
    assert len(texts(response)) == 1
    assert LogEntry.objects.get().object_id == str(relay.pk)


@pytest.mark.parametrize("action", ["retry", "say_arrived", "say_not_arrived"])
def test_relay_action_in_the_wrong_state_is_refused_in_words(client, relay, action):
    set_state(relay, RelayState.CONFIRMED)

    response = run_action(client, f"{RELAYS}?state=confirmed", action, relay)

    relay.refresh_from_db()
    assert relay.state == RelayState.CONFIRMED
    assert [text.split(":")[0] for text in texts(response)] == [str(relay)]
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("name", ["release", "cancel", "say_arrived", "say_not_arrived"])
def test_relay_action_that_cannot_be_undone_asks_first(client, relay, name):
    RelayTask.objects.update(state=RelayState.UNCERTAIN)
    asked = client.post(RELAYS, {"action": name, "_selected_action": [relay.pk]})
    assert relay.invoice.number in " ".join(pages.texts(asked, "//table[@class='preview']//th"))
    assert RelayTask.objects.get().state == RelayState.UNCERTAIN


def test_one_refusal_does_not_stop_the_others(client, customer, connection, relay, administrator):
    other = make_invoice(customer, connection, ["203"])
    stuck = issue_status(user=administrator, invoice_id=other.pk, wish=Wish(status="204"))[0]
    set_state(relay, RelayState.UNCERTAIN)
    set_state(stuck, RelayState.FAILED)

    response = run_action(client, RELAYS, "retry", relay, stuck)

    states = {row.pk: row.state for row in RelayTask.objects.all()}
    assert states == {relay.pk: RelayState.UNCERTAIN, stuck.pk: RelayState.PENDING}
    assert len(texts(response)) == 2


def test_relay_action_needs_the_permission(client, relay, administrator):
    set_state(relay, RelayState.FAILED)
    administrator.groups.get().permissions.remove(Permission.objects.get(codename="change_relaytask"))

    run_action(client, RELAYS, "retry", relay)

    relay.refresh_from_db()
    assert relay.state == RelayState.FAILED


def test_relay_cannot_be_changed_by_a_superuser(admin_client, relay):
    codes = [
        admin_client.post(reverse("admin:lifecycle_relaytask_add"), {}).status_code,
        admin_client.post(reverse("admin:lifecycle_relaytask_change", args=[relay.pk]), {}).status_code,
        admin_client.post(reverse("admin:lifecycle_relaytask_delete", args=[relay.pk]), {"post": "yes"}).status_code,
    ]

    assert codes == [403, 403, 403]


def test_relays_waiting_for_somebody_come_first_and_search_finds_all(client, invoice, relay):
    settled = [shown(client, RELAYS), shown(client, RELAYS, state="pending"), shown(client, RELAYS, q=invoice.number)]
    set_state(relay, RelayState.FAILED)

    assert settled == [[], [relay.pk], [relay.pk]]
    assert shown(client, RELAYS) == [relay.pk]


def test_relay_page_shows_its_attempts_escaped(client, relay):
    RelayAttempt.objects.create(
        relay=relay, kind="send", started_at=relay.created_at, duration_ms=3, outcome="x", answer="<script>bad()"
    )

    page = client.get(reverse("admin:lifecycle_relaytask_change", args=[relay.pk])).content.decode()

    assert (page.count("<script>bad()"), page.count("&lt;script&gt;bad()")) == (0, 1)


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_replay_puts_a_delivery_back(client, connection, administrator):
    delivery = make_delivery(connection, state="quarantined", attempts=5, error="broken")

    response = run_action(client, DELIVERIES, "replay", delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.error) == (WebhookDelivery.State.RECEIVED, 0, "")
    assert len(texts(response)) == 1


def test_replay_for_another_customer_does_nothing(client, administrator):
    foreign = make_connection()
    make_line(make_customer(OTHER_SIREN), foreign)
    delivery = make_delivery(foreign, state="quarantined")

    run_action(client, DELIVERIES, "replay", delivery)

    delivery.refresh_from_db()
    assert delivery.state == WebhookDelivery.State.QUARANTINED


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [f"{INVOICES}?q=F", f"{EVENTS}?q=F", f"{RELAYS}?state=pending", DELIVERIES])
def test_list_queries_do_not_grow(client, customer, connection, administrator, address):
    def add() -> None:
        invoice = make_invoice(customer, connection, ["203"])
        issue_status(user=administrator, invoice_id=invoice.pk, wish=Wish(status="204"))
        make_delivery(connection)

    add()
    client.get(address)  # the first request of a session notes it
    with CaptureQueriesContext(database) as one:
        client.get(address)
    add()
    add()
    with CaptureQueriesContext(database) as three:
        client.get(address)

    assert len(three) == len(one)


@pytest.mark.parametrize("address", [EVENTS, RELAYS])
def test_staff_of_another_customer_sees_no_row(client, relay, address):
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")
    grant_administrator_permissions(stranger)
    client.force_login(stranger)

    rows = shown(client, address, q=relay.invoice.number)
    page = client.get(reverse("admin:lifecycle_relaytask_change", args=[relay.pk]))

    assert (rows, page.status_code) == ([], 302)


@pytest.mark.parametrize("address", [EVENTS, RELAYS])
def test_who_is_no_staff_is_sent_to_the_login(client, customer, address):
    client.force_login(make_user(customer, "administrator"))

    assert client.get(address).status_code == 302

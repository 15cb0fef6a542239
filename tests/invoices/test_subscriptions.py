"""Lines that are joined to the other party one by one: connection data, states, actions, the command, provisioning."""

import io
import json

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoices.models import AddressingLine
from invoices.people.staff import grant_administrator_permissions
from lifecycle.provisioning import provision
from providers.connections import services
from providers.connections.registry import as_line, get_adapter
from providers.models import Hook, Subscription
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user

pytestmark = pytest.mark.django_db

LINE = f"{SIREN}_80011223700014"
LIST = reverse("admin:invoices_addressingline_changelist")
CALLBACK = "https://pdp.example.test/hooks/unguessable/"


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def administrator(client, customer):
    user = make_user(customer, "administrator", username="ada")
    grant_administrator_permissions(user)
    client.force_login(user)
    return user


@pytest.fixture
def od():
    connection = make_connection("cegid_od", secrets={"subscription_key": "subscription-k3y"})
    services.open_hook(connection=connection)
    return connection


@pytest.fixture
def line(customer, od):
    return make_line(customer, od, LINE)


def state_of(line):
    return Subscription.objects.get(line_identifier=line.identifier).state


def set_state(line, state, **values):
    values = {"line_identifier": line.identifier, "state": state} | values
    get_adapter(line.connection).account.subscriptions.save(services.base.Subscription(**values))


def run(client, action, *lines):
    answer = client.post(LIST, {"action": action, "_selected_action": [line.pk for line in lines]})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def command(*arguments):
    out = io.StringIO()
    call_command("subscriptions", *arguments, stdout=out, no_color=True)
    return out.getvalue()


# --- connection data --------------------------------------------------------------------------------------------------


def test_connection_data_are_shown_once_and_kept_sealed(client, administrator, line, od):
    (words,) = run(client, "make_connection_data", line)
    line.refresh_from_db()
    key = line.secrets["api_key"]

    assert (words.count(key), state_of(line)) == (1, "connection_data_received")
    assert words.count(od.hooks.get().url) == 2
    page = client.get(reverse("admin:invoices_addressingline_change", args=[line.pk])).content.decode()
    later = page + client.get(LIST).content.decode() + client.get(LIST).content.decode()
    assert key.partition(":")[2] not in later.replace(words, "")
    with database.cursor() as cursor:
        cursor.execute("SELECT secrets FROM invoices_addressingline")
        assert key not in cursor.fetchone()[0]


def test_new_connection_data_end_what_was_given_before(line):
    first = services.make_connection_data(connection=line.connection, line_identifier=LINE)
    set_state(line, "active", callback_url=CALLBACK, reference="s-1")
    second = services.make_connection_data(connection=line.connection, line_identifier=LINE)
    kept = get_adapter(line.connection).account.subscriptions.find(LINE)

    assert first["apiKey"] != second["apiKey"]
    assert (kept.state, kept.callback_url, kept.reference) == ("connection_data_received", "", "")


def test_every_line_has_connection_data_of_its_own(customer, od, line):
    other = make_line(customer, od, f"{SIREN}_COMPTA")
    keys = {
        services.make_connection_data(connection=od, line_identifier=each.identifier)["apiKey"]
        for each in (line, other)
    }

    assert len(keys) == 2


def test_platform_that_gives_the_data_itself_is_named(client, administrator, customer):
    line = make_line(customer, make_connection("cegid"), LINE)

    assert run(client, "make_connection_data", line) == [
        f"{LINE}: This platform gives the connection data; it is pasted here."
    ]
    assert Subscription.objects.count() == 0


# --- states -----------------------------------------------------------------------------------------------------------


def test_pasted_key_moves_the_subscription_on(client, administrator, customer):
    connection = make_connection("cegid", settings={"od_url": "https://od.example.test"})
    line = make_line(customer, connection, LINE)
    page = reverse("admin:invoices_addressingline_change", args=[line.pk])
    client.post(page, {"identifier": LINE})
    before = state_of(line)
    client.post(page, {"identifier": LINE, "secret_api_key": "id:secret"})
    after = state_of(line)
    client.post(page, {"identifier": LINE, "forget_secrets": ["api_key"]})

    assert (before, after, state_of(line)) == ("draft", "connection_data_received", "draft")


@pytest.mark.parametrize("state", ["active", "failed", "suspended", "closed"])
def test_pasted_key_leaves_later_states_alone(line, state):
    set_state(line, state)
    services.follow_connection_data(connection=line.connection, line=as_line(line))

    assert state_of(line) == state


@pytest.mark.parametrize(
    ("state", "action", "becomes"),
    [
        ("active", "suspend", "suspended"),
        ("suspended", "resume", "active"),
        ("draft", "suspend", "draft"),
        ("closed", "resume", "closed"),
        ("failed", "resume", "failed"),
        ("active", "unsubscribe", "closed"),
        ("suspended", "unsubscribe", "closed"),
    ],
)
def test_states_change_by_action(client, administrator, line, state, action, becomes):
    set_state(line, state, callback_url=CALLBACK)
    words = run(client, action, line)

    assert (len(words), state_of(line)) == (1, becomes)


def test_suspending_keeps_where_to_call(client, administrator, line):
    set_state(line, "active", callback_url=CALLBACK, reference="s-1")
    run(client, "suspend", line)
    run(client, "resume", line)
    kept = get_adapter(line.connection).account.subscriptions.find(LINE)

    assert (kept.state, kept.callback_url, kept.reference) == ("active", CALLBACK, "s-1")


def test_subscribing_without_connection_data_says_what_is_missing(client, administrator, customer):
    line = make_line(customer, make_connection("cegid", settings={"od_url": "https://od.example.test"}), LINE)
    (words,) = run(client, "subscribe", line)

    assert words.startswith(f"{LINE}: ")
    assert Hook.objects.filter(line_identifier=LINE, closed_at=None).count() == 1


def test_lines_of_other_platforms_are_named_and_left_alone(client, administrator, customer):
    line = make_line(customer, make_connection("acube"), LINE)

    for action in ("subscribe", "suspend", "make_connection_data"):
        run(client, action, line)
    assert len(run(client, "resume", line)) == 4  # one message each
    assert Subscription.objects.count() == 0


def test_stranger_cannot_touch_a_line(client, line):
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")
    grant_administrator_permissions(stranger)
    client.force_login(stranger)
    run(client, "make_connection_data", line)
    run(client, "unsubscribe", line)
    line.refresh_from_db()

    assert (dict(line.secrets), Subscription.objects.count()) == ({}, 0)


def test_deleting_a_line_closes_its_subscription(client, administrator, line):
    administrator.is_superuser = True
    administrator.save()
    set_state(line, "active", callback_url=CALLBACK)
    client.post(reverse("admin:invoices_addressingline_delete", args=[line.pk]), {"post": "yes"})
    row = Subscription.objects.get()

    assert (AddressingLine.objects.count(), row.state, dict(row.callback)) == (0, "closed", {})


def test_list_costs_the_same_for_one_and_three_lines(client, administrator, customer, od, line):
    set_state(line, "active")
    client.get(LIST)
    with CaptureQueriesContext(database) as one:
        client.get(LIST)
    for name in ("A", "B"):
        set_state(make_line(customer, od, f"{SIREN}_{name}"), "failed")
    with CaptureQueriesContext(database) as three:
        client.get(LIST)

    assert len(one) == len(three)


def test_page_shows_the_state_and_no_secret(client, administrator, line):
    services.make_connection_data(connection=line.connection, line_identifier=LINE)
    set_state(line, "failed", callback_url=CALLBACK, error="The concentrator refuses (400).", reference="s-47")
    line.refresh_from_db()
    page = client.get(reverse("admin:invoices_addressingline_change", args=[line.pk])).content.decode()
    connection = client.get(reverse("admin:providers_connection_change", args=[line.connection_id])).content.decode()

    assert ("The concentrator refuses (400)." in page, "s-47" in page) == (True, True)
    hidden = [
        CALLBACK,
        "unguessable",
        line.secrets["api_key"],
        line.secrets["api_key"].partition(":")[2],
        "subscription-k3y",
    ]
    assert [each for each in hidden if each in page + connection] == []


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_lists_lines_with_their_state(customer, od, line):
    make_line(customer, make_connection("acube"), f"{SIREN}_OTHER")
    set_state(line, "failed", error="No answer.")

    assert command() == f"{od.name}  {LINE}  failed: No answer.\n"


def test_command_makes_connection_data(line, od):
    shown = json.loads(command(LINE, "connection-data"))

    assert shown == {
        "addressingLine": LINE,
        "odUrl": od.hooks.get().url,
        "accountUrl": od.hooks.get().url,
        "apiKey": AddressingLine.objects.get().secrets["api_key"],
        "subscriptionKey": "subscription-k3y",
    }


def test_command_suspends_and_resumes(line, od):
    set_state(line, "active")

    assert command(LINE, "suspend") == f"{od.name}  {LINE}  suspended\n"
    assert command(LINE, "resume") == f"{od.name}  {LINE}  active\n"
    assert command(LINE) == f"{od.name}  {LINE}  active\n"


@pytest.mark.parametrize("arguments", [("nobody",), (LINE, "resume"), (LINE, "subscribe")])
def test_command_refuses_what_cannot_be_done(line, arguments):
    with pytest.raises(CommandError):
        command(*arguments)


# --- provisioning -----------------------------------------------------------------------------------------------------


def wish(**line):
    return {
        "connections": [{"name": "od", "kind": "cegid_od", "secrets": {"subscription_key": "subscription-k3y"}}],
        "customers": [
            {"siren": SIREN, "name": "Atelier", "addressing_lines": [{"identifier": LINE, "connection": "od"} | line]}
        ],
    }


def test_provisioning_makes_connection_data_once():
    first, second = provision(wish()), provision(wish())
    shown = first["customers"][0]["addressing_lines"][0]["connection_data"]

    assert shown["apiKey"] == AddressingLine.objects.get().secrets["api_key"]
    assert shown["odUrl"] == first["connections"][0]["hook_url"]
    assert "connection_data" not in second["customers"][0]["addressing_lines"][0]


def test_provisioned_key_is_kept_and_not_printed():
    made = provision(wish(secrets={"api_key": "id:chosen-secret"}))

    assert AddressingLine.objects.get().secrets["api_key"] == "id:chosen-secret"
    assert "chosen-secret" not in json.dumps(made)
    assert state_of(AddressingLine.objects.get()) == "connection_data_received"


def test_provisioning_as_the_platform_opens_an_address_per_line():
    asked = {
        "connections": [
            {
                "name": "pdp",
                "kind": "cegid",
                "settings": {"od_url": "https://od.example.test"},
                "secrets": {"subscription_key": "k"},
            }
        ],
        "customers": [
            {
                "siren": SIREN,
                "name": "Atelier",
                "addressing_lines": [
                    {"identifier": LINE, "connection": "pdp", "secrets": {"api_key": "a:b"}, "callback_token": "fixed"},
                    {"identifier": f"{SIREN}_COMPTA", "connection": "pdp"},
                ],
            }
        ],
    }
    lines = provision(asked)["customers"][0]["addressing_lines"]
    states = Subscription.objects.order_by("line_identifier").values_list("state", flat=True)

    assert [line["hook_url"].rpartition("/hooks/")[2] for line in lines] == [
        "cegid/fixed/",
        f"cegid/{lines[1]['callback_token']}/",
    ]
    assert list(states) == ["connection_data_received", "draft"]


def test_line_that_moves_to_another_connection_leaves_nothing_open():
    provision(wish())
    line = AddressingLine.objects.get()
    set_state(line, "active", callback_url=CALLBACK)
    moved = {"connections": [{"name": "od2", "kind": "cegid_od", "secrets": {"subscription_key": "k"}}]} | {
        "customers": [{"siren": SIREN, "addressing_lines": [{"identifier": LINE, "connection": "od2"}]}]
    }
    provision(moved)
    states = {row.connection.name: row.state for row in Subscription.objects.all()}

    assert states == {"od": "closed", "od2": "connection_data_received"}

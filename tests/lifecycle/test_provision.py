"""`manage.py provision`: what it makes, that it may be run again, and that a wrong wish changes nothing."""

import copy
import io
import json
import sys

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from invoices.models import AddressingLine, ApiToken, Customer, Membership
from invoices.people.staff import STAFF
from providers.connections.registry import explain
from providers.connections.services import find_hook
from providers.models import Connection, Hook
from tests import fake_provider

pytestmark = pytest.mark.django_db

SIREN, OTHER_SIREN = "800112237", "905334413"
LINE = f"{SIREN}_80011223700014"
WISH = {
    "customers": [
        {
            "siren": SIREN,
            "name": "Atelier Dupont",
            "vat_number": "FR13800112237",
            "undo_seconds": 5,
            "four_eyes": True,
            "addressing_lines": [
                {
                    "identifier": LINE,
                    "connection": "main",
                    "settings": {"mandate": "m-1"},
                    "secrets": {"line_key": "k-1"},
                }
            ],
        }
    ],
    "connections": [
        {
            "name": "main",
            "kind": "fake",
            "environment": "sandbox",
            "settings": {"api_url": "http://127.0.0.1:8900/fake", "page_size": 10},
            "secrets": {"password": "s3cret"},
        }
    ],
    "users": [{"username": "ada", "password": "correct horse", "customers": {SIREN: "approver"}}],
}


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def provision(tmp_path):
    def run(wish):
        file = tmp_path / "wish.json"
        file.write_text(json.dumps(wish) if not isinstance(wish, str) else wish, encoding="utf-8")
        output = io.StringIO()
        call_command("provision", str(file), stdout=output)
        return json.loads(output.getvalue())

    return run


def refusal(provision, wish):
    with pytest.raises(CommandError) as caught:
        provision(wish)
    assert not Customer.objects.exists()
    assert not Connection.objects.exists()
    assert not get_user_model().objects.exists()
    return str(caught.value)


def changed(path, value):
    """WISH with one value changed; `path` as `customers.0.name`."""
    wish = copy.deepcopy(WISH)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = wish
    for step in steps:
        place = place[step]
    place[last] = value
    return wish


def test_wish_comes_true(provision):
    answer = provision(WISH)
    connection, customer, line = Connection.objects.get(), Customer.objects.get(), AddressingLine.objects.get()
    hook = Hook.objects.get()
    token = answer["users"][0]["api_token"]
    assert answer == {
        "customers": [
            {
                "siren": SIREN,
                "created": True,
                "addressing_lines": [{"identifier": LINE, "connection": "main", "created": True}],
            }
        ],
        "connections": [
            {"name": "main", "kind": "fake", "created": True, "hook_url": hook.url, "hook_token": hook.token}
        ],
        "users": [{"username": "ada", "created": True, "api_token": token}],
    }
    assert (connection.settings, dict(connection.secrets)) == (
        {"api_url": "http://127.0.0.1:8900/fake", "page_size": 10},
        {"password": "s3cret"},
    )
    assert (customer.name, customer.undo_seconds, customer.four_eyes) == ("Atelier Dupont", 5, True)
    assert (line.settings, dict(line.secrets)) == ({"mandate": "m-1"}, {"line_key": "k-1"})
    user = get_user_model().objects.get()
    assert user.check_password("correct horse")
    assert Membership.objects.get().role == "approver"
    # Whoever works for a customer enters the admin, and sets nothing up there.
    assert [user.is_staff, [group.name for group in user.groups.all()]] == [True, [STAFF]]
    seen = APIClient(headers={"Authorization": f"Token {token}"}).get("/api/v1/customers/").json()
    assert [row["siren"] for row in seen["results"]] == [SIREN]


def test_second_run_changes_nothing_and_tells_no_token(provision):
    first = provision(WISH)
    rows = [list(model.objects.values()) for model in (Customer, AddressingLine, Hook, ApiToken, Membership)]
    password = get_user_model().objects.get().password
    second = provision(WISH)
    assert rows == [list(model.objects.values()) for model in (Customer, AddressingLine, Hook, ApiToken, Membership)]
    assert get_user_model().objects.get().password == password
    assert second["connections"] == [
        {"name": "main", "kind": "fake", "created": False, "hook_url": first["connections"][0]["hook_url"]}
    ]
    assert second["users"] == [{"username": "ada", "created": False}]


def test_what_is_not_named_stays(provision):
    provision(WISH)
    provision(
        {
            "customers": [{"siren": SIREN, "name": "Atelier Dupont SAS"}],
            "connections": [{"name": "main", "settings": {"strict": True}, "secrets": {"pin": "1234"}}],
            "users": [{"username": "ada"}],
        }
    )
    customer, connection = Customer.objects.get(), Connection.objects.get()
    assert (customer.name, customer.undo_seconds) == ("Atelier Dupont SAS", 5)
    assert connection.settings == {"api_url": "http://127.0.0.1:8900/fake", "page_size": 10, "strict": True}
    assert dict(connection.secrets) == {"password": "s3cret", "pin": "1234"}
    assert AddressingLine.objects.count() == Membership.objects.count() == 1
    assert get_user_model().objects.get().check_password("correct horse")


def test_fixed_tokens_are_used_and_not_repeated(provision):
    wish = changed("connections.0.hook_token", "fixed-hook")
    wish["users"][0]["api_token"] = "fixed-api-token"
    wish["customers"][0]["addressing_lines"][0]["callback_token"] = "fixed-line"
    for created in (True, False):
        answer = provision(wish)
        assert "hook_token" not in answer["connections"][0]
        assert answer["connections"][0]["hook_url"].endswith("/hooks/fake/fixed-hook/")
        (line,) = answer["customers"][0]["addressing_lines"]
        assert line["hook_url"].endswith("/hooks/fake/fixed-line/")
        assert answer["users"] == [{"username": "ada", "created": created}]
    api = APIClient(headers={"Authorization": "Token fixed-api-token"})
    assert api.get("/api/v1/customers/").status_code == 200


def test_new_hook_token_closes_the_old_address(provision):
    provision(changed("connections.0.hook_token", "old"))
    provision(changed("connections.0.hook_token", "new"))
    assert [bool(find_hook("fake", token)) for token in ("old", "new")] == [False, True]
    with pytest.raises(CommandError, match=r"^connections\[0\]\.hook_token: "):
        provision(changed("connections.0.hook_token", "old"))


def test_platform_with_a_hook_per_line_gets_one(provision):
    wish = {
        "connections": [{"name": "lines", "kind": "fake_line"}],
        "customers": [{"siren": SIREN, "name": "X", "addressing_lines": [{"identifier": LINE, "connection": "lines"}]}],
    }
    (line,) = provision(wish)["customers"][0]["addressing_lines"]
    hook = Hook.objects.get(line_identifier=LINE)
    assert (line["hook_url"], line["callback_token"]) == (hook.url, hook.token)


def test_line_that_moves_leaves_its_old_hook_closed(provision):
    wish = changed("customers.0.addressing_lines.0.callback_token", "first")
    provision(wish)
    wish["connections"].append({"name": "other", "kind": "fake_line"})
    wish["customers"][0]["addressing_lines"] = [{"identifier": LINE, "connection": "other"}]
    provision(wish)
    assert find_hook("fake", "first") is None
    line = AddressingLine.objects.get()
    assert (line.connection.name, line.settings, dict(line.secrets)) == ("other", {}, {})


def test_administrator_gets_into_the_admin(provision):
    provision(changed("users.0.customers", {SIREN: "administrator"}))
    assert get_user_model().objects.get().is_staff


def test_user_without_a_password_cannot_log_in_with_one(provision):
    provision({"users": [{"username": "robot"}]})
    assert not get_user_model().objects.get().has_usable_password()


WRONG = {
    "customers.0.siren": ("800112238", "customers[0].siren: "),
    "customers.0.name": ("", "customers[0].name: "),
    "customers.0.undo_seconds": (-1, "customers[0].undo_seconds: "),
    "customers.0.four_eyes": ("perhaps", "customers[0].four_eyes: "),
    "customers.0.colour": ("red", "customers[0].colour: "),
    "customers.0.addressing_lines.0.connection": (
        "nowhere",
        "customers[0].addressing_lines[0].connection: There is no connection “nowhere”.",
    ),
    "customers.0.addressing_lines.0.identifier": (
        OTHER_SIREN,
        "customers[0].addressing_lines[0].identifier: ",
    ),
    "customers.0.addressing_lines.0.settings": (
        {"colour": "red"},
        "customers[0].addressing_lines[0].settings.colour: ",
    ),
    "customers.0.addressing_lines.0.secrets": (
        {"line_key": 5},
        "customers[0].addressing_lines[0].secrets.line_key: ",
    ),
    "customers.0.addressing_lines.0.callback_token": (
        "with/slash",
        "customers[0].addressing_lines[0].callback_token: ",
    ),
    "connections.0.kind": ("nobody", "connections[0].kind: No platform of kind “nobody”."),
    "connections.0.environment": ("moon", "connections[0].environment: "),
    "connections.0.name": ("with space", "connections[0].name: "),
    "connections.0.settings": ({}, "connections[0].settings.api_url: This is needed. Where it answers."),
    "connections.0.secrets": ({}, "connections[0].secrets.password: This is needed."),
    "connections.0.settings.api_url": ("ftp://x", "connections[0].settings.api_url: "),
    "connections.0.settings.page_size": ("many", "connections[0].settings.page_size: "),
    "connections.0.settings.mode": ("medium", "connections[0].settings.mode: "),
    "connections.0.settings.tags": ("a,b", "connections[0].settings.tags: "),
    "connections.0.settings.colour": ("red", "connections[0].settings.colour: "),
    "connections.0.secrets.colour": ("red", "connections[0].secrets.colour: "),
    "connections.0.hook_token": ("é", "connections[0].hook_token: "),
    "users.0.customers": ({OTHER_SIREN: "clerk"}, f"users[0].customers.{OTHER_SIREN}: "),
    "users.0.username": ("a b", "users[0].username: "),
    "users.0.role": ("clerk", "users[0].role: "),
    "users": ({"ada": {}}, "users: "),
    "comment": ("why", "comment: "),
}


@pytest.mark.parametrize("path", WRONG)
def test_wrong_wish_is_refused_by_path_and_saves_nothing(path, provision):
    value, start = WRONG[path]
    message = refusal(provision, changed(path, value))
    assert message.startswith(start), message
    assert "s3cret" not in message


def test_unknown_role_is_refused(provision):
    assert refusal(provision, changed("users.0.customers", {SIREN: "boss"})).startswith("users[0].customers")


def test_token_of_another_user_is_refused(provision):
    wish = changed("users.0.api_token", "shared-by-two-people")
    wish["users"].append({"username": "grace", "api_token": "shared-by-two-people"})
    assert refusal(provision, wish).startswith("users[1].api_token: ")


def test_line_of_another_customer_is_refused(provision):
    provision(WISH)
    wish = {"customers": [{"siren": OTHER_SIREN, "name": "Y", "addressing_lines": [{"identifier": LINE}]}]}
    with pytest.raises(CommandError, match=r"^customers\[0\]\.addressing_lines\[0\]\.identifier: .*800112237"):
        provision(wish)
    assert Customer.objects.count() == 1


def test_connection_does_not_change_its_kind(provision):
    provision(WISH)
    with pytest.raises(CommandError, match=r"^connections\[0\]: "):
        provision({"connections": [{"name": "main", "kind": "fake_line"}]})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"users": [3]}'])
def test_file_that_is_no_wish_is_refused(text, provision):
    assert refusal(provision, text)


def test_missing_file_is_refused():
    with pytest.raises(CommandError, match=r"no-such-file\.json cannot be read"):
        call_command("provision", "no-such-file.json")


def test_wish_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(WISH)))
    output = io.StringIO()
    call_command("provision", "-", stdout=output)
    assert json.loads(output.getvalue())["connections"][0]["name"] == "main"


def test_explain_prints_what_a_platform_takes():
    output = io.StringIO()
    call_command("provision", explain="fake", stdout=output)
    told = json.loads(output.getvalue())
    assert told == json.loads(json.dumps(explain("fake"), default=str))
    assert set(told) == {"kind", "settings", "secrets", "line_settings", "line_secrets", "capabilities"}
    assert told["secrets"][0] == {"name": "password", "type": "str", "default": None, "required": True, "help": ""}


def test_explain_of_an_unknown_kind_names_the_known_ones():
    with pytest.raises(CommandError, match="acube"):
        call_command("provision", explain="nobody")


@pytest.mark.parametrize("options", [[], ["file.json", "--explain", "fake"]])
def test_one_of_file_and_kind_is_needed(options):
    with pytest.raises(CommandError):
        call_command("provision", *options)

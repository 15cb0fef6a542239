"""Having a platform serve our addressing lines: from `provision` and from the admin, against Seqino's sandbox."""

import io
import json

import pytest
from django.contrib.messages import get_messages
from django.core.management import call_command
from django.urls import reverse
from django.utils.translation import override

from invoices.customers.lines import set_up_line
from invoices.models import AddressingLine
from invoices.people.staff import grant_administrator_permissions
from lifecycle import provisioning
from providers.models import Connection, Subscription
from providers.sandbox.server import SandboxServer
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_english(settings):
    settings.LANGUAGE_CODE = "en"
    with override("en"):
        yield


LINE = f"{SIREN}_80011223700014"
LIST = reverse("admin:invoices_addressingline_changelist")


@pytest.fixture(scope="module")
def server():
    with SandboxServer(settings={"auto_react": False}) as server:
        yield server


@pytest.fixture
def sandbox(server):
    server.control("reset", method="POST", keep_destinations=False)
    server.control("settings", seqino={"onboarding_delay": 0, "strict_clients": True})
    return server


def wish(sandbox, **settings):
    settings = {"api_url": f"{sandbox.url}/seqino/api", "requests_per_second": 0, "contact_email": "a@example.test"}
    return {
        "connections": [
            {"name": "seqino-main", "kind": "seqino", "settings": settings, "secrets": {"api_key": "sk-1"}},
            {"name": "afnor-main", "kind": "afnor",
             "settings": {"flow_base_url": "https://pa.example.test/flow", "token_url": "https://pa.example.test/token"},
             "secrets": {"client_id": "navette", "client_secret": "s"}},
        ],
        "customers": [
            {"siren": SIREN, "name": "Atelier Dupont",
             "addressing_lines": [{"identifier": LINE, "connection": "seqino-main"},
                                  {"identifier": f"{SIREN}_DEPOT", "connection": "seqino-main"}]},
            {"siren": OTHER_SIREN, "name": "Papeterie",
             "addressing_lines": [{"identifier": OTHER_SIREN, "connection": "afnor-main"}]},
        ],
    }  # fmt: skip


@pytest.fixture
def provision(tmp_path):
    def run(document, *options):
        (tmp_path / "wish.json").write_text(json.dumps(document))
        out, code = io.StringIO(), 0
        try:
            call_command("provision", str(tmp_path / "wish.json"), *options, stdout=out)
        except SystemExit as end:
            code = end.code
        return code, json.loads(out.getvalue())

    return run


def rows(made):
    return {row["identifier"]: row for customer in made["customers"] for row in customer["addressing_lines"]}


def posts(sandbox):
    return [call["path"] for call in sandbox.control("calls")["calls"] if call["method"] == "POST"]


def test_lines_are_left_alone_unless_it_is_asked(sandbox, provision):
    code, made = provision(wish(sandbox))
    assert (code, [row for row in rows(made).values() if "set_up" in row], posts(sandbox)) == (0, [], [])


def test_lines_of_a_file_are_set_up(sandbox, provision):
    code, made = provision(wish(sandbox), "--set-up-lines")
    first, second = (AddressingLine.objects.get(identifier=name) for name in (LINE, f"{SIREN}_DEPOT"))
    assert code == 0
    assert rows(made)[LINE]["set_up"] == first.settings
    assert set(first.settings) == {"client_id", "mandate_id"}
    assert first.settings["client_id"] == second.settings["client_id"]  # one customer is one client
    assert first.settings["mandate_id"] != second.settings["mandate_id"]
    assert rows(made)[OTHER_SIREN]["set_up"] == "Addressing lines are set up by hand on this platform."
    subscription = Subscription.objects.get(line_identifier=LINE)
    assert (subscription.reference, subscription.state) == (first.settings["mandate_id"], "subscribing")


def test_setting_up_again_changes_nothing(sandbox, provision):
    provision(wish(sandbox), "--set-up-lines")
    before = posts(sandbox)
    code, made = provision(wish(sandbox), "--set-up-lines")
    assert (code, rows(made)[LINE]["set_up"], posts(sandbox)) == (0, {}, before)


def test_ids_given_in_the_file_are_kept(sandbox, provision):
    provision(wish(sandbox), "--set-up-lines")
    known = AddressingLine.objects.get(identifier=LINE).settings
    AddressingLine.objects.update(settings={})
    document = wish(sandbox)
    document["customers"][0]["addressing_lines"][0]["settings"] = known
    before = posts(sandbox)
    _code, made = provision(document, "--set-up-lines")
    assert (rows(made)[LINE]["set_up"], posts(sandbox)) == ({}, before)


def test_line_that_is_not_served_is_told_and_the_others_are(sandbox, provision):
    sandbox.control("faults", kind="server_error", path="GET .*clients")
    code, made = provision(wish(sandbox), "--set-up-lines")
    assert code == 1
    assert rows(made)[LINE]["set_up_error"].startswith("Seqino has a problem of its own (500).")
    assert set(rows(made)[f"{SIREN}_DEPOT"]["set_up"]) == {"client_id", "mandate_id"}
    assert AddressingLine.objects.get(identifier=LINE).settings == {}


def test_client_whose_mandate_failed_is_found_again(sandbox, provision):
    sandbox.control("faults", kind="cut_after", path="POST .*mandates")
    code, _made = provision(wish(sandbox), "--set-up-lines")
    assert code == 1
    code, _made = provision(wish(sandbox), "--set-up-lines")
    assert (code, [path.rpartition("/")[2] for path in posts(sandbox)]) == (0, ["clients", "mandates", "mandates"])


def test_settings_changed_meanwhile_are_not_lost(sandbox):
    provisioning.provision(wish(sandbox))
    line = AddressingLine.objects.get(identifier=LINE)
    AddressingLine.objects.update(settings={"routing_code_label": "Achats"})
    set_up_line(line=line)
    line.refresh_from_db()
    assert set(line.settings) == {"client_id", "mandate_id", "routing_code_label"}


# --- admin ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def administrator(client):
    user = make_user(make_customer(), "administrator", username="ada")
    grant_administrator_permissions(user)
    client.force_login(user)
    return user


def act(client, action, *lines):
    answer = client.post(LIST, {"action": action, "_selected_action": [line.pk for line in lines]})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_lines_are_set_up_from_the_list(client, sandbox, administrator):
    provisioning.provision(wish(sandbox))
    line = AddressingLine.objects.get(identifier=LINE)
    by_hand = make_line(make_customer(), make_connection("cegid_od"), f"{SIREN}_HAND")
    told = act(client, "set_up", line, by_hand)
    line.refresh_from_db()
    assert f"{SIREN}_HAND: this platform offers no such thing for a single addressing line." in told
    learned = ", ".join(f"{name} {value}" for name, value in line.settings.items())
    assert f"{LINE}: set up at its platform. {learned}" in told


def test_refusal_is_shown(client, sandbox, administrator):
    provisioning.provision(wish(sandbox))
    Connection.objects.filter(kind="seqino").update(settings={"api_url": f"{sandbox.url}/seqino/api"})
    line = AddressingLine.objects.get(identifier=LINE)
    told = act(client, "set_up", line)
    assert told == [f"{LINE}: Seqino wants an e-mail address for the new client Atelier Dupont: set contact_email."]


def test_mandate_is_revoked_from_the_list(client, sandbox, administrator):
    provisioning.provision(wish(sandbox))
    line = AddressingLine.objects.get(identifier=LINE)
    set_up_line(line=line)
    (told,) = act(client, "unsubscribe", line)
    assert told.endswith("was revoked; the directory entry stays.")
    assert Subscription.objects.get(line_identifier=LINE).state == "closed"

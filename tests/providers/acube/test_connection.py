import json
from dataclasses import replace

import httpx
import pytest

from providers.acube import tables
from providers.contract.base import PermanentError, UncertainError, Unsupported
from tests.providers.fakes import Memory

from .samples import (
    HOOK_URL,
    SECRETS,
    make_account,
    make_acube,
    make_destination,
)

DESTINATIONS = "GET /event-destinations"
ALL = [make_destination(event) for event in tables.EVENTS]


def registered_memory() -> Memory:
    adapter, _far_end = make_acube()
    adapter.register_webhooks()
    return adapter.memory


def test_register_all_events():
    adapter, far_end = make_acube()
    assert adapter.register_webhooks() == tuple(f"{event}: registered." for event in tables.EVENTS)
    bodies = [json.loads(request.content) for request in far_end.asked("POST /event-destinations")]
    assert bodies[0] == {
        "event": "invoice.status", "target": HOOK_URL, "delivery": "webhook", "status": "active",
        "authType": "header", "authKey": "X-Webhook-Token", "authToken": "hook-t0ken",
    }  # fmt: skip
    assert [body["event"] for body in bodies] == list(tables.EVENTS)


@pytest.mark.parametrize("shape", [ALL, {"hydra:member": ALL}, {"member": ALL}])
def test_register_again_changes_nothing(shape):
    adapter, far_end = make_acube({DESTINATIONS: (200, shape)}, memory=registered_memory())
    assert adapter.register_webhooks() == ()
    assert {request.method for request in far_end.requests if request.url.path != "/login"} == {"GET"}


def test_register_what_is_missing():
    others = [make_destination("invoice.outbound", target="https://elsewhere.example.test/")]
    adapter, _far_end = make_acube({DESTINATIONS: (200, [*ALL[:2], ALL[3], *others])}, memory=registered_memory())
    assert adapter.register_webhooks() == ("invoice.outbound: registered.",)


@pytest.mark.parametrize("wrong", [{"status": "inactive"}, {"authType": "query"}, {"authKey": "Bearer"}])
def test_register_repairs_what_is_wrong(wrong):
    broken = [make_destination("invoice.status", **wrong), *ALL[1:]]
    put = "PUT /event-destinations/d-invoice-status"
    adapter, far_end = make_acube({DESTINATIONS: (200, broken), put: (200, {})}, memory=registered_memory())
    assert adapter.register_webhooks() == ("invoice.status: put right.",)
    assert json.loads(far_end.asked(put)[0].content)["status"] == "active"


def test_register_anew_after_the_secret_changed():
    puts = {f"PUT /event-destinations/{item['uuid']}": (200, {}) for item in ALL}
    adapter, _far_end = make_acube({DESTINATIONS: (200, ALL)} | puts, memory=registered_memory())
    adapter.account = replace(adapter.account, secrets=SECRETS | {"webhook_token": "newer"})
    assert len(adapter.register_webhooks()) == 4
    assert adapter.register_webhooks() == ()


def test_register_understands_the_older_spelling():
    older = [*ALL[:3], make_destination("legal-entity.onboarding")]
    adapter, _far_end = make_acube({DESTINATIONS: (200, older)}, memory=registered_memory())
    assert [change for change in adapter.register_webhooks() if "legal" not in change] == []


def test_register_without_an_address_or_a_secret():
    adapter, far_end = make_acube()
    adapter.account = replace(adapter.account, hook_url="")
    with pytest.raises(Unsupported):
        adapter.register_webhooks()
    adapter.account = replace(make_account(), secrets={"email": "a", "password": "b"})
    with pytest.raises(PermanentError):
        adapter.register_webhooks()
    assert far_end.calls == []


def test_register_lost_answer_leaves_nothing_remembered():
    adapter, _far_end = make_acube({"POST /event-destinations": httpx.ReadTimeout("no")})
    with pytest.raises(UncertainError):
        adapter.register_webhooks()
    assert adapter.memory.facts == {}


def test_check_of_a_good_connection():
    adapter, far_end = make_acube({DESTINATIONS: (200, ALL)}, memory=registered_memory())
    results = list(adapter.check())
    assert [(result.name, result.ok) for result in results] == [
        ("environment", True), ("login", True), ("invoices", True), ("webhooks", True), ("signature key", True),
    ]  # fmt: skip
    assert {request.method for request in far_end.requests if request.url.path != "/login"} == {"GET"}


def test_check_of_a_bad_password_goes_no_further():
    adapter, _far_end = make_acube({"POST /login": (401, {"code": 401, "message": "Invalid credentials."})})
    assert [(result.name, result.ok) for result in adapter.check()] == [
        ("environment", True), ("login", False), ("signature key", True),
    ]  # fmt: skip


def test_check_names_the_missing_webhooks():
    adapter, _far_end = make_acube({DESTINATIONS: (200, ALL[:2])}, memory=registered_memory())
    (result,) = [result for result in adapter.check() if result.name == "webhooks"]
    assert result.message == (
        "Not registered, or not as they should be: invoice.outbound, legal_entity.onboarding. "
        "Register the webhooks again."
    )


@pytest.mark.parametrize(
    ("api_url", "is_good"),
    [
        ("https://fr.api.acubeapi.com", False),
        ("https://fr-sandbox.api.acubeapi.com", True),
        ("http://127.0.0.1:1", True),
    ],
)
def test_check_of_mixed_environments(api_url, is_good):
    assert next(iter(make_acube(api_url=api_url)[0].check())).ok == is_good


def test_check_with_everything_down():
    down = {name: (500, {}) for name in ("POST /login", "GET /signature-public-key")}
    assert [result.ok for result in make_acube(down)[0].check()] == [True, False, False]

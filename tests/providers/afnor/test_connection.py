"""Checking a connection, and what it can carry."""

import pytest

from providers.afnor.searching import LOST_MEMORY
from tests.providers.fakes import Memory

from .samples import FLOWS, HOOK_URL, SEARCH, TOKEN_PATH, WEBHOOKS, make_afnor

HEALTH, DIRECTORY_HEALTH = "GET /flow-service/v1/healthcheck", "GET /directory-service/v1/healthcheck"
GOOD_HOOKS = {f"GET {WEBHOOKS}": (200, {"webhooks": [{"webhookId": "w-1", "callbackUrl": HOOK_URL}]})}


def failures(routes=None, memory=None, **settings):
    afnor, far_end = make_afnor(GOOD_HOOKS | (routes or {}), memory, **settings)
    results = list(afnor.check())
    return (
        [(result.name, result.message) for result in results if not result.ok],
        [each.name for each in results],
        far_end,
    )


def test_good_connection_is_well_and_nothing_is_changed():
    bad, names, far_end = failures()
    assert (bad, names) == ([], ["login", "service", "flows", "webhooks", "directory", "completeness"])
    assert {call for call in far_end.calls if call.startswith("POST")} == {f"POST {TOKEN_PATH}", f"POST {SEARCH}"}


def test_without_a_login_the_rest_is_not_tried():
    bad, names, _far_end = failures({f"POST {TOKEN_PATH}": (401, {})})
    assert (len(bad), names) == (1, ["login"])


@pytest.mark.parametrize(
    ("route", "name"),
    [
        (HEALTH, "service"),
        (f"POST {SEARCH}", "flows"),
        (DIRECTORY_HEALTH, "directory"),
        (f"GET {WEBHOOKS}", "webhooks"),
    ],
)
def test_what_does_not_work_is_named(route, name):
    bad, names, _far_end = failures({route: (503, {})})
    assert ([each for each, _message in bad], len(names)) == ([name], 6)


def test_missing_webhooks_are_told():
    bad, _names, _far_end = failures({f"GET {WEBHOOKS}": (200, {"webhooks": []})})
    assert bad == [("webhooks", "Not announced to us: all flows. Register the webhooks.")]


def test_lost_flows_are_told():
    lost = {"type": "SupplierInvoice", "direction": "In", "at": "2026-09-21T12:00:05.000000Z"}
    ((name, message),), _names, _far_end = failures(memory=Memory(**{LOST_MEMORY: lost}))
    assert name == "completeness"
    assert message == (
        "More flows (SupplierInvoice, In) changed at 2026-09-21T12:00:05.000000Z than a search shows: some may be "
        "missing. Ask the platform for them."
    )


def test_what_a_contract_does_not_have_is_not_checked():
    _bad, names, _far_end = failures(contract="1.1", directory_base_url="")
    assert names == ["login", "service", "flows", "completeness"]


def test_missing_address_is_told():
    ((_name, message), *_more), _names, _far_end = failures(flow_base_url="")
    assert message == "The address flow_base_url is missing in the connection."


@pytest.mark.parametrize(
    ("formats", "carried"), [(["ubl", "cii"], {"ubl", "cii"}), (["ubl", "pigeon"], {"ubl"}), ([], set())]
)
def test_capabilities_follow_the_settings(formats, carried):
    capabilities = make_afnor(submit_formats=formats)[0].capabilities
    assert (capabilities.submit_formats, capabilities.directory, capabilities.history) == (carried, True, False)


def test_healthcheck_may_say_nothing():
    afnor, far_end = make_afnor({HEALTH: (204, b"")})
    afnor._check_health()
    assert far_end.asked(HEALTH) != []
    assert far_end.asked(f"POST {FLOWS}") == []

"""The adapter against the sandbox over real HTTP, without a database: long searches and difficult platforms."""

import json
import ssl
from dataclasses import replace

import httpx
import pytest

from providers.afnor.adapter import Afnor
from providers.contract.base import PermanentError
from providers.sandbox.server import SandboxServer
from tests.providers.fakes import Memory, Tokens

from .samples import KnownVault, make_account

OURS = "800112237"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # plain HTTP: no certificate authorities to load


@pytest.fixture
def make():
    """An adapter at a platform with these settings."""
    opened = []

    def make(contract="1.3", *, platform=None, **settings):
        quick = {"echo_delay": 0, "auto_react": False}
        wish = {"contract": contract, "transmission_statuses": False, **(platform or {})}
        sandbox = SandboxServer(settings={**quick, "afnor": wish}).__enter__()
        client = httpx.Client(verify=PLAIN)
        opened.extend([client, sandbox])
        account = make_account(
            vault=KnownVault(),
            flow_base_url=f"{sandbox.url}/afnor/flow-service",
            directory_base_url=f"{sandbox.url}/afnor/directory-service",
            token_url=f"{sandbox.url}/afnor/oauth2/token",
            contract=contract,
            **settings,
        )
        return Afnor(replace(account, hook_url=""), client=client, tokens=Tokens(), memory=Memory()), sandbox

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def deposit(sandbox, count, direction="INBOUND"):
    ours = "buyer_siren" if direction == "INBOUND" else "seller_siren"
    made = sandbox.control("deposit", dialect="afnor", direction=direction, count=count, **{ours: OURS})
    return [invoice["uuid"] for invoice in made["invoices"]]


def poll(afnor, cursor=None):
    page = afnor.poll(cursor or {})
    return [json.loads(push.body)["flowId"] for push in page.pushes], page.cursor


@pytest.mark.parametrize("contract", ["1.1", "1.2", "1.3"])
@pytest.mark.parametrize("odd", [{}, {"order": "random"}, {"same_updated_at": True}], ids=str)
def test_poll_finds_everything_however_the_platform_pages(make, contract, odd):
    afnor, sandbox = make(contract, platform={"cap": 7, **odd})
    made = deposit(sandbox, 6) + deposit(sandbox, 6, "OUTBOUND")

    got, cursor = poll(afnor)
    assert (sorted(got), sorted(poll(afnor, cursor)[0])) == (sorted(made), sorted(made))
    assert [result.name for result in afnor.check() if not result.ok] == ([] if contract == "1.1" else ["webhooks"])


@pytest.mark.parametrize(("contract", "got"), [("1.2", 7), ("1.3", 9)])
def test_more_at_one_instant_than_any_page_shows_needs_a_cursor_or_is_told(make, contract, got):
    afnor, sandbox = make(contract, platform={"cap": 7, "same_updated_at": True})
    deposit(sandbox, 9)

    assert len(poll(afnor)[0]) == got
    told = [result.name for result in afnor.check() if not result.ok and result.name != "webhooks"]
    assert told == ([] if contract == "1.3" else ["completeness"])


def test_instant_that_two_pages_of_different_types_fill_is_read_whole(make):
    afnor, sandbox = make("1.2", platform={"same_updated_at": True})
    made = deposit(sandbox, 95) + deposit(sandbox, 95, "OUTBOUND")
    assert sorted(poll(afnor)[0]) == sorted(made)


@pytest.mark.parametrize("style", ["body", "basic"])
def test_login_in_the_style_the_platform_wants(make, style):
    wanted = {"token_style": style, "client_id": "client-7", "client_secret": "s3cr3t-phrase"}
    afnor, _sandbox = make(platform=wanted, token_auth_style=style)
    assert poll(afnor)[0] == []
    other, _sandbox = make(platform=wanted, token_auth_style="basic" if style == "body" else "body")
    with pytest.raises(PermanentError):
        poll(other)


def test_organization_is_named(make):
    afnor, _sandbox = make(platform={"organization_id": "o-1"}, organization_id="o-1")
    assert poll(afnor)[0] == []
    other, _sandbox = make(platform={"organization_id": "o-1"})
    with pytest.raises(PermanentError):
        poll(other)


@pytest.mark.parametrize("contract", ["1.1", "1.2", "1.3"])
@pytest.mark.parametrize("odd", [{}, {"follows_include": False, "uncounted": True}], ids=str)
def test_directory_is_read_in_each_version(make, contract, odd):
    afnor, _sandbox = make(contract, platform=odd)
    siret = f"{OURS}00014"

    entries = afnor.search_directory(OURS)
    assert [(entry.identifier, entry.active, entry.routing_name) for entry in entries] == [
        (OURS, True, ""),
        (f"{OURS}_{siret}", False, ""),
        (f"{OURS}_{siret}_COMPTA", True, "Service comptable"),
    ]
    assert [entry.name for entry in entries] == ["Atelier Dupont", *["Atelier Dupont, siège"] * 2]
    assert [entry.identifier for entry in afnor.search_directory(f"{OURS}_{siret}_COMPTA")] == [entries[2].identifier]
    assert afnor.search_directory("000000000") == ()


@pytest.mark.parametrize("odd", [{}, {"list_ids_only": True}], ids=str)
def test_webhooks_are_registered_once(make, odd):
    afnor, sandbox = make("1.2", platform=odd)
    afnor.account = replace(afnor.account, hook_url="https://hooks.example.test/hooks/afnor/c7")
    assert (len(afnor.register_webhooks()), afnor.register_webhooks(), afnor.missing_webhooks()) == (8, (), [])
    assert len(sandbox.sandbox.dialect("afnor").state.destinations) == 8


@pytest.mark.parametrize("shown", [True, False])
def test_signing_key_that_was_lost_is_adopted_or_made_anew(make, shown):
    afnor, sandbox = make(platform={"show_signing_keys": shown})
    afnor.account = replace(afnor.account, hook_url="https://hooks.example.test/hooks/afnor/c7")
    afnor.register_webhooks()
    (first,) = sandbox.sandbox.dialect("afnor").state.destinations
    afnor.account.vault.kept.clear()
    afnor.register_webhooks()

    (second,) = sandbox.sandbox.dialect("afnor").state.destinations
    assert (first == second, len(afnor.signing_keys())) == (shown, 1)

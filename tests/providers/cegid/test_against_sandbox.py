"""The platform's seat against the sandbox's concentrator, over real HTTP: two readings that share no code."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from providers.cegid.adapter import Cegid
from providers.contract.base import (
    Account,
    File,
    Payment,
    PermanentError,
    Reason,
    StatusMessage,
    TemporaryError,
    UncertainError,
)
from providers.sandbox.server import SandboxServer
from tests.providers.doors import Door
from tests.providers.fakes import Memory, Tokens
from tests.providers.lines import Lines, Subscriptions

from .samples import API_KEY, LINE, SECOND, SECOND_KEY, SIREN, make_facts, make_line

SETTINGS = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}


@pytest.fixture
def door() -> Door:
    return Door(line=lambda path: next((make_line(each) for each in (LINE, SECOND) if each in path), None))


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    with SandboxServer(settings=SETTINGS, transport=httpx.MockTransport(door)) as server:
        keys = {LINE: API_KEY, SECOND: SECOND_KEY}
        server.control("settings", cegid={"api_keys": keys, "subscription_key": "k"})
        yield server


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door) -> Iterator[Cegid]:
    account = Account(
        id="c1",
        name="cegid",
        environment="sandbox",
        settings={"od_url": f"{sandbox.url}/cegid", "requests_per_second": 0},
        secrets={"subscription_key": "k"},
        lines=Lines(make_line(), make_line(SECOND, SECOND_KEY)),
        subscriptions=Subscriptions(),
    )
    # Plain HTTP only: an empty context spares loading the certificate authorities.
    with httpx.Client(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        door.adapter = Cegid(account, client=client, tokens=Tokens(), memory=Memory())
        door.adapter.register_webhooks()
        yield door.adapter


def sell(sandbox: SandboxServer, *, line: str = LINE, number: str = "V-1") -> None:
    """Our customer makes an invoice in Cegid's software."""
    wish = {"seller_siren": SIREN, "seller_address": line, "number": number, "sample": "stationery"}
    sandbox.control("deposit", dialect="cegid", direction="OUTBOUND", **wish)
    sandbox.wait_idle()


def buy(sandbox: SandboxServer, adapter: Cegid, number: str = "F-1") -> StatusMessage:
    """An invoice for our customer comes from the network, and we hand it over. Returns a message about it."""
    wish = {"buyer_siren": SIREN, "buyer_address": LINE, "number": number, "sample": "stationery"}
    sandbox.control("deposit", dialect="acube", **wish)
    content = sandbox.sandbox.dialect("acube").invoices[_newest(sandbox)["uuid"]].content
    facts = make_facts(
        "received", number=number, seller=replace(make_facts().seller, siren=_newest(sandbox)["seller_siren"])
    )
    adapter.submit_invoice(File(kind="original", content=content), facts)
    sandbox.wait_idle()
    return say("205", facts)


def _newest(sandbox: SandboxServer) -> dict:
    return [each for each in sandbox.control("invoices")["invoices"] if each["dialect"] == "acube"][-1]


def say(status: str, facts=None, **changes) -> StatusMessage:
    facts = facts or make_facts("issued", number="V-1")
    values = {"id": f"m-{status}", "issuer_role": "BY", "occurred_at": datetime.now(UTC)} | changes
    return StatusMessage(invoice=facts, status=status, **values)


def accepted(sandbox: SandboxServer) -> dict[str, int]:
    rows = sandbox.control("calls")["accepted"]
    return {row["status"]: row["count"] for row in rows if row["dialect"] == "cegid" and row["status"] != "submit"}


def test_connection_is_good(adapter):
    assert [(result.name, result.message) for result in adapter.check() if not result.ok] == []
    assert adapter.register_webhooks() == ()


def test_customers_invoice_arrives_with_its_file(sandbox, adapter, door):
    sell(sandbox)
    (delivery,) = door.deliveries
    (report,) = delivery.invoices

    assert (report.number, report.direction, report.seller.siren) == ("V-1", "issued", SIREN)
    assert delivery.files[report.provider_ref][0].content.startswith(b"<?xml")
    assert (delivery.unclear, door.statuses) == ("", [("200", "WK")])


def test_each_lines_news_comes_to_its_own_address(sandbox, adapter, door):
    sell(sandbox, line=SECOND)
    (ring,) = sandbox.control("webhooks")["webhooks"]
    assert (SECOND in ring["target"], door.deliveries[0].invoices[0].seller.identifier) == (True, SECOND)


def test_every_buyers_status_is_carried(sandbox, adapter, door):
    sell(sandbox)
    reasons = (Reason(code="QTE_ERR", text="9 sur 10"),)
    for status in sorted(adapter.capabilities.buyer_statuses):
        needs = status in ("206", "207", "208", "210")
        adapter.send_status(say(status, reasons=reasons if needs else ()))
    sandbox.wait_idle()

    assert accepted(sandbox) == dict.fromkeys(sorted(adapter.capabilities.buyer_statuses), 1)
    assert [status for status, _role in door.statuses[1:]] == sorted(adapter.capabilities.buyer_statuses)
    assert {role for _status, role in door.statuses[1:]} == {""}  # an echo tells no issuer


def test_amounts_come_back_as_they_were_told(sandbox, adapter, door):
    message = buy(sandbox, adapter)
    payments = (Payment(amount=Decimal("1200.10"), vat_rate=Decimal("20.00")),)
    adapter.send_status(say("212", message.invoice, issuer_role="SE", payments=payments))
    sandbox.wait_idle()
    (report,) = door.deliveries[-1].statuses

    assert (report.status, report.payments, report.invoice_key.number) == ("212", payments, "F-1")


def test_invoice_handed_over_reaches_the_customer_who_decides(sandbox, adapter, door):
    sandbox.control("settings", auto_react=True, cegid={"customer_script": [["204", 0.01], ["205", 0.02]]})
    buy(sandbox, adapter)

    assert door.statuses == [("204", "BY"), ("205", "BY")]
    assert {status.invoice_key.direction for each in door.deliveries for status in each.statuses} == {"received"}


def test_invoice_handed_over_twice_arrives_once(sandbox, adapter):
    buy(sandbox, adapter)
    content = sandbox.sandbox.dialect("acube").invoices[_newest(sandbox)["uuid"]].content
    facts = make_facts(
        "received", number="F-1", seller=replace(make_facts().seller, siren=_newest(sandbox)["seller_siren"])
    )
    again = adapter.submit_invoice(File(kind="original", content=content), facts)
    rows = [row["count"] for row in sandbox.control("calls")["accepted"] if row["status"] == "submit"]

    assert (rows, "already" in again.text) == ([1], True)


@pytest.mark.parametrize(
    ("fault", "error", "is_accepted"),
    [
        ("cut_after", UncertainError, True),
        ("server_error_after", UncertainError, True),
        ("cut_before", UncertainError, False),
        ("server_error", UncertainError, False),
        ("rate_limited", TemporaryError, False),
    ],
)
def test_message_in_trouble_can_be_sent_again_and_is_taken_once(sandbox, adapter, fault, error, is_accepted):
    sell(sandbox)
    sandbox.control("faults", kind=fault, path="POST .*lifecycle-events")
    message = say("205")
    with pytest.raises(error) as caught:
        adapter.send_status(message)
    assert (type(caught.value), accepted(sandbox)) == (error, {"205": 1} if is_accepted else {})
    adapter.send_status(message)
    assert accepted(sandbox) == {"205": 1}


def test_slow_answer_is_waited_for(sandbox, adapter):
    sell(sandbox)
    sandbox.control("faults", kind="slow", delay=0.2, path="POST .*lifecycle-events")
    adapter.send_status(say("205"))
    assert accepted(sandbox) == {"205": 1}


def test_answer_slower_than_the_limit_is_uncertain(sandbox, adapter):
    sell(sandbox)
    adapter.account.settings["read_timeout"] = 0.1
    sandbox.control("faults", kind="slow", delay=0.4, path="POST .*lifecycle-events")
    with pytest.raises(UncertainError):
        adapter.send_status(say("205"))


def test_token_lost_on_the_way(sandbox, adapter):
    sell(sandbox)
    sandbox.control("faults", kind="unauthorized_once", path="POST .*lifecycle-events")
    adapter.send_status(say("205"))
    assert accepted(sandbox) == {"205": 1}


def test_token_never_speaks_for_another_line(sandbox, adapter):
    sell(sandbox)
    wrong = make_line(LINE, SECOND_KEY)
    adapter.account.lines.change(LINE, secrets=wrong.secrets)
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(say("205"))
    assert (caught.value.status_code, adapter.account.subscriptions.find(LINE).state) == (403, "suspended")


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "stale_signature"])
def test_callback_without_its_secret_is_refused_and_its_retry_taken(sandbox, adapter, door, trick):
    sandbox.control("settings", cegid={"callback_secret_header": "X-Callback", "callback_secret": "c4ll"})
    adapter.account.settings["callback_secret_header"] = "X-Callback"
    with_secret = replace(make_line(), secrets={"api_key": API_KEY, "callback_secret": "c4ll"})
    door.line = lambda path: with_secret
    sandbox.control("faults", kind=trick)
    sell(sandbox)

    assert (door.refused, len(door.deliveries)) == ([401], 1)


def test_callback_for_another_line_is_refused_and_its_retry_taken(sandbox, adapter, door):
    sandbox.control("faults", kind="wrong_token")
    sell(sandbox)
    assert (door.refused, len(door.deliveries)) == ([403], 1)


def test_malformed_callback_is_refused_and_its_retry_taken(sandbox, adapter, door):
    sandbox.control("faults", kind="malformed_body")
    sell(sandbox)
    assert (door.refused, len(door.deliveries)) == ([400], 1)


def test_callback_rung_twice_is_one_delivery(sandbox, adapter, door):
    sandbox.control("faults", kind="twice")
    sell(sandbox)
    assert len(door.deliveries) == 1


def test_callback_is_rung_until_it_is_taken(sandbox, adapter, door):
    door.answers = [500, 410, 503]
    sell(sandbox)
    (ring,) = sandbox.control("webhooks")["webhooks"]
    assert (ring["state"], [each["status"] for each in ring["tries"]]) == ("delivered", [500, 410, 503, 202])


@pytest.mark.parametrize(("kind", "expected"), [("late", ["200", "204"]), ("out_of_order", ["204", "200"])])
def test_news_late_or_overtaken_is_all_there(sandbox, adapter, door, kind, expected):
    sandbox.control("faults", kind=kind, delay=0.2, path="invoice" if kind == "out_of_order" else "status")
    wish = {"seller_siren": SIREN, "seller_address": LINE, "number": "V-1", "sample": "stationery"}
    ref = sandbox.control("deposit", dialect="cegid", direction="OUTBOUND", **wish)["invoices"][0]["uuid"]
    sandbox.control("status", invoice=ref, status="204")
    sandbox.wait_idle()
    assert [status for status, _role in door.statuses] == expected


def test_unknown_status_is_kept(sandbox, adapter, door):
    sell(sandbox)
    sandbox.control("faults", kind="unknown_status")
    adapter.send_status(say("205"))
    sandbox.wait_idle()
    words = [(status.status, status.native_status) for each in door.deliveries for status in each.statuses]
    assert words == [("200", ""), (None, "XYZ"), ("205", "205")]


def test_news_of_an_unknown_invoice_names_it(sandbox, adapter, door):
    sell(sandbox)
    sandbox.control("faults", kind="unknown_invoice")
    adapter.send_status(say("205"))
    sandbox.wait_idle()
    numbers = [status.invoice_key.number for each in door.deliveries for status in each.statuses]
    assert sorted(number.partition("-")[0] for number in numbers) == ["UNKNOWN", "V", "V"]


def test_echo_that_does_not_come(sandbox, adapter, door):
    sell(sandbox)
    sandbox.control("faults", kind="no_echo")
    adapter.send_status(say("205"))
    sandbox.wait_idle()
    assert (accepted(sandbox), door.statuses) == ({"205": 1}, [("200", "WK")])


def test_ended_subscription_is_rung_no_more(sandbox, adapter, door):
    adapter.unsubscribe(make_line())
    sell(sandbox)
    assert (door.deliveries, adapter.account.subscriptions.find(LINE).state) == ([], "closed")


@pytest.mark.parametrize("kind", ["cut_after", "server_error_after", "cut_before", "server_error"])
def test_subscribing_in_trouble_can_be_done_again(sandbox, adapter, kind):
    sandbox.control("faults", kind=kind, path="POST .*subscriptions")
    with pytest.raises(TemporaryError):
        adapter.subscribe(make_line())
    assert adapter.account.subscriptions.find(LINE).state == "failed"
    adapter.subscribe(make_line())
    assert adapter.account.subscriptions.find(LINE).state == "active"


@pytest.mark.parametrize("keys", [{LINE: "other:key", SECOND: SECOND_KEY}])
def test_api_key_that_was_replaced_is_for_people(sandbox, adapter, keys):
    sandbox.control("settings", cegid={"api_keys": keys})
    adapter.tokens.kept.clear()
    with pytest.raises(PermanentError, match="API key"):
        adapter.send_status(say("205"))


def test_token_that_does_not_tell_its_life(sandbox, adapter):
    sandbox.control("settings", cegid={"tells_token_life": False})
    adapter.tokens.kept.clear()
    sell(sandbox)
    adapter.send_status(say("205"))
    assert accepted(sandbox) == {"205": 1}

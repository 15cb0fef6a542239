"""The concentrator's seat against the sandbox's platform, over real HTTP: two readings that share no code."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from providers.cegid_od.adapter import CegidOD
from providers.contract.base import (
    Account,
    File,
    InvoiceFacts,
    Party,
    Payment,
    PermanentError,
    Reason,
    StatusMessage,
    Subscription,
    TemporaryError,
    UncertainError,
)
from providers.sandbox.server import SandboxServer
from tests.providers.cegid.samples import LINE, SECOND, SIREN, make_facts, make_line
from tests.providers.doors import Door
from tests.providers.fakes import Memory, Tokens
from tests.providers.lines import Lines, Subscriptions

HOOK = "https://navette.example.test/hooks/cegid_od/t0k3n/"
SETTINGS = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}


@pytest.fixture
def door() -> Door:
    return Door(below="/hooks/cegid_od/t0k3n/")


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    with SandboxServer(settings=SETTINGS, transport=httpx.MockTransport(door)) as server:
        yield server


def paste(sandbox: SandboxServer, adapter: CegidOD, line: str = LINE) -> httpx.Response:
    """Our administrator makes connection data; somebody pastes it at the platform, which subscribes."""
    data = adapter.new_connection_data(adapter.account.lines.find(line))
    adapter.account.lines.change(line, secrets=dict(data.secrets))
    return httpx.post(f"{sandbox.url}/cegid_od/connection-data", json=dict(data.shown), trust_env=False)


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door) -> Iterator[CegidOD]:
    account = Account(
        id="o1",
        name="od",
        environment="sandbox",
        settings={"requests_per_second": 0, "callback_private": True, "callback_plain": True},
        secrets={"subscription_key": "k"},
        hook_url=HOOK,
        lines=Lines(make_line(), make_line(SECOND, "")),
        subscriptions=Subscriptions(),
    )
    with httpx.Client(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        door.adapter = CegidOD(account, client=client, tokens=Tokens(), memory=Memory())
        assert paste(sandbox, door.adapter).status_code == 201
        yield door.adapter


def buy(sandbox: SandboxServer, number: str = "F-1", **wish) -> InvoiceFacts:
    """An invoice for our customer comes through the platform."""
    wish = {"buyer_siren": SIREN, "buyer_address": LINE, "number": number, "sample": "stationery"} | wish
    shown = sandbox.control("deposit", dialect="cegid_od", **wish)["invoices"][0]
    sandbox.wait_idle()
    return make_facts("received", number=number, seller=Party(siren=shown["seller_siren"]))


def say(status: str, facts: InvoiceFacts, **changes) -> StatusMessage:
    values = {"id": f"m-{status}", "issuer_role": "BY", "occurred_at": datetime.now(UTC)} | changes
    return StatusMessage(invoice=facts, status=status, **values)


def accepted(sandbox: SandboxServer) -> dict[str, int]:
    rows = sandbox.control("calls")["accepted"]
    return {row["status"]: row["count"] for row in rows if row["dialect"] == "cegid_od"}


def test_platform_has_subscribed(adapter):
    assert {result.name: result.ok for result in adapter.check()} == {
        "subscription key": True,
        LINE: True,
        SECOND: False,
    }


def test_each_line_has_a_callback_of_its_own(sandbox, adapter):
    assert paste(sandbox, adapter, SECOND).status_code == 201
    addresses = {row.callback_url for row in adapter.account.subscriptions.rows.values()}
    assert len(addresses) == 2


def test_connection_data_of_former_days_open_nothing(sandbox, adapter, door):
    adapter.account.lines.change(LINE, secrets=dict(adapter.new_connection_data(make_line()).secrets))
    sandbox.control("settings", retry_scale=0)
    buy(sandbox)
    assert (door.deliveries, set(door.refused)) == ([], {401})


def test_invoice_arrives_with_file_and_statuses(sandbox, adapter, door):
    buy(sandbox)
    (report,) = [report for each in door.deliveries for report in each.invoices]

    assert (report.number, report.direction, report.buyer.identifier) == ("F-1", "received", LINE)
    assert door.deliveries[0].files[report.provider_ref][0].content.startswith(b"<?xml")
    assert door.statuses == [("202", "WK"), ("203", "WK")]
    assert [each.unclear for each in door.deliveries] == ["", ""]


def test_every_decision_of_the_buyer_reaches_the_platform(sandbox, adapter):
    facts = buy(sandbox)
    for status in sorted(adapter.capabilities.buyer_statuses):
        reasons = (Reason(code="QTE_ERR"),) if status in ("206", "207", "208", "210") else ()
        adapter.send_status(say(status, facts, reasons=reasons))
    assert accepted(sandbox) == dict.fromkeys(sorted(adapter.capabilities.buyer_statuses), 1)


def test_supplier_completes_what_was_suspended(sandbox, adapter, door):
    sandbox.control("settings", auto_react=True, reactions={"INBOUND": {"208": [["209", 0]]}, "OUTBOUND": {}})
    adapter.send_status(say("208", buy(sandbox), reasons=(Reason(code="JUSTIF_ABS"),)))
    sandbox.wait_idle()
    assert door.statuses[-1] == ("209", "SE")


def test_customers_invoice_goes_out_and_its_buyer_pays(sandbox, adapter, door):
    sandbox.control("settings", auto_react=True, outbound_script=[["201", 0], ["204", 0.01], ["211", 0.02]])
    wish = {"seller_siren": SIREN, "seller_address": LINE, "number": "V-1", "sample": "stationery"}
    made = sandbox.control("deposit", dialect="acube", direction="OUTBOUND", **wish)["invoices"][0]
    content = sandbox.sandbox.dialect("acube").invoices[made["uuid"]].content
    facts = make_facts("issued", number="V-1")
    adapter.submit_invoice(File(kind="original", content=content), facts)
    sandbox.wait_idle()

    assert [row for row in door.statuses if row[0]] == [("201", "WK"), ("204", "BY"), ("211", "BY")]
    assert door.deliveries[-1].statuses[0].payments[0].vat_rate is not None
    payments = (Payment(amount=Decimal("120.00"), vat_rate=Decimal("20.00")),)
    adapter.send_status(say("212", facts, issuer_role="SE", payments=payments))
    assert accepted(sandbox)["212"] == 1


@pytest.mark.parametrize(
    ("fault", "error", "is_accepted"),
    [
        ("cut_after", UncertainError, True),
        ("server_error_after", UncertainError, True),
        ("cut_before", UncertainError, False),
        ("server_error", UncertainError, False),
        ("rate_limited", TemporaryError, False),
        ("unauthorized_once", PermanentError, False),
    ],
)
def test_decision_in_trouble_can_be_told_again_and_is_taken_once(sandbox, adapter, fault, error, is_accepted):
    message = say("205", buy(sandbox))
    sandbox.control("faults", kind=fault, path="POST .*callbacks")
    with pytest.raises(error) as caught:
        adapter.send_status(message)
    assert (type(caught.value), accepted(sandbox)) == (error, {"205": 1} if is_accepted else {})
    adapter.send_status(message)
    assert accepted(sandbox) == {"205": 1}


def test_slow_callback_is_waited_for_up_to_the_limit(sandbox, adapter):
    facts = buy(sandbox)
    sandbox.control("faults", kind="slow", delay=0.2, path="POST .*callbacks", times=2)
    adapter.send_status(say("204", facts))
    adapter.account.settings["read_timeout"] = 0.1
    with pytest.raises(UncertainError):
        adapter.send_status(say("205", facts))


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "stale_signature", "wrong_token"])
def test_message_without_access_is_refused_and_its_retry_taken(sandbox, adapter, door, trick):
    sandbox.control("faults", kind=trick, path="invoice")
    buy(sandbox)
    assert (door.refused, sorted(door.statuses)) == ([401], [("202", "WK"), ("203", "WK")])


def test_malformed_message_is_refused_and_its_retry_taken(sandbox, adapter, door):
    sandbox.control("faults", kind="malformed_body", path="invoice")
    buy(sandbox)
    assert (door.refused, len(door.deliveries)) == ([400], 2)


def test_message_sent_twice_is_one_delivery(sandbox, adapter, door):
    sandbox.control("faults", kind="twice")
    buy(sandbox)
    assert len(door.deliveries) == 2


def test_message_is_sent_until_it_is_taken(sandbox, adapter, door):
    door.answers = [503]
    buy(sandbox)
    first = sandbox.control("webhooks")["webhooks"][0]
    assert (first["state"], [each["status"] for each in first["tries"]]) == ("delivered", [503, 202])


@pytest.mark.parametrize(("kind", "expected"), [("late", ["203", "202"]), ("out_of_order", ["203", "202"])])
def test_news_late_or_overtaken_is_all_there(sandbox, adapter, door, kind, expected):
    sandbox.control("faults", kind=kind, delay=0.2, path="invoice")
    buy(sandbox)
    assert [status for status, _role in door.statuses] == expected


def test_unknown_status_is_kept(sandbox, adapter, door):
    sandbox.control("faults", kind="unknown_status", path="status")
    buy(sandbox)
    words = sorted(status.native_status for each in door.deliveries for status in each.statuses)
    assert words == ["202", "203", "XYZ"]


def test_news_of_an_unknown_invoice_names_it(sandbox, adapter, door):
    sandbox.control("faults", kind="unknown_invoice", path="status")
    buy(sandbox)
    numbers = [status.invoice_key.number[:7] for each in door.deliveries for status in each.statuses]
    assert sorted(numbers) == ["F-1", "F-1", "UNKNOWN"]


def test_platform_that_ends_its_subscription_hears_no_more(sandbox, adapter):
    facts = buy(sandbox)
    answer = httpx.delete(f"{sandbox.url}/cegid_od/connection-data/{LINE}", trust_env=False)
    with pytest.raises(PermanentError, match="let it subscribe"):
        adapter.send_status(say("205", facts))
    assert (answer.status_code, adapter.account.subscriptions.find(LINE).state) == (204, "closed")


def test_callback_of_another_line_is_refused_by_the_platform(sandbox, adapter):
    facts = buy(sandbox)
    paste(sandbox, adapter, SECOND)
    other = adapter.account.subscriptions.find(SECOND).callback_url
    adapter.account.subscriptions.save(Subscription(line_identifier=LINE, state="active", callback_url=other))
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(say("205", facts))
    assert (caught.value.status_code, accepted(sandbox)) == (403, {})


def test_closed_callback_is_for_people(sandbox, adapter):
    facts, address = buy(sandbox), adapter.account.subscriptions.find(LINE).callback_url
    adapter.account.subscriptions.save(
        Subscription(line_identifier=LINE, state="active", callback_url=address.replace("callbacks/", "callbacks/x"))
    )
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(say("205", facts))
    assert (caught.value.status_code, address in caught.value.answer) == (410, False)

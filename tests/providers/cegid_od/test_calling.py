"""Our people's decisions on their way to a platform's callback."""

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from providers.cegid_od.adapter import CegidOD
from providers.contract.base import (
    File,
    PermanentError,
    Policy,
    Reason,
    Subscription,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.norm.codes import Side
from tests.providers.cegid.samples import LINE, OTHER, SECOND, SIREN, SUBSCRIPTION_KEY, make_facts, make_line
from tests.providers.lines import Subscriptions

from .samples import CALLBACK, CALLED, HOOK, make_account, make_message, make_od, make_subscriptions

SAMPLE = (Path(__file__).parents[2] / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


def told(far_end):
    return [json.loads(request.content) for request in far_end.asked(CALLED)]


def test_buyers_dispute_reaches_the_callback_of_its_line():
    adapter, far_end = make_od()
    receipt = adapter.send_status(make_message("207", reasons=(Reason(code="QTE_ERR", text="9 sur 10"),)))
    (sent,) = far_end.requests

    assert (str(sent.url), receipt.reference, receipt.confirmed) == (CALLBACK, "r-1", False)
    assert told(far_end) == [
        {
            "messageId": "0c1d2c9e-5f1f-4b6a-8d1b-6a7f3d9f2e02",
            "kind": "incoming",
            "addressingLine": LINE,
            "occurredAt": "2026-10-06T14:03:00Z",
            "invoice": {
                "number": "F-2026-0042",
                "issueDate": "2026-10-04",
                "typeCode": "380",
                "sellerSiren": OTHER,
                "buyerSiren": SIREN,
            },
            "status": {"code": 207, "issuer": "CUSTOMER", "reasons": [{"code": "QTE_ERR", "text": "9 sur 10"}]},
        }
    ]
    assert "authorization" not in sent.headers
    assert SUBSCRIPTION_KEY not in str(sent.headers.raw)


def test_sellers_receipt_goes_out_as_outgoing():
    adapter, far_end = make_od()
    adapter.send_status(make_message("212", "issued"))
    assert (told(far_end)[0]["kind"], told(far_end)[0]["status"]) == ("outgoing", {"code": 212, "issuer": "CUSTOMER"})


@pytest.mark.parametrize(
    ("status", "direction", "role"),
    [
        ("205", "issued", "BY"),
        ("205", "issued", "SE"),
        ("212", "received", "SE"),
        ("220", "issued", "SE"),
        ("202", "received", "WK"),
    ],
)
def test_what_is_not_carried_is_not_sent(status, direction, role):
    adapter, far_end = make_od()
    with pytest.raises(Unsupported):
        adapter.send_status(make_message(status, direction, issuer_role=role))
    assert far_end.calls == []


def test_our_people_speak_for_our_customer():
    assert (CegidOD.seat("received", {}), CegidOD.seat("issued", {})) == (Side.BUYER, Side.SELLER)


def test_new_invoice_of_the_customer_is_handed_to_the_platform():
    adapter, far_end = make_od()
    receipt = adapter.submit_invoice(File(kind="original", content=SAMPLE), make_facts("issued"))
    (body,) = told(far_end)

    assert ("status" in body, body["kind"], body["document"]["syntax"]) == (False, "outgoing", "UBL")
    assert base64.b64decode(body["document"]["contentBase64"]) == SAMPLE
    assert receipt.reference == f"issued/{LINE}/{SIREN}/F-2026-0042/2026"
    with pytest.raises(Unsupported):
        adapter.submit_invoice(File(kind="original", content=SAMPLE), make_facts("received"))


@pytest.mark.parametrize("state", ["draft", "connection_data_received", "suspended", "closed", "failed"])
def test_line_without_a_platform_is_for_people(state):
    adapter, far_end = make_od(account=make_account(subscriptions=make_subscriptions(state=state)))
    with pytest.raises(PermanentError, match="let it subscribe"):
        adapter.send_status(make_message())
    assert far_end.calls == []


@pytest.mark.parametrize("line", ["", SECOND])
def test_each_line_is_called_at_its_own_address_alone(line):
    adapter, far_end = make_od()
    with pytest.raises(PermanentError, match="F-2026-0042"):
        adapter.send_status(replace(make_message(), invoice=make_facts("received", line_identifier=line)))
    assert far_end.calls == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {}), PermanentError),
        ((403, {}), PermanentError),
        ((404, {}), PermanentError),
        ((410, b""), PermanentError),
        ((422, {}), PermanentError),
        ((301, {}, {"location": "https://8.8.8.8/"}), UncertainError),
        ((200, b"<html>"), UncertainError),
        ((429, {}), TemporaryError),
        ((500, {}), UncertainError),
        (httpx.ConnectError("x"), TemporaryError),
        (httpx.ReadTimeout("x"), UncertainError),
    ],
)
def test_answers_of_a_callback_in_our_terms(answer, error):
    adapter, far_end = make_od({CALLED: answer})
    with pytest.raises(error):
        adapter.send_status(make_message())
    assert len(far_end.calls) == 1


@pytest.mark.parametrize(
    ("answer", "reference"),
    [((202, b""), ""), ((204, b""), ""), ((200, {"id": 7}), ""), ((200, {"eventId": "e"}), "e")],
)
def test_any_success_is_a_receipt(answer, reference):
    adapter, _far_end = make_od({CALLED: answer})
    assert adapter.send_status(make_message()).reference == (reference or make_message().id)


def test_conflict_on_our_message_is_success():
    adapter, _far_end = make_od({CALLED: (409, {})})
    assert adapter.send_status(make_message()).reference == make_message().id
    adapter, _far_end = make_od({CALLED: (409, {})}, conflict_is_duplicate=False)
    with pytest.raises(PermanentError):
        adapter.send_status(make_message())


@pytest.mark.parametrize("address", ["http://8.8.8.8/x/", "https://127.0.0.1/x/", "https://user@8.8.8.8/x/"])
def test_address_that_the_policy_no_longer_allows_is_not_called(address):
    adapter, far_end = make_od(account=make_account(subscriptions=make_subscriptions(callback_url=address)))
    with pytest.raises(PermanentError, match="must not be called") as caught:
        adapter.send_status(make_message())
    assert (far_end.calls, address in caught.value.message) == ([], False)


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        ({}, Policy()),
        ({"callback_private": True}, Policy(private=True)),
        ({"callback_plain": True, "callback_private": False}, Policy(plain=True)),
    ],
)
def test_policy_is_what_the_connection_says(settings, policy):
    assert CegidOD.callback_policy(settings) == policy


# --- connection data and checks ---------------------------------------------------------------------------------------


def test_connection_data_hold_all_that_a_platform_needs():
    adapter, _far_end = make_od()
    data = adapter.new_connection_data(make_line())
    client_id, _colon, secret = data.secrets["api_key"].partition(":")

    assert dict(data.shown) == {
        "addressingLine": LINE,
        "odUrl": HOOK,
        "accountUrl": HOOK,
        "apiKey": data.secrets["api_key"],
        "subscriptionKey": SUBSCRIPTION_KEY,
    }
    assert (len(client_id), len(secret) >= 43) == (16, True)
    known = adapter.account.subscriptions.find(LINE)
    assert (known.state, known.callback_url, known.reference) == ("connection_data_received", "", "")


def test_closing_and_opening_a_line_again():
    adapter, _far_end = make_od()
    adapter.unsubscribe(make_line())
    assert adapter.account.subscriptions.find(LINE).state == "closed"
    adapter.subscribe(make_line())
    known = adapter.account.subscriptions.find(LINE)
    assert (known.state, known.callback_url) == ("connection_data_received", "")
    with pytest.raises(PermanentError, match="no connection data"):
        adapter.subscribe(make_line(api_key=""))


def test_opening_an_active_line_changes_nothing():
    adapter, _far_end = make_od()
    adapter.subscribe(make_line())
    assert adapter.account.subscriptions.states == []


def results(adapter):
    return {result.name: result.ok for result in adapter.check()}


def test_check_knocks_at_the_callbacks():
    adapter, far_end = make_od()
    assert results(adapter) == {"subscription key": True, LINE: True, SECOND: False}
    assert far_end.calls == ["HEAD /hooks/cegid/9f2c-unguessable/"]


@pytest.mark.parametrize("answer", [(500, b""), (503, b""), httpx.ConnectError("x"), httpx.ReadTimeout("x")])
def test_check_finds_a_deaf_callback(answer):
    adapter, _far_end = make_od({"HEAD /hooks/cegid/9f2c-unguessable/": answer})
    assert results(adapter)[LINE] is False


def test_check_finds_a_missing_key():
    adapter, _far_end = make_od(account=replace(make_account(), secrets={}))
    assert results(adapter)["subscription key"] is False


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_address_of_a_callback_is_shown_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    echo = lambda request: (422, {"message": f"{request.url} {request.headers.raw}"})  # noqa: E731
    adapter, _far_end = make_od({CALLED: echo, "HEAD /hooks/cegid/9f2c-unguessable/": (500, {"message": CALLBACK})})
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(make_message())
    known = Subscriptions(Subscription(line_identifier=LINE, state="active", callback_url=CALLBACK))
    shown = [
        caught.value.message,
        caught.value.answer,
        repr(known.find(LINE)),
        repr(vars(adapter)),
        repr(adapter.account),
    ]
    shown += [result.message for result in adapter.check()]
    logs = [record.getMessage() for record in caplog.records]

    assert [text for text in [*shown, *logs] if "unguessable" in text] == []

"""What we tell the concentrator: messages, tokens per line, keys, and how each answer is taken."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from providers.cegid.adapter import Cegid
from providers.contract.base import (
    File,
    Payment,
    PermanentError,
    Reason,
    Subscription,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.norm.codes import Side
from tests.providers.lines import Subscriptions

from .samples import (
    API_KEY,
    EVENTS,
    LINE,
    OTHER,
    SECOND,
    SIREN,
    SUBSCRIPTION_KEY,
    TOKEN,
    make_account,
    make_cegid,
    make_facts,
    make_line,
    make_message,
)

SAMPLE = (Path(__file__).parents[2] / "samples" / "invoices" / "invoice.cii.xml").read_bytes()


def told(far_end):
    return [json.loads(request.content) for request in far_end.asked(EVENTS)]


# --- messages ---------------------------------------------------------------------------------------------------------


def test_buyers_dispute_on_a_sale():
    adapter, far_end = make_cegid()
    reasons = (Reason(code="QTE_ERR", text="9 pièces reçues sur 10"), Reason(code="REM_ERR"))
    receipt = adapter.send_status(make_message("207", reasons=reasons, note="Voir bon de livraison"))

    assert receipt.reference == "e-1"
    assert not receipt.confirmed  # taken in is not shown
    assert told(far_end) == [
        {
            "messageId": "0c1d2c9e-5f1f-4b6a-8d1b-6a7f3d9f2e02",
            "kind": "outgoing",
            "addressingLine": LINE,
            "occurredAt": "2026-10-06T14:03:00Z",
            "invoice": {
                "number": "F-2026-0042",
                "issueDate": "2026-10-04",
                "typeCode": "380",
                "sellerSiren": SIREN,
                "buyerSiren": OTHER,
            },
            "status": {
                "code": 207,
                "issuer": "BUYER",
                "reasons": [{"code": "QTE_ERR", "text": "9 pièces reçues sur 10"}, {"code": "REM_ERR"}],
                "note": "Voir bon de livraison",
            },
        }
    ]


def test_sellers_receipt_on_a_purchase_carries_amounts():
    adapter, far_end = make_cegid()
    payments = (Payment(amount=Decimal("-12.5"), vat_rate=Decimal("5.5")), Payment(amount=Decimal(1200)))
    adapter.send_status(make_message("212", "received", issuer_role="SE", payments=payments))
    (body,) = told(far_end)

    assert (body["kind"], body["status"]["issuer"]) == ("incoming", "SELLER")
    assert body["status"]["payments"] == [
        {"type": "MEN", "vatRate": "5.50", "amount": "-12.50", "currency": "EUR"},
        {"type": "MEN", "amount": "1200.00", "currency": "EUR"},
    ]


def test_what_is_unknown_of_an_invoice_is_left_out():
    adapter, far_end = make_cegid()
    adapter.send_status(replace(make_message(), invoice=make_facts(type_code="", issue_date=None)))

    assert told(far_end)[0]["invoice"] == {"number": "F-2026-0042", "sellerSiren": SIREN, "buyerSiren": OTHER}


def test_words_of_the_other_end_are_settings():
    adapter, far_end = make_cegid(
        status_words=["207=DISPUTED", "nonsense"], reason_words=["QTE_ERR=QUANTITY"], addressing_line_prefix="0225:"
    )
    adapter.send_status(make_message("207", reasons=(Reason(code="QTE_ERR"),)))
    (body,) = told(far_end)

    assert body["addressingLine"] == f"0225:{LINE}"
    assert (body["status"]["code"], body["status"]["reasons"]) == ("DISPUTED", [{"code": "QUANTITY"}])


def test_same_message_keeps_its_id_at_every_try():
    adapter, far_end = make_cegid({EVENTS: [httpx.ReadTimeout("x"), (202, {"eventId": "e-1"})]})
    with pytest.raises(UncertainError):
        adapter.send_status(make_message())
    adapter.send_status(make_message())

    assert len({request.content for request in far_end.asked(EVENTS)}) == 1
    assert {request.headers["idempotency-key"] for request in far_end.asked(EVENTS)} == {make_message().id}


@pytest.mark.parametrize(
    ("status", "direction", "role"),
    [
        ("212", "issued", "SE"),  # the customer's own words come from it
        ("205", "issued", "SE"),
        ("209", "received", "BY"),
        ("220", "received", "SE"),
        ("213", "received", "WK"),
        ("205", "received", "DL"),
        ("205", "received", ""),
    ],
)
def test_what_is_not_carried_is_not_sent(status, direction, role):
    adapter, far_end = make_cegid()
    with pytest.raises(Unsupported):
        adapter.send_status(make_message(status, direction, issuer_role=role))
    assert far_end.calls == []


@pytest.mark.parametrize(
    ("direction", "settings", "side"),
    [
        ("issued", {}, Side.BUYER),
        ("issued", {"act_on_behalf": True}, Side.BUYER),
        ("received", {}, None),
        ("received", {"act_on_behalf": False}, None),
        ("received", {"act_on_behalf": True}, Side.BUYER),
    ],
)
def test_our_people_speak_for_the_buyer_or_listen(direction, settings, side):
    assert Cegid.seat(direction, settings) == side


# --- invoices ---------------------------------------------------------------------------------------------------------


def test_invoice_is_handed_over_with_its_file():
    adapter, far_end = make_cegid()
    facts = make_facts("received", received_at=datetime(2026, 10, 5, 8, 12, 31, tzinfo=UTC))
    receipt = adapter.submit_invoice(File(kind="original", content=SAMPLE, filename="F-2026-0042.xml"), facts)
    (body,) = told(far_end)

    assert body["document"] == {
        "syntax": "CII",
        "fileName": "F-2026-0042.xml",
        "contentBase64": base64.b64encode(SAMPLE).decode(),
        "sha256": hashlib.sha256(SAMPLE).hexdigest(),
    }
    assert (body["kind"], body["occurredAt"], body["status"]) == (
        "incoming",
        "2026-10-05T08:12:31Z",
        {"code": 202, "issuer": "PLATFORM"},
    )
    assert receipt.reference == f"received/{LINE}/{OTHER}/F-2026-0042/2026"


def test_invoice_handed_over_again_is_the_same_message_and_a_changed_one_another():
    adapter, far_end = make_cegid()
    for content in (SAMPLE, SAMPLE, SAMPLE + b"\n"):
        adapter.submit_invoice(File(kind="original", content=content), make_facts("received"))
    first, second, third = [body["messageId"] for body in told(far_end)]

    assert (first == second, second == third) == (True, False)


def test_customers_own_invoice_is_not_handed_to_it():
    adapter, far_end = make_cegid()
    with pytest.raises(Unsupported):
        adapter.submit_invoice(File(kind="original", content=SAMPLE), make_facts("issued"))
    with pytest.raises(Unsupported):
        adapter.submit_invoice(File(kind="original", content=b"<a/>"), make_facts("received"))
    assert far_end.asked(EVENTS) == []


# --- access -----------------------------------------------------------------------------------------------------------


def test_token_is_asked_for_with_both_halves_of_the_key():
    adapter, far_end = make_cegid()
    adapter.send_status(make_message())
    (asked,) = far_end.asked(TOKEN)

    assert str(asked.url) == "https://account.example.test/connect/token"
    assert asked.content == (b"grant_type=client_credentials&client_id=client-of-line-one&client_secret=s3cret-one")
    assert asked.headers["x-apikey"] == API_KEY
    assert "ocp-apim-subscription-key" not in asked.headers  # Cegid Account never sees it


def test_token_is_asked_for_as_the_settings_say():
    adapter, far_end = make_cegid(
        {"POST /oauth/token": (200, {"access_token": "t"})},
        token_credentials="basic", apikey_header="", token_scope="od.pdp", token_path="oauth/token", account_url="",
    )  # fmt: skip
    adapter.send_status(make_message())
    (asked,) = far_end.asked("POST /oauth/token")

    assert str(asked.url) == "https://od.example.test/oauth/token"
    assert asked.content == b"grant_type=client_credentials&scope=od.pdp"
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(API_KEY.encode()).decode()}"
    assert "x-apikey" not in asked.headers


def test_call_shows_the_token_of_its_line_and_the_subscription_key():
    adapter, far_end = make_cegid()
    adapter.send_status(make_message())
    (sent,) = far_end.asked(EVENTS)

    assert sent.headers["authorization"].startswith("Bearer token-client-of-line-one-")
    assert sent.headers["ocp-apim-subscription-key"] == SUBSCRIPTION_KEY


@pytest.mark.parametrize(
    ("wanted", "on_subscriptions", "on_lifecycle"),
    [("all", True, True), ("subscriptions", True, False), ("lifecycle", False, True)],
)
def test_subscription_key_goes_with_the_calls_that_want_it(wanted, on_subscriptions, on_lifecycle):
    adapter, far_end = make_cegid(subscription_key_on=wanted, subscription_key_header="X-Key")
    adapter.subscribe(make_line())
    adapter.send_status(make_message())
    shown = {path: "x-key" in far_end.asked(path)[0].headers for path in ("POST /subscriptions", EVENTS)}

    assert shown == {"POST /subscriptions": on_subscriptions, EVENTS: on_lifecycle}


def test_two_lines_of_one_company_never_share_a_token():
    adapter, far_end = make_cegid()
    for line in (LINE, SECOND, LINE, SECOND):
        adapter.send_status(replace(make_message(), invoice=make_facts(line_identifier=line)))
    bearers = [request.headers["authorization"] for request in far_end.asked(EVENTS)]

    assert len(far_end.asked(TOKEN)) == 2
    assert [bearer.rpartition("-")[0] for bearer in bearers] == [
        "Bearer token-client-of-line-one",
        "Bearer token-client-of-line-two",
    ] * 2


def test_lines_with_the_same_key_still_have_tokens_of_their_own():
    account = make_account(make_line(), make_line(SECOND, API_KEY))
    adapter, far_end = make_cegid(account=account)
    for line in (LINE, SECOND):
        adapter.send_status(replace(make_message(), invoice=make_facts(line_identifier=line)))

    assert len({request.headers["authorization"] for request in far_end.asked(EVENTS)}) == 2


@pytest.mark.parametrize("change", ["environment", "key", "host"])
def test_token_of_former_access_is_not_used(change):
    adapter, far_end = make_cegid()
    adapter.send_status(make_message())
    if change == "environment":
        adapter.account = replace(adapter.account, environment="production")
    elif change == "key":
        adapter.account.lines.change(LINE, secrets={"api_key": "client-of-line-one:renewed"})
    else:
        adapter.account = replace(
            adapter.account, settings={**adapter.account.settings, "account_url": "https://new.example.test"}
        )
    adapter.send_status(make_message())

    assert len(far_end.asked(TOKEN)) == 2


def test_token_refused_once_is_renewed_and_the_message_told_once():
    adapter, far_end = make_cegid({EVENTS: [(401, {"statusCode": 401, "message": "x"}), (202, {})]})
    receipt = adapter.send_status(make_message())

    assert far_end.calls == [TOKEN, EVENTS, TOKEN, EVENTS]
    assert receipt.reference == make_message().id


def test_token_refused_twice_is_for_people():
    adapter, far_end = make_cegid({EVENTS: (401, {"statusCode": 401, "message": "x"})})
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(make_message())
    assert (caught.value.status_code, len(far_end.asked(EVENTS)), len(far_end.asked(TOKEN))) == (401, 2, 2)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": 3600}, 3540),
        ({"expires_in": 3600.0}, 3540),
        ({}, 240),
        ({"expires_in": "soon"}, 240),
        ({"expires_in": -5}, 240),
        ({"expires_in": True}, 240),
        ({"expires_in": 30}, 15),
        ({"expires_in": 10**12}, 86340),
    ],
)
def test_token_is_renewed_a_minute_early(answer, seconds):
    adapter, _far_end = make_cegid({TOKEN: (200, {"access_token": "t"} | answer)})
    _token, renew_at = adapter.log_in(make_line())

    assert abs((renew_at - datetime.now(UTC)) - timedelta(seconds=seconds)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_client"}), PermanentError),
        ((401, {"error": "invalid_client"}), PermanentError),
        ((403, b"<html>"), PermanentError),
        ((404, {}), PermanentError),
        ((429, {}), TemporaryError),
        ((500, {}), TemporaryError),
        ((200, b"<html>"), TemporaryError),
        ((200, []), TemporaryError),
        ((200, {"access_token": 7}), TemporaryError),
        ((200, {"access_token": "a\nb"}), TemporaryError),
        ((200, {"access_token": "é"}), TemporaryError),
        (httpx.ReadTimeout("x"), TemporaryError),
    ],
)
def test_failing_account_leaves_a_statement_unsaid(answer, error):
    adapter, far_end = make_cegid({TOKEN: answer})
    with pytest.raises(error):
        adapter.send_status(make_message())
    assert far_end.asked(EVENTS) == []


@pytest.mark.parametrize("key", ["", "no-colon", ":", "id:", ":secret", "id:sécret", "id:a\nb"])
def test_key_that_is_none_asks_nothing(key):
    adapter, far_end = make_cegid(account=make_account(make_line(api_key=key)))
    with pytest.raises(PermanentError, match="connection data"):
        adapter.send_status(make_message())
    assert far_end.calls == []


def test_secret_with_a_colon_is_whole():
    adapter, far_end = make_cegid(account=make_account(make_line(api_key="id:a:b")))
    adapter.send_status(make_message())
    assert far_end.asked(TOKEN)[0].content.endswith(b"client_id=id&client_secret=a%3Ab")


def test_pasted_key_may_have_blanks_around_it():
    adapter, far_end = make_cegid(account=make_account(make_line(api_key=f" {API_KEY}\r\n")))
    adapter.send_status(make_message())
    assert far_end.asked(TOKEN)[0].headers["x-apikey"] == API_KEY


@pytest.mark.parametrize("secrets", [{}, {"subscription_key": ""}, {"subscription_key": "clé"}])
def test_missing_subscription_key_asks_nothing(secrets):
    adapter, far_end = make_cegid(account=make_account(secrets=secrets))
    with pytest.raises(PermanentError, match="subscription key"):
        adapter.send_status(make_message())
    assert far_end.asked(EVENTS) == []


# --- answers ----------------------------------------------------------------------------------------------------------


def test_conflict_on_our_message_is_success():
    adapter, _far_end = make_cegid({EVENTS: (409, {"message": "known"})})
    assert adapter.send_status(make_message()).reference == make_message().id

    adapter, _far_end = make_cegid({EVENTS: (409, {})}, conflict_is_duplicate=False)
    with pytest.raises(PermanentError):
        adapter.send_status(make_message())


def test_refusal_of_the_perimeter_suspends_that_line_alone():
    adapter, far_end = make_cegid({EVENTS: [(403, {"statusCode": 403, "message": "perimeter"}), (202, {})]})
    with pytest.raises(PermanentError, match="suspended") as caught:
        adapter.send_status(make_message())
    states = {line: adapter.account.subscriptions.find(line).state for line in (LINE, SECOND)}
    assert (caught.value.status_code, states) == (403, {LINE: "suspended", SECOND: "active"})

    calls = len(far_end.calls)
    with pytest.raises(PermanentError, match="resume"):
        adapter.send_status(make_message())
    assert len(far_end.calls) == calls
    adapter.send_status(replace(make_message(), invoice=make_facts(line_identifier=SECOND)))


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_nothing_is_said_for_a_line_that_is_not_open(state):
    known = Subscriptions(Subscription(line_identifier=LINE, state=state))
    adapter, far_end = make_cegid(account=make_account(subscriptions=known))
    with pytest.raises(PermanentError):
        adapter.send_status(make_message())
    assert far_end.calls == []


@pytest.mark.parametrize("line", ["", "999999999"])
def test_invoice_without_a_line_of_ours_is_for_people(line):
    adapter, far_end = make_cegid()
    with pytest.raises(PermanentError, match="F-2026-0042"):
        adapter.send_status(replace(make_message(), invoice=make_facts(line_identifier=line)))
    assert far_end.calls == []


def test_lost_message_cannot_be_looked_up():
    adapter, far_end = make_cegid()
    with pytest.raises(Unsupported):
        adapter.find_status(make_message())
    with pytest.raises(Unsupported):
        adapter.find_invoice(make_facts())
    assert far_end.calls == []


def test_lost_message_is_sent_again_where_the_other_end_knows_it_again():
    adapter, _far_end = make_cegid(resend_uncertain=True)
    assert (adapter.find_status(make_message()), adapter.find_invoice(make_facts())) == (None, None)

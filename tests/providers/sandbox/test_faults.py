import base64
import hashlib
import re
import time

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .conftest import OURS, TARGET, TOKEN
from .test_acube import codes

SIGNATURE_INPUT = re.compile(
    r'pyhms=(\("@method" "@authority" "@target-uri" "date" "content-digest"\)'
    r';created=(\d+);keyid="acube";alg="ed25519")'
)


def verdict(request: httpx.Request, client: httpx.Client) -> str:
    """What a receiver finds who follows the specification: 'good', or the first thing that is wrong."""
    if request.headers.get("x-webhook-token") != TOKEN:
        return "token"
    if "signature" not in request.headers:
        return "unsigned"
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(request.content).digest()).decode()}:"
    parameters, created = SIGNATURE_INPUT.fullmatch(request.headers["signature-input"]).groups()
    base = (
        f'"@method": POST\n"@authority": navette.example.test\n"@target-uri": {TARGET}\n'
        f'"date": {request.headers["date"]}\n"content-digest": {digest}\n"@signature-params": {parameters}'
    )
    key = load_pem_public_key(client.get("/signature-public-key").json()["public_key"].encode())
    signature = request.headers["signature"].removeprefix("pyhms=:").removesuffix(":")
    try:
        key.verify(base64.b64decode(signature), base.encode())
    except InvalidSignature:
        return "signature"
    return "good" if abs(time.time() - int(created)) < 60 else "stale"


def deposit(sandbox) -> str:
    return sandbox.control("deposit", buyer_siren=OURS)["invoices"][0]["uuid"]


# -- webhooks


def test_deposit_rings_a_well_signed_webhook(client, sandbox, hook):
    ref = deposit(sandbox)
    sandbox.wait_idle()
    event = hook.events[0]
    assert [verdict(request, client) for request in hook.requests] == ["good"]
    assert event.pop("eventId")
    assert event == {
        "eventType": "invoice.inbound",
        "status": "RECEIVED",
        "statusLabel": "Received",
        "invoiceUuid": ref,
        "direction": "INBOUND",
    }


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("unsigned", "unsigned"),
        ("wrong_signature", "signature"),
        ("stale_signature", "stale"),
        ("wrong_token", "token"),
    ],
)
def test_spoiled_webhook_is_good_again_on_the_retry(client, sandbox, hook, kind, found):
    sandbox.control("faults", kind=kind)
    hook.answers = [401]
    deposit(sandbox)
    sandbox.wait_idle()
    assert [verdict(request, client) for request in hook.requests] == [found, "good"]
    assert hook.events[0]["eventId"] == hook.events[1]["eventId"]


def test_malformed_body_is_well_signed(client, sandbox, hook):
    sandbox.control("faults", kind="malformed_body")
    hook.answers = [400]
    ref = deposit(sandbox)
    sandbox.wait_idle()
    assert [verdict(request, client) for request in hook.requests] == ["good", "good"]
    assert hook.requests[0].content == b"status=205;label=Approved"
    assert hook.requests[1].content.count(ref.encode()) == 1


def test_webhook_is_retried_until_answered_2xx(client, sandbox, hook):
    hook.answers = [500, 302, 410, 204]
    deposit(sandbox)
    sandbox.wait_idle()
    ring = sandbox.control("webhooks")["webhooks"][0]
    assert (ring["state"], [attempt["status"] for attempt in ring["tries"]]) == ("delivered", [500, 302, 410, 204])


def test_webhook_is_given_up_after_404_and_after_the_last_retry(client, sandbox, hook):
    sandbox.control("settings", retry_scale=0)
    hook.answers = [404, *[500] * 16]
    deposit(sandbox)
    sandbox.wait_idle()
    deposit(sandbox)
    sandbox.wait_idle(20)
    rings = sandbox.control("webhooks")["webhooks"]
    assert [(ring["state"], len(ring["tries"])) for ring in rings] == [("given up", 1), ("given up", 16)]


def test_late_webhook_comes_after_its_delay(client, sandbox, hook):
    sandbox.control("faults", kind="late", delay=0.2)
    started = time.monotonic()
    deposit(sandbox)
    sandbox.wait_idle()
    assert (len(hook.requests), time.monotonic() - started >= 0.2) == (1, True)


def test_webhook_rung_twice_is_the_same_event(client, sandbox, hook):
    sandbox.control("faults", kind="twice")
    deposit(sandbox)
    sandbox.wait_idle()
    assert len(hook.events) == 2
    assert hook.events[0] == hook.events[1]


def test_out_of_order_webhook_is_overtaken(client, sandbox, hook, invoice):
    sandbox.control("faults", kind="out_of_order")
    for status in ("204", "205"):
        sandbox.control("status", invoice=invoice, status=status)
    sandbox.control("status", invoice=invoice, status="211")
    for _ in range(100):
        if len(hook.events) == 4:
            break
        time.sleep(0.02)
    assert hook.statuses == ["RECEIVED", "205", "204", "211"]


def test_out_of_order_webhook_alone_comes_after_its_delay(client, sandbox, hook, invoice):
    sandbox.control("faults", kind="out_of_order", delay=0.1)
    sandbox.control("status", invoice=invoice, status="204")
    sandbox.wait_idle()
    assert hook.statuses == ["RECEIVED", "204"]


def test_unknown_status_stands_in_event_and_history(client, sandbox, hook, invoice):
    sandbox.control("faults", kind="unknown_status")
    client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 204})
    sandbox.wait_idle()
    assert hook.statuses == ["RECEIVED", "XYZ", "204"]
    assert sorted(map(str, codes(client, invoice))) == ["200", "202", "203", "204", "XYZ"]


def test_unknown_invoice_is_rung_beside_the_true_event(client, sandbox, hook):
    sandbox.control("faults", kind="unknown_invoice")
    ref = deposit(sandbox)
    sandbox.wait_idle()
    known = [client.get(f"/invoices/{event['invoiceUuid']}").status_code for event in hook.events]
    assert (sorted(known), [e["invoiceUuid"] for e in hook.events].count(ref)) == ([200, 404], 1)


def test_no_echo_leaves_the_status_in_the_history_only(client, sandbox, hook, invoice):
    sandbox.control("faults", kind="no_echo")
    client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 205})
    sandbox.wait_idle()
    assert (hook.statuses, codes(client, invoice)[-1]) == (["RECEIVED"], 205)


# -- calls


def test_unauthorized_once_asks_for_a_new_login(client, sandbox):
    sandbox.control("faults", kind="unauthorized_once")
    first, same_token = client.get("/invoices"), client.get("/invoices")
    assert (first.status_code, first.json()["message"]) == (401, "Expired JWT Token")
    assert (same_token.status_code, same_token.json()["message"]) == (401, "Invalid JWT Token")
    token = client.post("/login", json={"email": "a", "password": "b"}).json()["token"]
    assert client.get("/invoices", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_rate_limited_call_says_how_long_to_wait(client, sandbox):
    sandbox.control("faults", kind="rate_limited", delay=7, times=2)
    answers = [client.get("/invoices") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("kind", "answered", "accepted"),
    [("server_error", 500, 0), ("server_error_after", 500, 1), ("cut_before", None, 0), ("cut_after", None, 1)],
)
def test_failing_call_is_accepted_or_not_as_its_name_says(client, sandbox, invoice, kind, answered, accepted):
    sandbox.control("faults", kind=kind, path="POST .*lifecycle")
    assert client.get("/invoices").status_code == 200
    try:
        status = client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 205}).status_code
    except httpx.RemoteProtocolError:
        status = None
    sandbox.wait_idle()
    seen = sandbox.control("calls")
    assert (status, codes(client, invoice).count(205), len(seen["accepted"])) == (answered, accepted, accepted)
    assert [call["status"] for call in seen["calls"] if call["fault"] == kind] == [answered]


def test_fault_after_waits_for_a_call_that_is_accepted(client, sandbox, invoice):
    sandbox.control("faults", kind="server_error_after", path="lifecycle")
    path = f"/invoices/{invoice}/lifecycle"
    answers = [client.post(path, json={"afnorStatusCode": code}) for code in (299, 205, 211)]
    assert [answer.status_code for answer in answers] == [422, 500, 202]


def test_slow_call_takes_its_delay(client, sandbox):
    sandbox.control("faults", kind="slow", delay=0.2)
    started = time.monotonic()
    assert client.get("/invoices").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_broken_document_is_whole_again_the_next_time(client, sandbox, invoice):
    sandbox.control("faults", kind="broken_document")
    first, second = (client.get(f"/invoices/{invoice}/original").content for _ in range(2))
    assert (first[:6], second[:5]) == (b"<html>", b"<?xml")


def test_login_is_spared_unless_it_is_named(client, sandbox):
    credentials = {"email": "a", "password": "b"}
    sandbox.control("faults", kind="server_error")
    spared = client.post("/login", json=credentials).status_code
    sandbox.control("faults", kind="server_error", path="/login")
    assert (spared, client.post("/login", json=credentials).status_code) == (200, 500)


def test_fault_that_does_not_exist_is_refused(sandbox):
    with pytest.raises(ValueError, match="Unknown fault 'gremlins'"):
        sandbox.control("faults", kind="gremlins")
    with pytest.raises(ValueError, match="not a regular expression"):
        sandbox.control("faults", kind="slow", path="(")
    assert sandbox.control("faults")["armed"] == []

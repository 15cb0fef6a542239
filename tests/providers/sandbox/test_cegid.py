"""The sandbox's concentrator and platform by themselves: what they take, what they refuse."""

import base64
import hashlib
from collections.abc import Iterator

import httpx
import pytest

from providers.sandbox.server import SandboxServer

LINE, OTHER = "800112237_80011223700014", "800112237_COMPTA"
CALLBACK = "https://navette.example.test/hooks/cegid/c1/"


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """A platform with a token and a subscription for its line."""
    with httpx.Client(base_url=f"{sandbox.url}/cegid", trust_env=False) as client:
        client.headers["Ocp-Apim-Subscription-Key"] = "k"
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
        token = client.post("/connect/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"addressingLine": LINE, "callbackUrl": CALLBACK}
        assert client.post("/subscriptions", json=body).json()["subscriptionId"]
        yield client


def message(sandbox: SandboxServer, **changes) -> dict:
    """A buyer's status about an invoice that the customer made."""
    wish = {"seller_siren": "800112237", "seller_address": LINE, "number": "V-1", "sample": "stationery"}
    sandbox.control("deposit", dialect="cegid", direction="OUTBOUND", **wish)
    body = {
        "messageId": "m-1",
        "kind": "outgoing",
        "addressingLine": LINE,
        "invoice": {"number": "V-1", "sellerSiren": "800112237"},
        "status": {"code": 205, "issuer": "BUYER"},
    }
    return body | changes


def test_message_is_taken_once_and_comes_back(sandbox, client, hook):
    body = message(sandbox)
    first, again = client.post("/lifecycle-events", json=body), client.post("/lifecycle-events", json=body)
    sandbox.wait_idle()

    assert (first.status_code, again.status_code) == (202, 409)
    assert [row["count"] for row in sandbox.control("calls")["accepted"]] == [1]
    assert [event["kind"] for event in hook.events] == ["outgoing", "outgoing"]
    assert (hook.events[0]["document"]["syntax"], hook.events[1]["status"]) == (
        "UBL",
        {"code": 205, "issuer": "CUSTOMER"},
    )
    assert {str(request.url) for request in hook.requests} == {CALLBACK}


def test_message_seen_before_may_be_answered_alike(sandbox, client):
    sandbox.control("settings", cegid={"conflict_on_duplicate": False})
    body = message(sandbox)
    answers = [client.post("/lifecycle-events", json=body) for _time in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert [row["count"] for row in sandbox.control("calls")["accepted"]] == [1]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"addressingLine": OTHER}, 403),
        ({"addressingLine": None}, 422),
        ({"kind": "sideways"}, 422),
        ({"messageId": ""}, 422),
        ({"invoice": {"number": "V-1"}}, 422),
        ({"invoice": {"number": "V-2", "sellerSiren": "800112237"}}, 404),
        ({"kind": "incoming"}, 404),
        ({"status": None}, 422),
        ({"status": {"code": "205", "issuer": "BUYER"}}, 422),
        ({"status": {"code": 205, "issuer": "CUSTOMER"}}, 422),
        ({"status": {"code": 207, "issuer": "BUYER"}}, 422),
        ({"status": {"code": 212, "issuer": "SELLER", "payments": [{"amount": 1.5}]}}, 422),
        ({"document": {"contentBase64": "!"}}, 422),
        ({"document": {"contentBase64": "YQ==", "sha256": "0"}}, 422),
        (
            {
                "document": {
                    "contentBase64": base64.b64encode(b"a").decode(),
                    "sha256": hashlib.sha256(b"a").hexdigest(),
                }
            },
            422,
        ),
    ],
    ids=repr,
)
def test_message_is_checked(sandbox, client, changes, status):
    answer = client.post("/lifecycle-events", json=message(sandbox, **changes))
    assert (answer.status_code, answer.json()["statusCode"]) == (status, status)
    assert sandbox.control("calls")["accepted"] == []


def test_refused_message_may_come_again_put_right(sandbox, client):
    wrong = message(sandbox, status={"code": 207, "issuer": "BUYER"})
    right = wrong | {"status": {"code": 207, "issuer": "BUYER", "reasons": [{"code": "QTE_ERR"}]}}
    assert [client.post("/lifecycle-events", json=body).status_code for body in (wrong, right)] == [422, 202]


@pytest.mark.parametrize("header", ["Authorization", "Ocp-Apim-Subscription-Key"])
@pytest.mark.parametrize("path", ["/lifecycle-events", "/subscriptions"])
def test_calls_want_both_keys(client, header, path):
    assert client.post(path, json={}, headers={header: ""}).status_code == 401


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password"}, 400),
        ({"client_secret": ""}, 401),
        ({"client_id": ""}, 401),
        ({"client_secret": "wrong"}, 401),
        ({}, 200),
    ],
)
def test_token_wants_the_lines_key(sandbox, client, form, status):
    sandbox.control("settings", cegid={"api_keys": {LINE: "a:b"}})
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"} | form
    assert client.post("/connect/token", data=form).status_code == status
    basic = {"grant_type": form["grant_type"]}, (form["client_id"], form["client_secret"])
    assert client.post("/connect/token", data=basic[0], auth=basic[1]).status_code == status


def test_token_ends(sandbox, client):
    sandbox.control("settings", cegid={"token_seconds": 0})
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    token = client.post("/connect/token", data=form).json()["access_token"]
    assert client.get("/subscriptions", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.get("/subscriptions").status_code == 404


def test_client_speaks_for_one_line_alone(client):
    body = {"addressingLine": OTHER, "callbackUrl": CALLBACK}
    assert client.post("/subscriptions", json=body).status_code == 403


def test_callback_must_be_a_web_address(client):
    body = {"addressingLine": LINE, "callbackUrl": "ftp://x"}
    assert client.post("/subscriptions", json=body).status_code == 422


def test_subscription_ends(sandbox, client, hook):
    reference = client.post("/subscriptions", json={"addressingLine": LINE, "callbackUrl": CALLBACK}).json()[
        "subscriptionId"
    ]
    assert [client.delete(f"/subscriptions/{each}").status_code for each in ("x", reference, reference)] == [
        404,
        204,
        404,
    ]
    body = message(sandbox)
    sandbox.wait_idle()
    assert (client.post("/lifecycle-events", json=body).status_code, hook.requests) == (403, [])


def test_secrets_are_not_kept(sandbox, client):
    calls = [call for call in sandbox.control("calls")["calls"] if call["path"].endswith(("token", "subscriptions"))]
    assert {(call["body"], call["answer"]) for call in calls} == {("(not kept)", "(not kept)")}


def test_reset_may_keep_who_is_rung(sandbox, client, hook):
    sandbox.control("reset", keep_destinations=True)
    message(sandbox)
    sandbox.wait_idle()
    assert len(hook.requests) == 1


# -- the platform


def test_platform_needs_whole_connection_data(sandbox):
    answer = httpx.post(f"{sandbox.url}/cegid_od/connection-data", json={"odUrl": "http://x"}, trust_env=False)
    assert (answer.status_code, "apiKey" in answer.json()["message"]) == (422, True)


def test_platform_that_nobody_answers_says_so(sandbox, hook):
    hook.answers = [500, 500]
    names = ("addressingLine", "odUrl", "accountUrl", "apiKey", "subscriptionKey")
    data = dict.fromkeys(names, "http://od.example.test")
    answer = httpx.post(f"{sandbox.url}/cegid_od/connection-data", json=data, trust_env=False)
    assert answer.status_code == 500


def test_platform_answers_at_addresses_of_its_own_alone(sandbox):
    answer = httpx.post(f"{sandbox.url}/cegid_od/callbacks/x/", json={}, trust_env=False)
    gone = httpx.delete(f"{sandbox.url}/cegid_od/connection-data/x", trust_env=False)
    assert (answer.status_code, gone.status_code) == (410, 404)

"""Billit's sandbox dialect, seen by a client that shares no code with it."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator

import httpx
import pytest

from .conftest import OURS

TARGET = "https://navette.example.test/hooks/billit/l1/{}/"
KINDS = (("Message", "I"), ("Message", "U"), ("Order", "I"))
ORDERS = "/v1/einvoices/registrations/8001/orders"
PARTY = {"PartyID": "8001"}


@pytest.fixture
def client(sandbox, hook) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{sandbox.url}/billit", headers={"apiKey": "k3y"}, trust_env=False) as client:
        yield client


@pytest.fixture
def secrets(sandbox, hook, client) -> dict[str, str]:
    """Of the webhooks, by address; what was rung to confirm them is forgotten."""
    found = {}
    for entity, update in KINDS:
        url = TARGET.format(f"{entity}-{update}")
        body = {"EntityType": entity, "EntityUpdateType": update, "WebhookURL": url}
        found[url] = client.post("/v1/einvoices/registrations/8001/webhooks", json=body).json()["Secret"]
    sandbox.wait_idle()
    hook.requests.clear()
    return found


def deposit(sandbox, **wish) -> str:
    made = sandbox.control("deposit", dialect="billit", **({"buyer_siren": OURS, "sample": "stationery"} | wish))
    sandbox.wait_idle()
    return made["invoices"][0]["uuid"]


def codes(answer) -> list[str]:
    return [error["Code"] for error in answer.json()["errors"]]


def test_calls_want_a_key_or_a_token(sandbox):
    assert httpx.get(f"{sandbox.url}/billit{ORDERS}", trust_env=False).status_code == 401
    token = {"Authorization": "Bearer unknown"}
    assert httpx.get(f"{sandbox.url}/billit{ORDERS}", headers=token, trust_env=False).status_code == 401


def test_codes_and_refresh_tokens_are_good_once(client):
    body = {
        "client_id": "c",
        "client_secret": "s",
        "grant_type": "authorization_code",
        "code": "1",
        "redirect_uri": "x",
    }
    tokens = client.post("/OAuth2/token", data=body).json()
    assert client.post("/OAuth2/token", data=body).status_code == 400
    renewal = {"client_id": "c", "client_secret": "s", "grant_type": "refresh_token"}
    renewal |= {"refresh_token": tokens["refresh_token"]}
    assert [client.post("/OAuth2/token", json=renewal).status_code for _ in range(2)] == [200, 400]


def test_new_webhook_is_confirmed_unsigned_with_its_secret(sandbox, hook, client):
    body = {"EntityType": "Order", "EntityUpdateType": "I", "WebhookURL": TARGET.format("x")}
    made = client.post("/v1/einvoices/registrations/8001/webhooks", json=body).json()
    sandbox.wait_idle()
    (request,) = hook.requests
    assert "billit-signature" not in request.headers
    assert json.loads(request.content)["EntityDetail"]["Secret"] == made["Secret"]
    listed = client.get("/v1/webhooks", headers=PARTY).json()["Items"]
    assert listed == [{"WebhookID": made["WebhookID"], **body}]
    assert codes(client.post("/v1/einvoices/registrations/8001/webhooks", json=body)) == ["WebhookExists"]


def test_push_is_signed_with_the_secret_of_its_webhook(sandbox, hook, client, secrets):
    reference = deposit(sandbox)
    (request,) = hook.requests
    moment, shown = (part.partition("=")[2] for part in request.headers["billit-signature"].split(","))
    signed = moment.encode() + b"." + request.content
    assert shown == hmac.new(secrets[str(request.url)].encode(), signed, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(moment)) < 60
    assert hook.events == [
        {
            "UpdatedEntityID": int(reference),
            "UpdatedEntityType": "Order",
            "WebhookUpdateTypeTC": "I",
            "EntityDetail": {},
        }
    ]


@pytest.mark.parametrize(
    ("shape", "block", "state"),
    [("A", None, "MessageAdditionalInformation"), ("B", "OrderMessage", "AdditionalMessageInformation")],
)
def test_both_shapes_of_a_message(sandbox, hook, client, secrets, shape, block, state):
    sandbox.control("settings", billit={"shape": shape})
    reference = deposit(sandbox, direction="OUTBOUND", seller_siren=OURS)
    sandbox.control("status", invoice=reference, status="202")
    sandbox.wait_idle()
    early, told = hook.events[1:]
    detail = told["EntityDetail"]
    assert (detail[block] if block else detail)["OrderID"] == int(reference)
    assert detail[state] == {"EInvoiceFlowState": "Accepted"}
    assert ("/" in (detail[block] if block else detail)["CreationDate"]) == (shape == "A")
    assert (early["WebhookUpdateTypeTC"], told["WebhookUpdateTypeTC"]) == ("U", "I")
    assert (early["EntityDetail"][state], early["UpdatedEntityID"]) == ({}, told["UpdatedEntityID"])


def test_lists_are_filtered_sorted_and_paged(sandbox, client):
    for number in ("F-1", "F-2", "F-3"):
        deposit(sandbox, number=number)
    query = {"$filter": "OrderNumber eq 'F-2' and OrderDirection eq 'Cost'"}
    assert [item["OrderNumber"] for item in client.get(ORDERS, params=query).json()["Items"]] == ["F-2"]
    page = client.get(ORDERS, params={"$orderby": "OrderID desc", "$top": 2, "$skip": 1}).json()
    assert ([item["OrderNumber"] for item in page["Items"]], "NextPageLink" in page) == (["F-2", "F-1"], False)
    assert "NextPageLink" in client.get(ORDERS, params={"$top": 2}).json()
    since = client.get(ORDERS).json()["Items"][2]["LastModified"]
    query = {"$filter": f"LastModified ge DateTime'{since}'"}
    assert [item["OrderNumber"] for item in client.get(ORDERS, params=query).json()["Items"]] == ["F-3"]
    assert codes(client.get(ORDERS, params={"$filter": "OrderNumber like 'F'"})) == ["InvalidFilter"]


def test_order_of_another_company_is_not_shown(sandbox, client):
    reference = deposit(sandbox)
    assert client.get(f"{ORDERS}/{reference}").status_code == 200
    assert client.get(f"/v1/einvoices/registrations/8002/orders/{reference}").status_code == 404


def test_refusal_is_checked(sandbox, client):
    received, issued = deposit(sandbox), deposit(sandbox, direction="OUTBOUND", seller_siren=OURS)

    def refuse(number, reason="OrderError", headers=PARTY):
        body = {"RefusalReasonCode": reason, "OrderIDs": [int(number)] if number else []}
        answer = client.post("/v1/orders/commands/refuse", json=body, headers=headers)
        sandbox.wait_idle()
        return answer

    assert codes(refuse(received, headers={})) == ["PartyIDRequired"]
    assert codes(refuse(received, "ordererror")) == ["RefusalReasonCodeInvalid"]
    assert codes(refuse("")) == ["OrderIDsRequired"]
    assert codes(refuse(issued)) == ["OrderNotReceived"]
    assert refuse(received, headers={"PartyID": "8002"}).status_code == 404
    assert refuse(received).text == "1"
    assert codes(refuse(received)) == ["OrderAlreadyRefused"]
    shown = client.get(f"{ORDERS}/{received}").json()["CurrentDocumentDeliveryDetails"]
    assert shown["DocumentRefusedReasonTC"] == "OrderError"
    assert [item["count"] for item in sandbox.control("calls")["accepted"]] == [1]


def test_secrets_are_not_in_the_list_of_calls(sandbox, client, secrets):
    client.post("/OAuth2/token", data={"client_id": "c", "client_secret": "shown-nowhere"})
    calls = json.dumps(sandbox.control("calls"))
    assert [secret for secret in (*secrets.values(), "shown-nowhere") if secret in calls] == []

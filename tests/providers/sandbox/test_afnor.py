"""The sandbox as a platform of XP Z12-013, asked by hand: what it checks, and how it can be made difficult."""

import base64
import hashlib
import hmac
import json

import httpx
import pytest

from providers.formats import cdar
from providers.sandbox.server import SandboxServer

OURS = "800112237"
TARGET = "https://navette.example.test/hooks/afnor/c1/"
FLOWS, SEARCH, HOOKS = "/flow-service/v1/flows", "/flow-service/v1/flows/search", "/flow-service/v1/webhooks"


@pytest.fixture
def rung():
    return []


@pytest.fixture
def sandbox(rung):
    quick = {"echo_delay": 0, "auto_react": False, "retry_scale": 0.0001, "afnor": {"ack_delay": 0}}
    ring = httpx.MockTransport(lambda request: rung.append(request) or httpx.Response(200))
    with SandboxServer(settings=quick, transport=ring) as server:
        yield server


@pytest.fixture
def client(sandbox):
    with httpx.Client(base_url=f"{sandbox.url}/afnor", trust_env=False) as client:
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
        token = client.post("/oauth2/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def change(sandbox, **settings):
    sandbox.control("settings", afnor=settings)


def deposit(sandbox, **wish):
    made = sandbox.control("deposit", dialect="afnor", buyer_siren=OURS, **wish)
    sandbox.wait_idle()
    return made["invoices"][0]["uuid"]


def search(client, **where):
    answer = client.post(SEARCH, json={"where": where or {"flowDirection": ["In", "Out"]}, "limit": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def submit(client, content=b"<a/>", **info):
    wish = {"name": "f.xml", "flowSyntax": "UBL", **info}
    files = {"flowInfo": (None, json.dumps(wish), "application/json"), "file": ("f.xml", content, "application/xml")}
    return client.post(FLOWS, files=files)


def error(answer):
    return answer.status_code, answer.json()["errorCode"]


# -- logging in


@pytest.mark.parametrize(
    ("form", "status"),
    [({}, 400), ({"grant_type": "password"}, 400), ({"grant_type": "client_credentials"}, 401)],
    ids=["no grant", "other grant", "no client"],
)
def test_login_wants_client_credentials(client, form, status):
    assert client.post("/oauth2/token", data=form).status_code == status


def test_login_may_want_one_style_and_one_client(client, sandbox):
    change(sandbox, token_style="basic", client_id="a", client_secret="b")
    form = {"grant_type": "client_credentials"}
    in_form = client.post("/oauth2/token", data=form | {"client_id": "a", "client_secret": "b"}, auth=None)
    wrong = client.post("/oauth2/token", data=form, auth=("a", "c"))
    good = client.post("/oauth2/token", data=form, auth=("a", "b"))
    assert [answer.status_code for answer in (in_form, wrong, good)] == [401, 401, 200]


def test_calls_want_a_token_that_lives_and_the_right_organization(client, sandbox):
    assert error(client.post(SEARCH, headers={"Authorization": ""})) == (401, "MISSING_TOKEN")
    assert error(client.post(SEARCH, headers={"Authorization": "Bearer x"})) == (401, "INVALID_TOKEN")
    change(sandbox, organization_id="o-1")
    assert error(client.post(SEARCH, json={})) == (403, "FORBIDDEN_ACCESS")
    assert error(client.post(SEARCH, json={}, headers={"Organization-Id": "o-1"})) == (400, "MISSING_CRITERION")


# -- flows


def test_received_invoice_comes_with_its_statuses(client, sandbox):
    ref = deposit(sandbox, number="F-1")
    invoice, *messages = sorted(search(client), key=lambda flow: flow["flowType"])

    assert (invoice["flowId"], invoice["flowType"], invoice["acknowledgement"]) == (
        ref,
        "SupplierInvoice",
        {"status": "Ok"},
    )
    contents = [client.get(f"{FLOWS}/{flow['flowId']}", params={"docType": "Original"}).content for flow in messages]
    told = sorted(each.status for content in contents for each in cdar.read(content))
    assert told == ["202", "203"]
    assert {each.number for content in contents for each in cdar.read(content)} == {"F-1"}


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"flowSyntax": "PDF"}, "INVALID_FIELD"),
        ({"name": ""}, "MISSING_REQUIRED_FIELD"),
        ({"trackingId": "x" * 65}, "INVALID_FIELD"),
        ({"processingRule": "B2X"}, "INVALID_FIELD"),
        ({"flowProfile": "Luxury"}, "INVALID_FIELD"),
        ({"sha256": "0" * 64}, "CHECKSUM_MISMATCH"),
    ],
)
def test_submission_is_checked(client, info, code):
    assert error(submit(client, **info))[1] == code


def test_submission_without_its_parts_or_its_bytes_is_refused(client):
    assert error(client.post(FLOWS, files={"file": b"x"})) == (400, "MISSING_REQUIRED_FIELD")
    assert error(client.post(FLOWS, data={"flowInfo": "{}"})) == (400, "MISSING_REQUIRED_FIELD")
    assert error(submit(client, b"")) == (422, "EMPTY_FLOW")


def test_tracking_id_may_be_longer_since_1_3_only(client, sandbox):
    assert submit(client, trackingId="x" * 64).status_code == 202
    change(sandbox, contract="1.2")
    assert submit(client, trackingId="x" * 37).status_code == 400


def test_platform_may_not_take_a_processing_rule(client, sandbox):
    change(sandbox, takes_processing_rule=False)
    assert [submit(client, processingRule="B2B").status_code, submit(client).status_code] == [400, 202]


def test_file_that_is_no_invoice_is_taken_and_then_refused(client, sandbox):
    flow_id = submit(client, trackingId="t-1").json()["flowId"]
    sandbox.wait_idle()
    (flow,) = search(client, trackingId="t-1")
    assert (flow["flowId"], flow["acknowledgement"]["status"]) == (flow_id, "Error")
    assert flow["acknowledgement"]["details"][0]["reasonCode"] == "InvalidSchema"


def test_same_invoice_twice_is_there_already(client, sandbox):
    content = sandbox.sandbox.dialect("afnor").invoices[deposit(sandbox)].content
    for _time in range(2):
        submit(client, content, trackingId="t-1")
    sandbox.wait_idle()
    details = [
        flow["acknowledgement"].get("details", [{}])[0].get("reasonCode") for flow in search(client, trackingId="t-1")
    ]
    assert sorted(details, key=str) == ["AlreadyExistingFlow", None]
    assert [row["count"] for row in sandbox.control("calls")["accepted"]] == [1]


@pytest.mark.parametrize("wish", [{}, {"where": {}}, {"where": {"flowId": "x"}}, {"where": {"updatedAfter": "soon"}}])
def test_search_wants_a_criterion_it_knows(client, wish):
    assert client.post(SEARCH, json=wish).status_code == 400


def test_search_is_capped_and_goes_on_at_its_cursor(client, sandbox):
    change(sandbox, cap=2)
    deposit(sandbox)
    first = client.post(SEARCH, json={"where": {"flowDirection": ["In"]}}).json()
    rest = client.post(SEARCH, json={"where": {"flowDirection": ["In"]}, "cursor": first["nextCursor"]}).json()
    assert ([first["limit"], len(first["results"]), len(rest["results"])], "nextCursor" in rest) == ([2, 2, 1], False)
    unknown = client.post(SEARCH, json={"where": {"flowDirection": ["In"]}, "cursor": "???"})
    assert error(unknown) == (400, "INVALID_CURSOR")
    change(sandbox, contract="1.2")
    assert "nextCursor" not in client.post(SEARCH, json={"where": {"flowDirection": ["In"]}}).json()


def test_submitted_flow_may_hide_for_some_searches(client, sandbox):
    change(sandbox, hide_after_post=2)
    submit(client, trackingId="t-1")
    assert [len(search(client, trackingId="t-1")) for _time in range(3)] == [0, 0, 1]


@pytest.mark.parametrize(("kind", "status"), [("ReadableView", 200), ("Converted", 404), ("Pigeon", 400)])
def test_optional_documents(client, sandbox, kind, status):
    ref = deposit(sandbox)
    assert client.get(f"{FLOWS}/{ref}", params={"docType": kind}).status_code == status


# -- webhooks


def test_contract_1_1_has_no_webhooks(client, sandbox):
    change(sandbox, contract="1.1")
    assert error(client.post(HOOKS, json={"callbackUrl": TARGET})) == (404, "MISSING_RESOURCE")


@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_callback_is_signed_as_wanted(client, sandbox, rung, variant):
    change(sandbox, signature_variant=variant)
    key = base64.b64decode(client.post(HOOKS, json={"callbackUrl": TARGET}).json()["signingKey"])
    deposit(sandbox)

    request = rung[0]
    text = request.content + b"@" + request.headers["afnor-signature-timestamp"].encode()
    fingerprint = hashlib.sha256(text)
    signed = {"A": text, "B": fingerprint.digest(), "C": fingerprint.hexdigest().encode()}[variant]
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert (request.headers["afnor-signature"], len(rung)) == (signature, 3)


def test_webhook_hears_what_it_asked_for(client, sandbox, rung):
    client.post(HOOKS, json={"callbackUrl": TARGET, "flowTypes": ["SupplierInvoiceLC"], "flowDirection": "In"})
    deposit(sandbox)
    assert [json.loads(request.content)["flowType"] for request in rung] == ["SupplierInvoiceLC"] * 2


def test_webhook_of_1_2_shows_its_header_and_can_be_changed(client, sandbox, rung):
    change(sandbox, contract="1.2", callback_shape="wrapped")
    callback = {"url": TARGET, "headers": [{"headerName": "X-T", "headerValue": "1"}]}
    wish = {"callback": callback, "metadata": {"flowType": "SupplierInvoice", "flowDirection": "In"}}
    uid = client.post(HOOKS, json=wish).json()["webhookId"]
    client.patch(f"{HOOKS}/{uid}", json={"headers": [{"headerName": "X-T", "headerValue": "2"}]})
    ref = deposit(sandbox)

    (request,) = rung
    assert (request.headers["x-t"], json.loads(request.content)["flowInfo"]["flowId"]) == ("2", ref)
    assert [row["metadata"]["flowType"] for row in client.get(HOOKS).json()] == ["SupplierInvoice"]
    assert client.delete(f"{HOOKS}/{uid}").status_code == 204
    assert client.get(f"{HOOKS}/{uid}").status_code == 404


# -- directory


def test_directory_answers_by_contract(client, sandbox):
    wish = {"filters": {"siren": {"op": "strict", "value": "000000000"}}}
    path = "/directory-service/v1/directory-line/search"
    assert (client.post(path, json=wish).status_code, client.post(path, json={}).status_code) == (200, 400)
    change(sandbox, contract="1.2")
    assert client.post(path, json=wish).status_code == 204
    change(sandbox, contract="1.1")
    part = client.post(path, json={"filters": {"siren": {"op": "strict", "value": OURS}}, "limit": 1})
    assert (part.status_code, part.json()["totalNumberOfResults"]) == (206, 3)


@pytest.mark.parametrize(
    ("resource", "name", "value", "count"),
    [("siren", "businessName", "dupont", 1), ("siret", "siren", OURS, 1), ("routing-code", "siret", f"{OURS}00014", 1)],
)
def test_directory_is_searched(client, resource, name, value, count):
    wish = {"filters": {name: {"op": "contains", "value": value}}}
    found = client.post(f"/directory-service/v1/{resource}/search", json=wish).json()
    assert len(found["results"]) == count

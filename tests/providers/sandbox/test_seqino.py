"""Seqino's dialect as its pages show it, asked with plain HTTP."""

import hashlib
import hmac
from pathlib import Path

import httpx
import pytest
from django.conf import settings

OURS = "800112237"
TARGET = "https://navette.example.test/hooks/seqino/c1/"
ENTRY = {"siren": OURS, "name": "Atelier Dupont"}
MANDATE = {"start_date": "2026-09-01T00:00:00Z", "directory_entry": ENTRY}
CLIENT = {"organization_name": "Atelier Dupont", "contact_email": "a@example.test", "external_ref": OURS}
UBL = (Path(settings.BASE_DIR) / "tests/samples/invoices/invoice.ubl.xml").read_bytes()


@pytest.fixture
def api(sandbox):
    sandbox.control("settings", seqino={"onboarding_delay": 0})
    with httpx.Client(base_url=f"{sandbox.url}/seqino/api", trust_env=False) as api:
        api.headers["Authorization"] = "sk-1"
        api.headers["X-PDP-Client-Id"] = api.post("/clients", json=CLIENT).json()["client_id"]
        yield api


@pytest.fixture
def secret(api):
    return api.post("/webhooks", json={"url": TARGET}).json()["secret"]


def test_health_stands_beside_the_api_and_asks_for_no_key(sandbox):
    answer = httpx.get(f"{sandbox.url}/seqino/health", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, None)


@pytest.mark.parametrize("key", ["", "Bearer sk-1"])
def test_key_is_wanted_bare(api, key):
    answer = api.get("/clients", headers={"Authorization": key})
    error = answer.json()
    assert (answer.status_code, error["error"], error["code"], len(error["trace_id"])) == (
        401,
        "Invalid API key",
        401,
        8,
    )


def test_client_header_is_wanted(api):
    del api.headers["X-PDP-Client-Id"]
    answer = api.get("/mandates")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "X-PDP-Client-Id"])


def test_strange_client_is_refused_where_it_is_strict(sandbox, api):
    sandbox.control("settings", seqino={"strict_clients": True})
    assert api.get("/mandates", headers={"X-PDP-Client-Id": "client_other"}).status_code == 403
    assert api.get("/mandates").status_code == 200


def test_client_with_mandates_cannot_be_deleted(api):
    client = f"/clients/{api.headers['X-PDP-Client-Id']}"
    mandate = api.post("/mandates", json=MANDATE).json()["id"]
    assert (api.delete(client).status_code, api.delete(f"/mandates/{mandate}").status_code) == (409, 204)
    assert (api.delete(client).status_code, api.get(client).status_code) == (204, 404)


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"name": "x"}, "siren"),
        (ENTRY | {"siren": "12"}, "siren"),
        (ENTRY | {"siret": "90533441300018"}, "siret"),
        (ENTRY | {"siret": f"{OURS}00014", "suffix": "A"}, "suffix"),
        (ENTRY | {"routing_identifier": "A"}, "routing_identifier"),
        (ENTRY | {"siret": f"{OURS}00014", "routing_identifier": "A", "routing_identifier_type": "9"},
         "routing_identifier_type"),
    ],
)  # fmt: skip
def test_faulty_entry_is_refused(api, entry, place):
    answer = api.post("/mandates", json=MANDATE | {"directory_entry": entry})
    assert (answer.status_code, answer.json()["detail"][0]["loc"][-1]) == (422, place)


def test_batch_of_mandates_is_all_or_nothing(api):
    faulty = {"mandates": [MANDATE, MANDATE | {"start_date": "soon"}]}
    assert api.post("/mandates/batch", json=faulty).json()["detail"][0]["loc"] == ["body", "mandates", 1, "start_date"]
    assert api.get("/mandates").json() == []
    assert len(api.post("/mandates/batch", json={"mandates": [MANDATE, MANDATE]}).json()) == 2


def test_mandate_comes_into_force_and_says_so(sandbox, api, hook, secret):
    mandate = api.post("/mandates", json=MANDATE).json()
    sandbox.wait_idle()
    assert (mandate["status"], api.get(f"/mandates/{mandate['id']}").json()["status"]) == ("created", "active")
    assert sorted(event["event_type"] for event in hook.events) == ["mandate.activated", "mandate.created"]
    assert api.get("/mandates", params={"status_filter": "expired"}).json() == []
    assert api.get(f"/directory/{OURS}").json()["directory_entries"][0]["addressable"] is True


def test_one_webhook_and_its_secret_is_shown_once(api, secret):
    assert (len(secret), "secret" in api.get("/webhooks").json()) == (64, False)
    assert api.post("/webhooks", json={"url": TARGET}).status_code == 409
    assert (api.delete("/webhooks").status_code, api.get("/webhooks").status_code) == (204, 404)
    assert [api.post("/webhooks", json=body).status_code for body in ({}, {"url": TARGET, "events": ["x"]})] == [
        422
    ] * 2
    assert len(api.get("/webhooks/event-types").json()["event_types"]) == 8


def test_secret_is_not_kept_among_the_calls(sandbox, secret):
    assert secret not in str(sandbox.control("calls"))


def test_event_is_signed_over_the_raw_body(sandbox, api, hook, secret):
    api.post("/mandates", json=MANDATE)
    sandbox.wait_idle()
    hook.requests.clear()
    sandbox.control("deposit", dialect="seqino", buyer_siren=OURS)
    sandbox.wait_idle()
    (request,) = hook.requests
    shown = hmac.new(secret.encode(), request.content, hashlib.sha256).hexdigest()
    assert request.headers["x-webhook-signature"] == shown
    (event,) = hook.events
    assert (event["event_type"], event["client_id"], event["event_id"][:4]) == (
        "invoice.received", api.headers["X-PDP-Client-Id"], "evt_",
    )  # fmt: skip


def test_events_are_of_one_object_or_of_all(sandbox, api):
    first, second = sandbox.control("deposit", dialect="seqino", buyer_siren=OURS, count=2)["invoices"]
    one = api.get("/lifecycle-events", params={"object_type": "invoice", "object_id": first["uuid"]}).json()
    assert [item["status_code"].partition(".")[2] for item in one] == [
        "DEPOSITED", "RECEIVED_BY_PLATFORM", "MADE_AVAILABLE",
    ]  # fmt: skip
    assert set(one[0]) == {"status_code", "timestamp", "emitter", "reason", "rejection_reason", "is_mandatory"}
    assert len(api.get("/lifecycle-events").json()) == 6
    assert api.get("/lifecycle-events", params={"object_type": "mandate"}).json() == []
    assert api.get("/lifecycle-events", params={"object_type": "cat"}).status_code == 422
    assert second["uuid"].startswith("inv_")


def test_statuses_cannot_be_posted_unless_it_is_tried(sandbox, api):
    invoice = sandbox.control("deposit", dialect="seqino", buyer_siren=OURS)["invoices"][0]["uuid"]
    told = {"params": {"object_id": invoice}, "json": {"status_code": "InvoiceLifecycleStatus.APPROVED"}}
    assert api.post("/lifecycle-events", **told).status_code == 405
    sandbox.control("settings", seqino={"take_statuses": True})
    assert api.post("/lifecycle-events", **told).status_code == 201
    assert api.post("/lifecycle-events", params=told["params"], json={"status_code": "APPROVED"}).status_code == 422


def test_file_is_wanted_as_a_part(api):
    assert api.post("/invoicing/files/submit", content=UBL).status_code == 422
    taken = api.post("/invoicing/files/submit", files={"file": ("F.xml", UBL)}).json()
    assert (taken["status"], taken["file_size"]) == ("submitted", len(UBL))
    shown = api.get(f"/invoicing/invoice_data/{taken['invoice_id']}").json()
    assert (len(shown["invoice_lines"]) > 0, shown["payable_amount"] > 0) == (True, True)


def test_draft_is_immutable_once_it_is_issued(api):
    data = {"issue_date": "2026-10-04", "type_code": "380", "currency_code": "EUR"}
    draft = f"/drafts/{api.post('/drafts', json=data).json()['draft_id']}"
    assert api.post(f"{draft}/validate").status_code == 422
    party = {"name": "x", "electronic_address": {"scheme_id": "0225", "value": OURS}}
    whole = data | {"seller": party, "buyer": party, "invoice_lines": [{}], "buyer_reference": "R"}
    assert (api.put(draft, json=whole).status_code, api.get(draft).json()["invoice_data"]) == (200, whole)
    assert api.post(f"{draft}/validate").json()["status"] == "submitted"
    assert [api.put(draft, json=whole).status_code, api.delete(draft).status_code] == [409, 409]


def test_limits_are_kept(sandbox, api):
    sandbox.control("settings", seqino={"limits": {"per_hour": 4}})
    answers = [api.get("/clients").status_code for _ in range(6)]
    assert (answers[0], answers[-1]) == (200, 429)


def test_reset_may_keep_who_is_rung_and_whose_invoices_they_are(sandbox, api, hook, secret):
    api.post("/mandates", json=MANDATE)
    sandbox.wait_idle()
    sandbox.control("reset", keep_destinations=True)
    hook.requests.clear()
    sandbox.control("deposit", dialect="seqino", buyer_siren=OURS)
    sandbox.wait_idle()
    assert hook.events[0]["client_id"] == api.headers["X-PDP-Client-Id"]

import base64
import datetime as dt
import json
import uuid

import httpx
import pytest

from providers.sandbox.samples import BY_KEY, Company, build
from providers.sandbox.server import SandboxServer

from .conftest import OURS, TARGET

CREDENTIALS = {"email": "bot@example.test", "password": "s3cret"}


def own_invoice(number: str = "V-1", siren: str = OURS) -> bytes:
    sample = BY_KEY["consulting"]
    seller = Company("Atelier Dupont", siren)
    return build(sample, number=number, issued=dt.date(2026, 11, 21), seller=seller, buyer=sample.seller)


def submit(client: httpx.Client, content: bytes) -> httpx.Response:
    return client.post("/invoices", content=content, headers={"Content-Type": "application/xml"})


def codes(client: httpx.Client, invoice: str) -> list[int | str]:
    history = client.get(f"/invoices/{invoice}/lifecycle/history").json()
    return [item.get("afnorStatusCode", item["status"]) for item in history]


# -- login


def test_login_gives_a_token_with_the_documented_claims(sandbox):
    token = httpx.post(f"{sandbox.url}/login", json=CREDENTIALS).json()["token"]
    head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    claims = json.loads(claims)
    assert json.loads(head) == {"typ": "JWT", "alg": "RS256"}
    assert sorted(claims) == ["exp", "iat", "roles", "uid", "username"]
    assert claims["exp"] - claims["iat"] == 86400
    assert claims["roles"] == {"fr.api.acubeapi.com": ["ROLE_WRITER"]}


def test_login_with_wrong_credentials_is_401(sandbox):
    sandbox.control("settings", acube=CREDENTIALS)
    answer = httpx.post(f"{sandbox.url}/login", json={**CREDENTIALS, "password": "guess"})
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Invalid credentials."})
    assert httpx.post(f"{sandbox.url}/login", json=CREDENTIALS).status_code == 200


def test_call_without_token_is_401(sandbox):
    answer = httpx.get(f"{sandbox.url}/invoices")
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "JWT Token not found"})


def test_call_with_expired_token_is_401(sandbox):
    sandbox.control("settings", acube={"token_seconds": -1})
    token = httpx.post(f"{sandbox.url}/login", json=CREDENTIALS).json()["token"]
    answer = httpx.get(f"{sandbox.url}/invoices", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Expired JWT Token"})


def test_login_password_is_not_kept(sandbox):
    httpx.post(f"{sandbox.url}/acube/login", json=CREDENTIALS)
    assert json.dumps(sandbox.control("calls")).count("s3cret") == 0


# -- invoices


def test_submitted_invoice_is_answered_whole_and_can_be_read(client):
    answer = submit(client, own_invoice())
    body = answer.json()
    assert answer.status_code == 201
    assert uuid.UUID(body["uuid"]).version == 7
    known = {name: body[name] for name in ("direction", "status", "invoiceTypeCode", "invoiceNumber", "invoiceDate")}
    assert known == {
        "direction": "OUTBOUND",
        "status": "SUBMITTED",
        "invoiceTypeCode": "380",
        "invoiceNumber": "V-1",
        "invoiceDate": "2026-11-21",
    }
    assert body["party"] == {
        "name": "Atelier Dupont",
        "siren": OURS,
        "siret": "80011223700014",
        "identifierScheme": "0225",
        "identifierValue": OURS,
    }
    assert client.get(f"/invoices/{body['uuid']}").json() == body


def test_submitted_invoice_is_refused_the_second_time(client):
    submit(client, own_invoice())
    answer = submit(client, own_invoice())
    assert (answer.status_code, answer.json()["violations"][0]["propertyPath"]) == (422, "invoiceNumber")
    assert answer.json()["detail"].count("duplicate") == 1


@pytest.mark.parametrize("content", [b"hello", b"<Order/>", b""])
def test_submitting_something_else_is_422(client, content):
    answer = submit(client, content)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_submitting_for_a_seller_who_is_not_onboarded_is_422(client, sandbox):
    entity = client.post("/legal-entities", json={"siren": OURS}).json()
    assert (entity["status"], entity["mailleType"]) == ("TO_BE_ONBOARDED", "SIREN")
    assert submit(client, own_invoice()).json()["detail"] == "siren: Legal entity is not onboarded."

    sandbox.control("settings", acube={"onboarding_delay": 0})
    client.post(f"/legal-entities/{entity['uuid']}/onboarding")
    sandbox.wait_idle()
    assert client.get(f"/legal-entities/{entity['uuid']}").json()["status"] == "ONBOARDED"
    assert submit(client, own_invoice()).status_code == 201


def test_list_is_newest_first_filtered_and_paged(client, sandbox, invoice):
    sandbox.control("deposit", buyer_siren=OURS, sample="farm", count=3)
    submit(client, own_invoice())
    numbers = [item["invoiceNumber"] for item in client.get("/invoices").json()]
    page = client.get("/invoices", params={"itemsPerPage": 2, "page": 2}).json()
    received = client.get("/invoices", params={"direction": "INBOUND", "invoiceNumber": "F-1"}).json()
    assert (len(numbers), numbers[0], numbers[-1]) == (5, "V-1", "F-1")
    assert [item["invoiceNumber"] for item in page] == numbers[2:4]
    assert [item["uuid"] for item in received] == [invoice]
    assert client.get("/invoices", params={"createdAt[after]": "2999-01-01T00:00:00+00:00"}).json() == []
    assert len(client.get("/invoices", params={"createdAt[after]": "2020-01-01"}).json()) == 5
    assert client.get("/invoices", params={"status": "SUBMITTED"}).json()[0]["invoiceNumber"] == "V-1"


def test_list_as_linked_data_tells_total_and_next_page(client, sandbox):
    sandbox.control("deposit", buyer_siren=OURS, count=3)
    answer = client.get("/invoices", params={"itemsPerPage": 2}, headers={"Accept": "application/ld+json"})
    body = answer.json()
    assert answer.headers["content-type"] == "application/ld+json"
    assert (body["hydra:totalItems"], len(body["hydra:member"])) == (3, 2)
    assert body["hydra:view"]["hydra:next"] == "/acube/invoices?itemsPerPage=2&page=2"


def test_original_is_what_was_submitted(client):
    content = own_invoice()
    ref = submit(client, content).json()["uuid"]
    answer = client.get(f"/invoices/{ref}/original")
    assert (answer.content, answer.headers["content-type"]) == (content, "application/xml")
    assert answer.headers["content-disposition"] == "attachment; filename=V-1.xml"


def test_readable_rendering_is_a_pdf(client, invoice):
    answer = client.get(f"/invoices/{invoice}/pdf")
    assert (answer.content[:5], answer.headers["content-type"]) == (b"%PDF-", "application/pdf")


def test_unknown_invoice_is_404_everywhere(client):
    paths = ("", "/pdf", "/original", "/lifecycle", "/lifecycle/history")
    assert [client.get(f"/invoices/{uuid.uuid4()}{path}").status_code for path in paths] == [404] * 5


def test_received_invoice_may_answer_under_inbound_alone(client, sandbox, invoice):
    sandbox.control("settings", acube={"inbound_detail_only": True})
    answers = [client.get(f"/invoices/{invoice}").status_code, client.get(f"/invoices/inbound/{invoice}").status_code]
    assert answers == [404, 200]


# -- lifecycle


def test_status_is_accepted_echoed_and_counted_once(client, sandbox, hook, invoice):
    answer = client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 205})
    sandbox.wait_idle()
    assert (answer.status_code, answer.content) == (202, b"")
    assert codes(client, invoice) == [200, 202, 203, 205]
    assert client.get(f"/invoices/{invoice}/lifecycle").json()["status"] == "APPROVED"
    assert (hook.events[-1]["eventType"], hook.events[-1]["status"]) == ("invoice.status", "205")
    assert sandbox.control("calls")["accepted"] == [
        {"dialect": "acube", "invoice": invoice, "status": "205", "count": 1}
    ]


def test_status_waits_for_the_echo_delay(client, sandbox, invoice):
    sandbox.control("settings", echo_delay=30)
    client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 205})
    assert codes(client, invoice) == [200, 202, 203]


def test_status_by_put_name_and_other_field_is_accepted(client, sandbox, invoice):
    answer = client.put(f"/invoices/{invoice}/lifecycle", json={"invoiceStatus": "IN_HAND"})
    sandbox.wait_idle()
    assert (answer.status_code, codes(client, invoice)[-1]) == (202, 204)


PAYMENT = [{"vatRate": 20.00, "amount": 1200.00, "currency": "EUR"}]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"afnorStatusCode": 204}, 202),
        ({"afnorStatusCode": "206"}, 202),
        ({"afnorStatusCode": 207, "rejectionDetails": {"rejectionReason": "QUANTITY_INCORRECT", "message": "10"}}, 202),
        ({"afnorStatusCode": 208, "rejectionDetails": {"rejectionReason": "REFERENCE_INCORRECT"}}, 202),
        ({"afnorStatusCode": 210, "rejectionDetails": {"rejectionReason": "DUPLICATE_INVOICE"}}, 202),
        ({"afnorStatusCode": 211}, 202),
        ({"afnorStatusCode": 211, "paymentDetails": PAYMENT}, 202),
        ({"afnorStatusCode": 212, "paymentDetails": PAYMENT}, 202),
        ({"afnorStatusCode": 299}, 422),
        ({"afnorStatusCode": "NOT_A_STATUS"}, 422),
        ({"afnorStatusCode": 203}, 422),
        ({"afnorStatusCode": 207}, 422),
        ({"afnorStatusCode": 208, "rejectionDetails": {"rejectionReason": "MISSING_DOCUMENTS"}}, 422),
        ({"afnorStatusCode": 210, "rejectionDetails": {"rejectionReason": "OTHER"}}, 422),
        ({"afnorStatusCode": 210, "rejectionDetails": {"rejectionReason": "BECAUSE"}}, 422),
        ({"afnorStatusCode": 205, "rejectionDetails": {"rejectionReason": "OTHER"}}, 422),
        ({"afnorStatusCode": 212}, 422),
        ({"afnorStatusCode": 205, "paymentDetails": PAYMENT}, 422),
        ({"afnorStatusCode": 212, "paymentDetails": [{**PAYMENT[0], "amount": "1200.00"}]}, 422),
        ({"afnorStatusCode": 212, "paymentDetails": [{**PAYMENT[0], "currency": None}]}, 422),
        ({"afnorStatusCode": 212, "paymentDetails": "all of it"}, 400),
        ({"afnorStatusCode": 207, "rejectionDetails": "no"}, 400),
        ({"afnorStatusCode": True}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_status_message_is_checked(client, invoice, message, status):
    assert client.post(f"/invoices/{invoice}/lifecycle", json=message).status_code == status


def test_missing_documents_may_suspend_when_the_switch_is_on(client, sandbox, invoice):
    sandbox.control("settings", acube={"missing_documents_on_208": True})
    message = {"afnorStatusCode": 208, "rejectionDetails": {"rejectionReason": "MISSING_DOCUMENTS"}}
    assert client.post(f"/invoices/{invoice}/lifecycle", json=message).status_code == 202


def test_supplier_completes_what_we_suspend(client, sandbox, invoice):
    sandbox.control("settings", auto_react=True, reactions={"INBOUND": {"208": [["209", 0.01]]}, "OUTBOUND": {}})
    message = {"afnorStatusCode": 208, "rejectionDetails": {"rejectionReason": "REFERENCE_INCORRECT"}}
    client.post(f"/invoices/{invoice}/lifecycle", json=message)
    sandbox.wait_idle()
    assert codes(client, invoice) == [200, 202, 203, 208, 209]


def test_buyer_takes_approves_and_pays_what_we_issue(client, sandbox, hook):
    script = [[code, 0.01 * step] for step, code in enumerate(("201", "202", "203", "204", "205", "211"))]
    sandbox.control("settings", auto_react=True, outbound_script=script)
    ref = submit(client, own_invoice()).json()["uuid"]
    sandbox.wait_idle()
    payment = client.get(f"/invoices/{ref}/lifecycle").json()["paymentDetails"]
    told = [event["status"] for event in hook.events if event["eventType"] == "invoice.status"]
    assert codes(client, ref) == [200, 201, 202, 203, 204, 205, 211]
    assert payment == [{"vatRate": 20.0, "amount": 3990.0, "currency": "EUR"}]
    assert told == ["200", "201", "202", "203", "204", "205", "211"]
    assert [e["status"] for e in hook.events if e["eventType"] == "invoice.outbound"] == ["SUBMITTED", "APPROVED"]


def test_nobody_plays_on_after_a_refusal(client, sandbox):
    sandbox.control("settings", auto_react=True, outbound_script=[["204", 0.2], ["211", 0.3]])
    ref = submit(client, own_invoice()).json()["uuid"]
    sandbox.control("status", invoice="V-1", status="210", rejectionDetails={"rejectionReason": "DUPLICATE_INVOICE"})
    sandbox.wait_idle()
    assert codes(client, ref) == [200, 210]


# -- destinations, directory


def test_destination_is_listed_without_its_secret_changed_and_dropped(client, sandbox, hook):
    known = client.get("/event-destinations").json()
    one = next(item for item in known if item["event"] == "invoice.inbound")
    assert (len(known), one["target"], one["authKey"], "authToken" in one) == (4, TARGET, "X-Webhook-Token", False)
    client.patch(f"/event-destinations/{one['uuid']}", json={"status": "inactive"})
    sandbox.control("deposit", buyer_siren=OURS)
    sandbox.wait_idle()
    assert hook.requests == []
    assert client.delete(f"/event-destinations/{one['uuid']}").status_code == 204
    assert client.get(f"/event-destinations/{one['uuid']}").status_code == 404


def test_destination_with_nonsense_is_422(client):
    answer = client.post("/event-destinations", json={"event": "lunch", "target": "here", "authType": "header"})
    assert [item["propertyPath"] for item in answer.json()["violations"]] == ["event", "target", "authKey"]


def test_directory_finds_by_siren_and_name(client):
    by_siren = client.get("/french-directory", params={"siren": "999100019"}).json()
    by_name = client.get("/french-directory", params={"name": "remparts"}).json()
    assert by_siren == by_name
    assert by_siren[0]["networkIdentifiers"] == [{"identifierScheme": "0225", "identifierValue": "999100019"}]
    assert client.get("/french-directory").status_code == 400


def test_seed_deposits_every_sample_once_somebody_listens():
    answers = httpx.MockTransport(lambda request: httpx.Response(204))
    with SandboxServer(seed=OURS, transport=answers) as sandbox:
        assert sandbox.control("invoices")["invoices"] == []
        token = httpx.post(f"{sandbox.url}/login", json=CREDENTIALS).json()["token"]
        for _ in range(2):
            wish = {"event": "invoice.inbound", "target": TARGET, "authType": "none"}
            httpx.post(f"{sandbox.url}/event-destinations", json=wish, headers={"Authorization": f"Bearer {token}"})
        assert len(sandbox.control("invoices")["invoices"]) == 10

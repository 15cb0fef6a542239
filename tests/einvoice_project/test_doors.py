"""What every door refuses, hides and tells, whatever lies behind it."""

import json
import logging
import re
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.urls import reverse

from invoices.drafting.services import begin
from invoices.register.urls import urlpatterns as files
from lifecycle.api.urls import urlpatterns as api
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.pages.urls import urlpatterns as pages
from providers.connections.services import storable
from providers.contract.base import HookRequest
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_delivery, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db
ROUTES = sorted(
    {
        prefix + pattern.pattern._route
        for prefix, patterns in (("/", [*pages, *files]), ("/api/v1/", api))
        for pattern in patterns
        if hasattr(pattern.pattern, "_route")
    }
)


ODD = "odd"
SOME = "00000000-0000-4000-8000-000000000000"


def filled(route, text):
    path = re.sub(r"<uuid:\w+>", SOME, route)
    return re.sub(r"<(str|slug):\w+>", text, re.sub(r"<int:\w+>", "1", path))


@pytest.fixture
def client(client):
    client.force_login(make_user(make_customer(), "administrator", is_superuser=True, is_staff=True))
    return client


@pytest.mark.parametrize("text", ["%00", "a%00b"])
def test_nul_is_refused_at_every_address(client, text):
    wrong = {}
    for route in ROUTES:
        path = filled(route, "x")
        answers = [client.get(f"{path}?q={text}").status_code, client.get(f"{path}?{text}=1").status_code]
        answers.append(client.post(path, f"note={text}", "application/x-www-form-urlencoded").status_code)
        answers += [client.get(filled(route, text)).status_code] if filled(route, "x") != filled(route, "y") else []
        if set(answers) - {400, 404}:
            wrong[route] = answers
    assert wrong == {}


@pytest.mark.parametrize("name", ["customer-detail", "line-detail"])
def test_api_tells_it_as_a_problem(client, name):
    answer = client.get(reverse(f"api:{name}", args=["x"]).replace("x", "%00"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("text", ["%ED%A0%80", "%80", "%F0%28"])
def test_broken_characters_break_nothing(client, text):
    paths = [filled(route, text) for route in ROUTES] + [f"/invoices/?q={text}", f"/audit/?who={text}"]
    assert {path: status for path in paths if (status := client.get(path).status_code) >= 500} == {}


ENVELOPE = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--b--\r\n'
ENCODINGS = {"multipart/form-data; boundary=b": ENVELOPE, "application/x-www-form-urlencoded": "{}={}"}


@pytest.fixture
def known(monkeypatch):
    """Rows that addresses can name, so that a refusal is of what was sent and of nothing else."""
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    line = make_line(customer, connection)
    user = make_user(customer, "approver")
    invoice = make_invoice(customer, connection, ["203"])
    relay, _new = issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))
    return {
        "invoice_id": invoice.pk, "relay_id": relay.pk, "event_id": relay.event_id, "connection_id": connection.pk,
        "delivery_id": make_delivery(connection).pk, "draft_id": begin(user=user, line=line, data={}).pk,
        "token_id": 1, "index": 0, "document_id": SOME, "status": "207", "kind": "credit-note", "name": "cancel",
        "siren": customer.siren, "identifier": line.identifier, "token": "x",
    }  # fmt: skip


def forms_of(known):
    """Every address of pages and the admin that may be posted to; the API takes JSON."""
    for pattern in pages:
        yield reverse(f"lifecycle:{pattern.name}", kwargs={part: known[part] for part in pattern.pattern.converters})
    for model in admin.site._registry:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield from (reverse(f"{place}_changelist"), reverse(f"{place}_add"))
        yield from (reverse(f"{place}_change", args=[row.pk]) for row in model._default_manager.all()[:1])
    yield from map(reverse, ("account_login", "account_change_password", "mfa_add_webauthn", "set_language"))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_nul_is_refused_in_every_form(client, known, encoding):
    wrong = {}
    for address in forms_of(known):
        answers = [
            client.generic("POST", address, ENCODINGS[encoding].format(name, value), encoding).status_code
            for name, value in (("a", "b"), ("a", "b\0"), ("a\0", "b"))
        ]
        if answers[0] in (400, 500) or answers[1:] != [400, 400]:
            wrong[address] = answers
    assert wrong == {}


@pytest.mark.parametrize("odd", ["\0", "\ud800", "a\udfffb"])
@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("decisions", {"status": "204", "note": ODD}, "note"),
        ("decisions", {"status": ODD}, "status"),
        ("decisions", {"status": "207", "reasons": [{"code": ODD, "text": "x"}]}, "reasons[0].code"),
        ("decisions", {"status": "207", "reasons": [{"code": "QTE_ERR", "text": ODD}]}, "reasons[0].text"),
        ("decisions", {"status": "211", "payments": [{"amount": ODD}]}, "payments[0].amount"),
        ("decisions", {"status": "211", "payments": [{"amount": "1.00", "currency": ODD}]}, "payments[0].currency"),
        ("decisions", {"status": "204", "version": ODD}, "version"),
        ("decisions", {"status": "204", ODD: "x"}, ODD),
        ("settle", {"is_rejected": ODD}, "is_rejected"),
        ("relay-resolve", {"arrived": ODD}, "arrived"),
    ],
)
def test_odd_characters_in_json_are_refused_by_their_field(client, known, name, body, field, odd):
    parts = {"settle": ("invoice_id", "event_id"), "relay-resolve": ("relay_id",)}.get(name, ("invoice_id",))
    address = reverse(f"api:{name}", kwargs={part: known[part] for part in parts})
    escaped = json.dumps(odd)[1:-1]
    answer = client.post(address, json.dumps(body).replace(ODD, escaped), "application/json")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field.replace(ODD, storable(odd))]


@pytest.mark.parametrize("header", ["Idempotency-Key", "Accept-Language", "HX-Trigger", "X-Forwarded-For", "Cookie"])
def test_nul_is_refused_in_headers(client, known, header):
    address = reverse("api:decisions", args=[known["invoice_id"]])
    answers = [
        client.post(address, {"status": "207"}, "application/json", headers={header: value}).status_code
        for value in ("a", "a\0")
    ]
    assert answers == ([401, 400] if header == "Cookie" else [422, 400])


@pytest.mark.parametrize("name", ["lifecycle:worklist", "lifecycle:invoices", "admin:index", "mfa_index"])
def test_pages_stay_in_no_cache(client, name):
    assert "no-store" in client.get(reverse(name)).headers["Cache-Control"]


def test_request_of_a_hook_shows_no_secret():
    shown = repr(
        HookRequest(
            method="POST", url="https://navette.test/hooks/acube/t0ken/", headers={"X-Key": "s3cret"}, body=b"s3cret",
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )  # fmt: skip
    assert "t0ken" not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    "path", ["/hooks/", "/hooks/acube/", "/hooks/acube/none/", "/hooks/x/y/z/", "/hooks/acube/%00/"]
)
def test_hooks_that_are_none_are_gone(client, path):
    assert client.post(path, b"{}", "application/json").status_code == 410


def report(client, body, **options):
    return client.post("/csp-report/", body, content_type="application/csp-report", **options).status_code


def test_policy_reports_are_logged_and_bounded(client, caplog):
    body = json.dumps({"csp-report": {"blocked-uri": "https://evil.test/\n", "violated-directive": "script-src"}})
    with caplog.at_level(logging.WARNING, "einvoice_project.reports"):
        answers = {report(client, body) for _report in range(40)} | {report(client, "[" * 4000), report(client, "x")}
    told = [record.getMessage() for record in caplog.records if record.name == "einvoice_project.reports"]
    assert (answers, report(client, "x" * 9000)) == ({204}, 413)
    assert len(told) <= 60
    assert "blocked-uri='https://evil.test/\\\\n'" in told[0] or "\\n" in told[0]
    assert "report-uri /csp-report/" in client.get("/").headers["Content-Security-Policy"]

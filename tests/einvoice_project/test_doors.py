"""What every door refuses, hides and tells, whatever lies behind it."""

import json
import logging
import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.urls import reverse

from invoices.urls import urlpatterns as files
from lifecycle.api.urls import urlpatterns as api
from lifecycle.urls import urlpatterns as pages
from providers.base import HookRequest
from tests.factories import make_customer, make_user

pytestmark = pytest.mark.django_db
ROUTES = sorted(
    {
        prefix + pattern.pattern._route
        for prefix, patterns in (("/", [*pages, *files]), ("/api/v1/", api))
        for pattern in patterns
        if hasattr(pattern.pattern, "_route")
    }
)


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


def test_half_a_character_in_json_is_refused(client):
    body = '{"status": "207", "note": "\\ud800"}'
    address = reverse("api:decisions", args=[uuid4()])
    assert client.post(address, body, "application/json").status_code in (404, 422)


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

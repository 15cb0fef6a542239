"""The door for pushes: what it answers, what it stores, what it costs."""

import io
import json

import pytest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import connection as database
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from providers.connections import nudge, services
from providers.connections.registry import get_adapter
from providers.connections.services import close_hook, find_hook, open_hook
from providers.models import RefusedRequest, WebhookDelivery
from tests.factories import make_connection
from tests.scripted import SECRET, Scripted

pytestmark = pytest.mark.django_db

GENUINE = {"X-Secret": SECRET}


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    return make_connection("scripted", secrets={"secret": SECRET})


@pytest.fixture
def hook(connection):
    return open_hook(connection=connection)[0]


@pytest.fixture
def path(hook):
    return f"/hooks/scripted/{hook.token}/"


def push(path, body=None, *, headers=GENUINE, client=None, **extra):
    content = json.dumps({"key": "k-1"} if body is None else body) if not isinstance(body, bytes) else body
    return (client or Client()).post(path, content, content_type="application/json", headers=headers, **extra)


def test_push_is_stored_raw(path, hook, connection):
    before = timezone.now()
    body = b'{"key":  "k-1"}'
    answer = push(path, body)

    assert (answer.status_code, answer.content) == (204, b"")
    row = WebhookDelivery.objects.get()
    assert (row.connection, row.key, bytes(row.body), row.state, row.attempts) == (
        connection,
        "k-1",
        body,
        "received",
        0,
    )
    assert row.url == hook.url
    assert before <= row.received_at == row.next_attempt_at <= timezone.now()
    assert services.read_stored(row).header("content-type") == "application/json"


def test_push_twice_is_one_row_and_the_same_answer(path):
    answers = [push(path).status_code for _time in range(3)]

    assert (answers, WebhookDelivery.objects.count()) == ([204, 204, 204], 1)


def test_success_is_said_in_the_protocols_own_way(path, monkeypatch):
    monkeypatch.setattr(Scripted, "hook_success_status", 202)

    assert [push(path).status_code for _time in range(2)] == [202, 202]


def test_same_key_on_two_connections_is_two_rows(path):
    other = open_hook(connection=make_connection("scripted", secrets={"secret": SECRET}))[0]
    push(path)
    push(f"/hooks/scripted/{other.token}/")

    assert WebhookDelivery.objects.count() == 2


@pytest.mark.parametrize("headers", [{}, {"X-Secret": "wrong"}])
def test_push_not_genuine_is_refused_and_not_stored(path, connection, headers):
    answer = push(path, headers=headers)

    assert answer.status_code == 401
    assert not WebhookDelivery.objects.exists()
    refused = RefusedRequest.objects.get()
    assert (refused.connection, refused.status_code, refused.reason) == (connection, 401, "The secret is wrong.")


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"{"])
def test_push_that_is_no_json_is_refused(path, body):
    assert push(path, body).status_code == 400
    assert not WebhookDelivery.objects.exists()


ELSEWHERE = [
    "/hooks/scripted/{}x/",
    "/hooks/scripted/x/",
    "/hooks/acube/{}/",
    "/hooks/nobody/{}/",
    "/hooks/scripted/%00/",
    "/hooks/scripted/",
    "/hooks/scripted",
    "/hooks/a.b/{}/",
    "/hooks/é/{}/",
]


@pytest.mark.parametrize("wrong", ELSEWHERE)
def test_address_that_is_no_hook_is_gone(hook, wrong):
    answer = push(wrong.format(hook.token))

    assert answer.status_code == 410
    assert not RefusedRequest.objects.exists()


def test_address_below_a_hook_is_gone_and_noted(path):
    assert push(f"{path}more/").status_code == 410
    assert RefusedRequest.objects.get().status_code == 410


def test_address_without_its_last_slash_answers_too(path):
    assert push(path.rstrip("/")).status_code == 204


def test_closed_hook_is_gone(path, hook):
    assert push(path).status_code == 204
    close_hook(hook=hook)

    assert push(path, {"key": "k-2"}).status_code == 410


def test_hook_closed_by_another_process_is_gone_soon(path, hook, monkeypatch):
    push(path)
    type(hook).objects.update(closed_at=timezone.now())
    monkeypatch.setattr(services.time, "monotonic", lambda: 10**9)

    assert push(path, {"key": "k-2"}).status_code == 410


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 204), (1024 * 1024 + 1, 413)])
def test_body_beyond_the_limit_is_refused(path, size, status):
    body = json.dumps({"key": "k", "fill": ""}).encode()
    body = body[:-2] + b"x" * (size - len(body)) + body[-2:]

    assert (len(body), push(path, body).status_code) == (size, status)


def test_limit_is_the_kinds_own(path, monkeypatch):
    monkeypatch.setattr(Scripted, "max_hook_body", 10)

    assert push(path, b'{"key": "12345"}').status_code == 413


@pytest.mark.parametrize("length", ["", "-1", "abc", "²", "9" * 5000])
def test_push_without_a_usable_length_is_refused(path, length):
    assert push(path, CONTENT_LENGTH=length).status_code == 400
    assert "Content-Length" in RefusedRequest.objects.get().reason


def test_body_cut_short_is_refused(path):
    request = RequestFactory().post(path, b"", content_type="application/json", headers=GENUINE)
    environ = request.environ | {"CONTENT_LENGTH": "400", "wsgi.input": io.BytesIO(b'{"key": "k"}')}
    doors = WSGIHandler()

    assert doors.get_response(WSGIRequest(environ)).status_code == 400
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "trace"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_other_methods_are_not_allowed(path, method, slash):
    assert getattr(Client(), method)(path.rstrip("/") + slash).status_code == 405


def test_browser_checks_do_not_stand_in_the_way(path):
    assert push(path, client=Client(enforce_csrf_checks=True)).status_code == 204


def test_secrets_in_headers_are_not_stored(path):
    push(path, headers=GENUINE | {"Authorization": "Bearer abc", "X-Other": f"token {SECRET}", "X-Request-Id": "r1"})

    kept = WebhookDelivery.objects.get().headers
    assert SECRET not in json.dumps(kept)
    assert "Authorization" not in kept
    assert kept["X-Request-Id"] == "r1"


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 201])
def test_key_that_does_not_fit_the_column_is_stored_by_its_digest(path, key):
    other = key + "1"

    assert [push(path, {"key": each}).status_code for each in (key, key, other)] == [204, 204, 204]
    assert {len(row.key) for row in WebhookDelivery.objects.all()} == {64}
    assert WebhookDelivery.objects.count() == 2


def test_genuine_push_our_code_chokes_on_is_kept(path, far_end, caplog):
    far_end.answer("parse", ZeroDivisionError())

    assert [push(path).status_code for _time in range(2)] == [204, 204]
    assert WebhookDelivery.objects.count() == 1


def test_refusal_the_database_cannot_hold_is_noted(path, monkeypatch):
    def verify(self, request):
        raise services.base.NotGenuine("bad \0 \ud800")

    monkeypatch.setattr(Scripted, "verify_webhook", verify)

    assert push(path).status_code == 401
    assert RefusedRequest.objects.get().reason == "bad \ufffd ?"


def test_flood_of_forgeries_is_bounded(path, connection, monkeypatch):
    monkeypatch.setattr(services, "REFUSED_KEPT", 5)
    other = make_connection("scripted")
    RefusedRequest.objects.create(connection=other, status_code=401, reason="older")
    for _time in range(12):
        push(path, headers={})

    assert RefusedRequest.objects.filter(connection=connection).count() == 5
    assert RefusedRequest.objects.filter(connection=other).count() == 1


def test_stored_push_costs_one_statement_once_the_hook_is_known(path, django_assert_num_queries):
    push(path)
    nudge.nudge("lifecycle.tasks.drain_inbox")  # the next one waits its turn
    with django_assert_num_queries(1):
        push(path, {"key": "k-2"})
    nudge.nudge("lifecycle.tasks.drain_inbox")
    with django_assert_num_queries(1):
        push(path, {"key": "k-2"})

    assert WebhookDelivery.objects.count() == 2


def test_pushes_in_a_row_nudge_the_worker_once(path):
    with CaptureQueriesContext(database) as queries:
        for number in range(20):
            push(path, {"key": f"k-{number}"})

    assert len([query for query in queries if "django_q" in query["sql"] and query["sql"].startswith("INSERT")]) <= 3


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_hook_is_opened_once(connection):
    first, made = open_hook(connection=connection)

    assert (made, open_hook(connection=connection)) == (True, (first, False))
    assert len(first.token) == 43


def test_given_token_replaces_the_open_hook(connection):
    first, _made = open_hook(connection=connection)
    second, made = open_hook(connection=connection, token="fixed")

    assert (made, second.token, open_hook(connection=connection)[0]) == (True, "fixed", second)
    assert find_hook("scripted", first.token) is None


def test_closed_token_stays_closed(connection):
    open_hook(connection=connection, token="one")
    open_hook(connection=connection, token="two")

    with pytest.raises(ValueError, match="was used before"):
        open_hook(connection=connection, token="one")
    assert find_hook("scripted", "two") is not None


def test_each_line_has_its_own_hook(connection):
    lines = [open_hook(connection=connection, line_identifier=each)[0] for each in ("", "800112237", "905334413")]

    assert len({hook.token for hook in lines}) == 3
    push(f"/hooks/scripted/{lines[1].token}/")
    assert services.read_stored(WebhookDelivery.objects.get()).line.identifier == "800112237"


def test_push_that_hands_us_a_secret_leaves_no_trace(path, connection, caplog):
    caplog.set_level("DEBUG")
    answer = push(path, b"secret=whk-1", headers={})

    assert (answer.status_code, answer.content) == (204, b"")
    assert get_adapter(connection).account.vault.get("pushed") == {"secret": "whk-1"}
    assert (WebhookDelivery.objects.count(), RefusedRequest.objects.count(), "whk-1" in caplog.text) == (0, 0, False)


def test_genuine_burst_is_stored_whole(path):
    answers = {push(path, {"key": f"k-{number}"}).status_code for number in range(200)}

    assert (answers, WebhookDelivery.objects.count()) == ({204}, 200)


def test_flood_of_forgeries_is_refused_and_not_written_down(path, monkeypatch):
    monkeypatch.setattr("providers.connections.limits.time.time", lambda: 1_800_000_000)
    answers = {push(path, headers={"X-Secret": "guess"}).status_code for _push in range(80)}

    assert (answers, RefusedRequest.objects.count()) == ({401}, 60)
    assert push(path).status_code == 204

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from providers.contract.base import Account, PermanentError, TemporaryError

from .samples import (
    DETAIL,
    EXPIRED,
    LIFECYCLE,
    RECEIVED,
    SECRETS,
    make_acube,
    make_message,
    make_token,
)


def test_login_once_for_several_calls():
    adapter, far_end = make_acube()
    adapter.fetch_invoice(RECEIVED)
    adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == ["POST /login", DETAIL, DETAIL]
    assert json.loads(far_end.requests[0].content) == {"email": "bot@example.test", "password": "pa55-phrase"}
    assert str(far_end.requests[0].url) == "https://login.example.test/login"
    assert far_end.requests[1].headers["accept"] == "application/json"


def test_login_names_the_environment_where_asked():
    adapter, far_end = make_acube(login_environment_field=True)
    adapter.fetch_invoice(RECEIVED)
    assert json.loads(far_end.requests[0].content)["environment"] == "sandbox"


def test_login_renews_five_minutes_before_the_end():
    end = datetime(2026, 9, 22, 14, 13, 20, tzinfo=UTC)
    adapter, _far_end = make_acube({"POST /login": (200, {"token": make_token(exp=end.timestamp())})})
    assert adapter.log_in()[1] == end - timedelta(minutes=5)


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.e30.c", "a.W10.c", make_token(exp="soon"), make_token(exp=1e99)]
)
def test_login_with_a_token_that_tells_no_end(token):
    adapter, _far_end = make_acube({"POST /login": (200, {"token": token})})
    found, renew_at = adapter.log_in()
    assert (found, renew_at > datetime.now(UTC)) == (token, True)


def test_login_without_french_access():
    adapter, _far_end = make_acube({"POST /login": (200, {"token": make_token(roles={"it.api.acubeapi.com": ["W"]})})})
    with pytest.raises(PermanentError, match="no French access"):
        adapter.fetch_invoice(RECEIVED)


def test_login_refused():
    adapter, _far_end = make_acube({"POST /login": (401, {"code": 401, "message": "Invalid credentials."})})
    with pytest.raises(PermanentError, match="refuses the login"):
        adapter.send_status(make_message())


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (200, b"<html>"), (200, []), (200, {"token": 7}), (200, {"token": "a\nb"}), httpx.ReadTimeout("no")],
)
def test_login_failing_leaves_a_statement_unsaid(answer):
    adapter, far_end = make_acube({"POST /login": answer})
    with pytest.raises(TemporaryError):
        adapter.send_status(make_message())
    assert far_end.asked(LIFECYCLE) == []


def test_login_without_credentials_asks_nothing():
    adapter, far_end = make_acube()
    adapter.account = replace(adapter.account, secrets={"email": "a@example.test"})
    with pytest.raises(PermanentError, match="missing"):
        adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == []


def test_token_refused_once_logs_in_again():
    first, second = make_token(uid=1), make_token(uid=2)
    tokens = [(200, {"token": first}), (200, {"token": second})]
    adapter, far_end = make_acube({"POST /login": tokens, LIFECYCLE: [EXPIRED, (202, {})]})
    adapter.send_status(make_message())
    assert far_end.calls == ["POST /login", LIFECYCLE, "POST /login", LIFECYCLE]
    assert [request.headers["authorization"] for request in far_end.asked(LIFECYCLE)] == [
        f"Bearer {first}",
        f"Bearer {second}",
    ]


def test_token_refused_twice_is_for_people():
    adapter, far_end = make_acube({LIFECYCLE: EXPIRED})
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(make_message())
    assert (caught.value.status_code, len(far_end.requests)) == (401, 4)


def test_token_of_another_account_is_not_used():
    adapter, far_end = make_acube()
    adapter.fetch_invoice(RECEIVED)
    adapter.account = replace(adapter.account, secrets=SECRETS | {"email": "other@example.test"})
    adapter.fetch_invoice(RECEIVED)
    assert len(far_end.asked("POST /login")) == 2


@pytest.mark.parametrize(
    ("environment", "api_url", "login_url"),
    [
        ("sandbox", "https://fr-sandbox.api.acubeapi.com", "https://common-sandbox.api.acubeapi.com"),
        ("production", "https://fr.api.acubeapi.com", "https://common.api.acubeapi.com"),
    ],
)
def test_addresses_follow_the_environment(environment, api_url, login_url):
    adapter, _far_end = make_acube()
    adapter.account = Account(id="c", name="c", environment=environment)
    assert (adapter.api_url, adapter.login_url) == (api_url, login_url)

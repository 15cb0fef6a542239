"""API key and OAuth: the code once, refresh tokens from then on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from providers.billit import oauth
from providers.contract.base import Account, PermanentError, TemporaryError

from .samples import ORDER, RECEIVED, REFUSE, SECRETS, TOKEN, make_account, make_billit, make_message
from .test_telling import DOUBLON

EXPIRED = (401, {})
REDIRECT = "https://navette.example.test/"


def make_oauth(routes=None, secrets=None, vault=None, **settings):
    settings = {"auth_mode": "oauth2", "client_id": "client-1", "redirect_uri": REDIRECT} | settings
    account = make_account(vault=vault, **settings)
    return make_billit(routes, replace(account, secrets=SECRETS if secrets is None else secrets))


def token(number, **changes):
    answer = {"access_token": f"t0ken-{number}", "refresh_token": f"refr3sh-{number}", "expires_in": 3600}
    return 200, answer | changes


def asked(far_end):
    return [dict(parse_qsl(request.content.decode())) for request in far_end.asked(TOKEN)]


# --- the key ---


def test_key_goes_with_every_call():
    adapter, far_end = make_billit()
    adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == [ORDER]
    assert far_end.requests[0].headers["apikey"] == SECRETS["api_key"]


def test_key_refused_is_final():
    adapter, far_end = make_billit({ORDER: EXPIRED})
    with pytest.raises(PermanentError):
        adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == [ORDER]


def test_without_a_key_nothing_is_asked():
    adapter, far_end = make_billit()
    adapter.account = replace(adapter.account, secrets={})
    with pytest.raises(PermanentError, match="api_key"):
        adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == []


# --- OAuth ---


def test_code_is_exchanged_once_and_the_token_kept():
    adapter, far_end = make_oauth()
    adapter.fetch_invoice(RECEIVED)
    adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == [TOKEN, ORDER, ORDER]
    assert asked(far_end) == [
        {
            "client_id": "client-1",
            "client_secret": SECRETS["client_secret"],
            "grant_type": "authorization_code",
            "code": SECRETS["authorization_code"],
            "redirect_uri": REDIRECT,
        }
    ]
    assert far_end.requests[1].headers["authorization"] == "Bearer t0ken-1"
    assert "apikey" not in far_end.requests[1].headers
    assert adapter.account.vault.get(oauth.VAULT)["refresh_token"] == "refr3sh-1"


def test_token_request_as_json():
    adapter, far_end = make_oauth(token_request="json")
    adapter.fetch_invoice(RECEIVED)
    assert far_end.requests[0].headers["content-type"] == "application/json"


def test_refused_token_is_renewed_once_and_the_rotated_one_kept():
    adapter, far_end = make_oauth({TOKEN: [token(1), token(2)], REFUSE: [EXPIRED, (200, b"1")]})
    adapter.send_status(make_message(reasons=DOUBLON))
    assert far_end.calls == [TOKEN, REFUSE, TOKEN, REFUSE]
    assert asked(far_end)[1]["refresh_token"] == "refr3sh-1"
    assert [request.headers["authorization"] for request in far_end.asked(REFUSE)] == [
        "Bearer t0ken-1",
        "Bearer t0ken-2",
    ]
    assert adapter.account.vault.get(oauth.VAULT)["refresh_token"] == "refr3sh-2"


def test_token_refused_twice_is_for_people():
    adapter, far_end = make_oauth({REFUSE: EXPIRED})
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(make_message(reasons=DOUBLON))
    assert (caught.value.status_code, len(far_end.requests)) == (401, 4)


def test_refresh_token_that_is_not_rotated_stays():
    adapter, _far_end = make_oauth({TOKEN: [token(1), token(2, refresh_token=None)], REFUSE: [EXPIRED, (200, b"1")]})
    adapter.send_status(make_message(reasons=DOUBLON))
    assert adapter.account.vault.get(oauth.VAULT)["refresh_token"] == "refr3sh-1"


def test_given_refresh_token_is_used_where_none_is_kept():
    adapter, far_end = make_oauth(secrets={"client_secret": "x", "refresh_token": "given"})
    adapter.fetch_invoice(RECEIVED)
    assert asked(far_end)[0]["refresh_token"] == "given"


def test_another_process_goes_on_with_the_kept_token():
    first, _far_end = make_oauth()
    first.fetch_invoice(RECEIVED)
    second, far_end = make_oauth(vault=first.account.vault)
    second.fetch_invoice(RECEIVED)
    assert asked(far_end)[0]["refresh_token"] == "refr3sh-1"


def test_new_code_replaces_the_kept_token():
    adapter, far_end = make_oauth()
    adapter.fetch_invoice(RECEIVED)
    adapter.account = replace(adapter.account, secrets=SECRETS | {"authorization_code": "a-second-login"})
    adapter.fetch_invoice(RECEIVED)
    assert [body.get("code") for body in asked(far_end)] == [SECRETS["authorization_code"], "a-second-login"]


def test_code_that_was_blanked_leaves_the_kept_token():
    adapter, far_end = make_oauth()
    adapter.fetch_invoice(RECEIVED)
    adapter.account = replace(adapter.account, secrets={"client_secret": "x"})
    adapter.fetch_invoice(RECEIVED)
    assert asked(far_end)[-1]["refresh_token"] == "refr3sh-1"


@pytest.mark.parametrize(
    ("seconds", "kept"), [(3600, 3300), (400, 200), (None, 3300), ("x", 3300), (0, 3300), (-5, 3300)]
)
def test_token_is_renewed_before_its_end(seconds, kept):
    adapter, _far_end = make_oauth({TOKEN: token(1, expires_in=seconds)})
    _token, renew_at = adapter.log_in()
    assert abs(renew_at - datetime.now(UTC) - timedelta(seconds=kept)) < timedelta(seconds=5)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_login_refused_says_where_to_log_in(status):
    adapter, far_end = make_oauth({TOKEN: (status, {"error": "invalid_grant"})})
    with pytest.raises(PermanentError) as caught:
        adapter.fetch_invoice(RECEIVED)
    url = next(word for word in caught.value.message.split() if word.startswith("https://")).rstrip(",")
    assert urlsplit(url)._replace(query="").geturl() == "https://my.example.test/Account/Logon"
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["client-1"],
        "redirect_uri": [REDIRECT],
        "state": ["billit-main"],
    }
    assert far_end.calls == [TOKEN]


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (200, b"<html>"),
        (200, []),
        (200, {"access_token": 7}),
        (200, {"access_token": "a\nb"}),
        (200, {"access_token": "two words"}),
        httpx.ReadTimeout("x"),
        httpx.ConnectError("x"),
    ],
    ids=str,
)
def test_login_failing_leaves_a_statement_unsaid(answer):
    adapter, far_end = make_oauth({TOKEN: answer})
    with pytest.raises(TemporaryError):
        adapter.send_status(make_message(reasons=DOUBLON))
    assert far_end.asked(REFUSE) == []


@pytest.mark.parametrize(
    ("secrets", "words"),
    [({}, "has logged in"), ({"client_secret": "x"}, "has logged in"), ({"authorization_code": "x"}, "client_secret")],
    ids=str,
)
def test_login_without_what_it_takes(secrets, words):
    adapter, far_end = make_oauth(secrets=secrets)
    with pytest.raises(PermanentError, match=words):
        adapter.fetch_invoice(RECEIVED)
    assert far_end.calls == []


@pytest.mark.parametrize(
    ("environment", "api_url", "portal_url"),
    [
        ("sandbox", "https://api.sandbox.billit.be", "https://my.sandbox.billit.be"),
        ("production", "https://api.billit.be", "https://my.billit.be"),
    ],
)
def test_addresses_follow_the_environment(environment, api_url, portal_url):
    adapter, _far_end = make_billit()
    adapter.account = Account(id="c", name="c", environment=environment)
    assert (adapter.api_url, adapter.portal_url) == (api_url, portal_url)

"""Platforms at our door: client credentials, bearer tokens, subscriptions, messages, and what is refused."""

import base64
import json
import logging
import time
from dataclasses import replace

import pytest
from django.core import signing

from providers.contract.base import HookError, Malformed, NotGenuine, Nowhere, Refusal, WrongLine
from tests.providers.cegid.samples import API_KEY, LINE, SECOND, SECOND_KEY, SUBSCRIPTION_KEY, make_body, make_line
from tests.providers.lines import Subscriptions

from .samples import (
    CALLBACK,
    ask_token,
    get_token,
    make_account,
    make_call,
    make_od,
    make_subscriptions,
    signed,
)

ADDRESS = "https://8.8.8.8/hooks/other/"


def make(**settings):
    return make_od(**settings)[0]


def refused(adapter, request):
    """Status and words of a refusal."""
    with pytest.raises(HookError) as caught:
        adapter.serve(request)
    return caught.value.status_code, getattr(caught.value, "document", str(caught.value))


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_token_is_given_for_the_two_halves_of_the_key():
    reply = ask_token(make())
    assert (reply.status_code, reply.document["token_type"], reply.document["expires_in"]) == (200, "Bearer", 3600)
    assert 20 < len(reply.document["access_token"]) < 400


def test_token_is_given_for_basic_credentials():
    encoded = base64.b64encode(API_KEY.encode()).decode()
    form = {"Content_Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {encoded}"}
    assert make().serve(make_call("connect/token", b"grant_type=client_credentials", **form)).status_code == 200


def test_basic_credentials_are_form_encoded_first():
    account = make_account(make_line(api_key="a b:c%d:é"))
    encoded = base64.b64encode(b"a+b:c%25d%3A%C3%A9").decode()
    form = {"Content_Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {encoded}"}
    adapter = make_od(account=account)[0]
    assert adapter.serve(make_call("connect/token", b"grant_type=client_credentials", **form)).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "", "client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": SECOND_KEY.partition(":")[2]}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
    ],
)
def test_token_is_refused_in_the_words_of_the_standard(form, status, error):
    with pytest.raises(Refusal) as caught:
        ask_token(make(), **form)
    assert (caught.value.status_code, caught.value.document["error"]) == (status, error)
    assert API_KEY.partition(":")[2] not in str(caught.value) + json.dumps(caught.value.document)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"\xff=1", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&a", "application/x-www-form-urlencoded"),
        (b"%zz=%zz", "application/x-www-form-urlencoded"),
    ],
)
def test_form_that_is_none_is_refused(body, media_type):
    status, _words = refused(make(), make_call("connect/token", body, Content_Type=media_type))
    assert status in (400, 401)


@pytest.mark.parametrize("shown", ["Basic", "Basic !", "Basic e30=", "Basic Og==", "Basic /w=="])
def test_basic_credentials_that_are_none_are_refused(shown):
    form = {"Content_Type": "application/x-www-form-urlencoded", "Authorization": shown}
    status, words = refused(make(), make_call("connect/token", b"grant_type=client_credentials", **form))
    assert (status, words["error"]) == (401, "invalid_client")


def test_line_without_connection_data_has_no_client():
    adapter = make_od(account=make_account(make_line(api_key="")))[0]
    for key in ("", ":", "a:", ":b"):
        with pytest.raises(Refusal):
            ask_token(adapter, key)


def test_credentials_in_the_address_are_not_taken():
    query = f"connect/token?client_id={API_KEY.partition(':')[0]}&client_secret={API_KEY.partition(':')[2]}"
    request = make_call(query, b"grant_type=client_credentials", Content_Type="application/x-www-form-urlencoded")
    status, _words = refused(make(), replace(request, rest="connect/token"))
    assert status in (400, 401)


# --- who a token speaks for -------------------------------------------------------------------------------------------


def test_token_speaks_for_its_line():
    adapter = make()
    assert adapter.line_of(signed(adapter, "lifecycle-events")).identifier == LINE
    assert adapter.line_of(signed(adapter, "lifecycle-events", api_key=SECOND_KEY)).identifier == SECOND


def test_token_ends_with_its_life(monkeypatch):
    adapter = make(token_lifetime=60)
    request = signed(adapter, "lifecycle-events", make_body())
    adapter.verify_webhook(request)
    later = time.time() + 61
    monkeypatch.setattr(signing.time, "time", lambda: later)
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


def test_token_ends_with_its_key():
    adapter = make()
    request = signed(adapter, "lifecycle-events", make_body())
    adapter.account.lines.change(LINE, secrets={"api_key": "client-of-line-one:renewed"})
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)
    adapter.account.lines.change(LINE, secrets={})
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


def test_token_ends_with_its_line():
    adapter = make()
    request = signed(adapter, "lifecycle-events", make_body())
    adapter.account.lines.lines = []
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


def test_token_of_another_connection_with_the_same_line_and_key_is_none():
    token = get_token(make())
    other = make_od(account=make_account(name="other"))[0]
    request = make_call("lifecycle-events", make_body(), Authorization=f"Bearer {token}",
                        Ocp_Apim_Subscription_Key=SUBSCRIPTION_KEY)  # fmt: skip
    with pytest.raises(NotGenuine):
        other.verify_webhook(request)


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Basic x", "Bearer a.b.c", "Bearer {}x", "Bearer x{}"])
def test_token_that_is_none_is_refused(shown):
    adapter = make()
    good = get_token(adapter)
    request = make_call("lifecycle-events", make_body(), Authorization=shown.format(good),
                        Ocp_Apim_Subscription_Key=SUBSCRIPTION_KEY)  # fmt: skip
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


def test_token_in_the_address_is_not_taken():
    adapter = make()
    request = make_call(f"lifecycle-events?access_token={get_token(adapter)}", make_body(),
                        Ocp_Apim_Subscription_Key=SUBSCRIPTION_KEY)  # fmt: skip
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


@pytest.mark.parametrize("key", ["", "other", SUBSCRIPTION_KEY + "x", SUBSCRIPTION_KEY[:-1]])
def test_subscription_key_is_asked_for(key):
    adapter = make()
    for request in (signed(adapter, "lifecycle-events", make_body()), signed(adapter, "subscriptions", {})):
        spoiled = replace(request, headers={**request.headers, "Ocp-Apim-Subscription-Key": key})
        with pytest.raises((NotGenuine, Refusal)) as caught:
            adapter.serve(spoiled) or adapter.verify_webhook(spoiled)
        assert caught.value.status_code == 401


def test_connection_without_a_subscription_key_lets_nobody_in():
    account = replace(make_account(), secrets={})
    adapter = make_od(account=account)[0]
    request = make_call("lifecycle-events", make_body(), Authorization=f"Bearer {get_token(adapter)}")
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


# --- subscriptions ----------------------------------------------------------------------------------------------------


def subscribe(adapter, api_key=API_KEY, **body):
    asked = {"addressingLine": LINE, "callbackUrl": ADDRESS, "contactEmail": "ops@example.test"} | body
    asked = {name: value for name, value in asked.items() if value is not None}
    return adapter.serve(signed(adapter, "subscriptions", asked, api_key=api_key))


def test_platform_subscribes():
    adapter = make_od(account=make_account(subscriptions=Subscriptions()))[0]
    reply = subscribe(adapter)
    known = adapter.account.subscriptions.find(LINE)

    assert (reply.status_code, reply.document) == (201, {"subscriptionId": known.reference})
    assert (known.state, known.callback_url, len(known.reference)) == ("active", ADDRESS, 36)


def test_subscribing_again_replaces_the_callback_and_keeps_the_id():
    adapter = make()
    reply = subscribe(adapter)

    assert reply.document == {"subscriptionId": "s-1"}
    assert adapter.account.subscriptions.find(LINE).callback_url == ADDRESS


def test_closed_line_subscribes_anew_under_another_id():
    adapter = make_od(account=make_account(subscriptions=make_subscriptions(state="closed", callback_url="")))[0]
    reply = subscribe(adapter)

    assert reply.document["subscriptionId"] != "s-1"
    assert adapter.account.subscriptions.find(LINE).state == "active"


def test_suspended_line_does_not_open_itself():
    adapter = make_od(account=make_account(subscriptions=make_subscriptions(state="suspended")))[0]
    assert (
        refused(adapter, signed(adapter, "subscriptions", {"addressingLine": LINE, "callbackUrl": ADDRESS}))[0] == 403
    )
    assert adapter.account.subscriptions.find(LINE).callback_url == CALLBACK


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"addressingLine": SECOND}, 403),
        ({"addressingLine": None}, 400),
        ({"addressingLine": 7}, 403),
        ({"callbackUrl": None}, 400),
        ({"callbackUrl": 7}, 400),
        ({"callbackUrl": ""}, 422),
        ({"callbackUrl": "http://8.8.8.8/"}, 422),
        ({"callbackUrl": "https://127.0.0.1/"}, 422),
        ({"callbackUrl": "https://localhost/"}, 422),
        ({"callbackUrl": "https://10.0.0.1/"}, 422),
        ({"callbackUrl": "https://169.254.169.254/latest/"}, 422),
        ({"callbackUrl": "https://[::ffff:127.0.0.1]/"}, 422),
        ({"callbackUrl": "https://2130706433/"}, 422),
        ({"callbackUrl": "file:///etc/passwd"}, 422),
        ({"callbackUrl": "https://user:pass@8.8.8.8/"}, 422),
    ],
)
def test_subscription_that_cannot_be(changes, status):
    adapter = make()
    with pytest.raises(Refusal) as caught:
        subscribe(adapter, **changes)

    assert (caught.value.status_code, caught.value.document["statusCode"]) == (status, status)
    assert adapter.account.subscriptions.find(LINE).callback_url == CALLBACK


@pytest.mark.parametrize("address", ["http://127.0.0.1:8900/hook", "https://10.1.2.3/hook"])
def test_policy_opens_the_inside(address):
    adapter = make(callback_private=True, callback_plain=True)
    assert subscribe(adapter, callbackUrl=address).status_code == 201
    with pytest.raises(Refusal):
        subscribe(adapter, callbackUrl="http://169.254.169.254/")


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_subscription_that_is_no_object_is_refused(body):
    adapter = make()
    assert refused(adapter, signed(adapter, "subscriptions", body))[0] == 400


def test_platform_ends_its_subscription():
    adapter = make()
    reply = adapter.serve(signed(adapter, "subscriptions/s-1", method="DELETE"))
    known = adapter.account.subscriptions.find(LINE)

    assert (reply.status_code, known.state, known.callback_url) == (204, "closed", "")
    assert refused(adapter, signed(adapter, "subscriptions/s-1", method="DELETE"))[0] == 404


@pytest.mark.parametrize(("reference", "api_key"), [("s-2", API_KEY), ("s-1", SECOND_KEY), ("", API_KEY)])
def test_subscription_of_another_is_not_ended(reference, api_key):
    adapter = make()
    assert refused(adapter, signed(adapter, f"subscriptions/{reference}", method="DELETE", api_key=api_key))[0] == 404
    assert adapter.account.subscriptions.find(LINE).state == "active"


@pytest.mark.parametrize("rest", ["subscriptions", "subscriptions/s-1"])
def test_subscriptions_need_a_token(rest):
    adapter = make()
    method = "POST" if rest == "subscriptions" else "DELETE"
    request = make_call(rest, {}, method=method, Ocp_Apim_Subscription_Key=SUBSCRIPTION_KEY)
    assert refused(adapter, request)[0] == 401


@pytest.mark.parametrize("rest", ["token", "connect", "connect/token/x", "subscriptionsx", "lifecycle-events/1", "x"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nothing_else_is_served(rest, method):
    with pytest.raises(Nowhere):
        make().serve(make_call(rest, method=method))


def test_places_are_settings():
    adapter = make(token_path="oauth2/token", subscriptions_path="subs", lifecycle_path="events")
    with pytest.raises(Nowhere):
        ask_token(adapter)
    assert adapter.serve(make_call("events")) is None
    status, words = refused(adapter, make_call("oauth2/token", b"", Content_Type="application/x-www-form-urlencoded"))
    assert (status, words["error"]) == (400, "invalid_request")


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["", "lifecycle-events"])
def test_message_is_a_push(rest):
    adapter = make()
    request = signed(adapter, rest, make_body())
    assert adapter.serve(request) is None
    adapter.verify_webhook(request)


def test_message_for_another_line_is_refused():
    adapter = make()
    with pytest.raises(WrongLine):
        adapter.verify_webhook(signed(adapter, "lifecycle-events", make_body(addressingLine=SECOND)))
    with pytest.raises(WrongLine):
        adapter.verify_webhook(signed(adapter, "lifecycle-events", make_body(), api_key=SECOND_KEY))


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_message_of_a_line_that_is_not_open_is_refused(state):
    adapter = make_od(account=make_account(subscriptions=make_subscriptions(state=state)))[0]
    with pytest.raises(WrongLine):
        adapter.verify_webhook(signed(adapter, "lifecycle-events", make_body()))


@pytest.mark.parametrize("body", [b"", b"[]", b"<a/>"])
def test_message_that_is_no_object_is_malformed(body):
    adapter = make()
    with pytest.raises(Malformed):
        adapter.verify_webhook(signed(adapter, "lifecycle-events", body))


def test_message_is_acknowledged_with_an_id_of_its_own():
    adapter = make()
    first, again, other = (adapter.acknowledge(key) for key in ("k", "k", "l"))
    assert (first, first.status_code) == (again, 202)
    assert first.document["eventId"] != other.document["eventId"]


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_nothing_secret_is_logged_or_shown(caplog):
    caplog.set_level(logging.DEBUG)
    adapter = make_od(account=make_account(subscriptions=Subscriptions()))[0]
    token = get_token(adapter)
    shown = [repr(adapter.account), repr(vars(adapter)), repr(adapter.access), repr(ask_token(adapter))]
    shown += [repr(subscribe(adapter)), repr(adapter.account.subscriptions.find(LINE)), repr(make_line())]
    data = adapter.new_connection_data(make_line())
    shown += [repr(data)]
    for form in ({"client_secret": "wrong"}, {"grant_type": "x"}):
        with pytest.raises(Refusal) as caught:
            ask_token(adapter, **form)
        shown += [repr(caught.value), str(caught.value)]
    hidden = [API_KEY, API_KEY.partition(":")[2], SUBSCRIPTION_KEY, token, data.secrets["api_key"], ADDRESS]
    everything = "\n".join([*shown, caplog.text])
    assert [secret for secret in hidden if secret in everything] == []

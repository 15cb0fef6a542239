"""A line's subscription: what is asked, the states it goes through, and what a check says of it."""

import json
import logging
from dataclasses import replace

import httpx
import pytest

from providers.contract.base import PermanentError, Subscription, TemporaryError
from tests.providers.lines import Subscriptions

from .samples import (
    API_KEY,
    EVENTS,
    LINE,
    SECOND,
    SUBSCRIBE,
    SUBSCRIPTION_KEY,
    TOKEN,
    make_account,
    make_cegid,
    make_line,
    make_message,
)

HOOK = f"https://navette.example.test/hooks/cegid/t0k3n-of-{LINE}/"


def new_account(*lines):
    return make_account(*lines, subscriptions=Subscriptions())


def test_subscribing_tells_the_lines_own_address():
    account = new_account()
    adapter, far_end = make_cegid(
        account=replace(account, settings={**account.settings, "contact_email": "ops@example.test"})
    )
    words = adapter.subscribe(make_line())
    (asked,) = far_end.asked(SUBSCRIBE)
    known = account.subscriptions.find(LINE)

    assert words == f"Addressing line {LINE} is subscribed."
    assert json.loads(asked.content) == {
        "addressingLine": LINE,
        "callbackUrl": HOOK,
        "contactEmail": "ops@example.test",
    }
    assert asked.headers["authorization"].startswith("Bearer token-client-of-line-one-")
    assert (known.state, known.reference, known.callback_url) == ("active", "s-0", HOOK)
    assert account.subscriptions.states == ["subscribing", "active"]


def test_two_lines_of_one_company_have_two_addresses_and_two_tokens():
    adapter, far_end = make_cegid(account=new_account())
    for line in adapter.account.lines.all():
        adapter.subscribe(line)
    asked = far_end.asked(SUBSCRIBE)

    assert len({json.loads(request.content)["callbackUrl"] for request in asked}) == 2
    assert len({request.headers["authorization"] for request in asked}) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"message": "no"}), PermanentError),
        ((403, {"message": "no"}), PermanentError),
        ((500, {}), TemporaryError),
        ((201, b"<html>"), TemporaryError),
        ((201, {}), PermanentError),
        (httpx.ReadTimeout("x"), TemporaryError),
        (httpx.ConnectError("x"), TemporaryError),
    ],
)
def test_subscribing_that_fails_keeps_the_reason(answer, error):
    adapter, _far_end = make_cegid({SUBSCRIBE: answer}, account=new_account())
    with pytest.raises(error) as caught:
        adapter.subscribe(make_line())
    known = adapter.account.subscriptions.find(LINE)

    assert (known.state, known.error) == ("failed", caught.value.message)
    assert adapter.account.subscriptions.states == ["subscribing", "failed"]


def test_subscribing_again_mends_a_failed_one_and_clears_the_reason():
    adapter, _far_end = make_cegid({SUBSCRIBE: [(500, {}), (201, {"subscriptionId": "s-9"})]}, account=new_account())
    with pytest.raises(TemporaryError):
        adapter.subscribe(make_line())
    adapter.subscribe(make_line())
    known = adapter.account.subscriptions.find(LINE)

    assert (known.state, known.reference, known.error) == ("active", "s-9", "")


def test_subscribing_without_key_or_address_asks_nothing():
    account = new_account(make_line(api_key=""))
    adapter, far_end = make_cegid(account=account)
    with pytest.raises(PermanentError, match="paste the API key"):
        adapter.subscribe(make_line(api_key=""))
    with pytest.raises(PermanentError, match="no callback address"):
        adapter.subscribe(make_line("812700557"))
    assert (far_end.calls, account.subscriptions.states) == ([], [])


@pytest.mark.parametrize("answer", [(204, b""), (200, {}), (404, {}), (410, {})])
def test_unsubscribing_ends_it_there_and_here(answer):
    adapter, far_end = make_cegid({"DELETE /subscriptions/s-0": answer})
    adapter.unsubscribe(make_line())
    known = adapter.account.subscriptions.find(LINE)

    assert (known.state, known.callback_url) == ("closed", "")
    assert len(far_end.asked("DELETE /subscriptions/s-0")) == 1


def test_unsubscribing_that_fails_changes_nothing_here():
    adapter, _far_end = make_cegid({"DELETE /subscriptions/s-0": (500, {})})
    with pytest.raises(TemporaryError):
        adapter.unsubscribe(make_line())
    assert adapter.account.subscriptions.find(LINE).state == "active"


def test_unsubscribing_what_never_was_asks_nothing():
    adapter, far_end = make_cegid(account=new_account())
    adapter.unsubscribe(make_line())

    assert (far_end.calls, adapter.account.subscriptions.find(LINE).state) == ([], "closed")


def test_reference_cannot_leave_its_place_in_the_path():
    known = Subscriptions(Subscription(line_identifier=LINE, state="active", reference="../../x?y"))
    adapter, far_end = make_cegid(account=make_account(subscriptions=known))
    adapter.unsubscribe(make_line())
    assert far_end.requests[-1].url.raw_path == b"/subscriptions/..%2F..%2Fx%3Fy"


def test_registering_subscribes_the_lines_that_are_due():
    account = make_account(
        make_line(), make_line(SECOND, "a:b"), make_line("812700557", ""), make_line("812700557_X", "c:d")
    )
    account.subscriptions.save(Subscription(line_identifier=LINE, state="active", callback_url="https://old/"))
    account.subscriptions.save(Subscription(line_identifier="812700557_X", state="suspended"))
    adapter, _far_end = make_cegid(account=account)
    first, second = adapter.register_webhooks(), adapter.register_webhooks()

    assert (first, second) == ((f"Addressing line {LINE} is subscribed.",), ())


# --- checks -----------------------------------------------------------------------------------------------------------


def results(adapter):
    return {result.name: result.ok for result in adapter.check()}


def test_check_of_a_healthy_connection():
    adapter, far_end = make_cegid()
    assert set(results(adapter).values()) == {True}
    assert {call for call in far_end.calls if not call.startswith("GET")} == {TOKEN}


@pytest.mark.parametrize("answer", [(401, {}), (403, {}), (500, {}), httpx.ConnectError("x")])
def test_check_finds_a_refused_key(answer):
    adapter, _far_end = make_cegid({"GET /subscriptions": answer})
    assert results(adapter)[f"{LINE} access"] is False


def test_check_finds_a_refused_api_key_and_goes_on():
    refuse_first = lambda request: (401, {}) if b"line-one" in request.content else (200, {"access_token": "t"})  # noqa: E731
    adapter, _far_end = make_cegid({TOKEN: refuse_first})
    found = results(adapter)
    assert (found[f"{LINE} token"], found[f"{SECOND} token"]) == (False, True)


@pytest.mark.parametrize("state", ["draft", "connection_data_received", "subscribing", "failed", "suspended", "closed"])
def test_check_names_a_line_that_is_not_subscribed(state):
    known = Subscriptions(Subscription(line_identifier=LINE, state=state, error="Why."))
    adapter, _far_end = make_cegid(account=make_account(make_line(), subscriptions=known))
    assert results(adapter)[f"{LINE} subscription"] is False


def test_check_finds_an_address_that_changed():
    adapter, _far_end = make_cegid()
    adapter.account.lines.hooks = "https://new.example.test/hooks/cegid/{}/"
    assert results(adapter)[f"{LINE} subscription"] is False


def test_check_without_lines_says_so():
    account = replace(make_account(), lines=type(make_account().lines)())
    adapter, _far_end = make_cegid(account=account)
    assert results(adapter) == {"lines": False}


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_nothing_secret_is_shown_by_an_end_that_echoes_everything(caplog):
    caplog.set_level(logging.DEBUG)
    tokens: list[str] = []

    def echo(request):
        tokens.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        return 422, {"message": str(request.headers.raw) + request.content.decode()}

    adapter, far_end = make_cegid({SUBSCRIBE: echo, EVENTS: echo, "GET /subscriptions": echo}, account=new_account())
    shown = [repr(adapter.account), repr(vars(adapter)), repr(make_line())]
    for call in (lambda: adapter.subscribe(make_line()), lambda: adapter.send_status(make_message())):
        with pytest.raises(PermanentError) as caught:
            call()
        shown += [repr(caught.value), str(caught.value), caught.value.answer]
    far_end.routes[TOKEN] = echo
    adapter.tokens.kept.clear()
    with pytest.raises(PermanentError) as caught:
        adapter.send_status(make_message())
    shown += [caught.value.message, caught.value.answer, *(result.message for result in adapter.check())]
    shown += [repr(row) for row in adapter.account.subscriptions.rows.values()]
    everything = "\n".join([*shown, caplog.text])

    hidden = {API_KEY, "s3cret-one", SUBSCRIPTION_KEY, HOOK, f"t0k3n-of-{LINE}", *tokens} - {""}
    assert (len(hidden) >= 6, [secret for secret in hidden if secret in everything]) == (True, [])

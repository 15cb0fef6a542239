import json
from dataclasses import replace

import httpx
import pytest

from providers.contract.base import Line, NotGenuine, PermanentError, TemporaryError, UncertainError, Unsupported
from tests.providers.fakes import Memory

from .samples import (
    HOOK_URL,
    KEY,
    LINE,
    MANDATE,
    MANDATES,
    RECEIVED,
    SECRET,
    WEBHOOKS,
    Lines,
    make_mandate,
    make_seqino,
    make_webhook,
    sign,
    signature,
)

SHOWN, MADE, DELETED = f"GET {WEBHOOKS}", f"POST {WEBHOOKS}", f"DELETE {WEBHOOKS}"
NONE = (404, {"error": "No webhook", "code": 404, "trace_id": "t"})


# --- headers ----------------------------------------------------------------------------------------------------------


def test_key_is_sent_bare():
    seqino, far_end = make_seqino()
    seqino.fetch_statuses(RECEIVED)
    assert far_end.requests[0].headers["authorization"] == KEY
    assert "x-pdp-sponsor-id" not in far_end.requests[0].headers


def test_sponsor_is_named_only_on_demand():
    seqino, far_end = make_seqino(sponsor_id="sponsor-7")
    seqino.fetch_statuses(RECEIVED)
    assert far_end.requests[0].headers["x-pdp-sponsor-id"] == "sponsor-7"


@pytest.mark.parametrize("key", ["", " ", "clé", "a\nb"])
def test_key_that_is_none(key):
    seqino, far_end = make_seqino()
    seqino.account = replace(seqino.account, secrets={"api_key": key})
    with pytest.raises(PermanentError, match="API key"):
        seqino.fetch_statuses(RECEIVED)
    assert far_end.requests == []


@pytest.mark.parametrize(("slash", "end"), [(False, "lifecycle-events"), (True, "lifecycle-events/")])
def test_slash_at_the_end(slash, end):
    seqino, far_end = make_seqino({"GET /api/lifecycle-events/": (200, [])}, trailing_slash=slash)
    seqino.fetch_statuses(RECEIVED)
    assert far_end.requests[0].url.path == f"/api/{end}"


def test_read_refused_once_is_asked_again():
    seqino, far_end = make_seqino({"GET /api/lifecycle-events": [(401, {}), (200, [])]})
    assert (seqino.fetch_statuses(RECEIVED), len(far_end.requests)) == ((), 2)


def test_both_error_shapes_are_readable():
    fastapi = {"detail": [{"loc": ["body", "lines", 0, "price"], "msg": "field required", "type": "missing"}]}
    own = {"error": "Invalid API key", "code": 401, "trace_id": "b2f0c8a7"}
    for status, answer, told in (
        (422, fastapi, "body.lines.0.price: field required"),
        (401, own, "Invalid API key [b2f0c8a7]"),
        (403, {"detail": "Not yours"}, "Not yours"),
    ):
        seqino, _far_end = make_seqino({"GET /api/lifecycle-events": (status, answer)})
        with pytest.raises(PermanentError) as caught:
            seqino.fetch_statuses(RECEIVED)
        assert caught.value.message == f"Seqino refuses ({status}). {told}"


# --- the webhook ------------------------------------------------------------------------------------------------------


def test_webhook_is_made_and_its_secret_kept():
    seqino, far_end = make_seqino({SHOWN: NONE}, secret="")
    assert seqino.register_webhooks() == ("Webhook registered; its secret is kept sealed.",)
    assert json.loads(far_end.asked(MADE)[0].content) == {"url": HOOK_URL}
    assert seqino.account.vault.get("webhook") == {"id": "wh_1", "secret": SECRET}
    assert "x-pdp-client-id" not in far_end.asked(MADE)[0].headers


@pytest.mark.parametrize("nothing", [NONE, (204, b""), (200, None), (200, {}), (200, [])])
def test_no_webhook_yet_in_any_shape(nothing):
    seqino, far_end = make_seqino({SHOWN: nothing}, secret="")
    seqino.register_webhooks()
    assert len(far_end.asked(MADE)) == 1


def test_registering_again_changes_nothing():
    seqino, far_end = make_seqino()
    assert (seqino.register_webhooks(), far_end.asked(MADE)) == ((), [])


def test_chosen_events_are_asked_for():
    seqino, far_end = make_seqino({SHOWN: NONE}, secret="", webhook_events=["invoice.received"])
    seqino.register_webhooks()
    assert json.loads(far_end.asked(MADE)[0].content)["events"] == ["invoice.received"]


FAULTS = [
    (make_webhook(url="https://elsewhere.example.test/"), {}, "another address"),
    (make_webhook(is_active=False), {}, "switched off"),
    (make_webhook(webhook_id="wh_2"), {}, "not made by this connection"),
    (make_webhook(events=["invoice.created"]), {"webhook_events": ["invoice.received"]}, "invoice.received"),
]


@pytest.mark.parametrize(("shown", "settings", "told"), FAULTS)
def test_webhook_that_is_not_ours_is_left_to_a_person(shown, settings, told):
    seqino, far_end = make_seqino({SHOWN: (200, shown)}, **settings)
    with pytest.raises(PermanentError, match=told):
        seqino.register_webhooks()
    assert far_end.calls == [SHOWN]


@pytest.mark.parametrize(("shown", "settings", "told"), FAULTS)
def test_webhook_is_replaced_on_demand(shown, settings, told):
    seqino, far_end = make_seqino({SHOWN: (200, shown), DELETED: (204, b"")}, replace_webhook=True, **settings)
    assert len(seqino.register_webhooks()) == 2
    assert far_end.calls == [SHOWN, DELETED, MADE]


def test_webhook_made_by_hand_is_good_with_its_secret():
    seqino, _far_end = make_seqino({SHOWN: (200, make_webhook(webhook_id="wh_9"))}, secret="")
    seqino.account = replace(seqino.account, secrets={"api_key": KEY, "webhook_secret": "by hand"})
    assert seqino.register_webhooks() == ()


def test_webhook_that_came_in_between():
    taken = (409, {"error": "Webhook already configured for this sponsor", "code": 409, "trace_id": "b2f0c8a7"})
    seqino, _far_end = make_seqino({SHOWN: NONE, MADE: taken}, secret="")
    with pytest.raises(PermanentError, match=r"already configured .*b2f0c8a7"):
        seqino.register_webhooks()


def test_lost_answer_says_that_the_secret_is_lost():
    seqino, _far_end = make_seqino({SHOWN: NONE, MADE: httpx.ReadTimeout("x")}, secret="")
    with pytest.raises(UncertainError, match="its secret is lost"):
        seqino.register_webhooks()


def test_webhook_without_a_secret_is_no_good():
    seqino, _far_end = make_seqino({SHOWN: NONE, MADE: (201, {"webhook_id": "wh_1"})}, secret="")
    with pytest.raises(PermanentError, match="did not show its secret"):
        seqino.register_webhooks()


def test_secret_that_cannot_be_kept_is_never_asked_for():
    seqino, far_end = make_seqino({SHOWN: NONE}, secret="")

    class BrokenVault:
        def get(self, name):
            return {}

        def change(self, name, **changes):
            raise RuntimeError("no key to seal with")

    seqino.account = replace(seqino.account, vault=BrokenVault())
    with pytest.raises(RuntimeError):
        seqino.register_webhooks()
    assert far_end.asked(MADE) == []


def test_webhook_needs_an_address():
    seqino, far_end = make_seqino()
    seqino.account = replace(seqino.account, hook_url="")
    with pytest.raises(Unsupported):
        seqino.register_webhooks()
    assert far_end.requests == []


# --- usage ------------------------------------------------------------------------------------------------------------

LIMITS = "GET /api/usage/limits"


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ({"limits": {"per_minute": 60, "per_hour": None, "per_day": None, "per_month": None}}, 30),
        ({"minute": 100, "hour": 600, "day": 100_000, "month": None}, 5),
        ({"limit_per_month": 43200}, 0.5),
        ({"endpoints": [{"endpoint": "a", "per_minute": 90}, {"endpoint": "b", "per_minute": 60}]}, 30),
        ({"daily_limit": 1440, "daily_used": 3, "remaining_per_minute": 1}, 0.5),
        ({"per_minute": None}, None),
        ({}, None),
        ([], None),
        ("many", None),
    ],
)
def test_limits_bound_what_asking_may_cost(answer, allowed):
    assert make_seqino({LIMITS: (200, answer)})[0].calls_per_minute() == allowed


def test_share_of_the_limits_is_a_setting():
    assert make_seqino({LIMITS: (200, {"per_minute": 60})}, usage_share=10)[0].calls_per_minute() == 6


def test_limits_are_asked_for_once_an_hour():
    seqino, far_end = make_seqino()
    seqino.calls_per_minute()
    seqino.memory = Memory(**seqino.memory.facts)
    seqino.calls_per_minute()
    assert len(far_end.asked(LIMITS)) == 1
    seqino.memory.facts["usage_limits"]["read_at"] = "2020-01-01T00:00:00Z"
    seqino.calls_per_minute()
    assert len(far_end.asked(LIMITS)) == 2


@pytest.mark.parametrize(
    ("wanted", "limits", "pace"),
    [(5, {"minute": 60}, 1), (5, {"minute": 6000}, 5), (0, {"minute": 60}, 1), (0, {}, 0), (5, {"day": 10}, 5)],
)
def test_calls_keep_the_limit_for_a_minute(wanted, limits, pace):
    seqino = make_seqino(memory=Memory(usage_limits=limits), requests_per_second=wanted)[0]
    assert seqino.pace == pace


# --- the check --------------------------------------------------------------------------------------------------------


def checked(routes=None, **options):
    seqino, far_end = make_seqino(routes, **options)
    return {result.name: (result.ok, result.message) for result in seqino.check()}, far_end


def test_check_of_a_good_connection_changes_nothing():
    results, far_end = checked(memory=Memory(webhook_signature_confirmed="2026-10-06T14:03:00+00:00"))
    assert results == {
        "environment": (True, ""),
        "health": (True, ""),
        "API key": (True, "Seqino accepts the API key."),
        "mandates": (True, "Every addressing line has a mandate in force."),
        "webhook": (True, "The webhook calls us."),
        "usage": (True, "600 / minute, 86400 / day"),
        "webhook signature": (True, "Confirmed on 2026-10-06."),
    }
    assert {request.method for request in far_end.requests} == {"GET"}


def test_check_of_a_bad_key_goes_no_further():
    results, _far_end = checked({"GET /api/clients": (401, {"error": "Invalid API key", "code": 401, "trace_id": "x"})})
    assert list(results) == ["environment", "health", "API key", "webhook signature"]


def test_check_names_the_lines_that_are_not_served():
    bare = Line(identifier="812700557")
    routes = {f"GET {MANDATES}/{MANDATE}": (200, make_mandate("pending_kyc"))}
    results, _far_end = checked(routes, lines=Lines([LINE, bare]))
    assert results["mandates"] == (
        False,
        (
            f"Not served yet: {LINE.identifier}: The client has still to prove its identity at Seqino (KYC).; "
            "812700557 is not set up."
        ),
    )


@pytest.mark.parametrize(("answer", "told"), [(NONE, "No webhook is registered."), ((200, FAULTS[0][0]), "another")])
def test_check_of_the_webhook(answer, told):
    ok, message = checked({SHOWN: answer})[0]["webhook"]
    assert (ok, told in message) == (False, True)


def test_check_says_whether_the_signature_is_confirmed():
    assert checked()[0]["webhook signature"][0] is False
    assert checked(observe_mode=True)[0]["webhook signature"][0] is True
    confirmed = Memory(webhook_signature_confirmed="2026-10-06T14:03:00+00:00")
    assert checked(observe_mode=True, memory=confirmed)[0]["webhook signature"] == (
        True, "Confirmed on 2026-10-06. Observe mode can be switched off.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("api_url", "ok"),
    [("https://pdp.seqino.com/api", False), ("https://pdp.seqino.dev/api", True), ("http://127.0.0.1:1/api", True)],
)
def test_check_of_mixed_environments(api_url, ok):
    assert next(iter(make_seqino(api_url=api_url)[0].check())).ok is ok


@pytest.mark.parametrize(
    ("api_url", "health_url", "asked"),
    [
        ("https://pdp.seqino.dev/api", "", "https://pdp.seqino.dev/health"),
        ("http://127.0.0.1:8900/seqino/api", "", "http://127.0.0.1:8900/seqino/health"),
        ("https://x.example.test/api", "https://y.example.test/up", "https://y.example.test/up"),
    ],
)
def test_health_stands_beside_the_api(api_url, health_url, asked):
    assert make_seqino(api_url=api_url, health_url=health_url)[0].health_url == asked


def test_environment_has_its_own_host():
    seqino, _far_end = make_seqino(api_url="")
    assert seqino.api_url == "https://pdp.seqino.dev/api"
    seqino.account = replace(seqino.account, environment="production")
    assert seqino.api_url == "https://pdp.seqino.com/api"


def test_redirect_is_an_error_of_the_configuration():
    seqino, _far_end = make_seqino({"GET /api/lifecycle-events": (307, {}, {"location": "/api/lifecycle-events/"})})
    with pytest.raises(PermanentError, match="redirect"):
        seqino.fetch_statuses(RECEIVED)


def test_limits_that_cannot_be_had_are_an_error_of_asking():
    with pytest.raises(TemporaryError):
        make_seqino({LIMITS: (500, {})})[0].calls_per_minute()


# --- a secret that is replaced ---


def signed(secret):
    return sign(b'{"event_id": "e"}', **{"X-Webhook-Signature": signature(b'{"event_id": "e"}', secret)})


def test_secret_entered_before_the_webhook_was_made_is_accepted_for_a_stated_time_only():
    for hours, is_accepted in ((24, True), (0, False)):
        seqino, _far_end = make_seqino({SHOWN: NONE}, secret="entered", former_secret_hours=hours)
        seqino.register_webhooks()
        assert seqino.webhook_secrets() == (SECRET,)
        seqino.verify_webhook(signed(SECRET))
        if is_accepted:
            seqino.verify_webhook(signed("entered"))
        else:
            with pytest.raises(NotGenuine):
                seqino.verify_webhook(signed("entered"))


def test_secret_entered_after_the_webhook_was_made_takes_its_place():
    seqino, _far_end = make_seqino({SHOWN: NONE}, secret="entered")
    seqino.register_webhooks()
    seqino.account = replace(seqino.account, secrets={**seqino.account.secrets, "webhook_secret": "renewed"})
    assert seqino.webhook_secrets() == ("renewed",)
    for secret in ("renewed", SECRET):  # the former one for a while
        seqino.verify_webhook(signed(secret))
    with pytest.raises(NotGenuine):
        seqino.verify_webhook(signed("nobody's"))

"""Calls at and below a hook that are no pushes, lines told by the request, and subscriptions of single lines."""

import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from django.test import Client

from providers.connections import services
from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.contract import kinds
from providers.contract.base import (
    Adapter,
    Capabilities,
    Delivery,
    NotGenuine,
    PermanentError,
    Refusal,
    Reply,
    WrongLine,
)
from providers.models import Hook, RefusedRequest, Subscription, WebhookDelivery
from tests.factories import SIREN, make_connection, make_customer, make_line

pytestmark = pytest.mark.django_db

LINE = f"{SIREN}_80011223700014"


class Desk(Adapter):
    """Answers below its address, hears who speaks from a header, and subscribes line by line."""

    kind = "desk"
    label = "Desk"
    hook_success_status = 202

    @property
    def capabilities(self):
        return Capabilities(webhooks=True)

    def serve(self, request):
        answers = {
            "POST token": lambda: Reply(document={"access_token": "t0k3n"}),
            "POST refused": lambda: self._refuse(),
            "DELETE things/7": lambda: Reply(status_code=204),
            "POST echo": lambda: Reply(document={"body": request.body.decode(), "url": request.url}),
            "POST push": lambda: None,
        }
        name = f"{request.method} {request.rest}"
        return answers[name]() if name in answers else super().serve(request)

    def _refuse(self):
        raise Refusal("The client is unknown.", 401, {"error": "invalid_client"})

    def verify_webhook(self, request):
        if request.header("X-Line") == "nobody":
            raise NotGenuine("Nobody knows this caller.")
        if request.line and request.header("X-Line") not in ("", request.line.identifier):
            raise WrongLine("This address is another line's.")

    def line_of(self, request):
        return request.line or self.account.lines.find(request.header("X-Line"))

    def parse_webhook(self, request):
        return Delivery(key=json.loads(request.body)["key"])

    def acknowledge(self, key):
        return Reply(status_code=202, document={"id": key})

    def subscribe(self, line):
        if line.settings.get("fails"):
            raise PermanentError("The platform does not know this line.")
        known = self.account.subscriptions.find(line.identifier)
        subscription = replace(known, state="active", callback_url=self.account.lines.hook_url(line.identifier))
        self.account.subscriptions.save(subscription)
        return f"Subscribed {line.identifier}."

    def unsubscribe(self, line):
        return f"Unsubscribed {line.identifier}."


class DeskByLine(Desk):
    kind = "desk_line"
    hook_per_line = True


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    for cls in (Desk, DeskByLine):
        monkeypatch.setitem(kinds.ADAPTERS, cls.kind, f"{__name__}.{cls.__name__}")


@pytest.fixture
def connection():
    return make_connection("desk")


@pytest.fixture
def path(connection):
    return f"/hooks/desk/{open_hook(connection=connection)[0].token}/"


def call(path, method="post", body=b"{}", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return getattr(Client(), method)(path, body, content_type="application/json", headers=names)


# --- what is served ---------------------------------------------------------------------------------------------------


def test_served_call_is_answered_and_leaves_no_trace(path):
    answer = call(f"{path}token", body=b"client_secret=hunter2")

    assert (answer.status_code, answer.json()) == (200, {"access_token": "t0k3n"})
    assert answer["Cache-Control"] == "no-store"
    assert (WebhookDelivery.objects.count(), RefusedRequest.objects.count()) == (0, 0)


@pytest.mark.parametrize("place", ["token", "token/"])
def test_slash_at_the_end_of_a_place_plays_no_part(path, place):
    assert call(path + place).status_code == 200


def test_served_call_sees_body_and_public_address(path, settings):
    settings.PUBLIC_URL = "https://desk.example.test/"
    answer = call(f"{path}echo?x=1", body=b"abc")

    assert answer.json() == {"body": "abc", "url": f"https://desk.example.test{path}echo?x=1"}


def test_refusal_is_told_in_the_protocols_own_words_and_noted(path, connection):
    answer = call(f"{path}refused", body=b"client_secret=hunter2")

    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    row = RefusedRequest.objects.get()
    assert (row.connection, row.status_code, row.reason) == (connection, 401, "The client is unknown.")


def test_answer_without_words_has_no_body(path):
    answer = call(f"{path}things/7", "delete")

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("method", ["post", "delete"])
@pytest.mark.parametrize("place", ["nothing", "things/8", "token/more", "../token", "%00"])
def test_place_that_is_not_served_is_gone(path, method, place):
    assert call(path + place, method).status_code == 410


@pytest.mark.parametrize("method", ["get", "put", "patch", "head"])
def test_other_methods_below_are_not_allowed(path, method):
    assert getattr(Client(), method)(f"{path}token").status_code == 405


@pytest.mark.parametrize("place", ["token", "things/7"])
def test_nothing_is_served_below_a_closed_address(path, connection, place):
    services.close_hook(hook=connection.hooks.get())

    assert (call(path + place).status_code, call(path + place, "delete").status_code) == (410, 410)


def test_address_itself_cannot_be_deleted(path):
    assert call(path, "delete").status_code == 405


def test_kinds_that_serve_nothing_are_gone_below(path):
    hook = open_hook(connection=make_connection("acube"))[0]

    assert call(f"/hooks/acube/{hook.token}/token").status_code == 410


def test_push_below_the_address_is_stored(path):
    answer = call(f"{path}push", body=b'{"key": "k-1"}')

    assert (answer.status_code, WebhookDelivery.objects.get().key) == (202, "k-1")


# --- what is acknowledged ---------------------------------------------------------------------------------------------


def test_push_is_acknowledged_in_the_protocols_own_words_and_again_alike(path):
    answers = [call(path, body=b'{"key": "k-1"}') for _time in range(2)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"id": "k-1"})] * 2
    assert WebhookDelivery.objects.count() == 1


# --- whose line -------------------------------------------------------------------------------------------------------


def test_line_is_the_one_the_request_speaks_for(path, connection):
    make_line(make_customer(SIREN), connection, LINE)
    call(path, body=b'{"key": "k-1"}', X_Line=LINE)
    row = WebhookDelivery.objects.get()

    assert row.line_identifier == LINE
    assert services.read_stored(row, get_adapter(connection)).line.identifier == LINE


def test_line_of_nobody_is_none(path):
    call(path, body=b'{"key": "k-1"}', X_Line="unknown")

    assert WebhookDelivery.objects.get().line_identifier == ""


def test_request_that_is_not_genuine_is_not_stored(path):
    assert call(path, body=b'{"key": "k-1"}', X_Line="nobody").status_code == 401
    assert WebhookDelivery.objects.count() == 0


# --- subscriptions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def by_line():
    connection = make_connection("desk_line")
    line = make_line(make_customer(SIREN), connection, LINE)
    return connection, get_adapter(connection).account.lines.find(line.identifier)


def test_subscribing_opens_an_address_of_the_lines_own(by_line):
    connection, line = by_line
    get_adapter(connection).account.subscriptions.save(services.base.Subscription(line_identifier=LINE))
    words = services.subscribe_line(connection=connection, line=line)
    hook = Hook.objects.get()

    assert (words, hook.line_identifier) == (f"Subscribed {LINE}.", LINE)
    row = Subscription.objects.get()
    assert (row.state, row.callback["url"], hook.url in repr(vars(row))) == ("active", hook.url, False)
    assert call(urlsplit(hook.url).path, body=b'{"key": "k-1"}', X_Line="other").status_code == 403


def test_subscribing_again_keeps_the_address(by_line):
    connection, line = by_line
    get_adapter(connection).account.subscriptions.save(services.base.Subscription(line_identifier=LINE))
    for _time in range(2):
        services.subscribe_line(connection=connection, line=line)

    assert (Hook.objects.count(), Subscription.objects.count()) == (1, 1)


def test_unsubscribing_closes_the_address_of_that_line_alone(by_line):
    connection, line = by_line
    other = open_hook(connection=connection, line_identifier=f"{SIREN}_COMPTA")[0]
    hook = open_hook(connection=connection, line_identifier=LINE)[0]
    services.unsubscribe_line(connection=connection, line=line)

    assert [row.closed_at is None for row in (Hook.objects.get(pk=hook.pk), Hook.objects.get(pk=other.pk))] == [
        False,
        True,
    ]


def test_subscription_is_kept_per_line_and_unknown_is_none(connection):
    subscriptions = get_adapter(connection).account.subscriptions
    subscriptions.save(
        services.base.Subscription(line_identifier=LINE, state="failed", error="No.", reference="x" * 300)
    )

    kept = subscriptions.find(LINE)
    assert (kept.state, kept.error, len(kept.reference)) == ("failed", "No.", 200)
    assert subscriptions.find(SIREN) is None
    assert get_adapter(make_connection("desk")).account.subscriptions.find(LINE) is None


def test_address_of_a_line_is_the_open_one(by_line):
    connection, _line = by_line
    lines = get_adapter(connection).account.lines
    assert lines.hook_url(LINE) == ""
    first = open_hook(connection=connection, line_identifier=LINE)[0]
    assert lines.hook_url(LINE) == first.url
    services.close_hook(hook=first)
    assert (lines.hook_url(LINE), lines.hook_url("")) == ("", "")

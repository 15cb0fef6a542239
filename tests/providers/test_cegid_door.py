"""Both kinds of Cegid at the real door: what is answered, what is stored, what is refused."""

import json
from urllib.parse import urlsplit

import pytest
from django.test import Client

from providers.connections import services
from providers.connections.registry import get_adapter
from providers.connections.sealing import Secrets
from providers.contract.base import MIB, Subscription
from providers.models import Connection, RefusedRequest, WebhookDelivery
from tests.factories import SIREN, make_connection, make_customer, make_line

from .cegid.samples import LINE, SECOND, make_body

pytestmark = pytest.mark.django_db
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def call(path, body=b"", *, method="post", content_type=JSON, **headers):
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return getattr(Client(), method)(path, content, content_type=content_type, headers=names)


# --- we are the platform ----------------------------------------------------------------------------------------------


@pytest.fixture
def callback():
    connection = make_connection(
        "cegid", settings={"od_url": "https://od.example.test"}, secrets={"subscription_key": "k"}
    )
    customer = make_customer(SIREN)
    make_line(customer, connection, LINE)
    make_line(customer, connection, SECOND)
    return urlsplit(services.open_hook(connection=connection, line_identifier=LINE)[0].url).path


def test_callback_is_stored_and_answered_alike_each_time(callback):
    first, again = call(callback, make_body()), call(callback, make_body())

    assert (first.status_code, first.json().keys(), first.json()["received"]) == (202, {"received", "id"}, True)
    assert (again.status_code, again.json()) == (202, first.json())
    row = WebhookDelivery.objects.get()
    assert (row.line_identifier, json.loads(bytes(row.body))) == (LINE, make_body())


@pytest.mark.parametrize(
    ("body", "status", "stored"),
    [
        (make_body(addressingLine=None), 202, 1),
        (make_body(addressingLine=SECOND), 403, 0),
        (make_body(addressingLine="812700557"), 403, 0),
        (make_body(status={"code": 299, "issuer": "CUSTOMER"}), 202, 1),
        (make_body(kind="sideways"), 202, 1),
        ({"hello": "world"}, 202, 1),
        (b"{", 400, 0),
        (b"[]", 400, 0),
        (b"<xml/>", 400, 0),
    ],
    ids=repr,
)
def test_callback_is_answered_as_settled(callback, body, status, stored):
    assert call(callback, body).status_code == status
    assert (WebhookDelivery.objects.count(), RefusedRequest.objects.count()) == (stored, 1 - stored)


def test_callback_of_a_line_that_ended_is_gone(callback):
    services.leave_line(connection=Connection.objects.get(), line_identifier=LINE)

    assert call(callback, make_body()).status_code == 410
    assert call(callback.replace("/hooks/cegid/", "/hooks/cegid/x"), make_body()).status_code == 410


@pytest.mark.parametrize(("size", "status"), [(20 * MIB, 202), (20 * MIB + 1, 413)])
def test_callback_may_have_twenty_megabytes(callback, size, status):
    body = json.dumps(make_body()).encode()
    assert call(callback, body + b" " * (size - len(body))).status_code == status


def test_nothing_is_served_below_a_callback(callback):
    assert call(f"{callback}connect/token", b"grant_type=client_credentials", content_type=FORM).status_code == 410


# --- we are the concentrator ------------------------------------------------------------------------------------------


@pytest.fixture
def od():
    connection = make_connection("cegid_od", secrets={"subscription_key": "k"})
    line = make_line(make_customer(SIREN), connection, LINE)
    line.secrets = Secrets({"api_key": "client:s3cret"})
    line.save()
    services.open_hook(connection=connection)
    get_adapter(connection).account.subscriptions.save(
        Subscription(line_identifier=LINE, state="active", reference="s-1", callback_url="https://8.8.8.8/x/")
    )
    return connection


@pytest.fixture
def path(od):
    return urlsplit(od.hooks.get().url).path


@pytest.fixture
def access(path):
    form = "grant_type=client_credentials&client_id=client&client_secret=s3cret"
    answer = call(f"{path}connect/token", form, content_type=FORM)
    assert (answer.status_code, answer["Cache-Control"], answer.json()["expires_in"]) == (200, "no-store", 3600)
    return {"Authorization": f"Bearer {answer.json()['access_token']}", "Ocp_Apim_Subscription_Key": "k"}


def test_token_is_refused_in_the_words_of_the_standard(path):
    form = "grant_type=client_credentials&client_id=client&client_secret=wrong"
    answer = call(f"{path}connect/token", form, content_type=FORM)
    refused = RefusedRequest.objects.get()

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert ("wrong" in refused.reason, refused.reason) == (False, "No access token: invalid_client.")


@pytest.mark.parametrize("place", ["", "lifecycle-events", "lifecycle-events/"])
def test_message_is_stored_for_the_line_of_its_token(path, access, place):
    first, again = (call(path + place, make_body(), **access) for _time in range(2))

    assert (first.status_code, first.json().keys(), again.json()) == (202, {"eventId"}, first.json())
    row = WebhookDelivery.objects.get()
    assert (row.line_identifier, [name for name in row.headers if name.lower().startswith(("auth", "ocp"))]) == (
        LINE,
        [],
    )


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Authorization": ""}, make_body(), 401),
        ({"Authorization": "Bearer x"}, make_body(), 401),
        ({"Ocp_Apim_Subscription_Key": ""}, make_body(), 401),
        ({"Ocp_Apim_Subscription_Key": "other"}, make_body(), 401),
        ({}, make_body(addressingLine=SECOND), 403),
        ({}, b"{", 400),
        ({}, {"hello": "world"}, 202),
    ],
    ids=repr,
)
def test_message_is_answered_as_settled(path, access, headers, body, status):
    assert call(f"{path}lifecycle-events", body, **(access | headers)).status_code == status


def test_new_connection_data_end_the_tokens_of_the_old(od, path, access):
    services.make_connection_data(connection=od, line_identifier=LINE)
    assert call(f"{path}lifecycle-events", make_body(), **access).status_code == 401


@pytest.mark.parametrize(
    ("address", "status"), [("https://8.8.8.8/new/", 201), ("https://127.0.0.1/", 422), (None, 400)]
)
def test_subscription_is_answered_as_settled(od, path, access, address, status):
    answer = call(f"{path}subscriptions", {"addressingLine": LINE, "callbackUrl": address}, **access)
    kept = get_adapter(od).account.subscriptions.find(LINE).callback_url

    assert (answer.status_code, kept) == (status, address if status == 201 else "https://8.8.8.8/x/")
    assert answer.json() == ({"subscriptionId": "s-1"} if status == 201 else answer.json())


def test_subscription_ends_by_its_id(od, path, access):
    answers = [
        call(f"{path}subscriptions/{each}", method="delete", **access).status_code for each in ("s-2", "s-1", "s-1")
    ]

    assert (answers, get_adapter(od).account.subscriptions.find(LINE).state) == ([404, 204, 404], "closed")
    assert call(f"{path}lifecycle-events", make_body(), **access).status_code == 403


def test_nothing_secret_is_written_of_any_call(path, access, caplog):
    caplog.set_level("DEBUG")
    call(
        f"{path}connect/token", "grant_type=client_credentials&client_id=client&client_secret=s3cret", content_type=FORM
    )
    call(f"{path}subscriptions", {"addressingLine": LINE, "callbackUrl": "https://8.8.8.8/unguessable/"}, **access)
    call(f"{path}lifecycle-events", make_body(), **access)
    call(f"{path}lifecycle-events", make_body(), **(access | {"Authorization": "Bearer other-t0ken"}))
    rows = [repr(vars(row)) for model in (WebhookDelivery, RefusedRequest) for row in model.objects.all()]
    everything = "\n".join([caplog.text, *rows])

    hidden = ["s3cret", access["Authorization"].partition(" ")[2], "unguessable", "other-t0ken"]
    assert [secret for secret in hidden if secret in everything] == []

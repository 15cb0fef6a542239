import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from providers.contract.base import Malformed, NotGenuine
from tests.providers.fakes import Memory

from .samples import CLIENT, RECEIVED, SECRET, make_event, make_seqino, sign, signature

VECTOR = (
    b'{"event_id":"evt_0001","event_type":"webhook.test","timestamp":"2026-01-01T00:00:00Z",'
    b'"sponsor_id":"sponsor-demo"}'
)
VECTOR_SIGNATURE = "0c32a0eca1ebc887b2c54e5c84e96400977dba4fe885b34366c822da363d6b16"


def push(event=None, **headers):
    return sign(json.dumps(event or make_event()).encode(), **headers)


def with_header(request, name, value):
    return replace(request, headers={**request.headers, name: value})


def adapter(**settings):
    return make_seqino(**settings)[0]


# --- is it genuine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_signature_of_the_vector(prefix):
    adapter().verify_webhook(sign(VECTOR, **{"X-Webhook-Signature": prefix + VECTOR_SIGNATURE}))


@pytest.mark.parametrize(
    "shown",
    [
        VECTOR_SIGNATURE[:-1] + "7",
        VECTOR_SIGNATURE.upper(),
        VECTOR_SIGNATURE[:-2],
        "",
        "sha256=",
        "sha512=" + VECTOR_SIGNATURE,
        "é" * 64,
    ],
)
def test_wrong_signature_is_refused(shown):
    with pytest.raises(NotGenuine, match="does not fit"):
        adapter().verify_webhook(sign(VECTOR, **{"X-Webhook-Signature": shown}))


def test_header_of_another_name_and_case():
    request = sign(VECTOR, **{"x-seqino-sIGNATURE": VECTOR_SIGNATURE})
    adapter(signature_header="X-Seqino-Signature").verify_webhook(request)


def test_signature_in_base64():
    shown = base64.b64encode(bytes.fromhex(VECTOR_SIGNATURE)).decode()
    adapter(signature_encoding="base64").verify_webhook(sign(VECTOR, **{"X-Webhook-Signature": shown}))


def test_signature_over_a_timestamp_too():
    request = push(**{"X-Time": "1790000000"})
    shown = signature(b"1790000000." + request.body)
    seqino = adapter(signature_timestamp_header="X-Time")
    seqino.verify_webhook(with_header(request, "X-Webhook-Signature", shown))
    with pytest.raises(NotGenuine):
        seqino.verify_webhook(request)


def test_key_as_bytes_is_tried_only_on_demand():
    shown = hmac.new(bytes.fromhex(SECRET), VECTOR, hashlib.sha256).hexdigest()
    request = sign(VECTOR, **{"X-Webhook-Signature": shown})
    adapter(signature_key_as_bytes=True).verify_webhook(request)
    with pytest.raises(NotGenuine):
        adapter().verify_webhook(request)


def test_secret_entered_by_hand_counts_beside_the_kept_one():
    by_hand = adapter()
    by_hand.account = replace(by_hand.account, secrets={"api_key": "k", "webhook_secret": "by hand"})
    by_hand.verify_webhook(push())
    body = push().body
    by_hand.verify_webhook(sign(body, **{"X-Webhook-Signature": signature(body, "by hand")}))


def test_without_a_secret_nothing_is_genuine():
    empty = sign(VECTOR, **{"X-Webhook-Signature": signature(VECTOR, "")})
    with pytest.raises(NotGenuine, match="register the webhook"):
        make_seqino(secret="")[0].verify_webhook(empty)


def test_stale_event_where_a_limit_is_set():
    old = datetime.now(UTC) - timedelta(hours=1)
    event = make_event(timestamp=old.isoformat())
    adapter().verify_webhook(push(event))
    adapter(max_event_age=7200).verify_webhook(push(event))
    for limited in (push(event), push(make_event(timestamp=None)), push(make_event(timestamp="2099-01-01T00:00:00Z"))):
        with pytest.raises(NotGenuine):
            adapter(max_event_age=600).verify_webhook(limited)


def test_body_larger_than_any_event():
    with pytest.raises(Malformed):
        adapter().verify_webhook(sign(b" " * (256 * 1024 + 1)))


# --- observe mode -----------------------------------------------------------------------------------------------------


def test_observed_push_is_let_in_and_nothing_of_it_applied():
    seqino = adapter(observe_mode=True)
    forged = with_header(push(), "X-Webhook-Signature", "0" * 64)
    seqino.verify_webhook(forged)
    delivery = seqino.parse_webhook(forged)
    assert (delivery.bells, delivery.statuses) == ((), ())
    assert delivery.ignored == "Observed, nothing applied: The signature does not fit."


def test_observed_push_does_not_stand_in_the_way_of_the_genuine_one():
    seqino = adapter(observe_mode=True)
    forged = seqino.parse_webhook(with_header(push(), "X-Webhook-Signature", "0" * 64))
    genuine = seqino.parse_webhook(push())
    assert (genuine.key, forged.key == genuine.key, len(genuine.bells)) == ("evt_7c1f0a9b2d34", False, 1)


def test_observed_push_applies_once_the_settings_are_right():
    request = push(**{"X-Other": signature(push().body)})
    request = with_header(request, "X-Webhook-Signature", "0" * 64)
    assert adapter(observe_mode=True).parse_webhook(request).bells == ()
    assert len(adapter(observe_mode=True, signature_header="X-Other").parse_webhook(request).bells) == 1


def test_good_signature_is_noted_once():
    seqino = adapter(observe_mode=True)
    seqino.verify_webhook(with_header(push(), "X-Webhook-Signature", "0" * 64))
    assert seqino.memory.facts == {}
    seqino.verify_webhook(push())
    (noted,) = seqino.memory.facts.values()
    seqino.memory = Memory(**seqino.memory.facts)
    seqino.verify_webhook(push())
    assert list(seqino.memory.facts.values()) == [noted]


# --- what it says -----------------------------------------------------------------------------------------------------


def parse(event):
    return make_seqino()[0].parse_webhook(push(event))


def test_event_of_an_invoice_only_rings():
    (bell,) = parse(make_event()).bells
    assert (bell.provider_ref, bell.account, bell.is_new_invoice, bell.hint) == (RECEIVED, CLIENT, True, None)


@pytest.mark.parametrize(
    "data",
    [
        {"data": {"invoice_id": RECEIVED}},
        {"data": {"invoice": {"invoice_id": RECEIVED}}},
        {"data": [{"id": "other"}, {"object_id": RECEIVED}]},
        {"data": None, "invoice_id": RECEIVED},
        {"data": {"id": RECEIVED}},
        {"data": {"id": "mandate_1", "related": {"deep": {"invoice_id": RECEIVED}}}},
    ],
)
def test_invoice_is_found_whatever_the_shape(data):
    (bell,) = parse(make_event("invoice.received", **data)).bells
    assert (bell.provider_ref, bell.hint) == (RECEIVED, None)


def test_event_that_names_no_invoice_is_put_aside():
    delivery = parse(make_event(data={"status_code": "APPROVED"}))
    assert (delivery.bells, delivery.ignored, bool(delivery.unclear)) == ((), "", True)


@pytest.mark.parametrize("reference", ["../clients", "a/b", "a b", "", "x" * 300, "é", "a\nX-PDP-Client-Id: b"])
def test_id_that_cannot_stand_in_a_path_is_none(reference):
    assert parse(make_event(data={"invoice_id": reference})).bells == ()


@pytest.mark.parametrize("client", ["a\r\nX-Other: 1", "", "é", None, 7])
def test_client_that_cannot_stand_in_a_header_is_none(client):
    (bell,) = parse(make_event(client_id=client)).bells
    assert bell.account == ""


def test_names_of_ids_are_settings():
    seqino = make_seqino(invoice_id_fields=["facture"], client_id_fields=["tenant"])[0]
    event = make_event(data={"facture": "F-1", "invoice_id": RECEIVED, "tenant": "t-1"})
    (bell,) = seqino.parse_webhook(push(event)).bells
    assert (bell.provider_ref, bell.account) == ("F-1", "t-1")


def test_mandate_event_asks_for_a_poll():
    delivery = parse(make_event("mandate.failed", data={"mandate_id": "m1"}))
    assert (delivery.bells, delivery.poll_soon, bool(delivery.ignored)) == ((), True, True)


def test_test_event_and_unknown_ones_are_kept_and_ignored():
    kinds = ["webhook.test", "invoice.archived", "x" * 200]
    assert [(bool(d.ignored), d.poll_soon, d.bells) for d in map(parse, map(make_event, kinds))] == [
        (True, False, ())
    ] * 3


def test_parsing_asks_nobody():
    seqino, far_end = make_seqino(observe_mode=True)
    assert (seqino.parse_webhook(push()).key, far_end.requests) == ("evt_7c1f0a9b2d34", [])

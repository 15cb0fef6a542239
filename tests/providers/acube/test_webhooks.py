import base64
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from providers.acube import keys
from providers.acube.webhooks import parse_public_key
from providers.contract.base import HookRequest, Malformed, NotGenuine, NotYet
from providers.contract.doors import AT_ONCE, at_the_door
from tests.providers.fakes import Memory

from .samples import COMPONENTS, KEY, OTHER_KEY, OTHER_PEM, PEM, RECEIVED, make_acube, make_event, sign

BODY = json.dumps(make_event()).encode()

# The vector of A-Cube's implementer notes (private key: bytes 01 to 20 hex), not made by the signer of these tests.
VECTOR_BODY = (
    b'{"eventId":"01990000-0000-7000-8000-00000000e001","eventType":"invoice.status","status":"205",'
    b'"statusLabel":"Approved","invoiceUuid":"01990000-0000-7000-8000-00000000a001","direction":"OUTBOUND"}'
)
VECTOR_KEY = "MCowBQYDK2VwAyEAebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="
VECTOR = HookRequest(
    method="POST",
    url="https://hooks.example.test/hooks/acube/c1",
    headers={
        "X-Webhook-Token": "hook-t0ken",
        "Date": "Mon, 21 Sep 2026 14:13:20 GMT",
        "Content-Digest": "sha-256=:gfsw+RYfwXSZFwmoZz6DqT7o4R44OF/fkJynyfmXpA0=:",
        "Signature-Input": (
            'pyhms=("@method" "@authority" "@target-uri" "date" "content-digest");'
            'created=1790000000;keyid="acube";alg="ed25519"'
        ),
        "Signature": (
            "pyhms=:CziBe3OCJcRtILX8zW9aQc4j+VmYCjcjNGorXZ6U3KdwVZLXHwOgYL1hsevpKLq+ESCQPZ0Zi8JzMA5W0qddCA==:"
        ),
    },
    body=VECTOR_BODY,
    received_at=datetime.fromtimestamp(1790000003, tz=UTC),
)


def with_headers(request: HookRequest, **headers: str | None) -> HookRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {**request.headers, **named}
    return replace(request, headers={name: value for name, value in merged.items() if value is not None})


def refusal(request: HookRequest, **settings) -> str:
    adapter, _far_end = make_acube(**settings)
    with pytest.raises(NotGenuine) as caught:
        adapter.verify_webhook(request)
    return str(caught.value)


def test_verify_published_vector():
    adapter, far_end = make_acube({"GET /signature-public-key": (200, {"public_key": VECTOR_KEY})})
    adapter.verify_webhook(VECTOR)
    assert far_end.calls == ["GET /signature-public-key"]


def test_verify_sends_no_token_for_the_public_key():
    adapter, far_end = make_acube()
    adapter.verify_webhook(sign(BODY))
    assert "authorization" not in far_end.requests[0].headers


RAW_KEY = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.parametrize("text", [PEM, VECTOR_KEY, base64.b64encode(RAW_KEY).decode(), f" {VECTOR_KEY}\n"])
def test_public_key_in_every_encoding(text):
    assert parse_public_key(text).public_bytes(Encoding.Raw, PublicFormat.Raw) == RAW_KEY


RSA_PEM = """-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----"""


@pytest.mark.parametrize("text", ["", "abc", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", RSA_PEM])
def test_public_key_of_another_kind_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        parse_public_key(text)


@pytest.mark.parametrize("label", ["sig1", "pyhms", "a-cube"])
def test_verify_any_label(label):
    make_acube()[0].verify_webhook(sign(BODY, label=label))


def test_verify_header_names_in_any_case():
    request = sign(BODY)
    make_acube()[0].verify_webhook(replace(request, headers={k.upper(): v for k, v in request.headers.items()}))


def test_verify_signature_with_more_components_in_another_order():
    make_acube()[0].verify_webhook(sign(BODY, components=("content-type", *reversed(COMPONENTS))))


def test_verify_second_signature_of_somebody_else_beside():
    request = sign(BODY)
    other = with_headers(
        request,
        Signature_Input=f'proxy=("@method");created=1, {request.headers["Signature-Input"]}',
        Signature=f"proxy=:AAAA:, {request.headers['Signature']}",
    )
    make_acube()[0].verify_webhook(other)


def test_verify_digest_with_a_second_algorithm():
    digest = base64.b64encode(hashlib.sha512(BODY).digest()).decode()
    request = sign(BODY)
    request = with_headers(request, Content_Digest=f"{request.headers['Content-Digest']}, sha-512=:{digest}:")
    assert refusal(request) == "The signature does not fit."  # the header itself is signed


@pytest.mark.parametrize("missing", COMPONENTS)
def test_verify_component_not_covered(missing):
    request = sign(BODY, components=tuple(name for name in COMPONENTS if name != missing))
    assert refusal(request) == (
        "No signature of A-Cube's covers @method, @authority, @target-uri, date, content-digest."
    )


@pytest.mark.parametrize("name", ["Date", "Content-Digest", "Signature-Input", "Signature", "X-Webhook-Token"])
def test_verify_header_missing(name):
    request = with_headers(sign(BODY), **{name.replace("-", "_"): None})
    assert refusal(request).lower() == f"the header {name.lower()} is missing."


@pytest.mark.parametrize("name", ["Date", "Content-Digest", "Signature-Input", "Signature", "X-Webhook-Token"])
def test_verify_header_given_twice(name):
    request = sign(BODY)
    twice = replace(request, headers={**request.headers, name.upper(): request.headers[name], name: "other"})
    assert refusal(twice).lower() == f"the header {name.lower()} is given twice."


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"body": BODY.replace(b"205", b"210")}, "The body is not the one of content-digest."),
        ({"method": "PUT"}, "The signature does not fit."),
        ({"url": "https://hooks.example.test/hooks/acube/c2"}, "The signature does not fit."),
        ({"url": "https://other.example.test/hooks/acube/c1"}, "The signature does not fit."),
        ({"url": "http://hooks.example.test/hooks/acube/c1"}, "The signature does not fit."),
    ],
)
def test_verify_altered_request(changed, message):
    assert refusal(replace(sign(BODY), **changed)) == message


def test_verify_altered_date():
    assert refusal(with_headers(sign(BODY), Date="Mon, 21 Sep 2026 14:13:21 GMT")) == "The signature does not fit."


def test_verify_body_altered_with_its_digest():
    forged = BODY.replace(b"205", b"210")
    request = with_headers(sign(BODY), Content_Digest=sign(forged).headers["Content-Digest"])
    assert refusal(replace(request, body=forged)) == "The signature does not fit."


def test_verify_created_altered():
    request = sign(BODY, created=1790000000)
    later = request.headers["Signature-Input"].replace("1790000000", str(int(datetime.now(UTC).timestamp())))
    assert refusal(with_headers(request, Signature_Input=later)) == "The signature does not fit."


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (899, True), (901, False), (-59, True), (-61, False)])
def test_verify_age(seconds, is_good):
    request = sign(BODY, created=1790000000)
    request = replace(request, received_at=datetime.fromtimestamp(1790000000, tz=UTC) + timedelta(seconds=seconds))
    if is_good:
        make_acube()[0].verify_webhook(request)
    else:
        assert refusal(request).startswith("The signature is ")


def test_verify_age_widened_by_setting():
    request = sign(BODY, created=int(datetime.now(UTC).timestamp()) - 40_000)
    make_acube(signature_max_age=43_200)[0].verify_webhook(request)


@pytest.mark.parametrize("changes", [{"keyid": "other"}, {"alg": "hmac-sha256"}, {"components": ("@method",)}])
def test_verify_signature_of_another_kind(changes):
    assert refusal(sign(BODY, **changes)).startswith("No signature of A-Cube's")


@pytest.mark.parametrize(
    "value", ["", "pyhms", "pyhms=:not base64", 'pyhms=("a', "pyhms=1", "é=1", "pyhms=:AAAA:, pyhms=:AAAA:", "(" * 5000]
)
@pytest.mark.parametrize("name", ["Content_Digest", "Signature_Input", "Signature"])
def test_verify_unreadable_header(name, value):
    assert refusal(with_headers(sign(BODY), **{name: value}))


def test_verify_with_another_key():
    assert refusal(sign(BODY, key=OTHER_KEY)) == "The signature does not fit."


@pytest.mark.parametrize("token", ["", "wrong", "hook-t0ken2", "hook-t0ké"])
def test_verify_wrong_secret_asks_for_no_key(token):
    adapter, far_end = make_acube()
    with pytest.raises(NotGenuine, match="does not show the shared secret"):
        adapter.verify_webhook(sign(BODY, token=token))
    assert far_end.calls == []


def test_verify_without_a_secret_of_ours_refuses_everything():
    adapter, _far_end = make_acube()
    adapter.account = replace(adapter.account, secrets={})
    with pytest.raises(NotGenuine, match="does not show the shared secret"):
        adapter.verify_webhook(sign(BODY, token=""))


def test_verify_body_too_large():
    adapter, _far_end = make_acube()
    assert adapter.max_hook_body == 256 * 1024
    with pytest.raises(Malformed, match="larger"):
        adapter.verify_webhook(sign(b" " * (256 * 1024 + 1)))


# --- the key over time ---


def test_key_is_fetched_once_for_many_pushes():
    adapter, far_end = make_acube()
    for _ in range(3):
        adapter.verify_webhook(sign(BODY))
    assert far_end.calls == ["GET /signature-public-key"]


def test_key_is_not_fetched_for_each_forged_push():
    adapter, far_end = make_acube()
    for _ in range(5):
        with pytest.raises(NotGenuine):
            adapter.verify_webhook(sign(BODY, key=OTHER_KEY))
    assert far_end.calls == ["GET /signature-public-key"]


def aged(memory: Memory, hours: float) -> None:
    """As if the key had been fetched `hours` ago."""
    moment = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    memory.facts["signature_key"]["fetched_at"] = memory.facts["signature_key_tried_at"] = moment


def test_key_is_fetched_again_after_a_day():
    memory = Memory()
    adapter, far_end = make_acube(memory=memory)
    adapter.verify_webhook(sign(BODY))
    aged(memory, 25)
    adapter.verify_webhook(sign(BODY))
    assert far_end.calls == ["GET /signature-public-key"] * 2


def test_key_in_hand_serves_while_the_platform_is_down():
    memory = Memory()
    adapter, _far_end = make_acube(
        {"GET /signature-public-key": [(200, {"public_key": PEM}), (500, {})]}, memory=memory
    )
    adapter.verify_webhook(sign(BODY))
    aged(memory, 25)
    adapter.verify_webhook(sign(BODY))


def test_key_changed_is_followed_and_reported():
    memory = Memory()
    keys = [(200, {"public_key": PEM}), (200, {"public_key": OTHER_PEM})]
    adapter, _far_end = make_acube({"GET /signature-public-key": keys}, memory=memory)
    adapter.verify_webhook(sign(BODY))
    aged(memory, 1)
    adapter.verify_webhook(sign(BODY, key=OTHER_KEY))
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(sign(BODY))
    *_others, key_check = adapter.check()
    assert (key_check.name, key_check.ok) == ("signature key", False)
    pinned, _far_end = make_acube(
        {"GET /signature-public-key": keys[1]},
        memory=memory,
        signature_key_pin=memory.facts["signature_key_changed"]["to"],
    )
    *_others, key_check = pinned.check()
    assert key_check.ok


def test_push_that_cannot_be_judged_yet_is_no_forgery_and_comes_again():
    adapter, _far_end = make_acube({"GET /signature-public-key": (500, {})})
    with pytest.raises(NotYet) as caught:
        adapter.verify_webhook(sign(BODY))
    assert (caught.value.status_code, caught.value.retry_after) == (503, keys.FETCH_SECONDS)


def test_push_does_not_wait_for_a_key_where_enough_wait_for_platforms():
    memory = Memory()
    memory.claim(keys.FETCHING_MEMORY, keys.FETCH_SECONDS)  # another process fetches it
    adapter, far_end = make_acube(memory=memory)
    began = time.monotonic()
    with ExitStack() as door:
        for _ in range(AT_ONCE):
            door.enter_context(at_the_door())
        with pytest.raises(NotYet):
            adapter.verify_webhook(sign(BODY))
    assert (far_end.calls, time.monotonic() - began < keys.WAIT_SECONDS) == ([], True)


def test_key_changed_right_after_a_genuine_push_is_followed_at_once():
    answers = [(200, {"public_key": PEM}), (200, {"public_key": OTHER_PEM})]
    adapter, far_end = make_acube({"GET /signature-public-key": answers})
    adapter.verify_webhook(sign(BODY))
    for _time in range(3):
        adapter.verify_webhook(sign(BODY, key=OTHER_KEY))
    assert len(far_end.calls) == 2


def test_forgery_after_a_genuine_push_is_one():
    adapter, _far_end = make_acube()
    adapter.verify_webhook(sign(BODY))
    for _time in range(3):
        with pytest.raises(NotGenuine) as caught:
            adapter.verify_webhook(sign(BODY, key=OTHER_KEY))
        assert caught.value.status_code == 401


def test_pushes_while_another_process_fetches_the_key_wait_for_it():
    """One fetches for all, each with its own copy of what was known."""
    shared = Memory()
    slow = {"GET /signature-public-key": lambda request: time.sleep(0.3) or (200, {"public_key": PEM})}
    adapters = [make_acube(slow, memory=shared) for _thread in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda pair: pair[0].verify_webhook(sign(BODY)), adapters))
    assert sum(len(far_end.calls) for _adapter, far_end in adapters) == 1


def test_key_other_than_the_pinned_one_is_not_followed():
    assert refusal(sign(BODY), signature_key_pin="00" * 32) == "The signature does not fit."


# --- reading ---


def parse(event) -> object:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return make_acube()[0].parse_webhook(sign(body))


def test_parse_status_is_a_bell_with_a_hint():
    delivery = parse(make_event())
    (bell,) = delivery.bells
    assert (delivery.key, bell.provider_ref, bell.is_new_invoice) == (make_event()["eventId"], RECEIVED, False)
    hint = bell.hint
    assert (hint.status, hint.native_status, hint.issuer_role, hint.key) == ("205", "205", "BY", delivery.key)
    assert (hint.occurred_at, hint.raw) == (None, make_event())


@pytest.mark.parametrize(("word", "status"), [("APPROVED", "205"), (205, "205"), ("999", None), ("MYSTERY", None)])
def test_parse_status_words(word, status):
    (bell,) = parse(make_event(status=word)).bells
    assert (bell.hint.status, bell.hint.native_status) == (status, str(word))


def test_parse_paid_is_derived():
    hint = parse(make_event(status="PAID")).bells[0].hint
    assert (hint.status, hint.native_status, hint.note) == ("212", "PAID", "Derived from A-Cube's word “PAID”.")


def test_parse_new_invoice():
    (bell,) = parse(make_event(eventType="invoice.inbound", status="RECEIVED")).bells
    assert (bell.provider_ref, bell.is_new_invoice, bell.hint) == (RECEIVED, True, None)


def test_parse_outbound_stage_announces_and_gives_no_hint():
    (bell,) = parse(make_event(eventType="invoice.outbound", status="PAID")).bells
    assert (bell.is_new_invoice, bell.hint) == (True, None)


@pytest.mark.parametrize("kind", ["legal_entity.onboarding", "legal-entity.onboarding"])
def test_parse_onboarding_is_ignored(kind):
    delivery = parse({"eventId": "e9", "eventType": kind, "status": "ONBOARDED", "legalEntityUuid": "c1"})
    assert (delivery.key, delivery.bells, delivery.ignored) == ("e9", (), "Onboarding of a legal entity: ONBOARDED.")


@pytest.mark.parametrize("kind", ["invoice.melted", "", None, 7])
def test_parse_unknown_event_is_ignored(kind):
    delivery = parse(make_event(eventType=kind))
    assert (delivery.bells, delivery.ignored) == ((), f"Unknown event type “{'' if kind is None else kind}”.")


@pytest.mark.parametrize("event_id", [None, "", "x" * 101, {"a": 1}])
def test_parse_without_usable_identity_takes_the_body(event_id):
    body = json.dumps(make_event(eventId=event_id)).encode()
    assert parse(body).key == hashlib.sha256(body).hexdigest()


def test_parse_status_missing_rings_without_a_hint():
    assert parse(make_event(status=None)).bells[0].hint is None


@pytest.mark.parametrize("reference", [None, "", "../../login", "a/b", "a b", 7.5, "x" * 101, "é"])
def test_parse_event_naming_no_invoice(reference):
    with pytest.raises(Malformed, match="names no invoice"):
        parse(make_event(invoiceUuid=reference))


def test_parse_text_no_database_holds_is_cleaned():
    hint = parse(make_event(status="A\x00B\ud800")).bells[0].hint
    assert (hint.native_status, hint.raw["status"]) == ("AB", "AB")

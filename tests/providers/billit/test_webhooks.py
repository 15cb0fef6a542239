"""What Billit pushes: the signature, the call that carries a secret, the two shapes of payload."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from providers.billit import webhooks
from providers.billit.hooks import vault_name
from providers.contract.base import Malformed, NotGenuine, Nowhere, Reply, ShortVault

from .samples import (
    HOOK_SECRETS,
    LINE,
    XML_FILE,
    dump,
    make_account,
    make_billit,
    make_line,
    make_vault,
    shape_a,
    shape_b,
    sign,
)

# Computed by hand once, with openssl: nothing of ours may change it.
VECTOR_BODY = (
    b'{"UpdatedEntityID":501,"UpdatedEntityType":"Message","WebhookUpdateTypeTC":"U","EntityDetail":{"OrderID":9001}}'
)
VECTOR = "c40be827f90fac7d73d0f2b5f0204f74fdb9370d27636591197405234f0c888a"
VECTOR_SECRET, VECTOR_TIME = "whk-test-secret-01", 1767225600
BRUSSELS = ZoneInfo("Europe/Brussels")


def vector(header=f"t={VECTOR_TIME},s={VECTOR}", body=VECTOR_BODY, age=0):
    request = sign(body, header=header)
    return replace(request, received_at=datetime.fromtimestamp(VECTOR_TIME + age, UTC))


def check(request, secret=VECTOR_SECRET, max_age=300):
    webhooks.check_signature(request, secret=secret, max_age=max_age)


# --- the signature ---


@pytest.mark.parametrize(
    "header",
    [
        f"t={VECTOR_TIME},s={VECTOR}",
        f"t={VECTOR_TIME}, s={VECTOR}",
        f" s={VECTOR} ,\tt={VECTOR_TIME} ",
        f"v=2,t={VECTOR_TIME},s={VECTOR},x",
    ],
)
@pytest.mark.parametrize("age", [0, 300, -300])
def test_vector_is_genuine(header, age):
    check(vector(header, age=age))


@pytest.mark.parametrize(
    "request_",
    [
        vector(body=VECTOR_BODY.replace(b"501", b"502")),
        vector(body=json.dumps(json.loads(VECTOR_BODY)).encode()),
        vector(age=301),
        vector(age=-301),
        vector(f"t={VECTOR_TIME}"),
        vector(f"s={VECTOR}"),
        vector("", age=0),
        vector(f"t={VECTOR_TIME},s={VECTOR},s={VECTOR}"),
        vector(f"t={VECTOR_TIME},t={VECTOR_TIME},s={VECTOR}"),
        vector(f"t={VECTOR_TIME},s={VECTOR.upper()}"),
        vector(f"t={VECTOR_TIME},s={VECTOR[:-1]}0"),
        vector(f"t={VECTOR_TIME},s={VECTOR[:-1]}"),
        vector(f"t={VECTOR_TIME},s="),
        vector(f"t={VECTOR_TIME}.0,s={VECTOR}"),
        vector(f"t=soon,s={VECTOR}"),
        vector(f"t={VECTOR_TIME},s=é{VECTOR}"),
        vector(f"t=\u0661{VECTOR_TIME},s={VECTOR}"),
    ],
)
def test_spoiled_vector_is_not_genuine(request_):
    with pytest.raises(NotGenuine):
        check(request_)


@pytest.mark.parametrize("secret", ["", "whk-test-secret-02"])
def test_other_secret_is_not_genuine(secret):
    with pytest.raises(NotGenuine):
        check(vector(), secret=secret)


def test_each_webhook_has_its_own_secret():
    adapter, _far_end = make_billit()
    body = dump(shape_b())
    for slug in HOOK_SECRETS:
        adapter.verify_webhook(sign(body, slug=slug))
        for other in set(HOOK_SECRETS) - {slug}:
            with pytest.raises(NotGenuine):
                adapter.verify_webhook(sign(body, slug=slug, secret=HOOK_SECRETS[other]))


def test_renewed_secret_is_taken_up_by_an_open_door():
    vault = make_vault()
    adapter, _far_end = make_billit(account=make_account(vault=vault))
    adapter.verify_webhook(sign(b"{}"))
    vault.change(vault_name(LINE, "message-u"), secret="renewed")
    adapter.verify_webhook(sign(b"{}", secret="renewed"))
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(sign(b"{}"))


def test_body_too_large():
    adapter, _far_end = make_billit()
    with pytest.raises(Malformed):
        adapter.verify_webhook(sign(b" " * (webhooks.MAX_BODY + 1)))


# --- the call that carries the secret ---

NEW_SECRET = "s3cret-handed-over"
CONFIRMATIONS = {
    "at the top": {"WebhookID": 71, "Secret": NEW_SECRET},
    "in the detail": {"UpdatedEntityType": "Webhook", "EntityDetail": {"Secret": NEW_SECRET}},
    "deeper, in small letters": {"EntityDetail": {"Webhook": {"secret": f" {NEW_SECRET} "}}},
}


def awaiting(*, secret="", minutes=0, slug="message-u"):
    vault = ShortVault()
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    vault.change(vault_name(LINE, slug), state="awaiting_confirmation", since=since.isoformat(), secret=secret)
    adapter, _far_end = make_billit(account=make_account(vault=vault))
    return adapter, lambda: vault.get(vault_name(LINE, slug))


def confirmation(body, **changes):
    return replace(sign(dump(body), header="none"), **changes)


@pytest.mark.parametrize("shape", CONFIRMATIONS)
def test_awaited_confirmation_hands_over_the_secret(shape):
    adapter, kept = awaiting()
    assert adapter.serve(confirmation(CONFIRMATIONS[shape])) == Reply(status_code=204)
    assert (kept()["secret"], kept()["state"]) == (NEW_SECRET, "active")
    adapter.verify_webhook(sign(b"{}", secret=NEW_SECRET))


def test_secret_of_the_registration_comes_first():
    adapter, kept = awaiting(secret="told-by-the-answer")
    adapter.serve(confirmation(CONFIRMATIONS["at the top"]))
    assert (kept()["secret"], kept()["state"]) == ("told-by-the-answer", "active")


def test_second_confirmation_is_refused():
    adapter, kept = awaiting()
    adapter.serve(confirmation(CONFIRMATIONS["at the top"]))
    with pytest.raises(NotGenuine):
        adapter.serve(confirmation({"Secret": "of-somebody-else"}))
    assert kept()["secret"] == NEW_SECRET


@pytest.mark.parametrize("minutes", [16, 600])
def test_late_confirmation_is_refused(minutes):
    adapter, kept = awaiting(minutes=minutes)
    with pytest.raises(NotGenuine):
        adapter.serve(confirmation(CONFIRMATIONS["at the top"]))
    assert kept()["secret"] == ""


@pytest.mark.parametrize(
    "changes", [{"rest": "message-i"}, {"line": make_line("999000029_COMPTA")}, {"line": None}], ids=str
)
def test_confirmation_at_another_address_is_refused(changes):
    adapter, kept = awaiting()
    with pytest.raises(NotGenuine):
        adapter.serve(confirmation(CONFIRMATIONS["at the top"], **changes))
    assert kept()["secret"] == ""


def test_confirmation_shows_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    shown = []
    for adapter, _kept in (awaiting(), awaiting(minutes=600)):
        request = confirmation(CONFIRMATIONS["at the top"])
        try:
            shown.append(repr(adapter.serve(request)))
        except NotGenuine as error:
            shown.append(repr(error))
        shown += [repr(request), repr(vars(adapter)), repr(adapter.account)]
    assert len(shown) == 8
    assert NEW_SECRET not in "\n".join([*shown, caplog.text])


@pytest.mark.parametrize(
    "body",
    [
        dump(shape_b(Description="The Secret Garden")),
        dump({"Secret": ""}),
        dump({"Secret": 7}),
        b'{"Secret": "cut off',
        b"Secret",
        b'{"a":' * 50_000 + b'"Secret"',
        dump({"a": {"b": {"c": {"d": {"Secret": "too deep"}}}}}),
    ],
    ids=lambda body: body[:30].decode(),
)
def test_push_without_a_secret_is_left_to_the_door(body):
    adapter, _kept = awaiting()
    assert adapter.serve(replace(sign(body), headers={})) is None


@pytest.mark.parametrize("rest", ["", "message", "message-i/x", "order-u"])
def test_nothing_else_is_below_the_address(rest):
    with pytest.raises(Nowhere):
        make_billit()[0].serve(replace(sign(b"{}"), rest=rest))


def test_only_post_is_taken():
    with pytest.raises(Malformed):
        make_billit()[0].serve(replace(sign(b"{}"), method="DELETE"))


# --- what it says ---


def parse(event, **changes):
    return webhooks.parse(replace(sign(dump(event)), **changes), BRUSSELS)


def test_both_shapes_tell_the_same():
    first, second = shape_a(), shape_b("Refused")
    detail, block = first["EntityDetail"], second["EntityDetail"]["OrderMessage"]
    block |= {name: detail[name] for name in ("Description", "FileID", "Destination")}
    block["CreationDate"] = "2026-10-06T00:00:00"
    second |= {"UpdatedEntityID": 7301, "WebhookUpdateTypeTC": "U"}
    second["EntityDetail"]["AdditionalMessageInformation"]["AdditionalFlowStateInformation"] = "Duplicate invoice"
    assert webhooks.parse_message(first, BRUSSELS) == webhooks.parse_message(second, BRUSSELS)


def test_message_in_full():
    message = webhooks.parse_message(shape_b(), BRUSSELS)
    assert (message.order, message.message, message.word, message.file) == ("9001", "7302", "Accepted", XML_FILE)
    assert message.created_at == datetime(2026, 10, 5, 9, 12, 44, 300000, BRUSSELS)
    assert (message.is_outgoing, message.destination) == (False, "0242:000099")


def test_state_block_is_found_wherever_it_stands():
    event = shape_b("")
    event["EntityDetail"]["OrderMessage"]["MessageAdditionalInformation"] = {"EInvoiceFlowState": "Sent"}
    assert webhooks.parse_message(event, BRUSSELS).word == "Sent"


@pytest.mark.parametrize(
    ("word", "status"),
    [("Sent", "201"), ("Accepted", "202"), ("Delivered", "203"), ("Refused", None), ("Parked", None)],
)
@pytest.mark.parametrize("shape", [shape_a, shape_b])
def test_flow_states(shape, word, status):
    (bell,) = parse(shape(word)).bells
    assert (bell.provider_ref, bell.account, bell.is_new_invoice) == ("9001", LINE, False)
    assert (bell.hint.status, bell.hint.native_status, bell.hint.derived) == (status, word, status is not None)
    assert bell.hint.occurred_at is None


@pytest.mark.parametrize("shape", [shape_a, shape_b])
@pytest.mark.parametrize("text", ["205", "Approved", "The buyer has approved and paid the invoice"])
def test_accepted_is_never_an_approval(shape, text):
    event = shape("Accepted", Description=text, AdditionalFlowStateInformation=text)
    assert [bell.hint.status for bell in parse(event).bells] == ["202"]


def test_refused_says_that_the_cause_is_unknown():
    (bell,) = parse(shape_a()).bells
    assert bell.hint.note == (
        "Billit does not say who refused it, nor why: look at the order in MyBillit, or ask the other party. "
        "Invoice refused. Duplicate invoice"
    )


def test_update_and_insertion_are_two_deliveries_of_one_fact():
    first, second = shape_b() | {"WebhookUpdateTypeTC": "U"}, shape_b()
    assert parse(first).key != parse(second).key
    assert parse(first).bells[0].hint == parse(second).bells[0].hint


def test_milestone_of_another_message_is_the_same_fact_and_a_refusal_is_not():
    for word, same in (("Delivered", True), ("Refused", False), ("Parked", False)):
        keys = {parse(shape_b(word) | {"UpdatedEntityID": number}).bells[0].hint.key for number in (1, 2)}
        assert (len(keys) == 1) == same


def test_same_body_for_two_companies_is_two_deliveries():
    assert parse(shape_b()).key != parse(shape_b(), line=make_line("999000029_COMPTA", "8002")).key


@pytest.mark.parametrize(
    "event",
    [
        shape_b("", MessageDirection="Outgoing"),
        shape_b("", FileID=None, Description="Tax report in progress"),
        shape_b() | {"WebhookUpdateTypeTC": "D"},
        shape_b() | {"WebhookUpdateTypeTC": None},
        shape_b() | {"UpdatedEntityType": "Document"},
        shape_b() | {"UpdatedEntityType": None},
    ],
    ids=lambda event: str(event)[:90],
)
def test_what_tells_no_status_is_ignored(event):
    delivery = parse(event)
    assert (delivery.bells, bool(delivery.ignored)) == ((), True)


def test_answer_without_a_state_is_looked_at():
    (bell,) = parse(shape_b("")).bells
    assert (bell.provider_ref, bell.hint) == ("9001", None)


def test_order_is_announced():
    event = {"UpdatedEntityID": 9002, "UpdatedEntityType": "Order", "WebhookUpdateTypeTC": "I", "EntityDetail": None}
    (bell,) = parse(event).bells
    assert (bell.provider_ref, bell.is_new_invoice, bell.hint, bell.account) == ("9002", True, None, LINE)


@pytest.mark.parametrize("number", [0, -1, "09", "9" * 20, 1.5, True, None, "../x", [9001]])
def test_order_number_that_is_none(number):
    with pytest.raises(Malformed):
        parse(shape_a(OrderID=number))
    with pytest.raises(Malformed):
        parse({"UpdatedEntityID": number, "UpdatedEntityType": "Order", "WebhookUpdateTypeTC": "I"})

"""Pushes: signed in one of three ways (1.3), or with a shared secret (1.1, 1.2)."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from providers.afnor.flows import parse_time
from providers.afnor.webhooks import sign as our_signature
from providers.contract.base import NotGenuine
from tests.providers.fakes import Memory

from .samples import HOOK_TOKEN, SIGNING_KEY, KnownVault, make_afnor, show_token, sign

# Test vectors computed apart from our code.
BODY = (
    b'{"flowId":"fl-0001","name":"F-2026-0001.xml","flowSyntax":"UBL","flowType":"CustomerInvoice",'
    b'"flowDirection":"Out","acknowledgement":{"status":"Ok"}}'
)
TIMESTAMP = "1790000000"
VECTORS = {
    "A": "LucpmlIELecMlIV+BeIhG33c3XBoesZl1L3guidPXrw=",
    "B": "c0LnEeH+odJ95C4Gs29/bN04gPNCNrYYC+MFSvQBCcM=",
    "C": "8DLbGoMGCYZyE0N6SgnoQTuUk+CpVEMOTZbEa3A/3og=",
}
ALL = ["A", "B", "C"]


def refusal(afnor, request):
    with pytest.raises(NotGenuine) as caught:
        afnor.verify_webhook(request)
    return str(caught.value)


@pytest.mark.parametrize("variant", ALL)
def test_signature_is_the_one_of_the_test_vector(variant):
    assert our_signature(variant, base64.b64decode(SIGNING_KEY), BODY, TIMESTAMP) == VECTORS[variant]


@pytest.mark.parametrize("variant", ALL)
def test_vector_is_accepted_at_its_time(variant):
    headers = {"Afnor-Signature": VECTORS[variant], "AFNOR-SIGNATURE-TIMESTAMP": TIMESTAMP}
    moment = datetime.fromtimestamp(int(TIMESTAMP), UTC)
    make_afnor()[0].verify_webhook(replace(sign(BODY), headers=headers, received_at=moment))


@pytest.mark.parametrize("variant", ALL)
def test_first_variant_that_fits_is_learned_and_only_it_accepted_afterwards(variant):
    memory = Memory()
    afnor, _far_end = make_afnor(memory=memory)
    afnor.verify_webhook(sign(BODY, variant=variant))
    afnor.verify_webhook(sign(BODY, variant=variant))
    assert memory.facts == {"signature_variant": variant}

    for other in set(ALL) - {variant}:
        words = f"The signature is of variant {other}, but only {variant} is accepted."
        assert refusal(afnor, sign(BODY, variant=other)) == words
    assert memory.facts == {"signature_variant": variant}


def test_forged_push_teaches_nothing():
    memory = Memory()
    afnor, _far_end = make_afnor(memory=memory)
    refusal(afnor, sign(BODY, key="b3RoZXI="))
    assert memory.facts == {}


def test_stale_push_teaches_nothing():
    memory = Memory()
    afnor, _far_end = make_afnor(memory=memory)
    request = sign(BODY, variant="A")
    refusal(afnor, replace(request, received_at=request.received_at + timedelta(hours=1)))
    assert memory.facts == {}


@pytest.mark.parametrize("chosen", ALL)
def test_variant_that_a_person_chose_rules_over_what_was_learned(chosen):
    afnor, _far_end = make_afnor(memory=Memory(signature_variant="A"), signature_variant=chosen)
    afnor.verify_webhook(sign(BODY, variant=chosen))
    refusal(afnor, sign(BODY, variant="A" if chosen != "A" else "B"))


def test_any_of_our_webhooks_keys_is_accepted_and_an_ended_one_is_not():
    other = base64.b64encode(bytes(64)).decode()
    vault = KnownVault(webhooks={"w-1": SIGNING_KEY, "w-2": other, "w-3": "", "token": HOOK_TOKEN})
    afnor, _far_end = make_afnor(vault=vault)
    afnor.verify_webhook(sign(BODY))
    afnor.verify_webhook(sign(BODY, key=other))
    vault.change("webhooks", **{"w-2": ""})
    refusal(afnor, sign(BODY, key=other))


@pytest.mark.parametrize("kept", [{}, {"webhooks": {"token": HOOK_TOKEN}}, {"webhooks": {"w-1": "no base64!"}}])
def test_without_a_key_everything_is_refused(kept):
    afnor, _far_end = make_afnor(vault=KnownVault(**kept))
    assert refusal(afnor, sign(BODY)) == "No signing key is known: register the webhooks."
    assert refusal(afnor, sign(BODY, key="")) == "No signing key is known: register the webhooks."


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1.5", "²", "9" * 16])
def test_timestamp_must_be_a_number_of_seconds(timestamp):
    refusal(make_afnor()[0], sign(BODY, timestamp=timestamp))


@pytest.mark.parametrize(("late", "allowed"), [(299, 300), (301, 300), (301, 600), (-200, 300), (-400, 300)])
def test_age_of_a_signature_is_bounded(late, allowed):
    afnor, _far_end = make_afnor(signature_max_age=allowed)
    request = sign(BODY)
    request = replace(request, received_at=request.received_at + timedelta(seconds=late))
    if -300 <= late <= allowed:
        afnor.verify_webhook(request)
    else:
        refusal(afnor, request)


@pytest.mark.parametrize("contract", ["1.1", "1.2"])
def test_shared_secret_is_what_counts_before_1_3(contract):
    afnor, _far_end = make_afnor(contract=contract)
    afnor.verify_webhook(show_token(BODY))
    for request in (show_token(BODY, "other"), show_token(BODY, ""), show_token(BODY, name="X-Other"), sign(BODY)):
        refusal(afnor, request)


def test_secret_a_person_entered_rules_over_ours():
    afnor, _far_end = make_afnor(contract="1.1", secrets={"webhook_token": "by-hand"}, webhook_header="X-Mine")
    afnor.verify_webhook(show_token(BODY, "by-hand", "x-mine"))
    refusal(afnor, show_token(BODY, HOOK_TOKEN, "X-Mine"))


def test_without_a_secret_everything_is_refused():
    afnor, _far_end = make_afnor(contract="1.2", vault=KnownVault())
    refusal(afnor, show_token(BODY, ""))


def test_contract_1_3_does_not_take_a_shared_secret_for_a_signature():
    refusal(make_afnor()[0], show_token(BODY))


@pytest.mark.parametrize("body", [BODY, b'{"flowInfo": ' + BODY + b"}"], ids=["flat", "wrapped"])
def test_push_points_to_its_flow_and_nothing_else_of_it_counts(body):
    delivery = make_afnor()[0].parse_webhook(sign(body))
    assert (delivery.points_to, delivery.bells, delivery.statuses, delivery.verdicts) == ("fl-0001", (), (), ())


@pytest.mark.parametrize("told", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_time_at_the_end_of_the_calendar_is_none(told):
    assert parse_time(told) is None

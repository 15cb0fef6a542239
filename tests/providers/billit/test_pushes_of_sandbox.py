"""The sandbox's webhooks when they misbehave, at our door."""

import pytest

from providers.contract.base import PermanentError

from .stage import adapter as adapter
from .stage import client as client
from .stage import codes, deposit, issue, make_message, report
from .stage import door as door
from .stage import sandbox as sandbox


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "stale_signature", "wrong_token"])
def test_spoiled_webhook_is_refused_and_its_retry_taken(sandbox, adapter, door, trick):
    sandbox.control("faults", kind=trick)
    reference = deposit(sandbox)
    assert (door.refused, [bell.provider_ref for bell in door.bells]) == ([401], [reference])


def test_malformed_webhook_is_refused_and_its_retry_taken(sandbox, adapter, door):
    sandbox.control("faults", kind="malformed_body")
    reference = deposit(sandbox)
    assert (door.refused, [bell.provider_ref for bell in door.bells]) == ([400], [reference])


def test_webhook_that_comes_twice_has_one_key(sandbox, adapter, door):
    sandbox.control("faults", kind="twice")
    deposit(sandbox)
    assert len(door.deliveries) == 2
    assert len({delivery.key for delivery in door.deliveries}) == 1


def test_webhooks_out_of_order_tell_the_same(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="out_of_order", path="Message U")
    sandbox.control("status", invoice=reference, status="201")
    report(sandbox, reference, "203")
    assert (door.words, door.refused) == (["Delivered", "Sent"], [])
    assert codes(adapter, reference) == ["201", "203"]


def test_late_webhook_comes_all_the_same(sandbox, adapter, door):
    sandbox.control("faults", kind="late", delay=0.2)
    assert [bell.provider_ref for bell in door.bells] == []
    reference = deposit(sandbox)
    assert [bell.provider_ref for bell in door.bells] == [reference]


def test_stranger_is_rung_for_beside_the_news(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="unknown_invoice", path="Message")
    report(sandbox, reference, "203")
    rung = {bell.provider_ref for bell in door.bells if bell.hint}
    assert (len(rung), reference in rung) == (2, True)
    with pytest.raises(PermanentError):
        adapter.fetch_invoice((rung - {reference}).pop())


def test_unknown_state_before_the_news(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="unknown_status", path="Message")
    report(sandbox, reference, "203")
    assert sorted(door.words) == ["Delivered", "XYZ"]


def test_missing_echo_is_found_by_looking(sandbox, adapter, door):
    message = make_message(adapter, deposit(sandbox))
    sandbox.control("faults", kind="no_echo")
    adapter.send_status(message)
    sandbox.wait_idle()
    assert (door.words, adapter.find_status(message).confirmed) == ([], True)

"""No far end can hold a caller longer than the deadline, whatever it does between two bytes."""

import time

import httpx
import pytest

from providers.connections import registry
from providers.contract import http
from providers.contract.base import TemporaryError, UncertainError
from providers.network.callbacks import Policy
from providers.network.deadlines import within
from tests.providers.drips import DRIPS, dripping

SECONDS = 0.3
INSIDE = Policy(private=True, plain=True)


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch):
    monkeypatch.setattr(http, "LONGEST_ANSWER_SECONDS", SECONDS)
    monkeypatch.setattr(http, "LONGEST_RECEIPT_SECONDS", SECONDS)


def make_wire(policy=INSIDE):
    client = registry.http_client(policy)
    return http.Wire(client, platform="Nimbus")


def seconds_until(error, *, url, repeatable, **options):
    began = time.monotonic()
    with pytest.raises(error):
        make_wire().exchange("POST", url, repeatable=repeatable, **options)
    return time.monotonic() - began


@pytest.mark.parametrize("name", DRIPS)
def test_exchange_ends_while_the_far_end_drips(name):
    with dripping(name) as drip:
        assert SECONDS / 2 < seconds_until(TemporaryError, url=drip.url, repeatable=True) < 4 * SECONDS


def test_statement_that_met_a_drip_is_uncertain():
    with dripping("endless continue") as drip:
        assert seconds_until(UncertainError, url=drip.url, repeatable=False) < 4 * SECONDS


def test_body_that_nobody_takes_in_ends_too():
    with dripping("nothing", reads=False) as drip:
        took = seconds_until(UncertainError, url=drip.url, repeatable=False, content=b"x" * 20_000_000)
    assert took < 4 * SECONDS


def test_outer_deadline_counts_over_several_exchanges(monkeypatch):
    monkeypatch.setattr(http, "LONGEST_ANSWER_SECONDS", 60)
    began = time.monotonic()
    with dripping("body") as drip, within(SECONDS):
        for _call in range(3):
            with pytest.raises(TemporaryError):
                make_wire().exchange("GET", drip.url, repeatable=True)
    assert time.monotonic() - began < 4 * SECONDS


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "compress"])
def test_codings_that_were_not_asked_for_are_no_answer(coding):
    def answer(request):
        return httpx.Response(200, headers={"content-encoding": coding}, stream=httpx.ByteStream(b"x"))

    wire = http.Wire(httpx.Client(transport=httpx.MockTransport(answer)), platform="Nimbus")
    with pytest.raises(TemporaryError):
        wire.exchange("GET", "https://api.example.test/", repeatable=True)

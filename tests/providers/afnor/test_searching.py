"""Polling: nothing is missed, however the platform pages, and nothing is read without end."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from providers.afnor import searching
from providers.contract.base import PermanentError, TemporaryError
from tests.providers.fakes import Memory

from .samples import SEARCH, asked, found, make_afnor, make_flow, sign

POST = f"POST {SEARCH}"
START = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)
FOLLOWED = ["CustomerInvoice", "SupplierInvoice", "CustomerInvoiceLC", "SupplierInvoiceLC"]


def shown(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(seconds, flow_id=None, **changes):
    return make_flow(flow_id or f"fl-{seconds}", updatedAt=shown(START + timedelta(seconds=seconds)), **changes)


class Platform:
    """Answers searches as a platform does: the oldest that match, at most `cap`, in any order."""

    def __init__(self, *flows, cap=100, has_cursor=False, tells_limit=True, is_strict=True):
        self.flows = list(flows)
        self.cap, self.has_cursor, self.tells_limit, self.is_strict = cap, has_cursor, tells_limit, is_strict
        self.searches = []

    def __call__(self, request):
        wish = asked(request)
        self.searches.append(wish)
        where, limit = wish["where"], min(wish["limit"], self.cap)
        rows = sorted(filter(lambda flow: self._matches(flow, where), self.flows), key=lambda row: row["updatedAt"])
        start = int(wish.get("cursor", 0)) if self.has_cursor else 0
        page = rows[start : start + limit]
        random.Random(len(self.searches)).shuffle(page)
        more = {"nextCursor": str(start + limit)} if self.has_cursor and start + limit < len(rows) else {}
        return 200, {"limit": limit if self.tells_limit else wish["limit"], "results": page, **more}

    def _matches(self, flow, where):
        updated, after = (
            datetime.fromisoformat(t) for t in (flow["updatedAt"], where.get("updatedAfter", "2000-01-01T00:00:00Z"))
        )
        return (
            flow["flowType"] in where["flowType"]
            and flow["flowDirection"] in where.get("flowDirection", ["In", "Out"])
            and (updated > after or (updated == after and not self.is_strict))
        )


def poll(platform, cursor=None, memory=None, **settings):
    settings = {"contract": "1.3" if platform.has_cursor else "1.2"} | settings
    afnor, _far_end = make_afnor({POST: platform}, memory, **settings)
    page = afnor.poll(cursor or {})
    return [json.loads(push.body)["flowId"] for push in page.pushes], dict(page.cursor)


def ids(*numbers):
    return [f"fl-{number}" for number in numbers]


@pytest.fixture(params=[False, True], ids=["1.2", "1.3"])
def has_cursor(request):
    return request.param


# --- what is asked ---


def test_first_poll_reads_everything_of_concern(has_cursor):
    platform = Platform(at(2), at(1), at(3, flowType="StateInvoice"), has_cursor=has_cursor)
    got, cursor = poll(platform)

    assert (got, platform.searches) == (ids(1, 2), [{"where": {"flowType": FOLLOWED}, "limit": 100}])
    assert cursor["done"] == "2026-09-21T12:00:02.000000Z"


def test_next_poll_looks_back_a_little(has_cursor):
    platform = Platform(at(0), at(700), at(1000), has_cursor=has_cursor)
    _got, cursor = poll(platform)
    got, _cursor = poll(platform, cursor, replay_hours=0)

    assert platform.searches[-1]["where"]["updatedAfter"] == "2026-09-21T12:06:40.000000Z"
    assert got == ids(700, 1000)


def test_once_a_day_a_poll_looks_back_three_days(has_cursor):
    now = datetime.now(UTC)
    platform = Platform(has_cursor=has_cursor)
    cursor = {"done": now.isoformat(), "replayed": (now - timedelta(hours=25)).isoformat()}
    _got, after = poll(platform, cursor)
    poll(platform, after)

    looked_back = [now - datetime.fromisoformat(search["where"]["updatedAfter"]) for search in platform.searches]
    assert [round(back.total_seconds() / 60) for back in looked_back] == [72 * 60, 10]


def test_account_without_flows_is_asked_for_everything_again(has_cursor):
    platform = Platform(has_cursor=has_cursor)
    _got, cursor = poll(platform)
    poll(platform, cursor)
    assert [search["where"] for search in platform.searches] == [{"flowType": FOLLOWED}] * 2


# --- long lists ---


@pytest.mark.parametrize("tells_limit", [True, False])
def test_long_list_is_read_to_its_end(has_cursor, tells_limit):
    cap = 7 if tells_limit else 100
    platform = Platform(*map(at, range(230)), cap=cap, has_cursor=has_cursor, tells_limit=tells_limit)
    got, cursor = poll(platform)

    assert got == ids(*range(230))
    assert cursor["done"] == shown(START + timedelta(seconds=229)).replace("000Z", "000000Z")


def test_page_that_ends_in_the_middle_of_an_instant_misses_nothing():
    flows = [at(1, f"a{n}") for n in range(5)] + [at(2, f"b{n}") for n in range(4)] + [at(3, "c")]
    got, _cursor = poll(Platform(*flows, cap=7))
    assert sorted(got) == sorted(flow["flowId"] for flow in flows)


@pytest.mark.parametrize("kinds", [(0, 1), (0, 0)], ids=["two types", "one type both ways"])
def test_instant_that_fills_a_page_is_split_by_type_and_direction(kinds):
    ways = ("In", "Out")
    flows = [
        at(5, f"x{n}", flowType=FOLLOWED[kinds[n % 2]], flowDirection=ways[n % 2]) for n in range(10)
    ] + [at(4, "before"), at(6, "after")]  # fmt: skip
    memory = Memory()
    got, _cursor = poll(Platform(*flows, cap=6), memory=memory)

    assert (sorted(got), memory.facts) == (sorted(flow["flowId"] for flow in flows), {})


@pytest.mark.parametrize("count", [5, 10])
def test_platform_that_is_not_strict_is_read_to_its_end(count):
    flows = [at(5, f"x{n}", flowDirection=("In", "Out")[n % 2]) for n in range(count)] + [at(6, "a"), at(7, "b")]
    platform = Platform(*flows, cap=6, is_strict=False)
    got, cursor = poll(platform)

    assert sorted(got) == sorted(flow["flowId"] for flow in flows)
    assert (len(platform.searches) < 20, cursor["done"]) == (True, "2026-09-21T12:00:07.000000Z")


def test_instant_that_no_split_helps_is_told_and_does_not_hold_up_the_rest(caplog):
    flows = [at(5, f"x{n}") for n in range(10)] + [at(6, "after")]
    memory = Memory()
    got, cursor = poll(Platform(*flows, cap=6), memory=memory)

    assert (len(got), got[-1], cursor["done"]) == (7, "after", "2026-09-21T12:00:06.000000Z")
    assert memory.get(searching.LOST_MEMORY) == {
        "type": "SupplierInvoice",
        "direction": "In",
        "at": "2026-09-21T12:00:05.000000Z",
    }
    assert "more flows changed at one instant than a page holds" in caplog.text


def test_very_long_list_is_read_in_several_polls(has_cursor, monkeypatch):
    monkeypatch.setattr(searching, "BATCHES_PER_POLL", 3)
    platform = Platform(*map(at, range(100)), cap=10, has_cursor=has_cursor)
    cursor, got, polls = {}, [], 0
    while "done" not in cursor:
        more, cursor = poll(platform, json.loads(json.dumps(cursor)))
        got, polls = got + more, polls + 1

    assert (sorted(set(got)), polls) == (sorted(ids(*range(100))), 4)
    assert len(got) < 120


def test_flow_that_changes_while_the_list_is_read_comes_again():
    first, changed = at(1, "x", acknowledgement={"status": "Pending"}), at(2, "x")
    platform = Platform(first, *map(at, range(3, 8)), cap=3)
    _got, _cursor = poll(platform)
    platform.flows[0] = changed
    got, _cursor = poll(platform)
    assert got.count("x") == 1


def test_cursor_the_platform_no_longer_knows_starts_its_search_anew(monkeypatch):
    monkeypatch.setattr(searching, "BATCHES_PER_POLL", 1)
    platform = Platform(*map(at, range(4)), cap=3, has_cursor=True)
    _got, cursor = poll(platform)
    monkeypatch.setattr(searching, "BATCHES_PER_POLL", 5)

    refusals = []

    def forgetful(request):
        if asked(request).get("cursor") != "3" or refusals:
            return platform(request)
        refusals.append(request)
        return 400, {"errorCode": "X"}

    afnor, _far_end = make_afnor({POST: forgetful})
    page = afnor.poll(cursor)

    assert ([json.loads(push.body)["flowId"] for push in page.pushes], len(refusals)) == (ids(0, 1, 2, 3), 1)


def test_search_that_is_refused_from_the_start_is_an_error():
    afnor, _far_end = make_afnor({POST: (400, {"errorCode": "X"})})
    with pytest.raises(PermanentError):
        afnor.poll({})


def test_search_that_breaks_off_moves_nothing_on():
    platform = Platform(*map(at, range(30)), cap=10, has_cursor=True)
    afnor, _far_end = make_afnor({POST: [platform, (500, {})]})
    with pytest.raises(TemporaryError):
        afnor.poll({})


@pytest.mark.parametrize("document", [{}, [], {"results": None}, {"results": {}}])
def test_answer_that_is_no_list_is_an_error(document):
    afnor, _far_end = make_afnor({POST: (200, document)})
    with pytest.raises(TemporaryError):
        afnor.poll({})


# --- odd flows ---


def test_flows_without_identity_or_time_stop_nobody():
    odd = [{"name": "x"}, 7, {"flowId": "../x"}, {"flowId": "no-time", "flowType": "SupplierInvoice"}]
    afnor, _far_end = make_afnor({POST: found(at(1), *odd)})
    page = afnor.poll({})

    assert [push.key for push in page.pushes] == ["fl-1 Ok 2026-09-21T12:00:01.000Z", "no-time "]


SAME_INSTANT = ["T16:13:20.120+02:00", "T14:13:20.120Z", "T14:13:20.120000999Z", "T14:13:20.12"]


@pytest.mark.parametrize("told", SAME_INSTANT)
def test_any_offset_and_precision_is_read_and_utc_written(told):
    afnor, _far_end = make_afnor({POST: found(make_flow(updatedAt=f"2026-09-21{told}"))})
    assert afnor.poll({}).cursor["done"] == "2026-09-21T14:13:20.120000Z"


def test_push_has_the_key_that_a_webhook_of_the_same_news_has():
    flow = at(1)
    afnor, _far_end = make_afnor({POST: found(flow)})
    (push,) = afnor.poll({}).pushes

    assert afnor.parse_webhook(sign(push.body)).key == push.key
    changed = sign(json.dumps(flow | {"acknowledgement": {"status": "Error"}}).encode())
    assert afnor.parse_webhook(changed).key != push.key


def test_invoice_comes_before_the_statuses_of_the_same_instant():
    flows = [at(1, "status", flowType="SupplierInvoiceLC"), at(1, "invoice")]
    assert poll(Platform(*flows))[0] == ["invoice", "status"]


@pytest.mark.parametrize("stored", [{"done": "yesterday"}, {"done": 7}, {"cursor": 7}, {"unknown": True}])
def test_stored_position_that_cannot_be_read_starts_anew(stored):
    assert poll(Platform(at(1)), stored)[0] == ids(1)

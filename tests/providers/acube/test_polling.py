import pytest

from providers.contract.base import PermanentError, TemporaryError

from .samples import (
    make_acube,
    make_item,
    page_of,
)


def listed(number, *, created, changed=None, **changes):
    moment = f"2026-09-{created:02d}T12:00:00+00:00"
    updated = f"2026-09-{changed or created:02d}T12:00:00+00:00"
    return make_item(f"i{number}", createdAt=moment, updatedAt=updated, **changes)


def found(page):
    return [report.provider_ref for report in page.invoices], [bell.provider_ref for bell in page.bells]


def test_poll_first_time_reads_to_the_end():
    pages = [page_of(listed(3, created=9), more=True), page_of(listed(2, created=5), listed(1, created=1))]
    adapter, far_end = make_acube({"GET /invoices": pages})
    page = adapter.poll({})
    assert found(page) == (["i3", "i2", "i1"], [])
    assert page.cursor == {"created": "2026-09-09T12:00:00+00:00", "changed": "2026-09-09T12:00:00+00:00", "page": 1}
    assert len(far_end.asked("GET /invoices")) == 2


CURSOR = {"created": "2026-09-09T12:00:00+00:00", "changed": "2026-09-09T12:00:00+00:00", "page": 1}


def test_poll_again_stops_a_day_before_the_mark():
    pages = [
        page_of(listed(5, created=10), listed(4, created=8), more=True),
        page_of(listed(3, created=7), more=True),
        page_of(listed(2, created=6), more=True),
    ]
    adapter, far_end = make_acube({"GET /invoices": pages})
    page = adapter.poll(CURSOR)
    assert found(page) == (["i5", "i4"], [])
    assert page.cursor["created"] == "2026-09-10T12:00:00+00:00"
    assert len(far_end.asked("GET /invoices")) == 2


def test_poll_rings_for_known_invoices_that_changed():
    items = [
        listed(4, created=10, changed=11),
        listed(3, created=9, changed=11),
        listed(2, created=8),
        listed(1, created=1, changed=12),
    ]
    adapter, _far_end = make_acube({"GET /invoices": page_of(*items)})
    page = adapter.poll(CURSOR)
    assert found(page) == (["i4", "i3", "i2"], ["i3", "i1"])
    assert [bell.is_new_invoice for bell in page.bells] == [True, True]
    assert page.cursor["changed"] == "2026-09-12T12:00:00+00:00"


def test_poll_of_an_empty_list_keeps_the_mark():
    adapter, _far_end = make_acube({"GET /invoices": (200, [])})
    assert adapter.poll({}).cursor == {"page": 1}
    assert adapter.poll(CURSOR).cursor == CURSOR


def test_poll_reads_a_bare_array_until_a_short_page():
    full = [listed(number, created=9) for number in range(30)]
    adapter, far_end = make_acube({"GET /invoices": [(200, full), (200, [listed(99, created=8)])]})
    assert len(adapter.poll({}).invoices) == 31
    assert len(far_end.asked("GET /invoices")) == 2


def test_poll_survives_a_platform_that_does_not_page():
    full = [listed(number, created=9) for number in range(30)]
    adapter, far_end = make_acube({"GET /invoices": (200, full)})
    assert len(adapter.poll({}).invoices) == 30
    assert len(far_end.asked("GET /invoices")) == 2


def test_poll_goes_on_where_a_long_list_broke_off():
    def answer(request):
        number = int(request.url.params["page"])
        return page_of(listed(number, created=20 if number < 3 else 10), more=number < 105)

    adapter, _far_end = make_acube({"GET /invoices": answer})
    first = adapter.poll({})
    assert (len(first.invoices), first.cursor) == (
        100, {"page": 100, "next_created": "2026-09-20T12:00:00+00:00", "next_changed": "2026-09-20T12:00:00+00:00"},
    )  # fmt: skip
    second = adapter.poll(first.cursor)
    assert [report.provider_ref for report in second.invoices] == [f"i{number}" for number in range(100, 106)]
    assert second.cursor == {
        "created": "2026-09-20T12:00:00+00:00", "changed": "2026-09-20T12:00:00+00:00", "page": 1,
    }  # fmt: skip


def test_poll_with_one_unreadable_item_among_others():
    items = [listed(3, created=9), listed(2, created=9, direction="SIDEWAYS"), {"uuid": 7}, "odd", listed(1, created=9)]
    adapter, _far_end = make_acube({"GET /invoices": (200, items)})
    assert found(adapter.poll({})) == (["i3", "i1"], ["i2"])


@pytest.mark.parametrize("cursor", [{"created": "soon", "page": "x"}, {"created": None, "page": -1}, {"odd": 1}])
def test_poll_with_a_broken_cursor_starts_anew(cursor):
    assert len(make_acube()[0].poll(cursor).invoices) == 2


@pytest.mark.parametrize(("answer", "kind"), [((200, {"odd": 1}), PermanentError), ((500, {}), TemporaryError)])
def test_poll_failing(answer, kind):
    with pytest.raises(kind):
        make_acube({"GET /invoices": answer})[0].poll({})

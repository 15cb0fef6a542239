from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from providers.acube import tables
from providers.contract.base import Payment, PermanentError, Reason, TemporaryError, UncertainError

from .samples import (
    BOOKED,
    DETAIL,
    HISTORY,
    NOT_FOUND,
    RECEIVED,
    make_acube,
    make_item,
    make_message,
)


def history(*items, **routes):
    return make_acube({HISTORY: (200, list(items))} | routes)[0].fetch_statuses(RECEIVED)


def test_history_item_in_full():
    item = {
        "uuid": "h1", "afnorStatusCode": 207, "createdAt": "2026-09-21T15:00:00+02:00", "note": "see you",
        "rejectionDetails": {"rejectionReason": "QUANTITY_INCORRECT", "message": "9 sur 10"},
        "paymentDetails": [{"vatRate": 20.0, "amount": 1200.10, "currency": "EUR"}],
    }  # fmt: skip
    (report,) = history(item)
    assert (report.status, report.native_status, report.issuer_role, report.key) == ("207", "207", "BY", "h1")
    assert report.reasons == (Reason(code="QTE_ERR", text="9 sur 10", native_code="QUANTITY_INCORRECT"),)
    assert report.payments == (Payment(amount=Decimal("1200.1"), vat_rate=Decimal("20.0")),)
    assert (report.note, report.occurred_at) == ("see you", datetime(2026, 9, 21, 13, tzinfo=UTC))
    assert (report.provider_ref, report.raw) == (RECEIVED, item)


@pytest.mark.parametrize(
    ("item", "status", "native"),
    [
        ({"afnorStatusCode": 205, "status": "REFUSED"}, "205", "205"),
        ({"status": "205"}, "205", "205"),
        ({"invoiceStatus": "APPROVED"}, "205", "APPROVED"),
        ({"statusCode": " approved "}, "205", "approved"),
        ({"status": 251}, "251", "251"),
        ({"status": 999}, None, "999"),
        ({"status": "TELEPORTED"}, None, "TELEPORTED"),
        ({"status": "PAID"}, "212", "PAID"),
    ],
)
def test_history_words(item, status, native):
    (report,) = history(item)
    assert (report.status, report.native_status) == (status, native)


@pytest.mark.parametrize("name", tables.NAMES.values())
def test_status_names_are_the_codes(name):
    (report,) = history({"status": name})
    assert report.status == tables.CODES[name]
    assert report.issuer_role == ("WK" if name in ("SUBMITTED", "ISSUED", "RECEIVED", "MADE_AVAILABLE", "REJECTED")
                                  else "SE" if name in ("COMPLETED", "PAYMENT_RECEIVED") else "BY")  # fmt: skip


ITEMS = [{"status": 202, "createdAt": "2026-09-21T10:00:00Z"}, {"status": 205, "createdAt": "2026-09-21T11:00:00Z"}]


@pytest.mark.parametrize(
    "document",
    [ITEMS, ITEMS[::-1], {"hydra:member": ITEMS}, {"member": ITEMS}, {"history": ITEMS}, {"items": ITEMS}],
)
def test_history_in_every_shape_is_oldest_first(document):
    adapter, _far_end = make_acube({HISTORY: (200, document)})
    assert [report.status for report in adapter.fetch_statuses(RECEIVED)] == ["202", "205"]


def test_history_newest_first_keeps_the_order_of_one_instant():
    items = [{"status": code, "createdAt": f"2026-09-21T10:00:0{second}Z"} for code, second in
             ((205, 2), (204, 1), (203, 1), (202, 0))]  # fmt: skip
    assert [report.status for report in history(*items)] == ["202", "203", "204", "205"]


def test_history_without_times_keeps_its_order():
    assert [report.status for report in history({"status": 205}, {"status": 202})] == ["205", "202"]


@pytest.mark.parametrize("time", ["2026-09-21", "", None, "soon", 1790000000, {}])
def test_history_time_that_is_no_instant(time):
    assert history({"status": 205, "createdAt": time})[0].occurred_at is None


def test_history_time_under_another_name():
    assert history({"status": 205, "date": "2026-09-21T10:00:00"})[0].occurred_at == datetime(
        2026, 9, 21, 10, tzinfo=UTC
    )


def test_history_whose_ids_are_the_invoices_names_no_item():
    assert [report.key for report in history({"uuid": RECEIVED, "status": 202}, {"id": "7", "status": 205})] == [
        "",
        "7",
    ]
    assert [report.key for report in history({"id": "7", "status": 202}, {"id": "7", "status": 205})] == ["", ""]


def test_history_reasons_of_another_world():
    details = [{"rejectionReason": "BAD_KARMA", "message": "x"}, {"rejectionReason": "QTE_ERR"}, "odd", {}]
    (report,) = history({"status": 207, "rejectionDetails": details, "paymentDetails": [{"amount": "x"}, 7]})
    assert report.reasons == (Reason(text="x", native_code="BAD_KARMA"), Reason(code="QTE_ERR", native_code="QTE_ERR"))
    assert report.payments == ()


def test_history_of_a_credit_note_tells_that_the_seller_pays():
    adapter, _far_end = make_acube(
        {HISTORY: (200, [{"status": 211}]), DETAIL: (200, make_item(RECEIVED, invoiceTypeCode="381"))}
    )
    assert adapter.fetch_statuses(RECEIVED)[0].issuer_role == "SE"
    assert history({"status": 211})[0].issuer_role == "BY"


def test_history_missing_falls_back_on_the_current_status():
    adapter, _far_end = make_acube(
        {HISTORY: NOT_FOUND, f"GET /invoices/{RECEIVED}/lifecycle": (200, {"status": "205"})}
    )
    assert [report.status for report in adapter.fetch_statuses(RECEIVED)] == ["205"]


def test_history_of_an_unknown_invoice():
    with pytest.raises(PermanentError):
        make_acube({HISTORY: NOT_FOUND})[0].fetch_statuses(RECEIVED)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [((500, {}), TemporaryError), (httpx.ReadTimeout("no"), TemporaryError), ((200, b"<html>"), TemporaryError),
     ((429, {}, {"retry-after": "9"}), TemporaryError), ((403, {}), PermanentError)],
)  # fmt: skip
def test_history_not_available(answer, kind):
    with pytest.raises(kind):
        make_acube({HISTORY: answer})[0].fetch_statuses(RECEIVED)


def at(seconds: float) -> str:
    return (BOOKED + timedelta(seconds=seconds)).isoformat()


REASONED = {"rejectionReason": "QUANTITY_INCORRECT"}


@pytest.mark.parametrize(
    ("item", "is_found"),
    [
        ({"status": 207, "createdAt": at(3)}, True),
        ({"status": 207, "createdAt": at(-59)}, True),
        ({"status": 207, "createdAt": at(-61)}, False),
        ({"status": 207, "createdAt": at(3600)}, True),
        ({"status": 205, "createdAt": at(3)}, False),
        ({"status": 207, "createdAt": at(3), "rejectionDetails": REASONED}, True),
        ({"status": 207, "createdAt": at(3), "rejectionDetails": {"rejectionReason": "OTHER"}}, False),
    ],
)
def test_find_status_in_the_history(item, is_found):
    adapter, _far_end = make_acube({HISTORY: (200, [{"status": 202, "createdAt": at(-9999)}, item | {"id": "h7"}])})
    receipt = adapter.find_status(make_message("207", reasons=(Reason(code="QTE_ERR"),)))
    assert (receipt and (receipt.reference, receipt.confirmed)) == (("h7", True) if is_found else None)


@pytest.mark.parametrize(
    ("items", "others", "unseen", "found"),
    [
        (["h7"], (), 0, "h7"),
        (["h7"], ("h7",), 0, None),  # the platform shows an earlier one, known as such
        (["h7", "h8"], ("h7",), 0, "h8"),
        (["h7"], (), 1, UncertainError),  # an earlier one that nobody has confirmed yet, or this one
        (["h7", "h8"], (), 1, "h8"),
        ([], (), 1, None),
    ],
)
def test_find_status_that_was_said_before(items, others, unseen, found):
    history = [{"status": 207, "createdAt": at(place), "id": key} for place, key in enumerate(items, 1)]
    adapter, _far_end = make_acube({HISTORY: (200, [{"status": 202, "createdAt": at(-9999)}, *history])})
    message = replace(make_message("207"), others=frozenset(others), unseen=unseen)
    if found is UncertainError:
        with pytest.raises(UncertainError):
            adapter.find_status(message)
    else:
        receipt = adapter.find_status(message)
        assert (receipt and receipt.reference) == found


@pytest.mark.parametrize(("amount", "is_found"), [(200, True), (100, False)])
def test_find_payment_by_its_amount(amount, is_found):
    row = {"vatRate": 20, "amount": amount, "currency": "EUR"}
    adapter, _far_end = make_acube({HISTORY: (200, [{"status": 211, "createdAt": at(1), "paymentDetails": [row]}])})
    payments = (Payment(amount=Decimal("200.00"), vat_rate=Decimal("20.00")),)
    assert (adapter.find_status(make_message("211", payments=payments)) is not None) == is_found


def test_find_payment_of_the_other_side_is_none_of_ours():
    adapter, _far_end = make_acube({HISTORY: (200, [{"status": 211, "createdAt": at(1)}]),
                                    DETAIL: (200, make_item(RECEIVED, invoiceTypeCode="381"))})  # fmt: skip
    assert adapter.find_status(make_message("211")) is None


def test_find_undated_status_that_can_be_said_once():
    assert make_acube({HISTORY: (200, [{"status": 205}])})[0].find_status(make_message("205")).confirmed


@pytest.mark.parametrize(
    "items", [[{"status": 207}], [{"status": 207, "date": "2026-09-21"}], [{"mystery": 1}], ["odd"]]
)
def test_find_status_that_cannot_be_told_apart_is_for_people(items):
    with pytest.raises(UncertainError):
        make_acube({HISTORY: (200, items)})[0].find_status(make_message("207"))


@pytest.mark.parametrize("current", ["202", "210"])
def test_find_status_without_a_history_is_for_people(current):
    adapter, _far_end = make_acube(
        {HISTORY: NOT_FOUND, f"GET /invoices/{RECEIVED}/lifecycle": (200, {"status": current})}
    )
    with pytest.raises(UncertainError):
        adapter.find_status(make_message("205"))


def test_find_status_in_an_empty_history():
    assert make_acube()[0].find_status(make_message("205")) is None

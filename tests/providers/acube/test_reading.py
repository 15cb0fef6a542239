from datetime import UTC, date, datetime

import httpx
import pytest

from providers.contract.base import File, Party, PermanentError, TemporaryError
from tests.providers.fakes import Memory

from .samples import (
    DETAIL,
    INBOUND,
    ISSUED,
    NOT_FOUND,
    RECEIVED,
    make_acube,
    make_item,
)


def test_fetch_received_invoice():
    report = make_acube()[0].fetch_invoice(RECEIVED)
    assert (report.provider_ref, report.direction, report.number, report.type_code) == (
        RECEIVED, "received", "F-2026-0001", "380",
    )  # fmt: skip
    assert (report.issue_date, report.due_date, report.native_status) == (date(2026, 9, 21), None, "RECEIVED")
    assert report.buyer == Party(name="NOTRE SOCIETE", siren="999000011", scheme="0225", identifier="999000011")
    assert report.seller.name == "ATELIER DUPONT"
    assert report.created_at == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    assert report.raw["updatedAt"] == "2026-09-21T14:13:20+00:00"


def test_fetch_issued_invoice_puts_us_as_seller():
    report = make_acube()[0].fetch_invoice(ISSUED)
    assert (report.direction, report.seller.name, report.buyer.name) == ("issued", "NOTRE SOCIETE", "ATELIER DUPONT")


def test_fetch_invoice_with_odd_values():
    item = {"uuid": RECEIVED, "direction": "inbound", "invoiceDate": "yesterday", "party": "us", "invoiceNumber": 17}
    report = make_acube({DETAIL: (200, item)})[0].fetch_invoice(RECEIVED)
    assert (report.number, report.issue_date, report.buyer, report.created_at) == ("17", None, Party(), None)


def test_fetch_invoice_found_on_the_inbound_path_is_remembered():
    adapter, far_end = make_acube({DETAIL: NOT_FOUND, INBOUND: (200, make_item(RECEIVED, direction="INBOUND"))})
    adapter.fetch_invoice(RECEIVED)
    adapter.fetch_invoice(RECEIVED)
    assert far_end.calls[1:] == [DETAIL, INBOUND, INBOUND]


def test_fetch_issued_invoice_where_the_inbound_path_is_remembered():
    adapter, far_end = make_acube(memory=Memory(inbound_path_works=True))
    assert adapter.fetch_invoice(ISSUED).direction == "issued"
    assert far_end.calls[1:] == [f"GET /invoices/inbound/{ISSUED}", f"GET /invoices/{ISSUED}"]


def test_fetch_unknown_invoice():
    adapter, far_end = make_acube({DETAIL: NOT_FOUND})
    with pytest.raises(PermanentError) as caught:
        adapter.fetch_invoice(RECEIVED)
    assert (caught.value.status_code, far_end.calls[1:]) == (404, [DETAIL, INBOUND])
    assert adapter.memory.facts == {}


@pytest.mark.parametrize("item", [{}, {"uuid": RECEIVED}, make_item(ISSUED)])
def test_fetch_invoice_that_is_not_the_one_asked_for(item):
    with pytest.raises(PermanentError):
        make_acube({DETAIL: (200, item)})[0].fetch_invoice(RECEIVED)


@pytest.mark.parametrize("reference", ["", "..", "a/b", "../event-destinations", "é", "a?b"])
def test_reference_cannot_leave_its_place_in_the_path(reference):
    adapter, far_end = make_acube()
    for call in (adapter.fetch_invoice, adapter.fetch_files, adapter.fetch_statuses):
        with pytest.raises(PermanentError):
            call(reference)
    assert far_end.calls == []


def test_fetch_files():
    headers = {"content-type": "application/xml", "content-disposition": 'attachment; filename="../F-1.xml"'}
    adapter, _far_end = make_acube({f"GET /invoices/{RECEIVED}/original": (200, b"<Invoice>\xe9", headers)})
    original, readable = adapter.fetch_files(RECEIVED)
    assert original == File(kind="original", content=b"<Invoice>\xe9", media_type="application/xml", filename="F-1.xml")
    assert readable == File(kind="readable", content=b"%PDF-1.7", media_type="application/pdf", filename="")


@pytest.mark.parametrize("answer", [NOT_FOUND, (500, {}), (200, b""), httpx.ReadTimeout("no")])
def test_fetch_files_without_a_readable_one(answer):
    adapter, _far_end = make_acube({f"GET /invoices/{RECEIVED}/pdf": answer})
    assert [file.kind for file in adapter.fetch_files(RECEIVED)] == ["original"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(NOT_FOUND, PermanentError), (500, TemporaryError), (b"", TemporaryError), (b"x" * 1048577, PermanentError)],
)
def test_fetch_files_without_the_original(answer, kind):
    answer = {500: (500, {})}.get(answer) if isinstance(answer, int) else answer
    answer = (200, answer) if isinstance(answer, bytes) else answer
    adapter, _far_end = make_acube({f"GET /invoices/{RECEIVED}/original": answer}, max_file_mb=1)
    with pytest.raises(kind):
        adapter.fetch_files(RECEIVED)

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from providers.contract.base import File, PermanentError, TemporaryError, UncertainError, Unsupported
from providers.formats.files import find_format

from .samples import (
    EXPIRED,
    ISSUED,
    make_acube,
    make_facts,
    make_item,
    page_of,
)

UBL = b'<?xml version="1.0"?>\n<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>'
CII = b'<rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"/>'
PDF = b"%PDF-1.7 ..."


def ubl(content: bytes = UBL) -> File:
    return File(kind="original", content=content, media_type="application/xml", filename="F-1.xml")


@pytest.mark.parametrize(
    ("content", "found"), [(UBL, "ubl"), (b"\xef\xbb\xbf" + UBL, "ubl"), (CII, "cii"), (PDF, "facturx"), (b"", ""),
                           (b"<a/>", ""), (b"<a>" + UBL + b"</a>", ""),
                           (f"<!-- <a> -->{CII.decode()}".encode("utf-16"), "cii"), (b"PK\x03\x04", "")]
)  # fmt: skip
def test_formats(content, found):
    assert find_format(content) == found


def test_submit_as_the_body():
    adapter, far_end = make_acube()
    receipt = adapter.submit_invoice(ubl(), make_facts(ISSUED))
    (request,) = far_end.asked("POST /invoices")
    assert (request.content, request.headers["content-type"]) == (UBL, "application/xml")
    assert (receipt.reference, receipt.confirmed) == (ISSUED, False)


def test_submit_as_a_form():
    adapter, far_end = make_acube(upload_mode="multipart")
    adapter.submit_invoice(ubl(), make_facts(ISSUED))
    (request,) = far_end.asked("POST /invoices")
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="F-1.xml"\r\nContent-Type: application/xml\r\n\r\n' + UBL in request.content


def test_submit_after_the_token_expired():
    adapter, far_end = make_acube({"POST /invoices": [EXPIRED, (201, {"uuid": ISSUED})]}, upload_mode="multipart")
    assert adapter.submit_invoice(ubl(), make_facts(ISSUED)).reference == ISSUED
    first, second = far_end.asked("POST /invoices")
    assert (UBL in first.content, UBL in second.content) == (True, True)


@pytest.mark.parametrize(
    ("content", "settings", "is_taken"),
    [(CII, {}, False), (PDF, {}, False), (b"<a/>", {}, False), (CII, {"enable_cii": True}, True),
     (PDF, {"enable_facturx": True}, True)],
)  # fmt: skip
def test_submit_formats_follow_the_switches(content, settings, is_taken):
    adapter, far_end = make_acube(**settings)
    if is_taken:
        adapter.submit_invoice(ubl(content), make_facts(ISSUED))
    else:
        with pytest.raises(Unsupported):
            adapter.submit_invoice(ubl(content), make_facts(ISSUED))
    assert len(far_end.asked("POST /invoices")) == is_taken


def test_submit_too_large_a_file_sends_nothing():
    adapter, far_end = make_acube(max_file_mb=1)
    with pytest.raises(PermanentError, match="larger than the 1 MB"):
        adapter.submit_invoice(ubl(UBL + b" " * 1048576), make_facts(ISSUED))
    assert far_end.calls == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((201, {}), UncertainError),
        ((201, b"<html>"), UncertainError),
        ((201, {"uuid": "../x"}), UncertainError),
        ((500, {}), UncertainError),
        (httpx.ReadTimeout("no"), UncertainError),
        ((422, {"detail": "invoiceNumber: This is a duplicate."}), UncertainError),
        ((409, {}), UncertainError),
        ((422, {"detail": "siren: Legal entity is not onboarded."}), PermanentError),
        ((413, {}), PermanentError),
        (httpx.ConnectTimeout("no"), TemporaryError),
    ],
)
def test_submit_failing(answer, kind):
    adapter, far_end = make_acube({"POST /invoices": answer})
    with pytest.raises(kind):
        adapter.submit_invoice(ubl(), make_facts(ISSUED))
    assert len(far_end.asked("POST /invoices")) == 1


def test_submit_refused_tells_the_platforms_reason():
    answer = (
        422,
        {"title": "An error occurred", "violations": [{"propertyPath": "siren", "message": "Not onboarded."}]},
    )
    with pytest.raises(PermanentError, match=r"^A-Cube refuses \(422\)\. siren: Not onboarded\.$"):
        make_acube({"POST /invoices": answer})[0].submit_invoice(ubl(), make_facts(ISSUED))


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({}, True),
        ({"direction": "INBOUND"}, False),
        ({"invoiceNumber": "F-2026-0002"}, False),
        ({"invoiceTypeCode": "381"}, False),
        ({"invoiceTypeCode": None}, True),
        ({"invoiceDate": "2025-09-21"}, False),
        ({"party": {"siren": "999000029"}}, False),
    ],
)
def test_find_invoice_in_the_list(changes, is_found):
    adapter, _far_end = make_acube({"GET /invoices": (200, [make_item(**changes)])})
    assert (adapter.find_invoice(make_facts(ISSUED)) is not None) == is_found


def test_find_invoice_without_a_number_is_for_people():
    with pytest.raises(UncertainError):
        make_acube()[0].find_invoice(make_facts(ISSUED, number=""))


def test_find_invoice_on_a_later_page():
    now = datetime.now(UTC).isoformat()
    pages = [
        page_of(make_item("x", invoiceNumber="other", createdAt=now), more=True),
        page_of(make_item(createdAt=now)),
    ]
    adapter, far_end = make_acube({"GET /invoices": pages})
    assert adapter.find_invoice(make_facts(ISSUED)).reference == ISSUED
    asked = far_end.asked("GET /invoices")
    assert [dict(request.url.params) for request in asked] == [
        {"page": "1", "itemsPerPage": "30"},
        {"page": "2", "itemsPerPage": "30"},
    ]
    assert asked[0].headers["accept"] == "application/ld+json"


def test_find_invoice_stops_a_week_back():
    pages = [page_of(make_item("x", invoiceNumber="other"), more=True), page_of(make_item())]
    old = datetime.now(UTC) - timedelta(days=8)
    pages[0][1]["hydra:member"][0]["createdAt"] = old.isoformat()
    adapter, far_end = make_acube({"GET /invoices": pages})
    assert adapter.find_invoice(make_facts(ISSUED)) is None
    assert len(far_end.asked("GET /invoices")) == 1

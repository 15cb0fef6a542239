"""What we tell: statuses (only by the experimental endpoint), invoices as files and as drafts."""

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from providers.contract.base import File, Payment, PermanentError, Reason, TemporaryError, UncertainError, Unsupported

from .samples import (
    BOOKED,
    CLIENT,
    EVENTS,
    ISSUED,
    LINE,
    NOT_FOUND,
    OTHER_CLIENT,
    OTHER_LINE,
    RECEIVED,
    STATUS,
    SUBMIT,
    Lines,
    make_data,
    make_facts,
    make_item,
    make_message,
    make_seqino,
)

ENDPOINT = {"status_endpoint": "/lifecycle-events"}


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_no_status_is_carried():
    can = make_seqino()[0].capabilities
    assert (can.buyer_statuses, can.seller_statuses, can.look_up) == (frozenset(), frozenset(), False)


def test_status_is_unsupported_without_a_call():
    seqino, far_end = make_seqino()
    with pytest.raises(Unsupported):
        seqino.send_status(make_message())
    assert far_end.requests == []


def test_status_by_the_experimental_endpoint():
    seqino, far_end = make_seqino(**ENDPOINT)
    reasons = (Reason(code="QTE_ERR", text="9 reçus sur 10"), Reason(code="PU_ERR"))
    seqino.send_status(make_message("207", reasons=reasons, note="Merci"))
    (request,) = far_end.asked(STATUS)
    assert json.loads(request.content) == {
        "status_code": "InvoiceLifecycleStatus.IN_DISPUTE",
        "rejection_reason": "QTE_ERR",
        "reason": "9 reçus sur 10\nPrix unitaires incorrects (PU_ERR)\nMerci",
    }
    assert dict(request.url.params) == {"object_type": "invoice", "object_id": RECEIVED}
    assert request.headers["x-pdp-client-id"] == CLIENT


def test_endpoint_may_name_the_invoice():
    seqino, far_end = make_seqino(
        {f"POST /api/invoicing/{RECEIVED}/status": (200, {"id": "s-1"})},
        status_endpoint="invoicing/{invoice_id}/status",
    )
    assert seqino.send_status(make_message()).reference == "s-1"
    assert dict(far_end.requests[0].url.params) == {}


def test_status_refused_with_401_is_said_once():
    seqino, far_end = make_seqino({STATUS: (401, {})}, **ENDPOINT)
    with pytest.raises(PermanentError):
        seqino.send_status(make_message())
    assert len(far_end.requests) == 1


@pytest.mark.parametrize(
    ("status", "role"), [("212", "SE"), ("209", "BY"), ("205", "SE"), ("220", "SE"), ("201", "BY")]
)
def test_status_that_has_no_room_is_unsupported(status, role):
    seqino, far_end = make_seqino(**ENDPOINT)
    with pytest.raises(Unsupported):
        seqino.send_status(make_message(status, role=role))
    assert far_end.requests == []


def test_amounts_are_left_out_and_it_is_told():
    seqino, _far_end = make_seqino(**ENDPOINT)
    receipt = seqino.send_status(make_message("211", payments=(Payment(amount=120),)))
    assert receipt.text == "Seqino takes no amounts with a status: they were not passed on."


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({}, True),
        ({"timestamp": (BOOKED - timedelta(seconds=30)).isoformat()}, True),
        ({"timestamp": (BOOKED - timedelta(hours=1)).isoformat()}, False),
        ({"status_code": "InvoiceLifecycleStatus.REFUSED"}, False),
        ({"rejection_reason": "DOUBLON"}, False),
    ],
)
def test_lost_status_is_looked_up_in_the_history(item, found):
    seqino, _far_end = make_seqino({EVENTS: (200, [make_item() | item])}, **ENDPOINT)
    receipt = seqino.find_status(make_message())
    assert (receipt is not None and receipt.confirmed) is found


def test_lost_status_without_a_time_is_a_persons_affair():
    seqino, _far_end = make_seqino({EVENTS: (200, [make_item(timestamp=None)])}, **ENDPOINT)
    with pytest.raises(UncertainError):
        seqino.find_status(make_message())


def test_reasons_are_limited_to_the_statuses_that_take_one():
    seqino = make_seqino()[0]
    assert (seqino.reasons_for("205", side="buyer"), seqino.reasons_for("210", side="buyer")) == (frozenset(), None)


# --- files ------------------------------------------------------------------------------------------------------------

UBL = b'<?xml version="1.0"?>\n<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>'
CII = b'<rsm:CrossIndustryInvoice xmlns:rsm="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"/>'
PDF = b"%PDF-1.7 ..."


def file(content=UBL, filename=""):
    return File(kind="original", content=content, filename=filename)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (UBL, "invoice.xml", "application/xml"),
        (CII, "invoice.xml", "application/xml"),
        (PDF, "invoice.pdf", "application/pdf"),
    ],
)
def test_file_is_submitted_in_the_name_of_its_lines_client(content, name, media_type):
    seqino, far_end = make_seqino(lines=Lines([LINE, OTHER_LINE]))
    facts = make_facts(ISSUED, line_identifier=OTHER_LINE.identifier)
    receipt = seqino.submit_invoice(file(content), facts)
    (request,) = far_end.asked(SUBMIT)
    assert (receipt.reference, receipt.text, request.headers["x-pdp-client-id"]) == (ISSUED, "submitted", OTHER_CLIENT)
    sent = request.content
    assert (sent.count(b"Content-Disposition"), content in sent) == (1, True)
    assert f'name="file"; filename="{name}"\r\nContent-Type: {media_type}'.encode() in sent


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<a/>", b'{"invoice_number": "1"}'])
def test_other_files_are_unsupported(content):
    seqino, far_end = make_seqino()
    with pytest.raises(Unsupported):
        seqino.submit_invoice(file(content), make_facts(ISSUED))
    assert far_end.requests == []


def test_file_too_large():
    seqino, far_end = make_seqino(max_file_mb=0)
    with pytest.raises(PermanentError, match="larger"):
        seqino.submit_invoice(file(), make_facts(ISSUED))
    assert far_end.requests == []


def test_line_that_is_not_set_up_submits_nothing():
    seqino, far_end = make_seqino(lines=Lines([]))
    with pytest.raises(PermanentError, match="set it up first"):
        seqino.submit_invoice(file(), make_facts(ISSUED))
    assert far_end.requests == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ReadTimeout("x"), UncertainError),
        (httpx.ConnectError("x"), TemporaryError),
        ((500, {}), UncertainError),
        ((429, {}, {"retry-after": "3"}), TemporaryError),
        ((400, {"error": "Not an invoice", "code": 400, "trace_id": "t"}), PermanentError),
        ((400, {"error": "Rejet DOUBLON", "code": 400, "trace_id": "t"}), UncertainError),
        ((409, {"error": "Conflict", "code": 409, "trace_id": "t"}), UncertainError),
        ((422, {"detail": [{"loc": ["body", "file"], "msg": "field required", "type": "missing"}]}), PermanentError),
        ((201, {}), UncertainError),
        ((201, b"<html>"), UncertainError),
        ((201, {"invoice_id": ISSUED, "status": "rejected"}), PermanentError),
    ],
    ids=str,
)
def test_submission_that_fails(answer, error):
    seqino, far_end = make_seqino({SUBMIT: answer})
    with pytest.raises(error) as caught:
        seqino.submit_invoice(file(), make_facts(ISSUED))
    assert (type(caught.value), len(far_end.requests)) == (error, 1)


def test_lost_submission_cannot_be_looked_for():
    with pytest.raises(Unsupported):
        make_seqino()[0].find_invoice(make_facts(ISSUED))


# --- drafts -----------------------------------------------------------------------------------------------------------

CHECK, CREATE = "POST /api/drafts/validate-data", "POST /api/drafts"
REPLACE, ISSUE = "PUT /api/drafts/d-1", "POST /api/drafts/d-1/validate"
DRAFTS = {
    CHECK: (200, {"valid": True, "messages": [], "suggestions": ["Give the buyer's reference"]}),
    CREATE: (201, {"draft_id": "d-1"}),
    REPLACE: (200, {"draft_id": "d-1"}),
    ISSUE: (200, {"invoice_id": ISSUED, "status": "submitted"}),
}
DATA = make_data()


def drafting(routes=None, **settings):
    return make_seqino(DRAFTS | (routes or {}), enable_drafts=True, **settings)


def submit(seqino, facts=None):
    return seqino.submit_invoice(file(json.dumps(DATA).encode()), facts or make_facts(ISSUED))


def test_draft_is_checked_made_and_issued():
    seqino, far_end = drafting()
    assert (submit(seqino).reference, far_end.calls) == (ISSUED, [CHECK, CREATE, ISSUE])
    assert json.loads(far_end.requests[0].content) == {"invoice_data": DATA}
    assert json.loads(far_end.requests[1].content) == DATA
    assert (far_end.requests[2].content, {r.headers["x-pdp-client-id"] for r in far_end.requests}) == (b"", {CLIENT})


def test_format_of_the_draft_is_a_setting():
    seqino, far_end = drafting(draft_format="facturx")
    submit(seqino)
    assert json.loads(far_end.asked(ISSUE)[0].content) == {"format": "facturx"}


@pytest.mark.parametrize(
    "found",
    [
        {"valid": False},
        {"is_valid": False, "messages": ["a remark"]},
        {"errors": ["BT-5 is missing"]},
        {"errors": [{"field": "seller", "message": "unknown"}]},
        {"messages": [{"level": "ERROR", "msg": "x"}]},
    ],
)
def test_faulty_data_makes_no_draft(found):
    seqino, far_end = drafting({CHECK: (200, found)})
    with pytest.raises(PermanentError, match="faulty"):
        submit(seqino)
    assert far_end.calls == [CHECK]


@pytest.mark.parametrize("found", [{}, {"messages": ["x", {"level": "warning", "msg": "y"}], "errors": None}, []])
def test_remarks_are_no_faults(found):
    assert submit(drafting({CHECK: (200, found)})[0]).reference == ISSUED


def test_refused_draft_is_replaced_by_the_better_version():
    seqino, far_end = drafting({ISSUE: [(422, {"detail": "BT-31 is wrong"}), (200, {"invoice_id": ISSUED})]})
    with pytest.raises(PermanentError, match="BT-31"):
        submit(seqino)
    assert submit(seqino).reference == ISSUED
    assert far_end.calls == [CHECK, CREATE, ISSUE, CHECK, REPLACE, ISSUE]
    assert seqino.memory.facts == {"drafts": {}}


def test_another_invoice_has_a_draft_of_its_own():
    seqino, far_end = drafting({ISSUE: (422, {})})
    for number in ("F-1", "F-2"):
        with pytest.raises(PermanentError):
            submit(seqino, make_facts(ISSUED, number=number))
    assert far_end.asked(REPLACE) == []


@pytest.mark.parametrize("gone", [NOT_FOUND, (409, {"error": "immutable", "code": 409, "trace_id": "t"})])
def test_draft_that_cannot_be_replaced_is_made_anew(gone):
    seqino, far_end = drafting({ISSUE: [(422, {}), (200, {"invoice_id": ISSUED})], REPLACE: gone})
    with pytest.raises(PermanentError):
        submit(seqino)
    submit(seqino)
    assert far_end.calls[-3:] == [REPLACE, CREATE, ISSUE]


@pytest.mark.parametrize(
    ("routes", "error"),
    [
        ({CHECK: httpx.ReadTimeout("x")}, TemporaryError),
        ({CREATE: httpx.ReadTimeout("x")}, TemporaryError),
        ({CREATE: (201, {})}, PermanentError),
        ({ISSUE: httpx.ReadTimeout("x")}, UncertainError),
        ({ISSUE: (500, {})}, UncertainError),
        ({ISSUE: (200, {})}, UncertainError),
        ({ISSUE: (200, {"id": "d-1"})}, UncertainError),
    ],
    ids=str,
)
def test_draft_in_trouble(routes, error):
    with pytest.raises(error) as caught:
        submit(drafting(routes)[0])
    assert type(caught.value) is error


@pytest.mark.parametrize("content", [b"{", b'{"a":', b"{}x"])
def test_broken_json_is_no_invoice(content):
    seqino, far_end = drafting()
    with pytest.raises(PermanentError):
        seqino.submit_invoice(file(content), make_facts(ISSUED))
    assert far_end.requests == []


def test_replaced_line_keeps_nothing_of_the_old_client():
    moved = replace(LINE, settings={"client_id": OTHER_CLIENT})
    seqino, far_end = drafting(lines=Lines([moved]))
    submit(seqino)
    assert {request.headers["x-pdp-client-id"] for request in far_end.requests} == {OTHER_CLIENT}

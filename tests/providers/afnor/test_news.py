"""What a flow that was pushed or polled turns out to be."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from providers.contract.base import Bell, File, InvoiceKey, PermanentError, Reason, TemporaryError, Verdict

from .samples import (
    FLOWS,
    ISSUED,
    MESSAGE_ID,
    RECEIVED,
    TRACKING_ID,
    UBL,
    KnownLines,
    flow_documents,
    make_afnor,
    make_cdar,
    make_facts,
    make_flow,
    refused,
)

LC = "fl-0300"


def news(flow, *, known=(), original=b"", **settings):
    routes = {f"GET {FLOWS}/{flow['flowId']}": flow_documents(flow, **({"Original": original} if original else {}))}
    afnor, _far_end = make_afnor(routes, lines=KnownLines(*known), **settings)
    return afnor.fetch_delivery(flow["flowId"])


def lifecycle(original, *, direction="In", kind="SupplierInvoiceLC", ack="Ok", **changes):
    flow = make_flow(LC, flowType=kind, flowDirection=direction, flowSyntax="CDAR", acknowledgement={"status": ack})
    return news(flow | changes, original=original)


def outgoing(**changes):
    return make_flow(ISSUED, flowType="CustomerInvoice", flowDirection="Out", **changes)


# --- invoices ---


def test_received_invoice_is_announced_with_the_status_its_arrival_implies():
    told = news(make_flow())
    (arrival,) = told.statuses

    assert told.bells == (Bell(provider_ref=RECEIVED, is_new_invoice=True),)
    assert (arrival.provider_ref, arrival.status, arrival.derived, arrival.issuer_role) == (RECEIVED, "203", True, "WK")
    assert (arrival.occurred_at, arrival.seen_at) == (None, datetime(2026, 9, 21, 14, 13, 20, 120000, UTC))
    assert (arrival.native_status, arrival.note) == ("SupplierInvoice In", "Derived: pa-main hands the invoice over.")


def test_arrival_implies_nothing_where_the_platform_always_says_so():
    assert news(make_flow(), arrival_status="none").statuses == ()


def test_acknowledgement_of_an_issued_invoice_stands_apart_from_its_statuses():
    (ack,) = news(outgoing()).statuses

    assert (ack.status, ack.native_status, ack.reasons, ack.refused) == (None, "Acknowledgement Ok", (), False)
    assert ack.note == "pa-main took the file in: its technical checks passed."


def test_refused_invoice_tells_its_reasons_in_words():
    flow = outgoing(acknowledgement=refused("InvalidSchema", "HouseRule7"))
    told = news(flow, known=[ISSUED])
    (ack,) = told.statuses

    assert told.bells == (Bell(provider_ref=ISSUED),)
    assert (ack.status, ack.native_status, ack.refused) == (None, "Acknowledgement Error", True)
    assert ack.reasons == (
        Reason(
            code="IRR_SYNTAX",
            native_code="InvalidSchema",
            text="The file does not follow its XML schema. said InvalidSchema (cbc:ID)",
        ),
        Reason(native_code="HouseRule7", text="HouseRule7 said HouseRule7 (cbc:ID)"),
    )


@pytest.mark.parametrize(("ack", "status"), [({"status": "Ok"}, "200"), (refused("VirusFound"), "213")])
def test_acknowledgement_may_imply_a_status(ack, status):
    (report,) = news(outgoing(acknowledgement=ack), known=[ISSUED], ack_implies_status=True).statuses
    assert (report.status, report.derived) == (status, True)


def test_refused_invoice_that_nobody_here_handed_in_is_ignored_with_the_reasons():
    told = news(outgoing(acknowledgement=refused("EmptyFlow")))

    assert (told.bells, told.statuses) == ((), ())
    assert told.ignored == (
        "pa-main refused file F-2026-0001.xml, which is no invoice of ours: The file is empty. said EmptyFlow (cbc:ID)"
    )


@pytest.mark.parametrize("known", [(), (ISSUED,)])
def test_invoice_still_being_checked_is_no_news(known):
    told = news(outgoing(acknowledgement={"status": "Pending"}), known=known)
    assert (told.bells, told.statuses, told.ignored) == ((), (), "pa-main is still checking the invoice.")


@pytest.mark.parametrize(
    "kind",
    ["StateCustomerInvoice", "MultiFlowReport", "Undefined", "IndividualCustomerTransactionReport", "Pigeon", ""],
)
def test_flow_of_another_kind_is_ignored_by_name(kind):
    told = news(make_flow(flowType=kind))
    assert told.ignored == f"Flow {RECEIVED} of type {kind or '?'} is of no concern here."


@pytest.mark.parametrize(
    ("kind", "way", "direction"),
    [
        ("SupplierInvoice", "In", "received"),
        ("CustomerInvoice", "Out", "issued"),
        ("CustomerInvoice", "In", "received"),  # self-billed: the buyer wrote it for us
        ("SupplierInvoice", "Out", "issued"),
        ("SupplierInvoice", None, "received"),  # contract 1.1 may leave it out
    ],
)
def test_invoice_is_described_by_its_way(kind, way, direction):
    flow = make_flow(flowType=kind, flowDirection=way)
    afnor, _far_end = make_afnor({f"GET {FLOWS}/{RECEIVED}": flow_documents(flow)})
    report = afnor.fetch_invoice(RECEIVED)

    assert (report.provider_ref, report.direction, report.native_status, report.raw) == (
        RECEIVED,
        direction,
        "Ok",
        flow,
    )
    assert report.created_at == datetime(2026, 9, 21, 14, 13, 20, 120000, UTC)
    assert report.processing_rule == "B2B"


def test_status_message_is_no_invoice():
    flow = make_flow(flowType="SupplierInvoiceLC")
    afnor, _far_end = make_afnor({f"GET {FLOWS}/{RECEIVED}": flow_documents(flow)})
    with pytest.raises(PermanentError):
        afnor.fetch_invoice(RECEIVED)


@pytest.mark.parametrize("document", [{}, [], {"flowId": "fl-other"}])
def test_answer_that_is_not_the_flow_is_for_a_person(document):
    afnor, _far_end = make_afnor({f"GET {FLOWS}/{RECEIVED}": (200, document)})
    with pytest.raises(PermanentError):
        afnor.fetch_delivery(RECEIVED)


# --- documents ---


def files(documents, **settings):
    routes = {f"GET {FLOWS}/{RECEIVED}": flow_documents(make_flow(), **documents)}
    afnor, far_end = make_afnor(routes, **settings)
    kinds = lambda: [request.url.params["docType"] for request in far_end.asked(f"GET {FLOWS}/{RECEIVED}")]  # noqa: E731
    return afnor.fetch_files(RECEIVED), kinds


def test_all_documents_are_fetched_the_original_first():
    got, asked = files({"Original": UBL, "Converted": b"%PDF-1.7 c", "ReadableView": b"%PDF-1.7 r"})
    name = "F-2026-0001.xml"

    assert got == (
        File(kind="original", content=UBL, media_type="application/xml", filename=name),
        File(kind="readable", content=b"%PDF-1.7 r", media_type="application/pdf", filename=name),
        File(kind="converted", content=b"%PDF-1.7 c", media_type="application/pdf", filename=name),
    )
    assert sorted(asked()) == ["Converted", "Original", "ReadableView"]


def test_optional_documents_are_left_out_where_there_are_none():
    got, _asked = files({"Original": UBL, "ReadableView": b""})
    assert [file.kind for file in got] == ["original"]


def test_optional_documents_are_not_asked_for_when_switched_off():
    _got, asked = files({"Original": UBL}, fetch_readable=False, fetch_converted=False)
    assert asked() == ["Original"]


@pytest.mark.parametrize(("answer", "error"), [((200, b""), TemporaryError), ((404, {}), PermanentError)])
def test_original_cannot_be_missing(answer, error):
    afnor, _far_end = make_afnor({f"GET {FLOWS}/{RECEIVED}": answer})
    with pytest.raises(error):
        afnor.fetch_files(RECEIVED)


def test_platform_in_trouble_does_not_mean_that_there_is_no_readable_view():
    answers = flow_documents(make_flow(), Original=UBL)
    broken = lambda request: (500, {}) if request.url.params["docType"] == "ReadableView" else answers(request)  # noqa: E731
    afnor, _far_end = make_afnor({f"GET {FLOWS}/{RECEIVED}": broken})
    with pytest.raises(TemporaryError):
        afnor.fetch_files(RECEIVED)


# --- statuses ---


def test_status_names_its_invoice_by_seller_number_and_date():
    told = lifecycle(make_cdar("209", role="SE"))
    (report,) = told.statuses

    assert (report.provider_ref, report.status, report.issuer_role) == ("", "209", "SE")
    assert report.invoice_key == InvoiceKey(
        seller_siren="905334413",
        number="F-2026-0001",
        type_code="380",
        issue_date=make_facts().issue_date,
        direction="received",
    )
    assert (told.verdicts, told.unclear, told.ignored) == ((), "", "")


@pytest.mark.parametrize(
    ("kind", "type_code", "direction"),
    [
        ("SupplierInvoiceLC", "380", "received"),
        ("CustomerInvoiceLC", "380", "issued"),
        ("SupplierInvoiceLC", "389", "issued"),
        ("CustomerInvoiceLC", "389", "received"),
    ],
)
def test_way_of_the_invoice_follows_from_our_side_and_its_type(kind, type_code, direction):
    content = make_cdar("205", invoice=make_facts(type_code=type_code))
    (report,) = lifecycle(content, kind=kind).statuses
    assert report.invoice_key.direction == direction


def test_our_own_status_is_shown_and_confirmed_once_acknowledged():
    told = lifecycle(make_cdar("205"), direction="Out", trackingId=TRACKING_ID)

    assert [report.status for report in told.statuses] == ["205"]
    assert told.verdicts == (Verdict(message_id=TRACKING_ID, is_accepted=True),)
    assert told.statuses[0].key.startswith(MESSAGE_ID)


def test_our_own_status_that_was_refused_is_told_to_its_relay_and_is_no_status():
    told = lifecycle(b"", direction="Out", trackingId=TRACKING_ID, acknowledgement=refused("InvoiceLCAmountError"))
    words = "pa-main did not take it: The amounts do not agree with the VAT. said InvoiceLCAmountError (cbc:ID)"

    assert (told.statuses, told.verdicts) == ((), (Verdict(message_id=TRACKING_ID, is_accepted=False, text=words),))


@pytest.mark.parametrize("ack", [{"status": "Pending"}, refused("AlreadyExistingFlow")], ids=["pending", "doubled"])
def test_our_own_status_that_is_not_decided_is_no_news(ack):
    told = lifecycle(b"", direction="Out", trackingId=TRACKING_ID, acknowledgement=ack)
    assert (told.statuses, told.verdicts) == ((), ())
    assert told.ignored == "pa-main has not taken the status message in."


@pytest.mark.parametrize("content", [b"<html>502</html>", b"no XML", b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'])
def test_message_that_cannot_be_read_is_put_aside(content):
    told = lifecycle(content)
    assert told.statuses == ()
    assert told.unclear.startswith(f"The status message of flow {LC} cannot be read: ")


def test_message_that_names_no_invoice_is_put_aside():
    told = lifecycle(make_cdar("205", invoice=replace(make_facts(), number="")))
    assert (told.statuses, told.unclear) == ((), f"The status message of flow {LC} names no invoice.")


def test_code_nobody_knows_is_kept():
    content = make_cdar("205").replace(b">205<", b">299<")
    (report,) = lifecycle(content).statuses
    assert (report.status, report.native_status[:3]) == (None, "299")

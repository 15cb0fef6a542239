"""Orders as Billit shows them: the invoice, its files, and what happened to it."""

import base64
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest

from providers.billit import reading, tables
from providers.contract.base import Payment, PermanentError, Reason, TemporaryError

from .samples import (
    CDAR_FILE,
    ISSUED,
    ISSUED_ORDER,
    LINE,
    ORDER,
    OTHER_LINE,
    OTHER_REGISTRATION,
    PDF_FILE,
    RECEIVED,
    UBL,
    XML_FILE,
    delivery,
    make_account,
    make_billit,
    make_cdar,
    make_file,
    make_line,
    make_order,
    make_row,
)

BRUSSELS = ZoneInfo("Europe/Brussels")
CDAR_ROUTE = f"GET /v1/files/{CDAR_FILE}"
ROLE = {"BY": "buyer", "WK": "platform", "DFH": "administration"}


def statuses(order, routes=None, reference=ISSUED, **settings):
    route = ISSUED_ORDER if reference == ISSUED else ORDER
    adapter, _far_end = make_billit({route: (200, order)} | (routes or {}), **settings)
    return adapter.fetch_statuses(reference)


def told(reports):
    return [(report.status, report.native_status, report.issuer_role) for report in reports]


# --- the invoice ---


def test_received_invoice():
    report = make_billit()[0].fetch_invoice(RECEIVED)
    assert (report.direction, report.number, report.type_code, report.currency) == (
        "received",
        "F-2026-0042",
        "380",
        "EUR",
    )
    assert (report.issue_date, report.due_date) == (date(2026, 10, 4), date(2026, 11, 3))
    assert report.total_with_vat == Decimal("150.0")
    assert (report.seller.siren, report.seller.identifier) == ("999000029", "999000029_COMPTA")
    assert (report.buyer.siren, report.buyer.identifier, report.buyer.scheme) == ("999000011", LINE, "0225")
    assert report.created_at == datetime(2026, 10, 4, 9, 0, 0, 120000, BRUSSELS)


def test_issued_credit_note():
    adapter, _far_end = make_billit({ISSUED_ORDER: (200, make_order(ISSUED, OrderType="CreditNote"))})
    report = adapter.fetch_invoice(ISSUED)
    assert (report.direction, report.type_code, report.seller.identifier) == ("issued", "381", LINE)
    assert report.buyer.siren == "999000029"


def test_own_side_is_known_by_the_line_where_the_order_is_silent():
    adapter, _far_end = make_billit({ORDER: (200, make_order(Customer=None))})
    assert adapter.fetch_invoice(RECEIVED).buyer.siren == "999000011"


def test_other_side_may_stand_as_the_counter_party():
    order = make_order(Supplier=None, CounterParty={"DisplayName": "ATELIER DUPONT", "VATNumber": "FR 60 999000029"})
    adapter, _far_end = make_billit({ORDER: (200, order)})
    seller = adapter.fetch_invoice(RECEIVED).seller
    assert (seller.name, seller.siren) == ("ATELIER DUPONT", "999000029")


@pytest.mark.parametrize(
    ("identifiers", "siren", "siret"),
    [
        ([("SIRENE", "999000029")], "999000029", ""),
        ([("SIREN", "999 000 029"), ("SIRET", "99900002900017")], "999000029", "99900002900017"),
        ([("SIRET", "99900002900017")], "999000029", "99900002900017"),
        ([("SIREN", "99900002900017"), ("SIRET", "999000029")], "999000029", "99900002900017"),
        ([("SIREN", "34532578572")], "", ""),
        ([("DUNS", "999000029")], "", ""),
    ],
)
def test_french_identifiers(identifiers, siren, siret):
    rows = [{"IdentifierType": kind, "Identifier": value} for kind, value in identifiers]
    party = reading.parse_party({"Name": "X", "Identifiers": rows})
    assert (party.siren, party.siret) == (siren, siret)


@pytest.mark.parametrize("changes", [{"OrderType": "Offer"}, {"OrderDirection": None}, {"OrderType": None}])
def test_order_that_is_no_invoice(changes):
    adapter, _far_end = make_billit({ORDER: (200, make_order(**changes))})
    with pytest.raises(PermanentError, match="no invoice"):
        adapter.fetch_invoice(RECEIVED)


@pytest.mark.parametrize("answer", [(200, []), (200, {}), (200, make_order(ISSUED)), (200, b"<html>")])
def test_answer_that_is_not_the_order(answer):
    with pytest.raises(TemporaryError):
        make_billit({ORDER: answer})[0].fetch_invoice(RECEIVED)


@pytest.mark.parametrize("reference", ["", "x", "9002/../../account", "0", "9" * 20])
def test_reference_that_could_leave_its_place(reference):
    adapter, far_end = make_billit()
    with pytest.raises(PermanentError):
        adapter.fetch_invoice(reference)
    assert far_end.calls == []


def test_order_found_at_another_registration_keeps_the_company_it_names():
    account = make_account(make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION), of={})
    theirs = f"GET /v1/einvoices/registrations/{OTHER_REGISTRATION}/orders/{RECEIVED}"
    adapter, far_end = make_billit({ORDER: (404, {}), theirs: (200, make_order())}, account)
    assert adapter.fetch_invoice(RECEIVED).buyer.identifier == "999000011_replyto"
    assert far_end.calls == [ORDER, theirs]
    far_end.requests.clear()
    adapter.acting_for(OTHER_LINE).fetch_invoice(RECEIVED)
    assert far_end.calls == [theirs]


def test_fault_of_one_company_is_not_taken_for_absence():
    account = make_account(make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION), of={})
    with pytest.raises(TemporaryError):
        make_billit({ORDER: (500, {})}, account)[0].fetch_invoice(RECEIVED)


def test_no_company_at_all():
    with pytest.raises(PermanentError, match="registration_id"):
        make_billit(account=make_account(make_line(registration=""), of={}))[0].fetch_invoice(RECEIVED)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("06/10/2026", datetime(2026, 10, 6, tzinfo=BRUSSELS)),
        ("06/10/2026 14:05:09", datetime(2026, 10, 6, 14, 5, 9, tzinfo=BRUSSELS)),
        ("2026-06-30T16:52:06.21", datetime(2026, 6, 30, 16, 52, 6, 210000, BRUSSELS)),
        ("2026-06-30T16:52:06.2112345", datetime(2026, 6, 30, 16, 52, 6, 211234, BRUSSELS)),
        ("2026-06-30T16:52:06Z", datetime(2026, 6, 30, 16, 52, 6, tzinfo=UTC)),
        ("2026-06-30", datetime(2026, 6, 30, tzinfo=BRUSSELS)),
        ("31/02/2026", None),
        ("yesterday", None),
        (None, None),
        (20260630, datetime(2026, 6, 30, tzinfo=BRUSSELS)),
    ],
)
def test_dates(written, moment):
    assert reading.parse_time(written, BRUSSELS) == moment


# --- what happened ---


def test_received_invoice_is_made_available():
    (report,) = statuses(make_order(), reference=RECEIVED)
    assert (report.status, report.derived, report.occurred_at) == ("203", True, None)
    assert statuses(make_order(), reference=RECEIVED, received_status="202")[0].status == "202"


def test_order_on_its_way_tells_its_milestones():
    reports = statuses(make_order(ISSUED, **delivery(IsDocumentDelivered=True, DocumentDeliveryStatus="Delivered")))
    assert told(reports) == [("201", "Sent", "WK"), ("203", "Delivered", "WK")]
    assert {report.derived for report in reports} == {True}
    assert [report.key for report in reports] == ["9001:Sent", "9001:Delivered"]


def test_order_not_sent_yet_tells_nothing():
    assert statuses(make_order(ISSUED, IsSent=False)) == ()


def test_delivery_in_error_is_kept_as_a_word():
    details = delivery(DocumentDeliveryStatus="Error", DocumentDeliveryInfo="Unknown participant")
    *_sent, report = statuses(make_order(ISSUED, **details))
    assert (report.status, report.native_status, report.note) == (None, "Error", "Unknown participant")


@pytest.mark.parametrize(("frame", "count"), [("B1", 1), ("S1", 1), ("B2", 0), ("S2", 0), ("M2", 0)])
def test_paid_is_a_receipt_unless_the_invoice_says_so_itself(frame, count):
    reports = statuses(make_order(ISSUED, IsSent=False, Paid=True, BusinessProcessType=frame))
    assert told(reports) == [("212", "Paid", "SE")] * count


def test_paid_on_a_received_invoice_is_nothing_we_heard():
    assert told(statuses(make_order(Paid=True), reference=RECEIVED)) == [("203", "Cost", "WK")]


def test_failed_report_ends_although_delivery_is_pending():
    reports = statuses(make_order(ISSUED, TaxReportingStatusTC="Failed"))
    assert told(reports) == [("501", "Refused", "DFH"), ("201", "Sent", "WK")]
    assert reports[0].note.startswith("The tax administration refused the report")


@pytest.mark.parametrize("word", ["Done", "Pending", None, "failed?"])
def test_other_tax_reports_say_nothing(word):
    assert told(statuses(make_order(ISSUED, TaxReportingStatusTC=word))) == [("201", "Sent", "WK")]


@pytest.mark.parametrize(("status", "role"), [("210", "BY"), ("213", "WK"), ("501", "DFH")])
def test_refused_is_resolved_by_the_lifecycle_file(status, role):
    content = make_cdar(status, role=role, reason="DOUBLON", note="reçue deux fois")
    order = make_order(ISSUED, Messages=[make_row()], **delivery(DocumentRefusedDate="2026-10-05T10:00:00"))
    first, *others = statuses(order, {CDAR_ROUTE: make_file(content)})
    assert (first.status, first.native_status, first.issuer_role) == (status, "Refused", role)
    assert first.reasons == (Reason(code="DOUBLON", text="reçue deux fois"),)
    assert first.occurred_at == datetime(2026, 10, 5, 9, 10, tzinfo=ZoneInfo("Europe/Paris"))
    assert (first.derived, told(others)) == (False, [("201", "Sent", "WK")])


@pytest.mark.parametrize("word", sorted(tables.NATIONAL_REASONS))
def test_refused_is_resolved_by_the_orders_reason(word):
    details = delivery(
        DocumentRefusedDate="2026-10-05T10:00:00", DocumentRefusedReasonTC=word, DocumentRefusedInfo="voir courriel"
    )
    first = statuses(make_order(ISSUED, **details))[0]
    assert (first.status, first.native_status, first.issuer_role) == ("210", "Refused", "BY")
    assert first.reasons == (Reason(code=tables.NATIONAL_REASONS[word], text="voir courriel", native_code=word),)


@pytest.mark.parametrize("word", [None, "", "duplicate", "GovernmentSaysNo"])
@pytest.mark.parametrize(
    "routes",
    [
        {},
        {CDAR_ROUTE: (404, {})},
        {CDAR_ROUTE: make_file(b"<html><body>")},
        {CDAR_ROUTE: make_file(UBL)},
        {CDAR_ROUTE: make_file(b"%PDF-1.7")},
        {CDAR_ROUTE: make_file(make_cdar("210", number="F-2026-0099"))},
    ],
    ids=["no file", "file gone", "broken", "an invoice", "a PDF", "of another invoice"],
)
def test_refused_without_a_cause_stays_unqualified(word, routes):
    details = delivery(DocumentRefusedDate="2026-10-05T10:00:00", DocumentRefusedReasonTC=word)
    order = make_order(ISSUED, Messages=[make_row()] if routes else [], **details)
    first = statuses(order, routes)[0]
    assert (first.status, first.native_status, first.derived) == (None, "Refused", False)
    assert first.note.startswith("Billit does not say who refused it")


def test_our_own_refusal_is_known_without_a_reason_word():
    details = delivery(DocumentRefusedDate="2026-10-06T10:00:00", DocumentRefusedReasonTC="Other")
    first, *_others = statuses(make_order(**details), reference=RECEIVED)
    assert (first.status, first.issuer_role, first.occurred_at) == ("210", "BY", None)


def test_refused_after_delivered():
    details = delivery(DocumentDeliveryStatus="Delivered", DocumentRefusedDate="2026-10-09T10:00:00")
    order = make_order(ISSUED, Messages=[make_row()], **details)
    reports = statuses(order, {CDAR_ROUTE: make_file(make_cdar("210"))})
    assert [report.status for report in reports] == ["210", "201", "203"]


@pytest.mark.parametrize("status", ["202", "203", "204", "205", "206", "207", "208", "211"])
def test_answers_of_the_other_side_are_read_from_their_files(status):
    order = make_order(ISSUED, IsSent=False, Messages=[make_row(Description="AP")])
    (report,) = statuses(order, {CDAR_ROUTE: make_file(make_cdar(status))})
    assert (report.status, report.native_status, report.derived) == (status, status, False)


@pytest.mark.parametrize(
    ("status", "read"), [("250", "250"), ("500", "500"), ("280", None), ("281", None), ("XYZ", None)]
)
def test_technical_answers_of_the_administration(status, read):
    order = make_order(ISSUED, IsSent=False, Messages=[make_row(TransportType="FrenchTaxAuthority")])
    content = make_cdar(status, role="DFH", number="FFE0614A_0001")
    (report,) = statuses(order, {CDAR_ROUTE: make_file(content)})
    assert (report.status, report.native_status, report.issuer_role) == (read, status, "DFH")


def test_payments_of_a_lifecycle_file():
    extra = "".join(
        f"<ram:SpecifiedDocumentCharacteristic><ram:TypeCode>{kind}</ram:TypeCode>"
        f'<ram:ValueAmount currencyID="EUR">{amount}</ram:ValueAmount><ram:ValuePercent>20.00</ram:ValuePercent>'
        "</ram:SpecifiedDocumentCharacteristic>"
        for kind, amount in (("MPA", "120.00"), ("RAP", "30.00"))
    )
    order = make_order(ISSUED, IsSent=False, Messages=[make_row()])
    (report,) = statuses(order, {CDAR_ROUTE: make_file(make_cdar("211", extra=extra))})
    assert report.payments == (Payment(amount=Decimal("120.00"), vat_rate=Decimal("20.00")),)


def test_files_we_sent_are_not_asked_for():
    adapter, far_end = make_billit({ISSUED_ORDER: (200, make_order(ISSUED, Messages=[make_row(direction="Outgoing")]))})
    adapter.fetch_statuses(ISSUED)
    assert far_end.calls == [ISSUED_ORDER]


def test_file_is_asked_for_once():
    order = make_order(ISSUED, Messages=[make_row()])
    adapter, far_end = make_billit({ISSUED_ORDER: (200, order), CDAR_ROUTE: make_file(make_cdar("205"))})
    first, second = adapter.fetch_statuses(ISSUED), adapter.fetch_statuses(ISSUED)
    assert (first == second, len(far_end.asked(CDAR_ROUTE))) == (True, 1)


@pytest.mark.parametrize("answer", [(500, {}), (429, {}), httpx.ReadTimeout("x")])
def test_file_that_cannot_be_had_now_is_not_taken_for_silence(answer):
    order = make_order(ISSUED, Messages=[make_row()])
    adapter, _far_end = make_billit({ISSUED_ORDER: (200, order), CDAR_ROUTE: answer})
    with pytest.raises(TemporaryError):
        adapter.fetch_statuses(ISSUED)


# --- files ---


def files(routes=None, reference=RECEIVED):
    return [(file.kind, file.content[:9], file.filename) for file in make_billit(routes)[0].fetch_files(reference)]


def test_files_of_a_received_invoice():
    adapter, far_end = make_billit()
    original, readable = adapter.fetch_files(RECEIVED)
    assert (original.kind, original.content, original.media_type) == ("original", UBL, "text/xml")
    assert (readable.kind, readable.filename) == ("readable", "F.pdf")
    assert {request.headers["partyid"] for request in far_end.requests[1:]} == {"8001"}


def test_network_file_among_the_messages():
    order = make_order(Attachments=[], Messages=[make_row(PDF_FILE), make_row(XML_FILE)])
    assert files({ORDER: (200, order)})[0][0:2] == ("original", UBL[:9])


def test_file_we_sent_is_the_original_of_an_issued_invoice():
    order = make_order(ISSUED, Messages=[make_row(XML_FILE, "Outgoing"), make_row(direction="Incoming")])
    assert [kind for kind, *_rest in files({ISSUED_ORDER: (200, order)}, ISSUED)] == ["original", "readable"]


def test_issued_invoice_without_a_network_file_has_its_picture():
    assert [kind for kind, *_rest in files(reference=ISSUED)] == ["readable"]


def test_other_attachments_are_kept():
    other = [{"FileID": XML_FILE, "FileName": "a.xml"}, {"FileID": PDF_FILE, "FileName": "bon.pdf"}]
    order = make_order(Attachments=other, OrderPDF=None)
    assert [kind for kind, *_rest in files({ORDER: (200, order)})] == ["original", "attachment"]


def test_picture_alone_is_kept_as_the_original():
    assert [kind for kind, *_rest in files({ORDER: (200, make_order(Attachments=[]))})] == ["original"]


def test_received_invoice_without_any_file():
    with pytest.raises(PermanentError, match="holds no file of order 9002"):
        files({ORDER: (200, make_order(Attachments=[], OrderPDF=None))})


def test_plain_body_is_taken_too():
    route = (200, UBL, {"content-type": "application/xml", "content-disposition": 'attachment; filename="x.xml"'})
    assert files({f"GET /v1/files/{XML_FILE}": route})[0] == ("original", UBL[:9], "x.xml")


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"FileContent": "%%%"}),
        (200, {"FileContent": ""}),
        (200, {"FileContent": None}),
        (200, []),
        (200, b"", {"content-type": "application/xml"}),
        (200, b"<html>Bad Gateway</html>", {"content-type": "text/html"}),
        (200, b"{", {"content-type": "application/json"}),
    ],
    ids=str,
)
def test_file_without_content_is_asked_for_again(answer):
    with pytest.raises(TemporaryError):
        files({f"GET /v1/files/{XML_FILE}": answer})


def test_file_too_large():
    large = (200, {"FileContent": base64.b64encode(b"<" * (1024 * 1024 + 1)).decode()})
    adapter, _far_end = make_billit({f"GET /v1/files/{XML_FILE}": large}, max_file_mb=1)
    with pytest.raises(PermanentError, match="larger than the 1 MB"):
        adapter.fetch_files(RECEIVED)


@pytest.mark.parametrize("file", ["../../account", "a/b", "", "x" * 101])
def test_file_number_that_could_leave_its_place(file):
    order = make_order(Attachments=[{"FileID": file or " ", "FileName": "a"}], OrderPDF=None)
    adapter, far_end = make_billit({ORDER: (200, order)})
    with pytest.raises(PermanentError):
        adapter.fetch_files(RECEIVED)
    assert far_end.calls == [ORDER]

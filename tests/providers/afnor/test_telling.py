"""Statuses as flows: written, checked, submitted once, found again."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from providers.contract.base import Payment, PermanentError, Reason, Receipt, UncertainError, Unsupported
from providers.formats import cdar

from .samples import (
    FLOWS,
    ISSUED,
    MOMENT,
    SEARCH,
    TRACKING_ID,
    asked,
    flow_info_of,
    found,
    make_afnor,
    make_flow,
    make_message,
    parts_of,
    refused,
)

SUBMIT = f"POST {FLOWS}"


def submitted(far_end):
    (request,) = far_end.asked(SUBMIT)
    return request


def lc(flow_id="fl-0900", **changes):
    flow = {"flowType": "SupplierInvoiceLC", "flowDirection": "Out", "flowSyntax": "CDAR", "trackingId": TRACKING_ID}
    return make_flow(flow_id, **{"name": f"CDAR-205-{TRACKING_ID}.xml", **flow, **changes})


# --- sending ---


def test_status_is_submitted_as_a_checked_message():
    afnor, far_end = make_afnor()
    message = make_message("207", note="Voir le bon", reasons=(Reason(code="QTE_ERR", text="9 sur 10"),))
    receipt = afnor.send_status(message)

    file = parts_of(submitted(far_end))["file"]
    content = file.get_payload(decode=True)
    assert receipt == Receipt(reference="fl-0900", text=f"Request-Id: {submitted(far_end).headers['request-id']}")
    assert (file.get_content_type(), file.get_filename()) == ("application/xml", f"CDAR-207-{TRACKING_ID}.xml")
    assert flow_info_of(submitted(far_end)) == {
        "trackingId": TRACKING_ID,
        "name": f"CDAR-207-{TRACKING_ID}.xml",
        "flowSyntax": "CDAR",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (told,) = cdar.read(content)
    report = told.report()
    assert (report.status, report.issuer_role, report.occurred_at) == ("207", "BY", MOMENT)
    assert (report.reasons[0].code, report.note) == ("QTE_ERR", "Voir le bon")
    assert [actor.address for actor in told.recipients] == ["905334413_COMPTA"]
    assert cdar.check(content).is_good


def test_same_message_is_the_same_bytes_on_every_try():
    bodies = []
    for _try in range(2):
        afnor, far_end = make_afnor()
        afnor.send_status(make_message())
        bodies.append(parts_of(submitted(far_end))["file"].get_payload(decode=True))

    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_media_type_of_flow_info_is_a_setting(media_type):
    afnor, far_end = make_afnor(flowinfo_content_type=media_type)
    afnor.send_status(make_message())
    assert parts_of(submitted(far_end))["flowInfo"].get_content_type() == media_type


def test_answer_200_counts_as_taken_too():
    afnor, _far_end = make_afnor({SUBMIT: (200, {"flowId": "fl-7"})})
    assert afnor.send_status(make_message()).reference == "fl-7"


@pytest.mark.parametrize("document", [{}, [], b"", {"flowId": 7}])
def test_answer_without_a_number_is_uncertain(document):
    afnor, _far_end = make_afnor({SUBMIT: (202, document)})
    with pytest.raises(UncertainError):
        afnor.send_status(make_message())


def test_message_that_breaks_the_rules_is_not_sent():
    afnor, far_end = make_afnor()
    with pytest.raises(PermanentError) as caught:
        afnor.send_status(make_message("210", reasons=()))

    assert (far_end.requests, "needs a reason" in caught.value.message) == ([], True)


@pytest.mark.parametrize(
    ("status", "role"), [("205", "SE"), ("212", "BY"), ("225", "SE"), ("226", "SE"), ("213", "WK")]
)
def test_status_of_another_side_or_of_platforms_is_not_said(status, role):
    afnor, far_end = make_afnor()
    with pytest.raises(Unsupported):
        afnor.send_status(make_message(status, role=role))
    assert far_end.requests == []


def test_receipt_by_rate_reads_back_as_it_was_told():
    afnor, far_end = make_afnor()
    paid = (
        Payment(amount=Decimal("1200.00"), vat_rate=Decimal(20)),
        Payment(amount=Decimal("-10.55"), vat_rate=Decimal("5.5")),
    )
    afnor.send_status(make_message("212", reference=ISSUED, role="SE", payments=paid, note="Virement rejeté"))

    (told,) = cdar.read(parts_of(submitted(far_end))["file"].get_payload(decode=True))
    assert told.report().payments == paid


# --- looking it up ---


def look_up(*flows, told_at=None, routes=None, **settings):
    afnor, far_end = make_afnor({f"POST {SEARCH}": found(*flows), **(routes or {})}, **settings)
    return afnor.find_status(make_message(told_at=told_at)), far_end


def test_look_up_searches_by_our_own_id():
    _receipt, far_end = look_up(lc())
    (request,) = far_end.asked(f"POST {SEARCH}")
    assert asked(request) == {"where": {"trackingId": TRACKING_ID}, "limit": 100}


ERROR = {"status": "Error", "details": refused("InvoiceLCRuleError")["details"]}
WHY = "pa-main did not take it: The status message breaks a rule of the platform. said InvoiceLCRuleError (cbc:ID)"


@pytest.mark.parametrize(
    ("acks", "receipt"),
    [
        (["Ok"], Receipt(reference="fl-0", confirmed=True, text="Ok")),
        (["Pending"], Receipt(reference="fl-0", text="Pending")),
        (["Pending", "Ok"], Receipt(reference="fl-1", confirmed=True, text="Ok")),
        (["Rule"], Receipt(refused=True, text=WHY)),
        (["Rule", "Ok"], Receipt(reference="fl-1", confirmed=True, text="Ok")),
        (["Ok", "Already"], Receipt(reference="fl-0", confirmed=True, text="Ok")),
        (["Rule", "Already"], Receipt(refused=True, text=WHY)),
        ([], None),
    ],
    ids=str,
)  # fmt: skip
def test_what_became_of_a_status(acks, receipt):
    words = {"Rule": ERROR, "Already": refused("AlreadyExistingFlow")}
    flows = [lc(f"fl-{place}", acknowledgement=words.get(ack, {"status": ack})) for place, ack in enumerate(acks)]
    assert look_up(*flows)[0] == receipt


def test_flow_of_another_id_is_not_ours_even_if_the_platform_shows_it():
    assert look_up(lc(trackingId="other"), lc(trackingId=None))[0] is None


def test_absence_says_nothing_until_the_platform_must_show_it():
    with pytest.raises(UncertainError):
        look_up(told_at=datetime.now(UTC) - timedelta(minutes=9))
    assert look_up(told_at=datetime.now(UTC) - timedelta(minutes=11))[0] is None
    assert look_up(told_at=datetime.now(UTC), shown_after=0)[0] is None


def test_refusal_of_an_earlier_try_does_not_count():
    told_at = datetime(2026, 9, 21, 15, 0, tzinfo=UTC)
    earlier, now = "2026-09-21T14:00:00Z", "2026-09-21T14:59:30Z"
    assert look_up(lc(acknowledgement=ERROR, submittedAt=earlier), told_at=told_at)[0] is None
    assert look_up(lc(acknowledgement=ERROR, submittedAt=now), told_at=told_at)[0] == Receipt(refused=True, text=WHY)


def test_doubled_status_is_found_by_its_name():
    again = lc(acknowledgement=refused("AlreadyExistingFlow"))
    first = lc("fl-first", trackingId=None)
    routes = {f"POST {SEARCH}": [found(again), found(lc("fl-other", trackingId=None, name="other.xml"), first)]}
    receipt, far_end = look_up(routes=routes)

    assert receipt == Receipt(reference="fl-first", confirmed=True, text="Ok")
    wanted = asked(far_end.asked(f"POST {SEARCH}")[1])["where"]
    assert wanted == {
        "updatedAfter": "2026-09-18T14:13:20.120000Z",
        "flowDirection": ["Out"],
        "flowType": ["CustomerInvoiceLC", "SupplierInvoiceLC"],
    }


def test_doubled_status_that_is_shown_nowhere_is_for_a_person():
    again = lc(acknowledgement=refused("AlreadyExistingFlow"))
    with pytest.raises(UncertainError):
        look_up(routes={f"POST {SEARCH}": [found(again), found()]})


def test_reasons_are_all_the_law_allows():
    afnor, _far_end = make_afnor()
    assert afnor.reasons_for("207", side="buyer") is None


def test_sides_of_the_message_follow_its_issuer():
    afnor, far_end = make_afnor()
    message = make_message("209", reference=ISSUED, role="SE")
    afnor.send_status(message)
    assert len(far_end.asked(SUBMIT)) == 1
    with pytest.raises(Unsupported):
        afnor.send_status(replace(message, status="205"))

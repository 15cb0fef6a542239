"""Invoices as flows: what is said of the file, and finding it again."""

import hashlib
from dataclasses import replace

import pytest

from providers.contract.base import File, PermanentError, Receipt, UncertainError, Unsupported

from .samples import (
    FLOWS,
    ISSUED,
    SEARCH,
    UBL,
    asked,
    flow_info_of,
    found,
    make_afnor,
    make_facts,
    make_flow,
    parts_of,
    refused,
)

SUBMIT = f"POST {FLOWS}"
FACTS = make_facts(ISSUED)
UBL_NAMES = 'xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:c="urn:x"'
CII_NAMES = 'xmlns="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100" xmlns:r="urn:x"'
EXTENDED = "urn:cen.eu:en16931:2017#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr"
PDF = b"%PDF-1.7 anything"


def ubl(profile):
    return f"<Invoice {UBL_NAMES}><c:CustomizationID>{profile}</c:CustomizationID></Invoice>".encode()


def cii(profile):
    guideline = "r:GuidelineSpecifiedDocumentContextParameter"
    context = f"<ExchangedDocumentContext><{guideline}><r:ID>{profile}</r:ID></{guideline}></ExchangedDocumentContext>"
    return f"<CrossIndustryInvoice {CII_NAMES}>{context}</CrossIndustryInvoice>".encode()


def submit(content=UBL, facts=FACTS, filename="F-2026-0001.xml", routes=None, **settings):
    afnor, far_end = make_afnor(routes, **settings)
    receipt = afnor.submit_invoice(File(kind="original", content=content, filename=filename), facts)
    return receipt, far_end.asked(SUBMIT)[0]


def test_invoice_is_submitted_with_all_that_is_known_of_the_file():
    receipt, request = submit()
    info, file = flow_info_of(request), parts_of(request)["file"]

    assert receipt == Receipt(reference="fl-0900", text=f"Request-Id: {request.headers['request-id']}")
    assert (info.pop("trackingId").isalnum(), len(flow_info_of(request)["trackingId"])) == (True, 32)
    assert info == {
        "name": "F-2026-0001.xml",
        "flowSyntax": "UBL",
        "processingRule": "B2B",
        "sha256": hashlib.sha256(UBL).hexdigest(),
    }
    assert (file.get_payload(decode=True), file.get_content_type()) == (UBL, "application/xml")


@pytest.mark.parametrize(
    ("content", "syntax", "media_type"),
    [(ubl("x"), "UBL", "application/xml"), (cii("x"), "CII", "application/xml"), (PDF, "Factur-X", "application/pdf")],
)
def test_syntax_follows_from_the_bytes(content, syntax, media_type):
    _receipt, request = submit(content)
    assert flow_info_of(request)["flowSyntax"] == syntax
    assert parts_of(request)["file"].get_content_type() == media_type


@pytest.mark.parametrize(
    ("content", "profile"),
    [
        (ubl("urn:cen.eu:en16931:2017"), "CIUS"),
        (cii(f"\n {EXTENDED} "), "Extended-CTC-FR"),
        (cii("urn:factur-x.eu:1p0:basicwl"), "Basic"),
        (ubl("urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"), None),
        (PDF, None),
    ],
)
def test_profile_is_said_only_where_the_document_names_one(content, profile):
    _receipt, request = submit(content)
    assert flow_info_of(request).get("flowProfile") == profile


@pytest.mark.parametrize(
    ("settings", "facts", "rule"),
    [
        ({}, FACTS, "B2B"),
        ({}, replace(FACTS, processing_rule="B2BInt"), "B2BInt"),
        ({"send_processing_rule": False}, FACTS, None),
        ({}, make_facts(ISSUED, buyer=make_facts().buyer.__class__(name="Private person")), None),
    ],
    ids=["both companies", "known", "switched off", "no company"],
)
def test_processing_rule_is_said_between_companies(settings, facts, rule):
    _receipt, request = submit(facts=facts, **settings)
    assert flow_info_of(request).get("processingRule") == rule


@pytest.mark.parametrize(("filename", "name"), [("", "F-2026-0001.xml"), ("../../etc/f.xml", "f.xml")])
def test_file_has_a_name_without_folders(filename, name):
    _receipt, request = submit(filename=filename)
    assert (flow_info_of(request)["name"], parts_of(request)["file"].get_filename()) == (name, name)


@pytest.mark.parametrize(
    ("content", "formats"), [(b"hello", ["ubl"]), (b"{}", ["ubl"]), (PDF, ["ubl"]), (cii("x"), []), (b"{}", ["json"])]
)
def test_format_the_platform_does_not_take_is_not_sent(content, formats):
    with pytest.raises(Unsupported):
        submit(content, submit_formats=formats)


def test_file_too_large_is_not_sent():
    with pytest.raises(PermanentError):
        submit(UBL + b" " * 1024 * 1024, max_file_mb=1)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusal_is_for_a_person_and_tells_the_platforms_words(status):
    body = {"errorCode": "FILE_SIZE_EXCEEDED", "errorMessage": "Provided file is too big"}
    with pytest.raises(PermanentError) as caught:
        submit(routes={SUBMIT: (status, body)})
    assert caught.value.message == f"pa-main refuses ({status}). Provided file is too big"


def test_tracking_id_is_the_same_on_every_try_and_another_for_another_invoice():
    ids = [
        flow_info_of(submit(facts=facts)[1])["trackingId"]
        for facts in (FACTS, FACTS, make_facts(ISSUED, number="F-2026-0002"), make_facts(ISSUED, type_code="381"))
    ]
    assert (ids[0] == ids[1], len(set(ids))) == (True, 3)


def test_submitted_invoice_is_found_by_its_tracking_id():
    _receipt, request = submit()
    tracking_id = flow_info_of(request)["trackingId"]
    flow = make_flow(ISSUED, flowType="CustomerInvoice", flowDirection="Out", trackingId=tracking_id)
    afnor, far_end = make_afnor({f"POST {SEARCH}": found(flow)})

    assert afnor.find_invoice(FACTS) == Receipt(reference=ISSUED, confirmed=True, text="Ok")
    assert asked(far_end.asked(f"POST {SEARCH}")[0])["where"] == {"trackingId": tracking_id}
    assert make_afnor()[0].find_invoice(FACTS) is None


def test_doubled_invoice_is_found_by_the_name_of_its_file():
    tracking_id = flow_info_of(submit()[1])["trackingId"]
    again = make_flow("fl-2", trackingId=tracking_id, acknowledgement=refused("AlreadyExistingFlow"))
    first = make_flow(ISSUED, flowType="CustomerInvoice", flowDirection="Out")
    afnor, _far_end = make_afnor({f"POST {SEARCH}": [found(again), found(first)]})

    assert afnor.find_invoice(FACTS) == Receipt(reference=ISSUED, confirmed=True, text="Ok")


def test_failed_search_is_no_absence():
    afnor, _far_end = make_afnor({f"POST {SEARCH}": (200, {"limit": 100})})
    with pytest.raises(Exception, match="holds no list of flows"):
        afnor.find_invoice(FACTS)


def test_invoice_without_a_number_is_not_sent():
    with pytest.raises(PermanentError):
        submit(facts=make_facts(ISSUED, number=""))


def test_answer_that_was_lost_is_uncertain():
    with pytest.raises(UncertainError):
        submit(routes={SUBMIT: (500, {})})

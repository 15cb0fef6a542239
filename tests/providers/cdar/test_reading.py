"""What others send: read as far as it goes, whatever it is."""

import base64
import json
import os
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.contract.base import InvoiceKey, Payment, Reason
from providers.formats import cdar
from providers.formats.cdar.writer import clean

from .messages import make_facts, make_message

SAMPLES = Path(__file__).parents[2] / "samples" / "cdar"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def spoiled(old: str, new: str, name: str = "disputed.xml") -> cdar.Cdar:
    content = sample(name).decode()
    assert content.count(old) == 1
    (told,) = cdar.read(content.replace(old, new).encode())
    return told


def code_of(content: bytes) -> str:
    with pytest.raises(cdar.UnreadableDocument) as caught:
        cdar.read(content)
    return caught.value.code


def test_report_says_what_the_message_says():
    (told,) = cdar.read(sample("disputed.xml"))
    report = told.report(direction="issued")

    assert (report.status, report.native_status, report.issuer_role) == ("207", "207", "BY")
    assert report.occurred_at == datetime(2026, 10, 12, 8, 30, tzinfo=UTC)
    assert report.invoice_key == InvoiceKey(
        seller_siren="905334413",
        number="F-2026-0042",
        type_code="380",
        issue_date=date(2026, 10, 4),
        direction="issued",
    )
    assert report.reasons == (
        Reason(
            code="QTE_ERR",
            text="9 cartons reçus sur 10.\n"
            "Action attendue : émettre un avoir pour une partie (CNP)\n"
            "valeur erronée : Quantité (BT-129) : 10",
        ),
        Reason(code="AUTRE", text="Emballage ouvert"),
    )
    assert report.note == "Rappelez-nous avant vendredi."
    assert report.raw["details"][0]["action"] == "CNP"


def test_invoice_the_platform_names_needs_no_other_name():
    (told,) = cdar.read(sample("disputed.xml"))

    assert (told.report(provider_ref="ref-7").provider_ref, told.report(provider_ref="ref-7").invoice_key) == (
        "ref-7",
        None,
    )


@pytest.mark.parametrize(
    "old", ["<IssuerAssignedID>F-2026-0042</IssuerAssignedID>", ">905334413</GlobalID></IssuerTradeParty>"]
)
def test_half_a_name_is_none(old):
    assert spoiled(old, old.replace("F-2026-0042", "").replace("905334413", "")).report().invoice_key is None


def test_seller_may_be_named_by_its_siret():
    old = '<GlobalID schemeID="0002">905334413</GlobalID></IssuerTradeParty>'
    told = spoiled(old, '<GlobalID schemeID="0009">90533441300021</GlobalID></IssuerTradeParty>')

    assert told.invoice_key.seller_siren == "905334413"


def test_unknown_status_keeps_its_word():
    report = spoiled("<ProcessConditionCode>207<", "<ProcessConditionCode>299<").report()

    assert (report.status, report.native_status) == (None, "299 En litige")


def test_role_nobody_knows_is_none():
    told = spoiled("<RoleCode>BY</RoleCode>", "<RoleCode>ACHETEUR</RoleCode>")

    assert (told.issuer.role, told.report().issuer_role) == ("ACHETEUR", "")


def test_unknown_reason_keeps_its_code():
    report = spoiled("<ReasonCode>QTE_ERR<", "<ReasonCode>CMD_EJ_ERR2<").report()

    assert report.reasons[0].code == "CMD_EJ_ERR2"
    assert report.reasons[0].text.splitlines()[0] == "Quantité facturée incorrecte"


def test_same_message_twice_is_the_same_news():
    keys = {told.report().key for _turn in range(2) for told in cdar.read(sample("disputed.xml"))}

    assert keys == {"LITIGE-2026-118#207#20261012103000"}


def test_sender_that_numbers_carelessly_tells_other_news():
    (told,) = cdar.read(sample("disputed.xml"))
    other = spoiled(">20261012103000<", ">20261013103000<")

    assert told.report().key != other.report().key


def test_message_without_a_number_has_no_key():
    assert spoiled("<ID>LITIGE-2026-118</ID>", "").report().key == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"204">20261012103000<', '"204">20261301103000<'),
        ('"204">20261012103000<', '"204">00010101000000<'),
        ('"204">20261012103000<', '"102">20261012<'),
        ('"204">20261012103000<', '"999">hier<'),
        ('"204">20261012103000<', '"204"><'),
    ],
)
def test_status_without_a_good_time_has_the_time_of_its_message(old, new):
    assert spoiled(old, new).report().occurred_at == datetime(2026, 10, 12, 8, 35, tzinfo=UTC)


@pytest.mark.parametrize("text", ["1E999999999", "NaN", "Infinity", "-", "12,5", "٣", "1" * 40])
def test_amount_that_is_none_is_left_out(text):
    content = cdar.write(make_message("212")).replace(b">1200.00<", f">{text}<".encode())
    (told,) = cdar.read(content)

    assert told.report().payments == ()


@pytest.mark.parametrize(("text", "amount"), [("+12.50", "12.50"), ("-0.5", "-0.5"), (" 7 ", "7"), ("3.", "3")])
def test_amount_is_read_as_xml_writes_numbers(text, amount):
    content = cdar.write(make_message("212")).replace(b">1200.00<", f">{text}<".encode())
    (told,) = cdar.read(content)

    assert told.report().payments == (Payment(amount=Decimal(amount), vat_rate=Decimal(20)),)


def test_every_document_of_a_message_is_news():
    content = sample("disputed.xml").decode()
    start, end = content.index("<ReferenceReferencedDocument>"), content.index("</c:AcknowledgementDocument>")
    second = content[start:end].replace("F-2026-0042", "F-2026-0043").replace(">207<", ">208<")
    third = content[content.index("<c:AcknowledgementDocument>") : end].replace("F-2026-0042", "F-2026-0044")
    whole = content[:end] + second + "</c:AcknowledgementDocument>" + third + content[end:]
    told = cdar.read(whole.encode())

    assert [(each.number, each.status) for each in told] == [
        ("F-2026-0042", "207"),
        ("F-2026-0043", "208"),
        ("F-2026-0044", "207"),
    ]


def test_message_about_nothing_is_read():
    content = sample("disputed.xml").decode()
    start, end = content.index("<ReferenceReferencedDocument>"), content.index("</c:AcknowledgementDocument>")
    (told,) = cdar.read((content[:start] + content[end:]).encode())

    assert (told.phase, told.number, told.report().status) == ("23", "", None)


def test_broken_attachment_does_not_hide_the_status():
    old = "<FormattedIssueDateTime>"
    told = spoiled(old, f'<AttachmentBinaryObject filename="bon.pdf">%%%</AttachmentBinaryObject>{old}')

    assert (told.status, told.files) == ("207", ())


def test_attachment_of_nine_megabytes_comes_with_the_status():
    file = os.urandom(9 * 1024 * 1024)
    old = "<FormattedIssueDateTime>"
    written = base64.encodebytes(file).decode()
    told = spoiled(old, f'<AttachmentBinaryObject filename="bon.pdf">{written}</AttachmentBinaryObject>{old}')

    assert (told.status, [each.content for each in told.files]) == ("207", [file])


def test_own_faulty_example_is_judged_in_words():
    verdict = cdar.check(sample("faulty.xml"))
    with override("en"):
        words = [str(each).split(":")[0] for each in verdict.findings]

    assert [(each.rule, each.is_fatal) for each in verdict.findings] == [
        ("BR-FR-CDV-16_MDT-124-2", True),
        ("BR-FR-CDV-CL-09_MDT-113_207", True),
        ("NV-invoice-number", True),
        ("NV-label", True),
    ]
    assert words == [
        "Position of the reason (MDT-124-2)",
        "Reason (MDT-113) “JUSTIF_ABS”",
        "Invoice number (MDT-87)",
        "Label of the status (MDT-106) “Suspendue”",
    ]


def test_own_good_example_is_good():
    verdict = cdar.check(sample("disputed.xml"))

    assert (verdict.findings, verdict.is_good, str(verdict)) == ((), True, "")
    assert verdict.version.startswith("CDAR D22B, BR-FR-CDV (pyfrctc 0.")


# --- hostile and broken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"%PDF-1.7", "malformed"),
        (b'{"status": "207"}', "malformed"),
        (b"<html><body>502</body></html>", "web_page"),
        (b"<Invoice/>", "not_a_cdar"),
        (b"<CrossDomainAcknowledgementAndResponse/>", "not_a_cdar"),
        (b"\xff\xfe\x00\x00<\x00\x00\x00", "encoding"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "encoding"),
        (sample("disputed.xml")[:1500], "malformed"),
        (sample("disputed.xml") + b"<more/>", "malformed"),
        (sample("disputed.xml").replace(b"Rappelez", b"Rappelez\x00"), "malformed"),
        (sample("disputed.xml").replace(b"Rappelez", b"\xe9"), "encoding"),
        (sample("disputed.xml").replace(b"<c:Cross", b'<!DOCTYPE c [<!ENTITY a "b">]><c:Cross', 1), "document_type"),
        (sample("disputed.xml").replace(b"Rappelez", b"&unknown;"), "malformed"),
        (b"<a>" * 100_000, "too_complex"),
        (b"<r>" + b" " * (20 * 1024 * 1024) + b"</r>", "too_large"),
        (b"<r>" + b"<a/>" * 1_000_001 + b"</r>", "too_complex"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_says_why(content, code):
    assert code_of(content) == code
    assert [(each.rule, each.is_fatal) for each in cdar.check(content).findings] == [
        ("XSD" if code == "not_a_cdar" else "XML", True)
    ]


def test_every_cut_is_noticed():
    content = sample("disputed.xml").rstrip()

    assert {code_of(content[:end]) for end in range(1, len(content), 97)} == {"malformed"}


def test_external_entity_is_not_opened(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    entity = f'<!DOCTYPE c [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'.encode()
    content = sample("disputed.xml").replace(b"<c:Cross", entity + b"<c:Cross", 1).replace(b"Rappelez-nous", b"&x;")

    assert code_of(content) == "document_type"
    assert "hush" not in str(cdar.check(content))


def test_message_that_would_occupy_the_worker_is_not_examined():
    reasons = tuple(Reason(code="JUSTIF_ABS") for _turn in range(5000))
    verdict = cdar.check(cdar.write(make_message("207", reasons=reasons)))

    assert [each.rule for each in verdict.findings] == ["XML"]


def test_many_reasons_are_judged():
    reasons = tuple(Reason(code="JUSTIF_ABS", text="x" * 100) for _turn in range(100))
    verdict = cdar.check(cdar.write(make_message("207", reasons=reasons)))

    assert len(verdict.fatal) == 100
    assert len(str(verdict).splitlines()) == 1


def test_value_at_fault_is_cut_short():
    (finding,) = cdar.check(cdar.write(make_message("205", invoice=make_facts(type_code="9" * 5000)))).fatal

    assert (finding.field, len(finding.value)) == ("MDT-91", 100)


TEXTS = re.findall(r">([^<>\s][^<>]*)<", sample("disputed.xml").decode())


@given(old=st.sampled_from(TEXTS), new=st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_anywhere_is_read_reported_and_judged(old, new):
    content = sample("disputed.xml").decode().replace(f">{old}<", f">{escape(clean(new))}<").encode()

    assert [json.dumps(told.report().raw)[0] for told in cdar.read(content)] == ["{"]
    assert {each.rule for each in cdar.check(content).findings}.isdisjoint({"XML"})


@given(start=st.integers(0, 4400), length=st.integers(1, 300), new=st.binary(max_size=30))
@settings(max_examples=60, deadline=None)
def test_damage_is_read_or_explained(start, length, new):
    content = sample("disputed.xml")
    content = content[:start] + new + content[start + length :]
    found = [each.message for each in cdar.check(content).findings]

    assert outcome(content) in ("read", *found)


def outcome(content: bytes) -> str:
    try:
        told = cdar.read(content)
    except cdar.UnreadableDocument as error:
        return str(error)
    return "read" if all(json.dumps(each.report().raw) for each in told) else ""

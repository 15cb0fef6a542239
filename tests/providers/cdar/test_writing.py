"""What we tell is understood as we meant it, and the official validators accept it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.contract.base import Party, Payment, PermanentError, Reason, TemporaryError
from providers.contract.told import note_of
from providers.formats import cdar
from providers.norm.codes import INVOICE_STATUSES, STATUSES, Reported

from .messages import BUYER, FORMS, OTHERS, SELLER, lawful_messages, make_facts, make_message, messages, read_back

BETWEEN, TO_PPF = cdar.Form.BETWEEN_PLATFORMS, cdar.Form.TO_PPF
EVERY_WAY = list(product(INVOICE_STATUSES, FORMS))


def told(message, **envelope):
    return cdar.compose(message, cdar.Envelope(**{"others": OTHERS, **envelope}))


@pytest.mark.parametrize(("status", "form"), EVERY_WAY)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_written_message_is_read_back_the_same(status, form, data):
    message = data.draw(messages(status))

    # Also a 208, 210 or receipt taken back without a word: the official words travel then.
    assert read_back(cdar.write(message, FORMS[form]), message) == replace(message, note=note_of(message))


@pytest.mark.parametrize(("status", "form"), EVERY_WAY)
@given(data=st.data())
@settings(max_examples=2, deadline=None)
def test_lawful_message_is_accepted_by_all_validators(status, form, data):
    message = data.draw(lawful_messages(status))

    assert str(cdar.check(cdar.write(message, FORMS[form]))) == ""


@pytest.mark.parametrize(("status", "form"), EVERY_WAY)
def test_least_message_is_prepared(status, form):
    message = make_message(status)

    assert read_back(cdar.prepare(message, FORMS[form]), message) == replace(message, note=note_of(message))


@pytest.mark.parametrize("status", ["208", "210"])
def test_status_that_needs_a_text_has_the_official_one_at_least(status):
    message = replace(make_message(status), reasons=(Reason(code="CMD_ERR"),), note="")
    label = "N° de commande incorrect ou manquant"

    assert read_back(cdar.prepare(message), message).note == label
    spoken = replace(message, reasons=(Reason(code="CMD_ERR", text="BC-17"),))
    assert read_back(cdar.prepare(spoken), spoken) == spoken


def test_message_is_the_same_on_every_try():
    message = make_message("207")

    assert cdar.write(message) == cdar.write(replace(message))


@pytest.mark.parametrize("process", sorted(cdar.official.PROCESSES))
def test_every_business_process_is_accepted(process):
    assert str(cdar.check(told(make_message("205"), process=process))) == ""


def test_platforms_stay_anonymous_among_themselves():
    assert told(make_message("203")).sender == cdar.Actor(role="WK")
    assert told(make_message("203")).issuer == cdar.Actor(role="WK")


def test_platforms_are_named_to_the_administration():
    platform = cdar.Actor(role="WK", name="Plateforme d'essai", ids=(("0238", "0147"),))
    message = told(make_message("213"), form=TO_PPF)

    assert (message.sender, message.issuer) == (platform, platform)
    assert [(actor.role, actor.ids) for actor in message.recipients] == [("DFH", (("0238", "0000"),))]


@pytest.mark.parametrize(
    ("status", "values", "roles"),
    [
        ("205", {}, ["SE"]),
        ("210", {}, ["SE", "DFH"]),
        ("211", {"issuer_role": "BY"}, ["SE"]),
        ("211", {"issuer_role": "SE"}, ["BY"]),
        ("212", {}, ["BY", "DFH"]),
        ("213", {"invoice": make_facts(direction="received")}, ["SE", "BY", "DFH"]),
        ("213", {"invoice": make_facts(direction="issued")}, ["SE", "DFH"]),
        ("214", {"issuer_role": "AB"}, ["BY", "SE"]),
        ("221", {}, ["WK"]),
        ("225", {}, ["BY", "DL"]),
        ("226", {}, ["DL"]),
    ],
)
def test_message_goes_to_whom_the_status_concerns(status, values, roles):
    assert [actor.role for actor in told(make_message(status, **values)).recipients] == roles


def test_receipt_that_owes_no_vat_is_for_the_buyer_alone():
    message = told(make_message("212"), receipts_to_ppf=False)

    assert [actor.role for actor in message.recipients] == ["BY"]


def test_recipient_has_the_address_of_the_invoice():
    (seller,) = told(make_message("205")).recipients

    assert (seller.address_scheme, seller.address) == ("0225", "905334413_COMPTA")


def test_recipient_without_address_has_its_siren_for_one():
    bare = make_facts(seller=Party(name="Imprimerie des Quais SAS", siren="905334413"))
    (seller,) = told(make_message("205", invoice=bare)).recipients

    assert (seller.address_scheme, seller.address) == ("0225", "905334413")


def test_each_vat_rate_has_its_own_amount():
    payments = (
        Payment(amount=Decimal("1200.00"), vat_rate=Decimal(20)),
        Payment(amount=Decimal("-211.00"), vat_rate=Decimal("5.5")),
    )
    characteristics = told(make_message("212", payments=payments, note="Chèque impayé")).characteristics

    assert [(each.type_code, each.shown) for each in characteristics] == [
        ("MEN", "1200.00 EUR 20 %"),
        ("MEN", "-211.00 EUR 5.5 %"),
    ]


def test_reasons_amounts_and_note_are_numbered():
    reasons = (Reason(code="QTE_ERR", text="9 reçus sur 10"), Reason(code="PU_ERR"))
    message = make_message("206", reasons=reasons, note="Avoir attendu", payments=(Payment(amount=Decimal(90)),))
    details = told(message).details

    assert [(each.sequence, each.reason, each.notes, len(each.characteristics)) for each in details] == [
        ("1", "QTE_ERR", ("9 reçus sur 10",), 1),
        ("2", "PU_ERR", (), 0),
        ("3", "", ("Avoir attendu",), 0),
    ]


def test_times_are_local_without_a_zone():
    summer = make_message("205", occurred_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))

    assert told(summer).status_at.text == "20260702003000"
    assert told(summer, zone=ZoneInfo("UTC")).status_at.text == "20260701223000"


def test_hour_that_autumn_repeats_is_read_as_the_first():
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    (read,) = cdar.read(cdar.write(make_message("205", occurred_at=second)))

    assert read.report().occurred_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_attachments_arrive_whole():
    bytes_of_all_kinds = bytes(range(256)) * 40
    attachment = cdar.Attachment(
        content=bytes_of_all_kinds, media_type="application/pdf", filename="bon de livraison.pdf"
    )
    content = cdar.prepare(make_message("209"), cdar.Envelope(attachments=(attachment,)))
    (read,) = cdar.read(content)

    assert read.attachments == (attachment,)
    assert [(file.kind, file.filename, file.content) for file in read.files] == [
        ("attachment", "bon de livraison.pdf", bytes_of_all_kinds)
    ]


def test_text_that_xml_cannot_hold_is_written_without_it():
    message = make_message("207", note="avant\x00\x0b\ud800 après\r\nligne 2 ]]> <b>&amp;</b>")

    assert read_back(cdar.prepare(message), message).note == "avant après\nligne 2 ]]> <b>&amp;</b>"


def test_dates_before_the_year_1000_keep_four_digits():
    old = make_facts(issue_date=date(26, 10, 4))

    assert told(make_message("205", invoice=old)).issued_on.text == "00261004"


def test_refused_message_says_what_to_correct_before_anything_is_sent():
    nameless = make_message("207", reasons=(), invoice=make_facts(number="", seller=Party(name="Sans numéro")))
    with pytest.raises(cdar.Faulty) as caught, override("en"):
        cdar.prepare(nameless)

    assert isinstance(caught.value, PermanentError)
    assert [line.split(":")[0] for line in caught.value.message.splitlines()] == [
        "Status 207 of invoice ref-1 was not sent, because its message breaks the rules.",
        "Recipient's electronic address (MDT-73)",
        "Reason (MDT-113)",
        "Invoice number (MDT-87)",
        "Seller's SIREN (MDT-129)",
    ]


def test_status_without_its_factor_names_what_is_missing():
    with pytest.raises(cdar.Faulty) as caught:
        cdar.prepare(make_message("226"))

    assert [(each.rule, each.field) for each in caught.value.verdict.fatal] == [("XSD", ""), ("NV-recipient", "MDG-23")]


def test_check_that_fails_itself_is_tried_again(monkeypatch):
    monkeypatch.setattr(cdar.files, "SCHEMA", "nowhere.xsd")
    cdar.files.schema.cache_clear()
    try:
        with pytest.raises(TemporaryError):
            cdar.prepare(make_message("205"))
    finally:
        cdar.files.schema.cache_clear()


def test_statuses_for_the_administration_are_the_mandatory_ones():
    expected = {code for code in INVOICE_STATUSES if STATUSES[code].reported_to_ppf != Reported.NO}
    warned = {
        code
        for code in INVOICE_STATUSES
        if "NV-not-for-ppf"
        in {each.rule for each in cdar.check(cdar.write(make_message(code), FORMS[TO_PPF])).warnings}
    }

    assert (expected, warned) == ({"200", "210", "212", "213"}, set(INVOICE_STATUSES) - expected)


def test_parties_of_the_invoice_are_those_of_the_message():
    message = told(make_message("205"))

    assert (message.issuer.siren, message.issuer.name) == (BUYER.siren, BUYER.name)
    assert message.seller.siren == SELLER.siren

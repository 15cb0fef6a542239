"""What the official validators let through, and we do not: each case takes a good message and spoils one thing."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.utils.translation import override

from providers.contract.base import Payment, Reason
from providers.formats import cdar
from providers.formats.cdar.model import Actor, Cdar, Characteristic, Detail, Moment

from .messages import FORMS, make_message

TO_PPF = cdar.Form.TO_PPF


def good(status: str, form: cdar.Form = cdar.Form.BETWEEN_PLATFORMS, **values) -> Cdar:
    return cdar.compose(make_message(status, **values), FORMS[form])


def amount(kind: str, value: str | None, rate: str | None = "20", currency: str = "EUR") -> Characteristic:
    return Characteristic(
        type_code=kind,
        is_changed=False,
        amount=None if value is None else Decimal(value),
        currency=currency,
        percent=None if rate is None else Decimal(rate),
    )


def with_amounts(message: Cdar, *amounts: Characteristic) -> Cdar:
    return replace(message, details=(Detail(sequence="1", characteristics=amounts),))


def actor(before: Actor | None, **values) -> Actor:
    return replace(before or Actor(), **values)


def siren(value: str) -> tuple[tuple[str, str], ...]:
    return (("0002", value),)


# Rule, a good message, what is done to it, the value shown.
Case = tuple[str, Cdar, Callable[[Cdar], Cdar], str]
FATAL: list[Case] = [
    ("NV-message-time", good("205"), lambda m: replace(m, made_at=None), ""),
    (
        "NV-message-time-form",
        good("205"),
        lambda m: replace(m, made_at=Moment("20261301000000", "204")),
        "20261301000000 [204]",
    ),
    ("NV-message-time-form", good("205"), lambda m: replace(m, made_at=Moment("20261012", "102")), "20261012 [102]"),
    ("NV-status-time", good("205"), lambda m: replace(m, status_at=None), ""),
    (
        "NV-status-time-form",
        good("205"),
        lambda m: replace(m, status_at=Moment("20260230103000", "204")),
        "20260230103000 [204]",
    ),
    ("NV-receipt-time-form", good("205"), lambda m: replace(m, received_at=Moment("hier", "204")), "hier [204]"),
    ("NV-invoice-date-form", good("205"), lambda m: replace(m, issued_on=Moment("20260230", "102")), "20260230 [102]"),
    (
        "NV-invoice-date-form",
        good("205"),
        lambda m: replace(m, issued_on=Moment("2026-10-04", "102")),
        "2026-10-04 [102]",
    ),
    ("NV-invoice-number", good("205"), lambda m: replace(m, number=""), ""),
    ("NV-seller", good("205"), lambda m: replace(m, seller=None), ""),
    ("NV-seller-siren", good("205"), lambda m: replace(m, seller=Actor(ids=siren("90533441"))), "90533441"),
    ("NV-seller-siren", good("205"), lambda m: replace(m, seller=Actor(ids=siren("٩٠٥٣٣٤٤١٣"))), "٩٠٥٣٣٤٤١٣"),
    (
        "NV-issuer-siren",
        good("205"),
        lambda m: replace(m, issuer=actor(m.issuer, ids=siren("FR800112237"))),
        "FR800112237",
    ),
    (
        "NV-recipient-siren",
        good("205"),
        lambda m: replace(m, recipients=(actor(m.recipients[0], ids=siren("1")),)),
        "1",
    ),
    (
        "NV-unnamed-platform",
        good("203"),
        lambda m: replace(m, issuer=Actor(role="WK", ids=(("0238", "0147"),))),
        "0147",
    ),
    ("NV-issuer", good("205"), lambda m: replace(m, issuer=actor(m.issuer, role="SE")), "SE"),
    ("NV-issuer", good("212"), lambda m: replace(m, issuer=actor(m.issuer, role="BY")), "BY"),
    ("NV-issuer", good("212"), lambda m: replace(m, issuer=actor(m.issuer, role="PR")), "PR"),
    ("NV-single", good("205"), lambda m: replace(m, is_multiple=True), "true"),
    ("NV-phase", good("204"), lambda m: replace(m, phase="305", un_status="", issuer=Actor(role="WK")), "305"),
    ("NV-phase", good("205"), lambda m: replace(m, phase="", un_status=""), ""),
    ("NV-un-status", good("205"), lambda m: replace(m, un_status="46"), "46"),
    ("NV-un-status", good("205"), lambda m: replace(m, un_status="5"), "5"),
    ("NV-label", good("205"), lambda m: replace(m, label="Refusée"), "Refusée"),
    ("NV-object", good("205"), lambda m: replace(m, status="601", un_status="", label=""), "601"),
    ("NV-needless-reason", good("205"), lambda m: replace(m, details=(Detail(reason="AUTRE", sequence="1"),)), "AUTRE"),
    ("NV-positions", good("207"), lambda m: replace(m, details=(*m.details, *m.details)), "1, 1"),
    ("NV-positions", good("207"), lambda m: replace(m, details=(replace(m.details[0], sequence="0"),)), "0"),
    ("NV-needless-amount", good("205"), lambda m: with_amounts(m, amount("MEN", "10")), "10 EUR 20 %"),
    ("NV-kind-of-value", good("211"), lambda m: with_amounts(m, amount("MPA", "10"), amount("", "5")), "5 EUR 20 %"),
    ("NV-zero-receipt", good("212"), lambda m: with_amounts(m, amount("MEN", "0.00")), "0.00 EUR 20 %"),
    ("NV-receipt-currency", good("212"), lambda m: with_amounts(m, amount("MEN", "9", currency="USD")), "9 USD 20 %"),
    ("NV-currency", good("211"), lambda m: with_amounts(m, amount("MPA", "9", None, "ZZZ")), "9 ZZZ"),
    ("NV-vat-rate", good("212"), lambda m: with_amounts(m, amount("MEN", "9", "99")), "99"),
    ("NV-amount-digits", good("212"), lambda m: with_amounts(m, amount("MEN", "0.001")), "0.001"),
    ("NV-amount-digits", good("212"), lambda m: with_amounts(m, amount("MEN", "1" + "0" * 19)), "1" + "0" * 19),
    ("NV-platform-to-ppf", good("210", TO_PPF), lambda m: replace(m, sender=Actor(role="WK")), ""),
    ("NV-family", good("210", TO_PPF), lambda m: replace(m, reference_type=""), ""),
]
WARNINGS: list[Case] = [
    ("NV-siren-sum", good("205"), lambda m: replace(m, seller=Actor(ids=siren("905334414"))), "905334414"),
    ("NV-label-words", good("205"), lambda m: replace(m, label="Acceptée par le service"), "Acceptée par le service"),
    ("NV-no-amount", good("211"), lambda m: replace(m, details=()), ""),
    ("NV-unexplained-return", good("212"), lambda m: with_amounts(m, amount("MEN", "-5")), "-5 EUR 20 %"),
    ("NV-no-text", good("210"), lambda m: replace(m, details=tuple(replace(d, notes=()) for d in m.details)), ""),
    ("NV-not-for-ppf", good("205"), lambda m: good("205", TO_PPF), "205"),
    (
        "NV-old-ppf",
        good("210"),
        lambda m: replace(m, recipients=(*m.recipients[:1], actor(m.recipients[1], ids=(("0238", "9998"),)))),
        "9998",
    ),
]


def judged(message: Cdar) -> list[tuple[str, str, bool]]:
    return [(each.rule, each.value, each.is_fatal) for each in cdar.check(message).findings]


@pytest.mark.parametrize(
    ("rule", "before", "spoil", "value"), FATAL, ids=[f"{case[0]}-{case[3][:12]}" for case in FATAL]
)
def test_message_the_official_validators_let_through_is_refused(rule, before, spoil, value):
    assert judged(before) == []
    assert judged(spoil(before)) == [(rule, value, True)]


@pytest.mark.parametrize(("rule", "before", "spoil", "value"), WARNINGS, ids=[case[0] for case in WARNINGS])
def test_doubtful_message_is_warned_of(rule, before, spoil, value):
    assert judged(before) == []
    assert judged(spoil(before)) == [(rule, value, False)]
    assert cdar.check(spoil(before)).is_good


def test_negative_receipt_of_a_credit_note_needs_no_explanation():
    assert judged(replace(with_amounts(good("212"), amount("MEN", "-5")), type_code="381")) == []


def test_every_rule_of_ours_has_a_case():
    # These two cannot be had without breaking the schema or an official rule as well.
    elsewhere = {"NV-message-number", "NV-recipient", "NV-value-date-form"}

    assert {rule.id for rule in cdar.rules.RULES} - {case[0] for case in FATAL + WARNINGS} == elsewhere


def test_message_number_may_not_be_empty():
    content = cdar.write(make_message("205")).replace(
        b"<ram:ID>0a5b9c0e-5b0e-4c8e-9a55-7f6d1f3c2b1a</ram:ID>", b"<ram:ID> </ram:ID>"
    )

    assert judged_bytes(content) == ["NV-message-number"]


def test_number_of_the_invoice_may_not_be_empty():
    content = cdar.write(make_message("205")).replace(b">F-2026-0042<", b"><")

    assert judged_bytes(content) == ["NV-invoice-number"]


def test_second_document_of_a_message_is_judged_too():
    content = cdar.write(make_message("205"))
    start, end = content.index(b"<ram:ReferenceReferencedDocument>"), content.index(b"</rsm:AcknowledgementDocument>")
    second = content[start:end].replace(b">F-2026-0042<", b"><")

    assert judged_bytes(content[:end] + second + content[end:]) == ["NV-invoice-number"]


def judged_bytes(content: bytes) -> list[str]:
    return [each.rule for each in cdar.check(content).findings]


@pytest.mark.parametrize(
    ("status", "role"), [("205", "AB"), ("205", "IV"), ("211", "PR"), ("212", "PE"), ("212", "II"), ("228", "DL")]
)
def test_agent_may_speak_for_its_principal(status, role):
    message = good(status)

    assert judged(replace(message, issuer=actor(message.issuer, role=role))) == []


@pytest.mark.parametrize("label", ["EN LITIGE", "En_litige", "en  litige", ""])
def test_label_is_compared_by_its_letters(label):
    assert judged(replace(good("207"), label=label)) == []


def test_inadmissible_file_needs_neither_seller_nor_date():
    message = replace(
        good("205"), status="501", label="Irrecevable", phase="305", un_status="", seller=None, issued_on=None
    )
    about = replace(
        message,
        issuer=Actor(role="WK"),
        recipients=(Actor(role="WK"),),
        details=(Detail(reason="IRR_SYNTAX", sequence="1"),),
    )

    assert judged(about) == []


def test_partner_may_use_a_code_of_its_own():
    message = replace(good("204"), status="299", label="Reçue au service", un_status="")

    assert judged(message) == [("BR-FR-CDV-CL-06_MDT-105", "299", False)]


def test_explained_return_of_a_payment_is_good():
    returned = (Payment(amount=Decimal("-5.00"), vat_rate=Decimal(20)),)

    assert judged(good("212", payments=returned, note="Chèque impayé")) == []
    assert judged(good("212", payments=returned, reasons=(Reason(code="AUTRE"),))) == []


def test_return_of_a_payment_with_the_code_of_the_tax_side_is_refused():
    """DGFiP lists ANNUL_ENC, the official rules do not know it."""
    returned = (Payment(amount=Decimal("-5.00"), vat_rate=Decimal(20)),)

    assert judged(good("212", payments=returned, reasons=(Reason(code="ANNUL_ENC"),))) == [
        ("BR-FR-CDV-CL-09_MDT-113", "ANNUL_ENC", True)
    ]


def test_wrong_rate_of_the_invoice_may_be_named():
    wrong = Characteristic(type_code="DIV", field_id="BT-152", is_changed=True, percent=Decimal("19.5"))
    message = good("207", reasons=(Reason(code="TX_TVA_ERR"),))

    assert judged(replace(message, details=(replace(message.details[0], characteristics=(wrong,)),))) == []


def test_date_of_a_value_must_exist():
    wrong = Characteristic(type_code="DIV", field_id="BT-2", is_changed=True, moment=Moment("20260231", "102"))
    message = good("207")
    message = replace(message, details=(replace(message.details[0], characteristics=(wrong,)),))

    assert [rule for rule, _value, _fatal in judged(message)] == ["NV-value-date-form"]


def test_finding_names_field_value_and_remedy():
    (finding,) = cdar.check(replace(good("205"), label="Refusée")).findings
    with override("en"):
        words = str(finding)

    assert words == (
        "Label of the status (MDT-106) “Refusée”: This is the label of another status than 205 (Approved). "
        "Check which of the two is meant."
    )


def test_verdict_says_a_fault_once():
    verdict = cdar.check(good("207", reasons=(Reason(code="PRIX_ERR"),)))

    assert [each.rule for each in verdict.fatal] == ["BR-FR-CDV-CL-09_MDT-113", "BR-FR-CDV-CL-09_MDT-113_207"]
    assert len(str(verdict).splitlines()) == 1


def test_schema_is_quoted_only_where_nothing_else_explains():
    verdict = cdar.check(replace(good("226"), recipients=()))

    assert [each.rule for each in verdict.fatal] == ["XSD", "NV-recipient"]
    assert str(verdict) == str(verdict.fatal[1])

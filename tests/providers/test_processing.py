"""The processing rule, as platforms and invoices write it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from providers.acube import reading as acube
from providers.billit import reading as billit
from providers.contract.base import InvoiceFacts, Party, StatusMessage
from providers.formats.cdar import compose
from providers.formats.cdar.composer import objection
from providers.norm.processing import reaches_administration, read_rule, rule_in
from providers.seqino import reading as seqino

NOW = datetime(2026, 10, 12, 8, 30, tzinfo=UTC)
FRENCH, FOREIGN = Party(siren="905334413"), Party(name="Bouwwerken", vat_number="BE0403170701")


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("B2B", "B2B"), ("B2BInt", "B2BInt"), ("B2BINT", "B2BInt"), ("b2b_int", "B2BInt"), ("OUTOFSCOPE", "OutOfScope"),
        ("ArchiveOnly", "ArchiveOnly"), ("B2GOutOfScope", "B2GOutOfScope"), ("NotApplicable", ""), ("Undefined", ""),
        ("B2X", ""), ("", ""), (None, ""), (7, ""),
    ],
)  # fmt: skip
def test_rule_however_it_is_written(word, rule):
    assert read_rule(word) == rule


def test_rule_in_what_a_platform_says():
    assert rule_in({"processingRule": "Undefined", "processing_rule": "B2C"}) == "B2C"
    assert (rule_in({}), rule_in(None), rule_in(["B2C"])) == ("", "", "")


@pytest.mark.parametrize(
    ("rule", "process", "is_told"),
    [
        ("", "REGULATED", True),
        ("B2B", "REGULATED", True),
        ("B2BInt", "B2BINT", False),
        ("OutOfScope", "OUTOFSCOPE", False),
    ],
)
def test_message_says_what_kind_of_business_it_is_about(rule, process, is_told):
    invoice = InvoiceFacts(
        provider_ref="f", direction="received", number="F-1", type_code="380", issue_date=None, seller=FRENCH,
        buyer=Party(siren="800112237"), processing_rule=rule,
    )  # fmt: skip
    message = compose(StatusMessage(id="1", invoice=invoice, status="210", issuer_role="BY", occurred_at=NOW))
    assert (message.process, reaches_administration(rule)) == (process, is_told)


def test_seller_no_message_can_name():
    invoice = InvoiceFacts(
        provider_ref="f", direction="received", number="F-1", type_code="380", issue_date=None, seller=FOREIGN,
        buyer=Party(siren="800112237"),
    )  # fmt: skip
    assert str(objection(invoice, "205")).startswith("Le vendeur n’a pas de SIREN")


def test_each_platform_that_tells_it_is_heard():
    told = {"processingRule": "B2BInt"}
    order = {"OrderID": 7, "OrderDirection": "Cost", "OrderType": "Invoice", **told}
    reports = [
        acube.parse_invoice({"uuid": "5f0c", "direction": "INBOUND", **told}),
        billit.parse_order(order, None, ZoneInfo("Europe/Paris")),
        seqino.parse_invoice({"processing_rule": "b2b_int"}, "s-1", ()),
    ]
    assert [report and report.processing_rule for report in reports] == ["B2BInt"] * 3

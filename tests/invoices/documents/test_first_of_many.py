"""Where a format allows several, all are shown and none is taken for another."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date
from decimal import Decimal
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override

from providers.formats.en16931.model import Condition, ParsedInvoice, PaymentTerm, Reference
from providers.formats.en16931.other_data import MOST
from providers.formats.en16931.payment_terms import due_date_of, instalments_of, next_due
from providers.formats.en16931.readable import readable_context, render_readable
from providers.formats.en16931.reader import read_invoice

SAMPLES = Path(settings.BASE_DIR) / "tests" / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_text(encoding="utf-8")
CII = (SAMPLES / "invoice.cii.xml").read_text(encoding="utf-8")
CII_TERMS = re.compile(r"<ram:SpecifiedTradePaymentTerms>.*?</ram:SpecifiedTradePaymentTerms>", re.DOTALL)
CII_LINE = re.compile(r"<ram:IncludedSupplyChainTradeLineItem>.*</ram:IncludedSupplyChainTradeLineItem>", re.DOTALL)
UBL_LINE = re.compile(r"<cac:InvoiceLine>.*</cac:InvoiceLine>", re.DOTALL)
FILE = b64encode(b"plan").decode()


def day(written: str) -> str:
    return f'<udt:DateTimeString format="102">{written}</udt:DateTimeString>'


def cii_term(*, due: str = "", text: str = "", share: str = "", part: str = "", discount: str = "") -> str:
    """Elements in the order of the schema."""
    parts = (
        f"<ram:Description>{text}</ram:Description>" if text else "",
        f"<ram:DueDateDateTime>{day(due)}</ram:DueDateDateTime>" if due else "",
        f"<ram:PartialPaymentPercent>{share}</ram:PartialPaymentPercent>" if share else "",
        f"<ram:PartialPaymentAmount>{part}</ram:PartialPaymentAmount>" if part else "",
        f"<ram:ApplicableTradePaymentDiscountTerms>{discount}</ram:ApplicableTradePaymentDiscountTerms>"
        if discount
        else "",
    )
    return f"<ram:SpecifiedTradePaymentTerms>{''.join(parts)}</ram:SpecifiedTradePaymentTerms>"


def cii(*terms: str) -> ParsedInvoice:
    totals = "<ram:SpecifiedTradeSettlementHeader"
    return read_invoice(CII_TERMS.sub("", CII).replace(totals, "".join(terms) + totals, 1).encode())


def words(invoice: ParsedInvoice) -> str:
    with override("fr"):
        page = unescape(re.sub(r"<[^>]*>", " ", render_readable(invoice)))
    return " ".join(page.split())


# --- payment terms

TEN_DAYS = '<ram:BasisPeriodMeasure unitCode="DAY">10</ram:BasisPeriodMeasure>'
THREE_PERCENT = "<ram:CalculationPercent>3</ram:CalculationPercent>"


def test_last_day_of_a_discount_is_not_the_due_date() -> None:
    invoice = cii(
        cii_term(due="20261014", text="3 % sous 10 jours", discount=TEN_DAYS + THREE_PERCENT),
        cii_term(due="20261104", text="30 jours net"),
    )
    assert (invoice.due_date, [term.due_date for term in invoice.terms]) == (
        date(2026, 11, 4), [date(2026, 10, 14), date(2026, 11, 4)],
    )  # fmt: skip
    issued = invoice.issue_date
    assert issued is not None
    assert invoice.terms[0].discount == Condition(
        percentage=Decimal(3), period=Decimal(10), unit="DAY", until=date(2026, 10, issued.day + 10)
    )
    assert ["Escompte : 3 % jusqu’au" in words(invoice), "30 jours net" in words(invoice)] == [True, True]


def test_order_of_the_terms_does_not_matter() -> None:
    first, second = cii_term(due="20261104"), cii_term(due="20261014", discount=TEN_DAYS + THREE_PERCENT)
    assert cii(first, second).due_date == cii(second, first).due_date == date(2026, 11, 4)


def test_discount_inside_the_only_term_leaves_its_due_date() -> None:
    invoice = cii(cii_term(due="20261104", discount=TEN_DAYS + THREE_PERCENT))
    assert invoice.due_date == date(2026, 11, 4)


def test_terms_told_apart_only_in_words_are_due_on_the_last_day() -> None:
    assert cii(cii_term(due="20261014", text="3 %"), cii_term(due="20261104", text="net")).due_date == date(2026, 11, 4)


@pytest.mark.parametrize(
    ("terms", "due"),
    [
        ([PaymentTerm(due_date=date(2026, 10, 1), discount=Condition(until=date(2026, 10, 1)))], None),
        ([PaymentTerm(due_date=date(2026, 10, 1), discount=Condition())], date(2026, 10, 1)),
        ([PaymentTerm(due_date=date(2026, 10, 1), discount=Condition())] * 2, None),
        ([PaymentTerm(text="à réception")], None),
        ([], None),
    ],
)
def test_due_date_is_never_guessed(terms: list[PaymentTerm], due: date | None) -> None:
    assert due_date_of(terms) == due


def test_discount_in_the_words_of_german_invoices_is_read() -> None:
    invoice = cii(cii_term(due="20261104", text="#SKONTO#TAGE=14#PROZENT=2.00#\n#SKONTO#TAGE=7#PROZENT=3.00#\nnet 30"))
    assert [(term.discount.percentage, term.discount.period) for term in invoice.terms if term.discount] == [
        (Decimal("2.00"), Decimal(14)), (Decimal("3.00"), Decimal(7)),
    ]  # fmt: skip
    assert invoice.due_date == date(2026, 11, 4)


def test_condition_written_in_code_is_told_once() -> None:
    coded = "#SKONTO#TAGE=7#PROZENT=3.00#BASISBETRAG=252.94# \n#VERZUG#TAGE=30#PROZENT=9.12#"
    with override("fr"):
        rows = [readable_context(cii(cii_term(text=text)), None)["terms"] for text in (f"{coded}\nnet 30", coded)]
    told = [[row["text"].replace("\u00a0", " ") for row in each] for each in rows]
    conditions = [
        "Escompte : 3 % sur 252,94 € jusqu’au 12 octobre 2026 (7 jours)",
        "Pénalité de retard : 9,12 % 30 jours",
    ]
    assert told == [["net 30", *conditions], conditions]


INSTALMENTS = [
    cii_term(due=f"2026{month}04", text=f"{number}/3", part="400.00")
    for number, month in enumerate(("11", "12", "10"), 1)
]


def test_instalments_are_shown_with_their_days_and_amounts_and_the_first_is_due() -> None:
    invoice = cii(*INSTALMENTS)
    assert instalments_of(invoice) == [(date(2026, month, 4), Decimal("400.00")) for month in (10, 11, 12)]
    assert invoice.due_date == date(2026, 10, 4)
    shown = words(invoice)
    days = ("4 octobre 2026", "4 novembre 2026", "4 décembre 2026")
    assert [f"{each} 400,00 €" in shown for each in days] == [True] * 3


@pytest.mark.parametrize(
    ("paid", "month"), [("0", 10), ("399.99", 10), ("400", 11), ("799", 11), ("800.00", 12), ("1200", 12), ("5000", 12)]
)
def test_next_instalment_is_the_first_not_covered(paid: str, month: int) -> None:
    assert next_due(instalments_of(cii(*INSTALMENTS)), Decimal(paid)) == date(2026, month, 4)


def ubl_terms(*terms: str) -> ParsedInvoice:
    inside = "".join(f"<cac:PaymentTerms>{term}</cac:PaymentTerms>" for term in terms)
    return read_invoice(UBL.replace("<cac:TaxTotal>", f"{inside}<cac:TaxTotal>", 1).encode())


def test_ubl_discount_is_told_and_leaves_the_due_date() -> None:
    invoice = ubl_terms(
        "<cbc:Note>3 % sous 10 jours</cbc:Note><cbc:SettlementDiscountPercent>3</cbc:SettlementDiscountPercent>"
        "<cbc:PaymentDueDate>2026-10-14</cbc:PaymentDueDate>"
        "<cac:SettlementPeriod><cbc:EndDate>2026-10-14</cbc:EndDate></cac:SettlementPeriod>"
    )
    assert invoice.due_date == date(2026, 11, 3)
    assert "Escompte : 3 % jusqu’au 14 octobre 2026" in words(invoice)


def test_cii_instalments_by_share() -> None:
    invoice = cii(cii_term(due="20261201", share="70"), cii_term(due="20261101", share="30"))
    assert instalments_of(invoice) == [(date(2026, 11, 1), Decimal("64.80")), (date(2026, 12, 1), Decimal("151.20"))]
    assert (invoice.due_date, invoice.other_data) == (date(2026, 11, 1), ())


def test_instalment_with_a_discount_of_its_own_is_still_one() -> None:
    weeks = '<ram:BasisPeriodMeasure unitCode="WEE">2</ram:BasisPeriodMeasure>'
    invoice = cii(
        cii_term(due="20261101", part="80.00", discount=weeks + THREE_PERCENT), cii_term(due="20261201", part="136.00")
    )
    assert instalments_of(invoice) == [(date(2026, 11, 1), Decimal("80.00")), (date(2026, 12, 1), Decimal("136.00"))]
    assert invoice.due_date == date(2026, 11, 1)
    assert "Escompte : 3 % jusqu’au 19 octobre 2026 (2 semaines)" in words(invoice)


def test_price_of_paying_early_is_no_instalment() -> None:
    early = cii_term(due="20261015", part="209.52", discount=TEN_DAYS + THREE_PERCENT)
    invoice = cii(early, cii_term(due="20261104", part="216.00"))
    assert (invoice.due_date, instalments_of(invoice)) == (date(2026, 11, 4), [])


def test_ubl_instalments_by_amount_or_share() -> None:
    rows = [
        f"<cbc:PaymentPercent>{share}</cbc:PaymentPercent><cbc:InstallmentDueDate>{due}</cbc:InstallmentDueDate>"
        for share, due in (("40", "2026-12-01"), ("60", "2026-11-01"))
    ]
    invoice = ubl_terms(*rows)
    assert instalments_of(invoice) == [
        (date(2026, 11, 1), Decimal("888.84")), (date(2026, 12, 1), Decimal("592.56")),
    ]  # fmt: skip
    assert invoice.due_date == date(2026, 11, 1)


def test_stated_day_that_ends_a_discount_is_not_the_due_date() -> None:
    invoice = ubl_terms(
        "<cbc:SettlementDiscountPercent>3</cbc:SettlementDiscountPercent>"
        "<cac:SettlementPeriod><cbc:EndDate>2026-11-03</cbc:EndDate></cac:SettlementPeriod>",
        "<cbc:PaymentDueDate>2026-11-30</cbc:PaymentDueDate>",
    )
    assert invoice.due_date == date(2026, 11, 30)


def test_person_is_told_what_does_not_add_up() -> None:
    only_discount = cii(cii_term(due="20261015", discount=TEN_DAYS + THREE_PERCENT))
    with override("en"):
        told = [[str(warning) for warning in each.warnings] for each in (only_discount, cii(*INSTALMENTS))]
    assert told == [
        ["Only days of cash discounts are given: ask the supplier when the whole is due."],
        ["The instalments do not add up to the amount due."],
    ]


# --- prices, lines


def price_facts(invoice: ParsedInvoice) -> dict[str, str]:
    with override("fr"):
        details = readable_context(invoice, None)["lines"][0]["details"]
        return {str(fact.name): fact.value.replace("\u00a0", " ") for fact in details if "prix" in str(fact.name)}


def test_charge_on_a_price_is_no_discount() -> None:
    def allowance(is_charge: str, amount: str, reason: str) -> str:
        return (
            f"<cac:AllowanceCharge><cbc:ChargeIndicator>{is_charge}</cbc:ChargeIndicator>"
            f"<cbc:AllowanceChargeReason>{reason}</cbc:AllowanceChargeReason>"
            f'<cbc:Amount currencyID="EUR">{amount}</cbc:Amount>'
            '<cbc:BaseAmount currencyID="EUR">120.45</cbc:BaseAmount></cac:AllowanceCharge>'
        )

    charge, discount = allowance("true", "5.00", "Petite quantité"), allowance("false", "2.00", "Fidélité")
    invoice = read_invoice(UBL.replace("</cac:Price>", f"{charge}{discount}</cac:Price>", 1).encode())
    assert price_facts(invoice) == {
        "Majoration du prix": "5,00 € – Petite quantité – 120,45 €",
        "Remise sur le prix": "2,00 € – Fidélité – 120,45 €",
    }
    assert (invoice.lines[0].gross_price, invoice.lines[0].price_discount) == (Decimal("120.45"), Decimal("-3.00"))


def sub_lines(syntax: str, *rows: tuple[str, str, str, str]) -> ParsedInvoice:
    """Lines by number, parent, subtype and amount."""
    return read_invoice(
        (
            CII_LINE.sub("".join(cii_line(*row) for row in rows), CII)
            if syntax == "cii"
            else UBL_LINE.sub("".join(ubl_line(*row) for row in rows), UBL)
        ).encode()
    )


def cii_line(number: str, parent: str, subtype: str, amount: str) -> str:
    above = f"<ram:ParentLineID>{parent}</ram:ParentLineID>" if parent else ""
    return (
        "<ram:IncludedSupplyChainTradeLineItem><ram:AssociatedDocumentLineDocument>"
        f"<ram:LineID>{number}</ram:LineID>{above}<ram:LineStatusReasonCode>{subtype}</ram:LineStatusReasonCode>"
        f"</ram:AssociatedDocumentLineDocument><ram:SpecifiedTradeProduct><ram:Name>Article {number}</ram:Name>"
        "</ram:SpecifiedTradeProduct><ram:SpecifiedLineTradeSettlement>"
        "<ram:SpecifiedTradeSettlementLineMonetarySummation>"
        f"<ram:LineTotalAmount>{amount}</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation>"
        "</ram:SpecifiedLineTradeSettlement></ram:IncludedSupplyChainTradeLineItem>"
    )


def ubl_line(number: str, parent: str, subtype: str, amount: str) -> str:
    above = f"<cac:BillingReferenceLine><cbc:ID>{parent}</cbc:ID></cac:BillingReferenceLine>" if parent else ""
    return (
        f"<cac:InvoiceLine><cbc:ID>{number}</cbc:ID>"
        f'<cbc:LineExtensionAmount currencyID="EUR">{amount}</cbc:LineExtensionAmount>'
        "<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>PH-2026-101</cbc:ID>"
        f"<cbc:DocumentStatusCode>{subtype}</cbc:DocumentStatusCode></cac:InvoiceDocumentReference>{above}"
        "</cac:BillingReference><cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>F-9</cbc:ID>"
        "<cbc:IssueDate>2026-09-01</cbc:IssueDate></cac:InvoiceDocumentReference></cac:BillingReference>"
        f"<cac:Item><cbc:Name>Article {number}</cbc:Name></cac:Item></cac:InvoiceLine>"
    )


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
def test_column_of_amounts_adds_up_where_lines_have_parts(syntax: str) -> None:
    invoice = sub_lines(
        syntax,
        ("1", "", "GROUP", "752.00"),
        ("1.1", "1", "DETAIL", "500.00"),
        ("1.2", "1", "DETAIL", "252.00"),
        ("1.3", "1", "INFORMATION", "148.00"),
    )
    assert [(line.parent_number, line.subtype, line.counts) for line in invoice.lines] == [
        ("", "GROUP", False), ("1", "DETAIL", True), ("1", "DETAIL", True), ("1", "INFORMATION", False),
    ]  # fmt: skip
    with override("fr"):
        rows = readable_context(invoice, None)["lines"]
    assert [row["net_amount"].replace("\u00a0", " ") for row in rows] == ["", "500,00 €", "252,00 €", ""]
    shown = words(invoice)
    assert ["Sous-total 752,00 €" in shown, "Montant, hors total 148,00 €" in shown] == [True, True]


def test_sub_line_names_its_own_invoice_and_others_at_the_line() -> None:
    invoice = sub_lines("ubl", ("1", "", "GROUP", "1.00"), ("1.1", "1", "DETAIL", "1.00"))
    assert invoice.preceding_invoices == ()
    earlier = Reference(number="F-9", issue_date=date(2026, 9, 1))
    assert [line.preceding_invoices for line in invoice.lines] == [(earlier,)] * 2
    assert invoice.other_data == ()


def test_line_that_names_its_invoice_without_a_subtype_names_the_line_above() -> None:
    bare = ubl_line("1.1", "1", "DETAIL", "1.00").replace("<cbc:DocumentStatusCode>DETAIL</cbc:DocumentStatusCode>", "")
    line = read_invoice(UBL_LINE.sub(bare, UBL).encode()).lines[0]
    assert (line.parent_number, [each.number for each in line.preceding_invoices]) == ("1", ["F-9"])


def test_sub_lines_inside_a_line_of_ubl_are_in_its_amount() -> None:
    amount = '<cbc:LineExtensionAmount currencyID="EUR">4.00</cbc:LineExtensionAmount>'
    inner = f"<cac:SubInvoiceLine><cbc:ID>1.1</cbc:ID>{amount}</cac:SubInvoiceLine>"
    invoice = read_invoice(UBL.replace("</cac:InvoiceLine>", f"{inner}</cac:InvoiceLine>", 1).encode())
    assert [(line.number, line.parent_number, line.counts) for line in invoice.lines][:2] == [
        ("1", "", True), ("1.1", "1", False),
    ]  # fmt: skip


@pytest.mark.parametrize(("whole", "line"), [(UBL, UBL_LINE), (CII, CII_LINE)], ids=["ubl", "cii"])
def test_thousands_of_lines_take_no_time_by_their_square(whole: str, line: re.Pattern[str]) -> None:
    found = line.search(whole)
    assert found is not None
    invoice = read_invoice(whole.replace(found[0], found[0] * 5000).encode())
    assert len(invoice.lines) == 5000 * len(read_invoice(whole.encode()).lines)


# --- references and files


def attached(name: str) -> str:
    about = f'mimeCode="text/csv" filename="{name}"'
    content = f"<cbc:EmbeddedDocumentBinaryObject {about}>{FILE}</cbc:EmbeddedDocumentBinaryObject>"
    return f"<cac:Attachment>{content}</cac:Attachment>"


def test_every_file_of_ubl_is_listed_wherever_it_hangs() -> None:
    def document(tag: str, name: str, code: str = "") -> str:
        kind = f"<cbc:DocumentTypeCode>{code}</cbc:DocumentTypeCode>" if code else ""
        return f"<cac:{tag}><cbc:ID>{name}</cbc:ID>{kind}{attached(f'{name}.csv')}</cac:{tag}>"

    header = "".join(
        document(*each)
        for each in (
            ("DespatchDocumentReference", "bl"),
            ("StatementDocumentReference", "releve"),
            ("ContractDocumentReference", "contrat"),
            ("AdditionalDocumentReference", "objet", "130"),
            ("AdditionalDocumentReference", "lot", "50"),
            ("AdditionalDocumentReference", "autre", "105"),
        )
    )
    line = document("DocumentReference", "ligne")
    content = UBL.replace("<cac:AdditionalDocumentReference>", f"{header}<cac:AdditionalDocumentReference>", 1)
    invoice = read_invoice(content.replace("<cac:Item>", f"{line}<cac:Item>", 1).encode())
    assert [(each.filename, each.of, each.type_code, each.line) for each in invoice.attachments] == [
        ("bl.csv", "despatch_advice_reference", "", ""),
        ("releve.csv", "statement_reference", "", ""),
        ("contrat.csv", "contract_reference", "", ""),
        ("objet.csv", "", "130", ""),
        ("lot.csv", "", "50", ""),
        ("autre.csv", "", "105", ""),
        ("bl-12.csv", "", "", ""),
        ("ligne.csv", "", "", "1"),
    ]
    assert {each.content for each in invoice.attachments if each.filename != "bl-12.csv"} == {b"plan"}
    assert ["Contrat · text/csv" in words(invoice), "Ligne 1 · text/csv" in words(invoice)] == [True, True]


def test_every_file_of_cii_is_listed_wherever_it_hangs() -> None:
    def document(code: str) -> str:
        return (
            f"<ram:AdditionalReferencedDocument><ram:IssuerAssignedID>D{code}</ram:IssuerAssignedID>"
            f"<ram:TypeCode>{code}</ram:TypeCode><ram:AttachmentBinaryObject mimeCode='text/csv' "
            f"filename='{code}.csv'>{FILE}</ram:AttachmentBinaryObject></ram:AdditionalReferencedDocument>"
        )

    header = "".join(map(document, ("916", "50", "130")))
    content = CII.replace("</ram:ApplicableHeaderTradeAgreement>", f"{header}</ram:ApplicableHeaderTradeAgreement>")
    content = content.replace(
        "</ram:SpecifiedLineTradeSettlement>", f"{document('916')}</ram:SpecifiedLineTradeSettlement>", 1
    )
    invoice = read_invoice(content.encode())
    assert [(each.filename, each.type_code, each.line, each.content) for each in invoice.attachments] == [
        ("916.csv", "", "", b"plan"),
        ("50.csv", "50", "", b"plan"),
        ("130.csv", "130", "", b"plan"),
        ("916.csv", "", "1", b"plan"),
    ]
    assert invoice.invoiced_object is not None
    assert (invoice.tender_reference, invoice.invoiced_object.value) == ("D50", "D130")


def test_references_of_one_kind_are_all_shown_with_their_days() -> None:
    advices = "".join(
        f"<cac:DespatchDocumentReference><cbc:ID>BL-{number}</cbc:ID><cbc:IssueDate>2026-09-0{number}</cbc:IssueDate>"
        "</cac:DespatchDocumentReference>"
        for number in (1, 2)
    )
    content = UBL.replace("<cac:AdditionalDocumentReference>", f"{advices}<cac:AdditionalDocumentReference>", 1)
    invoice = read_invoice(content.encode())
    assert invoice.despatch_advice_reference == "BL-1"
    assert [(each.number, each.issue_date) for each in invoice.references] == [
        ("BL-1", date(2026, 9, 1)), ("BL-2", date(2026, 9, 2)),
    ]  # fmt: skip
    assert "BL-1 (1 septembre 2026) Avis d’expédition BL-2 (2 septembre 2026)" in words(invoice)


def test_bare_references_of_a_line_of_cii_are_shown() -> None:
    kinds = {
        "SellerOrder": "Commande du vendeur", "BuyerOrder": "Bon de commande", "Quotation": "Devis",
        "Contract": "Contrat", "DespatchAdvice": "Avis d’expédition", "ReceivingAdvice": "Avis de réception",
        "DeliveryNote": "Bon de livraison",
    }  # fmt: skip
    agreement, delivery = (
        "".join(
            f"<ram:{kind}ReferencedDocument><ram:IssuerAssignedID>N-{kind}</ram:IssuerAssignedID>"
            f"</ram:{kind}ReferencedDocument>"
            for kind in few
        )
        for few in (list(kinds)[:4], list(kinds)[4:])
    )
    content = CII.replace("<ram:SpecifiedLineTradeAgreement>", f"<ram:SpecifiedLineTradeAgreement>{agreement}", 1)
    content = content.replace("</ram:SpecifiedLineTradeDelivery>", f"{delivery}</ram:SpecifiedLineTradeDelivery>", 1)
    shown = words(read_invoice(content.encode()))
    assert [kind for kind, name in kinds.items() if f"{name} N-{kind}" not in shown] == []


def test_bare_references_of_a_line_of_ubl_are_shown() -> None:
    references = (
        "<cac:OrderLineReference><cac:OrderReference><cbc:SalesOrderID>CV-1</cbc:SalesOrderID></cac:OrderReference>"
        "</cac:OrderLineReference>"
        "<cac:DespatchLineReference><cac:DocumentReference><cbc:ID>BL-1</cbc:ID></cac:DocumentReference>"
        "</cac:DespatchLineReference>"
        "<cac:ReceiptLineReference><cac:DocumentReference><cbc:ID>BR-1</cbc:ID></cac:DocumentReference>"
        "</cac:ReceiptLineReference>"
    )
    shown = words(read_invoice(UBL.replace("<cac:Item>", f"{references}<cac:Item>", 1).encode()))
    wanted = ("Commande du vendeur CV-1", "Avis d’expédition BL-1", "Avis de réception BR-1")
    assert [each for each in wanted if each not in shown] == []


def test_deliveries_are_all_shown() -> None:
    places = "".join(
        f"<cac:Delivery><cbc:ActualDeliveryDate>2026-10-0{number}</cbc:ActualDeliveryDate><cac:DeliveryParty>"
        f"<cac:PartyName><cbc:Name>Quai {number}</cbc:Name></cac:PartyName></cac:DeliveryParty></cac:Delivery>"
        for number in (1, 2, 3)
    )
    invoice = read_invoice(UBL.replace("<cac:PaymentMeans>", f"{places}<cac:PaymentMeans>", 1).encode())
    assert [each in words(invoice) for each in ("Quai 1", "Quai 2", "Quai 3", "3 octobre 2026")] == [True] * 4


# --- what has no field


@pytest.mark.parametrize(
    ("old", "new", "name", "value"),
    [
        ("<cbc:DueDate>", "<cbc:IssueTime>10:30:00</cbc:IssueTime><cbc:DueDate>", "IssueTime", "10:30:00"),
        ("2026-10-04<", "le 4 octobre<", "Date d’émission de la facture (BT-2)", "le 4 octobre"),
        ('<cbc:LineExtensionAmount currencyID="EUR">', '<cbc:LineExtensionAmount currencyID="EUR">env. ', "", "env. "),
        ("<cac:Item>", "<cac:Item><cbc:Note>fragile</cbc:Note>", "", "fragile"),
        ("<cac:Item>", '<cac:Item><cac:Grade of="A7"/>', "Item › Grade", "of: A7"),
        ("<cac:TaxTotal>", '<cac:TaxTotal by="hand">', "TaxTotal", "by: hand"),
        ("<cac:InvoiceLine>", "<cac:InvoiceLine>sous réserve", "BG-25", "sous réserve"),
    ],
)  # fmt: skip
def test_what_was_not_understood_is_shown_as_it_stands(old: str, new: str, name: str, value: str) -> None:
    invoice = read_invoice(UBL.replace(old, new, 1).encode())
    shown = words(invoice).partition("Autres données du fichier")[2]
    assert (value.strip() in shown, name in shown) == (True, True)


def test_other_data_of_the_invoice_is_not_crowded_out_by_its_lines() -> None:
    found = CII_LINE.search(CII)
    assert found is not None
    line = found[0].replace("<ram:Name>", "<ram:ModelID>M-4</ram:ModelID><ram:Name>", 1)
    late = "<ram:InvoiceIssuerReference>R-9</ram:InvoiceIssuerReference>"
    content = CII.replace(found[0], line * (MOST + 1)).replace(
        "<ram:InvoiceCurrencyCode>", f"{late}<ram:InvoiceCurrencyCode>"
    )
    invoice = read_invoice(content.encode())
    assert [(each.value, each.line) for each in invoice.other_data] == [("R-9", ""), *[("M-4", "1")] * (MOST - 1)]
    with override("en"):
        assert [str(warning) for warning in invoice.warnings] == [
            "The file says more than this view shows: the rest of its other data is in the XML."
        ]


def test_known_file_has_no_other_data() -> None:
    assert [read_invoice(content.encode()).other_data for content in (UBL, CII)] == [(), ()]

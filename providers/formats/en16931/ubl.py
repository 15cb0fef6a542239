"""UBL 2.1 Invoice and CreditNote, as EN 16931 binds them (CEN/TS 16931-3-2), with the roles and sub-lines of the
French extension EXTENDED-CTC-FR."""

import re
from dataclasses import replace
from typing import Any

from lxml import etree

from providers.formats.xml import NO_FILES, Files

from .mapping import (
    NAMESPACES,
    Node,
    Reader,
    amount,
    attached_to,
    beside,
    binary,
    day,
    earliest,
    first,
    flag,
    further,
    in_own_unit,
    joined,
    many,
    names_vat,
    number,
    one,
    plain_filename,
    price_allowances,
    price_discount,
    record,
    text,
    texts,
)
from .model import (
    Address,
    AllowanceCharge,
    Attachment,
    Condition,
    Contact,
    Delivery,
    DeliveryTerms,
    Identifier,
    ItemProperty,
    Line,
    Note,
    ParsedInvoice,
    Party,
    PaymentMeans,
    PaymentTerm,
    Period,
    Prepayment,
    Reference,
    VatBreakdown,
)
from .other_data import other_data
from .payment_terms import due_date_of, settled_terms

NOTE_WITH_SUBJECT = re.compile(r"#([A-Z]{3})#(.*)", re.DOTALL)
# UNTDID 1001 codes that make a reference something else than a supporting document.
INVOICED_OBJECT, TENDER, SUPPORTING = "130", "50", "916"
# What a file may be attached to, by the element that names it.
ATTACHED_TO = {
    "ContractDocumentReference": "contract_reference",
    "DespatchDocumentReference": "despatch_advice_reference",
    "ReceiptDocumentReference": "receiving_advice_reference",
    "OriginatorDocumentReference": "tender_reference",
    "StatementDocumentReference": "statement_reference",
    "OrderReference": "order_reference",
    "InvoiceDocumentReference": "preceding_invoices",
    "CreditNoteDocumentReference": "preceding_invoices",
}
# Sub-lines stand inside their line, in the French extension.
LINES = ("cac:InvoiceLine", "cac:CreditNoteLine", "cac:SubInvoiceLine", "cac:SubCreditNoteLine")
IS_LINE = " or ".join(f"self::{each}" for each in LINES)
# Flat sub-lines of EXTENDED-CTC-FR name the line above them, and their own subtype, in a reference to the invoice
# itself (as the rules EXTENDED-CTC-FR of V1.4.0.03 read it).
TO_ITSELF = "cac:BillingReference[cac:InvoiceDocumentReference/cbc:DocumentStatusCode]"
TO_OTHERS = "cac:BillingReference[not(cac:InvoiceDocumentReference/cbc:DocumentStatusCode)]"


def read_note(node: Node) -> Note:
    """EN 16931 gives UBL no place for the subject code: BR-FR-05 writes it in front of the text."""
    content = text(".")(node)
    match = NOTE_WITH_SUBJECT.fullmatch(content)
    return Note(subject_code=match[1], text=match[2].strip()) if match else Note(text=content)


identifier = record(Identifier, value=text("."), scheme=text("@schemeID"))

address = record(
    Address,
    lines=texts("cbc:StreetName | cbc:AdditionalStreetName | cac:AddressLine/cbc:Line"),
    post_code=text("cbc:PostalZone"),
    city=text("cbc:CityName"),
    subdivision=text("cbc:CountrySubentity"),
    country=text("cac:Country/cbc:IdentificationCode"),
)

contact = record(Contact, name=text("cbc:Name"), phone=text("cbc:Telephone"), email=text("cbc:ElectronicMail"))

party = record(
    Party,
    name=first(text("cac:PartyLegalEntity/cbc:RegistrationName"), text("cac:PartyName/cbc:Name")),
    trading_name=text("cac:PartyName[../cac:PartyLegalEntity/cbc:RegistrationName]/cbc:Name"),
    siren=first(
        text("cac:PartyLegalEntity/cbc:CompanyID[@schemeID='0002']"),
        text("cac:PartyIdentification/cbc:ID[@schemeID='0002']"),
    ),
    siret=first(
        text("cac:PartyIdentification/cbc:ID[@schemeID='0009']"),
        text("cac:PartyLegalEntity/cbc:CompanyID[@schemeID='0009']"),
    ),
    vat_number=text(f"cac:PartyTaxScheme[{names_vat('cac:TaxScheme/cbc:ID')}]/cbc:CompanyID"),
    tax_registration=text(f"cac:PartyTaxScheme[not({names_vat('cac:TaxScheme/cbc:ID')})]/cbc:CompanyID"),
    legal_information=text("cac:PartyLegalEntity/cbc:CompanyLegalForm"),
    electronic_address=text("cbc:EndpointID"),
    electronic_address_scheme=text("cbc:EndpointID/@schemeID"),
    identifiers=many(
        "cac:PartyIdentification/cbc:ID[not(@schemeID='SEPA')] | cac:PartyLegalEntity/cbc:CompanyID", identifier
    ),
    address=one("cac:PostalAddress", address),
    contact=one("cac:Contact", contact),
    more_contacts=many("cac:Contact[position() > 1]", contact),
)

period = record(Period, start=day("cbc:StartDate"), end=day("cbc:EndDate"))

reference = record(
    Reference,
    number=text("cbc:ID"),
    issue_date=day("cbc:IssueDate"),
    type_code=text("cbc:DocumentTypeCode"),
    text=joined("cbc:DocumentType | cbc:DocumentDescription", " – "),
)
# Its type is what it was chosen by.
additional = record(
    Reference,
    number=text("cbc:ID"),
    issue_date=day("cbc:IssueDate"),
    text=joined("cbc:DocumentType | cbc:DocumentDescription", " – "),
)
# The place of an earlier invoice is only its number, day and type; the line of it stands beside them.
billing_reference = record(
    Reference,
    number=text("cac:InvoiceDocumentReference/cbc:ID"),
    issue_date=day("cac:InvoiceDocumentReference/cbc:IssueDate"),
    type_code=text("cac:InvoiceDocumentReference/cbc:DocumentTypeCode"),
    line=text("cac:BillingReferenceLine/cbc:ID"),
)
order = record(Reference, number=text("cbc:ID"), issue_date=day("cbc:IssueDate"), type_code=text("cbc:OrderTypeCode"))
order_line = record(
    Reference,
    number=text("cac:OrderReference/cbc:ID"),
    issue_date=day("cac:OrderReference/cbc:IssueDate"),
    line=text("cbc:LineID"),
)
sales_order_line = record(
    Reference, number=text("cac:OrderReference/cbc:SalesOrderID"), line=text("cbc:SalesOrderLineID")
)
advice_line = record(
    Reference,
    number=text("cac:DocumentReference/cbc:ID"),
    issue_date=day("cac:DocumentReference/cbc:IssueDate"),
    line=text("cbc:LineID"),
)

allowance_charge = record(
    AllowanceCharge,
    is_charge=flag("cbc:ChargeIndicator"),
    amount=number("cbc:Amount"),
    base=number("cbc:BaseAmount"),
    percentage=number("cbc:MultiplierFactorNumeric"),
    reason=text("cbc:AllowanceChargeReason"),
    reason_code=text("cbc:AllowanceChargeReasonCode"),
    vat_category=text("cac:TaxCategory/cbc:ID"),
    vat_rate=number("cac:TaxCategory/cbc:Percent"),
)

PRICE = "cac:Price"
TAX = "cac:Item/cac:ClassifiedTaxCategory"

delivery = record(
    Delivery,
    name=text("cac:DeliveryParty/cac:PartyName/cbc:Name"),
    location=one("cac:DeliveryLocation/cbc:ID", identifier),
    address=one("cac:DeliveryLocation/cac:Address", address),
    delivered_on=day("cbc:ActualDeliveryDate"),
)

delivery_terms = record(
    DeliveryTerms,
    code=text("cbc:ID"),
    place=first(text("cac:DeliveryLocation/cbc:Name"), text("cac:DeliveryLocation/cbc:Description")),
    text=joined("cbc:SpecialTerms", "\n"),
)

line = record(
    Line,
    number=text("cbc:ID"),
    parent_number=first(
        text(f"({' | '.join(f'parent::{each}' for each in LINES)})/cbc:ID"),
        text(f"{TO_ITSELF}/cac:BillingReferenceLine/cbc:ID"),
    ),
    subtype=beside(
        text(f"{TO_ITSELF}/cac:InvoiceDocumentReference/cbc:ID"),
        text(f"{TO_ITSELF}/cac:InvoiceDocumentReference/cbc:DocumentStatusCode"),
    ),
    is_inside=lambda node: is_sub_line(node.element),
    notes=many("cbc:Note", read_note),
    name=text("cac:Item/cbc:Name"),
    description=joined("cac:Item/cbc:Description", "\n"),
    seller_item=text("cac:Item/cac:SellersItemIdentification/cbc:ID"),
    buyer_item=text("cac:Item/cac:BuyersItemIdentification/cbc:ID"),
    standard_item=one("cac:Item/cac:StandardItemIdentification/cbc:ID", identifier),
    classifications=many(
        "cac:Item/cac:CommodityClassification/cbc:ItemClassificationCode",
        record(Identifier, value=text("."), scheme=text("@listID"), version=text("@listVersionID")),
    ),
    origin_country=text("cac:Item/cac:OriginCountry/cbc:IdentificationCode"),
    properties=many(
        "cac:Item/cac:AdditionalItemProperty",
        record(
            ItemProperty,
            name=text("cbc:Name"),
            value=text("cbc:Value"),
            code=text("cbc:NameCode"),
            measure=number("cbc:ValueQuantity"),
            unit=text("cbc:ValueQuantity/@unitCode"),
        ),
    ),
    quantity=number("cbc:InvoicedQuantity | cbc:CreditedQuantity"),
    unit=text("(cbc:InvoicedQuantity | cbc:CreditedQuantity)/@unitCode"),
    net_price=number(f"{PRICE}/cbc:PriceAmount"),
    gross_price=number(f"{PRICE}/cac:AllowanceCharge/cbc:BaseAmount"),
    price_discount=price_discount(f"{PRICE}/cac:AllowanceCharge", allowance_charge),
    price_allowances=price_allowances(f"{PRICE}/cac:AllowanceCharge", allowance_charge),
    price_base_quantity=number(f"{PRICE}/cbc:BaseQuantity"),
    price_base_unit=text(f"{PRICE}/cbc:BaseQuantity/@unitCode"),
    net_amount=number("cbc:LineExtensionAmount"),
    vat_category=text(f"{TAX}/cbc:ID"),
    vat_rate=number(f"{TAX}/cbc:Percent"),
    exemption_reason=joined(f"{TAX}/cbc:TaxExemptionReason", "\n"),
    exemption_reason_code=text(f"{TAX}/cbc:TaxExemptionReasonCode"),
    vat_amount=number("cac:TaxTotal/cbc:TaxAmount"),
    allowances_charges=many("cac:AllowanceCharge", allowance_charge),
    period=one("cac:InvoicePeriod", period),
    order_line=text("cac:OrderLineReference/cbc:LineID"),
    accounting_reference=text("cbc:AccountingCost"),
    invoiced_object=one(f"cac:DocumentReference[cbc:DocumentTypeCode='{INVOICED_OBJECT}']/cbc:ID", identifier),
    preceding_invoices=many(TO_OTHERS, billing_reference),
    references=lambda node: (
        *further("order_line", "cac:OrderLineReference", order_line)(node),
        *further("sales_order_reference", "cac:OrderLineReference", sales_order_line, keep_first=True)(node),
        *further("despatch_advice_reference", "cac:DespatchLineReference", advice_line, keep_first=True)(node),
        *further("receiving_advice_reference", "cac:ReceiptLineReference", advice_line, keep_first=True)(node),
    ),
    seller=one("cac:Item/cac:ManufacturerParty", party),
    deliveries=many("cac:Delivery", delivery),
    delivery_terms=one("cac:DeliveryTerms", delivery_terms),
)

payment_means = record(
    PaymentMeans,
    code=text("cbc:PaymentMeansCode"),
    text=text("cbc:PaymentMeansCode/@name"),
    payment_reference=text("cbc:PaymentID"),
    iban=text("cac:PayeeFinancialAccount/cbc:ID"),
    account_name=text("cac:PayeeFinancialAccount/cbc:Name"),
    bic=text("cac:PayeeFinancialAccount/cac:FinancialInstitutionBranch/cbc:ID"),
    card_number=text("cac:CardAccount/cbc:PrimaryAccountNumberID"),
    card_holder=text("cac:CardAccount/cbc:HolderName"),
    mandate_reference=text("cac:PaymentMandate/cbc:ID"),
    debited_account=text("cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID"),
    due_date=day("cbc:PaymentDueDate"),
)


def condition(percentage: str, amount: str, period: str) -> Reader:
    read = record(
        Condition,
        percentage=number(percentage),
        amount=number(amount),
        from_date=day(f"{period}/cbc:StartDate"),
        period=number(f"{period}/cbc:DurationMeasure"),
        unit=text(f"{period}/cbc:DurationMeasure/@unitCode"),
        until=day(f"{period}/cbc:EndDate"),
    )
    return lambda node: found if (found := read(node)) != Condition() else None


payment_term = record(
    PaymentTerm,
    text=joined("cbc:Note", "\n"),
    due_date=first(day("cbc:InstallmentDueDate"), day("cbc:PaymentDueDate")),
    amount=number("cbc:Amount"),
    percentage=number("cbc:PaymentPercent"),
    discount=condition("cbc:SettlementDiscountPercent", "cbc:SettlementDiscountAmount", "cac:SettlementPeriod"),
    penalty=condition("cbc:PenaltySurchargePercent", "cbc:PenaltyAmount", "cac:PenaltyPeriod"),
)

prepayment = record(
    Prepayment,
    amount=number("cbc:PaidAmount"),
    paid_on=first(day("cbc:ReceivedDate"), day("cbc:PaidDate")),
    reference=joined("cbc:ID | cbc:InstructionID", " – "),
)

vat_breakdown = record(
    VatBreakdown,
    category=text("cac:TaxCategory/cbc:ID"),
    rate=number("cac:TaxCategory/cbc:Percent"),
    base=amount("cbc:TaxableAmount"),
    amount=amount("cbc:TaxAmount"),
    exemption_reason=joined("cac:TaxCategory/cbc:TaxExemptionReason", "\n"),
    exemption_reason_code=text("cac:TaxCategory/cbc:TaxExemptionReasonCode"),
)

attachment = record(
    Attachment,
    reference=text("cbc:ID"),
    description=text("cbc:DocumentDescription"),
    filename=plain_filename("cac:Attachment/cbc:EmbeddedDocumentBinaryObject/@filename"),
    media_type=text("cac:Attachment/cbc:EmbeddedDocumentBinaryObject/@mimeCode"),
    url=text("cac:Attachment/cac:ExternalReference/cbc:URI"),
    content=binary("cac:Attachment/cbc:EmbeddedDocumentBinaryObject"),
    type_code=lambda node: "" if (code := text("cbc:DocumentTypeCode")(node)) == SUPPORTING else code,
    of=attached_to(ATTACHED_TO),
    line=text(f"(ancestor::*[{' or '.join(f'self::{each}' for each in LINES)}])[last()]/cbc:ID"),
)

# TaxTotal comes twice when the VAT currency differs: the one in the invoice currency holds the breakdown.
VAT_TOTAL = "cac:TaxTotal[cbc:TaxAmount/@currencyID = /*/cbc:DocumentCurrencyCode]"
OTHER_VAT_TOTAL = "cac:TaxTotal[not(cbc:TaxAmount/@currencyID = /*/cbc:DocumentCurrencyCode)]"
SELLER, BUYER = "cac:AccountingSupplierParty/cac:Party", "cac:AccountingCustomerParty/cac:Party"

OTHER_DOCUMENT = (
    f"not(cbc:DocumentTypeCode='{INVOICED_OBJECT}') and not(self::cac:AdditionalDocumentReference"
    f" and /cn:CreditNote and cbc:DocumentTypeCode='{TENDER}')"
)
ALL_LINES = " | ".join(f".//{each}" for each in LINES)
OBJECTS = f"cac:AdditionalDocumentReference[cbc:DocumentTypeCode='{INVOICED_OBJECT}']"
EARLIER = "cac:BillingReference"

HEADER: dict[str, Reader] = {
    "number": text("cbc:ID"),
    "issue_date": day("cbc:IssueDate"),
    "type_code": text("cbc:InvoiceTypeCode | cbc:CreditNoteTypeCode"),
    "currency": text("cbc:DocumentCurrencyCode"),
    "vat_currency": text("cbc:TaxCurrencyCode"),
    "tax_point_date": day("cbc:TaxPointDate"),
    "tax_point_code": text("cac:InvoicePeriod/cbc:DescriptionCode"),
    # A credit note has no DueDate of its own.
    "due_date": first(day("cbc:DueDate"), earliest("cac:PaymentMeans/cbc:PaymentDueDate")),
    "buyer_reference": text("cbc:BuyerReference"),
    "project_reference": first(
        text("cac:ProjectReference/cbc:ID"),
        # A credit note has no ProjectReference.
        text("self::cn:CreditNote/cac:AdditionalDocumentReference[cbc:DocumentTypeCode='50']/cbc:ID"),
    ),
    "contract_reference": text("cac:ContractDocumentReference/cbc:ID"),
    "order_reference": text("cac:OrderReference/cbc:ID"),
    "sales_order_reference": text("cac:OrderReference/cbc:SalesOrderID"),
    "receiving_advice_reference": text("cac:ReceiptDocumentReference/cbc:ID"),
    "despatch_advice_reference": text("cac:DespatchDocumentReference/cbc:ID"),
    "tender_reference": text("cac:OriginatorDocumentReference/cbc:ID"),
    "invoiced_object": one(f"{OBJECTS}/cbc:ID", identifier),
    "accounting_reference": text("cbc:AccountingCost"),
    "payment_terms": joined("cac:PaymentTerms/cbc:Note", "\n"),
    "terms": many("cac:PaymentTerms", payment_term),
    "references": lambda node: (
        *further("order_reference", "cac:OrderReference", order)(node),
        *further("contract_reference", "cac:ContractDocumentReference", reference)(node),
        *further("project_reference", "cac:ProjectReference", reference)(node),
        *further("tender_reference", "cac:OriginatorDocumentReference", reference)(node),
        *further("despatch_advice_reference", "cac:DespatchDocumentReference", reference)(node),
        *further("receiving_advice_reference", "cac:ReceiptDocumentReference", reference)(node),
        *further("statement_reference", "cac:StatementDocumentReference", reference, keep_first=True)(node),
        *further("invoiced_object", OBJECTS, additional)(node),
    ),
    "notes": many("cbc:Note", read_note),
    "process": text("cbc:ProfileID"),
    "profile": text("cbc:CustomizationID"),
    "preceding_invoices": lambda node: (
        *many(f"{EARLIER}[cac:InvoiceDocumentReference]", billing_reference)(node),
        *many(f"{EARLIER}/cac:CreditNoteDocumentReference", reference)(node),
    ),
    "seller": first(one(SELLER, party), lambda node: Party()),
    "buyer": first(one(BUYER, party), lambda node: Party()),
    "payee": one("cac:PayeeParty", party),
    "tax_representative": one("cac:TaxRepresentativeParty", party),
    "seller_agent": one(f"{SELLER}/cac:AgentParty", party),
    "buyer_agent": one(f"{BUYER}/cac:AgentParty", party),
    "invoicer": one(f"{SELLER}/cac:ServiceProviderParty/cac:Party", party),
    "invoicee": one(f"{BUYER}/cac:ServiceProviderParty/cac:Party", party),
    "payer": one("cac:PaymentMeans/cac:PaymentMandate/cac:PayerParty", party),
    "delivery": one("cac:Delivery", delivery),
    "more_deliveries": many("cac:Delivery[position() > 1]", delivery),
    "delivery_terms": one("cac:DeliveryTerms", delivery_terms),
    "period": one("cac:InvoicePeriod[cbc:StartDate or cbc:EndDate]", period),
    "payment_means": many("cac:PaymentMeans", payment_means),
    "creditor_identifier": text(
        f"({SELLER} | cac:PayeeParty)/cac:PartyIdentification/cbc:ID[@schemeID='SEPA']",
    ),
    "allowances_charges": many("cac:AllowanceCharge", allowance_charge),
    "total_lines": amount("cac:LegalMonetaryTotal/cbc:LineExtensionAmount"),
    "total_allowances": amount("cac:LegalMonetaryTotal/cbc:AllowanceTotalAmount"),
    "total_charges": amount("cac:LegalMonetaryTotal/cbc:ChargeTotalAmount"),
    "total_without_vat": amount("cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount"),
    "total_vat": first(
        amount(f"{VAT_TOTAL}/cbc:TaxAmount"), amount("cac:TaxTotal[not(cbc:TaxAmount/@currencyID)]/cbc:TaxAmount")
    ),
    "total_vat_in_vat_currency": amount(f"{OTHER_VAT_TOTAL}/cbc:TaxAmount[@currencyID = /*/cbc:TaxCurrencyCode]"),
    "total_with_vat": amount("cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount"),
    "prepaid": amount("cac:LegalMonetaryTotal/cbc:PrepaidAmount"),
    "rounding": amount("cac:LegalMonetaryTotal/cbc:PayableRoundingAmount"),
    "amount_due": amount("cac:LegalMonetaryTotal/cbc:PayableAmount"),
    "vat_breakdown": first(
        many(f"{VAT_TOTAL}/cac:TaxSubtotal", vat_breakdown), many("cac:TaxTotal/cac:TaxSubtotal", vat_breakdown)
    ),
    "prepayments": many("cac:PrepaidPayment", prepayment),
    "attachments": many(
        f"*[cac:Attachment] | */*[cac:Attachment] | cac:AdditionalDocumentReference[{OTHER_DOCUMENT}]"
        # One walk: a step from each of 10,000 lines, or a union of two, costs libxml2 the square of their number.
        f" | .//*[cac:Attachment or self::cac:DocumentReference[parent::*[{IS_LINE}]][{OTHER_DOCUMENT}]]"
        f"[ancestor::*[{IS_LINE}]]",
        attachment,
    ),
    "lines": many(ALL_LINES, in_own_unit(line)),
}


LINE_TAGS = frozenset(f"{{{NAMESPACES['cac']}}}{each.removeprefix('cac:')}" for each in LINES)


def is_sub_line(element: etree._Element) -> bool:
    above = element.getparent()
    return above is not None and above.tag in LINE_TAGS


def of_its_own(line: Line, number: str) -> Line:
    """A line that names its own invoice names a line above it, whether it gives its subtype or not."""
    own = [each for each in line.preceding_invoices if each.number == number]
    if not own:
        return line
    others = tuple(each for each in line.preceding_invoices if each.number != number)
    return replace(line, parent_number=line.parent_number or own[0].line, preceding_invoices=others)


def parse_ubl(root: etree._Element, files: Files = NO_FILES) -> ParsedInvoice:
    node = Node(root, [], files, set())
    values: dict[str, Any] = {name: read(node) for name, read in HEADER.items()}
    rows = values["terms"]
    values["terms"] = settled_terms(rows, values["issue_date"])
    values["due_date"] = due = due_date_of(values["terms"] or rows, values["due_date"])
    values["lines"] = tuple(of_its_own(line, values["number"]) for line in values["lines"])
    values["payment_means"] = tuple(
        replace(means, due_date=None) if means.due_date == due else means for means in values["payment_means"]
    )
    return ParsedInvoice(
        syntax="ubl",
        message=etree.QName(root).localname,
        other_data=other_data(node, LINE_TAGS),
        warnings=node.told(),
        **values,
    )

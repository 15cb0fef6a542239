"""UBL 2.1 Invoice and CreditNote, as EN 16931 binds them (CEN/TS 16931-3-2), with the roles and sub-lines of the
French extension EXTENDED-CTC-FR."""

import re
from typing import Any

from lxml import etree

from providers.xml import NO_FILES, Files

from .mapping import (
    Node,
    Reader,
    amount,
    binary,
    day,
    first,
    flag,
    many,
    number,
    one,
    plain_filename,
    record,
    text,
    texts,
)
from .model import (
    Address,
    AllowanceCharge,
    Attachment,
    Contact,
    Delivery,
    Identifier,
    ItemProperty,
    Line,
    Note,
    ParsedInvoice,
    Party,
    PaymentMeans,
    Period,
    Reference,
    VatBreakdown,
)

NOTE_WITH_SUBJECT = re.compile(r"#([A-Z]{3})#(.*)", re.DOTALL)
# UNTDID 1001 codes that make a reference something else than a supporting document.
INVOICED_OBJECT, TENDER = "130", "50"
# Sub-lines stand inside their line, in the French extension.
LINES = ("cac:InvoiceLine", "cac:CreditNoteLine", "cac:SubInvoiceLine", "cac:SubCreditNoteLine")


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
    vat_number=text("cac:PartyTaxScheme[cac:TaxScheme/cbc:ID='VAT']/cbc:CompanyID"),
    tax_registration=text("cac:PartyTaxScheme[not(cac:TaxScheme/cbc:ID='VAT')]/cbc:CompanyID"),
    legal_information=text("cac:PartyLegalEntity/cbc:CompanyLegalForm"),
    electronic_address=text("cbc:EndpointID"),
    electronic_address_scheme=text("cbc:EndpointID/@schemeID"),
    identifiers=many(
        "cac:PartyIdentification/cbc:ID[not(@schemeID='SEPA')] | cac:PartyLegalEntity/cbc:CompanyID", identifier
    ),
    address=one("cac:PostalAddress", address),
    contact=one(
        "cac:Contact",
        record(
            Contact,
            name=text("cbc:Name"),
            phone=text("cbc:Telephone"),
            email=text("cbc:ElectronicMail"),
        ),
    ),
)

period = record(Period, start=day("cbc:StartDate"), end=day("cbc:EndDate"))

reference = record(
    Reference, number=text("cbc:ID"), issue_date=day("cbc:IssueDate"), type_code=text("cbc:DocumentTypeCode")
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

line = record(
    Line,
    number=text("cbc:ID"),
    parent_number=text(f"({' | '.join(f'parent::{each}' for each in LINES)})/cbc:ID"),
    notes=many("cbc:Note", read_note),
    name=text("cac:Item/cbc:Name"),
    description=text("cac:Item/cbc:Description"),
    seller_item=text("cac:Item/cac:SellersItemIdentification/cbc:ID"),
    buyer_item=text("cac:Item/cac:BuyersItemIdentification/cbc:ID"),
    standard_item=one("cac:Item/cac:StandardItemIdentification/cbc:ID", identifier),
    classifications=many(
        "cac:Item/cac:CommodityClassification/cbc:ItemClassificationCode",
        record(Identifier, value=text("."), scheme=text("@listID")),
    ),
    origin_country=text("cac:Item/cac:OriginCountry/cbc:IdentificationCode"),
    properties=many(
        "cac:Item/cac:AdditionalItemProperty", record(ItemProperty, name=text("cbc:Name"), value=text("cbc:Value"))
    ),
    quantity=number("cbc:InvoicedQuantity | cbc:CreditedQuantity"),
    unit=text("(cbc:InvoicedQuantity | cbc:CreditedQuantity)/@unitCode"),
    net_price=number("cac:Price/cbc:PriceAmount"),
    gross_price=number("cac:Price/cac:AllowanceCharge/cbc:BaseAmount"),
    price_discount=number("cac:Price/cac:AllowanceCharge/cbc:Amount"),
    price_base_quantity=number("cac:Price/cbc:BaseQuantity"),
    net_amount=number("cbc:LineExtensionAmount"),
    vat_category=text("cac:Item/cac:ClassifiedTaxCategory/cbc:ID"),
    vat_rate=number("cac:Item/cac:ClassifiedTaxCategory/cbc:Percent"),
    allowances_charges=many("cac:AllowanceCharge", allowance_charge),
    period=one("cac:InvoicePeriod", period),
    order_line=text("cac:OrderLineReference/cbc:LineID"),
    accounting_reference=text("cbc:AccountingCost"),
    invoiced_object=one(f"cac:DocumentReference[cbc:DocumentTypeCode='{INVOICED_OBJECT}']/cbc:ID", identifier),
    preceding_invoices=many("cac:BillingReference/cac:InvoiceDocumentReference", reference),
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
)

delivery = record(
    Delivery,
    name=text("cac:DeliveryParty/cac:PartyName/cbc:Name"),
    location=one("cac:DeliveryLocation/cbc:ID", identifier),
    address=one("cac:DeliveryLocation/cac:Address", address),
    delivered_on=day("cbc:ActualDeliveryDate"),
)

vat_breakdown = record(
    VatBreakdown,
    category=text("cac:TaxCategory/cbc:ID"),
    rate=number("cac:TaxCategory/cbc:Percent"),
    base=amount("cbc:TaxableAmount"),
    amount=amount("cbc:TaxAmount"),
    exemption_reason=text("cac:TaxCategory/cbc:TaxExemptionReason"),
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
)

# TaxTotal comes twice when the VAT currency differs: the one in the invoice currency holds the breakdown.
VAT_TOTAL = "cac:TaxTotal[cbc:TaxAmount/@currencyID = /*/cbc:DocumentCurrencyCode]"
OTHER_VAT_TOTAL = "cac:TaxTotal[not(cbc:TaxAmount/@currencyID = /*/cbc:DocumentCurrencyCode)]"
SELLER, BUYER = "cac:AccountingSupplierParty/cac:Party", "cac:AccountingCustomerParty/cac:Party"

HEADER: dict[str, Reader] = {
    "number": text("cbc:ID"),
    "issue_date": day("cbc:IssueDate"),
    "type_code": text("cbc:InvoiceTypeCode | cbc:CreditNoteTypeCode"),
    "currency": text("cbc:DocumentCurrencyCode"),
    "vat_currency": text("cbc:TaxCurrencyCode"),
    "tax_point_date": day("cbc:TaxPointDate"),
    "tax_point_code": text("cac:InvoicePeriod/cbc:DescriptionCode"),
    # A credit note has no DueDate of its own.
    "due_date": day("cbc:DueDate | cac:PaymentMeans/cbc:PaymentDueDate"),
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
    "invoiced_object": one(
        f"cac:AdditionalDocumentReference[cbc:DocumentTypeCode='{INVOICED_OBJECT}']/cbc:ID", identifier
    ),
    "accounting_reference": text("cbc:AccountingCost"),
    "payment_terms": lambda node: "\n".join(texts("cac:PaymentTerms/cbc:Note")(node)),
    "notes": many("cbc:Note", read_note),
    "process": text("cbc:ProfileID"),
    "profile": text("cbc:CustomizationID"),
    "preceding_invoices": many("cac:BillingReference/cac:InvoiceDocumentReference", reference),
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
    "attachments": many(
        f"cac:AdditionalDocumentReference[not(cbc:DocumentTypeCode='{INVOICED_OBJECT}'"
        f" or cbc:DocumentTypeCode='{TENDER}')]",
        attachment,
    ),
    "lines": many(" | ".join(f".//{each}" for each in LINES), line),
}


def parse_ubl(root: etree._Element, files: Files = NO_FILES) -> ParsedInvoice:
    node = Node(root, [], files)
    values: dict[str, Any] = {name: read(node) for name, read in HEADER.items()}
    return ParsedInvoice(syntax="ubl", message=etree.QName(root).localname, warnings=tuple(node.warnings), **values)

"""UN/CEFACT Cross Industry Invoice D22B, as EN 16931 binds it (CEN/TS 16931-3-3), with the roles and sub-lines of the
French extension EXTENDED-CTC-FR and of the Factur-X profiles."""

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

DOCUMENT = "rsm:ExchangedDocument"
CONTEXT = "rsm:ExchangedDocumentContext"
AGREEMENT = "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement"
DELIVERY = "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeDelivery"
SETTLEMENT = "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement"
TOTALS = f"{SETTLEMENT}/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
CURRENCY = f"/*/{SETTLEMENT}/ram:InvoiceCurrencyCode"
VAT_CURRENCY = f"/*/{SETTLEMENT}/ram:TaxCurrencyCode"
# UNTDID 1001 codes of AdditionalReferencedDocument.
SUPPORTING, INVOICED_OBJECT, TENDER = "916", "130", "50"

identifier = record(Identifier, value=text("."), scheme=text("@schemeID"))
object_reference = record(Identifier, value=text("ram:IssuerAssignedID"), scheme=text("ram:ReferenceTypeCode"))
note = record(Note, text=text("ram:Content"), subject_code=text("ram:SubjectCode"))
period = record(Period, start=day("ram:StartDateTime"), end=day("ram:EndDateTime"))
reference = record(
    Reference,
    number=text("ram:IssuerAssignedID"),
    issue_date=day("ram:FormattedIssueDateTime"),
    type_code=text("ram:TypeCode"),
)

address = record(
    Address,
    lines=texts("ram:LineOne | ram:LineTwo | ram:LineThree"),
    post_code=text("ram:PostcodeCode"),
    city=text("ram:CityName"),
    subdivision=text("ram:CountrySubDivisionName"),
    country=text("ram:CountryID"),
)

contact = record(
    Contact,
    name=lambda node: " – ".join(texts("ram:PersonName | ram:DepartmentName")(node)),
    phone=text("ram:TelephoneUniversalCommunication/ram:CompleteNumber"),
    email=text("ram:EmailURIUniversalCommunication/ram:URIID"),
)

party = record(
    Party,
    name=text("ram:Name"),
    trading_name=text("ram:SpecifiedLegalOrganization/ram:TradingBusinessName"),
    siren=first(
        text("ram:SpecifiedLegalOrganization/ram:ID[@schemeID='0002']"), text("ram:GlobalID[@schemeID='0002']")
    ),
    siret=first(
        text("ram:GlobalID[@schemeID='0009']"), text("ram:SpecifiedLegalOrganization/ram:ID[@schemeID='0009']")
    ),
    vat_number=text("ram:SpecifiedTaxRegistration/ram:ID[@schemeID='VA']"),
    tax_registration=text("ram:SpecifiedTaxRegistration/ram:ID[@schemeID='FC']"),
    legal_information=text("ram:Description"),
    electronic_address=text("ram:URIUniversalCommunication/ram:URIID"),
    electronic_address_scheme=text("ram:URIUniversalCommunication/ram:URIID/@schemeID"),
    identifiers=many("ram:ID | ram:GlobalID | ram:SpecifiedLegalOrganization/ram:ID", identifier),
    address=one("ram:PostalTradeAddress", address),
    contact=one("ram:DefinedTradeContact", contact),
)

allowance_charge = record(
    AllowanceCharge,
    is_charge=flag("ram:ChargeIndicator"),
    amount=number("ram:ActualAmount"),
    base=number("ram:BasisAmount"),
    percentage=number("ram:CalculationPercent"),
    reason=text("ram:Reason"),
    reason_code=text("ram:ReasonCode"),
    vat_category=text("ram:CategoryTradeTax/ram:CategoryCode"),
    vat_rate=number("ram:CategoryTradeTax/ram:RateApplicablePercent"),
)

# Factur-X EXTENDED writes freight apart from the other charges.
logistics_charge = record(
    AllowanceCharge,
    is_charge=lambda node: True,
    amount=number("ram:AppliedAmount"),
    reason=text("ram:Description"),
    vat_category=text("ram:AppliedTradeTax/ram:CategoryCode"),
    vat_rate=number("ram:AppliedTradeTax/ram:RateApplicablePercent"),
)

PRODUCT = "ram:SpecifiedTradeProduct"
LINE_AGREEMENT = "ram:SpecifiedLineTradeAgreement"
LINE_SETTLEMENT = "ram:SpecifiedLineTradeSettlement"
BILLED = "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity"

line = record(
    Line,
    number=text("ram:AssociatedDocumentLineDocument/ram:LineID"),
    parent_number=text("ram:AssociatedDocumentLineDocument/ram:ParentLineID"),
    notes=many("ram:AssociatedDocumentLineDocument/ram:IncludedNote", note),
    name=text(f"{PRODUCT}/ram:Name"),
    description=text(f"{PRODUCT}/ram:Description"),
    seller_item=text(f"{PRODUCT}/ram:SellerAssignedID"),
    buyer_item=text(f"{PRODUCT}/ram:BuyerAssignedID"),
    standard_item=one(f"{PRODUCT}/ram:GlobalID", identifier),
    classifications=many(
        f"{PRODUCT}/ram:DesignatedProductClassification/ram:ClassCode",
        record(Identifier, value=text("."), scheme=text("@listID")),
    ),
    origin_country=text(f"{PRODUCT}/ram:OriginTradeCountry/ram:ID"),
    properties=many(
        f"{PRODUCT}/ram:ApplicableProductCharacteristic",
        record(ItemProperty, name=text("ram:Description"), value=text("ram:Value")),
    ),
    quantity=number(BILLED),
    unit=text(f"{BILLED}/@unitCode"),
    net_price=number(f"{LINE_AGREEMENT}/ram:NetPriceProductTradePrice/ram:ChargeAmount"),
    gross_price=number(f"{LINE_AGREEMENT}/ram:GrossPriceProductTradePrice/ram:ChargeAmount"),
    price_discount=number(
        f"{LINE_AGREEMENT}/ram:GrossPriceProductTradePrice/ram:AppliedTradeAllowanceCharge/ram:ActualAmount"
    ),
    price_base_quantity=first(
        number(f"{LINE_AGREEMENT}/ram:NetPriceProductTradePrice/ram:BasisQuantity"),
        number(f"{LINE_AGREEMENT}/ram:GrossPriceProductTradePrice/ram:BasisQuantity"),
    ),
    net_amount=number(f"{LINE_SETTLEMENT}/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount"),
    vat_category=text(f"{LINE_SETTLEMENT}/ram:ApplicableTradeTax/ram:CategoryCode"),
    vat_rate=number(f"{LINE_SETTLEMENT}/ram:ApplicableTradeTax/ram:RateApplicablePercent"),
    allowances_charges=many(f"{LINE_SETTLEMENT}/ram:SpecifiedTradeAllowanceCharge", allowance_charge),
    period=one(f"{LINE_SETTLEMENT}/ram:BillingSpecifiedPeriod", period),
    order_line=text(f"{LINE_AGREEMENT}/ram:BuyerOrderReferencedDocument/ram:LineID"),
    accounting_reference=text(f"{LINE_SETTLEMENT}/ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID"),
    invoiced_object=one(
        f"{LINE_SETTLEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='{INVOICED_OBJECT}']", object_reference
    ),
    preceding_invoices=many(f"{LINE_SETTLEMENT}/ram:InvoiceReferencedDocument", reference),
)

payment_means = record(
    PaymentMeans,
    code=text("ram:TypeCode"),
    text=text("ram:Information"),
    # The next two stand beside the payment means in CII, inside them in UBL.
    payment_reference=text("../ram:PaymentReference"),
    mandate_reference=text("../ram:SpecifiedTradePaymentTerms/ram:DirectDebitMandateID"),
    iban=text("ram:PayeePartyCreditorFinancialAccount/*[self::ram:IBANID or self::ram:ProprietaryID]"),
    account_name=text("ram:PayeePartyCreditorFinancialAccount/ram:AccountName"),
    bic=text("ram:PayeeSpecifiedCreditorFinancialInstitution/ram:BICID"),
    card_number=text("ram:ApplicableTradeSettlementFinancialCard/ram:ID"),
    card_holder=text("ram:ApplicableTradeSettlementFinancialCard/ram:CardholderName"),
    debited_account=text("ram:PayerPartyDebtorFinancialAccount/ram:IBANID"),
)

delivery = record(
    Delivery,
    name=text("ram:ShipToTradeParty/ram:Name"),
    location=one("ram:ShipToTradeParty/*[self::ram:GlobalID or self::ram:ID]", identifier),
    address=one("ram:ShipToTradeParty/ram:PostalTradeAddress", address),
    delivered_on=day("ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime"),
)

vat_breakdown = record(
    VatBreakdown,
    category=text("ram:CategoryCode"),
    rate=number("ram:RateApplicablePercent"),
    base=amount("ram:BasisAmount"),
    amount=amount("ram:CalculatedAmount"),
    exemption_reason=text("ram:ExemptionReason"),
    exemption_reason_code=text("ram:ExemptionReasonCode"),
)

attachment = record(
    Attachment,
    reference=text("ram:IssuerAssignedID"),
    description=text("ram:Name"),
    filename=plain_filename("ram:AttachmentBinaryObject/@filename"),
    media_type=text("ram:AttachmentBinaryObject/@mimeCode"),
    url=text("ram:URIID"),
    content=binary("ram:AttachmentBinaryObject"),
)

HEADER: dict[str, Reader] = {
    "number": text(f"{DOCUMENT}/ram:ID"),
    "issue_date": day(f"{DOCUMENT}/ram:IssueDateTime"),
    "type_code": text(f"{DOCUMENT}/ram:TypeCode"),
    "currency": text(f"{SETTLEMENT}/ram:InvoiceCurrencyCode"),
    "vat_currency": text(f"{SETTLEMENT}/ram:TaxCurrencyCode"),
    "tax_point_date": day(f"{SETTLEMENT}/ram:ApplicableTradeTax/ram:TaxPointDate"),
    "tax_point_code": text(f"{SETTLEMENT}/ram:ApplicableTradeTax/ram:DueDateTypeCode"),
    "due_date": day(f"{SETTLEMENT}/ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime"),
    "buyer_reference": text(f"{AGREEMENT}/ram:BuyerReference"),
    "project_reference": text(f"{AGREEMENT}/ram:SpecifiedProcuringProject/ram:ID"),
    "contract_reference": text(f"{AGREEMENT}/ram:ContractReferencedDocument/ram:IssuerAssignedID"),
    "order_reference": text(f"{AGREEMENT}/ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID"),
    "sales_order_reference": text(f"{AGREEMENT}/ram:SellerOrderReferencedDocument/ram:IssuerAssignedID"),
    "receiving_advice_reference": text(f"{DELIVERY}/ram:ReceivingAdviceReferencedDocument/ram:IssuerAssignedID"),
    "despatch_advice_reference": text(f"{DELIVERY}/ram:DespatchAdviceReferencedDocument/ram:IssuerAssignedID"),
    "tender_reference": text(
        f"{AGREEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='{TENDER}']/ram:IssuerAssignedID"
    ),
    "invoiced_object": one(
        f"{AGREEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='{INVOICED_OBJECT}']", object_reference
    ),
    "accounting_reference": text(f"{SETTLEMENT}/ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID"),
    "payment_terms": lambda node: "\n".join(
        texts(f"{SETTLEMENT}/ram:SpecifiedTradePaymentTerms/ram:Description")(node)
    ),
    "notes": many(f"{DOCUMENT}/ram:IncludedNote", note),
    "process": text(f"{CONTEXT}/ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID"),
    "profile": text(f"{CONTEXT}/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"),
    "preceding_invoices": many(f"{SETTLEMENT}/ram:InvoiceReferencedDocument", reference),
    "seller": first(one(f"{AGREEMENT}/ram:SellerTradeParty", party), lambda node: Party()),
    "buyer": first(one(f"{AGREEMENT}/ram:BuyerTradeParty", party), lambda node: Party()),
    "payee": one(f"{SETTLEMENT}/ram:PayeeTradeParty", party),
    "tax_representative": one(f"{AGREEMENT}/ram:SellerTaxRepresentativeTradeParty", party),
    "seller_agent": one(f"{AGREEMENT}/ram:SalesAgentTradeParty", party),
    "buyer_agent": one(f"{AGREEMENT}/ram:BuyerAgentTradeParty", party),
    "invoicer": one(f"{SETTLEMENT}/ram:InvoicerTradeParty", party),
    "invoicee": one(f"{SETTLEMENT}/ram:InvoiceeTradeParty", party),
    "payer": one(f"{SETTLEMENT}/ram:PayerTradeParty", party),
    "delivery": one(f"{DELIVERY}[ram:ShipToTradeParty or ram:ActualDeliverySupplyChainEvent]", delivery),
    "period": one(f"{SETTLEMENT}/ram:BillingSpecifiedPeriod", period),
    "payment_means": many(f"{SETTLEMENT}/ram:SpecifiedTradeSettlementPaymentMeans", payment_means),
    "creditor_identifier": text(f"{SETTLEMENT}/ram:CreditorReferenceID"),
    "allowances_charges": lambda node: (
        many(f"{SETTLEMENT}/ram:SpecifiedTradeAllowanceCharge", allowance_charge)(node)
        + many(f"{SETTLEMENT}/ram:SpecifiedLogisticsServiceCharge", logistics_charge)(node)
    ),
    "total_lines": amount(f"{TOTALS}/ram:LineTotalAmount"),
    "total_allowances": amount(f"{TOTALS}/ram:AllowanceTotalAmount"),
    "total_charges": amount(f"{TOTALS}/ram:ChargeTotalAmount"),
    "total_without_vat": amount(f"{TOTALS}/ram:TaxBasisTotalAmount"),
    "total_vat": first(
        amount(f"{TOTALS}/ram:TaxTotalAmount[@currencyID = {CURRENCY}]"),
        amount(f"{TOTALS}/ram:TaxTotalAmount[not(@currencyID)]"),
    ),
    "total_vat_in_vat_currency": number(
        f"{TOTALS}/ram:TaxTotalAmount[@currencyID = {VAT_CURRENCY} and not(@currencyID = {CURRENCY})]"
    ),
    "total_with_vat": amount(f"{TOTALS}/ram:GrandTotalAmount"),
    "prepaid": amount(f"{TOTALS}/ram:TotalPrepaidAmount"),
    "rounding": amount(f"{TOTALS}/ram:RoundingAmount"),
    "amount_due": amount(f"{TOTALS}/ram:DuePayableAmount"),
    "vat_breakdown": many(f"{SETTLEMENT}/ram:ApplicableTradeTax", vat_breakdown),
    "attachments": many(f"{AGREEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='{SUPPORTING}']", attachment),
    "lines": many("rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem", line),
}


def parse_cii(root: etree._Element, files: Files = NO_FILES) -> ParsedInvoice:
    node = Node(root, [], files)
    values: dict[str, Any] = {name: read(node) for name, read in HEADER.items()}
    return ParsedInvoice(syntax="cii", message=etree.QName(root).localname, warnings=tuple(node.warnings), **values)

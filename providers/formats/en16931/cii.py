"""UN/CEFACT Cross Industry Invoice D22B, as EN 16931 binds it (CEN/TS 16931-3-3), with the roles and sub-lines of the
French extension EXTENDED-CTC-FR and of the Factur-X profiles."""

from typing import Any

from lxml import etree

from providers.formats.xml import NO_FILES, Files

from .mapping import (
    NAMESPACES,
    Node,
    Reader,
    amount,
    attached_to,
    binary,
    day,
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
    repeated,
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
HAS_FILE = "(ram:AttachmentBinaryObject or ram:URIID)"
ATTACHED_TO = {
    "ContractReferencedDocument": "contract_reference",
    "BuyerOrderReferencedDocument": "order_reference",
    "SellerOrderReferencedDocument": "sales_order_reference",
    "DespatchAdviceReferencedDocument": "despatch_advice_reference",
    "ReceivingAdviceReferencedDocument": "receiving_advice_reference",
    "QuotationReferencedDocument": "quotation_reference",
    "DeliveryNoteReferencedDocument": "delivery_note_reference",
    "InvoiceReferencedDocument": "preceding_invoices",
}

identifier = record(Identifier, value=text("."), scheme=text("@schemeID"))
object_reference = record(Identifier, value=text("ram:IssuerAssignedID"), scheme=text("ram:ReferenceTypeCode"))
note = record(
    Note, text=joined("ram:Content", "\n"), subject_code=text("ram:SubjectCode"), code=text("ram:ContentCode")
)
period = record(Period, start=day("ram:StartDateTime"), end=day("ram:EndDateTime"))
reference = record(
    Reference,
    number=text("ram:IssuerAssignedID"),
    issue_date=day("ram:FormattedIssueDateTime"),
    type_code=text("ram:TypeCode"),
    line=text("ram:LineID"),
    text=joined("ram:ReferenceTypeCode | ram:Name", " – "),
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
    vat_number=text(f"ram:SpecifiedTaxRegistration/ram:ID[{names_vat('@schemeID')}]"),
    tax_registration=text("ram:SpecifiedTaxRegistration/ram:ID[@schemeID='FC']"),
    legal_information=joined("ram:Description", "\n"),
    electronic_address=text("ram:URIUniversalCommunication/ram:URIID"),
    electronic_address_scheme=text("ram:URIUniversalCommunication/ram:URIID/@schemeID"),
    identifiers=many("ram:ID | ram:GlobalID | ram:SpecifiedLegalOrganization/ram:ID", identifier),
    address=one("ram:PostalTradeAddress", address),
    contact=one("ram:DefinedTradeContact", contact),
    more_contacts=many("ram:DefinedTradeContact[position() > 1]", contact),
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
    reason=joined("ram:Description", " – "),
    vat_category=text("ram:AppliedTradeTax/ram:CategoryCode"),
    vat_rate=number("ram:AppliedTradeTax/ram:RateApplicablePercent"),
)

delivery = record(
    Delivery,
    name=text("ram:ShipToTradeParty/ram:Name"),
    location=one("ram:ShipToTradeParty/*[self::ram:GlobalID or self::ram:ID]", identifier),
    address=one("ram:ShipToTradeParty/ram:PostalTradeAddress", address),
    delivered_on=day("ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime"),
)
# A header or a line has one delivery, to one place; further ones are what other_data.py shows.
DELIVERED = "[ram:ShipToTradeParty or ram:ActualDeliverySupplyChainEvent]"

delivery_terms = record(
    DeliveryTerms,
    code=text("ram:DeliveryTypeCode"),
    place=joined("ram:RelevantTradeLocation/ram:Name", ", "),
    text=joined("ram:Description", "\n"),
)

LINE_NUMBER = "ram:AssociatedDocumentLineDocument/ram:LineID"
PRODUCT = "ram:SpecifiedTradeProduct"
LINE_AGREEMENT = "ram:SpecifiedLineTradeAgreement"
LINE_SETTLEMENT = "ram:SpecifiedLineTradeSettlement"
LINE_DELIVERY = "ram:SpecifiedLineTradeDelivery"
LINE_TOTALS = f"{LINE_SETTLEMENT}/ram:SpecifiedTradeSettlementLineMonetarySummation"
LINE_TAX = f"{LINE_SETTLEMENT}/ram:ApplicableTradeTax"
BILLED = f"{LINE_DELIVERY}/ram:BilledQuantity"
PRICE_ALLOWANCES = (
    f"{LINE_AGREEMENT}/*[self::ram:GrossPriceProductTradePrice or self::ram:NetPriceProductTradePrice]"
    "/ram:AppliedTradeAllowanceCharge"
)
GROSS = f"{LINE_AGREEMENT}/ram:GrossPriceProductTradePrice"
NET = f"{LINE_AGREEMENT}/ram:NetPriceProductTradePrice"

# A line has no field of its own for the first of these.
LINE_REFERENCES = {
    "sales_order_reference": f"{LINE_AGREEMENT}/ram:SellerOrderReferencedDocument",
    "quotation_reference": f"{LINE_AGREEMENT}/ram:QuotationReferencedDocument",
    "contract_reference": f"{LINE_AGREEMENT}/ram:ContractReferencedDocument",
    "despatch_advice_reference": f"{LINE_DELIVERY}/ram:DespatchAdviceReferencedDocument",
    "receiving_advice_reference": f"{LINE_DELIVERY}/ram:ReceivingAdviceReferencedDocument",
    "delivery_note_reference": f"{LINE_DELIVERY}/ram:DeliveryNoteReferencedDocument",
}

line = record(
    Line,
    number=text(LINE_NUMBER),
    parent_number=text("ram:AssociatedDocumentLineDocument/ram:ParentLineID"),
    subtype=text("ram:AssociatedDocumentLineDocument/ram:LineStatusReasonCode"),
    notes=many("ram:AssociatedDocumentLineDocument/ram:IncludedNote", note),
    name=text(f"{PRODUCT}/ram:Name"),
    description=joined(f"{PRODUCT}/ram:Description", "\n"),
    seller_item=text(f"{PRODUCT}/ram:SellerAssignedID"),
    buyer_item=text(f"{PRODUCT}/ram:BuyerAssignedID"),
    standard_item=one(f"{PRODUCT}/ram:GlobalID", identifier),
    classifications=many(
        f"{PRODUCT}/ram:DesignatedProductClassification/ram:ClassCode",
        record(Identifier, value=text("."), scheme=text("@listID"), version=text("@listVersionID")),
    ),
    origin_country=text(f"{PRODUCT}/ram:OriginTradeCountry/ram:ID"),
    properties=many(
        f"{PRODUCT}/ram:ApplicableProductCharacteristic",
        record(
            ItemProperty,
            name=joined("ram:Description", " – "),
            value=joined("ram:Value", ", "),
            code=text("ram:TypeCode"),
            measure=number("ram:ValueMeasure"),
            unit=text("ram:ValueMeasure/@unitCode"),
        ),
    ),
    quantity=number(BILLED),
    unit=text(f"{BILLED}/@unitCode"),
    net_price=number(f"{NET}/ram:ChargeAmount"),
    gross_price=number(f"{GROSS}/ram:ChargeAmount"),
    price_discount=price_discount(PRICE_ALLOWANCES, allowance_charge),
    price_allowances=price_allowances(PRICE_ALLOWANCES, allowance_charge),
    price_base_quantity=repeated(
        f"{NET}/ram:BasisQuantity | {GROSS}/ram:BasisQuantity",
        first(number(f"{NET}/ram:BasisQuantity"), number(f"{GROSS}/ram:BasisQuantity")),
    ),
    price_base_unit=first(text(f"{NET}/ram:BasisQuantity/@unitCode"), text(f"{GROSS}/ram:BasisQuantity/@unitCode")),
    net_amount=number(f"{LINE_TOTALS}/ram:LineTotalAmount"),
    vat_category=text(f"{LINE_TAX}/ram:CategoryCode"),
    vat_rate=number(f"{LINE_TAX}/ram:RateApplicablePercent"),
    exemption_reason=text(f"{LINE_TAX}/ram:ExemptionReason"),
    exemption_reason_code=text(f"{LINE_TAX}/ram:ExemptionReasonCode"),
    vat_amount=first(number(f"{LINE_TAX}/ram:CalculatedAmount"), number(f"{LINE_TOTALS}/ram:TaxTotalAmount")),
    total_with_vat=number(f"{LINE_TOTALS}/ram:GrandTotalAmount"),
    allowances_charges=many(f"{LINE_SETTLEMENT}/ram:SpecifiedTradeAllowanceCharge", allowance_charge),
    period=one(f"{LINE_SETTLEMENT}/ram:BillingSpecifiedPeriod", period),
    order_line=text(f"{LINE_AGREEMENT}/ram:BuyerOrderReferencedDocument/ram:LineID"),
    accounting_reference=text(f"{LINE_SETTLEMENT}/ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID"),
    invoiced_object=one(
        f"{LINE_SETTLEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='{INVOICED_OBJECT}']", object_reference
    ),
    preceding_invoices=many(f"{LINE_SETTLEMENT}/ram:InvoiceReferencedDocument", reference),
    references=lambda node: (
        *further("order_line", f"{LINE_AGREEMENT}/ram:BuyerOrderReferencedDocument", reference)(node),
        *(
            found
            for kind, path in LINE_REFERENCES.items()
            for found in further(kind, path, reference, keep_first=True)(node)
        ),
    ),
    seller=one(f"{LINE_AGREEMENT}/ram:ItemSellerTradeParty", party),
    deliveries=many(f"{LINE_DELIVERY}{DELIVERED}", delivery),
    delivery_terms=one(f"{LINE_AGREEMENT}/ram:ApplicableTradeDeliveryTerms", delivery_terms),
)

payment_means = record(
    PaymentMeans,
    code=text("ram:TypeCode"),
    text=joined("ram:Information", "\n"),
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


def condition(tag: str, amount: str) -> Reader:
    return one(
        tag,
        record(
            Condition,
            percentage=number("ram:CalculationPercent"),
            amount=number(amount),
            base=number("ram:BasisAmount"),
            from_date=day("ram:BasisDateTime"),
            period=number("ram:BasisPeriodMeasure"),
            unit=text("ram:BasisPeriodMeasure/@unitCode"),
        ),
    )


payment_term = record(
    PaymentTerm,
    text=joined("ram:Description", "\n"),
    due_date=day("ram:DueDateDateTime"),
    amount=number("ram:PartialPaymentAmount"),
    percentage=number("ram:PartialPaymentPercent"),
    discount=condition("ram:ApplicableTradePaymentDiscountTerms", "ram:ActualDiscountAmount"),
    penalty=condition("ram:ApplicableTradePaymentPenaltyTerms", "ram:ActualPenaltyAmount"),
)

prepayment = record(
    Prepayment,
    amount=number("ram:PaidAmount"),
    paid_on=day("ram:FormattedReceivedDateTime"),
    reference=joined("ram:InvoiceSpecifiedReferencedDocument/ram:IssuerAssignedID", ", "),
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
    type_code=lambda node: "" if (code := text("ram:TypeCode")(node)) == SUPPORTING else code,
    of=attached_to(ATTACHED_TO),
    line=text(f"ancestor::ram:IncludedSupplyChainTradeLineItem/{LINE_NUMBER}"),
)

# Repeated in each VAT block (FNFE-MPE note 012B).
TAX_POINT_DATE = f"{SETTLEMENT}/ram:ApplicableTradeTax/ram:TaxPointDate"
TAX_POINT_CODE = f"{SETTLEMENT}/ram:ApplicableTradeTax/ram:DueDateTypeCode"
TERMS = f"{SETTLEMENT}/ram:SpecifiedTradePaymentTerms"
PROJECTS = f"{AGREEMENT}/ram:SpecifiedProcuringProject"
DOCUMENTS = f"{AGREEMENT}/ram:AdditionalReferencedDocument"
TENDERS, OBJECTS = f"{DOCUMENTS}[ram:TypeCode='{TENDER}']", f"{DOCUMENTS}[ram:TypeCode='{INVOICED_OBJECT}']"
# EN 16931 knows no name of a project, the schema of Factur-X wants one: writers write it themselves.
project = record(
    Reference, number=text("ram:ID"), text=text("ram:Name[. != 'Project reference' and . != 'Project Reference']")
)
# Their type is what they were chosen by.
additional = record(
    Reference,
    number=text("ram:IssuerAssignedID"),
    issue_date=day("ram:FormattedIssueDateTime"),
    line=text("ram:LineID"),
    text=joined("ram:Name", " – "),
)
# Listed as files: what is neither a tender nor an object, and whatever holds a file or points to one.
IS_FILE = f"not(ram:TypeCode='{INVOICED_OBJECT}' or ram:TypeCode='{TENDER}') or {HAS_FILE}"
REFERENCED = (
    f"*[contains(local-name(), 'ReferencedDocument') and not(self::ram:AdditionalReferencedDocument) and {HAS_FILE}]"
)
OF_HEADER = f"rsm:SupplyChainTradeTransaction/*[not(self::ram:IncludedSupplyChainTradeLineItem)]/{REFERENCED}"
# One walk: a step from each of 10,000 lines, or a union of two, costs libxml2 the square of their number.
OF_LINES = (
    f".//*[self::ram:AdditionalReferencedDocument[{IS_FILE}] or self::{REFERENCED}]"
    "[ancestor::ram:IncludedSupplyChainTradeLineItem]"
)
LINE_TAGS = frozenset({f"{{{NAMESPACES['ram']}}}IncludedSupplyChainTradeLineItem"})
LINES = "rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem"

HEADER: dict[str, Reader] = {
    "number": text(f"{DOCUMENT}/ram:ID"),
    "issue_date": day(f"{DOCUMENT}/ram:IssueDateTime"),
    "type_code": text(f"{DOCUMENT}/ram:TypeCode"),
    "currency": text(f"{SETTLEMENT}/ram:InvoiceCurrencyCode"),
    "vat_currency": text(f"{SETTLEMENT}/ram:TaxCurrencyCode"),
    "tax_point_date": repeated(TAX_POINT_DATE, day(TAX_POINT_DATE)),
    "tax_point_code": repeated(TAX_POINT_CODE, text(TAX_POINT_CODE)),
    "buyer_reference": text(f"{AGREEMENT}/ram:BuyerReference"),
    "project_reference": text(f"{AGREEMENT}/ram:SpecifiedProcuringProject/ram:ID"),
    "contract_reference": text(f"{AGREEMENT}/ram:ContractReferencedDocument/ram:IssuerAssignedID"),
    "order_reference": text(f"{AGREEMENT}/ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID"),
    "sales_order_reference": text(f"{AGREEMENT}/ram:SellerOrderReferencedDocument/ram:IssuerAssignedID"),
    "receiving_advice_reference": text(f"{DELIVERY}/ram:ReceivingAdviceReferencedDocument/ram:IssuerAssignedID"),
    "despatch_advice_reference": text(f"{DELIVERY}/ram:DespatchAdviceReferencedDocument/ram:IssuerAssignedID"),
    "tender_reference": text(f"{TENDERS}/ram:IssuerAssignedID"),
    "invoiced_object": one(OBJECTS, object_reference),
    "accounting_reference": text(f"{SETTLEMENT}/ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID"),
    "payment_terms": joined(f"{TERMS}/ram:Description", "\n"),
    "terms": many(TERMS, payment_term),
    "references": lambda node: (
        *further("order_reference", f"{AGREEMENT}/ram:BuyerOrderReferencedDocument", reference)(node),
        *further("sales_order_reference", f"{AGREEMENT}/ram:SellerOrderReferencedDocument", reference)(node),
        *further("contract_reference", f"{AGREEMENT}/ram:ContractReferencedDocument", reference)(node),
        *further("project_reference", PROJECTS, project)(node),
        *further("quotation_reference", f"{AGREEMENT}/ram:QuotationReferencedDocument", reference, keep_first=True)(
            node
        ),
        *further("tender_reference", TENDERS, additional)(node),
        *further("invoiced_object", OBJECTS, additional)(node),
        *further("despatch_advice_reference", f"{DELIVERY}/ram:DespatchAdviceReferencedDocument", reference)(node),
        *further("receiving_advice_reference", f"{DELIVERY}/ram:ReceivingAdviceReferencedDocument", reference)(node),
        *further(
            "delivery_note_reference", f"{DELIVERY}/ram:DeliveryNoteReferencedDocument", reference, keep_first=True
        )(node),
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
    "ship_from": one(f"{DELIVERY}/ram:ShipFromTradeParty", party),
    "end_recipient": one(f"{DELIVERY}/ram:UltimateShipToTradeParty", party),
    "delivery": one(f"{DELIVERY}{DELIVERED}", delivery),
    "delivery_terms": one(f"{AGREEMENT}/ram:ApplicableTradeDeliveryTerms", delivery_terms),
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
    "prepayments": many(f"{SETTLEMENT}/ram:SpecifiedAdvancePayment", prepayment),
    "attachments": lambda node: (
        *many(f"{DOCUMENTS}[{IS_FILE}] | {OF_HEADER}", attachment)(node),
        *many(OF_LINES, attachment)(node),
    ),
    "lines": many(LINES, in_own_unit(line)),
}


def parse_cii(root: etree._Element, files: Files = NO_FILES) -> ParsedInvoice:
    node = Node(root, [], files, set())
    values: dict[str, Any] = {name: read(node) for name, read in HEADER.items()}
    rows = values["terms"]
    values["terms"] = settled_terms(rows, values["issue_date"])
    values["due_date"] = due_date_of(values["terms"] or rows)
    return ParsedInvoice(
        syntax="cii",
        message=etree.QName(root).localname,
        other_data=other_data(node, LINE_TAGS),
        warnings=node.told(),
        **values,
    )

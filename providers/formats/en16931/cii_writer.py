"""The inverse of cii.py: Cross Industry Invoice D22B. The order of the elements is the schema's."""

import re
from typing import Any

from lxml import etree

from .cii import INVOICED_OBJECT, SUPPORTING, TENDER
from .mapping import NAMESPACES
from .model import AllowanceCharge, Identifier, ParsedInvoice, Party
from .writing import Writer, add, always, day, each, group, leaf, qualified, sequence, serialized, when, written

# BT-8: UNTDID 2005 of UBL to UNTDID 2475 of CII.
TAX_POINT_CODES = {"3": "5", "35": "29", "432": "72"}
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9 ]{10,40}")
PREFIXES = {prefix: NAMESPACES[prefix] for prefix in ("rsm", "ram", "qdt", "udt")}


def date_time(tag: str, find: Any) -> Writer:
    return day(tag, find, "udt:DateTimeString")


def identifiers(party: Party) -> tuple[Identifier, ...]:
    """All but the legal one, and the SIRET even where the list forgot it; those without a scheme come first."""
    legal = Identifier(value=party.siren, scheme="0002")
    others = [item for item in party.identifiers if item != legal]
    if party.siret and not any(item.value == party.siret for item in party.identifiers):
        others.append(Identifier(value=party.siret, scheme="0009"))
    return tuple(sorted(others, key=lambda item: bool(item.scheme)))


identification = sequence(
    when(lambda item: not item.scheme, leaf("ram:ID", "value")),
    when(lambda item: bool(item.scheme), leaf("ram:GlobalID", "value", schemeID="scheme")),
)

postal_address = group(
    "ram:PostalTradeAddress",
    leaf("ram:PostcodeCode", "post_code"),
    leaf("ram:LineOne", lambda address: ", ".join(address.lines[:1])),
    leaf("ram:LineTwo", lambda address: ", ".join(address.lines[1:2])),
    leaf("ram:LineThree", lambda address: ", ".join(address.lines[2:])),
    leaf("ram:CityName", "city"),
    leaf("ram:CountryID", "country"),
    leaf("ram:CountrySubDivisionName", "subdivision"),
    of="address",
)


def tax_registration(attribute: str, scheme: str) -> Writer:
    return group("ram:SpecifiedTaxRegistration", leaf("ram:ID", attribute, schemeID=always(scheme)))


party = sequence(
    each(identifiers, identification),
    leaf("ram:Name", "name"),
    leaf("ram:Description", "legal_information"),
    group(
        "ram:SpecifiedLegalOrganization",
        leaf("ram:ID", "siren", schemeID=always("0002")),
        leaf("ram:TradingBusinessName", "trading_name"),
    ),
    group(
        "ram:DefinedTradeContact",
        leaf("ram:PersonName", "name"),
        group("ram:TelephoneUniversalCommunication", leaf("ram:CompleteNumber", "phone")),
        group("ram:EmailURIUniversalCommunication", leaf("ram:URIID", "email")),
        of="contact",
    ),
    postal_address,
    group(
        "ram:URIUniversalCommunication",
        leaf("ram:URIID", "electronic_address", schemeID="electronic_address_scheme"),
    ),
    tax_registration("vat_number", "VA"),
    tax_registration("tax_registration", "FC"),
)


def indicator(parent: etree._Element, item: AllowanceCharge, document: ParsedInvoice) -> None:
    flag = etree.SubElement(parent, qualified("ram:ChargeIndicator"))
    add(flag, "udt:Indicator", written(item.is_charge), {})


allowance_charge = group(
    "ram:SpecifiedTradeAllowanceCharge",
    indicator,
    leaf("ram:CalculationPercent", "percentage"),
    leaf("ram:BasisAmount", "base"),
    leaf("ram:ActualAmount", "amount"),
    leaf("ram:ReasonCode", "reason_code"),
    leaf("ram:Reason", "reason"),
    when(
        lambda item: bool(item.vat_category),
        group(
            "ram:CategoryTradeTax",
            leaf("ram:TypeCode", always("VAT")),
            leaf("ram:CategoryCode", "vat_category"),
            leaf("ram:RateApplicablePercent", "vat_rate"),
        ),
    ),
)

reference = group(
    "ram:InvoiceReferencedDocument",
    leaf("ram:IssuerAssignedID", "number"),
    leaf("ram:TypeCode", "type_code"),
    day("ram:FormattedIssueDateTime", "issue_date", "qdt:DateTimeString"),
)

period = group(
    "ram:BillingSpecifiedPeriod",
    date_time("ram:StartDateTime", "start"),
    date_time("ram:EndDateTime", "end"),
    of="period",
)

note = group("ram:IncludedNote", leaf("ram:Content", "text"), leaf("ram:SubjectCode", "subject_code"))

invoiced_object = group(
    "ram:AdditionalReferencedDocument",
    leaf("ram:IssuerAssignedID", "value"),
    leaf("ram:TypeCode", always(INVOICED_OBJECT)),
    leaf("ram:ReferenceTypeCode", "scheme"),
    of="invoiced_object",
)

# --- lines ------------------------------------------------------------------------------------------------------------

product = group(
    "ram:SpecifiedTradeProduct",
    leaf(
        "ram:GlobalID",
        lambda line: line.standard_item and line.standard_item.value,
        schemeID=lambda line: line.standard_item.scheme,
    ),
    leaf("ram:SellerAssignedID", "seller_item"),
    leaf("ram:BuyerAssignedID", "buyer_item"),
    leaf("ram:Name", "name"),
    leaf("ram:Description", "description"),
    each(
        "properties",
        group("ram:ApplicableProductCharacteristic", leaf("ram:Description", "name"), leaf("ram:Value", "value")),
    ),
    each(
        "classifications",
        group("ram:DesignatedProductClassification", leaf("ram:ClassCode", "value", listID="scheme")),
    ),
    group("ram:OriginTradeCountry", leaf("ram:ID", "origin_country")),
)


def discount(parent: etree._Element, line: Any, document: ParsedInvoice) -> None:
    if line.price_discount is None:
        return
    group("ram:AppliedTradeAllowanceCharge", indicator, leaf("ram:ActualAmount", "amount"))(
        parent, AllowanceCharge(is_charge=False, amount=line.price_discount), document
    )


base_quantity = leaf("ram:BasisQuantity", "price_base_quantity", unitCode="unit")

line = group(
    "ram:IncludedSupplyChainTradeLineItem",
    group(
        "ram:AssociatedDocumentLineDocument",
        leaf("ram:LineID", "number"),
        leaf("ram:ParentLineID", "parent_number"),
        each("notes", note),
    ),
    product,
    group(
        "ram:SpecifiedLineTradeAgreement",
        group("ram:BuyerOrderReferencedDocument", leaf("ram:LineID", "order_line")),
        when(
            lambda line: line.gross_price is not None,
            group("ram:GrossPriceProductTradePrice", leaf("ram:ChargeAmount", "gross_price"), base_quantity, discount),
        ),
        when(
            lambda line: line.net_price is not None,
            group("ram:NetPriceProductTradePrice", leaf("ram:ChargeAmount", "net_price"), base_quantity),
        ),
    ),
    group("ram:SpecifiedLineTradeDelivery", leaf("ram:BilledQuantity", "quantity", unitCode="unit")),
    group(
        "ram:SpecifiedLineTradeSettlement",
        when(
            lambda line: bool(line.vat_category),
            group(
                "ram:ApplicableTradeTax",
                leaf("ram:TypeCode", always("VAT")),
                leaf("ram:CategoryCode", "vat_category"),
                leaf("ram:RateApplicablePercent", "vat_rate"),
            ),
        ),
        period,
        each("allowances_charges", allowance_charge),
        group("ram:SpecifiedTradeSettlementLineMonetarySummation", leaf("ram:LineTotalAmount", "net_amount")),
        each("preceding_invoices", reference),
        invoiced_object,
        group("ram:ReceivableSpecifiedTradeAccountingAccount", leaf("ram:ID", "accounting_reference")),
    ),
)

# --- header -----------------------------------------------------------------------------------------------------------

attachment = group(
    "ram:AdditionalReferencedDocument",
    leaf("ram:IssuerAssignedID", "reference"),
    leaf("ram:URIID", "url"),
    leaf("ram:TypeCode", always(SUPPORTING)),
    leaf("ram:Name", "description"),
    leaf("ram:AttachmentBinaryObject", "content", mimeCode="media_type", filename="filename"),
)


def order(tag: str, attribute: str) -> Writer:
    return group(tag, leaf("ram:IssuerAssignedID", attribute))


agreement = group(
    "ram:ApplicableHeaderTradeAgreement",
    leaf("ram:BuyerReference", "buyer_reference"),
    group("ram:SellerTradeParty", party, of="seller"),
    group("ram:BuyerTradeParty", party, of="buyer"),
    group("ram:SalesAgentTradeParty", party, of="seller_agent"),
    group("ram:SellerTaxRepresentativeTradeParty", party, of="tax_representative"),
    order("ram:SellerOrderReferencedDocument", "sales_order_reference"),
    order("ram:BuyerOrderReferencedDocument", "order_reference"),
    order("ram:ContractReferencedDocument", "contract_reference"),
    each("attachments", attachment),
    when(
        lambda document: bool(document.tender_reference),
        group(
            "ram:AdditionalReferencedDocument",
            leaf("ram:IssuerAssignedID", "tender_reference"),
            leaf("ram:TypeCode", always(TENDER)),
        ),
    ),
    invoiced_object,
    group("ram:BuyerAgentTradeParty", party, of="buyer_agent"),
    when(
        lambda document: bool(document.project_reference),
        group(
            "ram:SpecifiedProcuringProject",
            leaf("ram:ID", "project_reference"),
            # EN 16931 knows no name of it, the schema of Factur-X wants one.
            leaf("ram:Name", always("Project reference")),
        ),
    ),
    required=True,
)

delivery = group(
    "ram:ApplicableHeaderTradeDelivery",
    group(
        "ram:ShipToTradeParty",
        lambda parent, part, document: identification(parent, part.location, document) if part.location else None,
        leaf("ram:Name", "name"),
        postal_address,
        of="delivery",
    ),
    group("ram:ActualDeliverySupplyChainEvent", date_time("ram:OccurrenceDateTime", "delivered_on"), of="delivery"),
    order("ram:DespatchAdviceReferencedDocument", "despatch_advice_reference"),
    order("ram:ReceivingAdviceReferencedDocument", "receiving_advice_reference"),
    required=True,
)

payment_means = group(
    "ram:SpecifiedTradeSettlementPaymentMeans",
    leaf("ram:TypeCode", "code"),
    leaf("ram:Information", "text"),
    group(
        "ram:ApplicableTradeSettlementFinancialCard",
        leaf("ram:ID", "card_number"),
        leaf("ram:CardholderName", "card_holder"),
    ),
    group("ram:PayerPartyDebtorFinancialAccount", leaf("ram:IBANID", "debited_account")),
    group(
        "ram:PayeePartyCreditorFinancialAccount",
        when(lambda means: bool(IBAN.fullmatch(means.iban)), leaf("ram:IBANID", "iban")),
        leaf("ram:AccountName", "account_name"),
        when(lambda means: not IBAN.fullmatch(means.iban), leaf("ram:ProprietaryID", "iban")),
    ),
    group("ram:PayeeSpecifiedCreditorFinancialInstitution", leaf("ram:BICID", "bic")),
)


def first_of_means(attribute: str) -> Any:
    """Told once for all payment means in CII."""
    return lambda document: next(filter(None, (getattr(each, attribute) for each in document.payment_means)), "")


def vat_blocks(parent: etree._Element, document: ParsedInvoice, whole: ParsedInvoice) -> None:
    """The moment VAT falls due is repeated in each block (FNFE-MPE note 012B)."""
    code = TAX_POINT_CODES.get(document.tax_point_code, document.tax_point_code)
    block = group(
        "ram:ApplicableTradeTax",
        leaf("ram:CalculatedAmount", "amount"),
        leaf("ram:TypeCode", always("VAT")),
        leaf("ram:ExemptionReason", "exemption_reason"),
        leaf("ram:BasisAmount", "base"),
        leaf("ram:CategoryCode", "category"),
        leaf("ram:ExemptionReasonCode", "exemption_reason_code"),
        day("ram:TaxPointDate", lambda row: document.tax_point_date, "udt:DateString"),
        leaf("ram:DueDateTypeCode", always(code)),
        leaf("ram:RateApplicablePercent", "rate"),
    )
    each("vat_breakdown", block)(parent, document, whole)


def vat_totals(parent: etree._Element, document: ParsedInvoice, whole: ParsedInvoice) -> None:
    for value, currency in (
        (document.total_vat, document.currency),
        (document.total_vat_in_vat_currency, document.vat_currency),
    ):
        if value is not None:
            add(parent, "ram:TaxTotalAmount", written(value), {"currencyID": currency})


settlement = group(
    "ram:ApplicableHeaderTradeSettlement",
    leaf("ram:CreditorReferenceID", "creditor_identifier"),
    leaf("ram:PaymentReference", first_of_means("payment_reference")),
    leaf("ram:TaxCurrencyCode", "vat_currency"),
    leaf("ram:InvoiceCurrencyCode", "currency"),
    group("ram:InvoicerTradeParty", party, of="invoicer"),
    group("ram:InvoiceeTradeParty", party, of="invoicee"),
    group("ram:PayeeTradeParty", party, of="payee"),
    group("ram:PayerTradeParty", party, of="payer"),
    each("payment_means", payment_means),
    vat_blocks,
    period,
    each("allowances_charges", allowance_charge),
    group(
        "ram:SpecifiedTradePaymentTerms",
        leaf("ram:Description", "payment_terms"),
        date_time("ram:DueDateDateTime", "due_date"),
        leaf("ram:DirectDebitMandateID", first_of_means("mandate_reference")),
    ),
    group(
        "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        leaf("ram:LineTotalAmount", "total_lines"),
        leaf("ram:ChargeTotalAmount", "total_charges"),
        leaf("ram:AllowanceTotalAmount", "total_allowances"),
        leaf("ram:TaxBasisTotalAmount", "total_without_vat"),
        vat_totals,
        leaf("ram:RoundingAmount", "rounding"),
        leaf("ram:GrandTotalAmount", "total_with_vat"),
        leaf("ram:TotalPrepaidAmount", "prepaid"),
        leaf("ram:DuePayableAmount", "amount_due"),
    ),
    each("preceding_invoices", reference),
    group("ram:ReceivableSpecifiedTradeAccountingAccount", leaf("ram:ID", "accounting_reference")),
)

message = sequence(
    group(
        "rsm:ExchangedDocumentContext",
        group("ram:BusinessProcessSpecifiedDocumentContextParameter", leaf("ram:ID", "process")),
        group("ram:GuidelineSpecifiedDocumentContextParameter", leaf("ram:ID", "profile")),
        required=True,
    ),
    group(
        "rsm:ExchangedDocument",
        leaf("ram:ID", "number"),
        leaf("ram:TypeCode", "type_code"),
        date_time("ram:IssueDateTime", "issue_date"),
        each("notes", note),
        required=True,
    ),
    group("rsm:SupplyChainTradeTransaction", each("lines", line), agreement, delivery, settlement, required=True),
)


def write_cii(document: ParsedInvoice) -> bytes:
    root = etree.Element(qualified("rsm:CrossIndustryInvoice"), nsmap=PREFIXES)
    message(root, document, document)
    return serialized(root)

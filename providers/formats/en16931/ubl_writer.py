"""The inverse of ubl.py: UBL 2.1 Invoice and CreditNote. The order of the elements is the schema's."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from lxml import etree

from .labels import CREDIT_NOTE_TYPES
from .mapping import NAMESPACES
from .model import AllowanceCharge, Identifier, Line, Note, ParsedInvoice, Party, PaymentMeans
from .ubl import INVOICED_OBJECT, TENDER
from .writing import Writer, always, amount, each, group, leaf, qualified, sequence, serialized, when, written

INVOICE_NAMESPACE = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
# BT-8: UNTDID 2475 of CII to UNTDID 2005 of UBL.
TAX_POINT_CODES = {"5": "3", "29": "35", "72": "432"}
# The schema wants a card network (no term of EN 16931) and an order number beside that of the sales order.
NOT_GIVEN = "NA"
NOT_SPECIFIED = "1"

# The two messages hold the same elements in different orders.
HEAD = "CustomizationID ProfileID ID IssueDate"
TAIL = (
    "AccountingSupplierParty AccountingCustomerParty PayeeParty TaxRepresentativeParty Delivery PaymentMeans "
    "PaymentTerms AllowanceCharge TaxTotal LegalMonetaryTotal InvoiceLine CreditNoteLine"
)
INVOICE_ORDER = (
    f"{HEAD} DueDate InvoiceTypeCode Note TaxPointDate DocumentCurrencyCode TaxCurrencyCode AccountingCost "
    "BuyerReference InvoicePeriod OrderReference BillingReference DespatchDocumentReference ReceiptDocumentReference "
    f"OriginatorDocumentReference ContractDocumentReference AdditionalDocumentReference ProjectReference {TAIL}"
).split()
CREDIT_NOTE_ORDER = (
    f"{HEAD} TaxPointDate CreditNoteTypeCode Note DocumentCurrencyCode TaxCurrencyCode AccountingCost BuyerReference "
    "InvoicePeriod OrderReference BillingReference DespatchDocumentReference ReceiptDocumentReference "
    f"ContractDocumentReference AdditionalDocumentReference OriginatorDocumentReference {TAIL}"
).split()


def is_credit_note(document: ParsedInvoice) -> bool:
    return document.type_code in CREDIT_NOTE_TYPES


def note_text(note: Note) -> str:
    """EN 16931 gives UBL no place for the subject code: BR-FR-05 writes it in front of the text."""
    return f"#{note.subject_code}#{written(note.text)}" if note.subject_code else note.text


def legal_identifier(party: Party) -> Identifier | None:
    return Identifier(value=party.siren, scheme="0002") if party.siren else None


def other_identifiers(party: Party) -> tuple[Identifier, ...]:
    """All but the legal one, and the SIRET even where the list forgot it."""
    known = {(item.value, item.scheme) for item in party.identifiers}
    others = [item for item in party.identifiers if item != legal_identifier(party)]
    if party.siret and not any(value == party.siret for value, _scheme in known):
        others.append(Identifier(value=party.siret, scheme="0009"))
    return tuple(others)


identification = group("cac:PartyIdentification", leaf("cbc:ID", "value", schemeID="scheme"))
tax_scheme = group("cac:TaxScheme", leaf("cbc:ID", always("VAT")))

address = sequence(
    leaf("cbc:StreetName", lambda part: line_of(part, 0)),
    leaf("cbc:AdditionalStreetName", lambda part: line_of(part, 1)),
    leaf("cbc:CityName", "city"),
    leaf("cbc:PostalZone", "post_code"),
    leaf("cbc:CountrySubentity", "subdivision"),
    each(lambda part: part.lines[2:], group("cac:AddressLine", leaf("cbc:Line", str))),
    group("cac:Country", leaf("cbc:IdentificationCode", "country")),
)


def line_of(part: Any, index: int) -> str:
    return part.lines[index] if len(part.lines) > index else ""


tax_registrations = sequence(
    when(
        lambda party: bool(party.vat_number),
        group("cac:PartyTaxScheme", leaf("cbc:CompanyID", "vat_number"), tax_scheme),
    ),
    when(
        lambda party: bool(party.tax_registration),
        group(
            "cac:PartyTaxScheme",
            leaf("cbc:CompanyID", "tax_registration"),
            group("cac:TaxScheme", leaf("cbc:ID", always("LOC"))),
        ),
    ),
)
contact = group(
    "cac:Contact",
    leaf("cbc:Name", "name"),
    leaf("cbc:Telephone", "phone"),
    leaf("cbc:ElectronicMail", "email"),
    of="contact",
)
endpoint = leaf("cbc:EndpointID", "electronic_address", schemeID="electronic_address_scheme")
identifications = each(other_identifiers, identification)
postal_address = group("cac:PostalAddress", address, of="address")
company_id = group("cac:PartyLegalEntity", leaf("cbc:CompanyID", "siren", schemeID=always("0002")))

party = sequence(
    endpoint,
    identifications,
    group("cac:PartyName", leaf("cbc:Name", "trading_name")),
    postal_address,
    tax_registrations,
    group(
        "cac:PartyLegalEntity",
        leaf("cbc:RegistrationName", "name"),
        leaf("cbc:CompanyID", "siren", schemeID=always("0002")),
        leaf("cbc:CompanyLegalForm", "legal_information"),
    ),
    contact,
)
# Payee and tax representative are named by their PartyName.
named_party = sequence(
    endpoint,
    identifications,
    group("cac:PartyName", leaf("cbc:Name", "name")),
    postal_address,
    tax_registrations,
    company_id,
    contact,
)


def side(tag: str, role: str, agent: str, provider: str) -> Writer:
    """Seller or buyer, with the two roles of the French extension that stand inside it."""
    return group(
        tag,
        group(
            "cac:Party",
            lambda element, document, whole: party(element, identified(document, role), whole),
            group("cac:AgentParty", party, of=agent),
            group("cac:ServiceProviderParty", group("cac:Party", party), of=provider),
        ),
        required=True,
    )


def identified(document: ParsedInvoice, role: str) -> Party:
    """BT-90 is one more identifier of the seller."""
    plain: Party = getattr(document, role)
    if role != "seller" or not document.creditor_identifier:
        return plain
    creditor = Identifier(value=document.creditor_identifier, scheme="SEPA")
    return replace(plain, identifiers=(*plain.identifiers, creditor))


reference = sequence(
    leaf("cbc:ID", "number"), leaf("cbc:IssueDate", "issue_date"), leaf("cbc:DocumentTypeCode", "type_code")
)
billing_references = each(
    "preceding_invoices", group("cac:BillingReference", group("cac:InvoiceDocumentReference", reference))
)


def document_reference(tag: str, attribute: str) -> Writer:
    return group(tag, leaf("cbc:ID", attribute))


def tax_category(tag: str, category: str, rate: str, *more: Writer) -> Writer:
    return when(
        lambda part: bool(getattr(part, category)),
        group(tag, leaf("cbc:ID", category), leaf("cbc:Percent", rate), *more, tax_scheme),
    )


allowance_charge = group(
    "cac:AllowanceCharge",
    leaf("cbc:ChargeIndicator", "is_charge"),
    leaf("cbc:AllowanceChargeReasonCode", "reason_code"),
    leaf("cbc:AllowanceChargeReason", "reason"),
    leaf("cbc:MultiplierFactorNumeric", "percentage"),
    amount("cbc:Amount", "amount"),
    amount("cbc:BaseAmount", "base"),
    tax_category("cac:TaxCategory", "vat_category", "vat_rate"),
)


def price_allowance(line: Line) -> AllowanceCharge | None:
    """The schema wants the discount where the gross price is told."""
    if line.gross_price is None and line.price_discount is None:
        return None
    return AllowanceCharge(is_charge=False, amount=line.price_discount or Decimal(0), base=line.gross_price)


item = group(
    "cac:Item",
    leaf("cbc:Description", "description"),
    leaf("cbc:Name", "name"),
    group("cac:BuyersItemIdentification", leaf("cbc:ID", "buyer_item")),
    group("cac:SellersItemIdentification", leaf("cbc:ID", "seller_item")),
    group("cac:StandardItemIdentification", leaf("cbc:ID", "value", schemeID="scheme"), of="standard_item"),
    group("cac:OriginCountry", leaf("cbc:IdentificationCode", "origin_country")),
    each(
        "classifications",
        group("cac:CommodityClassification", leaf("cbc:ItemClassificationCode", "value", listID="scheme")),
    ),
    tax_category("cac:ClassifiedTaxCategory", "vat_category", "vat_rate"),
    each("properties", group("cac:AdditionalItemProperty", leaf("cbc:Name", "name"), leaf("cbc:Value", "value"))),
    required=True,
)
price = group(
    "cac:Price",
    amount("cbc:PriceAmount", "net_price"),
    leaf("cbc:BaseQuantity", "price_base_quantity", unitCode="unit"),
    group(
        "cac:AllowanceCharge",
        leaf("cbc:ChargeIndicator", "is_charge"),
        amount("cbc:Amount", "amount"),
        amount("cbc:BaseAmount", "base"),
        of=price_allowance,
    ),
)


def line_writer(message: str, quantity: str) -> Writer:
    content = sequence(
        leaf("cbc:ID", "number"),
        each("notes", leaf("cbc:Note", note_text)),
        leaf(f"cbc:{quantity}", "quantity", unitCode="unit"),
        amount("cbc:LineExtensionAmount", "net_amount"),
        leaf("cbc:AccountingCost", "accounting_reference"),
        group("cac:InvoicePeriod", leaf("cbc:StartDate", "start"), leaf("cbc:EndDate", "end"), of="period"),
        group("cac:OrderLineReference", leaf("cbc:LineID", "order_line")),
        billing_references,
        group(
            "cac:DocumentReference",
            leaf("cbc:ID", "value", schemeID="scheme"),
            leaf("cbc:DocumentTypeCode", always(INVOICED_OBJECT)),
            of="invoiced_object",
        ),
        each("allowances_charges", allowance_charge),
        item,
        when(lambda line: line.net_price is not None, price),
    )

    def write(parent: etree._Element, line: Line, document: ParsedInvoice) -> None:
        is_sub = line.is_inside
        element = etree.SubElement(parent, qualified(f"cac:{'Sub' if is_sub else ''}{message}Line"))
        content(element, line, document)
        for below in document.lines:
            if below.is_inside and line.number and below.parent_number == line.number:
                write(element, below, document)

    return write


def main_lines(document: ParsedInvoice) -> list[Line]:
    return [line for line in document.lines if not line.is_inside]


lines = sequence(
    when(is_credit_note, each(main_lines, line_writer("CreditNote", "CreditedQuantity"))),
    when(lambda document: not is_credit_note(document), each(main_lines, line_writer("Invoice", "InvoicedQuantity"))),
)


def payment_means_rows(document: ParsedInvoice) -> tuple[PaymentMeans, ...]:
    """A payer, and the due date of a credit note, have no other place."""
    needed = document.payer or (is_credit_note(document) and document.due_date)
    return document.payment_means or ((PaymentMeans(code=NOT_SPECIFIED),) if needed else ())


def write_payment_means(parent: etree._Element, document: ParsedInvoice, whole: ParsedInvoice) -> None:
    for index, means in enumerate(payment_means_rows(document)):
        due_on = document.due_date if is_credit_note(document) and index == 0 else None
        payer = document.payer if index == 0 else None
        group(
            "cac:PaymentMeans",
            leaf("cbc:PaymentMeansCode", lambda part: part.code or NOT_SPECIFIED, name="text"),
            leaf("cbc:PaymentDueDate", always(written(due_on))),
            leaf("cbc:PaymentID", "payment_reference"),
            card_account,
            financial_account,
            group(
                "cac:PaymentMandate",
                leaf("cbc:ID", "mandate_reference"),
                group("cac:PayerParty", party, of=lambda part, payer=payer: payer),
                group("cac:PayerFinancialAccount", leaf("cbc:ID", "debited_account")),
            ),
        )(parent, means, whole)


card_account = when(
    lambda means: bool(means.card_number),
    group(
        "cac:CardAccount",
        leaf("cbc:PrimaryAccountNumberID", "card_number"),
        leaf("cbc:NetworkID", always(NOT_GIVEN)),
        leaf("cbc:HolderName", "card_holder"),
    ),
)
financial_account = group(
    "cac:PayeeFinancialAccount",
    leaf("cbc:ID", "iban"),
    leaf("cbc:Name", "account_name"),
    group("cac:FinancialInstitutionBranch", leaf("cbc:ID", "bic")),
)

vat_subtotal = group(
    "cac:TaxSubtotal",
    amount("cbc:TaxableAmount", "base"),
    amount("cbc:TaxAmount", "amount"),
    tax_category(
        "cac:TaxCategory",
        "category",
        "rate",
        leaf("cbc:TaxExemptionReasonCode", "exemption_reason_code"),
        leaf("cbc:TaxExemptionReason", "exemption_reason"),
    ),
)

order_reference = when(
    lambda document: bool(document.order_reference or document.sales_order_reference),
    group(
        "cac:OrderReference",
        leaf("cbc:ID", lambda document: document.order_reference or NOT_GIVEN),
        leaf("cbc:SalesOrderID", "sales_order_reference"),
    ),
)

attachment = group(
    "cac:AdditionalDocumentReference",
    leaf("cbc:ID", "reference"),
    leaf("cbc:DocumentDescription", "description"),
    group(
        "cac:Attachment",
        leaf("cbc:EmbeddedDocumentBinaryObject", "content", mimeCode="media_type", filename="filename"),
        group("cac:ExternalReference", leaf("cbc:URI", "url")),
    ),
)

additional_references = sequence(
    group(
        "cac:AdditionalDocumentReference",
        leaf("cbc:ID", "value", schemeID="scheme"),
        leaf("cbc:DocumentTypeCode", always(INVOICED_OBJECT)),
        of="invoiced_object",
    ),
    when(
        lambda document: is_credit_note(document) and bool(document.project_reference),
        # A credit note has no ProjectReference.
        group(
            "cac:AdditionalDocumentReference",
            leaf("cbc:ID", "project_reference"),
            leaf("cbc:DocumentTypeCode", always(TENDER)),
        ),
    ),
    each("attachments", attachment),
)

monetary_total = group(
    "cac:LegalMonetaryTotal",
    amount("cbc:LineExtensionAmount", "total_lines"),
    amount("cbc:TaxExclusiveAmount", "total_without_vat"),
    amount("cbc:TaxInclusiveAmount", "total_with_vat"),
    amount("cbc:AllowanceTotalAmount", "total_allowances"),
    amount("cbc:ChargeTotalAmount", "total_charges"),
    amount("cbc:PrepaidAmount", "prepaid"),
    amount("cbc:PayableRoundingAmount", "rounding"),
    amount("cbc:PayableAmount", "amount_due"),
    required=True,
)

header = sequence(
    leaf("cbc:CustomizationID", "profile"),
    leaf("cbc:ProfileID", "process"),
    leaf("cbc:ID", "number"),
    leaf("cbc:IssueDate", "issue_date"),
    when(lambda document: not is_credit_note(document), leaf("cbc:DueDate", "due_date")),
    when(is_credit_note, leaf("cbc:CreditNoteTypeCode", "type_code")),
    when(lambda document: not is_credit_note(document), leaf("cbc:InvoiceTypeCode", "type_code")),
    each("notes", leaf("cbc:Note", note_text)),
    leaf("cbc:TaxPointDate", "tax_point_date"),
    leaf("cbc:DocumentCurrencyCode", "currency"),
    leaf("cbc:TaxCurrencyCode", "vat_currency"),
    leaf("cbc:AccountingCost", "accounting_reference"),
    leaf("cbc:BuyerReference", "buyer_reference"),
    group(
        "cac:InvoicePeriod",
        leaf("cbc:StartDate", lambda document: document.period and document.period.start),
        leaf("cbc:EndDate", lambda document: document.period and document.period.end),
        leaf(
            "cbc:DescriptionCode",
            lambda document: TAX_POINT_CODES.get(document.tax_point_code, document.tax_point_code),
        ),
    ),
    order_reference,
    billing_references,
    document_reference("cac:DespatchDocumentReference", "despatch_advice_reference"),
    document_reference("cac:ReceiptDocumentReference", "receiving_advice_reference"),
    document_reference("cac:OriginatorDocumentReference", "tender_reference"),
    document_reference("cac:ContractDocumentReference", "contract_reference"),
    additional_references,
    when(
        lambda document: not is_credit_note(document), document_reference("cac:ProjectReference", "project_reference")
    ),
    side("cac:AccountingSupplierParty", "seller", "seller_agent", "invoicer"),
    side("cac:AccountingCustomerParty", "buyer", "buyer_agent", "invoicee"),
    group("cac:PayeeParty", named_party, of="payee"),
    group("cac:TaxRepresentativeParty", named_party, of="tax_representative"),
    group(
        "cac:Delivery",
        leaf("cbc:ActualDeliveryDate", "delivered_on"),
        group(
            "cac:DeliveryLocation",
            leaf(
                "cbc:ID", lambda part: part.location and part.location.value, schemeID=lambda part: part.location.scheme
            ),
            group("cac:Address", address, of="address"),
        ),
        group("cac:DeliveryParty", group("cac:PartyName", leaf("cbc:Name", "name"))),
        of="delivery",
    ),
    write_payment_means,
    group("cac:PaymentTerms", leaf("cbc:Note", "payment_terms")),
    each("allowances_charges", allowance_charge),
    when(
        lambda document: document.total_vat is not None or bool(document.vat_breakdown),
        group("cac:TaxTotal", amount("cbc:TaxAmount", "total_vat"), each("vat_breakdown", vat_subtotal)),
    ),
    when(
        lambda document: document.total_vat_in_vat_currency is not None,
        group("cac:TaxTotal", amount("cbc:TaxAmount", "total_vat_in_vat_currency", "vat_currency")),
    ),
    monetary_total,
    lines,
)


def write_ubl(document: ParsedInvoice) -> bytes:
    credit_note = is_credit_note(document)
    own = NAMESPACES["cn"] if credit_note else INVOICE_NAMESPACE
    prefixes = {None: own, "cac": NAMESPACES["cac"], "cbc": NAMESPACES["cbc"]}
    root = etree.Element(f"{{{own}}}{'CreditNote' if credit_note else 'Invoice'}", nsmap=prefixes)  # type: ignore[arg-type]
    header(root, document, document)
    order = CREDIT_NOTE_ORDER if credit_note else INVOICE_ORDER
    root[:] = sorted(root, key=lambda element: order.index(etree.QName(element).localname))
    return serialized(root)

"""A parsed invoice in the words of EN 16931, whatever syntax it came in.

Nothing here is corrected: texts are as the sender wrote them (trimmed), a missing text is "", any other
missing value is None. What looks wrong is told in `ParsedInvoice.warnings`.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Literal

from django.utils.functional import Promise

from providers.norm.companies import COUNTRY_NAMES, SIREN_SCHEME, SIRET_SCHEME, Company, Pair, identify

Syntax = Literal["ubl", "cii", "factur-x", "json"]


@dataclass(frozen=True, kw_only=True)
class Identifier:
    value: str
    scheme: str = ""
    version: str = ""  # of the scheme, for classifications


@dataclass(frozen=True, kw_only=True)
class Address:
    lines: tuple[str, ...] = ()
    post_code: str = ""
    city: str = ""
    subdivision: str = ""
    country: str = ""


@dataclass(frozen=True, kw_only=True)
class Contact:
    name: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class Party:
    """Its numbers as written: who it is by them, `company` says."""

    name: str = ""
    trading_name: str = ""
    siren: str = ""  # legal registration under scheme 0002
    siret: str = ""  # any identifier under scheme 0009
    vat_number: str = ""
    tax_registration: str = ""
    legal_information: str = ""
    electronic_address: str = ""
    electronic_address_scheme: str = ""
    identifiers: tuple[Identifier, ...] = ()
    address: Address | None = None
    contact: Contact | None = None
    more_contacts: tuple[Contact, ...] = ()

    @cached_property
    def company(self) -> Company:
        return identify(
            identifiers=self.numbers,
            scheme=self.electronic_address_scheme,
            address=self.electronic_address,
            vat_number=self.vat_number,
            country=self.country,
        )

    @property
    def country(self) -> str:
        written = self.address.country.strip().upper() if self.address else ""
        return COUNTRY_NAMES.get(written, written)

    @property
    def numbers(self) -> list[Pair]:
        """Under which a register knows it, with their schemes."""
        written = [(SIREN_SCHEME, self.siren), (SIRET_SCHEME, self.siret)]
        return [pair for pair in written if pair[1]] + [(each.scheme, each.value) for each in self.identifiers]


@dataclass(frozen=True, kw_only=True)
class Period:
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, kw_only=True)
class Note:
    text: str
    subject_code: str = ""
    code: str = ""  # a whole text by its code: Factur-X EXTENDED


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Another document. `kind` is the field of the invoice or line that holds the first number of that kind."""

    number: str = ""
    issue_date: date | None = None
    type_code: str = ""
    line: str = ""
    kind: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    name: str = ""
    location: Identifier | None = None
    address: Address | None = None
    delivered_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryTerms:
    """Incoterms."""

    code: str = ""
    place: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A discount for paying by a day, or a penalty for paying after it."""

    percentage: Decimal | None = None
    amount: Decimal | None = None
    base: Decimal | None = None
    from_date: date | None = None  # the day the period runs from
    period: Decimal | None = None
    unit: str = ""
    until: date | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentTerm:
    """One of several ways or parts in which an invoice may or must be paid."""

    text: str = ""
    due_date: date | None = None
    amount: Decimal | None = None
    percentage: Decimal | None = None
    discount: Condition | None = None
    penalty: Condition | None = None

    @property
    def is_part(self) -> bool:
        return self.amount is not None or self.percentage is not None

    @property
    def is_instalment(self) -> bool:
        """A part due on a day of its own; the price of paying early, which ends a discount, is none."""
        if not self.is_part or self.due_date is None:
            return False
        return not self.discount or (self.discount.until or date.max) < self.due_date


@dataclass(frozen=True, kw_only=True)
class Prepayment:
    amount: Decimal | None = None
    paid_on: date | None = None
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class PaymentMeans:
    code: str = ""
    text: str = ""
    payment_reference: str = ""
    iban: str = ""
    account_name: str = ""
    bic: str = ""
    card_number: str = ""
    card_holder: str = ""
    mandate_reference: str = ""
    debited_account: str = ""
    due_date: date | None = None  # where it is not that of the invoice


@dataclass(frozen=True, kw_only=True)
class AllowanceCharge:
    is_charge: bool
    amount: Decimal | None = None
    base: Decimal | None = None
    percentage: Decimal | None = None
    reason: str = ""
    reason_code: str = ""
    vat_category: str = ""
    vat_rate: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class VatBreakdown:
    category: str = ""
    rate: Decimal | None = None
    base: Decimal | None = None
    amount: Decimal | None = None
    exemption_reason: str = ""
    exemption_reason_code: str = ""


@dataclass(frozen=True, kw_only=True)
class ItemProperty:
    name: str = ""
    value: str = ""
    code: str = ""
    measure: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    number: str = ""
    parent_number: str = ""  # sub-lines of the French extension
    subtype: str = ""  # GROUP, DETAIL, INFORMATION: EXT-FR-FE-163
    is_inside: bool = False  # a sub-line of UBL, whose line's amount holds its own
    notes: tuple[Note, ...] = ()
    name: str = ""
    description: str = ""
    seller_item: str = ""
    buyer_item: str = ""
    standard_item: Identifier | None = None
    classifications: tuple[Identifier, ...] = ()
    origin_country: str = ""
    properties: tuple[ItemProperty, ...] = ()
    quantity: Decimal | None = None
    unit: str = ""
    net_price: Decimal | None = None
    gross_price: Decimal | None = None
    price_discount: Decimal | None = None  # what is taken off the gross price; negative where a charge is added
    price_allowances: tuple[AllowanceCharge, ...] = ()  # where there is more to tell than that
    price_base_quantity: Decimal | None = None
    price_base_unit: str = ""  # where it is not the line's own
    net_amount: Decimal | None = None
    vat_category: str = ""
    vat_rate: Decimal | None = None
    exemption_reason: str = ""
    exemption_reason_code: str = ""
    vat_amount: Decimal | None = None
    total_with_vat: Decimal | None = None
    allowances_charges: tuple[AllowanceCharge, ...] = ()
    period: Period | None = None
    order_line: str = ""
    accounting_reference: str = ""
    invoiced_object: Identifier | None = None
    preceding_invoices: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()  # orders and the like, where there is more to tell than `order_line`
    seller: Party | None = None
    deliveries: tuple[Delivery, ...] = ()
    delivery_terms: DeliveryTerms | None = None

    @property
    def counts(self) -> bool:
        """Whether its amount is one of those that BT-106 adds up (BR-CO-10 in EXTENDED-CTC-FR and Factur-X)."""
        return not self.is_inside and self.subtype in ("", "DETAIL")


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """`content` is None when the document only points to `url`, or when its bytes could not be decoded."""

    reference: str = ""
    description: str = ""
    filename: str = ""
    media_type: str = ""
    url: str = ""
    content: bytes | None = field(default=None, repr=False)
    type_code: str = ""  # UNTDID 1001, where it is not 916
    of: str = ""  # what it is attached to, where that is not the invoice as a whole: a field of it
    line: str = ""  # the number of the line it is attached to

    @property
    def size(self) -> int | None:
        """None where the document holds no file of it."""
        return None if self.content is None else len(self.content)


@dataclass(frozen=True, kw_only=True)
class OtherData:
    """Something in the file for which there is no field: where it stands, and what it says."""

    place: str
    value: str
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class ParsedInvoice:
    syntax: Syntax
    message: str  # name of the root element: Invoice, CreditNote, CrossIndustryInvoice
    number: str = ""  # BT-1
    issue_date: date | None = None  # BT-2
    type_code: str = ""  # BT-3
    currency: str = ""  # BT-5
    vat_currency: str = ""  # BT-6
    tax_point_date: date | None = None  # BT-7
    tax_point_code: str = ""  # BT-8, in the code list of the syntax
    due_date: date | None = None  # BT-9
    buyer_reference: str = ""  # BT-10
    project_reference: str = ""  # BT-11
    contract_reference: str = ""  # BT-12
    order_reference: str = ""  # BT-13
    sales_order_reference: str = ""  # BT-14
    receiving_advice_reference: str = ""  # BT-15
    despatch_advice_reference: str = ""  # BT-16
    tender_reference: str = ""  # BT-17
    invoiced_object: Identifier | None = None  # BT-18
    accounting_reference: str = ""  # BT-19
    payment_terms: str = ""  # BT-20
    terms: tuple[PaymentTerm, ...] = ()  # where there is more to tell than BT-9 and BT-20
    references: tuple[Reference, ...] = ()  # where there is more to tell than BT-11 to BT-18
    notes: tuple[Note, ...] = ()  # BG-1
    process: str = ""  # BT-23, the French billing frame
    profile: str = ""  # BT-24
    preceding_invoices: tuple[Reference, ...] = ()  # BG-3
    seller: Party = Party()  # BG-4
    buyer: Party = Party()  # BG-7
    payee: Party | None = None  # BG-10
    tax_representative: Party | None = None  # BG-11
    # Roles of the French extension.
    seller_agent: Party | None = None
    buyer_agent: Party | None = None
    invoicer: Party | None = None
    invoicee: Party | None = None
    payer: Party | None = None
    ship_from: Party | None = None
    end_recipient: Party | None = None
    delivery: Delivery | None = None  # BG-13
    more_deliveries: tuple[Delivery, ...] = ()
    delivery_terms: DeliveryTerms | None = None
    period: Period | None = None  # BG-14
    payment_means: tuple[PaymentMeans, ...] = ()  # BG-16
    creditor_identifier: str = ""  # BT-90
    allowances_charges: tuple[AllowanceCharge, ...] = ()  # BG-20, BG-21
    total_lines: Decimal | None = None  # BT-106
    total_allowances: Decimal | None = None  # BT-107
    total_charges: Decimal | None = None  # BT-108
    total_without_vat: Decimal | None = None  # BT-109
    total_vat: Decimal | None = None  # BT-110
    total_vat_in_vat_currency: Decimal | None = None  # BT-111
    total_with_vat: Decimal | None = None  # BT-112
    prepaid: Decimal | None = None  # BT-113
    rounding: Decimal | None = None  # BT-114
    amount_due: Decimal | None = None  # BT-115
    vat_breakdown: tuple[VatBreakdown, ...] = ()  # BG-23
    prepayments: tuple[Prepayment, ...] = ()
    attachments: tuple[Attachment, ...] = ()  # BG-24 and, in Factur-X, the other files of the PDF
    lines: tuple[Line, ...] = ()  # BG-25
    warnings: tuple[str | Promise, ...] = ()  # translated when shown
    other_data: tuple[OtherData, ...] = ()
    envelope: str = ""  # in which the file had it, "" where the file is the invoice itself

    @property
    def instalments(self) -> tuple[PaymentTerm, ...]:
        """The parts the amount due is to be paid in, by their day; none where it is to be paid at once."""
        parts = [term for term in self.terms if term.is_instalment]
        return tuple(sorted(parts, key=lambda term: term.due_date or date.max)) if len(parts) > 1 else ()

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

from providers.companies import SIREN_SCHEME, SIRET_SCHEME, Company, Pair, identify

Syntax = Literal["ubl", "cii", "factur-x", "json"]


@dataclass(frozen=True, kw_only=True)
class Identifier:
    value: str
    scheme: str = ""


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

    @cached_property
    def company(self) -> Company:
        return identify(
            identifiers=self.numbers,
            scheme=self.electronic_address_scheme,
            address=self.electronic_address,
            vat_number=self.vat_number,
            country=self.address.country.upper() if self.address else "",
        )

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


@dataclass(frozen=True, kw_only=True)
class Reference:
    number: str
    issue_date: date | None = None
    type_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    name: str = ""
    location: Identifier | None = None
    address: Address | None = None
    delivered_on: date | None = None


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
    name: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    number: str = ""
    parent_number: str = ""  # sub-lines of the French extension
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
    price_discount: Decimal | None = None
    price_base_quantity: Decimal | None = None
    net_amount: Decimal | None = None
    vat_category: str = ""
    vat_rate: Decimal | None = None
    allowances_charges: tuple[AllowanceCharge, ...] = ()
    period: Period | None = None
    order_line: str = ""
    accounting_reference: str = ""
    invoiced_object: Identifier | None = None
    preceding_invoices: tuple[Reference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """`content` is None when the document only points to `url`, or when its bytes could not be decoded."""

    reference: str = ""
    description: str = ""
    filename: str = ""
    media_type: str = ""
    url: str = ""
    content: bytes | None = field(default=None, repr=False)


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
    delivery: Delivery | None = None  # BG-13
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
    attachments: tuple[Attachment, ...] = ()  # BG-24 and, in Factur-X, the other files of the PDF
    lines: tuple[Line, ...] = ()  # BG-25
    warnings: tuple[str | Promise, ...] = ()  # translated when shown

"""Invoices as hypothesis invents them: everything the model can hold, in the form in which each syntax can say it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import strategies as st

from providers.formats.en16931.labels import CREDIT_NOTE_TYPES, DOCUMENT_TYPES
from providers.formats.en16931.model import (
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

ALPHABET = st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" ")
words = st.text(ALPHABET, min_size=1, max_size=12).map(str.strip).filter(bool).filter(lambda text: "#" not in text)
maybe = st.one_of(st.just(""), words)
codes = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=6)
maybe_code = st.one_of(st.just(""), codes)
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
maybe_day = st.none() | days
numbers = st.decimals(-(10**9), 10**9, places=2)
maybe_number = st.none() | numbers
rates = st.none() | st.sampled_from([Decimal(rate) for rate in ("0.00", "2.10", "5.50", "10.00", "20.00")])
schemes = st.sampled_from(["0060", "0088", "0224"])
identifiers = st.builds(Identifier, value=words, scheme=st.one_of(st.just(""), schemes))
with_scheme = st.builds(Identifier, value=words, scheme=schemes)
countries = st.sampled_from(["", "FR", "DE", "BE"])

addresses = st.builds(
    Address,
    lines=st.lists(words, max_size=3).map(tuple),
    post_code=maybe,
    city=maybe,
    subdivision=maybe,
    country=countries,
).filter(lambda address: address != Address())
contacts = st.builds(Contact, name=maybe, phone=maybe, email=maybe).filter(lambda contact: contact != Contact())
periods = st.builds(Period, start=days, end=maybe_day)
notes = st.builds(Note, text=words, subject_code=st.sampled_from(["", "AAB", "PMD", "PMT"]))
references = st.builds(Reference, number=words, issue_date=maybe_day, type_code=st.sampled_from(["", "380", "386"]))


@st.composite
def parties(draw: st.DrawFn, *, is_named_only: bool = False) -> Party:
    siren = draw(st.sampled_from(["", "800112237", "905334413"]))
    siret = siren and draw(st.sampled_from(["", f"{siren}00014"]))
    others = draw(st.lists(identifiers, max_size=2, unique=True))
    everything = sorted(others, key=lambda item: bool(item.scheme))
    everything += [Identifier(value=siret, scheme="0009")] if siret else []
    everything += [Identifier(value=siren, scheme="0002")] if siren else []
    address = draw(maybe_code)
    return Party(
        name=draw(words),
        trading_name="" if is_named_only else draw(maybe),
        siren=siren,
        siret=siret,
        vat_number=draw(maybe_code),
        tax_registration=draw(maybe_code),
        legal_information="" if is_named_only else draw(maybe),
        electronic_address=address,
        electronic_address_scheme=draw(schemes) if address else "",
        identifiers=tuple(everything),
        address=draw(st.none() | addresses),
        contact=draw(st.none() | contacts),
    )


deliveries = st.builds(
    Delivery,
    name=maybe,
    location=st.none() | with_scheme,
    address=st.none() | addresses,
    delivered_on=maybe_day,
).filter(lambda delivery: delivery != Delivery())


@st.composite
def payment_means(draw: st.DrawFn) -> PaymentMeans:
    card = draw(maybe_code)
    iban = draw(st.sampled_from(["", "FR7630006000011234567890189", "12345"]))
    return PaymentMeans(
        code=draw(st.sampled_from(["30", "58", "59"])),
        text=draw(maybe),
        iban=iban,
        account_name=draw(maybe) if iban else "",
        bic=draw(maybe_code) if iban else "",
        card_number=card,
        card_holder=draw(maybe) if card else "",
        debited_account=draw(maybe_code),
    )


@st.composite
def all_payment_means(draw: st.DrawFn) -> tuple[PaymentMeans, ...]:
    """The reference and the mandate are one for all in CII."""
    reference, mandate = draw(maybe), draw(maybe)
    rows = draw(st.lists(payment_means(), max_size=2))
    return tuple(replace(row, payment_reference=reference, mandate_reference=mandate) for row in rows)


@st.composite
def allowances(draw: st.DrawFn) -> AllowanceCharge:
    category = draw(st.sampled_from(["", "S", "E"]))
    return AllowanceCharge(
        is_charge=draw(st.booleans()),
        amount=draw(numbers),
        base=draw(maybe_number),
        percentage=draw(maybe_number),
        reason=draw(maybe),
        reason_code=draw(maybe_code),
        vat_category=category,
        vat_rate=draw(rates) if category else None,
    )


vat_rows = st.builds(
    VatBreakdown,
    category=st.sampled_from(["S", "E", "AE"]),
    rate=rates,
    base=numbers,
    amount=numbers,
    exemption_reason=maybe,
    exemption_reason_code=maybe_code,
)


@st.composite
def attachments(draw: st.DrawFn) -> Attachment:
    content = draw(st.none() | st.binary(min_size=1, max_size=20))
    return Attachment(
        reference=draw(words),
        description=draw(maybe),
        filename=draw(codes) + ".pdf" if content else "",
        media_type="application/pdf" if content else "",
        url="" if content else "https://example.test/file",
        content=content,
    )


@st.composite
def lines(draw: st.DrawFn, number: int, *, syntax: str, parent: str = "") -> Line:
    category = draw(st.sampled_from(["", "S", "E"]))
    gross = draw(maybe_number)
    unit = draw(st.sampled_from(["C62", "HUR"]))
    return Line(
        number=f"{parent}.{number}" if parent else str(number),
        parent_number=parent,
        is_inside=syntax == "ubl" and bool(parent),
        notes=tuple(draw(st.lists(st.builds(Note, text=words), max_size=2))),
        name=draw(words),
        description=draw(maybe),
        seller_item=draw(maybe),
        buyer_item=draw(maybe),
        standard_item=draw(st.none() | with_scheme),
        classifications=tuple(draw(st.lists(with_scheme, max_size=2))),
        origin_country=draw(countries),
        properties=tuple(draw(st.lists(st.builds(ItemProperty, name=words, value=maybe), max_size=2))),
        quantity=draw(numbers),
        unit=unit,
        net_price=draw(numbers),
        gross_price=gross,
        price_discount=None if gross is None else draw(numbers),
        price_base_quantity=draw(st.none() | st.just(Decimal(100))),
        net_amount=draw(numbers),
        vat_category=category,
        vat_rate=draw(rates) if category else None,
        allowances_charges=tuple(draw(st.lists(allowances(), max_size=2))),
        period=draw(st.none() | periods),
        order_line=draw(maybe),
        accounting_reference=draw(maybe),
        invoiced_object=draw(st.none() | st.builds(Identifier, value=words, scheme=st.just("ABC"))),
        preceding_invoices=tuple(draw(st.lists(references, max_size=1))),
    )


@st.composite
def all_lines(draw: st.DrawFn, syntax: str) -> tuple[Line, ...]:
    """Each followed by its sub-lines."""
    found: list[Line] = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        found.append(draw(lines(number, syntax=syntax)))
        if draw(st.booleans()):
            found.append(draw(lines(1, syntax=syntax, parent=found[-1].number)))
    return tuple(found)


TAX_POINTS = {"ubl": ("", "3", "35", "432"), "cii": ("", "5", "29", "72")}


@st.composite
def documents(draw: st.DrawFn, syntax: str) -> ParsedInvoice:
    type_code = draw(st.sampled_from(sorted(DOCUMENT_TYPES)))
    is_credit_note = type_code in CREDIT_NOTE_TYPES
    message = "CrossIndustryInvoice" if syntax == "cii" else "CreditNote" if is_credit_note else "Invoice"
    means = draw(all_payment_means())
    rows = tuple(draw(st.lists(vat_rows, min_size=1, max_size=3)))
    vat_currency = draw(st.sampled_from(["", "EUR"]))
    order = draw(maybe)
    # UBL gives these two a place only inside a means of payment.
    due_on = None if syntax == "ubl" and is_credit_note and not means else draw(maybe_day)
    payer = None if syntax == "ubl" and not means else draw(st.none() | parties())
    return ParsedInvoice(
        syntax="ubl" if syntax == "ubl" else "cii",
        message=message,
        number=draw(codes),
        issue_date=draw(days),
        type_code=type_code,
        currency="USD",
        vat_currency=vat_currency,
        tax_point_date=draw(maybe_day),
        tax_point_code=draw(st.sampled_from(TAX_POINTS[syntax])),
        due_date=due_on,
        buyer_reference=draw(maybe),
        project_reference=draw(maybe),
        contract_reference=draw(maybe),
        order_reference=order,
        sales_order_reference=draw(maybe) if order else "",
        receiving_advice_reference=draw(maybe),
        despatch_advice_reference=draw(maybe),
        tender_reference=draw(maybe),
        invoiced_object=draw(st.none() | st.builds(Identifier, value=words, scheme=st.just("ABC"))),
        accounting_reference=draw(maybe),
        payment_terms=draw(maybe),
        notes=tuple(draw(st.lists(notes, max_size=3))),
        process=draw(maybe_code),
        profile="urn:cen.eu:en16931:2017",
        preceding_invoices=tuple(draw(st.lists(references, max_size=2))),
        seller=draw(parties()),
        buyer=draw(parties()),
        payee=draw(st.none() | parties(is_named_only=True)),
        tax_representative=draw(st.none() | parties(is_named_only=True)),
        seller_agent=draw(st.none() | parties()),
        buyer_agent=draw(st.none() | parties()),
        invoicer=draw(st.none() | parties()),
        invoicee=draw(st.none() | parties()),
        payer=payer,
        delivery=draw(st.none() | deliveries),
        period=draw(st.none() | periods),
        payment_means=means,
        creditor_identifier=draw(maybe),
        allowances_charges=tuple(draw(st.lists(allowances(), max_size=2))),
        total_lines=draw(maybe_number),
        total_allowances=draw(maybe_number),
        total_charges=draw(maybe_number),
        total_without_vat=draw(maybe_number),
        total_vat=draw(numbers),
        total_vat_in_vat_currency=draw(maybe_number) if vat_currency else None,
        total_with_vat=draw(maybe_number),
        prepaid=draw(maybe_number),
        rounding=draw(maybe_number),
        amount_due=draw(numbers),
        vat_breakdown=rows,
        attachments=tuple(draw(st.lists(attachments(), max_size=2))),
        lines=draw(all_lines(syntax)),
    )

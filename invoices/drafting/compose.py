"""From what stands in the form to the invoice it means, however incomplete, with its totals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from providers.formats.en16931.labels import CREDIT_NOTE_TYPES
from providers.formats.en16931.model import (
    Address,
    AllowanceCharge,
    Contact,
    Delivery,
    Identifier,
    Line,
    Note,
    ParsedInvoice,
    Party,
    PaymentMeans,
    Period,
    Reference,
    Syntax,
    VatBreakdown,
)
from providers.formats.en16931.totals import with_totals
from providers.norm.codes import SELF_BILLED_TYPES
from providers.norm.companies import ADDRESS_SCHEME, SIREN_SCHEME, SIRET_SCHEME

from ..models import AddressingLine
from .forms import DraftForm
from .tables import EXEMPTIONS, FACTORED_TYPES, PAID_FRAMES, read_vat

EN16931 = "urn:cen.eu:en16931:2017"
TRANSFERS = ("30", "58")
# UNTDID 5189 and 7161: a discount, and other services.
DISCOUNT, OTHER_CHARGE = "95", "ABK"


def compose(form: DraftForm, line: AddressingLine) -> ParsedInvoice:
    values = form.values
    type_code = values.get("type_code", "")
    own, other = own_party(values, line), other_party(values)
    self_billed = type_code in SELF_BILLED_TYPES
    currency = values.get("currency") or "EUR"
    foreign = currency != "EUR"
    lines = tuple(invoice_line(index, row) for index, row in enumerate(form.understood(form.lines), start=1))
    period = Period(start=values.get("period_start"), end=values.get("period_end"))
    document = ParsedInvoice(
        syntax=cast("Syntax", values.get("syntax") or "ubl"),
        message="CreditNote" if type_code in CREDIT_NOTE_TYPES else "Invoice",
        number=values.get("number", ""),
        issue_date=values.get("issue_date"),
        due_date=values.get("due_date"),
        type_code=type_code,
        currency=currency,
        vat_currency="EUR" if foreign else "",
        total_vat_in_vat_currency=values.get("vat_in_euro") if foreign else None,
        tax_point_code=values.get("tax_point_code", ""),
        process=values.get("process", ""),
        profile=EN16931,
        buyer_reference=values.get("buyer_reference", ""),
        order_reference=values.get("order_reference", ""),
        contract_reference=values.get("contract_reference", ""),
        period=period if period != Period() else None,
        delivery=Delivery(delivered_on=values["delivered_on"]) if values.get("delivered_on") else None,
        notes=tuple(notes(values)),
        preceding_invoices=tuple(
            Reference(number=row["number"], issue_date=row.get("issue_date"))
            for row in form.understood(form.references)
            if row.get("number")
        ),
        seller=other if self_billed else own,
        buyer=own if self_billed else other,
        payee=payee(values) if type_code in FACTORED_TYPES else None,
        payment_means=means(values),
        payment_terms=values.get("payment_terms", ""),
        allowances_charges=tuple(extra(row) for row in form.understood(form.extras) if is_told(row)),
        vat_breakdown=tuple(exemptions(values)),
        prepaid=values.get("prepaid"),
        rounding=values.get("rounding"),
        lines=lines,
    )
    return settled_if_paid(with_totals(document))


def settled_if_paid(document: ParsedInvoice) -> ParsedInvoice:
    """An invoice already paid (frames 2) has nothing left to pay (BR-FR-CO-09)."""
    if document.process not in PAID_FRAMES or document.prepaid is not None:
        return document
    return with_totals(replace(document, prepaid=document.total_with_vat))


def own_party(values: dict[str, Any], line: AddressingLine) -> Party:
    contact = Contact(
        name=values.get("own_contact", ""), phone=values.get("own_phone", ""), email=values.get("own_email", "")
    )
    siret = values.get("own_siret", "")
    return Party(
        name=values.get("own_name", ""),
        legal_information=values.get("own_legal", ""),
        siren=line.customer.siren,
        siret=siret,
        vat_number=values.get("own_vat_number", ""),
        electronic_address=line.identifier,
        electronic_address_scheme=ADDRESS_SCHEME,
        identifiers=identifiers(line.customer.siren, siret),
        address=address(values, "own"),
        contact=contact if contact != Contact() else None,
    )


def other_party(values: dict[str, Any]) -> Party:
    siren, siret = values.get("other_siren", ""), values.get("other_siret", "")
    electronic = values.get("other_address", "") or siren
    return Party(
        name=values.get("other_name", ""),
        siren=siren,
        siret=siret,
        vat_number=values.get("other_vat_number", ""),
        electronic_address=electronic,
        electronic_address_scheme=ADDRESS_SCHEME if electronic else "",
        identifiers=identifiers(siren, siret),
        address=address(values, "other"),
    )


def identifiers(siren: str, siret: str) -> tuple[Identifier, ...]:
    rows = [(siret, SIRET_SCHEME), (siren, SIREN_SCHEME)]
    return tuple(Identifier(value=value, scheme=scheme) for value, scheme in rows if value)


def address(values: dict[str, Any], whose: str) -> Address:
    streets = (values.get(f"{whose}_street", ""), values.get(f"{whose}_street2", ""))
    return Address(
        lines=tuple(street for street in streets if street),
        post_code=values.get(f"{whose}_post_code", ""),
        city=values.get(f"{whose}_city", ""),
        country=values.get(f"{whose}_country", ""),
    )


def payee(values: dict[str, Any]) -> Party | None:
    name, siren = values.get("payee_name", ""), values.get("payee_siren", "")
    return Party(name=name, siren=siren, identifiers=identifiers(siren, "")) if name else None


def means(values: dict[str, Any]) -> tuple[PaymentMeans, ...]:
    code = values.get("means", "")
    if not code:
        return ()
    is_transfer = code in TRANSFERS
    return (
        PaymentMeans(
            code=code,
            payment_reference=values.get("payment_reference", ""),
            iban="".join(values.get("iban", "").split()).upper() if is_transfer else "",
            bic=values.get("bic", "").upper() if is_transfer else "",
        ),
    )


def notes(values: dict[str, Any]) -> list[Note]:
    found = [
        Note(subject_code=code, text=values[f"note_{code}"])
        for code in ("PMT", "PMD", "AAB")
        if values.get(f"note_{code}")
    ]
    found += [Note(subject_code="BAR", text=values["treatment"])] if values.get("treatment") else []
    return found + ([Note(text=values["note"])] if values.get("note") else [])


def exemptions(values: dict[str, Any]) -> list[VatBreakdown]:
    """The reasons only; the arithmetic keeps them with their category."""
    reasons = {"E": (values.get("exemption_reason", ""), values.get("exemption_code", ""))} | EXEMPTIONS
    return [
        VatBreakdown(category=category, exemption_reason=reason, exemption_reason_code=code)
        for category, (reason, code) in reasons.items()
    ]


def invoice_line(number: int, row: dict[str, Any]) -> Line:
    category, rate = read_vat(row.get("vat", ""))
    discount = row.get("discount")
    allowance = AllowanceCharge(is_charge=False, percentage=discount, reason="Remise", reason_code=DISCOUNT)
    return Line(
        number=str(number),
        name=row.get("name", ""),
        description=row.get("description", ""),
        seller_item=row.get("seller_item", ""),
        quantity=row.get("quantity"),
        unit=row.get("unit") or "C62",
        net_price=row.get("price"),
        vat_category=category,
        vat_rate=rate,
        allowances_charges=(allowance,) if discount else (),
    )


def is_told(row: dict[str, Any]) -> bool:
    return row.get("percentage") is not None or row.get("amount") is not None


def extra(row: dict[str, Any]) -> AllowanceCharge:
    category, rate = read_vat(row.get("vat", ""))
    is_charge = row.get("kind") == "charge"
    return AllowanceCharge(
        is_charge=is_charge,
        percentage=row.get("percentage"),
        amount=row.get("amount") or Decimal(0),
        reason=row.get("reason", "") or ("Frais" if is_charge else "Remise"),
        reason_code=OTHER_CHARGE if is_charge else DISCOUNT,
        vat_category=category,
        vat_rate=rate,
    )

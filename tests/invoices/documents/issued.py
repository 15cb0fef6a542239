"""Invoices as our customers issue them: one of every kind and billing frame, complete but for their totals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from providers.formats.en16931.labels import CREDIT_NOTE_TYPES
from providers.formats.en16931.model import (
    Address,
    AllowanceCharge,
    Identifier,
    Line,
    Note,
    ParsedInvoice,
    Party,
    PaymentMeans,
    Period,
    Reference,
    VatBreakdown,
)
from providers.formats.en16931.totals import with_totals

NOTES = (
    Note(subject_code="PMT", text="Indemnité forfaitaire pour frais de recouvrement : 40 €."),
    Note(subject_code="PMD", text="Pénalités de retard : trois fois le taux d'intérêt légal."),
    Note(subject_code="AAB", text="Pas d'escompte pour paiement anticipé."),
    Note(subject_code="BAR", text="B2B"),
)
EARLIER = Reference(number="F-2026-0001", issue_date=date(2026, 9, 1))
CORRECTIVE = {"384", "471", "472", "473"}
SELF_BILLED = {"389", "501", "500", "471", "473", "261", "502"}
PAID = {"B2", "S2", "M2"}


def party(siren: str, name: str) -> Party:
    return Party(
        name=name,
        siren=siren,
        identifiers=(Identifier(value=siren, scheme="0002"),),
        vat_number=f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}",
        electronic_address=siren,
        electronic_address_scheme="0225",
        address=Address(lines=("1 rue de la Paix",), post_code="75002", city="Paris", country="FR"),
    )


SELLER, BUYER = party("800112237", "Atelier Dupont"), party("905334413", "Papeterie du Pont")


def make_line(**values: Any) -> Line:
    defaults: dict[str, Any] = {
        "number": "1",
        "name": "Réglage d'établi",
        "quantity": Decimal(3),
        "unit": "HUR",
        "net_price": Decimal("33.335"),
        "vat_category": "S",
        "vat_rate": Decimal("20.00"),
    }
    return Line(**(defaults | values))


def make_document(**values: Any) -> ParsedInvoice:
    type_code = values.get("type_code", "380")
    defaults: dict[str, Any] = {
        "syntax": "ubl",
        "message": "CreditNote" if type_code in CREDIT_NOTE_TYPES else "Invoice",
        "number": "F-2026-0042",
        "issue_date": date(2026, 11, 21),
        "due_date": date(2026, 12, 21),
        "type_code": type_code,
        "currency": "EUR",
        "process": "S1",
        "profile": "urn:cen.eu:en16931:2017",
        "tax_point_code": "432",
        "notes": NOTES,
        "seller": SELLER,
        "buyer": BUYER,
        "payment_means": (PaymentMeans(code="58", iban="FR7630006000011234567890189", bic="AGRIFRPP"),),
        "payment_terms": "À 30 jours",
        "lines": (make_line(),),
    }
    return with_totals(ParsedInvoice(**(defaults | values)))


def of_type(type_code: str) -> ParsedInvoice:
    """A valid document of a type, with the references it wants."""
    values: dict[str, Any] = {"type_code": type_code}
    if type_code in CORRECTIVE | CREDIT_NOTE_TYPES:
        values["preceding_invoices"] = (EARLIER,)
    if type_code == "262":
        values |= {
            "contract_reference": "CT-7",
            "period": Period(start=date(2026, 1, 1), end=date(2026, 10, 31)),
            "preceding_invoices": (),
        }
    return make_document(**values)


def of_frame(frame: str) -> ParsedInvoice:
    document = make_document(process=frame)
    if frame in PAID:
        # Already paid: nothing is due, and it fell due on the day of the payment.
        document = with_totals(replace(document, prepaid=document.total_with_vat, due_date=date(2026, 11, 20)))
    return document


def varied() -> Iterator[tuple[str, ParsedInvoice]]:
    """What makes arithmetic and categories hard."""
    many_rates = tuple(
        make_line(number=str(number), quantity=Decimal("1.5"), net_price=Decimal("10.333333"), vat_rate=Decimal(rate))
        for number, rate in enumerate(("20.00", "10.00", "5.50", "2.10", "20.00"), start=1)
    )
    yield "many rates", make_document(lines=many_rates)
    discounted = make_line(
        net_price=None, gross_price=Decimal(40), price_discount=Decimal("6.6667"), price_base_quantity=Decimal(1)
    )
    yield "price discount", make_document(lines=(discounted,))
    allowance = AllowanceCharge(is_charge=False, percentage=Decimal(10), reason="Remise fidélité", reason_code="95")
    charge = AllowanceCharge(is_charge=True, amount=Decimal("7.50"), reason="Port", reason_code="FC")
    with_vat = {"vat_category": "S", "vat_rate": Decimal("20.00")}
    yield (
        "allowances and charges",
        make_document(
            lines=(make_line(allowances_charges=(allowance, charge)),),
            allowances_charges=(replace(allowance, **with_vat), replace(charge, **with_vat)),
        ),
    )
    franchise = VatBreakdown(category="E", exemption_reason="TVA non applicable, art. 293 B du CGI")
    exempt = make_line(vat_category="E", vat_rate=Decimal("0.00"))
    yield "exempt", make_document(lines=(exempt,), vat_breakdown=(franchise,))
    reverse = VatBreakdown(category="AE", exemption_reason="Autoliquidation", exemption_reason_code="VATEX-EU-AE")
    reverse_line = make_line(vat_category="AE", vat_rate=Decimal("0.00"))
    yield "reverse charge", make_document(lines=(reverse_line,), vat_breakdown=(reverse,))
    yield (
        "foreign currency",
        make_document(currency="USD", vat_currency="EUR", total_vat_in_vat_currency=Decimal("18.40")),
    )
    yield "with SIRET", make_document(buyer=replace(BUYER, siret="90533441300012"))
    yield "rounded", make_document(rounding=Decimal("-0.01"), prepaid=Decimal("50.00"))

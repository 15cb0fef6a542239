"""What a new draft starts with: the customer's last one, or the invoice it credits, corrects or completes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

from django.utils import timezone

from providers.formats.en16931.model import Line, ParsedInvoice, Party
from providers.norm.codes import SELF_BILLED_TYPES

from ..models import AddressingLine, InvoiceDraft
from .compose import TRANSFERS
from .tables import CORRECTIVE_OF, CREDIT_NOTE_OF, FINAL_OF, LEGAL_NOTES, vat_choice

Data = dict[str, str]

USUAL_DAYS = 30
MILLIONTH = Decimal("0.000001")
# A tiny quantity makes a price of more digits than Python's usual 28.
MANY_DIGITS = Context(prec=80)
# What a customer writes on every invoice.
LASTING = (
    "syntax", "process", "tax_point_code", "currency", "own_name", "own_legal", "own_siret", "own_vat_number",
    "own_street", "own_street2", "own_post_code", "own_city", "own_country", "own_contact", "own_phone", "own_email",
    "means", "iban", "bic", "payment_terms", "note_PMT", "note_PMD", "note_AAB", "treatment",
    "exemption_reason", "exemption_code",
)  # fmt: skip


def blank(line: AddressingLine) -> Data:
    customer, today = line.customer, timezone.localdate()
    start: Data = {
        "type_code": "380",
        "process": "S1",
        "currency": "EUR",
        "issue_date": today.isoformat(),
        "due_date": (today + timedelta(days=USUAL_DAYS)).isoformat(),
        "own_name": customer.name,
        "own_vat_number": customer.vat_number,
        "own_country": "FR",
        "other_country": "FR",
        "means": "58",
        "treatment": "B2B",
        "lines-count": "1",
        "lines-0-unit": "C62",
        "lines-0-vat": "S:20",
    }
    start |= {f"note_{code}": text for code, text in LEGAL_NOTES.items()}
    last = InvoiceDraft.objects.filter(line__customer=customer).order_by("-updated_at").first()
    if last:
        start |= {name: last.data[name] for name in LASTING if last.data.get(name)}
    return start


KINDS = {"credit-note": (CREDIT_NOTE_OF, "381"), "corrective": (CORRECTIVE_OF, "384"), "final": (FINAL_OF, "")}


def following_type(type_code: str, kind: str) -> str:
    """The type of the invoice that follows one of this type; "" where none does."""
    table, usual = KINDS[kind]
    return table.get(type_code, usual)


def following(line: AddressingLine, document: ParsedInvoice, kind: str) -> Data:
    """A draft that refers to an invoice of ours: everything of it but its number and dates."""
    data = blank(line) | from_document(document)
    data |= {
        "type_code": following_type(document.type_code, kind),
        "references-count": "1",
        "references-0-number": document.number,
        "references-0-issue_date": document.issue_date.isoformat() if document.issue_date else "",
    }
    if kind == "final":
        # What the deposit has brought in is no longer due.
        letter = document.process[:1] or "S"
        data |= {"process": f"{letter}4", "prepaid": text(document.total_with_vat)}
        data = {key: value for key, value in data.items() if not key.startswith("lines-")}
        data |= {"lines-count": "1", "lines-0-unit": "C62", "lines-0-vat": "S:20"}
    return data


def from_document(document: ParsedInvoice) -> Data:
    self_billed = document.type_code in SELF_BILLED_TYPES
    own, other = (document.buyer, document.seller) if self_billed else (document.seller, document.buyer)
    data = party(own, "own") | party(other, "other")
    data |= {
        "process": document.process if document.process[1:2] in ("1", "5", "6", "7") else "S1",
        "currency": document.currency,
        "tax_point_code": {"5": "3", "29": "35", "72": "432"}.get(document.tax_point_code, document.tax_point_code),
        "order_reference": document.order_reference,
        "contract_reference": document.contract_reference,
        "buyer_reference": document.buyer_reference,
        "payment_terms": document.payment_terms,
        "own_legal": own.legal_information,
        "other_siren": other.company.siren,
        "other_address": other.electronic_address,
        "lines-count": str(len(document.lines)),
    }
    for code in LEGAL_NOTES:
        data |= {f"note_{code}": note.text for note in document.notes if note.subject_code == code}
    for row in document.vat_breakdown:
        if row.category == "E":
            data |= {"exemption_reason": row.exemption_reason, "exemption_code": row.exemption_reason_code}
    for means in document.payment_means[:1]:
        data |= {"means": means.code, "iban": means.iban if means.code in TRANSFERS else "", "bic": means.bic}
    for index, line in enumerate(document.lines):
        data |= {f"lines-{index}-{name}": value for name, value in line_data(line).items()}
    data |= extras(document)
    return {name: value for name, value in data.items() if value}


def extras(document: ParsedInvoice) -> Data:
    data = {"extras-count": str(len(document.allowances_charges))}
    for index, item in enumerate(document.allowances_charges):
        data |= {
            f"extras-{index}-kind": "charge" if item.is_charge else "allowance",
            f"extras-{index}-reason": item.reason,
            f"extras-{index}-percentage": text(item.percentage),
            f"extras-{index}-amount": "" if item.percentage is not None else text(item.amount),
            f"extras-{index}-vat": vat_choice(item.vat_category, item.vat_rate),
        }
    return data


def party(party: Party, whose: str) -> Data:
    address = party.address
    streets = address.lines if address else ()
    return {
        f"{whose}_name": party.name,
        f"{whose}_siret": party.company.siret,
        f"{whose}_vat_number": party.company.vat_number,
        f"{whose}_street": streets[0] if streets else "",
        f"{whose}_street2": ", ".join(streets[1:]),
        f"{whose}_post_code": address.post_code if address else "",
        f"{whose}_city": address.city if address else "",
        f"{whose}_country": address.country if address else "",
    }


def line_data(line: Line) -> Data:
    """The form knows one discount per line, in percent: what was reduced otherwise goes into the price."""
    percent = [item.percentage for item in line.allowances_charges if not item.is_charge and item.percentage]
    simple = len(percent) == len(line.allowances_charges) <= 1 and line.price_base_quantity in (None, 1)
    price, quantity = line.net_price, line.quantity
    if not simple and quantity and line.net_amount is not None:
        price = MANY_DIGITS.quantize(line.net_amount / quantity, MILLIONTH)
    return {
        "name": line.name,
        "description": line.description,
        "seller_item": line.seller_item,
        "quantity": text(quantity),
        "unit": line.unit,
        "price": text(price),
        "discount": text(percent[0]) if simple and percent else "",
        "vat": vat_choice(line.vat_category, line.vat_rate),
    }


def text(value: Any) -> str:
    return "" if value is None else f"{value:f}"

"""An invoice as EN 16931 JSON: the names of page "drafts", and where the stored copies are cut, names after UBL."""

import json
from typing import Any

from lxml import etree

from ...documents import Document, Party, read_document
from ...records import Invoice

NAMESPACE = "urn:oasis:names:specification:ubl:schema:xsd:"
NAMES = {"cac": f"{NAMESPACE}CommonAggregateComponents-2", "cbc": f"{NAMESPACE}CommonBasicComponents-2"}
TOTALS = {
    "line_extension_amount": "LineExtensionAmount",
    "tax_exclusive_amount": "TaxExclusiveAmount",
    "tax_inclusive_amount": "TaxInclusiveAmount",
    "prepaid_amount": "PrepaidAmount",
    "payable_amount": "PayableAmount",
}
HEADER = {
    "buyer_reference": "cbc:BuyerReference",
    "purchase_order_reference": "cac:OrderReference/cbc:ID",
    "business_process_type": "cbc:ProfileID",
    "specification_identifier": "cbc:CustomizationID",
    "payment_terms": "cac:PaymentTerms/cbc:Note",
}
LINE = {
    "line_id": "cbc:ID",
    "item_name": "cac:Item/cbc:Name",
    "item_description": "cac:Item/cbc:Description",
    "vat_category_code": "cac:Item/cac:ClassifiedTaxCategory/cbc:ID",
}
LINE_NUMBERS = {
    "item_net_price": "cac:Price/cbc:PriceAmount",
    "line_extension_amount": "cbc:LineExtensionAmount",
    "vat_rate": "cac:Item/cac:ClassifiedTaxCategory/cbc:Percent",
}


def shown(invoice: Invoice) -> dict[str, Any]:
    if invoice.content.lstrip().startswith(b"{"):  # issued from a draft: it was JSON all the time
        return draft_shown(invoice)
    document = invoice.document
    data: dict[str, Any] = {
        "invoice_number": document.number,
        "issue_date": document.issue_date,
        "type_code": document.type_code,
        "currency_code": document.currency,
        "due_date": document.due_date,
        "seller": _party(document.seller),
        "buyer": _party(document.buyer),
    }
    return data | (_details(invoice.content) if document.syntax == "UBL" else {})


def draft_shown(invoice: Invoice) -> dict[str, Any]:
    return json.loads(invoice.content) | {"invoice_number": invoice.document.number}


def _party(party: Party) -> dict[str, Any]:
    return {
        "name": party.name,
        "electronic_address": {"scheme_id": party.scheme or "0225", "value": party.address or party.siren},
        "legal_registration": {"scheme_id": "0002", "value": party.siren},
        "tax_registrations": [{"scheme_id": "0009", "value": party.siret}] if party.siret else [],
    }


def _details(content: bytes) -> dict[str, Any]:
    root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    totals = next(iter(_find(root, "cac:LegalMonetaryTotal")), root)
    return {
        **{name: _text(root, path) or None for name, path in HEADER.items()},
        **{name: _number(totals, f"cbc:{tag}") for name, tag in TOTALS.items()},
        "tax_total_amount": _number(root, "cac:TaxTotal/cbc:TaxAmount"),
        "note": [node.text for node in _find(root, "cbc:Note")],
        "vat_breakdown": [_vat(row) for row in _find(root, "cac:TaxTotal/cac:TaxSubtotal")],
        "invoice_lines": [_line(row) for row in _find(root, "cac:InvoiceLine | cac:CreditNoteLine")],
    }


def _vat(row: Any) -> dict[str, Any]:
    return {
        "category_code": _text(row, "cac:TaxCategory/cbc:ID"),
        "rate": _number(row, "cac:TaxCategory/cbc:Percent"),
        "taxable_amount": _number(row, "cbc:TaxableAmount"),
        "tax_amount": _number(row, "cbc:TaxAmount"),
    }


def _line(row: Any) -> dict[str, Any]:
    quantity = next(iter(_find(row, "cbc:InvoicedQuantity | cbc:CreditedQuantity")), None)
    return {
        **{name: _text(row, path) or None for name, path in LINE.items()},
        **{name: _number(row, path) for name, path in LINE_NUMBERS.items()},
        "invoiced_quantity": float(quantity.text) if quantity is not None else None,
        "unit_code": quantity.get("unitCode") if quantity is not None else None,
    }


def _find(node: Any, path: str) -> list[Any]:
    return node.xpath(path, namespaces=NAMES)


def _text(node: Any, path: str) -> str:
    found = _find(node, path)
    return (found[0].text or "").strip() if found else ""


def _number(node: Any, path: str) -> float | None:
    found = _text(node, path)
    return float(found) if found else None


def read_data(data: dict[str, Any], number: str) -> Document:
    """Of a draft, what the sandbox needs to route its invoice."""
    return Document(
        syntax="JSON",
        number=number,
        type_code=str(data.get("type_code", "")),
        issue_date=str(data.get("issue_date", "")),
        due_date=data.get("due_date"),
        currency=str(data.get("currency_code", "EUR")),
        seller=_read_party(data.get("seller")),
        buyer=_read_party(data.get("buyer")),
    )


def _read_party(party: Any) -> Party:
    if not isinstance(party, dict):
        return Party()
    address = party.get("electronic_address") or {}
    value = str(address.get("value", ""))
    siren = value[:9] if address.get("scheme_id") == "0225" else ""
    return Party(str(party.get("name", "")), siren, None, str(address.get("scheme_id", "")), value)


def read_file(content: bytes, name: str) -> Document:
    """Of a submitted file; a PDF is taken as it is. Raises NotAnInvoiceError."""
    if content.startswith(b"%PDF-"):
        return Document(syntax="Factur-X", number=name.rpartition(".")[0] or "?", type_code="380")
    return read_document(content)

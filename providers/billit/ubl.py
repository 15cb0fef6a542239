"""A UBL invoice as an order of Billit's, which writes the legal document anew from it.

So nothing may be lost that changes what is owed: that is refused. What an order has no field for is named.
Fields: pages "Extra Fields" and "Specific Content Requirements PA" of docs.billit.be, and its Swagger; November 2026.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.translation import gettext as _
from lxml import etree

from providers.contract.base import PermanentError, Unsupported
from providers.contract.http import safe_filename
from providers.formats.decimals import read_decimal
from providers.formats.xml import UnreadableDocument, Xml, read_binary, read_xml

from . import tables

SYNTAX = "urn:oasis:names:specification:ubl:schema:xsd:"
NAMESPACES = {"cbc": f"{SYNTAX}CommonBasicComponents-2", "cac": f"{SYNTAX}CommonAggregateComponents-2"}
TYPE_OF = {f"{{{SYNTAX}Invoice-2}}Invoice": "Invoice", f"{{{SYNTAX}CreditNote-2}}CreditNote": "CreditNote"}
CENT = Decimal("0.01")

# Elements that an order carries, or that Billit adds by itself (seller, sums, account). All others are named.
CARRIED = frozenset(
    {
        "UBLVersionID",
        "CustomizationID",
        "ProfileID",
        "ID",
        "IssueDate",
        "DueDate",
        "InvoiceTypeCode",
        "CreditNoteTypeCode",
    }
    | {"Note", "DocumentCurrencyCode", "OrderReference", "BillingReference", "AdditionalDocumentReference"}
    | {"AccountingSupplierParty", "AccountingCustomerParty", "PaymentMeans", "TaxTotal", "LegalMonetaryTotal"}
    | {"InvoiceLine", "CreditNoteLine"}
)
LINE_CARRIED = frozenset({"ID", "InvoicedQuantity", "CreditedQuantity", "LineExtensionAmount", "Item", "Price"})
QUANTITIES = ("InvoicedQuantity", "CreditedQuantity")


@dataclass(frozen=True)
class Written:
    """The order, and the elements of the invoice that have no place in it."""

    order: dict[str, Any]
    left_out: tuple[str, ...] = ()


def write_order(content: bytes, *, business_type_field: str) -> Written:
    """PermanentError where the file is no UBL or misses something, Unsupported where an order would say otherwise."""
    try:
        xml = read_xml(content)
    except UnreadableDocument as error:
        raise PermanentError(str(error)) from None
    root = xml.root
    order_type = TYPE_OF.get(root.tag)
    if order_type is None:
        raise Unsupported(_("Billit's orders are made from UBL invoices only."))
    _check_type(root, order_type)
    lines = [_line(node) for node in _all(root, f"cac:{order_type}Line")]
    _check_amounts(root, lines)
    order = {
        "OrderType": order_type,
        "OrderDirection": "Income",
        "OrderNumber": _needed(root, "cbc:ID"),
        "OrderDate": _needed(root, "cbc:IssueDate"),
        "ExpiryDate": _text(root, "cbc:DueDate") or _text(root, "cac:PaymentMeans/cbc:PaymentDueDate"),
        "Currency": _needed(root, "cbc:DocumentCurrencyCode"),
        business_type_field: _needed(root, "cbc:ProfileID"),
        "Reference": _text(root, "cac:OrderReference/cbc:ID"),
        "PaymentReference": _text(root, "cac:PaymentMeans/cbc:PaymentID"),
        "AboutInvoiceNumber": _text(root, "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"),
        "Comments": "\n".join(filter(None, (_of(node) for node in _all(root, "cbc:Note")))),
        "Customer": _customer(root),
        "OrderLines": lines,
        "Attachments": list(_attachments(xml)),
    }
    if order_type == "CreditNote" and not order["AboutInvoiceNumber"]:
        raise PermanentError(_("Billit wants a credit note to name its invoice, and this one names none."))
    return Written({name: value for name, value in order.items() if name and value}, tuple(_left_out(root)))


def _check_type(root: etree._Element, order_type: str) -> None:
    code = _text(root, f"cbc:{order_type}TypeCode")
    if code != tables.ORDER_TYPES[order_type]:
        raise Unsupported(
            _("Billit's orders know invoices (380) and credit notes (381), not %(code)s.") % {"code": code}
        )


# --- parties ----------------------------------------------------------------------------------------------------------


def _customer(root: etree._Element) -> dict[str, Any]:
    found = _all(root, "cac:AccountingCustomerParty/cac:Party")
    if not found:
        raise PermanentError(_("The invoice names no buyer."))
    party = found[0]
    address = _all(party, "cac:PostalAddress")
    customer = {
        "Name": _text(party, "cac:PartyLegalEntity/cbc:RegistrationName") or _text(party, "cac:PartyName/cbc:Name"),
        "PartyType": "Customer",
        "VATNumber": _text(party, "cac:PartyTaxScheme/cbc:CompanyID"),
        "Identifiers": list(_identifiers(party)),
        "Addresses": [_address(address[0])] if address else [],
    }
    return {name: value for name, value in customer.items() if value}


def _identifiers(party: etree._Element) -> Iterable[dict[str, str]]:
    for node in _all(party, "cac:PartyLegalEntity/cbc:CompanyID"):
        if node.get("schemeID") == "0002":
            yield {"IdentifierType": "SIREN", "Identifier": _of(node)}
    for node in _all(party, "cac:PartyIdentification/cbc:ID"):
        if node.get("schemeID") == "0009":
            yield {"IdentifierType": "SIRET", "Identifier": _of(node)}
    for node in _all(party, "cbc:EndpointID"):
        yield {"IdentifierType": "CTC", "Identifier": _french_address(node)}


def _french_address(node: etree._Element) -> str:
    address, scheme = _of(node), node.get("schemeID")
    if scheme != tables.ADDRESS_SCHEME:
        told = {"address": address, "scheme": scheme or "?"}
        raise Unsupported(_("The buyer's address %(address)s (%(scheme)s) is not of the French network (0225).") % told)
    if len(address) > tables.LONGEST_ADDRESS:
        sizes = {"length": len(address), "limit": tables.LONGEST_ADDRESS}
        raise PermanentError(_("The buyer's address has %(length)s characters; %(limit)s are allowed.") % sizes)
    return address


def _address(node: etree._Element) -> dict[str, str]:
    street = " ".join(filter(None, (_text(node, "cbc:StreetName"), _text(node, "cbc:AdditionalStreetName"))))
    address = {
        "AddressType": "InvoiceAddress",
        "Street": street,
        "Zipcode": _text(node, "cbc:PostalZone"),
        "City": _text(node, "cbc:CityName"),
        "CountryCode": _text(node, "cac:Country/cbc:IdentificationCode"),
    }
    return {name: value for name, value in address.items() if value}


# --- lines and sums ---------------------------------------------------------------------------------------------------


def _line(node: etree._Element) -> dict[str, Any]:
    number = _text(node, "cbc:ID")
    if _all(node, "cac:AllowanceCharge") or _all(node, "cac:Price/cac:AllowanceCharge"):
        raise Unsupported(
            _("Line %(line)s has an allowance or a charge: an order of Billit's has none.") % {"line": number}
        )
    category = _text(node, "cac:Item/cac:ClassifiedTaxCategory/cbc:ID")
    if category != "S":
        told = {"line": number, "category": category or "?"}
        raise Unsupported(_("Line %(line)s has VAT category %(category)s; only standard VAT (S) is carried.") % told)
    quantity = next((_all(node, f"cbc:{name}")[0] for name in QUANTITIES if _all(node, f"cbc:{name}")), None)
    line: dict[str, Any] = {
        "Quantity": _number(_of(quantity) if quantity is not None else "", number),
        "Unit": quantity.get("unitCode", "") if quantity is not None else "",
        "UnitPriceExcl": _price(node, number),
        "Description": _text(node, "cac:Item/cbc:Name"),
        "DescriptionExtended": _text(node, "cac:Item/cbc:Description"),
        "Reference": _text(node, "cac:Item/cac:SellersItemIdentification/cbc:ID"),
        "VATPercentage": _number(_text(node, "cac:Item/cac:ClassifiedTaxCategory/cbc:Percent"), number),
    }
    if _cents(line["Quantity"] * line["UnitPriceExcl"]) != _number(_text(node, "cbc:LineExtensionAmount"), number):
        raise Unsupported(_("The amount of line %(line)s is not its quantity times its price.") % {"line": number})
    return {name: value for name, value in line.items() if value != ""}


def _price(node: etree._Element, number: str) -> Decimal:
    price = _number(_text(node, "cac:Price/cbc:PriceAmount"), number)
    base = _number(_text(node, "cac:Price/cbc:BaseQuantity") or "1", number)
    if base <= 0:
        raise PermanentError(_("The price of line %(line)s is for no quantity.") % {"line": number})
    return price / base


def _check_amounts(root: etree._Element, lines: list[dict[str, Any]]) -> None:
    """Billit adds up by itself: what it will come to must be what the invoice says."""
    if _all(root, "cac:AllowanceCharge"):
        raise Unsupported(_("The invoice has allowances or charges: an order of Billit's has none."))
    if not lines:
        raise PermanentError(_("The invoice has no lines."))
    total = "cac:LegalMonetaryTotal/cbc:"
    rates = {line["VATPercentage"] for line in lines}
    bases = {
        rate: sum(_cents(line["Quantity"] * line["UnitPriceExcl"]) for line in lines if line["VATPercentage"] == rate)
        for rate in rates
    }
    without_vat = sum(bases.values(), Decimal(0))
    with_vat = without_vat + sum((_cents(base * rate / 100) for rate, base in bases.items()), Decimal(0))
    told = (
        _number(_text(root, f"{total}TaxExclusiveAmount"), ""),
        _number(_text(root, f"{total}TaxInclusiveAmount"), ""),
    )
    if told != (without_vat, with_vat):
        raise Unsupported(_("Billit would come to %(amount)s instead of the invoice's total.") % {"amount": with_vat})
    if _number(_text(root, f"{total}PayableAmount"), "") != with_vat:
        raise Unsupported(_("The invoice is paid in part or rounded: an order of Billit's cannot say so."))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _number(text: str, line: str) -> Decimal:
    number = read_decimal(text)
    if number is None:
        told = {"text": text, "line": line or "–"}
        raise PermanentError(_("“%(text)s” is no number (line %(line)s).") % told)
    return number


# --- the rest ---------------------------------------------------------------------------------------------------------


def _attachments(xml: Xml) -> Iterable[dict[str, str]]:
    path = "cac:AdditionalDocumentReference/cac:Attachment/cbc:EmbeddedDocumentBinaryObject"
    for node in _all(xml.root, path):
        try:
            content = read_binary(_of(node), xml.files)
        except ValueError:
            raise PermanentError(_("An attachment of the invoice is damaged.")) from None
        name = safe_filename(node.get("filename", "")) or "attachment"
        yield {"FileName": name, "FileContent": base64.b64encode(content).decode()}


def _left_out(root: etree._Element) -> Iterable[str]:
    names = [etree.QName(node).localname for node in root if isinstance(node.tag, str)]
    found = [name for name in names if name not in CARRIED]
    for path in ("cac:InvoiceLine", "cac:CreditNoteLine"):
        for line in _all(root, path):
            inside = (etree.QName(node).localname for node in line if isinstance(node.tag, str))
            found += [f"{path[4:]}/{name}" for name in inside if name not in LINE_CARRIED]
    return dict.fromkeys(found)


def _needed(root: etree._Element, path: str) -> str:
    text = _text(root, path)
    if not text:
        raise PermanentError(_("The invoice lacks %(name)s, which Billit needs.") % {"name": path.rpartition(":")[2]})
    return text


def _text(node: etree._Element, path: str) -> str:
    found = _all(node, path)
    return _of(found[0]) if found else ""


def _of(node: etree._Element) -> str:
    return (node.text or "").strip()


def _all(node: etree._Element, path: str) -> list[etree._Element]:
    return node.findall(path, NAMESPACES)

"""Reads of an invoice just what a platform needs to route it, and renders a plain PDF."""

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import cast

from lxml import etree

MAX_SIREN = 9
DOCUMENT_TYPE = re.compile(rb"<!DOCTYPE")
# Where a document type could hide from a search for its bytes.
OTHER_ENCODING = re.compile(rb"""\0|^\xfe\xff|^\xff\xfe|encoding\s*=\s*["'](?!(?:utf-8|us-ascii)["'])""", re.IGNORECASE)
CREDIT_NOTES = {"261", "262", "381", "396", "502", "503"}
ROOTS = {"Invoice": "UBL", "CreditNote": "UBL", "CrossIndustryInvoice": "CII"}


class NotAnInvoiceError(ValueError):
    """The bytes are not an invoice in a format we can read."""


@dataclass(frozen=True)
class Party:
    name: str = ""
    siren: str = ""
    siret: str | None = None
    scheme: str = ""
    address: str = ""


@dataclass(frozen=True)
class Document:
    syntax: str = ""
    number: str = ""
    type_code: str = ""
    issue_date: str = ""
    due_date: str | None = None
    currency: str = "EUR"
    seller: Party = field(default_factory=Party)
    buyer: Party = field(default_factory=Party)
    vat: tuple[tuple[Decimal, Decimal], ...] = ()  # (rate, amount with VAT) of each rate


# local names on the way down from the root; `A|B` is either name
UBL = {
    "number": "ID",
    "type_code": "InvoiceTypeCode|CreditNoteTypeCode",
    "issue_date": "IssueDate",
    "due_date": "DueDate",
    "currency": "DocumentCurrencyCode",
}
CII = {
    "number": "ExchangedDocument/ID",
    "type_code": "ExchangedDocument/TypeCode",
    "issue_date": "ExchangedDocument/IssueDateTime/DateTimeString",
    "due_date": "SupplyChainTradeTransaction/ApplicableHeaderTradeSettlement/SpecifiedTradePaymentTerms/DueDateDateTime"
    "/DateTimeString",
    "currency": "SupplyChainTradeTransaction/ApplicableHeaderTradeSettlement/InvoiceCurrencyCode",
}
UBL_PARTIES = {"seller": "AccountingSupplierParty/Party", "buyer": "AccountingCustomerParty/Party"}
CII_AGREEMENT = "SupplyChainTradeTransaction/ApplicableHeaderTradeAgreement/"
CII_PARTIES = {"seller": CII_AGREEMENT + "SellerTradeParty", "buyer": CII_AGREEMENT + "BuyerTradeParty"}


def _find(node: etree._Element, path: str) -> list[etree._Element]:
    steps = (" or ".join(f"local-name()='{name}'" for name in step.split("|")) for step in path.split("/"))
    return cast("list[etree._Element]", node.xpath("./" + "/".join(f"*[{step}]" for step in steps)))


def _text(node: etree._Element, path: str) -> str:
    found = _find(node, path)
    return (found[0].text or "").strip() if found else ""


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"\d{8}", text) else text


def _party(node: etree._Element | None, syntax: str) -> Party:
    if node is None:
        return Party()
    if syntax == "UBL":
        names = _text(node, "PartyLegalEntity/RegistrationName") or _text(node, "PartyName/Name")
        legal, endpoint = _find(node, "PartyLegalEntity/CompanyID"), _find(node, "EndpointID")
        others = _find(node, "PartyIdentification/ID")
    else:
        names = _text(node, "Name")
        legal = _find(node, "SpecifiedLegalOrganization/ID")
        endpoint, others = _find(node, "URIUniversalCommunication/URIID"), _find(node, "GlobalID")
    siret = next((other.text for other in others if other.get("schemeID") == "0009"), None)
    return Party(
        name=names,
        siren=re.sub(r"\D", "", legal[0].text or "")[:MAX_SIREN] if legal else "",
        siret=siret,
        scheme=endpoint[0].get("schemeID", "") if endpoint else "",
        address=(endpoint[0].text or "").strip() if endpoint else "",
    )


def _vat(root: etree._Element) -> tuple[tuple[Decimal, Decimal], ...]:
    rows = []
    for row in _find(root, "TaxTotal/TaxSubtotal"):
        amounts = _text(row, "TaxCategory/Percent") or "0", _text(row, "TaxableAmount"), _text(row, "TaxAmount")
        try:
            rate, base, vat = (Decimal(amount) for amount in amounts)
        except InvalidOperation:
            continue
        rows.append((rate, base + vat))
    return tuple(rows)


def read_document(content: bytes) -> Document:
    """Raises NotAnInvoiceError; a field that is missing stays empty, the platform decides whether it minds."""
    # Embedded files may be larger than the 10 MB libxml2 takes else; what it guards against needs a document type.
    is_plain = not DOCUMENT_TYPE.search(content) and not OTHER_ENCODING.search(content[:200])
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=is_plain)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotAnInvoiceError(f"The file is not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotAnInvoiceError("The file declares a document type, which is not accepted.")
    syntax = ROOTS.get(etree.QName(root).localname)
    if syntax is None:
        raise NotAnInvoiceError(f"The file is a {etree.QName(root).localname}, not an invoice.")
    paths, parties = (UBL, UBL_PARTIES) if syntax == "UBL" else (CII, CII_PARTIES)
    fields = {name: _text(root, path) for name, path in paths.items()}
    found = {side: next(iter(_find(root, path)), None) for side, path in parties.items()}
    return Document(
        syntax=syntax,
        number=fields["number"],
        type_code=fields["type_code"],
        issue_date=_date(fields["issue_date"]),
        due_date=_date(fields["due_date"] or _text(root, "PaymentMeans/PaymentDueDate")) or None,
        currency=fields["currency"] or "EUR",
        seller=_party(found["seller"], syntax),
        buyer=_party(found["buyer"], syntax),
        vat=_vat(root) if syntax == "UBL" else (),
    )


def render_readable(document: Document) -> bytes:
    """What a platform shows people of an invoice."""
    kind = "Avoir" if document.type_code in CREDIT_NOTES else "Facture"
    total = sum((amount for _rate, amount in document.vat), Decimal(0))
    lines = [f"{kind} n° {document.number}", "", f"Émise le : {_shown_day(document.issue_date)}"]
    if document.due_date:
        lines.append(f"À régler avant le : {_shown_day(document.due_date)}")
    for label, party in (("Vendeur", document.seller), ("Acheteur", document.buyer)):
        lines += ["", f"{label} : {party.name}", f"SIREN : {party.siren}"]
    rows = [f"TVA {_shown(rate)} % : {_shown(amount, 2)} {document.currency} TTC" for rate, amount in document.vat]
    if rows:
        lines += ["", *rows, f"Total TTC : {_shown(total, 2)} {document.currency}"]
    return render_pdf(lines)


def _shown(number: Decimal, decimals: int = 0) -> str:
    text = f"{number:,.{decimals}f}" if decimals else f"{number.normalize():f}"
    return text.replace(",", "\N{NO-BREAK SPACE}").replace(".", ",")


def _shown_day(day: str) -> str:
    return "/".join(reversed(day.split("-")))


def render_pdf(lines: list[str]) -> bytes:
    """One page of Helvetica: enough to be a real PDF file with the invoice's data on it."""
    shown = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines]
    page = "BT /F1 12 Tf 16 TL 60 780 Td " + " ".join(f"({line}) Tj T*" for line in shown) + " ET"
    stream = page.encode("cp1252", "replace")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font 6 0 R >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /F1 5 0 R >>",
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)

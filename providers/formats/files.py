"""What kind of invoice a file is, by its first bytes: names and media types lie."""

from __future__ import annotations

from .xml import first_tag, root_name

INVOICE_ROOTS = frozenset({"Invoice", "CreditNote", "CrossIndustryInvoice"})
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
CII = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:"
MEDIA_TYPES = {
    "ubl": "application/xml",
    "cii": "application/xml",
    "facturx": "application/pdf",
    "json": "application/json",
}


def find_format(content: bytes) -> str:
    """`ubl`, `cii`, `facturx`, `json`, or "" for a file that is none of them."""
    start = content[:8192]
    if start.lstrip().startswith(b"%PDF-"):
        return "facturx"
    if start.lstrip().startswith(b"{"):
        return "json"
    tag = first_tag(content) if root_name(content) in INVOICE_ROOTS else ""
    return "ubl" if UBL in tag else "cii" if CII in tag else ""

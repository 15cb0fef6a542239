"""What kind of invoice a file is, by its first bytes: names and media types lie."""

from __future__ import annotations

UBL = b"urn:oasis:names:specification:ubl:schema:xsd:"
CII = b"urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:"
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
    root = start.partition(b"<")[2]
    if not root:
        return ""
    return "ubl" if UBL in root else "cii" if CII in root else ""

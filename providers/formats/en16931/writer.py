"""From an invoice to bytes, the inverse of reader.py."""

from .cii_writer import write_cii
from .facturx_writer import write_facturx
from .model import ParsedInvoice, Syntax
from .ubl_writer import write_ubl

EXTENSIONS: dict[Syntax, str] = {"ubl": "xml", "cii": "xml", "factur-x": "pdf"}


def write_invoice(document: ParsedInvoice, syntax: Syntax, *, language: str = "fr") -> bytes:
    """The invoice as UBL 2.1, CII D22B or Factur-X. What it does not say is not written; nothing is checked here.

    `language` is that of the pages of a Factur-X file.
    """
    if syntax == "factur-x":
        return write_facturx(document, language)
    return write_ubl(document) if syntax == "ubl" else write_cii(document)

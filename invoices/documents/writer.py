"""From an invoice to bytes, the inverse of reader.py."""

from collections.abc import Callable

from .cii_writer import write_cii
from .model import ParsedInvoice
from .ubl_writer import write_ubl

WRITERS: dict[str, Callable[[ParsedInvoice], bytes]] = {"ubl": write_ubl, "cii": write_cii}


def write_xml(document: ParsedInvoice, syntax: str) -> bytes:
    """The invoice as UBL 2.1 or CII D22B. What the document does not say is not written; nothing is checked here."""
    return WRITERS[syntax](document)

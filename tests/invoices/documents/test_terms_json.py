"""EN 16931 as JSON: read leniently, shown and checked like any other invoice."""

import json
from datetime import date
from decimal import Decimal

import pytest

from invoices.validation.runner import validate
from providers.formats import json_terms
from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import open_invoice, read_invoice
from providers.formats.xml import UnreadableDocument
from tests.providers.seqino.samples import OURS, THEIRS, make_data, make_party


def read(**changes):
    return read_invoice(json.dumps(make_data(**changes)).encode())


def test_header_parties_and_totals():
    invoice = read()
    assert (invoice.syntax, invoice.number, invoice.type_code, invoice.currency) == (
        "json", "F-2026-0042", "380", "EUR",
    )  # fmt: skip
    assert (invoice.issue_date, invoice.due_date) == (date(2026, 10, 4), date(2026, 11, 3))
    assert (invoice.process, invoice.order_reference) == ("B1", "C-17")
    assert (invoice.seller.siren, invoice.buyer.electronic_address) == (THEIRS, OURS)
    assert (invoice.buyer.address.city, invoice.buyer.address.lines) == ("Paris", ("1 place du Marché",))
    assert (invoice.total_without_vat, invoice.total_vat, invoice.total_with_vat, invoice.amount_due) == (
        Decimal(1000), Decimal(200), Decimal(1200), Decimal(1200),
    )  # fmt: skip
    assert invoice.warnings == ()


def test_lines_and_vat():
    invoice = read()
    (line,), (vat,) = invoice.lines, invoice.vat_breakdown
    assert (line.number, line.name, line.quantity, line.unit, line.net_price) == (
        "1", "Papier", Decimal(10), "XBX", Decimal(100),
    )  # fmt: skip
    assert (line.net_amount, line.vat_category, line.vat_rate) == (Decimal(1000), "S", Decimal(20))
    assert (vat.category, vat.rate, vat.base, vat.amount) == ("S", Decimal(20), Decimal(1000), Decimal(200))


def test_other_names_and_groups():
    invoice = read(
        invoice_number=None,
        number="F-7",
        tax_inclusive_amount=None,
        document_totals={"total_with_vat": "1200.00"},
        notes=["Merci", {"subject_code": "PMT", "text": "40 euros"}],
        preceding_invoice_reference={"number": "F-1", "issue_date": "2026-01-01"},
        lines=None,
        invoice_lines=[
            {"id": 1, "item": {"name": "Papier"}, "price": {"price_amount": "3.5"},
             "quantity": {"value": 2, "unit_code": "C62"}, "tax": {"category_code": "S", "percent": 5.5}},
        ],
    )  # fmt: skip
    (line,) = invoice.lines
    assert (invoice.number, invoice.total_with_vat) == ("F-7", Decimal("1200.00"))
    assert [(note.subject_code, note.text) for note in invoice.notes] == [("", "Merci"), ("PMT", "40 euros")]
    assert [(each.number, each.issue_date) for each in invoice.preceding_invoices] == [("F-1", date(2026, 1, 1))]
    assert (line.name, line.net_price, line.quantity, line.unit) == ("Papier", Decimal("3.5"), Decimal(2), "C62")
    assert (line.vat_category, line.vat_rate) == ("S", Decimal("5.5"))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (0.1 + 0.2, Decimal("0.3")),
        ("12.50", Decimal("12.50")),
        ({"amount": 3, "currency": "EUR"}, Decimal(3)),
        ({"value": "4"}, Decimal(4)),
        (-7, Decimal(-7)),
        (1e-30, Decimal(0)),
        (1e20, None),
        ("1e999999", None),
        (float("inf"), None),
        ("NaN", None),
        (True, None),
        (None, None),
        ([], None),
        ("12,50", None),
    ],
)
def test_numbers(written, found):
    assert json_terms.number(written) == found


def test_poor_invoice_is_read_with_warnings():
    party = make_party(OURS, "x")
    invoice = read_invoice(json.dumps({"seller": party, "buyer": party, "invoice_lines": 7, "notes": {}}).encode())
    assert (invoice.lines, len(invoice.warnings)) == ((), 7)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "not_well_formed"),
        (b"{}x", "not_well_formed"),
        (b"{" * 100_000, "not_well_formed"),
        (b"{}", "not_an_invoice"),
        (b'{"seller": {"name": "x"}}', "not_an_invoice"),
        (b'{"seller": "x", "buyer": "y"}', "not_an_invoice"),
        (b' \n\t{"error": "Invoice not found", "code": 404}', "not_an_invoice"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_other_json_is_no_invoice(content, code):
    with pytest.raises(UnreadableDocument) as caught:
        read_invoice(content)
    assert caught.value.code == code


def test_what_has_no_name_of_ours_is_shown_as_it_stands():
    data = make_data()
    assert read().other_data == ()
    name = next(name for name in ("invoice_lines", "lines") if name in data)
    lines = [{**data[name][0], "carbon_footprint": 12.5}]
    invoice = read(**{"loyalty": {"points": 10, "card": None}, "delivered": False, name: lines})
    assert sorted((each.line, each.place.rpartition("/")[2], each.value) for each in invoice.other_data) == [
        ("", "delivered", "False"), ("", "points", "10"), ("1", "carbon_footprint", "12.5"),
    ]  # fmt: skip
    assert "carbon_footprint" in render_readable(invoice)


def test_byte_order_mark_is_no_hindrance():
    assert read_invoice(b"\xef\xbb\xbf" + json.dumps(make_data()).encode()).number == "F-2026-0042"


def test_it_is_shown_as_any_other():
    page = render_readable(read(), attachment_url=lambda index, attachment: "")
    assert all(words in page for words in ("F-2026-0042", "Papeterie du Pont", "Papier"))


def test_it_is_checked_by_the_official_rules():
    notes = [{"subject_code": code, "text": "Mention légale"} for code in ("PMT", "PMD", "AAB")]
    whole = make_data(specification_identifier="urn:cen.eu:en16931:2017", note=notes)
    lawful, unlawful = (validate(json.dumps(data).encode()) for data in (whole, whole | {"note": None}))
    assert (lawful.outcome, lawful.syntax, len(lawful.checked) > 1) == ("valid", "json", True)
    assert {finding.rule[:8] for finding in unlawful.findings} == {"BR-FR-05"}


def test_its_rules_are_those_of_ubl():
    opened = open_invoice(json.dumps(make_data()).encode())
    assert (opened.syntax, opened.checked_as, opened.root.tag) == (
        "json", "ubl", "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice",
    )  # fmt: skip

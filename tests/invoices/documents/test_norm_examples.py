"""Every value of the norm's example table, beside the checkout; absent on a user's machine."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.dateparse import parse_date

from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import read_invoice

FOLDER = Path(settings.BASE_DIR).parent / "shared" / "norm" / "invoices"
TABLE = FOLDER / "expected.csv"
pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="the norm's examples (../shared) are not on this machine")
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())) if TABLE.exists() else []
SYNTAXES = {".ubl.xml": "ubl", ".cii.xml": "cii", ".facturx.pdf": "factur-x"}
TEXTS = {"number_bt1": "number", "type_bt3": "type_code", "process_bt23": "process", "profile_bt24": "profile"}
AMOUNTS = {
    "total_excl_vat_bt109": "total_without_vat",
    "total_vat_bt110": "total_vat",
    "total_incl_vat_bt112": "total_with_vat",
    "payable_bt115": "amount_due",
}


def expected_breakdown(row):
    for part in row["vat_breakdown_cat:rate:base:vat"].split(";"):
        category, *numbers = part.split(":")
        yield (category, *map(Decimal, numbers))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_example_is_read_as_the_table_says(row):
    invoice = read_invoice((FOLDER / row["file"]).read_bytes())

    assert {column: getattr(invoice, name) for column, name in TEXTS.items()} == {name: row[name] for name in TEXTS}
    assert {column: getattr(invoice, name) for column, name in AMOUNTS.items()} == {
        name: Decimal(row[name]) for name in AMOUNTS
    }
    day = row["date_bt2"]
    assert invoice.issue_date == parse_date(f"{day[:4]}-{day[4:6]}-{day[6:]}")
    assert invoice.currency == row["currency_bt5"]
    assert (invoice.seller.siren, invoice.buyer.siren) == (row["seller_siren_bt30"], row["buyer_siren_bt47"])
    assert [(v.category, v.rate, v.base, v.amount) for v in invoice.vat_breakdown] == list(expected_breakdown(row))
    assert next((r.number for r in invoice.preceding_invoices), "") == row["previous_invoice_bt25"]
    assert invoice.message == row["message"].removesuffix(" in PDF")
    assert invoice.syntax == next(s for ending, s in SYNTAXES.items() if row["file"].endswith(ending))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_example_is_shown_with_its_number(row):
    html = render_readable(read_invoice((FOLDER / row["file"]).read_bytes()))

    assert html.count(f'<span class="doc-number">{row["number_bt1"]}</span>') == 1

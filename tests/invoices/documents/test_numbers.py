"""Numbers of an invoice: kept as written, shown whole; what is none is named with the element that is there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils.translation import override

from invoices.drafting.prefill import line_data
from invoices.models import Invoice
from invoices.register.services import describe
from providers.formats.en16931.pdf import render_pdf
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.wording import as_number
from tests.invoices.odd_files import CII, SAMPLES, UBL

CREDIT_NOTE = (SAMPLES / "credit-note.ubl.xml").read_text(encoding="utf-8")
THIRD = "83.333333333333333"


def warnings_of(text: str) -> list[str]:
    with override("en"):
        return [str(warning) for warning in read_invoice(text.encode()).warnings]


@pytest.mark.parametrize(("source", "quantity"), [(UBL, ">10<"), (CREDIT_NOTE, ">10<"), (CII, ">4<")])
def test_quantity_with_many_decimals_is_a_number(source: str, quantity: str) -> None:
    assert quantity in source
    invoice = read_invoice(source.replace(quantity, f">{THIRD}<", 1).encode())

    assert (invoice.lines[0].quantity, invoice.warnings) == (Decimal(THIRD), ())
    assert as_number(invoice.lines[0].quantity) == "83,333333333333333"
    assert render_pdf(invoice, "fr").startswith(b"%PDF-")


WRONG = ["NaN", "INF", "1 234,56", "1,234.56", "1E+999999999", "-"]
NAMES = [
    (UBL, ">10<", "cbc:InvoicedQuantity"),
    (CREDIT_NOTE, ">10<", "cbc:CreditedQuantity"),
    (CII, ">4<", "ram:BilledQuantity"),
    (UBL, ">123.45<", "cbc:PriceAmount"),
]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(("source", "old", "name"), NAMES, ids=[name for _source, _old, name in NAMES])
def test_what_is_no_number_is_named_with_its_element(source: str, old: str, name: str, value: str) -> None:
    assert warnings_of(source.replace(old, f">{value}<", 1)) == [
        f"“{value}” is not a number and was left out ({name})."
    ]


def test_number_beyond_any_invoice_is_called_that() -> None:
    assert warnings_of(UBL.replace(">10<", f">{'9' * 19}<", 1)) == [
        f"“{'9' * 19}” is larger than any number of an invoice and was left out (cbc:InvoicedQuantity)."
    ]


@pytest.mark.parametrize(
    ("source", "old", "name"),
    [(UBL, ">1481.40</cbc:TaxI", "cbc:TaxInclusiveAmount"), (CII, "</ram:GrandTotalAmount", "ram:GrandTotalAmount")],
    ids=["UBL", "CII"],
)
def test_amount_finer_than_cents_is_kept_and_named(source: str, old: str, name: str) -> None:
    total = read_invoice(source.encode()).total_with_vat
    text = source.replace(old, old.replace(">1481.40<", ">1481.404<").replace("</ram", "4</ram"), 1)

    invoice = Invoice()
    describe(invoice, read_invoice(text.encode()), "")
    assert read_invoice(text.encode()).total_with_vat == total + Decimal("0.004")
    assert warnings_of(text) == [
        f"“{total}4” has more than two decimals ({name}). It is kept as written; lists show it rounded to cents."
    ]


def test_amount_beyond_its_column_is_left_out_of_it() -> None:
    invoice = Invoice()
    with override("en"):
        describe(invoice, read_invoice(UBL.replace(">1481.40<", f">{'9' * 17}<").encode()), "")

    assert (invoice.total_with_vat, invoice.total_vat) == (None, Decimal("246.90"))
    assert invoice.warnings == ["The amounts of the invoice are too large to be true."]


def test_price_of_a_tiny_quantity_is_reckoned() -> None:
    """What a draft takes over from an invoice with a price per other quantity."""
    base = "</cbc:PriceAmount><cbc:BaseQuantity>5</cbc:BaseQuantity>"
    text = UBL.replace(">10<", f">0.{'0' * 27}1<").replace("</cbc:PriceAmount>", base)
    line = read_invoice(text.encode()).lines[0]

    assert line.price_base_quantity == 5
    assert line_data(line)["price"].startswith("12345")

"""Arithmetic to the cent."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.en16931.model import AllowanceCharge, Line
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.totals import CENT, Difference, differences, rounded, with_totals

from .issued import make_document, make_line, varied


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.005", "1.01"), ("1.004999", "1.00"), ("-1.005", "-1.01"), ("2.675", "2.68"), ("0", "0.00")],
)
def test_half_a_cent_is_rounded_away_from_zero(value: str, expected: str) -> None:
    assert str(rounded(Decimal(value))) == expected


def test_vat_is_rounded_once_per_rate_not_per_line() -> None:
    lines = tuple(make_line(number=str(n), quantity=Decimal(1), net_price=Decimal("0.12")) for n in (1, 2, 3))
    document = make_document(lines=lines)
    # Three lines of 0.024 each would make 0.06.
    assert (document.total_without_vat, document.total_vat) == (Decimal("0.36"), Decimal("0.07"))


def test_line_with_base_quantity_and_discount_is_rounded_once() -> None:
    line = make_line(
        net_price=None,
        gross_price=Decimal("10.00"),
        price_discount=Decimal("0.3333"),
        price_base_quantity=Decimal(3),
        quantity=Decimal(7),
    )
    document = make_document(lines=(line,))
    assert document.lines[0].net_price == Decimal("9.6667")
    assert document.lines[0].net_amount == Decimal("22.56")


def test_percentage_allowance_of_the_whole_takes_the_sum_of_lines_as_base() -> None:
    allowance = AllowanceCharge(
        is_charge=False, percentage=Decimal(10), reason="Remise", vat_category="S", vat_rate=Decimal("20.00")
    )
    document = make_document(allowances_charges=(allowance,))
    assert document.allowances_charges[0].base == Decimal("100.01")
    assert document.total_allowances == Decimal("10.00")
    assert document.total_without_vat == Decimal("90.01")
    assert document.vat_breakdown[0].amount == Decimal("18.00")


def test_rates_that_only_differ_in_writing_are_one() -> None:
    lines = (make_line(vat_rate=Decimal(20)), make_line(number="2", vat_rate=Decimal("20.00")))
    assert [row.rate for row in make_document(lines=lines).vat_breakdown] == [Decimal("20.00")]


def test_sub_line_is_not_counted_twice() -> None:
    lines = (make_line(), make_line(number="1.1", parent_number="1", is_inside=True))
    assert make_document(lines=lines).total_without_vat == Decimal("100.01")


def test_prepaid_and_rounding_change_only_what_is_due() -> None:
    document = make_document(prepaid=Decimal("20.01"), rounding=Decimal("0.01"))
    assert (document.total_with_vat, document.amount_due) == (Decimal("120.01"), Decimal("100.01"))


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in varied()])
def test_reckoned_document_has_no_difference(document: object) -> None:
    assert differences(document) == []  # type: ignore[arg-type]


def test_stated_total_off_by_a_cent_is_told() -> None:
    document = make_document()
    wrong = replace(document, total_vat=Decimal("20.01"))
    assert differences(wrong) == [Difference("BT-110", Decimal("20.01"), Decimal("20.00"))]


def test_wrong_vat_of_a_rate_is_told_with_the_rate() -> None:
    document = make_document()
    row = replace(document.vat_breakdown[0], amount=Decimal("19.99"))
    wrong = replace(document, vat_breakdown=(row,))
    assert differences(wrong) == [Difference("BT-117", Decimal("19.99"), Decimal("20.00"), "S 20.00")]


amounts = st.decimals(Decimal(-9999), Decimal(9999), places=4)
rates = st.sampled_from([Decimal(rate) for rate in ("0", "2.10", "5.50", "8.5", "10", "20")])
any_line = st.builds(
    Line, number=st.just("1"), quantity=amounts, net_price=amounts, vat_category=st.just("S"), vat_rate=rates
)


@given(st.lists(any_line, min_size=1, max_size=8))
def test_totals_always_add_up(lines: list[Line]) -> None:
    document = with_totals(make_document(lines=tuple(lines)))
    assert document.total_without_vat == sum(line.net_amount or 0 for line in document.lines)
    assert document.total_without_vat == sum(row.base or 0 for row in document.vat_breakdown)
    assert document.total_vat == sum(row.amount or 0 for row in document.vat_breakdown)
    assert document.total_with_vat == (document.total_without_vat or 0) + (document.total_vat or 0)
    assert with_totals(document) == document
    # The tolerance of BR-CO-17 is never needed.
    for row in document.vat_breakdown:
        assert abs((row.base or 0) * (row.rate or 0) / 100 - (row.amount or 0)) <= CENT / 2


def test_official_examples_add_up_or_are_told_apart(norm) -> None:
    """All to the cent, but for the one with a wrong total and the one that takes 10 % under the name of 19."""
    wrong = set()
    with (norm / "invoices" / "expected.csv").open() as table:
        for row in csv.DictReader(table):
            document = read_invoice((norm / "invoices" / row["file"]).read_bytes())
            if differences(document):
                wrong.add(row["file"])
    assert wrong == {"invalid/own_total_ttc_faux.cii.xml", "invalid/own_taux_19.ubl.xml"}

"""Other people's numbers: everything that is one is kept, nothing that looks like one hangs or crashes."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.decimals import DECIMALS, INTEGER_DIGITS, decimals_of, read_decimal

READ = {
    "quantity of a third": ("83.333333333333333", "83.333333333333333"),
    "as written": ("12.50", "12.50"),
    "sign and no zero": ("+.5", "0.5"),
    "point and no decimal": ("5.", "5"),
    "leading zeros": ("0" * 60 + "12.50", "12.50"),
    "largest": ("9" * INTEGER_DIGITS, "9" * INTEGER_DIGITS),
    "more decimals than are kept": ("0." + "3" * 60, "0." + "3" * DECIMALS),
    "JSON integer": (7, "7"),
    "binary fraction": (0.1 + 0.2, "0.3"),
    "JSON exponent": (1e3, "1000"),
    "vanishing": (1e-300, "0"),
    "zero with a huge exponent": (Decimal("0E+999999999"), "0"),
}
REFUSED = [
    "NaN", "INF", "-Infinity", "1 234,56", "1,234.56", "12,50", "1E3", "1E+999999999", "--1", "1.2.3", ".", "-", "",
    "€5", "١٢", "0x10", "1_000", "1" + "0" * INTEGER_DIGITS, "9" * 10_000, "0." + "1" * 10_000,
    None, [], {}, True, float("nan"), float("inf"), 1e20, 10**5000,
    Decimal("NaN"), Decimal("sNaN"), Decimal("1E+999999999"),
]  # fmt: skip


@pytest.mark.parametrize("written", REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_is_no_number_of_an_invoice_is_none(written: object) -> None:
    assert read_decimal(written) is None


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.text() | st.floats() | st.integers() | st.booleans())
def test_whatever_is_written_the_number_is_small_enough_to_reckon_with(written: object) -> None:
    found = read_decimal(written)

    if found is not None:
        assert abs(found) <= 10**INTEGER_DIGITS
        assert len(f"{found:f}") <= INTEGER_DIGITS + DECIMALS + 3


@given(st.decimals(min_value=-(10**17), max_value=10**17, places=15))
def test_decimals_are_kept_as_written(number: Decimal) -> None:
    found = read_decimal(f"{number:f}")

    assert (found, f"{found:f}") == (number, f"{number:f}")


@pytest.mark.parametrize(("number", "count"), [("12.3400", 2), ("12", 0), ("12.000", 0), ("0.0425", 4), ("1E+2", 0)])
def test_decimals_that_matter(number: str, count: int) -> None:
    assert decimals_of(Decimal(number)) == count


def test_nobody_else_reads_numbers_of_others() -> None:
    """Whoever catches InvalidOperation makes a Decimal of what others wrote. The sandbox shares no code with us."""
    folder = Path(settings.BASE_DIR)
    paths = [path for app in ("providers", "invoices") for path in (folder / app).rglob("*.py")]
    catching = {
        str(path.relative_to(folder))
        for path in paths
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.alias) and node.name == "InvalidOperation"
    }
    assert catching == set()

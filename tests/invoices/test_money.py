"""What an invoice adds to what the buyer owes, by type and sign."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.models import money
from providers.norm.codes import CREDIT_NOTE_TYPES

NOTES = sorted(CREDIT_NOTE_TYPES)
OTHERS = ["380", "384", "386", "389", "393", "471", "472", "473", "500", "501"]


def written(type_code: str, rows: dict[str, str], *, due: str | None = None, total: str | None = None) -> Any:
    """An invoice as its document writes it: totals with VAT by rate."""
    whole = sum(map(Decimal, rows.values()), Decimal(0)) if total is None else Decimal(total)
    return SimpleNamespace(
        type_code=type_code,
        total_without_vat=whole,
        total_with_vat=whole,
        amount_due=whole if due is None else Decimal(due),
        vat_breakdown=[{"rate": rate, "base": amount, "amount": "0.00"} for rate, amount in rows.items()],
    )


def by_rate(invoice: Any) -> dict[str, str]:
    return {f"{rate:f}": f"{amount:.2f}" for rate, amount in money.debt_by_rate(invoice).items()}


@pytest.mark.parametrize("type_code", NOTES)
@pytest.mark.parametrize("amount", ["180.00", "-180.00"])
def test_credit_note_lowers_the_debt_however_it_is_written(type_code, amount):
    note = written(type_code, {"20.00": amount})
    assert (money.debt(note), money.due(note), by_rate(note)) == (-180, -180, {"20": "-180.00"})
    assert money.gives_back(note)


@pytest.mark.parametrize("type_code", OTHERS)
@pytest.mark.parametrize(("amount", "back"), [("180.00", False), ("-180.00", True)])
def test_sign_of_any_other_type_is_its_direction(type_code, amount, back):
    invoice = written(type_code, {"20.00": amount})
    assert (money.debt(invoice), by_rate(invoice)) == (Decimal(amount), {"20": amount})
    assert money.gives_back(invoice) == back


@pytest.mark.parametrize(
    ("invoice", "rates"),
    [
        (written("381", {"20.00": "120.00", "10.00": "-20.00"}), {"20": "-120.00", "10": "20.00"}),
        (written("381", {"20.00": "-120.00", "10.00": "20.00"}), {"20": "-120.00", "10": "20.00"}),
        # A breakdown with another sign than the total.
        (written("381", {"20.00": "180.00"}, total="-180.00"), {"20": "-180.00"}),
        (written("381", {"20.00": "-180.00"}, total="180.00"), {"20": "-180.00"}),
        (written("380", {"20.00": "180.00"}, total="-180.00"), {"20": "-180.00"}),
        # Rates that cancel out.
        (written("380", {"20.00": "60.00", "10.00": "-60.00"}), {"20": "60.00", "10": "-60.00"}),
        (written("381", {"20.00": "60.00", "10.00": "-60.00"}), {"20": "-60.00", "10": "60.00"}),
    ],
)
def test_rates_of_different_signs(invoice, rates):
    assert by_rate(invoice) == rates


@pytest.mark.parametrize(
    ("invoice", "due", "back"),
    [
        (written("380", {"20.00": "1200.00"}, due="0.00"), "0.00", False),
        (written("380", {"20.00": "1200.00"}, due="-50.00"), "-50.00", True),  # more was paid before than it asks for
        (written("380", {"20.00": "600.00"}, due="-600.00"), "-600.00", True),  # half of what a deposit was paid for
        (written("380", {"20.00": "-180.00"}, due="180.00"), "-180.00", True),
        (written("381", {"20.00": "180.00"}, due="0.00"), "0.00", True),
        (written("381", {"20.00": "180.00"}, due="80.00"), "-80.00", True),
        (written("381", {"20.00": "-180.00"}, due="-80.00"), "-80.00", True),
        (written("381", {"20.00": "-180.00"}, due="180.00"), "-180.00", True),
        (written("381", {"20.00": "0.00"}), "0.00", True),
    ],
)
def test_amount_due_goes_the_same_way(invoice, due, back):
    assert (money.due(invoice), money.gives_back(invoice)) == (Decimal(due), back)


def test_unknown_amounts_have_no_direction_but_their_types():
    for type_code, back in (("380", False), ("381", True), ("", False)):
        nothing = written(type_code, {})
        nothing.total_with_vat = nothing.total_without_vat = nothing.amount_due = None
        assert (money.debt(nothing), money.debt_by_rate(nothing), money.gives_back(nothing)) == (None, {}, back)


amounts = st.dictionaries(
    st.sampled_from(["20.00", "10.00", "5.50", "0.00"]), st.decimals(-(10**6), 10**6, places=2).map(str), max_size=4
)


@given(st.sampled_from(NOTES), amounts)
def test_note_and_its_mirror_image_mean_the_same(type_code, rows):
    if sum(map(Decimal, rows.values())) == 0:
        return  # nothing tells how it is written
    note = written(type_code, rows)
    mirror = written(type_code, {rate: str(-Decimal(amount)) for rate, amount in rows.items()})
    assert money.debt_by_rate(note) == money.debt_by_rate(mirror)
    assert money.debt(note) == money.debt(mirror) == sum(money.debt_by_rate(note).values())

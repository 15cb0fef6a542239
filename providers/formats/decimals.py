"""The only reader of other people's numbers: in XML, in JSON, in whatever a platform writes."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import cast

# As XML Schema writes decimals. Decimal() alone also takes NaN, Arabic digits, and exponents that make gigabytes.
WRITTEN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
LONGEST = 400
# No amount has more before the point; after it more are rounded away.
INTEGER_DIGITS = 18
DECIMALS = 28
# Binary fractions are exact so far: 0.1 + 0.2 is 0.3.
FLOAT_DIGITS = 15
ONE, SMALLEST = Decimal(1), Decimal(1).scaleb(-DECIMALS)
_EXACT = Context(prec=80)


def read_decimal(value: object, *, digits: int = INTEGER_DIGITS) -> Decimal | None:
    """The number that is written, with the decimals it is written with; None for anything else, however it looks.

    An exponent counts in a JSON number (1e3), not in a text.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        found = Decimal(text) if len(text) <= LONGEST and WRITTEN.fullmatch(text) else None
    elif isinstance(value, float):
        found = Decimal(f"{value:.{FLOAT_DIGITS}g}")
    else:
        found = Decimal(value) if isinstance(value, int | Decimal) else None
    return None if found is None else _within_limits(found, digits)


def _within_limits(number: Decimal, digits: int) -> Decimal | None:
    """Without reckoning before the size is known: 1E+999999999 has a gigabyte of digits."""
    if not number.is_finite() or (number and number.adjusted() >= digits):
        return None
    exponent = cast("int", number.as_tuple().exponent)
    if -DECIMALS <= exponent <= 0:
        return number
    return number.quantize(ONE if exponent > 0 else SMALLEST, context=_EXACT)


def decimals_of(number: Decimal) -> int:
    """How many decimals matter: 2 of 12.3400 would be enough to write it."""
    return len(f"{number:f}".partition(".")[2].rstrip("0"))

from datetime import date

import pytest
from django.utils.translation import override

from providers.norm.numbers import number_warning

BEFORE, AFTER = date(2026, 12, 31), date(2027, 1, 1)


@pytest.mark.parametrize("number", ["", "F-2026-0042", "FA 2026/07", "A+B_C", "1", "F" * 20])
def test_number_that_the_administration_takes(number):
    assert number_warning(number, BEFORE) == ""


@pytest.mark.parametrize(
    "number", ["FAC.2026.0417", "N°12", "FÉ-1", "A#1", " F1", "F1 ", "F  1", "F1\n", "F\t1", "١٢", "F" * 36]
)
def test_number_with_what_it_refuses(number):
    for day in (BEFORE, AFTER):
        with override("en"):
            assert number_warning(number, day).startswith("The administration will not take number “")


@pytest.mark.parametrize("length", [21, 35])
def test_number_that_is_too_long_for_now(length):
    with override("en"):
        words = number_warning("F" * length, BEFORE)
    assert words.startswith("The administration takes numbers of 20 characters at most until 31/12/2026:")
    assert number_warning("F" * length, AFTER) == ""


def test_limit_and_its_end_are_settings(settings):
    settings.PPF_NUMBER_LENGTH, settings.PPF_NUMBER_LENGTH_UNTIL = 25, ""
    assert number_warning("F" * 25, AFTER) == ""
    assert number_warning("F" * 26, AFTER) != ""

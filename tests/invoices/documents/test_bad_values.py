"""A value that means nothing never hides the others, nor itself."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from html import unescape

import pytest
from django.utils.translation import override
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from providers.formats.en16931.model import Condition
from providers.formats.en16931.payment_terms import last_day
from providers.formats.en16931.pdf import render_pdf
from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import read_invoice

from .filled import EXTENDED, ROOTS, Filler
from .test_every_term import squeezed

BAD = (
    "n/a",
    "1 234,56",
    "1E+999999999",
    "NaN",
    "-",
    "00000000",
    "9999-99-99",
    "20261399",
    "0" * 60,
    "²",
    "true",
    "12:30",
)
FILLED = {message: Filler(message, EXTENDED).fill().root for message in ROOTS}
# Replaced, they are another file: one of another kind, or with other names for its own parts.
KEPT = ("ID", "CompanyID", "TypeCode", "DocumentTypeCode", "BinaryObject", "Indicator", "DocumentStatusCode")


def leaves(root: etree._Element) -> list[etree._Element]:
    found = [element for element in root.iter(etree.Element) if not len(element)]
    return [each for each in found if not etree.QName(each).localname.endswith(KEPT)]


@pytest.mark.parametrize("message", ROOTS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_bad_value_is_shown_and_stops_nothing(message: str, data: st.DataObject) -> None:
    root = etree.fromstring(etree.tostring(FILLED[message]))
    spoilt = data.draw(st.lists(st.sampled_from(leaves(root)), min_size=1, max_size=12, unique=True))
    for number, element in enumerate(spoilt):
        element.text = f"{data.draw(st.sampled_from(BAD))}#{number}"

    invoice = read_invoice(etree.tostring(root))
    with override("fr"):
        page = squeezed(unescape(render_readable(invoice)))
    assert [element.text for element in spoilt if squeezed(str(element.text)) not in page] == []
    assert render_pdf(invoice, "fr").startswith(b"%PDF")


@pytest.mark.parametrize("message", ROOTS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_missing_or_doubled_element_stops_nothing(message: str, data: st.DataObject) -> None:
    root = etree.fromstring(etree.tostring(FILLED[message]))
    for element in data.draw(st.lists(st.sampled_from(list(root.iter(etree.Element))[1:]), max_size=8, unique=True)):
        above = element.getparent()
        if above is None:
            continue
        if data.draw(st.booleans()):
            above.insert(above.index(element), etree.fromstring(etree.tostring(element)))
        else:
            above.remove(element)

    invoice = read_invoice(etree.tostring(root))
    assert render_readable(invoice)
    assert render_pdf(invoice, "fr").startswith(b"%PDF")


@pytest.mark.parametrize("message", ROOTS)
def test_every_second_of_an_element_is_shown(message: str) -> None:
    """Whatever a format lets come once or often: a second value beside the first is never dropped."""
    for place, original in enumerate(leaves(FILLED[message])):
        root = etree.fromstring(etree.tostring(FILLED[message]))
        element = leaves(root)[place]
        if not (element.text or "").strip() or etree.QName(element).localname.endswith(
            ("DateTimeString", "DateString")
        ):
            continue
        second = etree.fromstring(etree.tostring(element))
        second.text = f"seconde{place}"
        element.addnext(second)
        with override("fr"):
            page = unescape(render_readable(read_invoice(etree.tostring(root))))
        assert f"seconde{place}" in page, etree.QName(original).localname


def test_discount_that_ends_after_the_last_day_there_is_has_no_day() -> None:
    condition = Condition(percentage=Decimal(2), period=Decimal(14), unit="DAY")
    assert last_day(condition, date(9999, 12, 31)) == condition

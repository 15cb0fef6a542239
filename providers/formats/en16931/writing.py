"""The inverse of mapping.py: small vocabulary in which the writers say where each value of an invoice goes.

A *writer* adds to an element what it finds in a part of the document, and nothing where nothing is said. `find` is the
name of an attribute, or a function of the part.
"""

import base64
import operator
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from lxml import etree

from .mapping import NAMESPACES
from .model import ParsedInvoice

Writer = Callable[[etree._Element, Any, ParsedInvoice], None]
Find = str | Callable[[Any], Any]

# What XML 1.0 cannot hold, and the carriage return that it would turn into something else.
NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def qualified(tag: str) -> str:
    prefix, name = tag.split(":")
    return f"{{{NAMESPACES[prefix]}}}{name}"


def finder(find: Find) -> Callable[[Any], Any]:
    return operator.attrgetter(find) if isinstance(find, str) else find


def always(value: str) -> Callable[[Any], str]:
    return lambda part: value


def written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return NOT_XML.sub("", str(value)).strip()


def add(parent: etree._Element, tag: str, text: str, attributes: dict[str, str]) -> None:
    element = etree.SubElement(parent, qualified(tag))
    element.text = text
    for name, value in attributes.items():
        if value:
            element.set(name, value)


def leaf(tag: str, find: Find, **attributes: Find) -> Writer:
    get = finder(find)
    getters = {name: finder(each) for name, each in attributes.items()}

    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        if text := written(get(part)):
            add(parent, tag, text, {name: written(getter(part)) for name, getter in getters.items()})

    return write


def amount(tag: str, find: Find, currency: str = "currency") -> Writer:
    """An amount that names its currency, as all do in UBL."""
    get = finder(find)

    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        if text := written(get(part)):
            add(parent, tag, text, {"currencyID": written(getattr(document, currency))})

    return write


def day(tag: str, find: Find, inner: str) -> Writer:
    """A date of UN/CEFACT: format 102 inside an element of its own."""
    get = finder(find)

    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        value = get(part)
        if value is not None:
            add(etree.SubElement(parent, qualified(tag)), inner, f"{value:%Y%m%d}".zfill(8), {"format": "102"})

    return write


def sequence(*writers: Writer) -> Writer:
    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        for each_writer in writers:
            each_writer(parent, part, document)

    return write


def group(tag: str, *writers: Writer, of: Find | None = None, required: bool = False) -> Writer:
    """An element around others, left out where it would be empty unless the schema requires it."""
    get = finder(of) if of is not None else None
    inside = sequence(*writers)

    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        inner = get(part) if get else part
        element = etree.SubElement(parent, qualified(tag))
        if inner is not None:
            inside(element, inner, document)
        if not len(element) and not required:
            parent.remove(element)

    return write


def each(of: Find, writer: Writer) -> Writer:
    get = finder(of)

    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        for item in get(part):
            writer(parent, item, document)

    return write


def when(condition: Callable[[Any], bool], writer: Writer) -> Writer:
    def write(parent: etree._Element, part: Any, document: ParsedInvoice) -> None:
        if condition(part):
            writer(parent, part, document)

    return write


def serialized(root: etree._Element) -> bytes:
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

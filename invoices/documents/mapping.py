"""Small vocabulary in which ubl.py and cii.py write their tables: what an invoice holds, and where it stands.

A *reader* is a function of a Node. Readers of leaves never raise: a value that cannot be understood is reported as a
warning and read as missing.
"""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.decimals import decimals_of, read_decimal
from providers.xml import NO_FILES, Files, read_binary

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

NAMESPACES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "cn": "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
# xs:date with its optional zone, and UN/CEFACT formats 102, 203 and 204. Only the day counts.
DATES = (
    re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T.*|Z|[+-][0-9]{2}:[0-9]{2})?"),
    re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:[0-9]{4}|[0-9]{6})?"),
)
TRUE = {"true", "1"}
CENTS = 2
NO_NUMBER = _("“{value}” is not a number and was left out ({place}).")
TOO_LARGE = _("“{value}” is larger than any number of an invoice and was left out ({place}).")
TOO_FINE = _("“{value}” has more than two decimals ({place}). It is kept as written; lists show it rounded to cents.")
PLAIN_DIGITS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


class Node(NamedTuple):
    element: etree._Element
    warnings: list[str | Promise]
    files: Files = NO_FILES

    def warn(self, message: "StrPromise", **values: object) -> None:
        self.warnings.append(format_lazy(message, **values))


Reader = Callable[[Node], Any]


@cache
def compiled(path: str) -> Callable[[etree._Element], Any]:
    return etree.XPath(path, namespaces=NAMESPACES, smart_strings=False)


def text(path: str) -> Callable[[Node], str]:
    find = compiled(f"string({path})")
    return lambda node: find(node.element).strip()


def texts(path: str) -> Callable[[Node], tuple[str, ...]]:
    find, string = compiled(path), compiled("string()")
    return lambda node: tuple(value for found in find(node.element) if (value := string(found).strip()))


def number(path: str) -> Callable[[Node], Decimal | None]:
    read = text(path)

    def read_number(node: Node) -> Decimal | None:
        value = read(node)
        if not value:
            return None
        found = read_decimal(value)
        if found is None:
            words = TOO_LARGE if PLAIN_DIGITS.fullmatch(value) else NO_NUMBER
            node.warn(words, value=value[:40], place=name_found(node, path))
        return found

    return read_number


def amount(path: str) -> Callable[[Node], Decimal | None]:
    """A number of which lists and columns show the cents."""
    read = number(path)

    def read_amount(node: Node) -> Decimal | None:
        found = read(node)
        if found is not None and decimals_of(found) > CENTS:
            node.warn(TOO_FINE, value=f"{found:f}", place=name_found(node, path))
        return found

    return read_amount


def day(path: str) -> Callable[[Node], date | None]:
    read = text(path)

    def read_day(node: Node) -> date | None:
        value = read(node)
        if not value:
            return None
        for pattern in DATES:
            if match := pattern.fullmatch(value):
                try:
                    return date(*map(int, match.groups()))
                except ValueError:
                    break
        place = name_found(node, path)
        node.warn(_("“{value}” is not a date and was left out ({place})."), value=value[:40], place=place)
        return None

    return read_day


def flag(path: str) -> Callable[[Node], bool]:
    read = text(path)
    return lambda node: read(node).lower() in TRUE


def binary(path: str) -> Callable[[Node], bytes | None]:
    read, is_there = text(path), compiled(f"boolean({path})")

    def read_file(node: Node) -> bytes | None:
        value = read(node)
        if not value:
            if is_there(node.element):
                node.warn(_("An attachment is empty. Ask the sender for it."))
            return None
        try:
            return read_binary(value, node.files)
        except ValueError:
            node.warn(_("An attachment is damaged and cannot be opened. Ask the sender for it."))
            return None

    return read_file


def plain_filename(path: str) -> Reader:
    """A name without folders: it will be offered for download."""
    read = text(path)
    return lambda node: PurePosixPath(PureWindowsPath(read(node)).name).name[-150:]


def first(*readers: Reader) -> Reader:
    """The first reader that finds something."""

    def read_first(node: Node) -> Any:
        value = None
        for read in readers:
            value = read(node)
            if value not in ("", None, ()):
                return value
        return value

    return read_first


def record(build: Callable[..., Any], **readers: Reader) -> Reader:
    return lambda node: build(**{name: read(node) for name, read in readers.items()})


def one(path: str, read: Reader) -> Reader:
    find = compiled(f"({path})[1]")

    def read_one(node: Node) -> Any:
        found = find(node.element)
        return read(node._replace(element=found[0])) if found else None

    return read_one


def many(path: str, read: Reader) -> Reader:
    find = compiled(path)
    return lambda node: tuple(read(node._replace(element=found)) for found in find(node.element))


def name_found(node: Node, path: str) -> str:
    """The element that is there, for the sender to look for: `cbc:CreditedQuantity`."""
    name = etree.QName(compiled(path)(node.element)[0])
    prefix = PREFIXES.get(name.namespace or "")
    return f"{prefix}:{name.localname}" if prefix else name.localname

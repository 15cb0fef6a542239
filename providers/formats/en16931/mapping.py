"""Small vocabulary in which ubl.py and cii.py write their tables: what an invoice holds, and where it stands.

A *reader* is a function of a Node. Readers of leaves never raise: a value that cannot be understood is reported as a
warning and read as missing.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.formats.decimals import decimals_of, read_decimal
from providers.formats.xml import NO_FILES, Files, read_binary

from .model import AllowanceCharge, Line, Reference

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
NO_DAY = _("“{value}” is not a date and was left out ({place}).")
NO_NUMBER = _("“{value}” is not a number and was left out ({place}).")
TOO_LARGE = _("“{value}” is larger than any number of an invoice and was left out ({place}).")
TOO_FINE = _("“{value}” has more than two decimals ({place}). It is kept as written; lists show it rounded to cents.")
PLAIN_DIGITS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


class Node(NamedTuple):
    element: etree._Element
    warnings: list[str | Promise]
    files: Files = NO_FILES
    # What has been read: elements, and attributes as (element, name). The rest is shown as it stands: other_data.py.
    seen: set[etree._Element | tuple[etree._Element, str]] | None = None

    def warn(self, message: "StrPromise", **values: object) -> None:
        self.warnings.append(format_lazy(message, **values))

    def told(self) -> tuple[str | Promise, ...]:
        """Each warning once: two readers may look at the same value, and many lines may have the same fault."""
        return tuple({str(warning): warning for warning in self.warnings}.values())

    def mark(self, found: etree._Element | tuple[etree._Element, str]) -> None:
        if self.seen is not None:
            self.seen.add(found)

    def at(self, element: etree._Element) -> "Node":
        return self._replace(element=element)


Reader = Callable[[Node], Any]


@cache
def compiled(path: str) -> Callable[[etree._Element], Any]:
    return etree.XPath(path, namespaces=NAMESPACES, smart_strings=False)


def content_of(element: etree._Element) -> str:
    """All text inside; most elements hold nothing else."""
    return str(compiled("string()")(element) if len(element) else element.text or "").strip()


def names_vat(path: str) -> str:
    """For an XPath: whether a tax scheme is VAT, as UBL, CII or the French write it, in any case and with spaces."""
    written = f"normalize-space(translate({path}, 'vat', 'VAT'))"
    return f"{written} = 'VAT' or {written} = 'VA' or {written} = 'TVA'"


def text(path: str) -> Callable[[Node], str]:
    base, is_attribute, name = path.rpartition("@")
    if is_attribute and "]" not in name:
        return attribute(base.rstrip("/") or ".", name)
    find = compiled(path)

    def read_text(node: Node) -> str:
        for element in find(node.element)[:1]:
            node.mark(element)
            return content_of(element)
        return ""

    return read_text


def attribute(path: str, name: str) -> Callable[[Node], str]:
    find = compiled(path)

    def read_attribute(node: Node) -> str:
        for element in find(node.element):
            if (value := element.get(name)) is not None:
                node.mark((element, name))
                return str(value).strip()
        return ""

    return read_attribute


def texts(path: str) -> Callable[[Node], tuple[str, ...]]:
    find = compiled(path)

    def read_texts(node: Node) -> tuple[str, ...]:
        found = find(node.element)
        for element in found:
            node.mark(element)
        return tuple(value for element in found if (value := content_of(element)))

    return read_texts


def understood(path: str, convert: Callable[[str], Any], complaint: Callable[[str], "StrPromise"]) -> Reader:
    """A value that means nothing to `convert` is told in a warning and stays among what was not read."""
    find = compiled(path)

    def read(node: Node) -> Any:
        for element in find(node.element)[:1]:
            if not (written := content_of(element)):
                return None
            if (value := convert(written)) is None:
                node.warn(complaint(written), value=written[:40], place=tag_of(element))
                return None
            node.mark(element)
            return value
        return None

    return read


def as_day(written: str) -> date | None:
    for pattern in DATES:
        if match := pattern.fullmatch(written):
            try:
                return date(*map(int, match.groups()))
            except ValueError:
                return None
    return None


def day(path: str) -> Callable[[Node], date | None]:
    return understood(path, as_day, lambda written: NO_DAY)


def number(path: str) -> Callable[[Node], Decimal | None]:
    return understood(path, read_decimal, lambda written: TOO_LARGE if PLAIN_DIGITS.fullmatch(written) else NO_NUMBER)


def amount(path: str) -> Callable[[Node], Decimal | None]:
    """A number of which lists and columns show the cents."""
    read, find = number(path), compiled(path)

    def read_amount(node: Node) -> Decimal | None:
        found = read(node)
        if found is not None and decimals_of(found) > CENTS:
            node.warn(TOO_FINE, value=f"{found:f}", place=tag_of(find(node.element)[0]))
        return found

    return read_amount


def repeated(path: str, read: Reader) -> Reader:
    """The first of values that a syntax wants written several times; another value than the first is not read."""
    find = compiled(path)

    def read_repeated(node: Node) -> Any:
        found = find(node.element)
        equal = [element for element in found if content_of(element) == content_of(found[0])]
        for element in equal if len(equal) > 1 else ():
            node.mark(element)
            for name, _value in set(element.attrib.items()) & set(equal[0].attrib.items()):
                node.mark((element, str(name)))
        return read(node)

    return read_repeated


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


def beside(marker: Reader, read: Reader) -> Reader:
    """What `read` finds; `marker` only says where, and has then been read too."""

    def read_beside(node: Node) -> Any:
        marker(node)
        return read(node)

    return read_beside


def record(build: Callable[..., Any], **readers: Reader) -> Reader:
    return lambda node: build(**{name: read(node) for name, read in readers.items()})


def one(path: str, read: Reader) -> Reader:
    find = compiled(f"({path})[1]")

    def read_one(node: Node) -> Any:
        found = find(node.element)
        return read(node.at(found[0])) if found else None

    return read_one


def many(path: str, read: Reader) -> Reader:
    find = compiled(path)
    return lambda node: tuple(read(node.at(found)) for found in find(node.element))


def joined(path: str, between: str) -> Callable[[Node], str]:
    """All of several texts, for a field that holds one."""
    read = texts(path)
    return lambda node: between.join(read(node))


def earliest(path: str) -> Callable[[Node], date | None]:
    read = many(path, day("."))
    return lambda node: min(filter(None, read(node)), default=None)


def further(kind: str, path: str, read: Reader, *, keep_first: bool = False) -> Reader:
    """References of a kind, where there is more to tell than the one number (or line) its own field holds.

    `keep_first` where there is no such field.
    """
    read_all = many(path, read)

    def read_further(node: Node) -> tuple[Reference, ...]:
        found: tuple[Reference, ...] = read_all(node)
        if len(found) == 1 and not keep_first and found[0] == bare_reference(kind, found[0]):
            return ()
        return tuple(replace(each, kind=kind) for each in found if each != Reference())

    return read_further


def bare_reference(kind: str, reference: Reference) -> Reference:
    """What the field of its own would hold of it."""
    return Reference(line=reference.line) if kind == "order_line" else Reference(number=reference.number)


def price_allowances(path: str, read: Reader) -> Reader:
    """Discounts and charges of a price, where there is more to tell than one discount from the gross price."""
    read_all = many(path, read)

    def read_rows(node: Node) -> tuple[AllowanceCharge, ...]:
        rows: tuple[AllowanceCharge, ...] = read_all(node)
        return () if len(rows) == 1 and is_plain(rows[0]) else rows

    return read_rows


def is_plain(row: AllowanceCharge) -> bool:
    return row == AllowanceCharge(is_charge=False, amount=row.amount, base=row.base)


def price_discount(path: str, read: Reader) -> Callable[[Node], Decimal | None]:
    """What all of them take off the price."""
    read_all = many(path, read)

    def read_discount(node: Node) -> Decimal | None:
        amounts = [-row.amount if row.is_charge else row.amount for row in read_all(node) if row.amount is not None]
        return sum(amounts, Decimal(0)) if amounts else None

    return read_discount


def in_own_unit(read: Reader) -> Reader:
    """Lines whose price is for a quantity in the unit of the line, as nearly all are, do not say so twice."""

    def read_line(node: Node) -> Line:
        line: Line = read(node)
        return replace(line, price_base_unit="") if line.price_base_unit == line.unit else line

    return read_line


def attached_to(names: dict[str, str]) -> Callable[[Node], str]:
    """The field an attachment belongs to, by the element it stands in or below."""

    def read_owner(node: Node) -> str:
        elements = (node.element, *node.element.iterancestors())
        return next((names[name] for each in elements if (name := etree.QName(each).localname) in names), "")

    return read_owner


def tag_of(element: etree._Element) -> str:
    """The element that is there, for the sender to look for: `cbc:CreditedQuantity`."""
    name = etree.QName(element)
    prefix = PREFIXES.get(name.namespace or "")
    return f"{prefix}:{name.localname}" if prefix else name.localname

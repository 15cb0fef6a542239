"""Where in a document a rule is broken, and what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from providers.formats.en16931.mapping import NAMESPACES, PREFIXES
from providers.formats.en16931.terms import find_term, term_at, terms_in
from providers.formats.schematron import find_node

from .verdict import Place

ATTRIBUTE = re.compile(r"/@(?:\*:)?([\w.-]+)[^/]*$")
# 'ram:ID', '@format' in the words of a rule that has no business term.
NAMED_ELEMENT = re.compile(r"'(@?[\w:.-]+)")
# The words of these rules (V1.4.0.03, UBL) speak of notes as BG-3, which is the preceding invoice.
NOTE_RULES = ("BR-FR-05", "BR-FR-06")
UBL_LINES = {"cac:InvoiceLine", "cac:CreditNoteLine"}
LINE_TAGS = {
    f"{{{NAMESPACES['cac']}}}InvoiceLine": f"{{{NAMESPACES['cbc']}}}ID",
    f"{{{NAMESPACES['cac']}}}CreditNoteLine": f"{{{NAMESPACES['cbc']}}}ID",
    f"{{{NAMESPACES['ram']}}}IncludedSupplyChainTradeLineItem": f".//{{{NAMESPACES['ram']}}}LineID",
}
SHOWN_VALUES = 3
SHOWN_TERMS = 8
SHOWN_CHARACTERS = 200


class Document:
    """A parsed invoice, asked for places and values."""

    def __init__(self, root: etree._Element, syntax: str) -> None:
        self.root = root
        self.syntax = "ubl" if syntax == "ubl" else "cii"
        self._found: dict[str, list[tuple[etree._Element, str]]] = {}

    def find(self, location: str) -> etree._Element:
        """The element a Schematron location points to; the root where it points nowhere."""
        found = find_node(self.root, location)
        return self.root if found is None else found

    def terms_of(self, rule: str, text: str, node: etree._Element) -> tuple[str, ...]:
        """The business terms a rule is about: those it names, else the one that stands where it is broken."""
        if rule.startswith(NOTE_RULES):
            text = text.replace("BG-3", "BG-1")
        named = tuple(terms_in(f"{rule} {text}"))[:SHOWN_TERMS]
        return named or tuple(filter(None, [self._term_here(text, node)]))

    def _term_here(self, text: str, node: etree._Element) -> str:
        here = plain_steps(node)
        inner = [match for match in NAMED_ELEMENT.findall(text) if ":" in match or match.startswith("@")][:1]
        places = ["/".join([*here, *inner])] if inner and here[-1:] != inner else []
        places += ["/".join(here[:length]) for length in range(len(here), 0, -1)]
        return next(filter(None, (term_at(self.syntax, place) for place in places)), "")

    def place(self, location: str, node: etree._Element, terms: Iterable[str], text: str) -> Place:
        attribute = ATTRIBUTE.findall(location)
        return Place(
            path="/".join(
                [etree.QName(self.root).localname, *numbered_steps(node), *(f"@{name}" for name in attribute)]
            ),
            source_line=cast("int | None", node.sourceline),
            invoice_line=invoice_line(node),
            values=self.values(node, terms) or own_value(node, attribute),
            text=text,
        )

    def values(self, node: etree._Element, terms: Iterable[str]) -> tuple[tuple[str, str], ...]:
        return tuple((code, value) for code in terms if (value := self._value(node, code)) is not None)

    def _value(self, node: etree._Element, code: str) -> str | None:
        """What the nearest places of a term hold; None for a group, which holds no value of its own."""
        term = find_term(code)
        if term is None or term.is_group or not term.path(self.syntax):
            return None
        found = self._all_of(code, term.path(self.syntax))
        for above in (node, *node.iterancestors()):
            values = [value for element, value in found if above is element or above in element.iterancestors()]
            if values:
                return summary(values)
        return ""

    def _all_of(self, code: str, path: str) -> list[tuple[etree._Element, str]]:
        if code not in self._found:
            nodes = cast("list[Any]", self.root.xpath(path, namespaces=NAMESPACES))
            self._found[code] = [
                (node, "".join(map(str, node.itertext()))) if etree.iselement(node) else (node.getparent(), str(node))
                for node in nodes
            ]
        return self._found[code]


def summary(values: list[str]) -> str:
    shown = ", ".join(value.strip()[:SHOWN_CHARACTERS] for value in values[:SHOWN_VALUES])
    return f"{shown}… ({len(values)})" if len(values) > SHOWN_VALUES else shown


def own_value(node: etree._Element, attribute: list[str]) -> tuple[tuple[str, str], ...]:
    """What stands at the place itself, for a rule about no known term."""
    if attribute:
        return ((f"@{attribute[0]}", (node.get(attribute[0]) or "")[:SHOWN_CHARACTERS]),)
    if len(node):
        return ()
    return ((etree.QName(node).localname, (node.text or "").strip()[:SHOWN_CHARACTERS]),)


def prefixed(node: etree._Element) -> str:
    name = etree.QName(node)
    return f"{PREFIXES.get(name.namespace or '', '?')}:{name.localname}"


def plain_steps(node: etree._Element) -> list[str]:
    """The names from below the root down to `node`, as the table of terms writes them."""
    steps = [prefixed(each) for each in (node, *node.iterancestors())][:-1]
    return ["*" if step in UBL_LINES else step for step in reversed(steps)]


def numbered_steps(node: etree._Element) -> list[str]:
    """The way to `node` for a person with the file open: InvoiceLine[2]/Price."""
    steps = []
    for each in [node, *node.iterancestors()][:-1]:
        before = sum(1 for _twin in each.itersiblings(each.tag, preceding=True))
        alone = before == 0 and next(each.itersiblings(each.tag), None) is None
        steps.append(etree.QName(each).localname + ("" if alone else f"[{before + 1}]"))
    return steps[::-1]


def invoice_line(node: etree._Element) -> str:
    for each in (node, *node.iterancestors()):
        if each.tag in LINE_TAGS:
            return (each.findtext(LINE_TAGS[str(each.tag)]) or "").strip()[:50]
    return ""

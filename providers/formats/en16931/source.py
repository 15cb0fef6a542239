"""An invoice's XML for human eyes: laid out, coloured, without the files embedded in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree
from pygments import highlight

from providers.formats.xml import UnreadableDocument, Xml, decode_xml, read_xml

from .facturx import extract_invoice
from .pdf_files import is_pdf

# Colouring takes about a second per megabyte.
SHOWN_CHARACTERS = 200_000
# No text of an invoice is this long: it is a file in Base64.
LONGEST_TEXT = 4_000


@dataclass(frozen=True)
class Source:
    html: SafeString
    is_cut: bool
    is_well_formed: bool


def xml_of(content: bytes) -> bytes:
    """The XML file itself, taken out of a PDF where it is in one. Raises UnreadableDocument."""
    return extract_invoice(content).xml if is_pdf(content) else content


def show_xml(content: bytes) -> Source:
    """Raises UnreadableDocument where there is no text to show."""
    xml = xml_of(content)
    try:
        tree = read_xml(xml)
    except UnreadableDocument:
        text, is_well_formed = decode_xml(xml), False
    else:
        text, is_well_formed = laid_out(tree), True
    return Source(coloured(text[:SHOWN_CHARACTERS]), len(text) > SHOWN_CHARACTERS, is_well_formed)


def laid_out(xml: Xml) -> str:
    for element in xml.root.iter(etree.Element):
        text = element.text or ""
        if (word := text.strip()) in xml.files:
            size = filesizeformat(len(xml.files[word] or b""))
            element.text = str(format_lazy(_("… embedded file, {size} …"), size=size))
        elif len(text) > LONGEST_TEXT:
            element.text = str(format_lazy(_("… {count} characters …"), count=len(text)))
    etree.indent(xml.root)
    return etree.tostring(xml.root, encoding="unicode")


def coloured(text: str) -> SafeString:
    """Each token in a class of the stylesheet; everything is escaped."""
    return mark_safe(highlight(text, *tools()))  # noqa: S308


@cache
def tools() -> tuple[Any, Any]:
    """Loaded when first wanted: few look at XML."""
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.html import XmlLexer

    return XmlLexer(stripnl=False), HtmlFormatter(nowrap=True, classprefix="xml-")

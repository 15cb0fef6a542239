"""Envelopes in which invoices travel, and what lies in them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from lxml import etree

from providers.formats.xml import Xml, put_back, read_binary, root_name

# By local name: UN/CEFACT's header (Peppol, GS1), UBL 2.1, OASIS XHE, and SOAP of either version.
ENVELOPES = {
    "StandardBusinessDocument": "StandardBusinessDocument (SBDH)",
    "AttachedDocument": "AttachedDocument (UBL)",
    "XHE": "Exchange Header Envelope (XHE)",
    "Envelope": "SOAP",
}
# In envelopes only: anywhere else such a file is an attachment, and such a text a text.
FILES = ("{*}EmbeddedDocumentBinaryObject", "{*}BinaryContent", "{*}Payload", "{*}PayloadContent")
TEXTS = ("{*}Description", "{*}TextContent", "{*}Payload", "{*}PayloadContent")
MAX_LETTERS = 100


class Letter(NamedTuple):
    """A file in an envelope, with the names it is given."""

    filename: str
    media_type: str
    content: bytes


def name_of(root: etree._Element) -> str:
    """The envelope's name for people, or that of its element."""
    local = etree.QName(root).localname
    return ENVELOPES.get(local, local[:60])


def inside(xml: Xml, tags: tuple[str, ...]) -> list[Xml]:
    """Each element with one of these names, as a document of its own."""
    return [Xml(alone(element), xml.files) for element in islice(xml.root.iter(*tags), MAX_LETTERS)]


def alone(element: etree._Element) -> etree._Element:
    root = copy.deepcopy(element)
    root.tail = None
    return root


def letters(xml: Xml) -> list[Letter]:
    """Files in Base64, and XML written as a text."""
    if etree.QName(xml.root).localname not in ENVELOPES:
        return []
    return list(islice((*files_in(xml), *texts_in(xml)), MAX_LETTERS))


def files_in(xml: Xml) -> Iterator[Letter]:
    for element in xml.root.iter(*FILES):
        try:
            content = read_binary(element.text or "", xml.files)
        except ValueError:
            continue
        if content:
            media_type = element.get("mimeCode", element.get("mimeType", ""))
            yield Letter(element.get("filename", ""), media_type, content)


def texts_in(xml: Xml) -> Iterator[Letter]:
    for element in xml.root.iter(*TEXTS):
        text = (element.text or "").strip()
        if text.startswith("<"):
            # Characters already: the mark overrules what its declaration says.
            content = put_back(text, xml.files).encode("utf-8-sig")
            yield Letter(f"{root_name(content) or 'document'}.xml", "application/xml", content)

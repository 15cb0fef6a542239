"""Answers of the administration: what they speak of, and how they name it."""

import csv
from datetime import date

import pytest

from providers.formats import cdar
from providers.formats.cdar.model import NO_DAY, NO_NUMBER, NO_SIREN
from providers.norm.codes import STATUSES, Status

QUOTES = {
    "straight": '"FAC.2026.0417" "20261005000000" "403112071"',
    "curly": "“FAC.2026.0417” “20261005000000” “403112071”",
    "french": "« FAC.2026.0417 », « 20261005000000 » et « 403112071 »",
}


def answer(status="251", *, number=NO_NUMBER, day=f"{NO_DAY}000000", siren=NO_SIREN, note="", form="204"):
    """As the administration writes one; placeholders where nothing else is given."""
    details = (cdar.Detail(reason="REJ_SEMAN", notes=(note,) if note else (), rules=("G1.05",), places=("BT-1",)),)
    issued_on, seller = cdar.Moment(day, form), cdar.Actor(ids=(("0002", siren),))
    return cdar.Cdar(status=status, number=number, issued_on=issued_on, seller=seller, details=details).report()


def names(report):
    key = report.invoice_key
    return key and (key.number, key.issue_date, key.seller_siren, key.is_quoted)


@pytest.mark.parametrize("quotes", QUOTES.values(), ids=QUOTES)
def test_true_values_are_read_where_placeholders_stand(quotes):
    report = answer(note=f"Au moins une valeur ne respecte pas les contrôles : {quotes}")

    assert names(report) == ("FAC.2026.0417", date(2026, 10, 5), "403112071", True)


def test_only_a_placeholder_gives_way_to_the_text():
    report = answer(siren="905334413", day="20261007", form="102", note=QUOTES["straight"])

    assert names(report) == ("FAC.2026.0417", date(2026, 10, 7), "905334413", True)


def test_number_alone_is_a_name_where_no_more_is_quoted():
    assert names(answer(note='Numéro "FAC.2026.0417" refusé')) == ("FAC.2026.0417", None, "", True)


def test_placeholders_alone_name_nothing():
    assert names(answer(note="Rejet")) is None


@pytest.mark.parametrize(("day", "form"), [("20261005", "102"), ("20261005143000", "204"), ("20261005143000", "102")])
def test_date_of_8_or_14_digits(day, form):
    report = answer(number="FA-1", siren="403112071", day=day, form=form)

    assert names(report) == ("FA-1", date(2026, 10, 5), "403112071", False)


@pytest.mark.parametrize("status", sorted(Status.values))
def test_only_what_is_about_an_invoice_names_one(status):
    report = answer(status, number="FA-1", siren="403112071", day="20261005", form="102")
    is_named = STATUSES[status].object in ("invoice", "regulatory data")

    assert (report.invoice_key is not None, report.answers) == (is_named, "" if is_named else "FA-1")


def test_rule_and_place_of_a_fault_are_kept_with_its_reason():
    (reason,) = answer(note=QUOTES["straight"]).reasons

    assert (reason.code, reason.rule, reason.place) == ("REJ_SEMAN", "G1.05", "BT-1")


def test_answers_are_read_as_the_table_says(norm):
    folder = norm / "ereporting" / "answers"
    for row in csv.DictReader((folder / "expected.csv").read_text(encoding="utf-8").splitlines()):
        (told,) = cdar.read((folder / row["file"]).read_bytes())
        report = told.report()

        assert (told.status, told.number, report.issuer_role) == (
            row["status_mdt105"], row["reference_mdt87"], row["sender_role_mdt21"],
        )  # fmt: skip
        assert [reason.code for reason in report.reasons] == row["reasons"].split()
        assert "; ".join(reason.rule for reason in report.reasons) == "; ".join(row["rules_mdt125"].split())
        assert "; ".join(reason.place for reason in report.reasons) == row["fields_mdt127"]
        assert report.answers == ("" if told.status == "251" else row["reference_mdt87"])
        if row["placeholders"] == "yes":
            assert names(report) == ("FAC.2026.0417", date(2026, 10, 5), "403112071", True)

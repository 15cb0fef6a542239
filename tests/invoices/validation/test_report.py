"""The report of a verdict: readable, in the reader's language, safe, the raw rule one click away."""

from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.utils.translation import override
from lxml import html

from invoices.models import Validation
from invoices.register.services import store_document
from invoices.tasks import drain_validations
from invoices.validation import Finding, Place, Verdict, validate
from invoices.validation.report import shown_verdict
from invoices.validation.services import report_of
from invoices.validation.verdict import Outcome, as_json, from_json
from providers.contract.base import File
from tests.factories import make_invoice

SAMPLES = Path(__file__).parents[2] / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_bytes()


def broken(**values):
    defaults = {"rule": "BR-CO-15", "rule_set": "EN 16931", "is_fatal": True, "terms": ("BT-112",), "test": "a = b"}
    place = Place(path="Invoice/LegalMonetaryTotal", values=(("BT-112", "9.99"),), text="its own words", source_line=7)
    return Finding(**(defaults | {"places": (place,)} | values))


def verdict(*findings, outcome=Outcome.INVALID):
    return Verdict(outcome=outcome, rules_version="factur-x 1.0", syntax="ubl", findings=findings)


def rendered(*verdicts, **context):
    return html.fromstring(render_to_string("invoices/parts/validation_report.html", {"verdicts": verdicts, **context}))


def test_finding_is_told_in_the_readers_language():
    told = {}
    for language in ("en", "fr"):
        with override(language):
            (finding,) = shown_verdict(verdict(broken())).fatal
            (value,) = finding.places[0].values
            told[language] = (finding.problem, value.name, value.found)

    assert told["en"] == (
        "The total with VAT is not the total without VAT plus the VAT.",
        "Invoice total amount with VAT",
        "9.99",
    )
    assert told["fr"][1:] == ("Montant total de la facture avec la TVA", "9.99")
    assert told["fr"][0] != told["en"][0]


def test_problem_names_the_term_it_is_about():
    with override("en"):
        (finding,) = shown_verdict(verdict(broken(rule="BR-02", terms=("BT-1",)))).fatal

    assert finding.problem == "Invoice number (BT-1): missing."


def test_raw_rule_is_one_click_away():
    with override("en"):
        page = rendered(shown_verdict(verdict(broken())))

    (raw,) = page.xpath("//details")
    assert raw.get("open") is None
    assert [
        word in raw.text_content() for word in ("its own words", "a = b", "Invoice/LegalMonetaryTotal", "line 7")
    ] == [True] * 4
    raw.getparent().remove(raw)
    assert ("its own words" in page.text_content(), "9.99" in page.text_content()) == (False, True)


def test_what_a_file_says_is_shown_as_text():
    hostile = "<script>alert(1)</script>"
    place = Place(path=hostile, values=(("BT-112", hostile),), text=hostile, invoice_line=hostile)
    page = rendered(shown_verdict(verdict(broken(places=(place,), test=hostile)), hostile))

    assert page.xpath("//script") == []
    assert page.text_content().count(hostile) == 6


def test_missing_value_is_named_as_such():
    with override("en"):
        page = rendered(shown_verdict(verdict(broken(places=(Place(values=(("BT-112", ""),)),)))))

    assert page.xpath("//dd/em/text()") == ["nothing"]


def test_rule_broken_in_many_places_says_how_many():
    with override("en"):
        page = rendered(shown_verdict(verdict(broken(count=10_000))))

    assert "and 9999 more places" in page.text_content()


@pytest.mark.parametrize(("direction", "word"), [("received", "You can handle the invoice"), ("issued", "issue the")])
def test_note_fits_the_side_of_the_customer(direction, word):
    invoice = type("Shown", (), {"direction": direction, "pk": 1})()
    with override("en"):
        page = rendered(shown_verdict(verdict(broken())), invoice=invoice)

    (note,) = page.xpath("//p[contains(@class, 'report-note')]")
    assert word in note.text_content()


def test_finding_survives_its_storage():
    finding = broken(count=3, texts={"fr": "a", "en": "b"})

    assert from_json(as_json(finding)) == finding


def test_unreadable_file_is_told_in_the_readers_language():
    unreadable = validate(b"")
    words = set()
    for language in ("fr", "en"):
        with override(language):
            shown = shown_verdict(unreadable)
            words.add(shown.fatal[0].problem)

    assert (unreadable.outcome, unreadable.is_sendable, len(words)) == ("unreadable", False, 2)


def test_unknown_profile_is_checked_as_the_european_norm_with_a_warning():
    content = UBL.replace(b"urn:cen.eu:en16931:2017", b"urn:example:profile")
    assert content != UBL
    checked = validate(content)

    assert checked.checked == ("XSD UBL 2.1 Invoice", "EN 16931", "BR-FR-Flux2")
    assert [finding.rule for finding in checked.warnings] == ["PROFILE"]
    with override("en"):
        (warning,) = shown_verdict(checked).warnings
    assert warning.problem == (
        "The profile urn:example:profile is not one of the French reform. The file was checked as EN 16931."
    )


@pytest.mark.django_db
def test_report_of_an_invoice_costs_one_query(django_assert_num_queries):
    invoice = make_invoice()
    store_document(invoice=invoice, file=File(kind="original", content=UBL, filename="f.xml"))
    with django_assert_num_queries(1):
        (waiting,) = report_of(invoice)["verdicts"]
    assert (waiting.document, waiting.outcome, waiting.waits) == ("f.xml", "", True)
    drain_validations()

    (shown,) = report_of(invoice)["verdicts"]
    assert (shown.outcome, shown.tone, shown.waits, shown.is_current) == ("invalid", "bad", False, True)
    assert [finding.rule for finding in shown.fatal if finding.rule.startswith("BR-FR-05")] == [
        "BR-FR-05_BT-22-2",
        "BR-FR-05_BT-22-3",
    ]


@pytest.mark.django_db
def test_given_up_check_says_why():
    invoice = make_invoice()
    store_document(invoice=invoice, file=File(kind="original", content=UBL))
    Validation.objects.update(state="given_up", error="Worn out.")

    (shown,) = report_of(invoice)["verdicts"]
    assert (shown.error, shown.outcome, "Worn out." in rendered(shown).text_content()) == ("Worn out.", "", True)


@pytest.mark.django_db
def test_invoice_without_a_file_has_an_empty_report():
    assert report_of(make_invoice()) == {"verdicts": []}
    assert rendered().xpath("//p[@class='empty']")

"""The words of a report: names of business terms, what a rule means, what to do."""

import re
from pathlib import Path

import pytest
from django.utils.translation import override
from lxml import etree

from invoices.validation import rule_sets
from invoices.validation.advice import OTHER, advice_for
from invoices.validation.places import Document
from providers.formats.en16931.mapping import NAMESPACES
from providers.formats.en16931.reader import open_invoice, read_invoice
from providers.formats.en16931.terms import all_terms, find_term, term_at, terms_in

SAMPLES = Path(__file__).parents[2] / "samples" / "invoices"
RULE_SETS = {
    each.file: each
    for each in (*rule_sets.UBL_RULES.values(), *rule_sets.PROFILE_RULES.values(), rule_sets.FR_UBL, rule_sets.FR_CII)
}
ASSERTION = re.compile(r"<svrl:(failed-assert|successful-report)(.*?)</svrl:\1>", re.DOTALL)
# Terms of the edition of EN 16931 to come (2026), and rare ones of Factur-X EXTENDED.
UNNAMED_TERMS = re.compile(r"BT-(17[3-9]|19[345]|X-\d+)|BT-4")


def published(rule_set):
    return rule_sets.schematron(rule_set).stylesheet.read_text(encoding="utf-8")


def rules_of(rule_set):
    for _kind, body in ASSERTION.findall(published(rule_set)):
        found = re.search(r'name="id">([^<]+)<', body)
        yield (found[1] if found else rule_sets.UNNAMED), re.sub("<[^>]+>", " ", body.partition("<svrl:text>")[2])


def test_term_has_its_names_in_both_languages():
    term = find_term("BT-31")

    with override("fr"):
        assert (term.name, term.other_name) == ("TVA intracommunautaire du vendeur", "Seller VAT identifier")
    with override("en"):
        assert (term.name, term.other_name) == ("Seller VAT identifier", "TVA intracommunautaire du vendeur")


def test_every_term_of_the_european_norm_is_there():
    """BT-4 was never given out."""
    terms = {f"BT-{number}" for number in range(1, 166) if number != 4}
    groups = {f"BG-{number}" for number in range(1, 33)}

    assert (terms | groups) - set(all_terms()) == set()


def test_terms_are_named_in_good_typography_and_found_by_valid_paths():
    for term in all_terms().values():
        assert (bool(term.en), bool(term.fr), "'" in term.fr, term.fr == term.en) == (True, True, False, False), term
        for path in filter(None, (term.ubl, term.cii)):
            etree.XPath(path, namespaces=NAMESPACES)
            assert "{" not in path


@pytest.mark.parametrize("rule_set", RULE_SETS.values(), ids=RULE_SETS)
def test_terms_of_the_installed_rules_are_known(rule_set):
    named = re.findall(
        r"(?<![A-Za-z0-9-])(?:EXT-FR-FE-(?:BG-)?\d+|B[TG]-(?:X-)?\d+)(?![A-Za-z0-9])", published(rule_set)
    )

    assert {code for code in named if code not in all_terms() and not UNNAMED_TERMS.fullmatch(code)} == set()


@pytest.mark.parametrize("rule_set", RULE_SETS.values(), ids=RULE_SETS)
def test_installed_rules_have_our_words(rule_set):
    without = {rule for rule, _text in rules_of(rule_set) if advice_for(rule) is OTHER}

    assert without - {"BR-FXEXT-S08b", "BR-FXEXT-CII-DT-097a"} == set()


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("[BR-FR-09/BT-29] : Le SIRET", ["BT-29"]),
        ("BR-FR-05_BT-22-1", ["BT-22"]),
        ("BR-FR-CO-10_BT-71-1 (BT-71)", ["BT-71-1", "BT-71"]),
        ("BR-FR-DEC-01_BT-92_BT-99", ["BT-92", "BT-99"]),
        ("(BT-x-272) or (EXT-FR-FE-163 / BT-X-8)", ["BT-X-272", "EXT-FR-FE-163", "BT-X-8"]),
        ("BT-9999 and ABT-1", []),
    ],
)
def test_terms_are_found_in_the_words_of_rules(text, codes):
    assert list(terms_in(text)) == codes


@pytest.mark.parametrize(
    ("syntax", "place", "code"),
    [
        ("ubl", "cbc:DueDate", "BT-9"),
        ("ubl", "*/cac:Item/cbc:Name", "BT-153"),
        ("cii", "rsm:ExchangedDocument/ram:TypeCode", "BT-3"),
        ("cii", "rsm:ExchangedDocument/ram:Nothing", ""),
    ],
)
def test_term_is_known_by_its_place(syntax, place, code):
    assert term_at(syntax, place) == code


HEADER_TERMS = {
    "BT-1": "number",
    "BT-3": "type_code",
    "BT-5": "currency",
    "BT-23": "process",
    "BT-24": "profile",
    "BT-109": "total_without_vat",
    "BT-110": "total_vat",
    "BT-112": "total_with_vat",
    "BT-115": "amount_due",
}
PARTY_TERMS = {
    "BT-27": ("seller", "name"),
    "BT-30": ("seller", "siren"),
    "BT-34": ("seller", "electronic_address"),
    "BT-44": ("buyer", "name"),
    "BT-47": ("buyer", "siren"),
    "BT-49": ("buyer", "electronic_address"),
}


@pytest.mark.parametrize("name", ["invoice.ubl.xml", "credit-note.ubl.xml", "invoice.cii.xml"])
def test_paths_find_what_the_reader_reads(name):
    content = (SAMPLES / name).read_bytes()
    opened, invoice = open_invoice(content), read_invoice(content)
    document = Document(opened.root, opened.syntax)

    def found(codes):
        return dict(document.values(opened.root, codes))

    assert found(HEADER_TERMS) == {code: str(getattr(invoice, field)) for code, field in HEADER_TERMS.items()}
    assert found(PARTY_TERMS) == {
        code: getattr(getattr(invoice, party), field) for code, (party, field) in PARTY_TERMS.items()
    }
    line = invoice.lines[0]
    assert found(["BT-126", "BT-129", "BT-130", "BT-131", "BT-146", "BT-151", "BT-153"]) == {
        "BT-126": line.number,
        "BT-129": str(line.quantity),
        "BT-130": line.unit,
        "BT-131": str(line.net_amount),
        "BT-146": str(line.net_price),
        "BT-151": line.vat_category,
        "BT-153": line.name,
    }

"""Every failure is told in whole words: which field, which value, what to do."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override
from lxml import etree

from providers.formats import cdar
from providers.formats.cdar import files
from providers.formats.cdar.finding import FIELDS, field_at
from providers.formats.cdar.official import WORDS, findings
from providers.formats.schematron import Failure

from .messages import make_message


def rules_of_the_stylesheet() -> set[str]:
    text = (files.folder() / files.RULES).read_text(encoding="utf-8")
    return set(re.findall(r'<xsl:attribute name="id">(BR-FR-(?:CDV-|04)[^<]*_MD[^<]*)</xsl:attribute>', text))


def test_every_official_rule_has_its_words():
    assert rules_of_the_stylesheet() ^ WORDS.keys() == set()


def test_every_field_a_rule_speaks_of_has_a_name():
    spoken = {words.field for words in WORDS.values()} | {rule.field for rule in cdar.rules.RULES}

    assert spoken - FIELDS.keys() == set()


@pytest.mark.parametrize("rule", sorted(WORDS))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_words_of_an_official_rule_leave_no_blank(rule, language):
    message = make_message("207")
    content = cdar.write(message)
    with override(language):
        words = str(
            cdar.official.explain(Failure(rule, True, "", ""), etree.fromstring(content), cdar.compose(message))
        )

    assert "{" not in words
    assert re.search(r"[.…]$", words)


def test_rule_of_a_newer_version_speaks_for_itself():
    failure = Failure("BR-FR-CDV-99_MDT-87", False, "[BR-FR-CDV-99/MDT-87] : Le numéro est trop long.", "")
    message = make_message("207")
    finding = cdar.official.explain(failure, etree.fromstring(cdar.write(message)), cdar.compose(message))

    assert (finding.rule, finding.field, finding.is_fatal) == ("BR-FR-CDV-99_MDT-87", "MDT-87", False)
    assert finding.advice == "Le numéro est trop long."


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("CrossDomain/ExchangedDocument/IssuerTradeParty/GlobalID", "MDT-38"),
        ("CrossDomain/AcknowledgementDocument/ReferenceReferencedDocument/IssuerTradeParty/GlobalID", "MDT-129"),
        ("CrossDomain/AcknowledgementDocument/IssueDateTime/DateTimeString", "MDT-78"),
        ("CrossDomain/ExchangedDocument/IssueDateTime/DateTimeString", "MDT-8"),
        ("CrossDomain/Nowhere", ""),
    ],
)
def test_place_in_the_message_is_a_field(path, field):
    assert field_at(path) == field


def test_fault_of_the_schema_names_field_and_line():
    content = cdar.write(make_message("207")).replace(b"<ram:SequenceNumeric>1<", b"<ram:SequenceNumeric>first<")
    root = etree.fromstring(content)
    (finding,) = findings(root, cdar.read(content))

    assert (finding.rule, finding.field) == ("XSD", "MDT-124-2")
    assert "first" in str(finding.advice)


def test_page_lists_every_rule_of_ours():
    page = (Path(settings.BASE_DIR) / "docs" / "cdar.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(NV-[a-z-]+)` \| (\S+) \| (fatal|warning) \|", page, re.MULTILINE)

    assert rows == [(rule.id, rule.field, "fatal" if rule.is_fatal else "warning") for rule in cdar.rules.RULES]

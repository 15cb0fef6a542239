"""Saxon in one thread per process: shared by threads, refused after a fork, closed to the outside."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings
from lxml import etree

from providers.formats.schematron import Failure, Schematron, find_node

RULES = """\
<xsl:stylesheet version="2.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:svrl="http://purl.oclc.org/dsdl/svrl">
  <xsl:template match="/">
    <svrl:schematron-output>
      <xsl:for-each select="//amount[number(.) lt 0]">
        <svrl:failed-assert id="R-1"
            location="/*:list[namespace-uri()=''][1]/*:amount[namespace-uri()=''][{position()}]">
          <xsl:attribute name="flag" select="if (@soft) then 'warning' else 'fatal'"/>
          <svrl:text>Amount  <xsl:value-of select="."/>
             is negative.</svrl:text>
        </svrl:failed-assert>
      </xsl:for-each>
      <xsl:if test="//amount[. = 'read']"><svrl:successful-report id="R-2">
        <svrl:text><xsl:value-of select="unparsed-text(//amount/@href)"/></svrl:text>
      </svrl:successful-report></xsl:if>
    </svrl:schematron-output>
  </xsl:template>
</xsl:stylesheet>
"""
FORKED = """
import os, sys
from pathlib import Path
from lxml import etree
from providers.formats.schematron import ForkedTooLate, Schematron
rules, root = Schematron(Path(sys.argv[1])), etree.fromstring("<list><amount>-1</amount></list>")
if sys.argv[2] == "before":
    rules.check(root)
child = os.fork()
if child == 0:
    try:
        rules.check(root)
    except ForkedTooLate:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""


@pytest.fixture
def rules(tmp_path: Path) -> Schematron:
    (tmp_path / "rules.xslt").write_text(RULES)
    return Schematron(tmp_path / "rules.xslt")


def test_failures_come_with_rule_weight_text_and_place(rules):
    root = etree.fromstring('<list><amount>-1</amount><amount soft="">-2</amount><amount>3</amount></list>')

    assert rules.check(root) == [
        Failure(
            "R-1", True, "Amount -1 is negative.", "/*:list[namespace-uri()=''][1]/*:amount[namespace-uri()=''][1]"
        ),
        Failure(
            "R-1", False, "Amount -2 is negative.", "/*:list[namespace-uri()=''][1]/*:amount[namespace-uri()=''][2]"
        ),
    ]


def test_threads_get_their_own_answers(rules):
    roots = [etree.fromstring("<list>" + "<amount>-1</amount>" * count + "</list>") for count in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(rules.check, roots))

    assert [len(answer) for answer in answers] == list(range(40))


def test_rules_open_no_file(rules, tmp_path):
    (tmp_path / "secret.txt").write_text("hush")
    root = etree.Element("list")
    etree.SubElement(root, "amount", href=(tmp_path / "secret.txt").as_uri()).text = "read"

    with pytest.raises(Exception, match=r"secret\.txt") as caught:
        rules.check(root)
    assert "hush" not in str(caught.value)


def test_rules_that_do_not_compile_are_an_error_each_time(tmp_path):
    (tmp_path / "broken.xslt").write_text("<xsl:stylesheet")
    rules = Schematron(tmp_path / "broken.xslt")

    for _turn in range(2):
        with pytest.raises(Exception, match=r"compil|XML|parse|XSLT"):
            rules.check(etree.Element("list"))


@pytest.mark.parametrize(("started", "ended"), [("before", "7"), ("after", "0")])
def test_process_forked_too_late_refuses_instead_of_crashing(tmp_path, started, ended):
    (tmp_path / "rules.xslt").write_text(RULES)
    command = [sys.executable, "-c", FORKED, str(tmp_path / "rules.xslt"), started]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env={**os.environ}, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == ended


def test_location_leads_to_its_element():
    root = etree.fromstring('<a xmlns="urn:x"><b/><b><c>1</c></b><b xmlns="urn:y"/></a>')
    steps = "/*:a[namespace-uri()='urn:x'][1]/*:b[namespace-uri()='urn:x'][2]/*:c[namespace-uri()='urn:x'][1]"

    found = find_node(root, steps)
    assert found is not None
    assert found.text == "1"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "/*:b[namespace-uri()='urn:x'][1]",
        "/*:a[namespace-uri()='urn:x'][1]/*:b[namespace-uri()='urn:x'][9]",
        "/*:a[namespace-uri()='urn:x'][1]/*:b[namespace-uri()='urn:x'][0]",
        "/*:a[namespace-uri()='urn:x'][1]/@id",
        "/a/b",
    ],
)
def test_location_that_leads_nowhere_gives_none(location):
    assert find_node(etree.fromstring('<a xmlns="urn:x"><b/></a>'), location) is None

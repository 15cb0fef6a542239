"""Each odd file has one clear outcome: how it is read, that it is kept byte for byte, and its verdict."""

import base64
import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from django.conf import settings
from django.utils.translation import override

from invoices.models import Invoice, Validation
from invoices.register.services import receive_invoice
from invoices.register.stored import read_stored_original
from invoices.tasks import drain_validations
from invoices.validation import validate
from invoices.validation.runner import MAX_RULED_ELEMENTS
from providers.contract.base import File, InvoiceReport, Party
from providers.formats.xml import MAX_XML_MARKS
from tests.factories import SIREN, make_connection, make_customer, make_line
from tests.invoices.odd_files import CII, MB, UBL, body, pdf, with_doctype, with_lines

LAUGHS = '<!DOCTYPE i [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
INCLUDE = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/hostname" parse="text"/>'
BOMB = bytes(200 * MB)
EMPTY = "An attachment is empty. Ask the sender for it."
TOO_LARGE = "The attachment {} is too large or damaged to be opened here; it is still in the PDF."


@pytest.fixture(scope="module")
def plain():
    """The fatal rules that the samples themselves break."""
    return {text: {finding.rule for finding in validate(text.encode()).fatal} for text in (UBL, CII)}


def take_in(content, **claims):
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    report = InvoiceReport(provider_ref="odd", direction="received", number="F-1", buyer=Party(siren=SIREN))
    file = File(kind="original", content=content, **claims)
    with override("en"):
        receive_invoice(connection=connection, report=report, files=[file])
    drain_validations()
    return Invoice.objects.get(), Validation.objects.get()


def kept_bytes(invoice):
    with invoice.original.file.open() as file:
        return file.read()


READ = {
    "latin-1": (UBL, ('<?xml version="1.0" encoding="ISO-8859-1"?>' + body(UBL)).encode("latin-1"), []),
    "byte order mark": (UBL, b"\xef\xbb\xbf" + UBL.encode(), []),
    "UTF-16": (UBL, ('<?xml version="1.0" encoding="UTF-16"?>' + body(UBL)).encode("utf-16"), []),
    "empty attachment": (UBL, UBL.replace("YTtiCjE7Mgo=", "").encode(), [EMPTY]),
    "empty attachment in a PDF": (
        CII,
        pdf(("factur-x.xml", CII.encode()), ("a.txt", b"")),
        ["The attachment a.txt is empty. Ask the sender for it."],
    ),
    "zip bomb beside the invoice": (
        CII,
        pdf(("a.bin", BOMB), ("factur-x.xml", CII.encode()), compress=True),
        [TOO_LARGE.format("a.bin")],
    ),
    "zip bomb as attachment": (
        UBL,
        UBL.replace("YTtiCjE7Mgo=", base64.b64encode(gzip.compress(BOMB)).decode()).encode(),
        [],
    ),
    "attachment of 8 MB": (UBL, UBL.replace("YTtiCjE7Mgo=", base64.b64encode(bytes(8 * MB)).decode()).encode(), []),
    "more attachments than are opened": (
        CII,
        pdf(("a.bin", bytes(60 * MB)), ("b.bin", bytes(20 * MB)), ("factur-x.xml", CII.encode()), compress=True),
        [TOO_LARGE.format("b.bin")],
    ),
    "future date": (
        UBL,
        UBL.replace("2026-10-04<", "2088-10-04<").replace("2026-11-03<", "2088-11-03<").encode(),
        ["The invoice is dated in the future: 2088-10-04."],
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "content", "warnings"), READ.values(), ids=READ)
def test_odd_file_is_read_kept_and_checked_like_a_plain_one(plain, source, content, warnings):
    invoice, verdict = take_in(content)

    assert (invoice.document_state, invoice.number) == ("read", "PH-2026-101" if source is UBL else "PH-2026-102")
    assert invoice.warnings == warnings
    assert kept_bytes(invoice) == content
    assert {finding["rule"] for finding in verdict.findings if finding["is_fatal"]} == plain[source]


REFUSED = {
    "empty": (b"", "empty"),
    "PDF without XML": (pdf(("notes.txt", b"x")), "pdf_without_invoice"),
    "two XMLs": (pdf(("factur-x.xml", CII.encode()), ("xrechnung.xml", CII.encode() + b" ")), "several_invoices"),
    "encrypted PDF": (pdf(("factur-x.xml", CII.encode()), password="x"), "encrypted_pdf"),
    "zip bomb in place of the invoice": (pdf(("factur-x.xml", BOMB), compress=True), "too_large"),
    "hundreds of files": (pdf(*[(f"{n}.txt", b"x") for n in range(150)], ("factur-x.xml", b"")), "too_large"),
    "gzip": (gzip.compress(UBL.encode()), "not_an_invoice"),
    "DOCTYPE": (with_doctype("<!DOCTYPE Invoice>"), "document_type"),
    "DOCTYPE in a PDF": (pdf(("factur-x.xml", b"<!DOCTYPE a>" + CII.encode()[38:])), "document_type"),
    "billion laughs": (with_doctype(LAUGHS), "document_type"),
    "external entity": (with_doctype('<!DOCTYPE i [<!ENTITY a SYSTEM "file:///etc/hostname">]>'), "document_type"),
    "huge text node": (UBL.replace("PH-2026-101", "9" * 10_500_000).encode(), "too_complex"),
    "millions of elements": (
        UBL.replace("<cbc:Note>", "<cbc:Note>" + "<a/>" * MAX_XML_MARKS, 1).encode(),
        "too_complex",
    ),
    "21 MB of XML": (UBL.replace("Merci", "Merci" + "<!-- -->" * 2_750_000).encode(), "too_large"),
    "cut off": (UBL[:2000].encode(), "malformed"),
    "wrong encoding": (UBL.encode("latin-1"), "encoding"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED)
def test_odd_file_is_refused_for_its_reason_and_kept(content, code):
    invoice, verdict = take_in(content)

    assert (invoice.document_state, invoice.number, bool(invoice.document_error)) == ("unreadable", "F-1", True)
    assert kept_bytes(invoice) == content
    assert (verdict.outcome, [finding["rule"] for finding in verdict.findings]) == ("unreadable", [code])
    assert set(verdict.findings[0]["texts"]) == {"fr", "en"}
    assert (invoice.validation, verdict.state) == ("unreadable", "done")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["facture.pdf", "facture.PDF"])
def test_wrong_extension_is_read_with_a_warning(name):
    invoice, _verdict = take_in(CII.encode(), filename=name, media_type="application/pdf")

    assert (invoice.document_state, invoice.warnings) == ("read", ["The file was announced as PDF but contains XML."])


@pytest.mark.django_db
def test_xinclude_is_not_followed_and_fails_the_schema():
    invoice, verdict = take_in(UBL.replace("PH-2026-101", INCLUDE).encode())

    assert (invoice.document_state, invoice.number) == ("read", "F-1")
    assert (verdict.outcome, {finding["rule"] for finding in verdict.findings}) == ("invalid", {"XSD"})


VAT_IN_EUROS = '<cac:TaxTotal><cbc:TaxAmount currencyID="EUR">230.00</cbc:TaxAmount></cac:TaxTotal>'
ODD_CONTENT = {
    "negative totals": (
        UBL.replace(">1481.40<", ">-1481.40<").replace(">1234.50<", ">-1234.50<").replace(">246.90<", ">-246.90<")
        .replace(">10<", ">-10<"),
        set(),
    ),
    "foreign currency": (UBL.replace("EUR", "USD"), {"BR-FR-CO-12_BT-5"}),
    "foreign currency with the VAT in euros": (
        UBL.replace("EUR", "USD")
        .replace(
            "<cbc:DocumentCurrencyCode>USD</cbc:DocumentCurrencyCode>",
            "<cbc:DocumentCurrencyCode>USD</cbc:DocumentCurrencyCode><cbc:TaxCurrencyCode>EUR</cbc:TaxCurrencyCode>",
        )
        .replace("</cac:TaxTotal>", f"</cac:TaxTotal>{VAT_IN_EUROS}"),
        set(),
    ),
    "unknown currency": (UBL.replace("EUR", "XXQ"), {"BR-CL-03", "BR-CL-04", "BR-FR-CO-12_BT-5"}),
    "a year beyond 2099": (
        UBL.replace("2026-10-04<", "2199-10-04<").replace("2026-11-03<", "2199-11-03<"),
        {"BR-FR-03_BT-2", "BR-FR-03_BT-9"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "rules"), ODD_CONTENT.values(), ids=ODD_CONTENT)
def test_odd_content_breaks_these_rules_and_no_others(plain, content, rules):
    assert {finding.rule for finding in validate(content.encode()).fatal} - plain[UBL] == rules


@pytest.mark.django_db
def test_negative_totals_are_kept_as_they_are():
    invoice, _verdict = take_in(ODD_CONTENT["negative totals"][0].encode())

    assert (invoice.total_with_vat, invoice.total_vat) == (Decimal("-1481.40"), Decimal("-246.90"))
    assert invoice.warnings == ["The total is negative although this is not a credit note."]


@pytest.mark.django_db
def test_foreign_currency_is_kept(plain):
    invoice, _verdict = take_in(ODD_CONTENT["foreign currency with the VAT in euros"][0].encode())

    parsed = read_stored_original(invoice)
    assert (invoice.currency, invoice.total_vat) == ("USD", Decimal("246.90"))
    assert (parsed.vat_currency, parsed.total_vat_in_vat_currency) == ("EUR", Decimal("230.00"))


def test_longest_invoices_are_checked_by_their_schema_only():
    note = "<cbc:Note>Merci de votre commande.</cbc:Note>"
    verdict = validate(UBL.replace(note, note * MAX_RULED_ELEMENTS).encode())

    assert (verdict.outcome, verdict.checked) == ("warnings", ("XSD UBL 2.1 Invoice",))
    assert [finding.rule for finding in verdict.findings] == ["LENGTH"]


def test_rule_broken_on_every_line_is_one_finding():
    source = UBL.replace("<cbc:Percent>20</cbc:Percent>", "<cbc:Percent>19</cbc:Percent>")
    found = {finding.rule: finding for finding in validate(with_lines(200, source)).findings}

    finding = found["BR-FR-16_BT-152"]
    assert (finding.count, len(finding.places)) == (200, 5)
    assert finding.places[4].values == (("BT-152", "19"),)


# In a process of its own, so that nothing else of this test run counts.
MEASURE = """
import json, re, sys
import django
django.setup()
from providers.formats.en16931.reader import read_invoice

def peak():
    # Not ru_maxrss: that is inherited from the process which started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

before = peak()
invoice = read_invoice(open(sys.argv[1], "rb").read())
print(json.dumps([peak() - before, len(invoice.lines), invoice.number]))
"""


def ubl_with_file(megabytes, encoding="utf-8", text=UBL):
    file = base64.encodebytes(os.urandom(megabytes * MB)).decode()
    return text.replace("YTtiCjE7Mgo=", file).encode(encoding)


LARGE = {
    "100 MB Factur-X": (lambda: pdf(("factur-x.xml", CII.encode()), padding=os.urandom(100 * MB)), 1, 260),
    "attachments of 100 MB": (
        lambda: pdf(("a", os.urandom(50 * MB)), ("b", os.urandom(50 * MB)), ("factur-x.xml", CII.encode())),
        1,
        400,
    ),
    "10,000 lines": (lambda: with_lines(10_000), 10_000, 200),
    "10,000 lines of CII": (lambda: with_lines(10_000, CII), 10_000, 200),
    "UBL with a file of 8 MB": (lambda: ubl_with_file(8), 1, 40),
    "UBL with a file of 20 MB": (lambda: ubl_with_file(20), 1, 80),
    "UTF-16 with a file of 20 MB": (lambda: ubl_with_file(20, "utf-16"), 1, 150),
}


@pytest.mark.parametrize(("make", "lines", "megabytes"), LARGE.values(), ids=LARGE)
def test_large_file_is_read_in_bounded_memory(tmp_path, make, lines, megabytes):
    """`megabytes` is the limit for the file and all that reading it takes."""
    (tmp_path / "invoice").write_bytes(make())
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(settings.BASE_DIR)}
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "invoice")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    taken, found, number = json.loads(ran.stdout)
    print(f"{(tmp_path / 'invoice').stat().st_size // MB} MB with {found} lines: {taken} MB")
    assert (found, bool(number), taken < megabytes) == (lines, True, True)


# The rules are compiled first: what they need is not what the file needs.
MEASURE_RULES = (
    MEASURE.replace("providers.formats.en16931.reader import read_invoice", "invoices.validation import validate")
    .replace(
        """invoice = read_invoice(open(sys.argv[1], "rb").read())
print(json.dumps([peak() - before, len(invoice.lines), invoice.number]))""",
        """verdict = validate(open(sys.argv[1], "rb").read())
print(json.dumps([peak() - before, [finding.rule for finding in verdict.findings]]))""",
    )
    .replace("before = peak()", """validate(open(sys.argv[2], "rb").read())\nbefore = peak()""")
)


def test_large_embedded_file_is_checked_in_bounded_memory(tmp_path):
    (tmp_path / "invoice").write_bytes(ubl_with_file(20))
    (tmp_path / "small").write_bytes(UBL.encode())
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(settings.BASE_DIR)}
    command = [sys.executable, "-c", MEASURE_RULES, str(tmp_path / "invoice"), str(tmp_path / "small")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    taken, rules = json.loads(ran.stdout)
    print(f"27 MB checked in {taken} MB")
    assert (rules, taken < 80) == ([finding.rule for finding in validate(UBL.encode()).findings], True)


@pytest.mark.django_db
def test_credit_note_with_negative_totals_is_named():
    note = ODD_CONTENT["negative totals"][0].replace(">380<", ">381<")
    invoice, _verdict = take_in(note.encode())

    assert (invoice.total_with_vat, invoice.debt) == (Decimal("-1481.40"), Decimal("-1481.40"))
    assert invoice.warnings == [
        "Credit note PH-2026-101 has negative totals: it lowers what is owed, as with positive ones.",
    ]

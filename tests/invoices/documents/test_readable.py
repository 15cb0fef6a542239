import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.html import escape
from django.utils.translation import override

from providers.formats.en16931.labels import frame_label
from providers.formats.en16931.readable import readable_context, render_readable
from providers.formats.en16931.reader import read_invoice

SAMPLES = Path(settings.BASE_DIR) / "tests" / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_text(encoding="utf-8")
NBSP = "\u00a0"


def amount_due(html):
    return re.search(r'<p class="doc-due">.*<strong>(.*)</strong>', html)[1]


@pytest.mark.parametrize(
    ("language", "amount"), [("fr", f"1{NBSP}481,40{NBSP}€"), ("en", f"1,481.40{NBSP}€")], ids=["fr", "en"]
)
def test_amount_is_written_for_the_reader(language, amount):
    with override(language):
        html = render_readable(read_invoice(UBL.encode()))

    assert amount_due(html) == amount


def test_value_with_markup_is_escaped_everywhere():
    attack = '<script>alert("x")</script>'
    hostile = re.sub(r">([^<>\s][^<>]*)</cbc:(ID|Note|Name|RegistrationName|StreetName)>", r">\1@@</cbc:\2>", UBL)

    html = render_readable(read_invoice(hostile.replace("@@", escape(attack)).encode()))

    assert html.count("<script") == 0
    assert html.count(escape(attack)) > 5


def test_view_carries_no_inline_style_or_handler():
    html = render_readable(read_invoice(UBL.encode()))

    assert re.findall(r"<(?:script|style)|\s(?:style|on[a-z]+)=", html) == []


def test_attachment_is_linked_where_the_page_has_an_address():
    invoice = read_invoice(UBL.encode())

    html = render_readable(invoice, attachment_url=lambda index, file: f"/files/{index}/{file.filename}")

    assert re.findall(r'<a href="([^"]*)"', html) == ["/files/0/bl-12.csv"]
    assert re.findall(r"<a ", render_readable(invoice)) == []


@pytest.mark.parametrize(
    ("url", "links"),
    [
        ("https://example.test/a.pdf", ["https://example.test/a.pdf"]),
        ("javascript:alert(1)", []),
        ("file:///etc/passwd", []),
    ],
)
def test_address_given_by_the_sender_is_linked_only_on_the_web(url, links):
    external = f"<cac:ExternalReference><cbc:URI>{url}</cbc:URI></cac:ExternalReference>"
    content = re.sub(r"<cbc:EmbeddedDocumentBinaryObject.*</cbc:EmbeddedDocumentBinaryObject>", external, UBL)

    html = render_readable(read_invoice(content.encode()))

    assert re.findall(r'<a href="([^"]*)"', html) == links


def test_credit_note_is_marked():
    html = render_readable(read_invoice((SAMPLES / "credit-note.ubl.xml").read_bytes()))

    assert html.count('<article class="doc doc--credit-note">') == 1


@pytest.mark.parametrize(
    ("code", "meaning"), [("S1", "Services, ordinary invoice"), ("S3", "Services"), ("M3", ""), ("A1", ""), ("", "")]
)
def test_frame_is_explained_only_where_published(code, meaning):
    with override("en"):
        assert frame_label(code) == meaning


def test_long_invoice_is_cut_on_the_page_and_says_so():
    invoice = read_invoice(UBL.encode())
    long = replace(invoice, lines=invoice.lines * 1200)

    with override("en"):
        html, whole = render_readable(long), render_readable(replace(invoice, lines=invoice.lines * 500))

    assert (html.count('<tr class="doc-line">'), whole.count('<tr class="doc-line">')) == (500, 500)
    assert (html.count("Only the first 500 of 1200 lines are shown."), whole.count("Only the first")) == (1, 0)


@pytest.mark.parametrize(
    ("account", "remark"),
    [
        ("FR76 3000 6000 0112 3456 7890 189", "check digits right"),
        ("FR7630006000011234567890188", "The check digits of this IBAN are wrong: ask the supplier before paying."),
        ("12345678901", "not an IBAN"),
    ],
)
def test_account_is_checked(account, remark):
    content = UBL.replace("FR7630006000011234567890189", account)

    with override("en"):
        invoice = read_invoice(content.encode())
        html = render_readable(invoice)
        warned = [str(warning) for warning in invoice.warnings if "IBAN" in str(warning)]

    assert re.findall(r'class="doc-check[^>]*>([^<]*)<', html) == [remark]
    assert warned == (
        ["The IBAN FR7630006000011234567890188 is not valid. Ask the supplier before paying."]
        if remark.startswith("The check")
        else []
    )


def test_legal_notes_stand_apart():
    with override("en"):
        html = render_readable(read_invoice(UBL.encode()))

    sections = re.findall(r"<h3>(Legal notes|Notes)</h3>.*?</section>", html, re.DOTALL)
    assert sections == ["Legal notes", "Notes"]
    legal = html[html.index("<h3>Legal notes") : html.index("<h3>Notes")]
    assert (legal.count("Frais de recouvrement"), legal.count("Merci de votre commande")) == (1, 0)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("B2BINT", "B2BINT – International, entre entreprises (e-reporting)"), ("AUTRE", "AUTRE")],
)
def test_kind_of_business_is_told_in_words(written, shown):
    content = UBL.replace("<cbc:Note>", f"<cbc:Note>#BAR#{written}</cbc:Note><cbc:Note>", 1)

    with override("fr"):
        header = readable_context(read_invoice(content.encode()), None)["header"]

    assert [fact.value for fact in header if str(fact.name) == "Traitement"] == [shown]

"""Whose rules an invoice must keep: the French ones bind whom the reform binds."""

import re
from pathlib import Path

import pytest

from invoices.models import Validation
from invoices.register.services import store_document
from invoices.validation import validate
from invoices.validation.services import drain
from providers.contract.base import File
from tests.factories import make_invoice

UBL = (Path(__file__).parents[2] / "samples" / "invoices" / "invoice.ubl.xml").read_text()
PEPPOL = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
XRECHNUNG = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
FRENCH_RULES = "BR-FR-Flux2"


def invoice_of(country="BE", vat_number="BE0403170701", siren="", frame="urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"):
    """The sample, issued by somebody else."""
    start, end = UBL.index("<cac:AccountingSupplierParty>"), UBL.index("</cac:AccountingSupplierParty>")
    seller = UBL[start:end].replace('schemeID="0225"', 'schemeID="EM"')
    seller = re.sub("<cac:PartyIdentification>.*?</cac:PartyIdentification>", "", seller, flags=re.DOTALL)
    company = f'<cbc:CompanyID schemeID="0002">{siren}</cbc:CompanyID>' if siren else ""
    seller = re.sub('<cbc:CompanyID schemeID="0002">.*?</cbc:CompanyID>', company, seller)
    seller = re.sub("<cac:PartyTaxScheme>.*?</cac:PartyTaxScheme>", "", seller, flags=re.DOTALL)
    tax = (
        f"<cac:PartyTaxScheme><cbc:CompanyID>{vat_number}</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID>"
        "</cac:TaxScheme></cac:PartyTaxScheme>"
    )
    seller = seller.replace("<cac:PartyLegalEntity>", f"{tax if vat_number else ''}<cac:PartyLegalEntity>")
    seller = re.sub("<cbc:IdentificationCode>.*?<", f"<cbc:IdentificationCode>{country}<", seller)
    text = UBL[:start] + seller + UBL[end:]
    return re.sub("<cbc:ProfileID>.*?<", f"<cbc:ProfileID>{frame}<", text).encode()


@pytest.mark.parametrize(
    ("values", "rule", "basis"),
    [
        ({}, "", "abroad:BE"),
        ({"country": "DE", "vat_number": "DE136695976"}, "", "abroad:DE"),
        ({"frame": "S1"}, "", "abroad:BE"),  # a French frame alone binds nobody
        ({}, "B2BInt", "abroad:BE"),
        ({"vat_number": "FR50905334413"}, "", "abroad:BE"),
        ({"vat_number": "FR50905334413", "frame": "S1"}, "", "number"),
        ({"siren": "905334413", "frame": "M1"}, "", "number"),
        ({}, "B2B", "flow"),
        ({"country": "FR", "vat_number": ""}, "", "seller"),
        ({"country": "RE"}, "", "seller"),
        ({"country": "FRA", "vat_number": ""}, "", "seller"),
        ({"country": "France", "vat_number": ""}, "", "seller"),
        ({"country": "GUF", "vat_number": ""}, "", "overseas:GF"),
        ({"country": "MC"}, "", "seller"),
        ({"country": "GP", "vat_number": ""}, "", "seller"),
        ({"country": "GF", "vat_number": "", "siren": "905334413"}, "", "overseas:GF"),
        ({"country": "NC", "vat_number": ""}, "", "overseas:NC"),
        ({"country": "YT", "vat_number": "", "siren": "905334413", "frame": "B1"}, "", "number"),
        ({"country": "PF", "vat_number": ""}, "B2B", "flow"),
    ],
)
def test_who_issued_decides(values, rule, basis):
    verdict = validate(invoice_of(**values), rule=rule)
    assert verdict.basis == basis
    assert (FRENCH_RULES in verdict.checked) == (not basis.startswith(("abroad", "overseas")))


def test_supplier_abroad_is_not_invalid_by_rules_that_do_not_bind_it():
    content = invoice_of().replace(b"urn:cen.eu:en16931:2017<", f"{PEPPOL}<".encode())
    verdict = validate(content)
    assert [finding.rule for finding in verdict.findings if finding.rule.startswith("BR-FR")] == []
    assert [finding.rule for finding in verdict.findings if finding.rule == "PROFILE"] == []
    bound = validate(content, rule="B2B")
    assert "BR-FR-10_BT-30" in [finding.rule for finding in bound.fatal]


def test_german_supplier_may_write_cii_by_its_own_specification():
    text = (Path(__file__).parents[2] / "samples" / "invoices" / "invoice.cii.xml").read_text()
    start, end = text.index("<ram:SellerTradeParty>"), text.index("</ram:SellerTradeParty>")
    seller = text[start:end].replace('schemeID="0225"', 'schemeID="EM"').replace("CountryID>FR", "CountryID>DE")
    seller = seller.replace(' schemeID="0002">905334413', ">HRB 1234")
    vat = '<ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">DE136695976</ram:ID></ram:SpecifiedTaxRegistration>'
    text = text[:start] + seller + vat + text[end:]
    verdict = validate(text.replace("urn:cen.eu:en16931:2017<", f"{XRECHNUNG}<").encode())
    assert (verdict.outcome, verdict.basis, verdict.findings) == ("valid", "abroad:DE", ())


@pytest.mark.django_db
def test_verdict_keeps_why_and_hears_the_flow(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    invoice = make_invoice(processing_rule="B2B", processing_source="platform")
    store_document(invoice=invoice, file=File(kind="original", content=invoice_of()))
    other = make_invoice(processing_rule="B2B", processing_source="parties")
    store_document(invoice=other, file=File(kind="original", content=invoice_of()))
    drain()
    kept = dict(Validation.objects.values_list("document__invoice", "basis"))
    assert kept == {invoice.pk: "flow", other.pk: "abroad:BE"}

"""The business terms of EN 16931 and of the French extension: their names, and where they stand in each syntax.

`business_terms.csv` is our own table. English names: EN 16931-1:2017. French names: NF EN 16931-1 and annex 1 of the
tax administration's external specifications (v3.2, 30 April 2026), shortened, and with the words French accountants use
for the VAT and SIREN numbers. EXT-FR-FE terms: XP Z12-012, annex A, as the rules BR-FR and EXTENDED-CTC-FR cite them.
Paths: CEN/TS 16931-3-2 and 3-3.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.translation import get_language

TABLE = Path(__file__).with_name("business_terms.csv")
CODE = re.compile(r"(?<![A-Za-z0-9-])(?:EXT-FR-FE-(?:BG-)?\d+|B[TG]-(?:X-)?\d+(?:-\d+)?)(?![A-Za-z0-9])", re.IGNORECASE)

CII_TRANSACTION = "rsm:SupplyChainTradeTransaction"
CII_SETTLEMENT = f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeSettlement"
CII_LINE = f"{CII_TRANSACTION}/ram:IncludedSupplyChainTradeLineItem"
UBL_LINE = "*[self::cac:InvoiceLine or self::cac:CreditNoteLine]"
# What the table abbreviates in braces.
PLACES: dict[str, dict[str, str]] = {
    "ubl": {
        "seller": "cac:AccountingSupplierParty/cac:Party",
        "buyer": "cac:AccountingCustomerParty/cac:Party",
        "totals": "cac:LegalMonetaryTotal",
        "vat": "cac:TaxTotal/cac:TaxSubtotal",
        "allowance": "cac:AllowanceCharge[cbc:ChargeIndicator='false']",
        "charge": "cac:AllowanceCharge[cbc:ChargeIndicator='true']",
        "supporting": "cac:AdditionalDocumentReference[not(cbc:DocumentTypeCode='130')]",
        "line": UBL_LINE,
        "line allowance": f"{UBL_LINE}/cac:AllowanceCharge[cbc:ChargeIndicator='false']",
        "line charge": f"{UBL_LINE}/cac:AllowanceCharge[cbc:ChargeIndicator='true']",
    },
    "cii": {
        "context": "rsm:ExchangedDocumentContext",
        "document": "rsm:ExchangedDocument",
        "agreement": f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeAgreement",
        "delivery": f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeDelivery",
        "settlement": CII_SETTLEMENT,
        "seller": f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty",
        "buyer": f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty",
        "representative": (
            f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeAgreement/ram:SellerTaxRepresentativeTradeParty"
        ),
        "means": f"{CII_SETTLEMENT}/ram:SpecifiedTradeSettlementPaymentMeans",
        "totals": f"{CII_SETTLEMENT}/ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        "vat": f"{CII_SETTLEMENT}/ram:ApplicableTradeTax",
        "allowance": f"{CII_SETTLEMENT}/ram:SpecifiedTradeAllowanceCharge[ram:ChargeIndicator/udt:Indicator='false']",
        "charge": f"{CII_SETTLEMENT}/ram:SpecifiedTradeAllowanceCharge[ram:ChargeIndicator/udt:Indicator='true']",
        "supporting": (
            f"{CII_TRANSACTION}/ram:ApplicableHeaderTradeAgreement/ram:AdditionalReferencedDocument[ram:TypeCode='916']"
        ),
        "line": CII_LINE,
        "line allowance": (
            f"{CII_LINE}/ram:SpecifiedLineTradeSettlement"
            "/ram:SpecifiedTradeAllowanceCharge[ram:ChargeIndicator/udt:Indicator='false']"
        ),
        "line charge": (
            f"{CII_LINE}/ram:SpecifiedLineTradeSettlement"
            "/ram:SpecifiedTradeAllowanceCharge[ram:ChargeIndicator/udt:Indicator='true']"
        ),
        "gross": f"{CII_LINE}/ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice",
    },
}
STEP_CONDITION = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, kw_only=True)
class Term:
    code: str
    en: str
    fr: str
    ubl: str
    cii: str

    @property
    def name(self) -> str:
        return self.fr if (get_language() or "fr").startswith("fr") else self.en

    @property
    def other_name(self) -> str:
        """The name in the other of the two languages: suppliers abroad and the rules' own words use it."""
        return self.en if self.name == self.fr else self.fr

    @property
    def is_group(self) -> bool:
        return "BG-" in self.code

    def path(self, syntax: str) -> str:
        """XPath 1.0 from the root element; "" where the syntax has no place of its own for the term."""
        return self.ubl if syntax == "ubl" else self.cii


@cache
def all_terms() -> dict[str, Term]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return {row["code"]: Term(**{**row, **{syntax: _expanded(row, syntax) for syntax in PLACES}}) for row in rows}


def _expanded(row: dict[str, str], syntax: str) -> str:
    return re.sub(r"\{([a-z ]+)\}", lambda match: PLACES[syntax][match[1]], row[syntax])


def find_term(code: str) -> Term | None:
    return all_terms().get(code)


def terms_in(text: str) -> Iterator[str]:
    """The codes a rule names, in order. "BT-22-1" where only BT-22 exists is the first rule about BT-22."""
    seen = set()
    for found in CODE.findall(text):
        code = found.upper()
        code = code if code in all_terms() else re.sub(r"(?<=\d)-\d+$", "", code)
        if code in all_terms() and code not in seen:
            seen.add(code)
            yield code


@cache
def _codes_by_place(syntax: str) -> dict[str, str]:
    """The term that stands at a place, for rules that name an element only. Of several, the first of the table."""
    places: dict[str, str] = {}
    for term in all_terms().values():
        for path in term.path(syntax).split(" | "):
            places.setdefault(STEP_CONDITION.sub("", path), term.code)
    return places


def term_at(syntax: str, place: str) -> str:
    """The code for a path of plain steps from below the root, or ""."""
    return _codes_by_place(syntax).get(place, "")

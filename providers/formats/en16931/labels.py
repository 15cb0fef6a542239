"""Words for the codes an invoice carries. A code without a label is shown as it is."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# UNTDID 1001, the subset of BR-FR-04 (V1.4.0).
DOCUMENT_TYPES = {
    "261": _("Self-billed credit note"),
    "262": _("Global allowances credit note"),
    "380": _("Invoice"),
    "381": _("Credit note"),
    "384": _("Corrected invoice"),
    "386": _("Deposit invoice"),
    "389": _("Self-billed invoice"),
    "393": _("Factored invoice"),
    "396": _("Factored credit note"),
    "471": _("Self-billed corrected invoice"),
    "472": _("Factored corrected invoice"),
    "473": _("Self-billed factored corrected invoice"),
    "500": _("Self-billed deposit invoice"),
    "501": _("Self-billed factored invoice"),
    "502": _("Self-billed factored credit note"),
    "503": _("Credit note for a deposit invoice"),
}
CREDIT_NOTE_TYPES = frozenset({"261", "262", "381", "396", "502", "503"})

# BT-23, the billing frame of BR-FR-08: a letter for what is sold, a digit for the case.
FRAME_LETTERS = {"B": _("Goods"), "S": _("Services"), "M": _("Goods and services")}
FRAME_DIGITS = {
    "1": _("ordinary invoice"),
    "2": _("invoice already paid"),
    "4": _("final invoice after deposit"),
    "5": _("invoice of a subcontractor"),
    "6": _("invoice of a co-contractor"),
    "7": _("VAT already reported"),
    "8": _("several sellers"),
    "9": _("two-way invoicing"),
}
DIGITS_OF_LETTER = {"B": "124789", "S": "123456789", "M": "12489"}

# BT-24, as declared.
PROFILES = {
    "urn:cen.eu:en16931:2017": "EN 16931",
    "urn:cen.eu:en16931:2017#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr": "EXTENDED-CTC-FR",
    "urn:cen.eu:en16931:2017#conformant#urn:factur-x.eu:1p0:extended": "Factur-X EXTENDED",
    "urn:cen.eu:en16931:2017#compliant#urn:factur-x.eu:1p0:basic": "Factur-X BASIC",
    "urn:factur-x.eu:1p0:basicwl": "Factur-X BASIC WL",
    "urn:factur-x.eu:1p0:minimum": "Factur-X MINIMUM",
    # What neighbours write.
    "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0": "Peppol BIS Billing 3.0",
    "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0": "XRechnung 3.0",
}

# UNTDID 5305, the subset of EN 16931.
VAT_CATEGORIES = {
    "S": _("Standard rate"),
    "Z": _("Zero rate"),
    "E": _("Exempt"),
    "AE": _("Reverse charge"),
    "K": _("Intra-Community supply"),
    "G": _("Export outside the EU"),
    "O": _("Outside the scope of VAT"),
    "L": _("Canary Islands tax (IGIC)"),
    "M": _("Ceuta and Melilla tax (IPSI)"),
}

# BT-8: UNTDID 2005 in UBL (3, 35, 432), UNTDID 2475 in CII (5, 29, 72).
TAX_POINTS = {
    "3": _("on debits (invoice date)"),
    "5": _("on debits (invoice date)"),
    "35": _("on delivery"),
    "29": _("on delivery"),
    "432": _("on payment received"),
    "72": _("on payment received"),
}

# UNTDID 4461, what is met in France.
PAYMENT_MEANS = {
    "1": _("Not specified"),
    "10": _("Cash"),
    "20": _("Cheque"),
    "23": _("Banker's draft"),
    "30": _("Credit transfer"),
    "31": _("Debit transfer"),
    "42": _("Payment to a bank account"),
    "48": _("Bank card"),
    "49": _("Direct debit"),
    "54": _("Credit card"),
    "55": _("Debit card"),
    "57": _("Standing agreement"),
    "58": _("SEPA credit transfer"),
    "59": _("SEPA direct debit"),
    "68": _("Online payment service"),
    "97": _("Clearing between partners"),
    "ZZZ": _("As agreed between the parties"),
}

# UNTDID 4451, what the French rules name.
NOTE_SUBJECTS = {
    "AAB": _("Discount for early payment"),
    "AAI": _("General information"),
    "ABL": _("Legal registration"),
    "ACC": _("Assignment of the claim (factoring)"),
    "ADN": _("Type of transaction"),
    "BAR": _("Processing"),
    "PMD": _("Late payment penalties"),
    "PMT": _("Fixed fee for recovery costs"),
    "REG": _("Legal information"),
    "SUR": _("Remarks of the supplier"),
    "TXD": _("Tax information"),
}

# The three notes BR-FR-05 wants, and those by which a seller says who or what it is before the law.
LEGAL_SUBJECTS = frozenset({"AAB", "ABL", "ACC", "PMD", "PMT", "REG", "TXD"})
# A code rather than a text (BR-FR-20): it stands among the facts of the header.
CODED_SUBJECTS = frozenset({"BAR"})
TOLD_ELSEWHERE = LEGAL_SUBJECTS | CODED_SUBJECTS

# EXT-FR-FE-163.
LINE_SUBTYPES = {
    "GROUP": _("Group of lines"),
    "DETAIL": _("Detail"),
    "INFORMATION": _("For information"),
}

# Other documents an invoice names, by the field that holds the number.
REFERENCES = {
    "order_reference": _("Purchase order"),
    "sales_order_reference": _("Sales order"),
    "contract_reference": _("Contract"),
    "project_reference": _("Project"),
    "tender_reference": _("Tender or lot"),
    "despatch_advice_reference": _("Despatch advice"),
    "receiving_advice_reference": _("Receiving advice"),
    "invoiced_object": _("Invoiced object"),
    "statement_reference": _("Statement"),
    "quotation_reference": _("Quotation"),
    "delivery_note_reference": _("Delivery note"),
}
# Without a field of their own.
MANY_REFERENCES = ("statement_reference", "quotation_reference", "delivery_note_reference")
OWNERS = REFERENCES | {"preceding_invoices": _("Preceding invoice")}
# UNTDID 1001 of a supporting document.
REFERENCE_TYPES = {"50": _("Tender or lot"), "130": _("Invoiced object")}

# BT-123 in BR-FR-17.
ATTACHMENT_KINDS = {
    "BON_COMMANDE": _("Purchase order"),
    "BON_LIVRAISON": _("Delivery note"),
    "BORDEREAU_SUIVI": _("Tracking slip"),
    "BORDEREAU_SUIVI_VALIDATION": _("Validated tracking slip"),
    "DOCUMENT_ANNEXE": _("Annex"),
    "ETAT_ACOMPTE": _("Statement of deposits"),
    "FACTURE_PAIEMENT_DIRECT": _("Invoice for direct payment"),
    "FEUILLE_DE_STYLE": _("Style sheet"),
    "LISIBLE": _("Readable copy"),
    "PJA": _("Supporting document"),
    "RECAPITULATIF_COTRAITANCE": _("Summary of co-contracting"),
    "RIB": _("Bank details"),
}

# ISO 6523 and EAS schemes met in French invoices.
IDENTIFIER_SCHEMES: dict[str, str | Promise] = {
    "0002": "SIREN",
    "0009": "SIRET",
    "0060": "DUNS",
    "0088": "GLN",
    "0160": "GTIN",
    "0177": "Odette",
    "0223": _("VAT number"),
    "0224": _("Routing code"),
    "0225": _("French e-invoicing address"),
    "0226": _("Individual"),
    "0227": _("Company outside the EU"),
    "0231": _("Single taxable person"),
    "EM": _("E-mail"),
}

# UN/ECE Recommendation 20, the everyday units.
UNITS = {
    "C62": _("unit"),
    "EA": _("each"),
    "H87": _("piece"),
    "HUR": _("hour"),
    "MIN": _("minute"),
    "DAY": _("day"),
    "WEE": _("week"),
    "MON": _("month"),
    "ANN": _("year"),
    "KGM": _("kg"),
    "GRM": _("g"),
    "TNE": _("t"),
    "LTR": _("l"),
    "MTR": _("m"),
    "MTK": _("m²"),
    "MTQ": _("m³"),
    "KMT": _("km"),
    "KWH": _("kWh"),
    "LS": _("lump sum"),
    "SET": _("set"),
    "XBX": _("box"),
    "XPX": _("pallet"),
}

# Fields of ParsedInvoice that hold a party.
PARTY_ROLES = {
    "seller": _("Seller"),
    "buyer": _("Buyer"),
    "payee": _("Payee"),
    "tax_representative": _("Tax representative"),
    "seller_agent": _("Seller's agent"),
    "buyer_agent": _("Buyer's agent"),
    "invoicer": _("Invoiced by"),
    "invoicee": _("Invoiced to"),
    "payer": _("Payer"),
    "ship_from": _("Shipped from"),
    "end_recipient": _("End recipient"),
}

CURRENCY_SYMBOLS = {"EUR": "€"}


def label(labels: Mapping[str, str | Promise], code: str) -> str:
    return str(labels.get(code, code))


def frame_label(code: str) -> str:
    """`S1` → "Services, ordinary invoice". Digit 3 has no published meaning: only the letter is told."""
    if len(code) != 2 or code[1] not in DIGITS_OF_LETTER.get(code[0], ""):
        return ""
    parts = (FRAME_LETTERS[code[0]], FRAME_DIGITS.get(code[1]))
    return ", ".join(str(part) for part in parts if part)

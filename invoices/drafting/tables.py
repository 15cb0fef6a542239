"""What the form of a new invoice offers, and the words French law wants on it. Those are French in every language."""

from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from providers.formats.en16931.labels import (
    DIGITS_OF_LETTER,
    DOCUMENT_TYPES,
    PAYMENT_MEANS,
    TAX_POINTS,
    UNITS,
    VAT_CATEGORIES,
    frame_label,
)
from providers.norm.codes import VAT_RATES

# BR-FR-05: each once on every invoice. Code de commerce, L. 441-9, L. 441-10 and D. 441-5.
LEGAL_NOTES = {
    "PMT": "En cas de retard de paiement, une indemnité forfaitaire de 40 € est due pour frais de recouvrement "
    "(article D. 441-5 du code de commerce).",
    "PMD": "Pénalités de retard : trois fois le taux d’intérêt légal, exigibles sans rappel "
    "(article L. 441-10 du code de commerce).",
    "AAB": "Aucun escompte n’est accordé pour paiement anticipé.",
}
# BR-FR-20 and 31.
TREATMENTS = {
    "B2B": _("between French companies (B2B)"),
    "B2BINT": _("with a company abroad (B2BINT)"),
    "B2C": _("with a consumer (B2C)"),
    "OUTOFSCOPE": _("outside the reform (OUTOFSCOPE)"),
    "ARCHIVEONLY": _("to be archived only (ARCHIVEONLY)"),
}
# Why no VAT is charged, by category: text (BT-120) and code (BT-121). That of E is the user's to say.
EXEMPTIONS = {
    "AE": ("Autoliquidation", "VATEX-EU-AE"),
    "K": ("Livraison intracommunautaire exonérée", "VATEX-EU-IC"),
    "G": ("Exportation hors de l’Union européenne", "VATEX-EU-G"),
    "O": ("Hors du champ d’application de la TVA", "VATEX-EU-O"),
}
FRANCHISE = ("TVA non applicable, article 293 B du CGI", "VATEX-FR-FRANCHISE")
# Several sellers (8) and two-way (9) invoicing want a seller for each line: such invoices are handed in as files.
FRAMES = [letter + digit for letter, digits in DIGITS_OF_LETTER.items() for digit in digits if digit not in "89"]
PAID_FRAMES = frozenset({"B2", "S2", "M2"})
FINAL_FRAMES = frozenset({"B4", "S4", "M4"})
DEPOSIT_TYPES = frozenset({"386", "500"})
FACTORED_TYPES = frozenset({"393", "396", "472", "473", "501", "502"})
# The credit note, the corrective and the final invoice that follow a type.
CREDIT_NOTE_OF = {"386": "503", "500": "503", "389": "261", "393": "396", "501": "502", "472": "396", "473": "502"}
CORRECTIVE_OF = {"389": "471", "471": "471", "393": "472", "472": "472", "501": "473", "473": "473"}
FINAL_OF = {"386": "380", "500": "389"}

UNIT_CHOICES = list(UNITS.items())
MEANS_CHOICES = [(code, PAYMENT_MEANS[code]) for code in ("58", "30", "59", "49", "48", "20", "10", "57", "97", "ZZZ")]
# In the codes of UBL; the writer knows those of CII.
TAX_POINT_CHOICES = [("", "–"), *((code, TAX_POINTS[code]) for code in ("432", "3", "35"))]
CURRENCIES = ("EUR", "USD", "GBP", "CHF")
COUNTRIES = ("FR", "BE", "CH", "DE", "ES", "GB", "IT", "LU", "NL", "PT", "US")


def type_choices() -> list[tuple[str, str]]:
    return [(code, f"{code} – {label}") for code, label in DOCUMENT_TYPES.items()]


def frame_choices() -> list[tuple[str, str]]:
    return [(code, f"{code} – {frame_label(code)}") for code in FRAMES]


def vat_choices() -> list[tuple[str, object]]:
    rates = sorted((Decimal(rate) for rate in VAT_RATES if Decimal(rate)), reverse=True)
    common = [Decimal(rate) for rate in ("20", "10", "5.5", "2.1")]
    ordered = common + [rate for rate in rates if rate not in common]
    standard = [(f"S:{rate:f}", f"{rate.normalize():f} %".replace(".", ",")) for rate in ordered]
    return [*standard, *((code, VAT_CATEGORIES[code]) for code in ("E", "AE", "K", "G", "Z", "O"))]


def read_vat(choice: str) -> tuple[str, Decimal | None]:
    """Category and rate. Outside the scope of VAT there is no rate (BR-O-05)."""
    category, _separator, rate = choice.partition(":")
    if category == "O" or not category:
        return category, None
    return category, Decimal(rate or "0").quantize(Decimal("0.01"))


def vat_choice(category: str, rate: Decimal | None) -> str:
    """The choice that says the same; "" where the form offers none."""
    wanted = (category, rate)
    return next((code for code, _label in vat_choices() if read_vat(code) == wanted), "")

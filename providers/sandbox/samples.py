"""Invoices to practise on: UBL 2.1, valid under EN 16931 and the French rules, between invented companies."""

import base64
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from lxml import etree

from .documents import Party, render_pdf

CENT = Decimal("0.01")
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
PREFIXES = {"cac": f"{UBL}CommonAggregateComponents-2", "cbc": f"{UBL}CommonBasicComponents-2"}
NOTES = (
    "#PMT#En cas de retard, une indemnité de 40 euros est due pour frais de recouvrement.",
    "#PMD#Tout retard entraîne des pénalités au taux de 12 % l'an.",
    "#AAB#Aucun escompte n'est accordé pour un paiement avant l'échéance.",
    "#BAR#B2B",
)
EXEMPTIONS = {
    "E": ("VATEX-FR-FRANCHISE", "TVA non applicable, article 293 B du CGI"),
    "AE": ("VATEX-EU-AE", "Autoliquidation"),
}
PAYMENT_DAYS = 30
DEFAULT_BUYER = "800112237"

# A node is (name, text or children, attributes)
Node = tuple[str, "str | list[Node]", dict[str, str]]


def _luhn(digits: str) -> str:
    """The digits followed by their check digit."""
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


def vat_number(siren: str) -> str:
    return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"


@dataclass(frozen=True)
class Company:
    name: str
    siren: str
    street: str = "1 place du Marché"
    postcode: str = "75001"
    city: str = "Paris"
    address: str = ""

    @property
    def siret(self) -> str:
        return _luhn(f"{self.siren}0001")

    @property
    def party(self) -> Party:
        return Party(self.name, self.siren, self.siret, "0225", self.address or self.siren)


@dataclass(frozen=True)
class Line:
    name: str
    quantity: str
    unit: str
    price: str
    rate: str = "20"
    category: str = "S"

    @property
    def amount(self) -> Decimal:
        return _cents(Decimal(self.quantity) * Decimal(self.price))

    @property
    def tax(self) -> tuple[str, Decimal]:
        return self.category, Decimal(self.rate)


@dataclass(frozen=True)
class Sample:
    key: str
    seller: Company
    frame: str  # BT-23: goods, services or both
    lines: tuple[Line, ...]
    type_code: str = "380"
    rebate: tuple[str, str, str] | None = None  # reason, amount, VAT rate
    on_receipt: bool = False  # VAT falls due when the money comes in
    attachment: str = ""  # name of a delivery note that is enclosed
    order: str = ""
    terms: str = field(default="Virement à 30 jours")


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _company(name: str, stem: str, street: str, postcode: str, city: str) -> Company:
    return Company(name, _luhn(stem), street, postcode, city)


PAPETERIE = _company("Papeterie des Trois Remparts SARL", "99910001", "7 rue de la Harpe Bleue", "35400", "Saint-Malo")
TRAITEUR = _company("Traiteur Belle Avoine SAS", "99910002", "22 quai des Alambics", "69002", "Lyon")
CONSEIL = _company("Cabinet Ormeau Conseil SELARL", "99910003", "5 allée des Copistes", "33000", "Bordeaux")
FERME = _company("Ferme du Val Mordoré EARL", "99910004", "Lieu-dit Le Grand Pré", "15100", "Saint-Flour")
IMPRIMERIE = _company("Imprimerie Quatrevents SA", "99910005", "48 boulevard des Linotypes", "59000", "Lille")
TRANSPORT = _company("Transports Lumeçon SAS", "99910006", "Zone des Écluses, bâtiment C", "13015", "Marseille")
GRAPHISTE = _company("Atelier Pixel et Plume", "99910007", "3 passage du Graveur", "44000", "Nantes")
CHARPENTE = _company("Charpentes Vertbois SARL", "99910008", "Route de la Scierie", "39000", "Lons-le-Saunier")
RHUMERIE = _company("Comptoir des Alizés SARL", "99910009", "12 rue du Phare", "97200", "Fort-de-France")
COMPANIES = tuple(
    company.party
    for company in (PAPETERIE, TRAITEUR, CONSEIL, FERME, IMPRIMERIE, TRANSPORT, GRAPHISTE, CHARPENTE, RHUMERIE)
)

SAMPLES = (
    Sample(
        "stationery",
        PAPETERIE,
        "B1",
        (
            Line("Ramettes de papier A4 recyclé, carton de 5", "12", "C62", "21.90"),
            Line("Cartouches d'encre noire", "6", "C62", "34.50"),
            Line("Guide pratique de la facture électronique (livre)", "3", "C62", "28.00", "5.5"),
        ),
        attachment="bon-livraison-1187.pdf",
        order="BC-2026-118",
    ),
    Sample(
        "catering",
        TRAITEUR,
        "M1",
        (
            Line("Buffet froid, 45 couverts", "45", "C62", "24.00", "10"),
            Line("Service en salle", "8", "HUR", "38.50", "10"),
            Line("Vins et champagne", "18", "XBO", "16.80"),
        ),
    ),
    Sample(
        "consulting",
        CONSEIL,
        "S1",
        (Line("Accompagnement au passage à la facture électronique", "3.5", "DAY", "950.00"),),
        on_receipt=True,
    ),
    Sample(
        "farm",
        FERME,
        "B1",
        (
            Line("Cantal entre-deux, meule", "4", "KGM", "13.4560", "5.5"),
            Line("Beurre de baratte 250 g", "60", "C62", "3.15", "5.5"),
            Line("Miel de montagne 500 g", "24", "C62", "8.90", "5.5"),
            Line("Farine de châtaigne 1 kg", "15", "C62", "11.20", "5.5"),
            Line("Paniers en osier", "10", "C62", "17.25"),
            Line("Bougies à la cire d'abeille", "36", "C62", "6.33"),
        ),
    ),
    Sample(
        "printing",
        IMPRIMERIE,
        "B1",
        (
            Line("Catalogue 48 pages, tirage automne", "2500", "C62", "1.184"),
            Line("Pochettes à rabats", "800", "C62", "0.95"),
        ),
        rebate=("Remise de fidélité", "150.00", "20"),
        order="BC-2026-131",
    ),
    Sample(
        "freight",
        TRANSPORT,
        "S1",
        (
            Line("Transport Marseille - Rungis, semi-remorque", "2", "C62", "780.00"),
            Line("Attente au quai", "1.75", "HUR", "62.00"),
            Line("Participation aux péages", "1", "C62", "114.30"),
        ),
        on_receipt=True,
    ),
    Sample(
        "design",
        GRAPHISTE,
        "S1",
        (Line("Création d'une identité visuelle", "1", "C62", "1800.00", "0", "E"),),
    ),
    Sample(
        "framing",
        CHARPENTE,
        "S1",
        (Line("Pose de charpente, chantier sous-traité", "1", "C62", "12450.00", "0", "AE"),),
    ),
    Sample(
        "overseas",
        RHUMERIE,
        "B1",
        (
            Line("Rhum vieux agricole 70 cl", "48", "XBO", "27.60", "8.5"),
            Line("Livres de recettes créoles", "20", "C62", "14.50", "2.1"),
        ),
    ),
    Sample(
        "credit",
        PAPETERIE,
        "B1",
        (Line("Retour de cartouches d'encre noire", "2", "C62", "34.50"),),
        type_code="381",
    ),
)
BY_KEY = {sample.key: sample for sample in SAMPLES}


@dataclass(frozen=True)
class Amounts:
    lines: Decimal
    rebate: Decimal
    vat: tuple[tuple[str, Decimal, Decimal, Decimal], ...]  # category, rate, base, VAT

    @property
    def without_vat(self) -> Decimal:
        return self.lines - self.rebate

    @property
    def total_vat(self) -> Decimal:
        return sum((row[3] for row in self.vat), Decimal("0.00"))

    @property
    def with_vat(self) -> Decimal:
        return self.without_vat + self.total_vat


def amounts(sample: Sample) -> Amounts:
    bases: dict[tuple[str, Decimal], Decimal] = {}
    for line in sample.lines:
        bases[line.tax] = bases.get(line.tax, Decimal(0)) + line.amount
    rebate = Decimal("0.00")
    if sample.rebate:
        rebate = Decimal(sample.rebate[1])
        bases["S", Decimal(sample.rebate[2])] -= rebate
    vat = tuple((category, rate, base, _cents(base * rate / 100)) for (category, rate), base in bases.items())
    return Amounts(sum((line.amount for line in sample.lines), Decimal("0.00")), rebate, vat)


def _node(name: str, content: "str | Iterable[Node]" = "", **attributes: str) -> Node:
    return name, content if isinstance(content, str) else list(content), attributes


def _money(name: str, amount: Decimal) -> Node:
    return _node(name, f"{amount:.2f}", currencyID="EUR")


def _tax_category(name: str, category: str, rate: Decimal, *, reason: bool = False) -> Node:
    children = [_node("cbc:ID", category), _node("cbc:Percent", f"{rate:.2f}")]
    if reason and category in EXEMPTIONS:
        code, text = EXEMPTIONS[category]
        children += [_node("cbc:TaxExemptionReasonCode", code), _node("cbc:TaxExemptionReason", text)]
    return _node(name, [*children, _node("cac:TaxScheme", [_node("cbc:ID", "VAT")])])


def _party(name: str, company: Company) -> Node:
    address = [
        _node("cbc:StreetName", company.street),
        _node("cbc:CityName", company.city),
        _node("cbc:PostalZone", company.postcode),
        _node("cac:Country", [_node("cbc:IdentificationCode", "FR")]),
    ]
    party = [
        _node("cbc:EndpointID", company.address or company.siren, schemeID="0225"),
        _node("cac:PartyIdentification", [_node("cbc:ID", company.siret, schemeID="0009")]),
        _node("cac:PostalAddress", address),
        _node(
            "cac:PartyTaxScheme",
            [_node("cbc:CompanyID", vat_number(company.siren)), _node("cac:TaxScheme", [_node("cbc:ID", "VAT")])],
        ),
        _node(
            "cac:PartyLegalEntity",
            [_node("cbc:RegistrationName", company.name), _node("cbc:CompanyID", company.siren, schemeID="0002")],
        ),
    ]
    return _node(name, [_node("cac:Party", party)])


def _references(sample: Sample, issued: dt.date, original: str) -> list[Node]:
    nodes = []
    if sample.on_receipt:
        nodes.append(_node("cac:InvoicePeriod", [_node("cbc:DescriptionCode", "432")]))
    if sample.order:
        nodes.append(_node("cac:OrderReference", [_node("cbc:ID", sample.order)]))
    if sample.type_code == "381":
        reference = [_node("cbc:ID", original), _node("cbc:IssueDate", str(issued - dt.timedelta(days=10)))]
        nodes.append(_node("cac:BillingReference", [_node("cac:InvoiceDocumentReference", reference)]))
    if sample.attachment:
        content = base64.b64encode(render_pdf(["Bon de livraison", sample.seller.name])).decode()
        binary = _node(
            "cbc:EmbeddedDocumentBinaryObject", content, mimeCode="application/pdf", filename=sample.attachment
        )
        document = [
            _node("cbc:ID", sample.attachment.removesuffix(".pdf")),
            _node("cbc:DocumentDescription", "BON_LIVRAISON"),
            _node("cac:Attachment", [binary]),
        ]
        nodes.append(_node("cac:AdditionalDocumentReference", document))
    return nodes


def _totals(sample: Sample, total: Amounts) -> list[Node]:
    nodes = []
    if sample.rebate:
        reason, amount, rate = sample.rebate
        rebate = [
            _node("cbc:ChargeIndicator", "false"),
            _node("cbc:AllowanceChargeReason", reason),
            _money("cbc:Amount", Decimal(amount)),
            _tax_category("cac:TaxCategory", "S", Decimal(rate)),
        ]
        nodes.append(_node("cac:AllowanceCharge", rebate))
    subtotals = [
        _node(
            "cac:TaxSubtotal",
            [
                _money("cbc:TaxableAmount", base),
                _money("cbc:TaxAmount", vat),
                _tax_category("cac:TaxCategory", category, rate, reason=True),
            ],
        )
        for category, rate, base, vat in total.vat
    ]
    sums = [
        _money("cbc:LineExtensionAmount", total.lines),
        _money("cbc:TaxExclusiveAmount", total.without_vat),
        _money("cbc:TaxInclusiveAmount", total.with_vat),
        *([_money("cbc:AllowanceTotalAmount", total.rebate)] if sample.rebate else []),
        _money("cbc:PayableAmount", total.with_vat),
    ]
    return [
        *nodes,
        _node("cac:TaxTotal", [_money("cbc:TaxAmount", total.total_vat), *subtotals]),
        _node("cac:LegalMonetaryTotal", sums),
    ]


def _line(number: int, line: Line, kind: str) -> Node:
    quantity = "cbc:CreditedQuantity" if kind == "CreditNote" else "cbc:InvoicedQuantity"
    item = [
        _node("cbc:Name", line.name),
        _tax_category("cac:ClassifiedTaxCategory", line.category, Decimal(line.rate)),
    ]
    return _node(
        f"cac:{kind}Line",
        [
            _node("cbc:ID", str(number)),
            _node(quantity, line.quantity, unitCode=line.unit),
            _money("cbc:LineExtensionAmount", line.amount),
            _node("cac:Item", item),
            _node("cac:Price", [_node("cbc:PriceAmount", line.price, currencyID="EUR")]),
        ],
    )


def _append(parent: etree._Element, node: Node) -> None:
    name, content, attributes = node
    prefix, _, local = name.partition(":")
    element = etree.SubElement(parent, f"{{{PREFIXES[prefix]}}}{local}", attributes)
    if isinstance(content, str):
        element.text = content
    else:
        for child in content:
            _append(element, child)


def build(
    sample: Sample, *, number: str, issued: dt.date, buyer: Company, seller: Company | None = None, original: str = ""
) -> bytes:
    """The invoice as UBL bytes; `original` is the number of the invoice a credit note is about."""
    kind = "CreditNote" if sample.type_code == "381" else "Invoice"
    due = str(issued + dt.timedelta(days=PAYMENT_DAYS))
    account = _node("cac:PayeeFinancialAccount", [_node("cbc:ID", "FR7630006000011234567890189")])
    head = [
        _node("cbc:CustomizationID", "urn:cen.eu:en16931:2017"),
        _node("cbc:ProfileID", sample.frame),
        _node("cbc:ID", number),
        _node("cbc:IssueDate", str(issued)),
        *([_node("cbc:DueDate", due)] if kind == "Invoice" else []),
        _node(f"cbc:{kind}TypeCode", sample.type_code),
        *(_node("cbc:Note", note) for note in NOTES),
        _node("cbc:DocumentCurrencyCode", "EUR"),
        *_references(sample, issued, original or f"{number}-0"),
        _party("cac:AccountingSupplierParty", seller or sample.seller),
        _party("cac:AccountingCustomerParty", buyer),
        _node("cac:Delivery", [_node("cbc:ActualDeliveryDate", str(issued))]),
        _node("cac:PaymentMeans", [_node("cbc:PaymentMeansCode", "30"), account]),
        _node("cac:PaymentTerms", [_node("cbc:Note", sample.terms)]),
        *_totals(sample, amounts(sample)),
        *(_line(position, line, kind) for position, line in enumerate(sample.lines, 1)),
    ]
    namespaces: dict[str | None, str] = {None: f"{UBL}{kind}-2"} | {**PREFIXES}
    root = etree.Element(f"{{{UBL}{kind}-2}}{kind}", nsmap=cast("dict[str, str]", namespaces))
    for node in head:
        _append(root, node)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)

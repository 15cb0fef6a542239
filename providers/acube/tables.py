"""A-Cube's words and the national ones.

"Seed" is A-Cube's pages "Send an invoice" and "Invoice lifecycle" (docs.acubeapi.com, gov-fr), read in November 2026;
their examples are dated June 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

from providers.norm.codes import REASONS as NATIONAL
from providers.norm.codes import STATUSES, Role, Side

# Status names. Seed, "Invoice lifecycle". The platform takes codes as well: a setting chooses.
NAMES = {
    "200": "SUBMITTED",
    "201": "ISSUED",
    "202": "RECEIVED",
    "203": "MADE_AVAILABLE",
    "204": "IN_HAND",
    "205": "APPROVED",
    "206": "PARTIALLY_APPROVED",
    "207": "DISPUTED",
    "208": "SUSPENDED",
    "209": "COMPLETED",
    "210": "REFUSED",
    "211": "PAYMENT_SENT",
    "212": "PAYMENT_RECEIVED",
    "213": "REJECTED",
}
CODES = {name: code for code, name in NAMES.items()}

# Words outside that list. `PAID` stands among the outbound events (page "invoice webhooks", November 2026) without
# a national code: our assumption is 212, and the report says that it is derived.
DERIVED = {"PAID": "212"}

# With which code it takes a status in, to work on it later; no body is documented (page "reference: Invoices", November
# 2026). An empty answer with another code is no receipt.
TAKEN_IN = frozenset({202})

# What our customer may say through A-Cube: our assumption, the pages list all codes without saying who may send which.
BUYER_STATUSES = frozenset({"204", "205", "206", "207", "208", "210", "211"})
SELLER_STATUSES = frozenset({"209", "211", "212"})
BY_SIDE: dict[str, frozenset[str]] = {Side.BUYER: BUYER_STATUSES, Side.SELLER: SELLER_STATUSES}

# History items name no issuer; who says what is in the seed's table. 211 on a credit note is the seller's (refund).
ISSUERS: dict[str, str] = {
    **dict.fromkeys(("200", "201", "202", "203", "213", "221"), Role.PLATFORM.value),
    **dict.fromkeys(("204", "205", "206", "207", "208", "210", "211"), Role.BUYER.value),
    **dict.fromkeys(("209", "212", "220", "224", "225", "226", "227", "228"), Role.SELLER.value),
    **dict.fromkeys(("250", "251", "601"), Role.PPF.value),
}

# Statuses that may honestly be said more than once (instalments, a second dispute after an answer...).
REPEATABLE = frozenset({"206", "207", "208", "209", "211", "212"})

TAKE_REASON = frozenset({"206", "207", "208", "210"})
TAKE_PAYMENTS = frozenset({"211", "212"})


@dataclass(frozen=True)
class ReasonRow:
    """`statuses` are A-Cube's own. A row that is `read_only` shares its national code with a closer A-Cube word."""

    name: str
    national: str
    statuses: frozenset[str]
    read_only: bool = False


def _row(name: str, national: str, statuses: str, *, read_only: bool = False) -> ReasonRow:
    return ReasonRow(name, national, frozenset(statuses.split()), read_only)


# Names and statuses: seed, "Invoice lifecycle", table of rejection reasons, read November 2026. National codes: our
# assumption by meaning, A-Cube publishes no mapping.
REASONS = (
    _row("LEGAL_INFORMATION_MISSING", "NON_CONFORME", "207 210"),
    _row("INCORRECT_RECIPIENT", "DEST_ERR", "207 210"),
    _row("EINVOICING_ADDRESS_INCORRECT", "ADR_ERR", "207 210"),
    _row("UNKNOWN_TRANSACTION", "TRANSAC_INC", "207 210"),
    _row("PO_REFERENCE_INCORRECT_OR_MISSING", "CMD_ERR", "207 208 210"),
    _row("CONTRACT_REFERENCE_MISSING", "REF_CT_ABSENT", "207 208 210"),
    _row("VAT_RATE_INCORRECT", "TX_TVA_ERR", "207 210"),
    _row("TOTAL_AMOUNT_INCORRECT", "MONTANTTOTAL_ERR", "207 210"),
    _row("CALCULATION_ERROR", "CALCUL_ERR", "207 210"),
    _row("DUPLICATE_INVOICE", "DOUBLON", "207 210"),
    _row("DOUBLE_INVOICING", "DOUBLE_FACT", "207 210"),
    _row("CONTRACT_TERMINATED", "CONTRAT_TERM", "207 210"),
    _row("UNKNOWN_ISSUER", "EMMET_INC", "207 210"),
    # No national code fits these two; the nearest, which 210 does not admit, is already another word's.
    _row("FINANCE_TERMS_INCORRECT", "MODPAI_ERR", "207 210", read_only=True),
    _row("PRICES_INCORRECT", "PU_ERR", "207 210", read_only=True),
    _row("SIRET_INCORRECT_OR_MISSING", "SIRET_ERR", "207 208"),
    _row("ROUTING_CODE_INCORRECT", "CODE_ROUTAGE_ERR", "207 208"),
    _row("REFERENCE_INCORRECT", "REF_ERR", "207 208"),
    _row("QUANTITY_INCORRECT", "QTE_ERR", "207 208"),  # nationally not on 208
    _row("ITEM_INCORRECT", "ART_ERR", "207"),
    _row("ITEM_QUALITY_INSUFFICIENT", "QUALITE_ERR", "207"),
    _row("DELIVERY_ISSUE", "LIVR_INCOMP", "207"),
    _row("PAYMENT_TERMS_INCORRECT", "MODPAI_ERR", "207"),
    _row("OTHER", "AUTRE", "207"),
    _row("UNIT_PRICE_INCORRECT", "PU_ERR", "207"),
    _row("DISCOUNT_INCORRECT", "REM_ERR", "207"),
    _row("BANK_DETAILS_INCORRECT", "COORD_BANC_ERR", "207 208"),
    _row("MISSING_DOCUMENTS", "JUSTIF_ABS", "207"),  # nationally on 208 only: see reason_names
)
READ_REASON = {row.name: row.national for row in REASONS}


def find_status(word: str) -> tuple[str | None, bool]:
    """The national code of a number or a name, None if unknown; and whether it is derived from another word."""
    wanted = word.strip().upper()
    if wanted in STATUSES:
        return wanted, False
    if wanted in DERIVED:
        return DERIVED[wanted], True
    return CODES.get(wanted), False


def find_reason(word: str) -> str:
    """The national code of A-Cube's word, or "". A word that is a national code already stays."""
    return READ_REASON.get(word) or (word if word in NATIONAL else "")


def reason_names(status: str, *, missing_documents_on_208: bool) -> dict[str, str]:
    """National code -> A-Cube's word, for what both lists allow with `status`."""
    return {
        row.national: row.name
        for row in REASONS
        if not row.read_only
        and status in NATIONAL[row.national].statuses
        and status in _statuses_of(row, missing_documents_on_208)
    }


def _statuses_of(row: ReasonRow, missing_documents_on_208: bool) -> frozenset[str]:
    # Two assumptions of ours: 206, which A-Cube's table leaves out, takes the reasons that are 207's alone; and the
    # missing document, whose natural place is the suspension, is understood there too.
    extra = {"206"} if row.statuses == {"207"} else set()
    if row.name == "MISSING_DOCUMENTS" and missing_documents_on_208:
        extra.add("208")
    return row.statuses | extra


# Events we subscribe to: page "webhook types", newest copy, November 2026. An older copy spelt the first with a hyphen.
EVENTS = ("invoice.status", "invoice.inbound", "invoice.outbound", "legal_entity.onboarding")
# Events that may be the first we hear of an invoice.
ANNOUNCEMENTS = frozenset({"invoice.inbound", "invoice.outbound"})
ENTITY_EVENTS = frozenset({"legal_entity.onboarding", "legal-entity.onboarding"})

# The platform's public hosts: pages "authentication" and "http-signature"; the French names are, for the sandbox, our
# assumption after its sister platforms.
API_URLS = {"sandbox": "https://fr-sandbox.api.acubeapi.com", "production": "https://fr.api.acubeapi.com"}
LOGIN_URLS = {"sandbox": "https://common-sandbox.api.acubeapi.com", "production": "https://common.api.acubeapi.com"}

# The claim `roles` of a token is keyed by production host names, in the sandbox too.
FRENCH_HOST = "fr.api.acubeapi.com"

# States of a legal entity, page "onboarding webhooks", November 2026, and ours; what comes before is cut off there.
NOT_STARTED = "TO_BE"
ACTION_REQUIRED = "ONBOARDING_ACTION_REQUIRED"
ONBOARDING = {
    "TO_BE_ONBOARDED": "subscribing",
    "ONBOARDING_IN_PROGRESS": "subscribing",
    ACTION_REQUIRED: "failed",
    "ONBOARDED": "active",
}
FRENCH_SCHEME = "0225"

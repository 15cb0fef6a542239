"""Seqino's words and the national ones.

Pages "lifecycle", "webhooks", "mandates" and "directory" of Seqino's API documentation (version 1.0.0, a beta), read in
November 2026. The stored copies are cut; what they leave open is listed in docs/platforms.md.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.norm.codes import INVOICE_STATUSES, Role

INVOICE = "InvoiceLifecycleStatus"

# Page "lifecycle". Seqino gives names and no numbers: the numbers are our assumption, for the fourteen names stand in
# the very order of 200 to 213 and mean the same. COMPLETED is the seller's answer to a suspension, not an end.
NAMES = {
    "200": "DEPOSITED",
    "201": "TRANSMITTED_BY_PLATFORM",
    "202": "RECEIVED_BY_PLATFORM",
    "203": "MADE_AVAILABLE",
    "204": "ACKNOWLEDGED",
    "205": "APPROVED",
    "206": "PARTIALLY_APPROVED",
    "207": "IN_DISPUTE",
    "208": "SUSPENDED",
    "209": "COMPLETED",
    "210": "REFUSED",
    "211": "PAYMENT_TRANSMITTED",
    "212": "COLLECTED",
    "213": "REJECTED",
}
WORDS = {code: f"{INVOICE}.{name}" for code, name in NAMES.items()}
CODES = {word: code for code, word in WORDS.items()}
BARE_CODES = {name: code for code, name in NAMES.items()}

# Classes of words that stand in an invoice's history without being about the invoice. Several share their short names
# with the invoice's own (REJECTED stands in five): they are kept as they are and never move it.
OTHER_CLASSES = {
    "RegulatoryDataStatus": _("About the invoice data for the administration (flow 1), not about the invoice itself."),
    "FlowStatus": _("About the file that carried it, not about the invoice itself."),
    "DirectoryEntryStatus": _("About a directory entry, not about the invoice itself."),
    "TransactionDataStatus": _("About e-reporting data, not about the invoice itself."),
    "LifecycleStatusReporting": _("About a status that was passed on, not about the invoice itself."),
    "MandateLifecycleStatus": _("About a mandate, not about the invoice itself."),
}

# An item names the platform that put it on record, not the party that spoke; who says what is national law. 211 may be
# either side's, and the item does not tell.
ISSUERS: dict[str, str] = {
    **dict.fromkeys(("200", "201", "202", "203", "213", "221"), Role.PLATFORM.value),
    **dict.fromkeys(("204", "205", "206", "207", "208", "210"), Role.BUYER.value),
    **dict.fromkeys(("209", "212", "220", "224", "225", "226", "227", "228"), Role.SELLER.value),
}
PPF_EMITTER = "PPF"
# Words of the other classes where the administration itself speaks, by the object of each (page "lifecycle-events",
# November 2026; by elimination): of a platform, the same words only say how far it has got.
ANSWERS = {
    "RegulatoryDataStatus.DEPOSITED": "250",
    "RegulatoryDataStatus.ACCEPTED_BY_ADMINISTRATION": "250",
    "RegulatoryDataStatus.REJECTED": "251",
    "RegulatoryDataStatus.REFUSED_BY_ADMINISTRATION": "251",
    "LifecycleStatusReporting.REJECTED": "601",
    "FlowStatus.RECEIVABLE": "500",
    "FlowStatus.UNACCEPTABLE": "501",
}

# What the experimental endpoint is tried with. 212 must carry amounts by VAT rate, for which there is no room.
BUYER_STATUSES = frozenset({"204", "205", "206", "207", "208", "210", "211"})
SELLER_STATUSES = frozenset({"209", "211"})
TAKE_REASON = frozenset({"206", "207", "208", "210"})

# Page "webhooks", newest copy; an early one lists invoice.created alone.
INVOICE_EVENTS = frozenset({"invoice.created", "invoice.received", "invoice.status_updated"})
MANDATE_EVENTS = frozenset({"mandate.created", "mandate.activated", "mandate.expired", "mandate.failed"})
TEST_EVENT = "webhook.test"

# Page "mandates": the first four in every copy, the others in the newer ones. The state is that of our subscription.
MANDATE_STATES = {
    "created": "subscribing",
    "pending_kyc": "subscribing",
    "processing": "subscribing",
    "active": "active",
    "expired": "closed",
    "error": "failed",
}
# A mandate that stands in none of these is taken up again rather than made anew.
DEAD_MANDATES = frozenset({"expired", "error", "revoked", "deleted"})

# Page "openapi index" for the sandbox; the production host stands in an older copy of page "clients" only.
API_URLS = {"sandbox": "https://pdp.seqino.dev/api", "production": "https://pdp.seqino.com/api"}
PUBLIC_HOSTS = {"sandbox": "pdp.seqino.dev", "production": "pdp.seqino.com"}


def find_answer(word: str, emitter: str) -> str | None:
    """What the administration says of something else than the invoice."""
    return ANSWERS.get(word) if emitter.upper() == PPF_EMITTER else None


def find_status(word: str) -> str | None:
    """The national code of a word, class included. A bare name or a number is one too: we always ask about invoices."""
    if word in CODES:
        return CODES[word]
    if word in BARE_CODES:
        return BARE_CODES[word]
    return word if word in INVOICE_STATUSES else None


def class_note(word: str) -> str:
    """What a word of another class is about, "" for the invoice's own and for unknown ones."""
    return str(OTHER_CLASSES.get(word.partition(".")[0], "")) if "." in word else ""

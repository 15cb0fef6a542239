"""Pigeon's words and the national ones. A real table names its source and date here."""

from providers.norm.codes import Role

STATUSES = {
    "posted": "200",
    "passed on": "202",
    "delivered": "203",
    "opened": "204",
    "agreed": "205",
    "disputed": "207",
    "declined": "210",
    "paid": "211",
}
WORDS = {code: word for word, code in STATUSES.items()}

BUYER_STATUSES = frozenset({"204", "205", "207", "210"})

ISSUERS = dict.fromkeys(("200", "202", "203"), Role.PLATFORM.value)
ISSUERS |= dict.fromkeys(("204", "205", "207", "210", "211"), Role.BUYER.value)

REASONS = {"quantity": "QTE_ERR", "price": "PU_ERR", "sent twice": "DOUBLON"}
REASON_WORDS = {code: word for word, code in REASONS.items()}
REASONS_OF_STATUS = {"207": frozenset(REASON_WORDS), "210": frozenset({"DOUBLON"})}

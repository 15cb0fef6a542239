"""Seqino's words. Source: the pages "lifecycle", "mandates" and "webhooks" of its API documentation, November 2026."""

STATUSES = {
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
WORDS = {code: f"InvoiceLifecycleStatus.{name}" for code, name in STATUSES.items()}
CODES = {word: code for code, word in WORDS.items()}

# Which platform puts a status on record: the sender's (PDPE) or the receiver's (PDPR).
SENDERS = frozenset({"200", "201", "209", "212"})
MANDATORY = frozenset({"200", "210", "212", "213"})  # to be told to the administration within 24 hours

OBJECT_TYPES = (
    "invoice", "mandate", "directory_entry", "regulatory_data", "flow", "transaction_data", "lifecycle_status",
)  # fmt: skip

EVENTS = (
    "webhook.test", "invoice.created", "invoice.received", "invoice.status_updated", "mandate.created",
    "mandate.activated", "mandate.expired", "mandate.failed",
)  # fmt: skip

MANDATE_STATUSES = ("created", "processing", "pending_kyc", "active", "expired", "error")
ROUTING_TYPES = ("0224", "0088", "0060", "Internal")
INVOICE_TYPES = ("380", "381", "383", "384")

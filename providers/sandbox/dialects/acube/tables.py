"""A-Cube's words. Source: the A-Cube pages "Invoice lifecycle" and "Webhook types", as read in September 2026."""

# code -> (name, label)
STATUSES = {
    "200": ("SUBMITTED", "Submitted"),
    "201": ("ISSUED", "Issued by the platform"),
    "202": ("RECEIVED", "Received by the platform"),
    "203": ("MADE_AVAILABLE", "Made available"),
    "204": ("IN_HAND", "In hand"),
    "205": ("APPROVED", "Approved"),
    "206": ("PARTIALLY_APPROVED", "Partially approved"),
    "207": ("DISPUTED", "Disputed"),
    "208": ("SUSPENDED", "Suspended"),
    "209": ("COMPLETED", "Completed"),
    "210": ("REFUSED", "Refused"),
    "211": ("PAYMENT_SENT", "Payment sent"),
    "212": ("PAYMENT_RECEIVED", "Payment received"),
    "213": ("REJECTED", "Rejected"),
}
CODES = {name: code for code, (name, _) in STATUSES.items()}

# What a client may set. The pages' own example sets 201; 200, 202, 203 and 213 belong to platforms.
CLIENT_CODES = frozenset({"201", *map(str, range(204, 213))})

REASONS = {
    "LEGAL_INFORMATION_MISSING": {"210", "207"},
    "INCORRECT_RECIPIENT": {"210", "207"},
    "EINVOICING_ADDRESS_INCORRECT": {"210", "207"},
    "UNKNOWN_TRANSACTION": {"210", "207"},
    "PO_REFERENCE_INCORRECT_OR_MISSING": {"210", "207", "208"},
    "CONTRACT_REFERENCE_MISSING": {"210", "207", "208"},
    "VAT_RATE_INCORRECT": {"210", "207"},
    "TOTAL_AMOUNT_INCORRECT": {"210", "207"},
    "CALCULATION_ERROR": {"210", "207"},
    "DUPLICATE_INVOICE": {"210", "207"},
    "DOUBLE_INVOICING": {"210", "207"},
    "CONTRACT_TERMINATED": {"210", "207"},
    "UNKNOWN_ISSUER": {"210", "207"},
    "FINANCE_TERMS_INCORRECT": {"210", "207"},
    "PRICES_INCORRECT": {"210", "207"},
    "SIRET_INCORRECT_OR_MISSING": {"207", "208"},
    "ROUTING_CODE_INCORRECT": {"207", "208"},
    "REFERENCE_INCORRECT": {"207", "208"},
    "QUANTITY_INCORRECT": {"207", "208"},
    "ITEM_INCORRECT": {"207"},
    "ITEM_QUALITY_INSUFFICIENT": {"207"},
    "DELIVERY_ISSUE": {"207"},
    "PAYMENT_TERMS_INCORRECT": {"207"},
    "OTHER": {"207"},
    "UNIT_PRICE_INCORRECT": {"207"},
    "DISCOUNT_INCORRECT": {"207"},
    "BANK_DETAILS_INCORRECT": {"207", "208"},
    "MISSING_DOCUMENTS": {"207"},
}
REASON_REQUIRED = frozenset({"207", "208", "210"})
REASON_POSSIBLE = REASON_REQUIRED | {"206"}  # 206 takes what 207 takes (an assumption: the pages are silent)
PAYMENT_REQUIRED = frozenset({"212"})
PAYMENT_POSSIBLE = frozenset({"211", "212"})

EVENTS = ("legal_entity.onboarding", "invoice.outbound", "invoice.inbound", "invoice.status")
# the processing stages that invoice.outbound tells, beside invoice.status
OUTBOUND_STAGES = {
    "200": "SUBMITTED",
    "205": "APPROVED",
    "207": "DISPUTED",
    "208": "SUSPENDED",
    "209": "COMPLETED",
    "210": "REFUSED",
    "212": "PAID",
    "213": "REJECTED",
}
ONBOARDING = ("ONBOARDING_IN_PROGRESS", "ONBOARDED")

AUTH_TYPES = ("header", "query", "none")

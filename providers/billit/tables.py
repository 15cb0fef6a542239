"""Billit's words and the national ones.

Sources, read in November 2026 and dated by their examples to May and June 2026: docs.accesspoint.billit.eu, pages
"Webhooks : Invoice Statuses" (flow states), "Sending", "Polling"; docs.billit.be, pages "Refusal of an Invoice (API)",
"Statusses Invoices when sending PA", "Business Process Type", "Update Payment Information".
"""

from __future__ import annotations

from providers.norm.codes import STATUSES, Role

API_URLS = {"sandbox": "https://api.sandbox.billit.be", "production": "https://api.billit.be"}
PORTAL_URLS = {"sandbox": "https://my.sandbox.billit.be", "production": "https://my.billit.be"}

REFUSED, DELIVERED, SENT = "Refused", "Delivered", "Sent"

# What the network says of a message, with the nearest code. `Accepted` is a platform's "validated and forwarded", never
# the buyer's approval. `Refused` merges the buyer, a platform and the administration: only a file or the order tells.
FLOW_STATES: dict[str, str] = {SENT: "201", "Accepted": "202", DELIVERED: "203"}

# The codes of lifecycle files for which Billit's word is `Refused`.
REFUSALS = frozenset({"210", "213", "501"})

# Who sets a status, where its file does not name the issuer.
ISSUERS: dict[str, str] = {code: min(info.issuers).value for code, info in STATUSES.items() if len(info.issuers) == 1}

DIRECTIONS = {"Income": "issued", "Cost": "received"}
ORDER_TYPES = {"Invoice": "380", "CreditNote": "381"}

# Invoices that say of themselves that they are paid: their `Paid` is no receipt to be told (page "Business Process
# Type").
ALREADY_PAID = frozenset({"B2", "S2", "M2"})

# Page "Refusal of an Invoice (API)": thirteen words, and thirteen national codes are allowed with 210. The pairs are
# ours, by meaning: DOUBLON is the same invoice twice, DOUBLE_FACT the same supply billed twice.
REASONS = {
    "TX_TVA_ERR": "IncorrectVatRate",
    "MONTANTTOTAL_ERR": "IncorrectTotalAmount",
    "CALCUL_ERR": "CalculationError",
    "NON_CONFORME": "NotConform",
    "DOUBLON": "Duplicate",
    "DEST_ERR": "WrongRecipient",
    "EMMET_INC": "UnknownIssuer",
    "CONTRAT_TERM": "ContractTerminated",
    "DOUBLE_FACT": "DuplicateInvoice",
    "CMD_ERR": "OrderError",
    "ADR_ERR": "AddressError",
    "REF_CT_ABSENT": "MissingContractReference",
    "TRANSAC_INC": "UnknownTransaction",
}
NATIONAL_REASONS = {word: code for code, word in REASONS.items()}

# Part of the address -> what is pushed there: one webhook and one secret each. Of a message both are wanted, for the
# page's own example shows an update that comes before the insertion.
HOOKS = {"message-i": ("Message", "I"), "message-u": ("Message", "U"), "order-i": ("Order", "I")}

# Identifier types of a party. SIREN was called SIRENE before 31 May 2026 (page "Identifiers in France").
NUMBER_SCHEMES = {"SIREN": "0002", "SIRENE": "0002", "SIRET": "0009"}
ADDRESS_SCHEME = "0225"
LONGEST_ADDRESS = 125  # of the French rules; Billit's own pages say 130

BUYER, SELLER, PLATFORM, PPF = (role.value for role in (Role.BUYER, Role.SELLER, Role.PLATFORM, Role.PPF))

"""Billit's words. Source: docs.billit.be and docs.accesspoint.billit.eu, as read in November 2026."""

# code -> (direction of the message, flow state, description); a code that is not here is the other side's free answer
MESSAGES = {
    "201": ("Outgoing", "Sent", ""),
    "202": ("Incoming", "Accepted", "AP: validated and forwarded"),
    "203": ("Outgoing", "Delivered", ""),
    "210": ("Incoming", "Refused", "RE: refused by the customer"),
    "213": ("Incoming", "Refused", "Rejected by the platform"),
    "501": ("Incoming", "Refused", "Reporting failed"),
}
ISSUERS = {"204": "BY", "205": "BY", "206": "BY", "207": "BY", "208": "BY", "210": "BY", "211": "BY", "501": "DFH"}
ISSUERS |= {"209": "SE", "212": "SE", "250": "DFH", "500": "DFH"}

# The thirteen reasons of a refusal, with the national code that a lifecycle file would show.
REASONS = {
    "WrongRecipient": "DEST_ERR",
    "AddressError": "ADR_ERR",
    "UnknownIssuer": "EMMET_INC",
    "UnknownTransaction": "TRANSAC_INC",
    "Duplicate": "DOUBLON",
    "DuplicateInvoice": "DOUBLE_FACT",
    "OrderError": "CMD_ERR",
    "MissingContractReference": "REF_CT_ABSENT",
    "ContractTerminated": "CONTRAT_TERM",
    "NotConform": "NON_CONFORME",
    "IncorrectTotalAmount": "MONTANTTOTAL_ERR",
    "IncorrectVatRate": "TX_TVA_ERR",
    "CalculationError": "CALCUL_ERR",
}

FRAMES = frozenset({"B1", "S1", "M1", "B2", "S2", "M2", "B4", "S4", "M4", "S5", "S6", "B7", "S7"})
HOOKS = frozenset({("Message", "I"), ("Message", "U"), ("Order", "I"), ("Order", "U")})
DOC_TYPES = (None, "CDAR", "CDAR;MLR")
PAGE = 120

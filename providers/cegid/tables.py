"""The words of Cegid's protocol and the national ones.

"Pages" are Cegid Developers, folder eFacture-APIM-CC-Doc (index, Onboarding, NominalUseCase), read in 2026. They name
four kinds of messages and no word of their content: what is marked "ours" is the contract we propose.
"""

from __future__ import annotations

from providers.norm.codes import CREDIT_NOTE_TYPES, STATUSES, DataType, Role, Side, Status

# "Incoming" and "outgoing" are seen from the customer (pages, NominalUseCase), so both seats read them alike.
KINDS = {"received": "incoming", "issued": "outgoing"}
DIRECTIONS = {kind: direction for direction, kind in KINDS.items()}

# Ours. CUSTOMER is whoever uses Cegid's software: the buyer of what came in, the seller of what went out.
CUSTOMER = "CUSTOMER"
ISSUERS = {Role.PLATFORM.value: "PLATFORM", Role.BUYER.value: "BUYER", Role.SELLER.value: "SELLER"}
ROLES = {word: role for role, word in ISSUERS.items()}
CUSTOMER_ROLES = {"received": Role.BUYER.value, "issued": Role.SELLER.value}

# Who says what: ours, derived from the kinds (pages) and the issuers of XP Z12-012. 214, 220, 221 and 224 to 228 are
# recorded when they come, and not said: nothing tells that they are carried.
BUYER_STATUSES = frozenset({"204", "205", "206", "207", "208", "210", "211"})
SELLER_STATUSES = frozenset({"209", "212"})

# What the accredited platform may say to the concentrator, by direction and issuer (messages M1 and M2). The buyer
# speaks in M1 only where our people act on the customer's behalf.
TO_OD: dict[tuple[str, str], frozenset[str]] = {
    ("received", Role.PLATFORM): frozenset({"202", "203"}),
    ("received", Role.SELLER): SELLER_STATUSES,
    ("received", Role.BUYER): BUYER_STATUSES,
    ("issued", Role.BUYER): BUYER_STATUSES,
}
# What the concentrator may say to the platform (messages M3 and M4).
TO_PLATFORM: dict[tuple[str, str], frozenset[str]] = {
    ("received", Role.BUYER): BUYER_STATUSES,
    ("issued", Role.SELLER): SELLER_STATUSES,
}

# Kinds of amounts, in the words of CDAR (MDT-207).
AMOUNT_TYPES: dict[str, str] = {Status.PAYMENT_SENT: DataType.MPA, Status.PAYMENT_RECEIVED: DataType.MEN}

# Ours: names of syntaxes, with what a file of it is.
MEDIA_TYPES = {"UBL": "application/xml", "CII": "application/xml", "FACTUR-X": "application/pdf"}


def role_of(word: str, *, direction: str, status: str | None, type_code: str) -> str:
    """The national role of an issuer's word, "" where it is unknown or could not have said it.

    A message that comes back as an echo is the CUSTOMER's whoever spoke first: then the status tells no issuer.
    """
    if word != CUSTOMER:
        return ROLES.get(word, "")
    role = CUSTOMER_ROLES[direction]
    pays_back = type_code in CREDIT_NOTE_TYPES
    if status == Status.PAYMENT_SENT and role == Role.SELLER and not pays_back:
        return ""
    return role if status is None or Role(role) in STATUSES[status].issuers else ""


def seat_of_platform(direction: str, acts_on_behalf: bool) -> Side | None:
    """On its sales our people carry the buyer's words; on its purchases the customer decides in Cegid's software."""
    return Side.BUYER if direction == "issued" or acts_on_behalf else None

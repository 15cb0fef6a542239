"""The words of XP Z12-013: the annex contract 1.3.0 (FNFE-MPE, Apache-2.0), and for 1.1 and 1.2 the public SDKs of
FactPulse and NeoTimo (MIT), read in November 2026. Every list is open: an unknown word is kept as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from providers.norm.codes import Side

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

IN, OUT = "In", "Out"
OK, ERROR, PENDING = "Ok", "Error", "Pending"

# The type tells our customer's side, whichever way the flow goes: a self-billed invoice is a CustomerInvoice coming In.
# What is given here is the usual way, for where a platform is silent, and for a status to find its invoice.
INVOICES = {"CustomerInvoice": "issued", "SupplierInvoice": "received"}
LIFECYCLES = {"CustomerInvoiceLC": "issued", "SupplierInvoiceLC": "received"}
WAYS = {IN: "received", OUT: "issued"}
OTHER_WAY = {"issued": "received", "received": "issued"}
FOLLOWED = (*INVOICES, *LIFECYCLES)

SYNTAXES = {"ubl": "UBL", "cii": "CII", "facturx": "Factur-X"}

# Specification identifiers (BT-24) and the profile they belong to: FNFE-MPE's guides to XP Z12-012 (30 June 2026).
# Another identifier names no profile of the contract's: then none is said.
PROFILES = {
    "urn:cen.eu:en16931:2017": "CIUS",
    "urn:cen.eu:en16931:2017#compliant#urn:factur-x.eu:1p0:basic": "Basic",
    "urn:factur-x.eu:1p0:basicwl": "Basic",
    "urn:cen.eu:en16931:2017#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr": "Extended-CTC-FR",
}

# What our customer may say: every processing status of its side that needs no party or account but the invoice's own.
# 225 and 226 are told to a factor, whom no invoice names.
BUYER_STATUSES = frozenset({"204", "205", "206", "207", "208", "210", "211"})
SELLER_STATUSES = frozenset({"209", "211", "212", "220", "224", "227", "228"})
BY_SIDE: dict[str, frozenset[str]] = {Side.BUYER: BUYER_STATUSES, Side.SELLER: SELLER_STATUSES}

# Whose directory line it is (annex contract of the Directory Service).
PLATFORM_TYPES = {"WK": _("accredited platform"), "DFH": _("public portal")}


@dataclass(frozen=True)
class AckReason:
    """Why a flow was not taken: in words for people, and the national reason it stands for, if any."""

    text: StrOrPromise
    national: str = ""


# Contract 1.1.0 gives the national equivalents, 1.3.0 repeats them (its IRR_VID_F is IRR_VIDE_F in the national list).
ACK_REASONS = {
    "EmptyAttachement": AckReason(_("An attachment is empty."), "IRR_VID_PJ"),
    "AttachmentTypeError": AckReason(_("An attachment is of a type that is not allowed."), "IRR_EXT_DOC"),
    "EmptyFlow": AckReason(_("The file is empty."), "IRR_VIDE_F"),
    "OtherTechnicalError": AckReason(_("A technical fault the platform does not name."), "AUTRE"),
    "InvalidSchema": AckReason(_("The file does not follow its XML schema."), "IRR_SYNTAX"),
    "FileSizeExceeded": AckReason(_("The file is too large."), "IRR_TAILLE_F"),
    "FlowTypeError": AckReason(_("The kind of file is not allowed."), "IRR_TYPE_F"),
    "AlreadyExistingFlow": AckReason(_("The platform has received it already.")),
    "VirusFound": AckReason(_("The antivirus found a virus in the file."), "IRR_ANTIVIRUS"),
    "ChecksumMismatch": AckReason(_("The file arrived damaged: its checksum is another.")),
    "InvoiceLCInvalidStatus": AckReason(_("The status does not fit what the platform knows of the invoice.")),
    "InvoiceLCStatusError": AckReason(_("The status is wrong, or not allowed here.")),
    "InvoiceLCRuleError": AckReason(_("The status message breaks a rule of the platform.")),
    "InvoiceLCAccessDenied": AckReason(_("This account may not set a status on this invoice.")),
    "InvoiceLCAmountError": AckReason(_("The amounts do not agree with the VAT.")),
}
ALREADY_THERE = "AlreadyExistingFlow"

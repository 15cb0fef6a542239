"""The official vocabulary: statuses, reasons, roles, payment data. A leaf: every app may import it.

French labels are the official ones, letter for letter. Sources: XP Z12-012 as published by FNFE-MPE (CDAR Schematron
1.4.0.03, 31 July 2026; guides of 30 June 2026) and DGFiP external specifications 3.2 (30 April 2026). MDT-nn are the
field numbers of the CDAR message; [G7.25] and the like, rules of the DGFiP's annex 7 v1.9, read on 29 November 2026.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from .reasons import CLOSED_LIST as CLOSED_LIST
from .reasons import MISPRINTED, REASONS, ReasonInfo

Obligation = Literal["mandatory", "conditional", "optional", "between platforms"]
Rule = Literal["required", "allowed", "none"]
Tone = Literal["neutral", "info", "good", "warn", "bad"]
Words = str | Promise


class Side(models.TextChoices):
    """The seat of our customer on an invoice."""

    BUYER = "buyer", _("buyer")
    SELLER = "seller", _("seller")


class Role(models.TextChoices):
    """Issuer and recipient roles of a CDAR message (subset of UNCL 3035)."""

    BUYER = "BY", _("buyer")
    BUYER_AGENT = "AB", _("buyer's agent")
    SELLER = "SE", _("seller")
    SELLER_AGENT = "SR", _("seller's agent")
    FACTOR = "DL", _("factor")
    PAYEE = "PE", _("payee")
    PAYER = "PR", _("payer")
    INVOICER = "II", _("invoicer")
    INVOICEE = "IV", _("invoicee")
    PLATFORM = "WK", _("platform")
    PPF = "DFH", _("tax administration (PPF)")


class Phase(models.TextChoices):
    TRANSMISSION = "transmission", _("transmission")
    PROCESSING = "processing", _("processing")
    FLOW = "flow", _("flow")


class StatusObject(models.TextChoices):
    """What a status speaks about; MDT-105 is one code list for all of them."""

    INVOICE = "invoice", _("invoice")
    REGULATORY_DATA = "regulatory data", _("invoice data for the administration (flow 1)")
    E_REPORTING = "e-reporting", _("e-reporting transmission (flow 10)")
    DIRECTORY_LINE = "directory line", _("directory line")
    FILE = "file", _("file")
    STATUS_MESSAGE = "status message", _("status message (flow 6)")
    TRANSMISSION = (
        "another transmission",
        _("another transmission of the invoice"),
    )  # of a 213 that answers a second one


class Reported(models.TextChoices):
    """Whether a platform forwards the status to the tax administration (PPF)."""

    YES = "yes", _("yes")
    NO = "no", _("no")
    IF_VAT_ON_RECEIPT = "if VAT on receipt", _("only when the VAT falls due on receipt of the payment")


class DataType(models.TextChoices):
    """Kinds of data a status may carry (MDT-207, list BR-FR-CDV-CL-11)."""

    MEN = "MEN", _("amount received")
    MPA = "MPA", _("amount paid")
    RAP = "RAP", _("amount left to pay")
    ESC = "ESC", _("cash discount granted")
    RAB = "RAB", _("rebate granted")
    REM = "REM", _("reduction granted")
    MAP = "MAP", _("amount approved, without VAT")
    MAPTTC = "MAPTTC", _("amount approved, with VAT")
    MNA = "MNA", _("amount not approved, without VAT")
    MNATTC = "MNATTC", _("amount not approved, with VAT")
    CBB = "CBB", _("bank details to use")
    DIV = "DIV", _("wrong value")
    DVA = "DVA", _("expected value")
    MAJ = "MAJ", _("replacement value")


class Action(models.TextChoices):
    """What the other party is asked to do (MDT-121, list BR-FR-CDV-CL-10)."""

    NOTHING = "NOA", _("nothing to do")
    INFORM = "PIN", _("send more information")
    REISSUE = "NIN", _("issue a corrective invoice")
    CREDIT_IN_FULL = "CNF", _("issue a credit note for the whole invoice")
    CREDIT_IN_PART = "CNP", _("issue a credit note for a part")
    PAY_BACK = "CNA", _("credit or pay back the amount")
    OTHER = "OTH", _("other")


class Status(models.TextChoices):
    """MDT-105 with its official label. The buyer refuses (210), a platform rejects (213)."""

    SUBMITTED = "200", "Déposée"
    ISSUED = "201", "Émise par la plateforme"
    RECEIVED = "202", "Reçue par la plateforme"
    MADE_AVAILABLE = "203", "Mise à disposition"
    IN_HAND = "204", "Prise en charge"
    APPROVED = "205", "Approuvée"
    PARTIALLY_APPROVED = "206", "Approuvée partiellement"
    DISPUTED = "207", "En litige"
    SUSPENDED = "208", "Suspendue"
    COMPLETED = "209", "Complétée"
    REFUSED = "210", "Refusée"
    PAYMENT_SENT = "211", "Paiement transmis"
    PAYMENT_RECEIVED = "212", "Encaissée"
    REJECTED = "213", "Rejetée"
    ENDORSED = "214", "Visée"
    CANCELLED = "220", "Annulée"
    ROUTING_ERROR = "221", "Erreur de routage"
    DIRECT_PAYMENT_REQUESTED = "224", "Demande de paiement direct"
    FACTORED = "225", "Affacturée"
    FACTORED_CONFIDENTIALLY = "226", "Affacturée confidentiel"
    ACCOUNT_CHANGED = "227", "Changement de compte à payer"
    NOT_FACTORED = "228", "Non affacturée"
    F1_ACCEPTED = "250", "Déposée"
    F1_REJECTED = "251", "Rejetée"
    EREPORTING_ACCEPTED = "300", "Déposée"
    EREPORTING_REJECTED = "301", "Rejetée"
    DIRECTORY_LINE_ACCEPTED = "400", "Acceptée"
    DIRECTORY_LINE_REJECTED = "401", "Rejetée"
    FILE_ADMISSIBLE = "500", "Recevable"
    FILE_INADMISSIBLE = "501", "Irrecevable"
    STATUS_REJECTED = "601", "Rejeté"


@dataclass(frozen=True)
class StatusInfo:
    """One row of the law. `issuers`: who may set it; `final`: nothing that counts may follow."""

    status: Status
    label_en: str
    definition: Words
    phase: Phase
    issuers: frozenset[Role]
    mdt88: str  # UN code sent beside MDT-105; "5" may also be left out, "" always is
    mdt77: str = ""
    object: StatusObject = StatusObject.INVOICE
    obligation: Obligation = "optional"
    reported_to_ppf: Reported = Reported.NO
    reason: Rule = "none"
    comment: Rule = "allowed"  # MDT-126
    payment: Rule = "none"
    payment_types: tuple[DataType, ...] = ()
    final: bool = False
    deadline_hours: int | None = None
    tone: Tone = "neutral"

    @property
    def code(self) -> str:
        return self.status.value

    @property
    def name(self) -> str:
        return self.status.name

    @property
    def label_fr(self) -> str:
        return str(self.status.label)


# From the time stamp of the status (MDT-78) until the platform has told the administration: every mandatory status
# (DGFiP general part 3.6.6; for the invoice data of a 200 also 3.6.5).
PPF_DEADLINE_HOURS = 24
LAST_WITH_DEADLINE = datetime.max.replace(tzinfo=UTC) - timedelta(hours=PPF_DEADLINE_HOURS)


def ppf_deadline(said_at: datetime) -> datetime:
    """Until when the administration must know; of times that end with the calendar, its last."""
    return min(said_at, LAST_WITH_DEADLINE) + timedelta(hours=PPF_DEADLINE_HOURS)


PLATFORM = frozenset({Role.PLATFORM})
BUYER = frozenset({Role.BUYER})
SELLER = frozenset({Role.SELLER})
ADMINISTRATION = frozenset({Role.PPF})


def _transmission(status: Status, label_en: str, definition: Words, mdt88: str, **rest: Any) -> StatusInfo:
    return StatusInfo(status, label_en, definition, Phase.TRANSMISSION, PLATFORM, mdt88, "305", **rest)


def _processing(
    status: Status, label_en: str, definition: Words, issuers: frozenset[Role], mdt88: str = "5", **rest: Any
) -> StatusInfo:
    return StatusInfo(status, label_en, definition, Phase.PROCESSING, issuers, mdt88, "23", **rest)


def _answer(status: Status, label_en: str, definition: Words, about: StatusObject, **rest: Any) -> StatusInfo:
    """An answer of the administration; these carry neither MDT-77 nor MDT-88."""
    rest = {"obligation": "mandatory", "final": True, **rest}
    return StatusInfo(status, label_en, definition, Phase.FLOW, ADMINISTRATION, "", object=about, **rest)


_TO_PPF: dict[str, Any] = {
    "obligation": "mandatory",
    "reported_to_ppf": Reported.YES,
    "deadline_hours": PPF_DEADLINE_HOURS,
}
_PARTLY_APPROVED = (DataType.MAP, DataType.MAPTTC, DataType.MNA, DataType.MNATTC)
_RECEIVED = (DataType.MEN, DataType.RAP, DataType.ESC, DataType.RAB, DataType.REM)
_BANK = (DataType.CBB,)

# fmt: off
_STATUS_ROWS = (
    _transmission(Status.SUBMITTED, "Submitted", _("The seller's platform has accepted the invoice after checking it."),
        "10", reason="allowed", tone="info", **_TO_PPF),
    _transmission(Status.ISSUED, "Issued by the platform", _("The seller's platform has sent the invoice on its way."),
        "51", tone="info"),
    _transmission(Status.RECEIVED, "Received by the platform",
        _("The buyer's platform holds the invoice; its checks passed."), "43", tone="info"),
    _transmission(Status.MADE_AVAILABLE, "Made available",
        _("The buyer can now open the invoice. Transmission is over."), "48", tone="info"),
    # A buyer's platform may take the invoice in hand in the buyer's name.
    _processing(Status.IN_HAND, "In hand", _("The buyer has seen the invoice and is working on it."), BUYER | PLATFORM,
        "45", tone="info"),
    _processing(Status.APPROVED, "Approved", _("The buyer agrees with the invoice as it stands."), BUYER, "1",
        tone="good"),
    _processing(Status.PARTIALLY_APPROVED, "Partially approved",
        _("The buyer agrees with a part of the invoice and says why."), BUYER, "49", reason="required",
        payment="allowed", payment_types=_PARTLY_APPROVED, tone="warn"),
    # One FNFE timetable sends 207 to the PPF; every list of mandatory statuses says no, and so do we.
    _processing(Status.DISPUTED, "Disputed",
        _("The buyer contests the invoice or a part of it; the invoice stays alive."), BUYER, "46", reason="required",
        tone="warn"),
    _processing(Status.SUSPENDED, "Suspended", _("The buyer needs missing documents before going on."), BUYER, "39",
        reason="required", comment="required", tone="warn"),
    _processing(Status.COMPLETED, "Completed", _("The seller has answered a suspension with the missing documents."),
        SELLER, "37", tone="info"),
    # Final for the administration: no mandatory status may follow, hence no 212. A text must travel with 208 and 210
    # [G7.25], and with a receipt that is taken back [P1.17].
    _processing(Status.REFUSED, "Refused", _("The buyer turns the whole invoice down. There is no way back."), BUYER,
        "50", reason="required", comment="required", final=True, tone="bad", **_TO_PPF),
    # By the seller for a refund only.
    _processing(Status.PAYMENT_SENT, "Payment sent", _("The payer has sent the money, wholly or in part."),
        BUYER | SELLER, "47", payment="allowed", payment_types=(DataType.MPA,), tone="good"),
    # A negative amount takes a receipt back; DGFiP rule P1.17 then wants to know why.
    _processing(Status.PAYMENT_RECEIVED, "Payment received",
        _("The seller has the money, wholly or in part, by VAT rate."), SELLER, "47", obligation="conditional",
        reported_to_ppf=Reported.IF_VAT_ON_RECEIPT, reason="allowed", payment="required", payment_types=_RECEIVED,
        deadline_hours=PPF_DEADLINE_HOURS, tone="good"),
    _transmission(Status.REJECTED, "Rejected",
        _("A platform found the invoice faulty and stopped it. A new one is needed."), "8", reason="required",
        final=True, tone="bad", **_TO_PPF),
    # Not an approval: a third party puts its mark on the invoice.
    _processing(Status.ENDORSED, "Reviewed / endorsed",
        _("An agent or the lead contractor has put its mark on the invoice."),
        frozenset({Role.BUYER_AGENT, Role.SELLER_AGENT}), tone="info"),
    # Some implementers let the buyer cancel too: accepted when a platform reports it, never offered.
    _processing(Status.CANCELLED, "Cancelled", _("A corrective invoice has taken the place of this one."), SELLER,
        final=True, tone="bad"),
    _transmission(Status.ROUTING_ERROR, "Routing error",
        _("The invoice reached a platform that does not serve this address."), "", obligation="between platforms",
        reason="allowed", tone="bad"),
    _processing(Status.DIRECT_PAYMENT_REQUESTED, "Direct payment request",
        _("The seller, a subcontractor, asks the final customer for payment."), SELLER, tone="info"),
    _processing(Status.FACTORED, "Factored", _("The claim now belongs to a factor, who is to be paid."), SELLER,
        payment_types=_BANK, tone="info"),
    _processing(Status.FACTORED_CONFIDENTIALLY, "Factored, confidential",
        _("The claim now belongs to a factor; the buyer is not told."), SELLER, tone="info"),
    _processing(Status.ACCOUNT_CHANGED, "Payment account change",
        _("The invoice is to be paid to another bank account."), SELLER, payment_types=_BANK, tone="warn"),
    _processing(Status.NOT_FACTORED, "Not factored", _("The claim is the seller's again, who is to be paid."), SELLER,
        payment_types=_BANK, tone="info"),
    _answer(Status.F1_ACCEPTED, "F1 accepted", _("The administration holds the invoice data."),
        StatusObject.REGULATORY_DATA, tone="good"),
    _answer(Status.F1_REJECTED, "F1 rejected", _("The administration turned the invoice data down."),
        StatusObject.REGULATORY_DATA, reason="required", tone="bad"),
    _answer(Status.EREPORTING_ACCEPTED, "E-reporting accepted", _("The administration holds the e-reporting data."),
        StatusObject.E_REPORTING, tone="good"),
    _answer(Status.EREPORTING_REJECTED, "E-reporting rejected",
        _("The administration turned the e-reporting data down."), StatusObject.E_REPORTING, reason="required",
        tone="bad"),
    _answer(Status.DIRECTORY_LINE_ACCEPTED, "Directory line accepted", _("The address is now in the directory."),
        StatusObject.DIRECTORY_LINE, tone="good"),
    _answer(Status.DIRECTORY_LINE_REJECTED, "Directory line rejected", _("The directory turned the address down."),
        StatusObject.DIRECTORY_LINE, reason="required", tone="bad"),
    StatusInfo(Status.FILE_ADMISSIBLE, "Admissible", _("The file could be opened and read."), Phase.FLOW,
        PLATFORM | ADMINISTRATION, "", "305", StatusObject.FILE, "mandatory", tone="good"),
    StatusInfo(Status.FILE_INADMISSIBLE, "Inadmissible",
        _("The file could not be used: virus, wrong type, broken or empty."), Phase.FLOW, PLATFORM | ADMINISTRATION, "",
        "305", StatusObject.FILE, "mandatory", reason="required", final=True, tone="bad"),
    _answer(Status.STATUS_REJECTED, "Status rejected",
        _("The administration did not take a status. Correct and resend it."), StatusObject.STATUS_MESSAGE,
        reason="required", tone="bad"),
)
# fmt: on

STATUSES: Mapping[str, StatusInfo] = {row.code: row for row in _STATUS_ROWS}
INVOICE_STATUSES: tuple[str, ...] = tuple(row.code for row in _STATUS_ROWS if row.object == StatusObject.INVOICE)
FINAL_STATUSES = frozenset(code for code in INVOICE_STATUSES if STATUSES[code].final)
# With these an invoice does not count (any more).
VOID_STATUSES = frozenset({Status.REFUSED.value, Status.REJECTED.value, Status.CANCELLED.value})
REASON_REQUIRED = frozenset(row.code for row in _STATUS_ROWS if row.reason == "required")

# Rates a French invoice may carry, in percent (FNFE-MPE rules BR-FR-15 and 16).
_RATES = ("0", "0.9", "1.05", "1.75", "2.1", "5.5", "7", "8.5", "9.2", "9.6", "10", "13", "19.6", "20", "20.6")
VAT_RATES = tuple(Decimal(rate) for rate in _RATES)

# UNTDID 1001 codes of credit notes: money flows back, so the seller may say 211.
CREDIT_NOTE_TYPES = frozenset({"261", "262", "381", "396", "502", "503"})
CORRECTIVE_TYPES = frozenset({"384", "471", "472", "473"})
# Issued by the buyer in the seller's name.
SELF_BILLED_TYPES = frozenset({"261", "389", "471", "473", "500", "501", "502"})


def _listed(row: ReasonInfo, status: str, b2g: bool) -> bool:
    if status in INVOICE_STATUSES and not row.closed_list:
        return False
    return status in row.statuses or (b2g and status == Status.REFUSED and row.b2g_210)


def reasons_for(status: str, *, b2g: bool = False) -> tuple[str, ...]:
    """The reasons a message with this status may carry; `b2g` for a refusal that comes from the public platform."""
    if status == Status.PAYMENT_RECEIVED:
        return CLOSED_LIST
    return tuple(row.code for row in REASONS.values() if _listed(row, status, b2g))


def official_comment(status: str, reasons: Sequence[str], *, takes_back: bool = False) -> str:
    """What stands for the person's words (MDT-126) where a text must travel and none was given: the reason's label.
    `takes_back`: the amounts of a receipt are taken back, which has to be explained too [P1.17].
    """
    is_needed = takes_back or (status in STATUSES and STATUSES[status].comment == "required")
    return REASONS[reasons[0]].label_fr if is_needed and reasons and reasons[0] in REASONS else ""


def _in_reader_language(french: str, english: str) -> str:
    return french if (get_language() or "").startswith("fr") else english


def status_label(code: str | None) -> str:
    """The official label in the reader's language; a code nobody published is shown as unknown."""
    row = STATUSES.get(code or "")
    if row is None:
        return gettext("unknown (%(code)s)") % {"code": code or "?"}
    return _in_reader_language(row.label_fr, row.label_en)


def status_tone(code: str | None) -> Tone:
    row = STATUSES.get(code or "")
    return row.tone if row else "neutral"


def reason_label(code: str) -> str:
    """As `status_label`; a code outside the lists is its own label, because platforms do send some."""
    row = REASONS.get(MISPRINTED.get(code, code))
    return _in_reader_language(row.label_fr, row.label_en) if row else code

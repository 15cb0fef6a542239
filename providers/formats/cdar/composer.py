"""From a status we tell to the message that says it, in both of its forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from providers.contract.shapes import InvoiceFacts, Party, Payment, StatusMessage
from providers.contract.told import note_of
from providers.norm.codes import REASONS, STATUSES, Reported, Role
from providers.norm.companies import ADDRESS_SCHEME, SIREN_SCHEME
from providers.norm.processing import Rule

from .model import (
    AMOUNT_TYPES,
    BETWEEN_PLATFORMS,
    PARIS,
    PLATFORM_SCHEME,
    PPF_ID,
    TO_PPF,
    Actor,
    Attachment,
    Cdar,
    Characteristic,
    Detail,
    Moment,
)
from .writer import clean, dump

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Who is told (FNFE-MPE's guides of 30 June 2026); the administration is added where it is concerned. Whoever sets a
# status is not told it: 211 has two possible issuers, hence two recipients here.
RECIPIENTS: Mapping[str, tuple[str, ...]] = {
    "200": ("SE",), "201": ("SE",), "202": ("SE", "BY"), "203": ("SE", "BY"), "204": ("SE",), "205": ("SE",),
    "206": ("SE",), "207": ("SE",), "208": ("SE",), "209": ("BY",), "210": ("SE",), "211": ("SE", "BY"), "212": ("BY",),
    "213": ("SE", "BY"), "214": ("BY", "SE"), "220": ("BY",), "221": ("WK",), "224": ("BY",), "225": ("BY", "DL"),
    "226": ("DL",), "227": ("BY",), "228": ("BY",), "501": ("WK",),
}  # fmt: skip
# MDT-2 of what is no e-invoicing (BR-FR-CDV-CL-01).
PROCESSES: Mapping[str, str] = {
    Rule.B2B_INT.value: "B2BINT",
    Rule.B2C.value: "B2C",
    Rule.OUT_OF_SCOPE.value: "OUTOFSCOPE",
}
PPF = Actor(role=Role.PPF.value, name="PPF", ids=((PLATFORM_SCHEME, PPF_ID),))
TO_PPF_SUFFIX = "-PPF"


class Form(Enum):
    """One status that the administration must know makes two messages."""

    BETWEEN_PLATFORMS = BETWEEN_PLATFORMS
    TO_PPF = TO_PPF


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What a message says beside the status. `others` are parties no invoice names, by role: the platform ("WK", told
    to the PPF only), a factor ("DL"), agents ("AB", "SR"). `receipts_to_ppf`: the VAT falls due on receipt.
    """

    form: Form = Form.BETWEEN_PLATFORMS
    zone: ZoneInfo = PARIS
    process: str = "REGULATED"
    receipts_to_ppf: bool = True
    others: Mapping[str, Party] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


def objection(invoice: InvoiceFacts, status: str) -> StrOrPromise:
    """What keeps every message of this status from being sound, before one is written (BR-FR-CDV-13)."""
    if status in STATUSES and not invoice.seller.siren:
        return _("The seller has no SIREN: a life cycle message cannot name its invoice, so no status can be told.")
    return ""


def write(message: StatusMessage, envelope: Envelope | None = None) -> bytes:
    """The same bytes on every try. Not checked: `prepare` does both."""
    return dump(compose(message, envelope))


def compose(message: StatusMessage, envelope: Envelope | None = None) -> Cdar:
    envelope = envelope or Envelope()
    to_ppf = envelope.form is Form.TO_PPF
    about = _about(message, envelope)
    if not to_ppf:
        return about
    return replace(
        about,
        process="",
        id=about.id + TO_PPF_SUFFIX if about.id else "",
        reference_type=TO_PPF,
        recipients=(PPF,),
    )


def _about(message: StatusMessage, envelope: Envelope) -> Cdar:
    invoice, info = message.invoice, STATUSES.get(message.status)
    parties = {"BY": invoice.buyer, "SE": invoice.seller, **envelope.others}
    platform = _platform(parties, is_named=envelope.form is Form.TO_PPF)
    moment = Moment.of(message.occurred_at, envelope.zone)
    return Cdar(
        process=PROCESSES.get(invoice.processing_rule, envelope.process),
        profile=envelope.form.value,
        id=message.id,
        name=f"CDV-{message.status}",
        made_at=moment,
        sender=platform,
        issuer=platform if message.issuer_role == "WK" else _issuer(message.issuer_role, parties),
        recipients=tuple(_recipients(message, envelope, parties)),
        phase=info.mdt77 if info else "",
        status_at=moment,
        number=invoice.number,
        un_status=info.mdt88 if info else "",
        type_code=invoice.type_code,
        received_at=Moment.of(invoice.received_at, envelope.zone) if invoice.received_at else None,
        attachments=envelope.attachments,
        issued_on=Moment.of_day(invoice.issue_date) if invoice.issue_date else None,
        status=message.status,
        label=info.label_fr if info else "",
        seller=Actor(ids=_siren(invoice.seller)) if invoice.seller.siren else None,
        details=tuple(_details(message)),
    )


# --- who --------------------------------------------------------------------------------------------------------------


def _platform(parties: Mapping[str, Party], *, is_named: bool) -> Actor:
    """Platforms stay anonymous among themselves."""
    party = parties.get("WK")
    if party is None or not is_named:
        return Actor(role="WK")
    return Actor(role="WK", name=party.name, ids=((party.scheme or PLATFORM_SCHEME, party.identifier),))


def _issuer(role: str, parties: Mapping[str, Party]) -> Actor:
    party = parties.get(role, Party())
    return Actor(role=role, name=party.name, ids=_siren(party))


def _siren(party: Party) -> tuple[tuple[str, str], ...]:
    return ((SIREN_SCHEME, party.siren),) if party.siren else ()


def _recipients(message: StatusMessage, envelope: Envelope, parties: Mapping[str, Party]) -> list[Actor]:
    roles = [role for role in RECIPIENTS.get(message.status, ()) if role == "WK" or role != message.issuer_role]
    if message.status == "213" and message.invoice.direction == "issued":
        roles.remove("BY")  # stopped before it left: the buyer never saw the invoice
    told = [_recipient(role, parties.get(role)) for role in roles if role == "WK" or role in parties]
    return told + ([PPF] if _concerns_ppf(message, envelope) else [])


def _recipient(role: str, party: Party | None) -> Actor:
    if role == "WK" or party is None:
        return Actor(role=role)
    return Actor(
        role=role,
        name=party.name,
        ids=_siren(party),
        # The bare SIREN is an address too, and the company's own where its invoices name no other.
        address=party.identifier or party.siren,
        address_scheme=(party.scheme if party.identifier else "") or ADDRESS_SCHEME,
    )


def _concerns_ppf(message: StatusMessage, envelope: Envelope) -> bool:
    status = message.status
    if not message.reaches_ppf:
        return False
    reported = STATUSES[status].reported_to_ppf if status in STATUSES else Reported.NO
    return reported == Reported.YES or (reported == Reported.IF_VAT_ON_RECEIPT and envelope.receipts_to_ppf)


# --- why and how much -------------------------------------------------------------------------------------------------


def _details(message: StatusMessage) -> list[Detail]:
    """One per reason; the amounts stand with the first, the note alone at the end."""
    details = [_reason(reason.code, reason.text) for reason in message.reasons]
    amounts = tuple(_amount(message.status, payment) for payment in message.payments)
    if amounts:
        first, *others = details or [Detail()]
        details = [replace(first, characteristics=amounts), *others]
    if note := _written(note_of(message)):
        details.append(Detail(notes=note))
    return [replace(each, sequence=str(place)) for place, each in enumerate(details, start=1)]


def _reason(code: str, text: str) -> Detail:
    label = REASONS[code].label_fr if code in REASONS else ""
    return Detail(reason=code, reason_text=label, notes=_written(text))


def _written(text: str) -> tuple[str, ...]:
    text = clean(text).strip()
    return (text,) if text else ()


def _amount(status: str, payment: Payment) -> Characteristic:
    return Characteristic(
        type_code=AMOUNT_TYPES.get(status, ""),
        is_changed=False,
        amount=payment.amount,
        currency=payment.currency,
        percent=payment.vat_rate,
    )

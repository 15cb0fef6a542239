"""From a status we tell to the bytes of a CDAR message, in both of its forms."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from lxml import etree

from lifecycle.codes import REASONS, STATUSES, Reported, Role

from ..base import Party, Payment, StatusMessage
from .model import (
    ADDRESS_SCHEME,
    BETWEEN_PLATFORMS,
    PLATFORM_SCHEME,
    PPF_ID,
    SIREN_SCHEME,
    TO_PPF,
    Actor,
    Attachment,
    Cdar,
    Characteristic,
    Detail,
    Moment,
)
from .reader import NAMESPACES, ROOT

# The messages name no zone and their examples look local.
PARIS = ZoneInfo("Europe/Paris")

# Who is told (norm of 30 June 2026, as FNFE-MPE's guides show it); the administration is added where it is concerned.
# Whoever sets a status is not told it. 211 and 213 have two possible issuers, hence two recipients here.
RECIPIENTS: Mapping[str, tuple[str, ...]] = {
    "200": ("SE",), "201": ("SE",), "202": ("SE", "BY"), "203": ("SE", "BY"), "204": ("SE",), "205": ("SE",),
    "206": ("SE",), "207": ("SE",), "208": ("SE",), "209": ("BY",), "210": ("SE",), "211": ("SE", "BY"), "212": ("BY",),
    "213": ("SE", "BY"), "214": ("BY", "SE"), "220": ("BY",), "221": ("WK",), "224": ("BY",), "225": ("BY", "DL"),
    "226": ("DL",), "227": ("BY",), "228": ("BY",), "501": ("WK",),
}  # fmt: skip
# What an amount of ours means, by status (MDT-207). For 206 it is what the buyer approves, VAT included.
AMOUNT_TYPES: Mapping[str, str] = {"206": "MAPTTC", "211": "MPA", "212": "MEN"}
WITHOUT_ADDRESS = frozenset({Role.PLATFORM.value, Role.PPF.value})
PPF = Actor(role=Role.PPF.value, name="PPF", ids=((PLATFORM_SCHEME, PPF_ID),))
TO_PPF_SUFFIX = "-PPF"

# What XML 1.0 cannot hold, and the carriage return that it would turn into something else.
NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Form(Enum):
    """One status that the administration must know makes two messages."""

    BETWEEN_PLATFORMS = BETWEEN_PLATFORMS
    TO_PPF = TO_PPF


@dataclass(frozen=True, kw_only=True)
class Style:
    """`parties` are those no invoice names: the platform ("WK", named to the PPF only), a factor ("DL"), agents."""

    form: Form = Form.BETWEEN_PLATFORMS
    zone: ZoneInfo = PARIS
    process: str = "REGULATED"
    receipts_to_ppf: bool = True
    parties: Mapping[str, Party] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


def write(message: StatusMessage, style: Style | None = None) -> bytes:
    """The same bytes on every try."""
    return dump(compose(message, style or Style()))


# --- what it says -----------------------------------------------------------------------------------------------------


def compose(message: StatusMessage, style: Style) -> Cdar:
    invoice, info = message.invoice, STATUSES.get(message.status)
    to_ppf = style.form is Form.TO_PPF
    parties = {"BY": invoice.buyer, "SE": invoice.seller, **style.parties}
    moment = Moment.of(message.occurred_at, style.zone)
    return Cdar(
        process="" if to_ppf else style.process,
        profile=style.form.value,
        id=message.id + (TO_PPF_SUFFIX if to_ppf and message.id else ""),
        name=f"CDV-{message.status}",
        made_at=moment,
        sender=_platform(parties, is_named=to_ppf),
        issuer=_issuer(message, parties, is_named=to_ppf),
        recipients=(PPF,) if to_ppf else tuple(_recipients(message, style, parties)),
        phase=info.mdt77 if info else "",
        status_at=moment,
        number=invoice.number,
        un_status=info.mdt88 if info else "",
        type_code=invoice.type_code,
        received_at=Moment.of(invoice.received_at, style.zone) if invoice.received_at else None,
        attachments=style.attachments,
        reference_type=TO_PPF if to_ppf else "",
        issued_on=Moment.of_day(invoice.issue_date) if invoice.issue_date else None,
        status=message.status,
        label=info.label_fr if info else "",
        seller=Actor(ids=((SIREN_SCHEME, invoice.seller.siren),)) if invoice.seller.siren else None,
        details=tuple(_details(message)),
    )


def _platform(parties: Mapping[str, Party], *, is_named: bool) -> Actor:
    """Platforms stay anonymous among themselves."""
    party = parties.get("WK")
    if party is None or not is_named:
        return Actor(role="WK")
    return Actor(role="WK", name=party.name, ids=((party.scheme or PLATFORM_SCHEME, party.identifier),))


def _issuer(message: StatusMessage, parties: Mapping[str, Party], *, is_named: bool) -> Actor:
    if message.issuer_role == "WK":
        return _platform(parties, is_named=is_named)
    party = parties.get(message.issuer_role, Party())
    return Actor(role=message.issuer_role, name=party.name, ids=_siren(party))


def _siren(party: Party) -> tuple[tuple[str, str], ...]:
    return ((SIREN_SCHEME, party.siren),) if party.siren else ()


def _recipients(message: StatusMessage, style: Style, parties: Mapping[str, Party]) -> list[Actor]:
    roles = [role for role in RECIPIENTS.get(message.status, ()) if role == "WK" or role != message.issuer_role]
    told = [_recipient(role, parties[role]) for role in roles if role in parties and role != "WK"]
    told += [Actor(role="WK")] if "WK" in roles else []
    return told + ([PPF] if _concerns_ppf(message.status, style) else [])


def _recipient(role: str, party: Party) -> Actor:
    return Actor(
        role=role,
        name=party.name,
        ids=_siren(party),
        # The bare SIREN is an address too, and the company's own where its invoices name no other.
        address=party.identifier or party.siren,
        address_scheme=(party.scheme if party.identifier else "") or ADDRESS_SCHEME,
    )


def _concerns_ppf(status: str, style: Style) -> bool:
    reported = STATUSES[status].reported_to_ppf if status in STATUSES else Reported.NO
    return reported == Reported.YES or (reported == Reported.IF_VAT_ON_RECEIPT and style.receipts_to_ppf)


def _details(message: StatusMessage) -> list[Detail]:
    """One per reason; the amounts stand with the first, the note alone at the end."""
    amounts = tuple(_amount(message.status, payment) for payment in message.payments)
    details = [
        Detail(
            reason=reason.code,
            reason_text=REASONS[reason.code].label_fr if reason.code in REASONS else "",
            notes=_written(reason.text),
        )
        for reason in message.reasons
    ]
    if amounts and not details:
        details.append(Detail())
    details = [Detail(**{**vars(details[0]), "characteristics": amounts}), *details[1:]] if amounts else details
    details += [Detail(notes=note)] if (note := _written(message.note)) else []
    return [Detail(**{**vars(each), "sequence": str(place)}) for place, each in enumerate(details, start=1)]


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


def clean(text: str) -> str:
    """What XML can carry."""
    return NOT_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


# --- how it is written ------------------------------------------------------------------------------------------------


def dump(cdar: Cdar) -> bytes:
    """The elements stand in the order of the schema; what is empty is left out."""
    root = etree.Element(ROOT, nsmap=NAMESPACES)
    context = _add(root, "rsm:ExchangedDocumentContext")
    _add_path(context, "ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID", cdar.process)
    _add_path(context, "ram:GuidelineSpecifiedDocumentContextParameter/ram:ID", cdar.profile)
    _dump_document(_add(root, "rsm:ExchangedDocument"), cdar)
    told = _add(root, "rsm:AcknowledgementDocument")
    _add_path(told, "ram:MultipleReferencesIndicator/udt:Indicator", "true" if cdar.is_multiple else "false")
    _add_path(told, "ram:TypeCode", cdar.phase)
    _add_moment(told, "ram:IssueDateTime", cdar.status_at)
    _dump_reference(_add(told, "ram:ReferenceReferencedDocument"), cdar)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _dump_document(node: etree._Element, cdar: Cdar) -> None:
    _add_path(node, "ram:ID", cdar.id)
    _add_path(node, "ram:Name", cdar.name)
    _add_moment(node, "ram:IssueDateTime", cdar.made_at)
    _dump_actor(node, "ram:SenderTradeParty", cdar.sender)
    _dump_actor(node, "ram:IssuerTradeParty", cdar.issuer)
    for recipient in cdar.recipients:
        _dump_actor(node, "ram:RecipientTradeParty", recipient)


def _dump_actor(parent: etree._Element, name: str, actor: Actor | None) -> None:
    if actor is None:
        return
    node = _add(parent, name)
    for scheme, value in actor.ids:
        _add_path(node, "ram:GlobalID", value, schemeID=scheme)
    _add_path(node, "ram:Name", actor.name)
    _add_path(node, "ram:RoleCode", actor.role)
    if actor.address and actor.role not in WITHOUT_ADDRESS:
        _add_path(node, "ram:URIUniversalCommunication/ram:URIID", actor.address, schemeID=actor.address_scheme)


def _dump_reference(node: etree._Element, cdar: Cdar) -> None:
    _add_path(node, "ram:IssuerAssignedID", cdar.number)
    _add_path(node, "ram:StatusCode", cdar.un_status)
    _add_path(node, "ram:TypeCode", cdar.type_code)
    _add_moment(node, "ram:ReceiptDateTime", cdar.received_at)
    for each in cdar.attachments:
        content = base64.b64encode(each.content).decode()
        _add_path(node, "ram:AttachmentBinaryObject", content, mimeCode=each.media_type, filename=each.filename)
    _add_path(node, "ram:ReferenceTypeCode", cdar.reference_type)
    _add_moment(node, "ram:FormattedIssueDateTime", cdar.issued_on, prefix="qdt")
    _add_path(node, "ram:ProcessConditionCode", cdar.status)
    _add_path(node, "ram:ProcessCondition", cdar.label)
    _dump_actor(node, "ram:IssuerTradeParty", cdar.seller)
    for detail in cdar.details:
        _dump_detail(_add(node, "ram:SpecifiedDocumentStatus"), detail)


def _dump_detail(node: etree._Element, detail: Detail) -> None:
    _add_path(node, "ram:ReasonCode", detail.reason)
    _add_path(node, "ram:Reason", detail.reason_text)
    _add_path(node, "ram:RequestedActionCode", detail.action)
    _add_path(node, "ram:RequestedAction", detail.action_text)
    _add_path(node, "ram:SequenceNumeric", detail.sequence)
    for note in detail.notes:
        _add_path(node, "ram:IncludedNote/ram:Content", note)
    for each in detail.characteristics:
        _dump_characteristic(_add(node, "ram:SpecifiedDocumentCharacteristic"), each)


def _dump_characteristic(node: etree._Element, each: Characteristic) -> None:
    _add_path(node, "ram:ID", each.field_id)
    _add_path(node, "ram:TypeCode", each.type_code)
    changed = "" if each.is_changed is None else str(each.is_changed).lower()
    _add_path(node, "ram:ValueChangedIndicator/udt:IndicatorString", changed)
    _add_path(node, "ram:Name", each.name)
    _add_path(node, "ram:Location", each.location)
    _add_path(node, "ram:Value", each.value)
    _add_path(node, "ram:ValueAmount", _number(each.amount), currencyID=each.currency)
    _add_moment(node, "ram:ValueDateTime", each.moment)
    _add_path(node, "ram:ValuePercent", _number(each.percent))


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _add(parent: etree._Element, name: str) -> etree._Element:
    prefix, _, local = name.partition(":")
    return etree.SubElement(parent, f"{{{NAMESPACES[prefix]}}}{local}")


def _add_path(parent: etree._Element, path: str, text: str, **attributes: str) -> None:
    if not text:
        return
    node = parent
    for name in path.split("/"):
        node = _add(node, name)
    node.text = clean(text)
    for name, value in attributes.items():
        if value:
            node.set(name, clean(value))


def _add_moment(parent: etree._Element, name: str, moment: Moment | None, *, prefix: str = "udt") -> None:
    if moment is not None:
        _add_path(parent, f"{name}/{prefix}:DateTimeString", moment.text, format=moment.format)

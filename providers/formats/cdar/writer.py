"""From plain data to the bytes of a CDAR message."""

from __future__ import annotations

import base64
import re
from decimal import Decimal

from lxml import etree

from .model import Actor, Cdar, Characteristic, Detail, Moment
from .reader import NAMESPACES, ROOT, place

# What XML 1.0 cannot hold, and the carriage return that it would turn into something else.
NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """What XML can carry."""
    return NOT_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


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
    return etree.SubElement(parent, place(name))


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

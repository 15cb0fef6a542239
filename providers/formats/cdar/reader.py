"""From the bytes of a CDAR message to plain data. Reads all it can: even a faulty report is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from lxml import etree

from providers.formats.decimals import read_decimal
from providers.formats.xml import Files, UnreadableDocument, Xml, read_binary, read_xml

from .model import Actor, Attachment, Cdar, Characteristic, Detail, Moment

NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossDomainAcknowledgementAndResponse:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
# More than the rules allow, so that they can say so.
DIGITS = 24
ROOT = f"{{{NAMESPACES['rsm']}}}CrossDomainAcknowledgementAndResponse"


def read(content: bytes) -> tuple[Cdar, ...]:
    """One per document it speaks of: a message that follows the rules speaks of one. Raises UnreadableDocument."""
    return read_tree(read_xml(content))


def read_tree(xml: Xml) -> tuple[Cdar, ...]:
    root = xml.root
    if root.tag != ROOT:
        name = etree.QName(root).localname[:60]
        message = _("The file is XML, but “{name}” is no status message (CDAR). Ask the platform for the original.")
        raise UnreadableDocument("not_a_cdar", format_lazy(message, name=name))
    header = _header(root)
    told = [_told(header, node, xml.files) for node in _all(root, "rsm:AcknowledgementDocument")]
    return tuple(each for one in told for each in one) or (header,)


def _header(root: etree._Element) -> Cdar:
    context, document = "rsm:ExchangedDocumentContext", "rsm:ExchangedDocument"
    return Cdar(
        process=_text(root, f"{context}/ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID"),
        profile=_text(root, f"{context}/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"),
        id=_text(root, f"{document}/ram:ID"),
        name=_text(root, f"{document}/ram:Name"),
        made_at=_moment(root, f"{document}/ram:IssueDateTime/udt:DateTimeString"),
        sender=_actor(root, f"{document}/ram:SenderTradeParty"),
        issuer=_actor(root, f"{document}/ram:IssuerTradeParty"),
        recipients=tuple(map(_read_actor, _all(root, f"{document}/ram:RecipientTradeParty"))),
    )


def _told(header: Cdar, node: etree._Element, files: Files) -> list[Cdar]:
    header = replace(
        header,
        is_multiple=_text(node, "ram:MultipleReferencesIndicator/udt:Indicator") in ("true", "1"),
        phase=_text(node, "ram:TypeCode"),
        status_at=_moment(node, "ram:IssueDateTime/udt:DateTimeString"),
    )
    references = _all(node, "ram:ReferenceReferencedDocument")
    return [_reference(header, reference, files) for reference in references] or [header]


def _reference(header: Cdar, node: etree._Element, files: Files) -> Cdar:
    return replace(
        header,
        number=_text(node, "ram:IssuerAssignedID"),
        un_status=_text(node, "ram:StatusCode"),
        type_code=_text(node, "ram:TypeCode"),
        received_at=_moment(node, "ram:ReceiptDateTime/udt:DateTimeString"),
        attachments=tuple(_attachments(_all(node, "ram:AttachmentBinaryObject"), files)),
        reference_type=_text(node, "ram:ReferenceTypeCode"),
        issued_on=_moment(node, "ram:FormattedIssueDateTime/qdt:DateTimeString"),
        status=_text(node, "ram:ProcessConditionCode"),
        label=_text(node, "ram:ProcessCondition"),
        seller=_actor(node, "ram:IssuerTradeParty"),
        details=tuple(map(_detail, _all(node, "ram:SpecifiedDocumentStatus"))),
    )


def _detail(node: etree._Element) -> Detail:
    return Detail(
        reason=_text(node, "ram:ReasonCode"),
        reason_text=_texts(node, "ram:Reason"),
        action=_text(node, "ram:RequestedActionCode"),
        action_text=_texts(node, "ram:RequestedAction"),
        sequence=_text(node, "ram:SequenceNumeric"),
        notes=tuple(filter(None, (_of(note) for note in _all(node, "ram:IncludedNote/ram:Content")))),
        rules=tuple(filter(None, (_of(rule) for rule in _all(node, "ram:IncludedNote/ram:ContentCode")))),
        places=tuple(filter(None, (_of(each) for each in _all(node, "ram:IncludedNote/ram:SubjectCode")))),
        characteristics=tuple(map(_characteristic, _all(node, "ram:SpecifiedDocumentCharacteristic"))),
    )


def _characteristic(node: etree._Element) -> Characteristic:
    changed = _text(node, "ram:ValueChangedIndicator/udt:IndicatorString")
    amount = node.find(place("ram:ValueAmount"))
    return Characteristic(
        type_code=_text(node, "ram:TypeCode"),
        field_id=_text(node, "ram:ID"),
        is_changed={"true": True, "false": False}.get(changed),
        name=_texts(node, "ram:Name"),
        location=_text(node, "ram:Location"),
        value=_texts(node, "ram:Value"),
        amount=read_decimal(_of(amount), digits=DIGITS) if amount is not None else None,
        currency=amount.get("currencyID", "") if amount is not None else "",
        moment=_moment(node, "ram:ValueDateTime/udt:DateTimeString"),
        percent=read_decimal(_text(node, "ram:ValuePercent")),
    )


def _attachments(nodes: Iterable[etree._Element], files: Files) -> Iterable[Attachment]:
    for node in nodes:
        try:
            content = read_binary(_of(node), files)
        except ValueError:
            continue  # broken in itself; the status it came with counts all the same
        yield Attachment(content=content, media_type=node.get("mimeCode", ""), filename=node.get("filename", ""))


def _actor(node: etree._Element, path: str) -> Actor | None:
    found = node.find(place(path))
    return _read_actor(found) if found is not None else None


def _read_actor(node: etree._Element) -> Actor:
    address = node.find(place("ram:URIUniversalCommunication/ram:URIID"))
    return Actor(
        role=_text(node, "ram:RoleCode"),
        name=_text(node, "ram:Name"),
        ids=tuple((each.get("schemeID", ""), _of(each)) for each in _all(node, "ram:GlobalID")),
        address=_of(address) if address is not None else "",
        address_scheme=address.get("schemeID", "") if address is not None else "",
    )


def _moment(node: etree._Element, path: str) -> Moment | None:
    found = node.find(place(path))
    return Moment(_of(found), found.get("format", "")) if found is not None else None


def _text(node: etree._Element, path: str) -> str:
    found = node.find(place(path))
    return _of(found) if found is not None else ""


def _texts(node: etree._Element, path: str) -> str:
    return "\n".join(filter(None, map(_of, _all(node, path))))


def _of(node: etree._Element) -> str:
    return (node.text or "").strip()


def _all(node: etree._Element, path: str) -> list[etree._Element]:
    return node.findall(place(path))


@cache
def place(path: str) -> str:
    """A path of prefixed names as lxml looks it up, spelled out once."""
    names = (name.split(":") for name in path.split("/"))
    return "/".join(f"{{{NAMESPACES[prefix]}}}{name}" for prefix, name in names)

"""Status messages (CDAR) as a platform writes and reads them, reduced to what the sandbox plays with."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from lxml import etree

from providers.norm.codes import REASONS, STATUSES

from ...documents import Document, Party

PARIS = ZoneInfo("Europe/Paris")
NAMES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossDomainAcknowledgementAndResponse:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
AMOUNTS = {"206": "MAPTTC", "211": "MPA", "212": "MEN"}
# Who sets a status; a refund's 211 is the seller's.
ISSUERS = {
    **dict.fromkeys(("204", "205", "206", "207", "208", "210", "211"), "BY"),
    **dict.fromkeys(("209", "212", "220", "224", "225", "226", "227", "228"), "SE"),
}

Node = tuple[str, "str | list[Node]", dict[str, str]]


class NotAMessageError(ValueError):
    """The bytes are no status message."""


@dataclass(frozen=True)
class Message:
    id: str
    status: str
    issuer: str
    number: str
    seller_siren: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What a message of ours to write says beside the invoice."""

    id: str
    status: str
    at: dt.datetime
    received_at: dt.datetime
    reasons: tuple[tuple[str, str], ...] = ()
    payments: tuple[tuple[Decimal, Decimal], ...] = ()  # (rate, amount with VAT)
    note: str = ""
    issuer: str = field(default="")


def _find(node: etree._Element, path: str) -> etree._Element | None:
    return node.find(path, NAMES)


def _text(node: etree._Element, path: str) -> str:
    return (node.findtext(path, "", NAMES) or "").strip()


def read_message(content: bytes) -> Message:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotAMessageError(f"The file is not well-formed XML: {error}") from error
    about = _find(root, "rsm:AcknowledgementDocument/ram:ReferenceReferencedDocument")
    if about is None:
        raise NotAMessageError("The file is no status message.")
    return Message(
        id=_text(root, "rsm:ExchangedDocument/ram:ID"),
        status=_text(about, "ram:ProcessConditionCode"),
        issuer=_text(root, "rsm:ExchangedDocument/ram:IssuerTradeParty/ram:RoleCode"),
        number=_text(about, "ram:IssuerAssignedID"),
        seller_siren=_text(about, "ram:IssuerTradeParty/ram:GlobalID"),
        reasons=tuple(_text(each, "ram:ReasonCode") for each in about.findall("ram:SpecifiedDocumentStatus", NAMES)),
    )


# -- writing


def _node(name: str, content: "str | list[Node]", **attributes: str) -> Node:
    return name, content, attributes


def _time(name: str, moment: dt.datetime) -> Node:
    local = moment.astimezone(PARIS)
    return _node(name, [_node("udt:DateTimeString", f"{local:%Y%m%d%H%M%S}", format="204")])


def _party(name: str, role: str, party: Party | None, *, with_address: bool = False) -> Node:
    nodes: list[Node] = []
    if party is not None:
        nodes += [_node("ram:GlobalID", party.siren, schemeID="0002"), _node("ram:Name", party.name)]
    nodes.append(_node("ram:RoleCode", role))
    if party is not None and with_address:
        address = [_node("ram:URIID", party.address or party.siren, schemeID="0225")]
        nodes.append(_node("ram:URIUniversalCommunication", address))
    return _node(name, nodes)


def _details(wish: Wish) -> list[Node]:
    rows: list[list[Node]] = []
    for code, text in wish.reasons:
        label = REASONS[code].label_fr if code in REASONS else code
        rows.append([_node("ram:ReasonCode", code), _node("ram:Reason", label), *_note(text)])
    if wish.payments:
        first = rows[0] if rows else []
        rows = [first, *rows[1:]]
        first.extend(_amount(AMOUNTS.get(wish.status, "MPA"), rate, amount) for rate, amount in wish.payments)
    if wish.note:
        rows.append(_note(wish.note))
    return [_node("ram:SpecifiedDocumentStatus", _with_place(row, place)) for place, row in enumerate(rows, 1)]


def _with_place(row: list[Node], place: int) -> list[Node]:
    """The place of a reason stands behind it, before notes and amounts."""
    head = [node for node in row if node[0] in ("ram:ReasonCode", "ram:Reason")]
    return [*head, _node("ram:SequenceNumeric", str(place)), *(node for node in row if node not in head)]


def _note(text: str) -> list[Node]:
    return [_node("ram:IncludedNote", [_node("ram:Content", text)])] if text else []


def _amount(kind: str, rate: Decimal, amount: Decimal) -> Node:
    return _node(
        "ram:SpecifiedDocumentCharacteristic",
        [
            _node("ram:TypeCode", kind),
            _node("ram:ValueChangedIndicator", [_node("udt:IndicatorString", "false")]),
            _node("ram:ValueAmount", f"{amount:.2f}", currencyID="EUR"),
            _node("ram:ValuePercent", f"{rate:.2f}"),
        ],
    )


def write_message(wish: Wish, document: Document) -> bytes:
    info = STATUSES.get(wish.status)
    issuer = wish.issuer or ISSUERS.get(wish.status, "WK")
    sides = {"SE": document.seller, "BY": document.buyer}
    told = [role for role in ("SE", "BY") if role != issuer]
    context = [
        _node("ram:BusinessProcessSpecifiedDocumentContextParameter", [_node("ram:ID", "REGULATED")]),
        _node(
            "ram:GuidelineSpecifiedDocumentContextParameter",
            [_node("ram:ID", "urn.cpro.gouv.fr:1p0:CDV:invoice")],
        ),
    ]
    head = [
        _node("ram:ID", wish.id),
        _node("ram:Name", f"CDV-{wish.status}"),
        _time("ram:IssueDateTime", wish.at),
        _party("ram:SenderTradeParty", "WK", None),
        _party("ram:IssuerTradeParty", issuer, sides.get(issuer)),
        *(_party("ram:RecipientTradeParty", role, sides[role], with_address=True) for role in told),
    ]
    day = document.issue_date.replace("-", "")
    about = [
        _node("ram:IssuerAssignedID", document.number),
        *([_node("ram:StatusCode", info.mdt88)] if info and info.mdt88 else []),
        _node("ram:TypeCode", document.type_code or "380"),
        _time("ram:ReceiptDateTime", wish.received_at),
        _node("ram:FormattedIssueDateTime", [_node("qdt:DateTimeString", day, format="102")]),
        _node("ram:ProcessConditionCode", wish.status),
        *([_node("ram:ProcessCondition", info.label_fr)] if info else []),
        _node("ram:IssuerTradeParty", [_node("ram:GlobalID", document.seller.siren, schemeID="0002")]),
        *_details(wish),
    ]
    phase = info.mdt77 if info and info.mdt77 else "23"
    acknowledgement = [
        _node("ram:MultipleReferencesIndicator", [_node("udt:Indicator", "false")]),
        _node("ram:TypeCode", phase),
        _time("ram:IssueDateTime", wish.at),
        _node("ram:ReferenceReferencedDocument", about),
    ]
    root = etree.Element(f"{{{NAMES['rsm']}}}CrossDomainAcknowledgementAndResponse", nsmap=NAMES)
    for name, content in (
        ("rsm:ExchangedDocumentContext", context),
        ("rsm:ExchangedDocument", head),
        ("rsm:AcknowledgementDocument", acknowledgement),
    ):
        _append(root, _node(name, content))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _append(parent: etree._Element, node: Node) -> None:
    name, content, attributes = node
    prefix, _, local = name.partition(":")
    element = etree.SubElement(parent, f"{{{NAMES[prefix]}}}{local}", attributes)
    if isinstance(content, str):
        element.text = content
        return
    for child in content:
        _append(element, child)

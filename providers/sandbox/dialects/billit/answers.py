"""Billit's errors, its times, and the lifecycle files it passes on."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from werkzeug import Request, Response

from ...records import Invoice, StatusEntry
from .tables import ISSUERS, REASONS

BRUSSELS, PARIS = ZoneInfo("Europe/Brussels"), ZoneInfo("Europe/Paris")
URN = "urn:un:unece:uncefact:data:standard:"
AMOUNT_TYPES = {"211": "MPA", "212": "MEN"}


class BusinessError(Exception):
    """400 with one or more of Billit's coded errors."""

    def __init__(self, **errors: str) -> None:
        super().__init__(", ".join(errors))
        self.errors = [{"Code": code, "Description": text} for code, text in errors.items()]


class RefusedError(Exception):
    """An answer of the API's layer, whose bodies are not documented."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def as_json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status=status, mimetype="application/json")


def business_error(error: BusinessError) -> Response:
    return as_json({"errors": error.errors}, 400)


def read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise BusinessError(InvalidBody="The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BusinessError(InvalidBody="The body must be a JSON object.")
    return body


def local(moment: datetime) -> str:
    """Without a zone, as Billit writes its times."""
    return moment.astimezone(BRUSSELS).replace(tzinfo=None).isoformat(timespec="milliseconds")


def lifecycle_file(invoice: Invoice, entry: StatusEntry) -> bytes:
    """A CDAR message between platforms, with no more than a reader needs."""
    details = entry.details
    reason = REASONS.get(str(details.get("RefusalReasonCode", "")), str(details.get("reason", "")))
    note = str(details.get("RefusalReasonDescription", details.get("note", "")))
    role = str(details.get("role", ISSUERS.get(entry.code, "WK")))
    parts = [f"<ram:ReasonCode>{escape(reason)}</ram:ReasonCode>"] if reason else []
    parts += [f"<ram:IncludedNote><ram:Content>{escape(note)}</ram:Content></ram:IncludedNote>"] if note else []
    parts += _amounts(entry)
    status = f"<ram:SpecifiedDocumentStatus>{''.join(parts)}</ram:SpecifiedDocumentStatus>" if parts else ""
    seller, document = invoice.document.seller, invoice.document
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rsm:CrossDomainAcknowledgementAndResponse xmlns:rsm="{URN}CrossDomainAcknowledgementAndResponse:100"
 xmlns:ram="{URN}ReusableAggregateBusinessInformationEntity:100" xmlns:udt="{URN}UnqualifiedDataType:100"
 xmlns:qdt="{URN}QualifiedDataType:100">
<rsm:ExchangedDocument><ram:ID>{entry.id}</ram:ID>
<ram:IssuerTradeParty><ram:RoleCode>{escape(role)}</ram:RoleCode></ram:IssuerTradeParty></rsm:ExchangedDocument>
<rsm:AcknowledgementDocument>
<ram:IssueDateTime><udt:DateTimeString format="204">{entry.at.astimezone(PARIS):%Y%m%d%H%M%S}</udt:DateTimeString>
</ram:IssueDateTime>
<ram:ReferenceReferencedDocument><ram:IssuerAssignedID>{escape(document.number)}</ram:IssuerAssignedID>
<ram:TypeCode>{escape(document.type_code)}</ram:TypeCode>
<ram:ProcessConditionCode>{escape(entry.code)}</ram:ProcessConditionCode>
<ram:IssuerTradeParty><ram:GlobalID schemeID="0002">{escape(seller.siren)}</ram:GlobalID></ram:IssuerTradeParty>
{status}</ram:ReferenceReferencedDocument></rsm:AcknowledgementDocument>
</rsm:CrossDomainAcknowledgementAndResponse>""".encode()


def _amounts(entry: StatusEntry) -> list[str]:
    kind = AMOUNT_TYPES.get(entry.code, "MEN")
    return [
        f"<ram:SpecifiedDocumentCharacteristic><ram:TypeCode>{kind}</ram:TypeCode>"
        f'<ram:ValueAmount currencyID="{row["currency"]}">{row["amount"]}</ram:ValueAmount>'
        f"<ram:ValuePercent>{row['rate']}</ram:ValuePercent></ram:SpecifiedDocumentCharacteristic>"
        for row in entry.details.get("amounts", [])
    ]


# --- OData ------------------------------------------------------------------------------------------------------------


def select(request: Request, items: list[dict[str, Any]], most: int) -> dict[str, Any]:
    """`$filter` with `eq` and `ge` joined by `and`, `$orderby`, `$top`, `$skip`."""
    for clause in filter(None, request.args.get("$filter", "").split(" and ")):
        field, operator, value = _clause(clause)
        items = [item for item in items if operator(str(item.get(field, "")), value)]
    field, _, direction = request.args.get("$orderby", "OrderID asc").partition(" ")
    items = sorted(items, key=lambda item: item.get(field) or "", reverse=direction == "desc")
    skip, top = request.args.get("$skip", 0, type=int), min(request.args.get("$top", most, type=int), most)
    page = {"Items": items[skip : skip + top]}
    return page | ({"NextPageLink": request.url} if skip + top < len(items) else {})


def _clause(text: str) -> tuple[str, Callable[[str, str], bool], str]:
    parts = text.split(" ", 2)
    operators: dict[str, Callable[[str, str], bool]] = {"eq": str.__eq__, "ge": str.__ge__}
    if len(parts) != 3 or parts[1] not in operators:
        raise BusinessError(InvalidFilter=f"Not understood: {text}")
    value = parts[2].removeprefix("DateTime").strip("'").replace("''", "'")
    return parts[0], operators[parts[1]], value

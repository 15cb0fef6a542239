"""Calls of the Directory Service: companies, establishments, routing codes, and the lines where they are reached."""

from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from ...documents import Party
from ...samples import COMPANIES
from .answers import FlowError, as_json, read_object

if TYPE_CHECKING:
    from . import Afnor

Row = dict[str, Any]
CODE, CODE_NAME = "COMPTA", "Service comptable"


class DirectoryCalls:
    def __init__(self, afnor: "Afnor") -> None:
        self._afnor = afnor

    def routes(self) -> tuple:
        service = "/directory-service/v1"
        return (
            ("GET", f"{service}/healthcheck", self._afnor.health),
            ("GET", f"{service}/siren/code-insee:<siren>", self.show_siren),
            ("POST", f"{service}/siren/search", self.search_siren),
            ("GET", f"{service}/siret/code-insee:<siret>", self.show_siret),
            ("POST", f"{service}/siret/search", self.search_siret),
            ("GET", f"{service}/routing-code/siret:<siret>/code:<code>", self.show_routing_code),
            ("POST", f"{service}/routing-code/search", self.search_routing_codes),
            ("GET", f"{service}/directory-line/code:<code>", self.show_line),
            ("POST", f"{service}/directory-line/search", self.search_lines),
        )

    # -- what it knows

    def _companies(self) -> list[Party]:
        with self._afnor.sandbox.lock:
            invoices = list(self._afnor.invoices.values())
        named = [Party(row["name"], row["siren"], row.get("siret")) for row in self._afnor.setting("companies")]
        met = [party for i in invoices for party in (i.document.seller, i.document.buyer) if party.siren]
        return list({party.siren: party for party in (*met, *named, *COMPANIES)}.values())

    def _units(self) -> list[Row]:
        shown = {"entityType": "PrivateVatRegistered", "administrativeStatus": "A"}
        return [{"siren": party.siren, "businessName": party.name, **shown} for party in self._companies()]

    def _establishments(self) -> list[Row]:
        address = {"addressLine1": "1 place du Marché", "postalCode": "75001", "locality": "Paris", "countryCode": "FR"}
        shown = {"facilityType": "P", "administrativeStatus": "A", "address": address}
        return [
            {"siret": party.siret, "siren": party.siren, "name": f"{party.name}, siège", **shown}
            for party in self._companies()
            if party.siret
        ]

    def _routing_codes(self) -> list[Row]:
        code = {"routingIdentifier": CODE, "routingIdentifierType": "0224", "routingCodeName": CODE_NAME}
        shown = {"managesLegalCommitmentCode": False, "administrativeStatus": "A"}
        return [{**code, "siret": place["siret"], **shown} for place in self._establishments()]

    def _lines(self) -> list[Row]:
        """Each company is reached by its SIREN; its establishment soon, and the accounts department there today."""
        lines: list[Row] = []
        for party in self._companies():
            lines.append(_line(party.siren, party.siren, "Enabled"))
            if party.siret:
                place = {"siret": party.siret}
                lines.append(_line(f"{party.siren}_{party.siret}", party.siren, "Upcoming", **place))
                address = f"{party.siren}_{party.siret}_{CODE}"
                lines.append(_line(address, party.siren, "Enabled", **place, routingIdentifier=CODE))
        return lines + [dict(line) for line in self._afnor.setting("directory_lines")]

    # -- calls

    def show_siren(self, request: Request, siren: str) -> Response:
        return self._one(self._units(), siren=siren)

    def show_siret(self, request: Request, siret: str) -> Response:
        return self._one(self._establishments(), siret=siret)

    def show_routing_code(self, request: Request, siret: str, code: str) -> Response:
        return self._one(self._routing_codes(), siret=siret, routingIdentifier=code)

    def show_line(self, request: Request, code: str) -> Response:
        """Only since 1.3 a single line tells its status, and an upcoming one is not shown there."""
        lines = [line for line in self._lines() if line["directoryLineStatus"] != "Upcoming"]
        if self._afnor.setting("contract") != "1.3":
            lines = [{name: value for name, value in line.items() if name != "directoryLineStatus"} for line in lines]
        return self._one(lines, addressingIdentifier=code)

    def search_siren(self, request: Request) -> Response:
        return self._found(request, self._units())

    def search_siret(self, request: Request) -> Response:
        return self._found(request, self._establishments())

    def search_routing_codes(self, request: Request) -> Response:
        return self._found(request, self._routing_codes())

    def search_lines(self, request: Request) -> Response:
        return self._found(request, self._lines())

    def _one(self, rows: list[Row], **wanted: str) -> Response:
        found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        if not found:
            raise FlowError(404, "MISSING_RESOURCE", "Requested resource is Not Found")
        return as_json(found[0])

    def _found(self, request: Request, rows: list[Row]) -> Response:
        body = read_object(request)
        filters = body.get("filters")
        if not isinstance(filters, dict) or not filters:
            raise FlowError(400, "MISSING_REQUIRED_FIELD", "filters is required")
        found = [row for row in rows if all(_fits(row.get(name), rule) for name, rule in filters.items())]
        for order in reversed(body.get("sorting", [])):
            falling = order.get("order", order.get("sortingOrder")) == "descending"
            found.sort(key=lambda row: str(row.get(order["field"], "")), reverse=falling)
        start, count = body.get("ignore", 0), body.get("limit", 100)
        contract = self._afnor.setting("contract")
        if not found and contract == "1.2":
            return Response(status=204)
        page = [self._included(row, body.get("include") or []) for row in found[start : start + count]]
        is_part = contract == "1.1" and start + count < len(found)
        total = -1 if self._afnor.setting("uncounted") else len(found)
        return as_json({"search": body, "totalNumberOfResults": total, "results": page}, 206 if is_part else 200)

    def _included(self, row: Row, include: list[str]) -> Row:
        if not self._afnor.setting("follows_include"):
            return row
        more: Row = {}
        if "siren" in include:
            more["legalUnit"] = next((unit for unit in self._units() if unit["siren"] == row["siren"]), None)
        if "siret" in include and row.get("siret"):
            more["facility"] = next((at for at in self._establishments() if at["siret"] == row["siret"]), None)
        if "routingCode" in include and row.get("routingIdentifier"):
            more["routingCode"] = {
                "routingIdentifier": CODE,
                "routingIdentifierType": "0224",
                "routingCodeName": CODE_NAME,
            }
        return row | {name: value for name, value in more.items() if value}


def _line(identifier: str, siren: str, status: str, **more: str) -> Row:
    return {
        "addressingIdentifier": identifier,
        "platformType": "WK",
        "directoryLineStatus": status,
        "siren": siren,
        **more,
    }


def _fits(value: Any, rule: Any) -> bool:
    wanted, text = str(rule.get("value", "")), str(value or "")
    if rule.get("op") == "contains":
        return wanted.casefold() in text.casefold()
    return text.startswith(wanted) if rule.get("op") == "startWith" else text == wanted

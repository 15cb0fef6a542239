"""Calls about drafts: partial data, full replacement, and issuing them, which also submits."""

import json
import secrets
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from .answers import ApiError, InvalidError, as_json, read_object, require
from .invoice_data import read_data
from .tables import INVOICE_TYPES

if TYPE_CHECKING:
    from . import Seqino

NEEDED = ("issue_date", "type_code", "currency_code")
TO_ISSUE = ("seller", "buyer", "invoice_lines")


class DraftCalls:
    def __init__(self, seqino: "Seqino") -> None:
        self._seqino = seqino

    def routes(self) -> tuple:
        return (
            ("POST", "/api/drafts", self.add),
            ("POST", "/api/drafts/validate-data", self.validate_data),
            ("GET", "/api/drafts/<draft_id>", self.show),
            ("PUT", "/api/drafts/<draft_id>", self.replace),
            ("DELETE", "/api/drafts/<draft_id>", self.drop),
            ("POST", "/api/drafts/<draft_id>/validate", self.issue),
        )

    def _draft(self, request: Request, draft_id: str) -> dict[str, Any]:
        client, draft = self._seqino.client_of(request), self._seqino.state.drafts.get(draft_id)
        if draft is None or draft["client_id"] != client:
            raise ApiError(404, "Draft not found")
        return draft

    def _changeable(self, request: Request, draft_id: str) -> dict[str, Any]:
        draft = self._draft(request, draft_id)
        if draft["status"] != "draft":
            raise ApiError(409, "Draft is validated and cannot be changed")
        return draft

    def add(self, request: Request) -> Response:
        client, data = self._seqino.client_of(request), read_object(request)
        _check(data)
        draft = {"draft_id": f"draft_{secrets.token_hex(6)}", "client_id": client, "status": "draft", "data": data}
        with self._seqino.sandbox.lock:
            self._seqino.state.drafts[draft["draft_id"]] = draft
        return as_json(_shown(draft), 201)

    def show(self, request: Request, draft_id: str) -> Response:
        return as_json(_shown(self._draft(request, draft_id)))

    def replace(self, request: Request, draft_id: str) -> Response:
        draft, data = self._changeable(request, draft_id), read_object(request)
        _check(data)
        draft["data"] = data
        return as_json(_shown(draft))

    def drop(self, request: Request, draft_id: str) -> Response:
        self._changeable(request, draft_id)
        self._seqino.state.drafts.pop(draft_id)
        return Response(status=204)

    def validate_data(self, request: Request) -> Response:
        self._seqino.client_of(request)
        body = read_object(request)
        require(body, ("body",), "invoice_data")
        faults = _faults(body["invoice_data"])
        return as_json({"valid": not faults, "errors": faults, "suggestions": []})

    def issue(self, request: Request, draft_id: str) -> Response:
        draft = self._changeable(request, draft_id)
        if faults := _faults(draft["data"]):
            raise InvalidError(*((("body", fault["field"]), fault["message"]) for fault in faults))
        draft["status"] = "validated"
        number = draft["data"].get("invoice_number") or f"D-{self._seqino.sandbox.next_serial():05d}"
        content = json.dumps(draft["data"]).encode()
        invoice = self._seqino.take(content, read_data(draft["data"], number), draft["client_id"])
        return as_json({"invoice_id": invoice.id, "status": "submitted", "invoice_number": number})


def _shown(draft: dict[str, Any]) -> dict[str, Any]:
    return {name: draft[name] for name in ("draft_id", "status")} | {"invoice_data": draft["data"]}


def _check(data: dict[str, Any]) -> None:
    """What even a draft must have."""
    require(data, ("body",), *NEEDED)
    if data["type_code"] not in INVOICE_TYPES:
        raise InvalidError((("body", "type_code"), "Input should be '380', '381', '383' or '384'"))


def _faults(data: Any) -> list[dict[str, str]]:
    if not isinstance(data, dict):
        return [{"field": "invoice_data", "message": "Input should be a valid dictionary"}]
    missing = [name for name in (*NEEDED, *TO_ISSUE) if not data.get(name)]
    if not (data.get("buyer_reference") or data.get("purchase_order_reference")):
        missing.append("buyer_reference")
    return [{"field": name, "message": "Field required"} for name in missing]

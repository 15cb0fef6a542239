"""Calls about webhooks, in the forms of contracts 1.2 and 1.3, and how a callback is signed."""

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug import Request, Response

from ...records import Destination, Event, now
from .answers import FlowError, as_json, read_object
from .flows import shown_time

if TYPE_CHECKING:
    from . import Afnor

STALE_SECONDS = 3600
MOST = 50

Row = dict[str, Any]


class HookCalls:
    def __init__(self, afnor: "Afnor") -> None:
        self._afnor = afnor

    def routes(self) -> tuple:
        service = "/flow-service/v1/webhooks"
        return (
            ("POST", service, self.add),
            ("GET", service, self.list_all),
            ("GET", f"{service}/<uid>", self.show),
            ("PATCH", f"{service}/<uid>", self.change),
            ("DELETE", f"{service}/<uid>", self.drop),
        )

    @property
    def _known(self) -> dict[str, Row]:
        return self._afnor.state.destinations

    @property
    def _contract(self) -> str:
        return self._afnor.setting("contract")

    def _require(self, *contracts: str) -> None:
        if self._contract not in contracts:
            raise FlowError(404, "MISSING_RESOURCE", "Requested resource is Not Found")

    def add(self, request: Request) -> Response:
        self._require("1.2", "1.3")
        body = read_object(request)
        if len(self._known) >= MOST:
            raise FlowError(403, "TOO_MANY_WEBHOOKS", f"no more than {MOST} webhooks")
        row = _read_flat(body) if self._contract == "1.3" else _read_nested(body)
        with self._afnor.sandbox.lock:
            self._known[row["destination"].id] = row
        if (not row["types"] or "SupplierInvoice" in row["types"]) and row["direction"] != "Out":
            self._afnor.sandbox.seed(self._afnor)
        uid = row["destination"].id
        if self._contract == "1.2":
            return as_json({"webhookId": uid}, 201)
        return as_json({"webhookId": uid, "signingKey": row["key"], "createdAt": row["created_at"]}, 201)

    def list_all(self, request: Request) -> Response:
        self._require("1.2", "1.3")
        with self._afnor.sandbox.lock:
            rows = list(self._known.values())
        ids = [row["destination"].id for row in rows]
        if self._afnor.setting("list_ids_only"):
            return as_json(ids)
        shown = [self._shown(row) for row in rows]
        # The contract 1.3.0 requires a list of ids under a name it does not describe.
        return as_json({"count": len(rows), "webhookIds": ids, "webhooks": shown} if self._contract == "1.3" else shown)

    def show(self, request: Request, uid: str) -> Response:
        self._require("1.2")
        return as_json(self._shown(self._find(uid)))

    def change(self, request: Request, uid: str) -> Response:
        self._require("1.2")
        row, body = self._find(uid), read_object(request)
        if "headers" in body:
            row["destination"].auth_key, row["destination"].auth_token = _header(body["headers"])
        return as_json(self._shown(row))

    def drop(self, request: Request, uid: str) -> Response:
        self._require("1.2", "1.3")
        self._find(uid)
        with self._afnor.sandbox.lock:
            self._known.pop(uid, None)
        return Response(status=204)

    def _find(self, uid: str) -> Row:
        row = self._known.get(uid)
        if row is None:
            raise FlowError(404, "MISSING_RESOURCE", "Requested resource is Not Found")
        return row

    def _shown(self, row: Row) -> Row:
        """The secrets of 1.2 are never shown again; whether 1.3 shows its key is for the platform to say."""
        shown = {"webhookId": row["destination"].id, "createdAt": row["created_at"], **row["wish"]}
        if self._afnor.setting("show_signing_keys") and row["key"]:
            shown["signingKey"] = row["key"]
        return shown

    def hearing(self, event: Event) -> list[Destination]:
        with self._afnor.sandbox.lock:
            rows = list(self._known.values())
        return [row["destination"] for row in rows if _hears(row, event)]


def _read_flat(body: Row) -> Row:
    target = body.get("callbackUrl")
    if urlsplit(str(target)).scheme not in ("http", "https"):
        raise FlowError(400, "MISSING_REQUIRED_FIELD", "callbackUrl is required")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "destination": Destination("", str(target), "signature", auth_token=key),
        "types": body.get("flowTypes") or [],
        "direction": body.get("flowDirection"),
        "ack": body.get("ackStatus"),
        "key": key,
        "created_at": shown_time(now()),
        "wish": {
            name: body[name] for name in ("callbackUrl", "flowTypes", "flowDirection", "ackStatus") if name in body
        },
    }


def _read_nested(body: Row) -> Row:
    callback, metadata = body.get("callback"), body.get("metadata")
    if not isinstance(callback, dict) or not isinstance(metadata, dict):
        raise FlowError(400, "MISSING_REQUIRED_FIELD", "callback and metadata are required")
    missing = [name for name in ("flowType", "flowDirection") if not isinstance(metadata.get(name), str)]
    if missing or urlsplit(str(callback.get("url"))).scheme not in ("http", "https"):
        raise FlowError(400, "MISSING_REQUIRED_FIELD", f"{', '.join(missing) or 'callback.url'} is required")
    name, value = _header(callback.get("headers"))
    return {
        "destination": Destination("", callback["url"], "header" if name else "none", name, value),
        "types": [metadata["flowType"]],
        "direction": metadata["flowDirection"],
        "ack": metadata.get("ackStatus"),
        "key": "",
        "created_at": shown_time(now()),
        "wish": {"callback": {"url": callback["url"]}, "metadata": metadata},
    }


def _header(headers: Any) -> tuple[str, str]:
    rows = headers if isinstance(headers, list) else []
    pairs = [(str(row.get("headerName")), str(row.get("headerValue"))) for row in rows if isinstance(row, dict)]
    return pairs[0] if pairs else ("", "")


def _hears(row: Row, event: Event) -> bool:
    flow = event.body
    ack = flow.get("acknowledgement")
    return (
        (not row["types"] or flow.get("flowType", event.type) in row["types"])
        and row["direction"] in (None, flow.get("flowDirection", row["direction"]))
        and row["ack"] in (None, ack.get("status") if isinstance(ack, dict) else None)
    )


def envelope(body: bytes, destination: Destination, trick: str, variant: str) -> dict[str, str]:
    """The headers of one attempt."""
    headers = {"content-type": "application/json"}
    if trick == "unsigned" or destination.auth_type == "none":
        return headers
    if destination.auth_type == "header":
        is_wrong = trick in ("wrong_token", "wrong_signature")
        return headers | {destination.auth_key: secrets.token_urlsafe(32) if is_wrong else destination.auth_token}
    key = base64.b64decode(destination.auth_token)
    if trick in ("wrong_signature", "wrong_token"):
        key = secrets.token_bytes(32)
    timestamp = str(int(time.time()) - (STALE_SECONDS if trick == "stale_signature" else 0))
    signature = _sign(variant, key, body + b"@" + timestamp.encode())
    return headers | {"Afnor-Signature": signature, "Afnor-Signature-Timestamp": timestamp}


def _sign(variant: str, key: bytes, text: bytes) -> str:
    fingerprint = hashlib.sha256(text)
    signed = {"A": text, "B": fingerprint.digest(), "C": fingerprint.hexdigest().encode()}[variant]
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

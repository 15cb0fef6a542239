"""What Billit pushes: `Billit-Signature` checked, both shapes of payload read.

Pages "Webhooks", "Webhooks : Signature" and "Webhooks : Invoice Statuses" of docs.accesspoint.billit.eu, and "Webhook
Feedback" of docs.billit.be, November 2026. A payload names an order and a state of the network, hardly ever a national
status, and its examples come out of order: it is a bell.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from providers.contract.base import Bell, Delivery, HookRequest, Line, Malformed, NotGenuine, StatusReport
from providers.contract.http import load_json

from . import reading, tables
from .session import NUMBER

MAX_BODY = 256 * 1024
HEADER = "Billit-Signature"
STATE_BLOCKS = ("MessageAdditionalInformation", "AdditionalMessageInformation")
SECRET_DEPTH = 4


# --- is it genuine ----------------------------------------------------------------------------------------------------


def check_signature(request: HookRequest, *, secret: str, max_age: int) -> None:
    """HMAC-SHA256 of the time, a dot and the raw body, with the secret of this very webhook."""
    moment, shown = _read_signature(request)
    signed = moment.encode() + b"." + request.body
    wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(shown.encode(), wanted.encode()):
        raise NotGenuine(f"The signature in {HEADER} does not fit.")
    age = request.received_at.timestamp() - int(moment)
    if abs(age) > max_age:
        where = "old" if age > 0 else "ahead: check the clock"
        raise NotGenuine(f"The signature is {abs(age):.0f} seconds {where}; {max_age} are allowed.")


def _read_signature(request: HookRequest) -> tuple[str, str]:
    """The parts `t` and `s`, each given once; others are left alone."""
    parts = [part.strip().partition("=") for part in request.header(HEADER).split(",")]
    found = {name: [value for key, _equals, value in parts if key == name] for name in "ts"}
    if any(len(values) != 1 for values in found.values()):
        raise NotGenuine(f"{HEADER} does not hold one t and one s.")
    moment, shown = found["t"][0], found["s"][0]
    if not re.fullmatch(r"[0-9]{1,12}", moment):
        raise NotGenuine(f"The time in {HEADER} is no number of seconds.")
    return moment, shown


# --- the confirmation that carries a secret ---------------------------------------------------------------------------


def find_secret(body: bytes) -> str:
    """The secret of a new webhook's confirmation call, whose shape is not documented; "" for any other push."""
    if b"secret" not in body.lower():
        return ""
    try:
        document = load_json(body)
    except ValueError:
        return ""
    return _secret_in(document, SECRET_DEPTH)


def _secret_in(value: Any, depth: int) -> str:
    if not isinstance(value, dict) or depth == 0:
        return ""
    for name, item in value.items():
        if name.lower() == "secret" and isinstance(item, str) and item.strip():
            return item.strip()
    return next((found for item in value.values() if (found := _secret_in(item, depth - 1))), "")


# --- what it says -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Message:
    """An event of a message, the same whichever shape it came in. `word` is the flow state, "" for a progress note."""

    order: str
    message: str
    word: str = ""
    told: str = ""
    description: str = ""
    file: str = ""
    created_at: datetime | None = None
    transport: str = ""
    destination: str = ""
    is_outgoing: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def parse(request: HookRequest, zone: ZoneInfo) -> Delivery:
    event = _event(request.body)
    key = _key(request)
    kind, update = reading.text(event.get("UpdatedEntityType")), reading.text(event.get("WebhookUpdateTypeTC"))
    if kind not in ("Message", "Order"):
        return Delivery(key=key, ignored=f"Unknown kind of entity “{kind[:100]}”.")
    if update not in ("I", "U"):
        return Delivery(key=key, ignored=f"{kind} {update[:20] or 'without kind of update'}: nothing to record.")
    account = request.line.identifier if request.line else ""
    if kind == "Order":
        return Delivery(key=key, bells=(_announcement(event, account),))
    return _delivery_of(parse_message(event, zone), key, account)


def _delivery_of(message: Message, key: str, account: str) -> Delivery:
    if not message.word and (message.is_outgoing or not message.file):
        return Delivery(key=key, ignored=f"Progress note: {message.description[:200] or 'without words'}.")
    return Delivery(key=key, bells=(Bell(provider_ref=message.order, hint=hint_of(message), account=account),))


def _announcement(event: Mapping[str, Any], account: str) -> Bell:
    number = reading.text(event.get("UpdatedEntityID"))
    if not NUMBER.fullmatch(number):
        raise Malformed("The event names no order.")
    return Bell(provider_ref=number, is_new_invoice=True, account=account)


def parse_message(event: Mapping[str, Any], zone: ZoneInfo) -> Message:
    detail = _object(event.get("EntityDetail"))
    block = _object(detail.get("OrderMessage")) or detail
    state = next((found for name in STATE_BLOCKS if (found := _object(detail.get(name) or block.get(name)))), {})
    order = reading.find_number(block)
    if not order:
        raise Malformed("The event names no order.")
    return Message(
        order=order,
        message=reading.text(event.get("UpdatedEntityID")) or reading.text(block.get("FileID")),
        word=reading.text(state.get("EInvoiceFlowState")),
        told=reading.text(state.get("AdditionalFlowStateInformation")),
        description=reading.text(block.get("Description")),
        file=reading.text(block.get("FileID")),
        created_at=reading.parse_time(block.get("CreationDate"), zone),
        transport=reading.text(block.get("TransportType")),
        destination=reading.text(block.get("Destination")),
        is_outgoing=reading.text(block.get("MessageDirection")) == "Outgoing",
        raw=dict(event),
    )


def hint_of(message: Message) -> StatusReport | None:
    """What to record should the order not explain the state. A refusal and an unknown word are told per message."""
    if not message.word:
        return None
    told = ". ".join(filter(None, [message.description, message.told]))
    if found := reading.milestone(message.order, message.word, note=told):
        return found
    key = f"message {message.message}:{message.word}"
    if message.word == tables.REFUSED:
        return reading.refused_unqualified(message.order, key=key, told=told, raw=message.raw)
    return StatusReport(
        provider_ref=message.order, status=None, native_status=message.word, note=told, key=key, raw=message.raw
    )


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = load_json(body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(event, dict):
        raise Malformed("The body is not a JSON object.")
    if "UpdatedEntityType" not in event:
        raise Malformed("The body is no event of Billit's.")
    return event


def _key(request: HookRequest) -> str:
    """Billit gives an event no id: its raw bytes are it, per company."""
    line: Line | None = request.line
    return hashlib.sha256((line.identifier if line else "").encode() + b"\n" + request.body).hexdigest()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

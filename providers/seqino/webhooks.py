"""What Seqino pushes: one webhook of the sponsor for all clients, signed with HMAC-SHA256, and only a doorbell.

Pages "webhooks" and "create webhook", read in November 2026. They name the algorithm and the common fields of a
payload; the header, the encoding, the signed string and the rest of the payload are assumptions, and settings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from providers.contract.base import Bell, Delivery, HookRequest, Malformed, NotGenuine
from providers.contract.http import load_json
from providers.formats.json_terms import text

from . import reading, tables
from .session import REFERENCE

MAX_BODY = 256 * 1024
CLOCK_SKEW_SECONDS = 60
PREFIX = "sha256="
DEEPEST = 8


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a signature is made: the settings of a connection."""

    header: str
    encoding: str = "hex"
    timestamp_header: str = ""
    key_as_bytes: bool = False


# --- is it genuine ----------------------------------------------------------------------------------------------------


def check_signature(request: HookRequest, secrets: Iterable[str], scheme: Scheme) -> None:
    shown = _single_header(request, scheme.header).removeprefix(PREFIX)
    signed = request.body
    if scheme.timestamp_header:
        signed = _single_header(request, scheme.timestamp_header).encode() + b"." + signed
    keys = [key for secret in secrets for key in _keys(secret, scheme)]
    if not keys:
        raise NotGenuine("No webhook secret is known: register the webhook, or enter the secret of the one there is.")
    expected = [_write(hmac.digest(key, signed, hashlib.sha256), scheme.encoding) for key in keys]
    if not any(hmac.compare_digest(shown.encode(), each.encode()) for each in expected):
        raise NotGenuine("The signature does not fit.")


def _keys(secret: str, scheme: Scheme) -> Iterator[bytes]:
    if not secret:
        return
    yield secret.encode()
    if scheme.key_as_bytes:
        try:
            yield binascii.unhexlify(secret)
        except ValueError:
            return


def _write(digest: bytes, encoding: str) -> str:
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def _single_header(request: HookRequest, name: str) -> str:
    """A header given twice could be read one way by us and another by a proxy."""
    values = [value for key, value in request.headers.items() if key.lower() == name.lower()]
    if len(values) != 1:
        raise NotGenuine(f"The header {name} is missing." if not values else f"The header {name} is given twice.")
    return values[0].strip(" \t")


def check_age(request: HookRequest, max_age: int) -> None:
    """By the event's own time, where a limit is set."""
    if max_age <= 0:
        return
    moment = reading.parse_time(read_event(request.body).get("timestamp"))
    if moment is None:
        raise NotGenuine("The event does not tell when it was made.")
    age = (request.received_at - moment).total_seconds()
    if not -CLOCK_SKEW_SECONDS <= age <= max_age:
        raise NotGenuine(f"The event is {age:.0f} seconds old, more than the {max_age} allowed, or of the future.")


# --- what it says -----------------------------------------------------------------------------------------------------


def parse(request: HookRequest, *, invoice_fields: Iterable[str], client_fields: Iterable[str]) -> Delivery:
    event = read_event(request.body)
    kind, key = text(event.get("event_type")), _key(event, request.body)
    if not kind:
        raise Malformed("The event does not say of which type it is.")
    if kind == tables.TEST_EVENT:
        return Delivery(key=key, ignored="Seqino tried our address: it works.")
    if kind in tables.MANDATE_EVENTS:
        return Delivery(key=key, ignored=f"News of a mandate: {kind}.", poll_soon=True)
    if kind not in tables.INVOICE_EVENTS:
        return Delivery(key=key, ignored=f"Unknown event type “{kind[:100]}”.")
    reference = find_first(event, invoice_fields)
    if not reference:
        return Delivery(key=key, unclear=f"The event {kind} names no invoice under any of the names we know.")
    account = find_first(event, client_fields)
    # Whatever brings the first news of an invoice, it is fetched: there is no list that would show what got lost. No
    # hint of the status: recorded ahead of the history, it would stand there without its time, reason and emitter.
    return Delivery(key=key, bells=(Bell(provider_ref=reference, is_new_invoice=True, account=account),))


def find_first(value: Any, names: Iterable[str]) -> str:
    """The first id under one of `names`, by the order of the names, then by depth; "" where there is none."""
    found = list(_named(value, 0))
    for name in names:
        of_name = [(depth, each) for depth, key, each in found if key == name and REFERENCE.fullmatch(each)]
        if of_name:
            return min(of_name, key=lambda pair: pair[0])[1]
    return ""


def _named(value: Any, depth: int) -> Iterator[tuple[int, str, str]]:
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str):
                yield depth, name, item.strip()
            else:
                yield from _named(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, depth + 1)


def read_event(body: bytes) -> dict[str, Any]:
    try:
        event = load_json(body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(event, dict):
        raise Malformed("The body is not a JSON object.")
    return event


def _key(event: Mapping[str, Any], body: bytes) -> str:
    key = text(event.get("event_id"))
    return key if 0 < len(key) <= 100 else hashlib.sha256(body).hexdigest()


def observed(request: HookRequest, why: str) -> Delivery:
    """A push that nobody vouches for, kept for a look. Its key is not the event's: the genuine one may still come."""
    digest = hashlib.sha256(request.body).hexdigest()
    return Delivery(key=f"observed {digest}", ignored=f"Observed, nothing applied: {why}", unproven=True)

"""What platforms push: the Flow, signed (contract 1.3) or with a shared secret (1.1, 1.2). It only says that there is
news; the flow itself is then fetched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from providers.contract.base import Delivery, HookRequest, Malformed, NotGenuine
from providers.contract.http import load_json
from providers.contract.shapes import LONGEST_KEY

from .flows import parse_flow

MAX_BODY = 256 * 1024
CLOCK_SKEW_SECONDS = 300

SIGNATURE, TIMESTAMP = "Afnor-Signature", "Afnor-Signature-Timestamp"

# Contract 1.3.0: a SHA-256 fingerprint of body, "@" and timestamp, then an HMAC "over the fingerprint", which may be
# its bytes (B) or its hexadecimal text (C); the one public implementation signs the text itself (A).
VARIANTS = {
    "A": lambda text: text,
    "B": lambda text: hashlib.sha256(text).digest(),
    "C": lambda text: hashlib.sha256(text).hexdigest().encode(),
}


def sign(variant: str, key: bytes, body: bytes, timestamp: str) -> str:
    signed = VARIANTS[variant](body + b"@" + timestamp.encode())
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def fitting_variant(request: HookRequest, *, keys: Iterable[str], variants: Iterable[str], max_age: int) -> str:
    """The variant whose signature is on the request, made with one of the keys (base64). Raises NotGenuine."""
    timestamp = request.header(TIMESTAMP).strip()
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15):
        raise NotGenuine(f"The header {TIMESTAMP} is missing or no number of seconds.")
    shown = request.header(SIGNATURE).strip()
    readable = [key for key in map(_decode, keys) if key]
    allowed = list(variants)
    fits = [
        variant
        for variant in VARIANTS
        for key in readable
        if hmac.compare_digest(sign(variant, key, request.body, timestamp).encode(), shown.encode())
    ]
    if not fits:
        raise NotGenuine(
            "The signature does not fit." if readable else "No signing key is known: register the webhooks."
        )
    if fits[0] not in allowed:
        raise NotGenuine(f"The signature is of variant {fits[0]}, but only {', '.join(allowed)} is accepted.")
    age = request.received_at.timestamp() - int(timestamp)
    if age > max_age or age < -CLOCK_SKEW_SECONDS:
        raise NotGenuine(f"The signature is {age:.0f} seconds old; {max_age} are allowed. Check the clock.")
    return fits[0]


def _decode(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return b""


def check_token(request: HookRequest, *, header: str, token: str) -> None:
    shown = request.header(header).strip()
    if not token or not hmac.compare_digest(shown.encode(), token.encode()):
        raise NotGenuine(f"The header {header} does not show the shared secret.")


def parse(request: HookRequest) -> Delivery:
    try:
        document = load_json(request.body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    flow = parse_flow(document)
    if flow is None:
        raise Malformed("The body names no flow.")
    is_usual = 0 < len(flow.key) <= LONGEST_KEY
    return Delivery(key=flow.key if is_usual else hashlib.sha256(request.body).hexdigest(), points_to=flow.id)

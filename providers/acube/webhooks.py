"""What A-Cube pushes: HTTP message signatures (RFC 9421) checked, payloads read.

The signature: page "http-signature" of docs.acubeapi.com, read November 2026. The payload names an invoice and a status
but no time, amount or reason, so it is a bell.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import http_sf
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from providers.contract.base import Bell, Delivery, HookRequest, Malformed, NotGenuine
from providers.contract.http import load_json

from . import reading, tables

MAX_BODY = 256 * 1024
CLOCK_SKEW_SECONDS = 60
REQUIRED = ("@method", "@authority", "@target-uri", "date", "content-digest")
DEFAULT_PORTS = {"http": 80, "https": 443}

# As the page shows them. The parameters stand in no other order and their serialisation is the text itself.
COVERED = re.escape("(" + " ".join(f'"{name}"' for name in REQUIRED) + ")")
LABEL = "(?P<label>[a-z][a-z0-9_-]*)"
CREATED = "created=(?P<created>[1-9][0-9]{0,14})"
USUAL_INPUT = re.compile(f'{LABEL}=(?P<params>{COVERED};{CREATED};keyid="acube";alg="ed25519")')
USUAL_VALUE = re.compile(f"{LABEL}=:(?P<value>[A-Za-z0-9+/]{{86}}==):")

KeyCheck = Callable[[Callable[[Ed25519PublicKey], bool]], bool]


@dataclass(frozen=True)
class Signature:
    components: tuple[str, ...]
    params: str
    created: int
    value: bytes


# --- is it genuine ----------------------------------------------------------------------------------------------------


def check_secret(request: HookRequest, *, header: str, secret: str) -> None:
    shown = _single_header(request, header)
    if not secret or not hmac.compare_digest(shown.encode(), secret.encode()):
        raise NotGenuine(f"The header {header} does not show the shared secret.")


def check_digest(request: HookRequest) -> None:
    digest = hashlib.sha256(request.body).digest()
    if _single_header(request, "content-digest") == f"sha-256=:{base64.b64encode(digest).decode()}:":
        return  # as A-Cube writes it; whatever else the header may lawfully look like takes longer
    digests = _structured(request, "content-digest")
    claimed = digests.get("sha-256", (None, {}))[0]
    if not isinstance(claimed, bytes) or not hmac.compare_digest(claimed, digest):
        raise NotGenuine("The body is not the one of content-digest.")


def check_signature(request: HookRequest, *, max_age: int, accepts: KeyCheck) -> None:
    """`accepts` is handed a test and runs it on the key or keys it trusts. The label is the signer's affair."""
    signature = _find_signature(request)
    base = _signature_base(request, signature)
    if not accepts(lambda key: _verifies(key, signature.value, base)):
        raise NotGenuine("The signature does not fit.")
    age = request.received_at.timestamp() - signature.created
    if age > max_age:
        raise NotGenuine(f"The signature is {age:.0f} seconds old, more than the {max_age} allowed.")
    if age < -CLOCK_SKEW_SECONDS:
        raise NotGenuine(f"The signature is made {-age:.0f} seconds in the future: check the clock.")


def _find_signature(request: HookRequest) -> Signature:
    return _read_usual(request) or _parse_signature(request)


def _read_usual(request: HookRequest) -> Signature | None:
    """The one signature in the words of A-Cube's page: a third of the door's time less than to parse them."""
    given = USUAL_INPUT.fullmatch(_single_header(request, "signature-input"))
    value = USUAL_VALUE.fullmatch(_single_header(request, "signature"))
    if not given or not value or given["label"] != value["label"]:
        return None
    return Signature(REQUIRED, given["params"], int(given["created"]), base64.b64decode(value["value"]))


def _parse_signature(request: HookRequest) -> Signature:
    inputs = _structured(request, "signature-input")
    values = _structured(request, "signature")
    candidates = [_as_signature(label, member, values) for label, member in inputs.items()]
    found = next((candidate for candidate in candidates if candidate), None)
    if found is None:
        raise NotGenuine(f"No signature of A-Cube's covers {', '.join(REQUIRED)}.")
    return found


def _as_signature(label: str, member: Any, values: dict[str, Any]) -> Signature | None:
    items, params = member
    value = values.get(label, (None, {}))[0]
    if not isinstance(items, list) or not isinstance(value, bytes):
        return None
    names = [name for name, _params in items if isinstance(name, str)]
    plain = len(names) == len(items) == len(set(names)) and not any(item_params for _name, item_params in items)
    created = params.get("created")
    by_acube = params.get("keyid") == "acube" and params.get("alg") == "ed25519" and type(created) is int
    if not plain or not by_acube or not set(REQUIRED) <= set(names):
        return None
    return Signature(tuple(names), http_sf.ser({label: member}).partition("=")[2], created, value)


def _signature_base(request: HookRequest, signature: Signature) -> bytes:
    lines = [f'"{name}": {_component(request, name)}' for name in signature.components]
    base = "\n".join([*lines, f'"@signature-params": {signature.params}'])
    try:
        return base.encode("ascii")
    except UnicodeEncodeError:
        raise NotGenuine("A signed component is not ASCII.") from None


def _component(request: HookRequest, name: str) -> str:
    if name == "@method":
        return request.method.upper()
    if name == "@authority":
        return _authority(request.url)
    if name == "@target-uri":
        return request.url
    if name.startswith("@"):
        raise NotGenuine(f"The signature covers {name}, which is not known here.")
    return _single_header(request, name)


def _authority(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    port = DEFAULT_PORTS.get(parts.scheme)
    return host.removesuffix(f":{port}") if port else host


def _single_header(request: HookRequest, name: str) -> str:
    """A header given twice could be read one way by us and another by a proxy."""
    values = [value for key, value in request.headers.items() if key.lower() == name.lower()]
    if len(values) != 1:
        raise NotGenuine(f"The header {name} is missing." if not values else f"The header {name} is given twice.")
    return values[0].strip(" \t")


def _structured(request: HookRequest, name: str) -> dict[str, Any]:
    """A dictionary of structured fields (RFC 8941)."""
    text = _single_header(request, name)
    try:
        return http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=_refuse_duplicate)  # type: ignore[return-value]
    except (ValueError, RecursionError):
        raise NotGenuine(f"The header {name} cannot be read.") from None


def _refuse_duplicate(key: str, context: str) -> None:
    raise NotGenuine(f"“{key}” is given twice in a signature header.")


def _verifies(key: Ed25519PublicKey, signature: bytes, base: bytes) -> bool:
    try:
        key.verify(signature, base)
    except InvalidSignature:
        return False
    return True


# --- the platform's key -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def parse_public_key(text: str) -> Ed25519PublicKey:
    """PEM, bare base64 of its DER, or base64 of the 32 raw bytes. ValueError for anything else."""
    try:
        if "BEGIN" in text:
            key = load_pem_public_key(text.strip().encode())
        else:
            content = base64.b64decode("".join(text.split()), validate=True)
            key = Ed25519PublicKey.from_public_bytes(content) if len(content) == 32 else load_der_public_key(content)
    except (binascii.Error, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("Not an Ed25519 key.")
    return key


def dump_public_key(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the DER form, the same whatever encoding it came in."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


# --- what it says -----------------------------------------------------------------------------------------------------


def parse(request: HookRequest) -> Delivery:
    event = _event(request.body)
    kind, key = _word(event, "eventType"), _key(event, request.body)
    if kind in tables.ENTITY_EVENTS:
        told = f"Onboarding of a legal entity: {_word(event, 'status') or 'no status'}."
        return Delivery(key=key, ignored=told, poll_soon=True)
    if kind not in tables.EVENTS:
        return Delivery(key=key, ignored=f"Unknown event type “{kind[:100]}”.")
    return Delivery(key=key, bells=tuple(_bells(event, kind, key)))


def _bells(event: dict[str, Any], kind: str, key: str) -> Iterator[Bell]:
    reference = _word(event, "invoiceUuid")
    if not reading.REFERENCE.fullmatch(reference):
        raise Malformed("The event names no invoice.")
    # `invoice.outbound` and `invoice.inbound` repeat in other words what `invoice.status` says with the national code:
    # a hint from each would make two events of one status.
    hint = None
    if kind == "invoice.status" and _word(event, "status"):
        hint = replace(reading.parse_status({"status": event["status"]}, reference), key=key, raw=event)
    yield Bell(provider_ref=reference, is_new_invoice=kind in tables.ANNOUNCEMENTS, hint=hint)


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = load_json(body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(event, dict):
        raise Malformed("The body is not a JSON object.")
    return event


def _key(event: dict[str, Any], body: bytes) -> str:
    key = _word(event, "eventId")
    return key if 0 < len(key) <= 100 else hashlib.sha256(body).hexdigest()


def _word(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    return str(value).strip() if isinstance(value, str | int) else ""

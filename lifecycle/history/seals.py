"""Seals over the history, made with keys that the database never holds.

A head seal (HMAC-SHA-256) says that an invoice's history ended here when we last wrote it: whoever can write to the
database can hash anew, but not seal anew. What leaves the house (anchors, exports) is signed (Ed25519), so that it can
be checked without any of our secrets. Both kinds of key are derived from HISTORY_KEYS, newest first.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

HEADS, SIGNATURES = b"navette history heads", b"navette history signatures"
# How much of a key's fingerprint stands before what it sealed.
NAME_LENGTH = 8


def keys() -> list[str]:
    """Newest first. Without keys of their own, histories are sealed with those of the platforms' secrets."""
    return list(settings.HISTORY_KEYS or settings.SECRETS_KEYS)


@cache  # a head is sealed with each event and each try
def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(key.encode())


@cache
def _name(key: str) -> str:
    return hashlib.sha256(_derive(key, HEADS + b" name")).hexdigest()[:NAME_LENGTH]


# --- heads ------------------------------------------------------------------------------------------------------------


def seal_head(invoice_id: Any, sequence: int, last_hash: str) -> str:
    """`<key>:<hex>` over the end of an invoice's history."""
    return _sealed(keys()[0], invoice_id, sequence, last_hash)


def _sealed(key: str, invoice_id: Any, sequence: int, last_hash: str) -> str:
    text = f"{invoice_id}|{sequence}|{last_hash}"
    return f"{_name(key)}:{hmac.new(_derive(key, HEADS), text.encode(), hashlib.sha256).hexdigest()}"


def head_fault(seal: str, invoice_id: Any, sequence: int, last_hash: str) -> str:
    """What is wrong with a head's seal, in words; "" if we made it."""
    name = seal.partition(":")[0]
    key = next((key for key in keys() if _name(key) == name), None)
    if not seal:
        return "carries no seal"
    if key is None:
        return "is sealed with a key that is not in HISTORY_KEYS"
    return "" if hmac.compare_digest(seal, _sealed(key, invoice_id, sequence, last_hash)) else "was not sealed by us"


# --- signatures -------------------------------------------------------------------------------------------------------


def _signer(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_derive(key, SIGNATURES))


def _public(key: str) -> str:
    return _signer(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(content: bytes) -> dict[str, str]:
    """`public_key` and `signature`, in hexadecimal, made with the newest key."""
    newest = keys()[0]
    return {"public_key": _public(newest), "signature": _signer(newest).sign(content).hex()}


def own_public_keys() -> list[str]:
    return [_public(key) for key in keys()]


def is_signed(content: bytes, signed: Any) -> bool:
    """Whether a signature fits its content and the public key beside it. Whose key that is, is another question."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["public_key"]))
        key.verify(bytes.fromhex(signed["signature"]), content)
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True

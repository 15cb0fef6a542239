"""HTTP message signatures as A-Cube makes them (RFC 9421, Ed25519, SHA-256 content digest)."""

import base64
import hashlib
from email.utils import formatdate
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

COMPONENTS = '("@method" "@authority" "@target-uri" "date" "content-digest")'
DEFAULT_PORTS = {"http": 80, "https": 443}


def private_key(seed: str) -> Ed25519PrivateKey:
    """A key that stays the same from one start to the next, so that a pinned public key stays good."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def public_pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def authority(target: str) -> str:
    """Host in lower case, with the port unless it is the scheme's own (RFC 9421, 2.2.3)."""
    url = urlsplit(target)
    host = (url.hostname or "").lower()
    if url.port is None or url.port == DEFAULT_PORTS.get(url.scheme):
        return host
    return f"{host}:{url.port}"


def sign(*, key: Ed25519PrivateKey, target: str, body: bytes, created: int, key_id: str, label: str) -> dict[str, str]:
    """The four headers of a signed POST to `target`."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    date = formatdate(created, usegmt=True)
    parameters = f'{COMPONENTS};created={created};keyid="{key_id}";alg="ed25519"'
    base = "\n".join(
        (
            '"@method": POST',
            f'"@authority": {authority(target)}',
            f'"@target-uri": {target}',
            f'"date": {date}',
            f'"content-digest": {digest}',
            f'"@signature-params": {parameters}',
        )
    )
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {
        "date": date,
        "content-digest": digest,
        "signature-input": f"{label}={parameters}",
        "signature": f"{label}=:{signature}:",
    }

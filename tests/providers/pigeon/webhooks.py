"""What Pigeon pushes: signed with a shared secret, saying which bill has news."""

import hashlib
import hmac
import re

from providers.contract.base import Bell, Delivery, HookRequest, Malformed, NotGenuine
from providers.contract.http import load_json

from .reading import read_state, text

REFERENCE = re.compile(r"[0-9a-zA-Z-]{1,64}")


def sign(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(request: HookRequest, secret: str) -> None:
    shown = request.header("X-Pigeon-Signature")
    if not secret or not hmac.compare_digest(shown.encode(), sign(request.body, secret).encode()):
        raise NotGenuine("The signature is wrong: compare the push secret on both sides.")


def parse(request: HookRequest) -> Delivery:
    try:
        news = load_json(request.body)
    except ValueError:
        raise Malformed("The body is not JSON.") from None
    bill, key = (text(news, "bill"), text(news, "id")) if isinstance(news, dict) else ("", "")
    if not REFERENCE.fullmatch(bill) or not REFERENCE.fullmatch(key):
        raise Malformed("The push names no bill, or has no number.")
    hint = read_state(bill, {**news, "id": ""}) if text(news, "word") else None
    return Delivery(key=key, bells=(Bell(provider_ref=bill, is_new_invoice=hint is None, hint=hint),))

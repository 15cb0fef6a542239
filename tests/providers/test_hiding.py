"""Canaries: each secret in each writing, and nothing of it is left."""

import base64
import json
from urllib.parse import quote, quote_plus

import httpx
import pytest

from providers.contract.http import Wire, spoken
from providers.network.hiding import HIDDEN, hide

SECRETS = ("s3cret/with+all&kinds=", 'my pa"ss\\word', "clé–très~sûre", "0123456789abcdef0123", "𝔲nicode key")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRITINGS = {
    "plain": lambda secret: secret,
    "json": json.dumps,
    "json in json": lambda secret: json.dumps(json.dumps({"key": secret})),
    "json with solidus": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "json unescaped": lambda secret: json.dumps(secret, ensure_ascii=False),
    "json in capitals": lambda secret: json.dumps(secret).replace("\\u00e9", "\\u00E9").replace("\\ud835", "\\uD835"),
    "percent": lambda secret: quote(secret, safe=""),
    "percent in small letters": lambda secret: "".join(
        f"%{byte:02x}"
        if chr(byte) not in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~"
        else chr(byte)
        for byte in secret.encode()
    ),
    "form": quote_plus,
    "base64": _base64,
    "urlsafe base64": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 without padding": lambda secret: _base64(secret).rstrip("="),
    "basic": lambda secret: _base64(f"client:{secret}"),
    "basic with a longer name": lambda secret: _base64(f"client7:{secret}"),
    "basic, read on": lambda secret: _base64(f"client42:{secret} and more"),
}


def left_of(secret: str, shown: str) -> list[str]:
    """Pieces of the secret, or of what base64 makes of it at any of its three places, that are still there."""
    pieces = [secret[at : at + 5] for at in range(len(secret) - 4)]
    in_base64 = [base64.b64encode(secret.encode()[at:])[:8].decode() for at in range(3)]
    return [piece for piece in pieces + in_base64 if piece in shown]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("writing", WRITINGS)
def test_secret_is_hidden_however_it_is_written(writing, secret):
    written = WRITINGS[writing](secret)
    hidden = hide(f"before {written} after", [secret, ""])
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert hidden.count(HIDDEN) == 1
    assert left_of(secret, hidden) == []


def test_longer_secret_is_hidden_before_one_that_stands_in_it():
    assert hide("abcdef abc", ["abc", "abcdef"]) == f"{HIDDEN} {HIDDEN}"


def test_other_words_stay():
    assert hide("nothing to see", ["s3cret"]) == "nothing to see"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("writing", WRITINGS)
def test_answer_and_evidence_show_no_secret(writing, secret):
    written = WRITINGS[writing](secret)

    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=written)

    client = httpx.Client(transport=httpx.MockTransport(echo))
    wire = Wire(client, platform="Echo", secrets=[secret])
    answer = wire.exchange("GET", "https://echo.example.test/", repeatable=True)
    kept = spoken(httpx.Request("POST", "https://echo.example.test/", content=written.encode()), [secret])
    assert answer.text == hide(written, [secret]) != written
    assert kept.body == b""

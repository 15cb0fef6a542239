"""No secret in what is stored or shown, however the platform that echoes it writes it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "•••"
# Of less than this many bytes base64 keeps too little to be told from other words.
SHORTEST_IN_BASE64 = 4


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`: plain, in JSON, percent- or form-encoded, in base64 or Basic credentials."""
    known = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))
    return _pattern(known).sub(HIDDEN, text) if known and text else text


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Longest first: what is left of a shorter one inside would tell the rest."""
    shapes = {shape for secret in secrets for shape in _shapes(secret)}
    return re.compile("|".join(sorted(shapes, key=len, reverse=True)))


def _shapes(secret: str) -> Iterator[str]:
    for written in {secret, *_in_json(secret), quote(secret, safe=""), quote(secret), quote_plus(secret)}:
        yield _any_case(re.escape(written))
    for whole in _in_base64(secret):
        yield re.escape(whole)
        yield _any_case(re.escape(quote(whole, safe="")))


def _in_json(secret: str) -> Iterator[str]:
    """Once and twice, for JSON travels inside JSON; with and without escapes that are a matter of taste."""
    for is_ascii in (True, False):
        once = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        for shape in (once, once.replace("/", "\\/")):
            yield shape
            yield json.dumps(shape, ensure_ascii=is_ascii)[1:-1]
    yield "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1] for char in secret)


def _any_case(pattern: str) -> str:
    """Hexadecimal digits of escapes in either case; the secret itself in its own."""
    pattern = re.sub(r"(?<=%)[0-9A-Fa-f]{2}", lambda found: f"(?i:{found[0]})", pattern)
    return re.sub(r"(?<=\\u)[0-9A-Fa-f]{4}", lambda found: f"(?i:{found[0]})", pattern)


def _in_base64(secret: str) -> Iterator[str]:
    """What base64 makes of the secret wherever it stands in what is encoded: Basic credentials begin before it. Of the
    groups that it fills alone nothing else decides.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) < SHORTEST_IN_BASE64:
        return
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        inner = encoded[first:last]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))

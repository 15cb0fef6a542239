"""`python -m tests.hostile.fuzz [PARSER ...]`: samples spoiled at random, for SECONDS (600) each, from SEED on.

A parser raises what it declares and nothing else, and soon. What breaks that is written to `tests/hostile/found/`,
where the suite finds it again; the seed printed makes the same choices again.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOUND = Path(__file__).parent / "found"
# Of the processor, for files of some kilobytes.
SLOW = 2.0
TOKENS = (
    b"1E+999999999", b"-0", b"9" * 5000, b"NaN", b"Infinity", b"null", b"[]", b"{}", b"true", b'""', b"\\u0000",
    b"\\ud800", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"0001-01-01", b"9999-12-31T23:59:59Z", b"9999-12-31",
    b"00010101", b"99991231", b"20260230", b"<a/>", b"<!--", b"]]>", b"&#0;", b"&amp;", b"%00", b"\r\n", b"[" * 500,
    b"<a>" * 500, "é\u202e".encode(), b"1 0 obj", b"endobj", b"<</A", b"/Filter", b"stream",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 10**400, 1e308, "", "x", "205", "1E+999999999", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "NaN", "\u0000", "\ud800", "é" * 500, [], {}, [[]],
    [None], {"": None}, [[[[[]]]]], ["205"] * 50, {"code": 205}, {"value": {"value": "1"}},
)  # fmt: skip


@dataclass(frozen=True)
class Parser:
    samples: tuple[bytes, ...]
    read: Callable[[bytes], Any]
    declared: tuple[type[Exception], ...]


def spoiled(content: bytes, others: tuple[bytes, ...], chance: random.Random) -> bytes:
    changed = in_json(content, chance) if chance.random() < 0.5 else None
    for _time in range(chance.choice((0, 1, 1, 2, 5)) if changed is not None else chance.choice((1, 1, 2, 5, 20))):
        changed = chance.choice(CHANGES)(changed if changed is not None else content, others, chance)
    return changed if changed is not None else content


def in_json(content: bytes, chance: random.Random) -> bytes | None:
    """With some values of the document replaced; None where it is no JSON."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    places = list(places_in(document))
    for holder, key in chance.sample(places, min(len(places), chance.choice((1, 1, 2, 4)))):
        holder[key] = chance.choice(VALUES)
    return json.dumps(document).encode()


def places_in(document: Any) -> Iterator[tuple[Any, Any]]:
    rows = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in list(rows):
        yield document, key
        yield from places_in(value)


def cut(content: bytes, _others: tuple[bytes, ...], chance: random.Random) -> bytes:
    start, end = span(content, chance)
    return content[:start] + content[end:]


def repeat(content: bytes, _others: tuple[bytes, ...], chance: random.Random) -> bytes:
    start, end = span(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 2, 50)) + content[end:]


def insert(content: bytes, _others: tuple[bytes, ...], chance: random.Random) -> bytes:
    start, _end = span(content, chance)
    return content[:start] + chance.choice(TOKENS) + content[start:]


def replace(content: bytes, _others: tuple[bytes, ...], chance: random.Random) -> bytes:
    """A text between marks, as a value of XML or JSON is."""
    start, _end = span(content, chance)
    begin = max(content.find(mark, start) for mark in (b">", b'"', b" "))
    end = min((found for mark in (b"<", b'"', b" ") if (found := content.find(mark, begin + 1)) > 0), default=-1)
    return content[: begin + 1] + chance.choice(TOKENS) + content[end:] if 0 <= begin < end else content


def flip(content: bytes, _others: tuple[bytes, ...], chance: random.Random) -> bytes:
    start, _end = span(content, chance)
    return content[:start] + bytes([chance.randrange(256)]) + content[start + 1 :]


def splice(content: bytes, others: tuple[bytes, ...], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return content[: span(content, chance)[0]] + other[span(other, chance)[0] :]


CHANGES = (cut, repeat, insert, insert, replace, replace, replace, flip, splice)


def span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 4, 40, 400)))


def fault_of(parser: Parser, content: bytes) -> str:
    """What the parser must not do with this content, "" where it does nothing such."""
    began = time.process_time()
    try:
        parser.read(content)
    except parser.declared:
        pass
    except Exception as error:  # what it did not declare is what this looks for
        return f"{type(error).__name__}: {error}"[:300]
    took = time.process_time() - began
    return f"took {took:.1f} s" if took > SLOW else ""


def contents(parser: Parser, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    while True:
        yield spoiled(chance.choice(parser.samples), parser.samples, chance)


def search(name: str, parser: Parser, *, seed: int, seconds: float) -> dict[str, bytes]:
    """Contents by the fault that they cause, the first of each."""
    faults: dict[str, bytes] = {}
    until, tried = time.monotonic() + seconds, 0
    for content in contents(parser, seed):
        if fault := fault_of(parser, content):
            faults.setdefault(fault, content)
        tried += 1
        if time.monotonic() > until:
            break
    print(f"{name}: {tried} contents from seed {seed}, {len(faults)} faults", flush=True)
    return faults


def main(*names: str) -> int:
    import django

    django.setup()
    from .parsers import PARSERS

    seed, seconds = int(os.environ.get("SEED", time.time_ns() % 10**6)), float(os.environ.get("SECONDS", "600"))
    count = 0
    for name in names or PARSERS:
        for fault, content in search(name, PARSERS[name], seed=seed, seconds=seconds).items():
            count += 1
            path = FOUND / f"{name}-{hashlib.sha256(content).hexdigest()[:8]}"
            FOUND.mkdir(exist_ok=True)
            path.write_bytes(content)
            print(f"  {path.name}: {fault}", flush=True)
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

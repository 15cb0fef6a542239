"""A number with a gigabyte of digits, wherever a number or a text may stand, costs nothing and breaks nothing."""

import json
import re
from collections.abc import Iterator

import pytest

from .fuzz import fault_of, places_in
from .parsers import PARSERS

EXPONENT = b"1E+999999999"
MARK = "the number stands here"
TEXT = re.compile(rb">[^<>\s][^<>]*<")


def with_exponents(content: bytes) -> Iterator[bytes]:
    """Each value of a document replaced in turn: in JSON by the number and by its text."""
    try:
        document = json.loads(content)
    except ValueError:
        yield from (
            content[: each.start() + 1] + EXPONENT + content[each.end() - 1 :] for each in TEXT.finditer(content)
        )
        return
    for holder, key in places_in(document):
        if isinstance(holder[key], dict | list):
            continue
        kept, holder[key] = holder[key], MARK
        marked = json.dumps(document).encode()
        holder[key] = kept
        yield marked.replace(f'"{MARK}"'.encode(), EXPONENT)
        yield marked.replace(MARK.encode(), EXPONENT)


@pytest.mark.parametrize("name", [name for name in PARSERS if name not in ("pdf", "source", "upload")])
def test_exponent_anywhere_breaks_no_reader(name):
    parser = PARSERS[name]
    contents = [content for sample in parser.samples for content in with_exponents(sample)]
    assert contents != []
    assert {fault_of(parser, content) for content in contents} == {""}

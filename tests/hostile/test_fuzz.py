"""No parser raises what it does not declare: a short search, and what longer ones have found (`make fuzz`)."""

from itertools import islice

import pytest

from .fuzz import FOUND, contents, fault_of
from .parsers import PARSERS

CONTENTS = 12
KNOWN = sorted(path for path in FOUND.glob("*-*") if path.is_file())


@pytest.mark.parametrize("name", PARSERS)
def test_spoiled_content_breaks_no_parser(name):
    faults = [fault_of(PARSERS[name], content) for content in islice(contents(PARSERS[name], 1), CONTENTS)]
    assert faults == [""] * CONTENTS


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_what_was_found_breaks_no_parser_any_more(path):
    assert fault_of(PARSERS[path.name.rpartition("-")[0]], path.read_bytes()) == ""

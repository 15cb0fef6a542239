"""docs/security.md names tests that there are, and answers each requirement once."""

import re
from collections import Counter
from pathlib import Path

from django.conf import settings

BASE = Path(settings.BASE_DIR)
TEXT = (BASE / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)


def test_named_tests_are_there():
    named = re.findall(r"`(\w+/[\w/]+\.py|test_\w+\.py)`", TEXT)
    assert [name for name in named if not (BASE / "tests" / name).exists()] == []


def test_each_requirement_is_answered_once_and_counted():
    answers = Counter(answer for _number, answer, _how in ROWS)
    assert len({number for number, _answer, _how in ROWS}) == len(ROWS) == sum(answers.values())
    told = "Of {}: {} met, {} not applicable, {} in part, {} not met.".format(
        len(ROWS), *(answers[answer] for answer in ("met", "not applicable", "in part", "**not met**"))
    )
    assert told in TEXT

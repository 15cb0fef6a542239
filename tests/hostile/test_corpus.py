"""Every hostile file is refused for its reason or read, in bounded time and memory: by one child under hard limits."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from .corpus import INVOICES, MESSAGES

# Of the processor, and generous: the longest, an invoice of 2,000 lines, takes a third of one.
SECONDS = 2


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "tests.hostile"]
    child = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True)
    return {line["name"]: line for line in map(json.loads, child.stdout.splitlines())}


@pytest.mark.parametrize("name", [*INVOICES, *MESSAGES])
def test_hostile_file_costs_little(found, name):
    line = found[name]  # missing where the child was killed by its limits
    assert line["outcome"].startswith("raised") is False
    assert line["seconds"] < SECONDS

"""Navette speaks French and English completely, and the compiled catalogue is the one that is read."""

import re
from pathlib import Path

import polib
from django.conf import settings
from django.utils.translation import gettext, override

from einvoice_project.translations import said

CATALOGUE = Path(settings.BASE_DIR) / "locale" / "fr" / "LC_MESSAGES" / "django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")


def entries() -> list[polib.POEntry]:
    return [entry for entry in polib.pofile(str(CATALOGUE)) if not entry.obsolete]


def test_every_message_is_translated() -> None:
    assert [entry.msgid for entry in entries() if not entry.translated() or entry.fuzzy] == []


def test_everything_said_is_in_the_catalogue() -> None:
    known = {(entry.msgctxt, entry.msgid) for entry in entries()}
    assert [(path, message) for message, path in said() if message not in known] == []


def test_compiled_catalogue_is_up_to_date() -> None:
    source = polib.pofile(str(CATALOGUE))
    assert CATALOGUE.with_suffix(".mo").read_bytes() == source.to_binary()


def test_translations_keep_their_placeholders() -> None:
    def broken(entry: polib.POEntry) -> bool:
        wanted = set(PLACEHOLDER.findall(entry.msgid))
        return any(
            set(PLACEHOLDER.findall(text)) != wanted for text in (entry.msgstr, *entry.msgstr_plural.values()) if text
        )

    assert [entry.msgid for entry in entries() if broken(entry)] == []


def test_messages_are_looked_up() -> None:
    with override("fr"):
        assert gettext("Take in hand") == "Prendre en charge"

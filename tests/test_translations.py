"""Navette speaks French and English completely, and the compiled catalogue is the one that is read."""

import re
from pathlib import Path

import polib
from django.conf import settings
from django.utils.translation import gettext, override

from einvoice_project.translations import FOLDER, faults

CATALOGUE = Path(settings.BASE_DIR) / "locale" / "fr" / "LC_MESSAGES" / "django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")


def entries() -> list[polib.POEntry]:
    return [entry for entry in polib.pofile(str(CATALOGUE)) if not entry.obsolete]


def test_catalogues_are_complete_and_compiled() -> None:
    catalogues = sorted(FOLDER.glob("*/LC_MESSAGES/*.po"))
    assert catalogues == [CATALOGUE]
    assert [fault for catalogue in catalogues for fault in faults(catalogue)] == []


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

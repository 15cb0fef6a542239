"""XML for human eyes: complete where it can be, cut where it must be, never running."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from lxml import etree

from providers.formats.en16931.source import SHOWN_CHARACTERS, show_xml
from providers.formats.xml import UnreadableDocument

UBL = (Path(settings.BASE_DIR) / "tests" / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def canonical(xml: bytes | str) -> bytes:
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(root, method="c14n")


def test_source_is_the_same_xml_laid_out() -> None:
    source = show_xml(UBL.replace(b"\n", b""))

    assert canonical(plain(source.html)) == canonical(UBL)
    assert (source.is_cut, source.is_well_formed) == (False, True)
    assert plain(source.html).count("\n") > 60


def test_markup_of_the_sender_is_escaped() -> None:
    source = show_xml(b'<a b="&lt;script>">&lt;script>alert(1)&lt;/script><script>alert(2)</script></a>')

    tags = re.findall(r"<[^>]*>", source.html)
    assert [tag for tag in tags if not re.fullmatch(r'<span class="xml-[a-z]+">|</span>', tag)] == []


def test_embedded_file_is_left_out() -> None:
    source = show_xml(b"<a><b>" + b"QUJD" * 5000 + b"</b><c>kept</c></a>")

    assert re.sub(r"\s", "", plain(source.html)) in {
        "<a><b>…20000characters…</b><c>kept</c></a>",
        "<a><b>…20000caractères…</b><c>kept</c></a>",
    }


def test_long_source_is_cut() -> None:
    source = show_xml(b"<a>" + b"<b>1</b>" * 100_000 + b"</a>")

    assert (len(plain(source.html).strip()), source.is_cut) == (SHOWN_CHARACTERS, True)


def test_broken_xml_is_shown_as_it_came() -> None:
    source = show_xml(b"<a><b>caf\xc3\xa9</a>")

    assert (plain(source.html).strip(), source.is_well_formed) == ("<a><b>café</a>", False)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"<a>\xff</a>", b"%PDF-1.7 nothing"])
def test_what_has_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        show_xml(content)


def test_entities_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("TOP-SECRET")
    attack = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{(tmp_path / "secret").as_uri()}">]><a>&x;</a>'

    assert plain(show_xml(attack.encode()).html).count("TOP-SECRET") == 0

"""The door for XML: embedded files are taken out of the bytes, every encoding of XML is read as safely as UTF-8."""

from __future__ import annotations

import base64
import os

import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.xml import (
    DECLARABLE_ENCODINGS,
    DECODED_AT_ONCE,
    MAX_FILE_BYTES,
    TAKEN_OUT_FROM,
    UnreadableDocument,
    decode_base64,
    parse_xml,
    read_binary,
    read_xml,
)

FILE = os.urandom(3 * TAKEN_OUT_FROM)
WRITTEN = base64.b64encode(FILE).decode()
LINES = base64.encodebytes(FILE).decode()
WIDE = ["utf-16", "utf-16-le", "utf-16-be"]


def refusal(content: bytes) -> tuple[str, str]:
    with pytest.raises(UnreadableDocument) as caught, override("en"):
        parse_xml(content)
    with override("en"):
        return caught.value.code, str(caught.value)


# --- embedded files

WAYS = {
    "one line": ("<EmbeddedDocumentBinaryObject>", WRITTEN, "</EmbeddedDocumentBinaryObject>"),
    "lines": ("<a:EmbeddedDocumentBinaryObject>", LINES, "</a:EmbeddedDocumentBinaryObject>"),
    "CII": ("<a:AttachmentBinaryObject>", WRITTEN, "</a:AttachmentBinaryObject>"),
    "envelope": ("<BinaryContent>", WRITTEN, "</BinaryContent>"),
    "CDATA": ("<a:AttachmentBinaryObject> <![CDATA[", LINES, "]]> </a:AttachmentBinaryObject>"),
    "line ends of Java": ("<a:AttachmentBinaryObject>", LINES.replace("\n", "&#13;\n"), "</a:AttachmentBinaryObject>"),
    "attributes": (
        "<a:AttachmentBinaryObject mimeCode='a/b' filename=\"a>b'.pdf\" >", WRITTEN, "</a:AttachmentBinaryObject>",
    ),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", *WIDE])
@pytest.mark.parametrize(("before", "file", "after"), WAYS.values(), ids=WAYS)
def test_embedded_file_is_taken_out_and_its_lines_stay(before: str, file: str, after: str, encoding: str) -> None:
    text = f'<x xmlns:a="urn:a"><b>é</b>{before}{file}{after}\n<c/></x>'

    xml = read_xml(text.encode(encoding))
    element = xml.root[1]

    assert len(element.text.strip()) == 36
    assert read_binary(element.text, xml.files) == FILE
    assert (xml.root[0].text, xml.root[2].sourceline) == ("é", text[: text.index("<c/>")].count("\n") + 1)


def test_small_file_stays_where_it_is() -> None:
    xml = read_xml(b"<x><AttachmentBinaryObject>YTtiCg==</AttachmentBinaryObject></x>")

    assert (xml.root[0].text, dict(xml.files)) == ("YTtiCg==", {})
    assert read_binary(xml.root[0].text, xml.files) == b"a;b\n"


def test_word_that_stands_in_cannot_be_forged() -> None:
    text = f"<x><b>{'A' * 36}</b><AttachmentBinaryObject>{WRITTEN}</AttachmentBinaryObject></x>"
    (guess,) = read_xml(text.encode()).files

    xml = read_xml(text.replace("A" * 36, guess).encode())

    assert xml.root[0].text not in xml.files
    assert read_binary(xml.root[1].text, xml.files) == FILE


DAMAGES = {
    "one more": lambda text: text + "A",
    "end before the end": lambda text: "AAA=" + text,
    "strange characters": lambda text: text[:-4] + "-_é!" + "A" * 12_000_000,
    "end within": lambda text: text[:-2] + "=" + text[-2:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_no_base64_for_anybody(damage) -> None:
    xml = read_xml(f"<x><AttachmentBinaryObject>{damage(WRITTEN)}</AttachmentBinaryObject></x>".encode())

    assert list(xml.files.values()) == [None]
    assert len(xml.root[0].text) % 4 != 0
    with pytest.raises(ValueError, match="no Base64"):
        read_binary(xml.root[0].text, xml.files)


def test_long_text_that_is_no_file_stays() -> None:
    xml = read_xml(f"<x><ID>{WRITTEN}</ID><AttachmentBinaryObject>{' ' * 9000}</AttachmentBinaryObject></x>".encode())

    assert (xml.root[0].text, dict(xml.files)) == (WRITTEN, {})


@pytest.mark.parametrize(
    "content",
    [
        b"<AttachmentBinaryObject>" + b"A" * 9_000_000,
        b"<AttachmentBinaryObject>" + b"A" * 9_000_000 + b"&amp;</AttachmentBinaryObject",
        b"<AttachmentBinaryObject a='" + b"A" * 9_000_000,
        b"<AttachmentBinaryObject " + b"a='' " * 1_000_000,
        b"<AttachmentBinaryObject " * 400_000,
        b"<AttachmentBinaryObject>" * 400_000,
        b"<" + b"Binary" * 1_500_000,
        b"<AttachmentBinaryObject>" + b"&#13;" * 1_800_000,
    ],
    ids=lambda content: repr(content[:30] + content[-10:]),
)
def test_search_for_files_takes_no_long_time(content: bytes) -> None:
    """Each ends within the time limit of a test run; a search that goes back and forth would take years."""
    assert refusal(content)[0] in {"malformed", "too_complex"}


def test_file_beyond_all_limits_is_refused_unseen() -> None:
    assert refusal(b" " * (MAX_FILE_BYTES + 1))[0] == "too_large"


@settings(max_examples=50)
@given(st.binary(max_size=200), st.sampled_from(["", " ", "\r\n", "\n\t"]), st.integers(1, 80))
def test_base64_in_any_lines_is_decoded(content: bytes, end: str, width: int) -> None:
    written = base64.b64encode(content).decode()
    lines = end.join(written[start : start + width] for start in range(0, len(written), width))

    assert decode_base64(lines.encode()) == content


@pytest.mark.parametrize("size", [DECODED_AT_ONCE // 4 * 3 + extra for extra in (-1, 0, 1, 2, 3, 4)])
def test_base64_is_decoded_across_its_pieces(size: int) -> None:
    content = os.urandom(size)

    assert decode_base64(base64.b64encode(content)) == content


# --- encodings


def declared(name: str, text: str) -> str:
    return f'<?xml version="1.0" encoding="{name}"?>{text}'


CHARACTERS = st.characters(codec="utf-8", exclude_categories=("C",), exclude_characters="<&\r\ufffe\uffff")


@given(st.text(CHARACTERS), st.sampled_from([*WIDE, "utf-8", "utf-8-sig"]))
def test_every_character_survives_in_every_unicode_encoding(text: str, encoding: str) -> None:
    assert (parse_xml(declared(encoding.upper(), f"<a>{text}</a>").encode(encoding)).text or "") == text


@given(st.binary(max_size=30), st.sampled_from(sorted(DECLARABLE_ENCODINGS)))
def test_bytes_of_a_declared_encoding_are_its_characters_or_refused(content: bytes, encoding: str) -> None:
    content = content.translate(None, b"<&\r")
    document = declared(encoding, "<a>").encode() + content + b"</a>"
    try:
        found = parse_xml(document).text or ""
    except UnreadableDocument as error:
        found, code = None, error.code
    else:
        code = "read"

    assert code in {"read", "encoding", "malformed"}
    assert found is None or found == content.decode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        declared("UTF-16", "<a>é</a>").encode(),
        declared("utf-16le", "<a>é</a>").encode("utf-8-sig"),
        declared("UTF-8", "<a>é</a>").encode("utf-16"),
        ("\n " + declared("UTF-16", "<a>é</a>")).encode("utf-16-le"),
        ("\n " + declared("UTF-16", "<a>é</a>")).encode("utf-16-be"),
        ("\ufeff\ufeff" + declared("UTF-8", "<a>é</a>")).encode(),
        declared("ISO-8859-2", "<a>é</a>").encode("iso8859-2"),
        declared("windows-1250", "<a>é</a>").encode("cp1250"),
    ],
    ids=[
        "UTF-8 called UTF-16", "with its mark", "UTF-16 called UTF-8", "white space before", "and in the other order",
        "two marks", "Latin 2", "Windows 1250",
    ],
)  # fmt: skip
def test_what_the_bytes_show_counts_more_than_what_is_declared(content: bytes) -> None:
    assert parse_xml(content).text == "é"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<a/>".encode("utf-32-le"), "UTF-32"),
        ("<a/>".encode("utf-32-be"), "UTF-32"),
        ('<?xml version="1.0"?><a/>'.encode("cp500"), "EBCDIC"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "UTF-7"),
        (b'<?xml version="1.0" encoding="GB18030"?><a/>', "GB18030"),
    ],
)
def test_other_encoding_is_called_by_its_name(content: bytes, words: str) -> None:
    assert refusal(content) == (
        "encoding",
        f"The file uses the character encoding {words}, which is not read here. Ask the sender for UTF-8.",
    )


@pytest.mark.parametrize(
    ("content", "encoding", "position"),
    [
        (b"<a>caf\xe9</a>", "UTF-8", 7),
        (declared("US-ASCII", "<a>").encode() + b"\xe9</a>", "ASCII", 45),
        ("<a>é</a>".encode("utf-16") + b"x", "UTF-16", 19),
        (
            f"<a><AttachmentBinaryObject>{WRITTEN}</AttachmentBinaryObject>".encode() + b"\xe9</a>",
            "UTF-8",
            53 + len(WRITTEN),
        ),
    ],
    ids=["not declared", "declared", "half a character", "behind a file"],
)  # fmt: skip
def test_wrong_byte_is_named_with_its_place_in_the_file(content: bytes, encoding: str, position: int) -> None:
    code, words = refusal(content)

    assert (code, words.partition(".")[0]) == (
        "encoding",
        f"By its declaration and its first bytes the file is in {encoding}, but byte {position} is not",
    )


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("before", ["", "\n\t", "<!-- <a/> -->", "<?xml version='1.0' encoding='UTF-8'?>"])
def test_document_type_is_seen_in_wide_characters(before: str, encoding: str) -> None:
    attack = f'{before}<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'

    assert refusal(attack.encode(encoding))[0] == "document_type"


@pytest.mark.parametrize(
    "content", [b"Bonjour", b"\x30\x82\x10\x00\x06\x09", b"From: a@b\r\n\r\n<a/>", "x<a/>".encode("utf-16")]
)
def test_what_is_no_xml_is_called_that(content: bytes) -> None:
    assert refusal(content) == (
        "malformed",
        "The file is not XML: it does not begin like it. Ask the platform or the sender for the original.",
    )


def test_white_space_before_the_first_element_does_not_count() -> None:
    assert parse_xml(b" \n" * 10_000 + b"<a>b</a>").text == "b"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\0\0\0", "\x1a", "\n\x1a\0"])
def test_what_fills_up_a_file_does_not_count(end: str, encoding: str) -> None:
    assert parse_xml(f"<a>b</a>{end}".encode(encoding)).text == "b"

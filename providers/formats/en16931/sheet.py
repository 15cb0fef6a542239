"""A4 pages that fill up from the top: words, rows of blocks, tables. Knows nothing of invoices.

What it makes is PDF/A-3: fonts embedded, colours with their profile, metadata, no character without a glyph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import font_source_sans_pro
from fpdf import FPDF

Colour = tuple[int, int, int]
INK: Colour = (28, 32, 36)
MUTED: Colour = (91, 96, 103)
ACCENT: Colour = (11, 93, 102)
BAD: Colour = (147, 26, 26)
RULE: Colour = (214, 212, 204)
GROUND: Colour = (246, 245, 241)

FAMILY = "source sans"
FONTS = {"": "SourceSansPro", "B": "SourceSansProSemibold"}
# Millimetres.
MARGIN, BOTTOM = 15.0, 282.0
WIDTH = 210 - 2 * MARGIN
PADDING = 1.6
POINT = 25.4 / 72
# A row no higher than this stays on one page; a higher one is split.
KEPT_TOGETHER = 50.0
# What stands for a character the font does not have.
SUBSTITUTE = "?"


class Style(NamedTuple):
    size: float
    weight: str = ""
    colour: Colour = INK

    @property
    def height(self) -> float:
        return self.size * POINT * 1.3


TEXT = Style(9)
STRONG = Style(9, "B")
SMALL = Style(7.5, "", MUTED)
ALARM = Style(7.5, "B", BAD)
HEADING = Style(10.5, "B", ACCENT)
TITLE = Style(18, "B")


class Words(NamedTuple):
    text: str
    style: Style = TEXT


class Block(NamedTuple):
    """Words within a column of a row."""

    words: Sequence[Words]
    x: float = MARGIN
    width: float = WIDTH
    align: str = "left"
    ground: Colour | None = None


class Column(NamedTuple):
    title: str
    width: float
    align: str = "left"


class Sheet:
    def __init__(self, *, title: str, author: str, language: str, footer: str) -> None:
        self._pages = Pages(enforce_compliance="PDF/A-3U")
        for weight, name in FONTS.items():
            self._pages.add_font(FAMILY, weight, font_source_sans_pro.font_files_ttf[name])
        faces: dict[str, Any] = {weight: self._pages.fonts[FAMILY + weight] for weight in FONTS}
        # Advances in thousandths of the font size.
        self._advances = {weight: face.cw for weight, face in faces.items()}
        self._known = frozenset.intersection(*(frozenset(face.cmap) for face in faces.values()))
        self._columns: Sequence[Column] = ()
        self.lacks_characters = False
        self._pages.words = self.printable(footer)
        self._pages.set_title(self.printable(title))
        self._pages.set_author(self.printable(author))
        self._pages.set_creator("Navette")
        self._pages.set_lang(language)
        self._pages.set_auto_page_break(False)
        self._turn_page()

    def finish(self) -> bytes:
        return bytes(self._pages.output())

    # --- words

    def printable(self, text: str) -> str:
        """The text in characters the font has: PDF/A forbids to show any other."""
        return "".join(c if ord(c) in self._known else self._substitute(c) for c in text)

    def _substitute(self, character: str) -> str:
        if character.isspace():
            return " "
        if not character.isprintable():
            return ""
        self.lacks_characters = True
        return SUBSTITUTE

    def width_of(self, text: str, style: Style) -> float:
        advances = self._advances[style.weight]
        return sum(advances[ord(character)] for character in text) * style.size * POINT / 1000

    def wrap(self, words: Words, width: float) -> list[Words]:
        """Lines no wider than `width`, broken at spaces, and inside a word only where it fits on no line."""
        lines: list[str] = []
        for paragraph in words.text.splitlines():
            line = ""
            for word in self.printable(paragraph).split(" "):
                longer = f"{line} {word}" if line else word
                if self.width_of(longer, words.style) > width:
                    lines += [line] if line else []
                    *full, longer = self._pieces(word, words.style, width)
                    lines += full
                line = longer
            lines.append(line)
        return [Words(line, words.style) for line in lines]

    def _pieces(self, word: str, style: Style, width: float) -> list[str]:
        pieces, used = [""], 0.0
        for character in word:
            advance = self.width_of(character, style)
            if pieces[-1] and used + advance > width:
                pieces.append("")
                used = 0.0
            pieces[-1] += character
            used += advance
        return pieces

    # --- rows

    def row(self, *blocks: Block, gap: float = 0.0) -> None:
        """Blocks side by side. Kept on one page if they are not high, else continued on the next."""
        pending = self._lines_of(blocks)
        height = max(map(height_of, pending))
        if height <= KEPT_TOGETHER:
            self.make_room(height)
        while any(pending):
            left = BOTTOM - self._pages.y
            parts = [take(lines, left) for lines in pending]
            if any(parts):
                self._draw(blocks, parts)
            if any(pending):
                self._turn_page()
        self.skip(gap)

    def _lines_of(self, blocks: Sequence[Block]) -> list[list[Words]]:
        return [[line for words in block.words for line in self.wrap(words, block.width)] for block in blocks]

    def _draw(self, blocks: Sequence[Block], parts: Sequence[list[Words]]) -> None:
        top = self._pages.y
        height = max(height_of(part) for part in parts)
        for block, part in zip(blocks, parts, strict=True):
            if block.ground:
                self._fill(block, top, height)
            y = top
            for line in part:
                self._write(line, block, y)
                y += line.style.height
        self._pages.y = top + height

    def _fill(self, block: Block, top: float, height: float) -> None:
        self._pages.set_fill_color(*(block.ground or GROUND))
        self._pages.rect(block.x - PADDING, top - PADDING, block.width + 2 * PADDING, height + 2 * PADDING, style="F")

    def _write(self, line: Words, block: Block, y: float) -> None:
        if not line.text:
            return
        x = block.x
        if block.align == "right":
            x += block.width - self.width_of(line.text, line.style)
        self._pages.write_at(x, y, line)

    def heading(self, title: str, *, room: float = 12.0) -> None:
        """Not at the foot of a page: with so much of what it heads."""
        self.skip(3)
        self.make_room(HEADING.height + room)
        self.row(Block([Words(title, HEADING)]), gap=1.2)

    def make_room(self, height: float) -> None:
        if self._pages.y + height > BOTTOM:
            self._turn_page()

    def skip(self, height: float) -> None:
        self._pages.y += height

    def rule(self, colour: Colour = RULE, *, x: float = MARGIN, width: float = WIDTH, thickness: float = 0.2) -> None:
        self._pages.set_draw_color(*colour)
        self._pages.set_line_width(thickness)
        self._pages.line(x, self._pages.y, x + width, self._pages.y)

    def _turn_page(self) -> None:
        self._pages.add_page()
        self._pages.y = MARGIN
        if self._columns:
            self._head()

    # --- tables

    def table(self, title: str, columns: Sequence[Column], rows: Iterable[Sequence[Sequence[Words]]]) -> None:
        """Each cell is some words, and one more than there are columns goes below, under all but the first of them. The
        head comes again on each page."""
        for number, (cells, below) in enumerate(split_at(len(columns), row) for row in rows):
            blocks = place(columns, cells)
            if number == 0:
                first = min(max(map(height_of, self._lines_of(blocks))), KEPT_TOGETHER)
                self.heading(title, room=first + 10)
                self._columns = columns
                self._head()
            self.row(*blocks, gap=0.8)
            for words in below:
                indent = columns[0].width
                self.row(Block(words, MARGIN + indent, WIDTH - indent), gap=0.8)
            self.rule()
            self.skip(0.8)
        self._columns = ()

    def _head(self) -> None:
        titles = [[Words(column.title, SMALL)] for column in self._columns]
        columns, self._columns = self._columns, ()
        self.row(*place(columns, titles), gap=0.8)
        self.rule(MUTED)
        self.skip(0.8)
        self._columns = columns


class Pages(FPDF):
    words = ""

    def footer(self) -> None:
        self.write_at(MARGIN, self.h - 11, Words(self.words[:140], SMALL))
        # The number of pages is put in at the end, by a cell only.
        self.set_xy(210 - MARGIN - 20, self.h - 11)
        self.cell(20, SMALL.height, f"{self.page_no()} / {self.str_alias_nb_pages}", align="R")

    def write_at(self, x: float, y: float, line: Words) -> None:
        """With `y` the top of the line, where PDF counts from its base."""
        style = line.style
        self.set_font(FAMILY, style.weight, style.size)
        self.set_text_color(*style.colour)
        self.text(x, y + style.size * POINT * 0.98, line.text)


def split_at(count: int, row: Sequence[Sequence[Words]]) -> tuple[Sequence[Sequence[Words]], Sequence[Sequence[Words]]]:
    return row[:count], row[count:]


def place(columns: Sequence[Column], cells: Sequence[Sequence[Words]]) -> list[Block]:
    blocks, x = [], MARGIN
    for column, words in zip(columns, cells, strict=True):
        start = x if column.align == "left" else x + 2 * PADDING
        blocks.append(Block(words, start, column.width - 2 * PADDING, column.align))
        x += column.width
    return blocks


def height_of(lines: Sequence[Words]) -> float:
    return sum(line.style.height for line in lines)


def take(lines: list[Words], height: float) -> list[Words]:
    """What fits, removed from `lines`."""
    used, count = 0.0, 0
    for line in lines:
        used += line.style.height
        if used > height:
            break
        count += 1
    taken, lines[:count] = lines[:count], []
    return taken

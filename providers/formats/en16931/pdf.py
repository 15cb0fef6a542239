"""The readable view as PDF/A-3: the same facts as on the page, from the same tables.

A Factur-X file can be built on it: only the XML has to be attached, and named in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override, pgettext

from .facts import Shown
from .model import ParsedInvoice
from .readable import readable_context
from .sheet import (
    ACCENT,
    ALARM,
    GROUND,
    MARGIN,
    PADDING,
    RULE,
    SMALL,
    STRONG,
    SUBSTITUTE,
    TEXT,
    TITLE,
    WIDTH,
    Block,
    Column,
    Sheet,
    Words,
)

Context = dict[str, Any]
GUTTER = 6.0
TOTALS_WIDTH = 84.0
GAP = Words(" ", SMALL._replace(size=3))


def render_pdf(document: ParsedInvoice, language: str) -> bytes:
    """The invoice on A4 pages, in this language, with every line whatever their number."""
    with override(language):
        context = readable_context(document, None)
        title = f"{context['title']} {document.number}".strip()
        sheet = Sheet(
            title=title, author=document.seller.name, language=language, footer=f"{title} – {document.seller.name}"
        )
        for draw in PARTS:
            draw(sheet, context)
        return sheet.finish()


# --- parts, in the order of the page


def draw_head(sheet: Sheet, context: Context) -> None:
    title = Block([Words(f"{context['title']} {context['invoice'].number}", TITLE)], MARGIN, 115)
    due = []
    if context["amount_due"]:
        name = pgettext("total of an invoice", "Amount due")
        due = [Words(name, SMALL), Words(context["amount_due"], TITLE._replace(size=14))]
    sheet.row(title, Block(due, MARGIN + 115, WIDTH - 115, "right"), gap=2)
    sheet.rule(ACCENT, thickness=0.6)
    sheet.skip(3)
    draw_facts(sheet, context["header"], columns=4)


def draw_parties(sheet: Sheet, context: Context) -> None:
    width = (WIDTH - GUTTER) / 2 - 2 * PADDING
    for pair in grouped(context["parties"], 2):
        blocks = [
            Block(party_words(party), MARGIN + PADDING + index * (width + 2 * PADDING + GUTTER), width, ground=GROUND)
            for index, party in enumerate(pair)
        ]
        sheet.skip(PADDING)
        sheet.row(*blocks, gap=4)


def party_words(party: dict[str, Any]) -> list[Words]:
    words = [Words(str(party["role"]), SMALL), Words(party["name"], STRONG), Words(party["address"]), GAP]
    return [*words, *(Words(f"{fact.name}\u00a0: {fact.value}", SMALL) for fact in party["facts"])]


def draw_references(sheet: Sheet, context: Context) -> None:
    if context["references"] or context["preceding_invoices"]:
        sheet.heading(_("References"))
        preceding = [Shown(_("Preceding invoice"), each) for each in context["preceding_invoices"]]
        draw_facts(sheet, [*context["references"], *preceding])


def draw_delivery(sheet: Sheet, context: Context) -> None:
    if context["deliveries"]:
        sheet.heading(_("Delivery"))
        for delivery in context["deliveries"]:
            draw_facts(sheet, delivery)


def draw_lines(sheet: Sheet, context: Context) -> None:
    columns = [
        Column(_("No."), 10),
        Column(_("Item"), 65),
        Column(_("Quantity"), 24, "right"),
        Column(_("Unit price"), 23, "right"),
        Column(_("VAT"), 33, "right"),
        Column(_("Net amount"), 25, "right"),
    ]
    sheet.table(_("Lines"), columns, (row for line in context["lines"] for row in line_rows(line)))


def line_rows(line: dict[str, Any]) -> Iterator[list[list[Words]]]:
    words = [Words(line["name"], TEXT if line["is_sub_line"] else STRONG)]
    texts = (line["description"], *line["notes"], *line["allowances_charges"])
    words += [Words(text, SMALL) for text in texts if text]
    details = " · ".join(f"{fact.name}\u00a0: {one_line(fact.value)}" for fact in line["details"])
    quantity = f"{line['quantity']} {line['unit']}".strip()
    figures = (quantity, line["net_price"], line["vat"], line["net_amount"])
    below = [[Words(details, SMALL)]] if details else []
    yield [[Words(line["number"])], words, *([Words(figure)] for figure in figures), *below]


def one_line(value: str) -> str:
    return ", ".join(value.splitlines())


def draw_allowances(sheet: Sheet, context: Context) -> None:
    columns = [
        Column(_("Kind"), 22),
        Column(_("Reason"), 54),
        Column(_("Base"), 25, "right"),
        Column(_("Percentage"), 21, "right"),
        Column(_("VAT"), 33, "right"),
        Column(_("Amount"), 25, "right"),
    ]
    names = ("kind", "reason", "base", "percentage", "vat", "amount")
    rows = ([[Words(str(item[name]))] for name in names] for item in context["allowances_charges"])
    sheet.table(_("Allowances and charges"), columns, rows)


def draw_totals(sheet: Sheet, context: Context) -> None:
    columns = [
        Column(_("Category"), 95),
        Column(_("Rate"), 25, "right"),
        Column(_("Base"), 30, "right"),
        Column(_("VAT"), 30, "right"),
    ]
    sheet.table(_("VAT and totals"), columns, (vat_cells(row) for row in context["vat_rows"]))
    sheet.skip(3)
    sheet.make_room(6.0 * len(context["totals"]))
    for row in context["totals"]:
        draw_total(sheet, str(row["name"]), row["amount"], is_due=row["attribute"] == "amount_due")


def vat_cells(row: dict[str, str]) -> list[list[Words]]:
    category = [Words(row["category"]), *([Words(row["exemption"], SMALL)] if row["exemption"] else [])]
    return [category, [Words(row["rate"])], [Words(row["base"])], [Words(row["amount"])]]


def draw_total(sheet: Sheet, name: str, amount: str, *, is_due: bool) -> None:
    x, style = MARGIN + WIDTH - TOTALS_WIDTH, STRONG._replace(size=11) if is_due else TEXT
    sheet.rule(ACCENT if is_due else RULE, x=x, width=TOTALS_WIDTH, thickness=0.4 if is_due else 0.2)
    sheet.skip(0.9)
    sheet.row(
        Block([Words(name, style)], x, TOTALS_WIDTH - 36),
        Block([Words(amount, style)], x + TOTALS_WIDTH - 36, 36, "right"),
        gap=0.9,
    )


def draw_payment(sheet: Sheet, context: Context) -> None:
    if context["payment"] or context["payment_terms"]:
        sheet.heading(_("Payment"))
        for means in (*context["payment"], context["payment_terms"]):
            draw_facts(sheet, means)
    columns = [Column(_("Due date"), 32), Column(_("Terms"), 118), Column(_("Amount"), 30, "right")]
    rows = ([[Words(term["due"])], [Words(term["text"])], [Words(term["amount"])]] for term in context["terms"])
    sheet.table(_("Payment terms"), columns, rows)


def draw_notes(sheet: Sheet, context: Context) -> None:
    for title, notes in ((_("Legal notes"), context["legal_notes"]), (_("Notes"), context["notes"])):
        if notes:
            sheet.heading(title)
            draw_facts(sheet, notes, columns=2)


def draw_attachments(sheet: Sheet, context: Context) -> None:
    if context["attachments"]:
        sheet.heading(_("Attachments"))
        for item in context["attachments"]:
            about = " · ".join(part for part in (item["about"], item["external_url"]) if part)
            sheet.row(Block([Words(item["name"]), Words(about, SMALL)]), gap=1)


def draw_other_data(sheet: Sheet, context: Context) -> None:
    columns = [Column(_("Line"), 16), Column(_("Data"), 82), Column(_("Value"), 82)]
    rows = ([[Words(item[name], SMALL)] for name in ("line", "name", "value")] for item in context["other_data"])
    sheet.table(_("Other data of the file"), columns, rows)


def draw_substitutes(sheet: Sheet, context: Context) -> None:
    if sheet.lacks_characters:
        words = _("“%(character)s” may stand for a character this PDF cannot show; the invoice file has it.")
        sheet.skip(4)
        sheet.row(Block([Words(words % {"character": SUBSTITUTE}, SMALL)]))


PARTS = (
    draw_head,
    draw_parties,
    draw_references,
    draw_delivery,
    draw_lines,
    draw_allowances,
    draw_totals,
    draw_payment,
    draw_notes,
    draw_attachments,
    draw_other_data,
    draw_substitutes,
)


# --- what the parts are made of


def draw_facts(sheet: Sheet, facts: Sequence[Shown], columns: int = 3) -> None:
    width = (WIDTH - (columns - 1) * GUTTER) / columns
    for few in grouped(facts, columns):
        blocks = [Block(fact_words(fact), MARGIN + index * (width + GUTTER), width) for index, fact in enumerate(few)]
        sheet.row(*blocks, gap=1.8)


def fact_words(fact: Shown) -> list[Words]:
    words = [Words(str(fact.name), SMALL), Words(fact.value)]
    if fact.remark and not fact.remark.is_good:
        words.append(Words(str(fact.remark.text), ALARM))
    return words


def grouped(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))

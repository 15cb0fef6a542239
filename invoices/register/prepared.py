"""Long documents, read and drawn once: in the worker, which keeps the result for whoever looks.

The web reads a short file itself, within milliseconds. Of any other it shows what is kept, and asks the worker for what
is not there yet, in these forms: `reading`, `pdf:LANGUAGE`, `xml:LANGUAGE`, and `file:INDEX` for one that it holds.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from invoices.models import InvoiceDocument, Prepared, PreparedLines
from providers.connections.nudge import nudge
from providers.formats.en16931.kept import in_each_language, in_own_language, read_kept, read_kept_lines, write_kept
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.pdf_files import is_pdf
from providers.formats.en16931.source import Source, show_xml
from providers.formats.xml import UnreadableDocument

from .stored import content_of, read_content, read_document

# Counts with what the reader takes from a file, how it is drawn, and how it is kept.
VERSION = 1
READING = "reading"
LINES_OF_A_PAGE = 200
# XML and JSON this short are read in less than 100 ms, whatever is in them (tests/hostile).
SHORT = 200_000
TASK = "invoices.tasks.prepare_documents"
TASK_SECONDS = 120
LEASE = timedelta(seconds=150)
# A file that ended its worker this often will do so again.
MAX_ATTEMPTS = 2
GIVEN_UP = _("The file took the worker too long. It is kept as it came; ask the sender for a shorter one.")

State = Prepared.State
logger = logging.getLogger(__name__)


class BeingPrepared(Exception):
    """The worker has been asked, and will soon have it."""


@dataclass(frozen=True)
class Excerpt:
    """An invoice with one page of its lines."""

    invoice: ParsedInvoice
    page: int
    line_count: int

    @property
    def pages(self) -> range:
        return range(1, -(-self.line_count // LINES_OF_A_PAGE) + 1)

    @property
    def first(self) -> int:
        return (self.page - 1) * LINES_OF_A_PAGE + 1

    @property
    def last(self) -> int:
        return min(self.page * LINES_OF_A_PAGE, self.line_count)


def excerpt(document: InvoiceDocument, page: int = 1) -> Excerpt:
    """Raises BeingPrepared, or UnreadableDocument."""
    if (short := _short(document)) is not None:
        return _cut(read_content(document, short), page)
    row = _kept(document, READING)
    found = Excerpt(_read(row), page, row.line_count)
    page = page if page in found.pages else 1
    lines = row.pages.filter(number=page).first()
    invoice = replace(found.invoice, lines=read_kept_lines(lines.content) if lines else ())
    return replace(found, invoice=invoice, page=page)


def whole(document: InvoiceDocument) -> ParsedInvoice:
    """Raises BeingPrepared, or UnreadableDocument."""
    if (short := _short(document)) is not None:
        return read_content(document, short)
    row = _kept(document, READING)
    pages = row.pages.order_by("number").values_list("content", flat=True)
    return replace(_read(row), lines=tuple(line for page in pages for line in read_kept_lines(page)))


def pdf(document: InvoiceDocument, language: str) -> bytes:
    """Raises BeingPrepared, or UnreadableDocument."""
    if (short := _short(document)) is not None:
        return _draw(read_content(document, short), language)
    return bytes(_kept(document, f"pdf:{language}").content)


def source(document: InvoiceDocument, language: str) -> Source:
    """Raises BeingPrepared, or UnreadableDocument."""
    if (short := _short(document)) is not None:
        return show_xml(short)
    told = json.loads(zlib.decompress(_kept(document, f"xml:{language}").content))
    return Source(**told | {"html": SafeString(told["html"])})


def embedded(document: InvoiceDocument, index: int) -> Prepared:
    """A file the document holds, with its type and name. Raises BeingPrepared, or UnreadableDocument."""
    if (short := _short(document)) is not None:
        return Prepared(document=document, **_taken_out(read_content(document, short), index))
    return _kept(document, f"file:{index}")


def _short(document: InvoiceDocument) -> bytes | None:
    """The content where it is read at once."""
    content = content_of(document) if document.size <= SHORT else b""
    return content if content and _is_short(content) else None


def _is_short(content: bytes) -> bool:
    """A PDF never is: it may hold much in little."""
    return len(content) <= SHORT and not is_pdf(content)


def _cut(invoice: ParsedInvoice, page: int) -> Excerpt:
    found = Excerpt(invoice, page, len(invoice.lines))
    found = replace(found, page=page if page in found.pages else 1)
    return replace(found, invoice=replace(invoice, lines=invoice.lines[found.first - 1 : found.last]))


def _read(row: Prepared) -> ParsedInvoice:
    return read_kept(zlib.decompress(row.content).decode())


def _kept(document: InvoiceDocument, form: str) -> Prepared:
    row = Prepared.objects.filter(document=document, form=form, version=VERSION).exclude(state=State.WAITING).first()
    if row is None:
        ask(document, form)
        raise BeingPrepared
    if row.state == State.FAILED:
        raise UnreadableDocument("unreadable", in_own_language(row.error))
    return row


# --- what waits


def ask(document: InvoiceDocument, form: str = READING) -> None:
    """Asking twice is asking once; what an older version made is made anew."""
    row = Prepared(document=document, form=form, version=VERSION)
    Prepared.objects.bulk_create([row], ignore_conflicts=True)
    older = Prepared.objects.filter(document=document, form=form).exclude(version=VERSION)
    older.update(version=VERSION, state=State.WAITING, attempts=0, asked_at=timezone.now())
    transaction.on_commit(_nudge)


def renew(document: InvoiceDocument) -> None:
    """Have all that was made of it made anew."""
    rows = Prepared.objects.filter(document=document)
    rows.update(version=VERSION, state=State.WAITING, attempts=0, leased_until=None, asked_at=timezone.now())
    transaction.on_commit(nudge_for_due)


def ask_if_long(document: InvoiceDocument, content: bytes) -> None:
    """When it comes, so that it is there when a person looks."""
    if not _is_short(content):
        ask(document)


def _nudge() -> None:
    nudge(TASK, timeout=TASK_SECONDS)


def _due() -> QuerySet[Prepared]:
    free = Q(leased_until=None) | Q(leased_until__lte=timezone.now())
    return Prepared.objects.filter(free, state=State.WAITING)


def nudge_for_due() -> None:
    if _due().exists():
        _nudge()


def drain() -> int:
    """One document a task, so that none waits for the time of another."""
    row = _claim()
    if row is None:
        return 0
    _work(row)
    transaction.on_commit(nudge_for_due)
    return 1


def _claim() -> Prepared | None:
    with transaction.atomic():
        _due().filter(attempts__gte=MAX_ATTEMPTS).update(state=State.FAILED, error=in_each_language(GIVEN_UP))
        rows = _due().select_for_update(skip_locked=True, of=("self",)).select_related("document")
        row = rows.order_by("attempts", "asked_at").first()
        if row is not None:
            leased = timezone.now() + LEASE
            Prepared.objects.filter(pk=row.pk).update(attempts=F("attempts") + 1, leased_until=leased)
    return row


def _work(row: Prepared) -> None:
    form, _colon, argument = row.form.partition(":")
    try:
        made = MAKERS[form](row.document, argument)
    except UnreadableDocument as error:
        made = {"state": State.FAILED, "error": in_each_language(error.message)}
    except OSError:  # the file storage does not answer: again when the lease has ended
        logger.exception("Document %s could not be opened", row.document_id)
        Prepared.objects.filter(pk=row.pk).update(attempts=F("attempts") - 1)
        return
    with transaction.atomic():
        row.pages.all().delete()
        pages = enumerate(made.pop("pages", ()), 1)
        PreparedLines.objects.bulk_create(PreparedLines(prepared=row, number=n, content=page) for n, page in pages)
        Prepared.objects.filter(pk=row.pk).update(**{"state": State.DONE, "leased_until": None} | made)


def _reading(document: InvoiceDocument, _argument: str) -> dict[str, Any]:
    invoice = read_document(document)
    count = len(invoice.lines)
    starts = range(0, count, LINES_OF_A_PAGE)
    return {
        "content": zlib.compress(write_kept(replace(invoice, lines=())).encode()),
        "line_count": count,
        "pages": [write_kept(invoice.lines[start : start + LINES_OF_A_PAGE]) for start in starts],
    }


def _pdf(document: InvoiceDocument, language: str) -> dict[str, Any]:
    return {"content": _draw(read_document(document), language)}


def _draw(invoice: ParsedInvoice, language: str) -> bytes:
    from providers.formats.en16931.pdf import (
        render_pdf,  # when first wanted: its libraries take 20 MB of each web process
    )

    return render_pdf(invoice, language)


def _xml(document: InvoiceDocument, language: str) -> dict[str, Any]:
    with override(language):
        shown = show_xml(content_of(document))
    return {"content": zlib.compress(json.dumps(asdict(shown)).encode())}


def _file(document: InvoiceDocument, index: str) -> dict[str, Any]:
    return _taken_out(read_document(document), int(index))


def _taken_out(invoice: ParsedInvoice, index: int) -> dict[str, Any]:
    found = invoice.attachments[index] if index < len(invoice.attachments) else None
    if found is None or found.content is None:
        raise UnreadableDocument("missing", _("The document holds no such file."))
    name = found.filename or found.reference
    return {"content": found.content, "media_type": found.media_type[:100], "filename": name[:200]}


MAKERS: dict[str, Callable[[InvoiceDocument, str], dict[str, Any]]] = {
    READING: _reading,
    "pdf": _pdf,
    "xml": _xml,
    "file": _file,
}

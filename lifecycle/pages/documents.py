"""The document beside an invoice's decisions: one tab of it at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from invoices.models import Invoice, InvoiceDocument, Prepared, Role
from invoices.register import files, prepared
from invoices.register.prepared import BeingPrepared, Excerpt
from invoices.register.stored import telling_document
from invoices.validation.report import ShownVerdict
from invoices.validation.services import report_of
from providers.formats.en16931.labels import ATTACHMENT_KINDS, label
from providers.formats.en16931.model import Attachment, ParsedInvoice
from providers.formats.en16931.readable import Paging, render_readable
from providers.formats.en16931.source import Source
from providers.formats.xml import UnreadableDocument

from .page import DeskRequest, digest, piece

# BT-123: the supplier's own picture of the invoice (BR-FR-18 allows one).
READABLE_COPY = "LISIBLE"


def document_key(shown: Invoice) -> str:
    """Changes with every document of an invoice, with what checking them said, and what the worker made of them."""
    rows = shown.documents.values_list("pk", "validations__state", "validations__checked_at")
    made = Prepared.objects.filter(document__invoice=shown).order_by("pk").values_list("form", "version", "state")
    return digest(shown.document_state, list(rows.order_by("pk", "validations__pk")), list(made))


@dataclass(frozen=True)
class FileRow:
    """A file of the invoice, wherever it comes from."""

    name: str
    kind: str
    size: int | None
    address: str
    media_type: str = ""
    is_followable: bool = True
    sha256: str = ""
    received_at: Any = None


class Pane:
    """What the tabs show; each file is read when a tab first wants it."""

    def __init__(self, shown: Invoice, tab: str, page: int) -> None:
        self.invoice, self.tab, self.page = shown, tab, page
        self.error = ""
        self.is_awaited = False

    @cached_property
    def documents(self) -> list[InvoiceDocument]:
        return list(self.invoice.documents.order_by("received_at"))

    @cached_property
    def original(self) -> InvoiceDocument | None:
        return next((each for each in self.documents if each.kind == InvoiceDocument.Kind.ORIGINAL), None)

    def read(self, read: Callable[[], Any]) -> Any:
        """None where there is nothing to show, and why."""
        try:
            return read()
        except BeingPrepared:
            self.is_awaited = True
        except UnreadableDocument as error:
            self.error = str(error.message)  # in this reader's language
        except OSError:
            self.error = str(files.CANNOT_BE_OPENED)
        return None

    @cached_property
    def excerpt(self) -> Excerpt | None:
        found: Excerpt | None = self.read(lambda: prepared.excerpt(telling_document(self.invoice), self.page))
        return found

    @property
    def parsed(self) -> ParsedInvoice | None:
        return self.excerpt.invoice if self.excerpt else None

    @cached_property
    def attachments(self) -> list[Attachment]:
        return list(self.parsed.attachments) if self.parsed else []

    @cached_property
    def picture(self) -> str:
        """Where the supplier's own PDF of the invoice is shown; "" if there is none."""
        for kind in (InvoiceDocument.Kind.ORIGINAL, InvoiceDocument.Kind.READABLE):
            for document in self.documents:
                if document.kind == kind and files.plain_type(document.media_type) == files.PDF:
                    return reverse("invoices:view", args=[self.invoice.pk, document.pk])
        for index, attachment in enumerate(self.attachments):
            if attachment.description == READABLE_COPY and attachment.size is not None:
                return reverse("invoices:view_attachment", args=[self.invoice.pk, index])
        return ""

    @cached_property
    def readable(self) -> SafeString | None:
        if self.excerpt is None:
            return None
        paging = Paging(self.excerpt.page, self.excerpt.pages, self.excerpt.line_count, f"?tab={self.tab}&lines=")
        html = render_readable(self.excerpt.invoice, attachment_url=self.attachment_address, paging=paging)
        return SafeString(html)

    def attachment_address(self, index: int, attachment: Attachment) -> str:
        return reverse("invoices:attachment", args=[self.invoice.pk, index])

    @cached_property
    def source(self) -> Source | None:
        if self.original is None:
            return None
        original = self.original
        found: Source | None = self.read(lambda: prepared.source(original, get_language() or "fr"))
        return found

    @cached_property
    def verdicts(self) -> list[ShownVerdict]:
        return report_of(self.invoice)["verdicts"]

    @cached_property
    def files(self) -> list[FileRow]:
        embedded = (self.embedded_row(*item) for item in enumerate(self.attachments))
        return [*map(self.document_row, self.documents), *embedded]

    def document_row(self, document: InvoiceDocument) -> FileRow:
        return FileRow(
            name=str(document),
            kind=document.get_kind_display(),
            size=document.size,
            address=reverse("invoices:download", args=[self.invoice.pk, document.pk]),
            media_type=document.media_type,
            sha256=document.sha256,
            received_at=document.received_at,
        )

    def embedded_row(self, index: int, attachment: Attachment) -> FileRow:
        is_ours = attachment.size is not None
        return FileRow(
            name=attachment.filename or attachment.reference or attachment.url,
            kind=label(ATTACHMENT_KINDS, attachment.description) or _("In the invoice"),
            size=attachment.size,
            address=self.attachment_address(index, attachment) if is_ours else attachment.url,
            media_type=attachment.media_type,
            is_followable=is_ours or attachment.url.lower().startswith(("https://", "http://")),
        )


@dataclass(frozen=True)
class Tab:
    """`template` is the panel; a tab is there where `is_there` says so."""

    name: str
    label: str | Promise
    template: str
    is_there: Callable[[Pane], Any] = lambda pane: True
    count: Callable[[Pane], int] | None = None


TABS = (
    Tab("readable", gettext_lazy("Readable"), "readable"),
    Tab("original", gettext_lazy("Original PDF"), "original", lambda pane: pane.picture),
    Tab("compare", gettext_lazy("Side by side"), "compare", lambda pane: pane.picture and pane.readable),
    Tab("xml", "XML", "xml", lambda pane: pane.original),
    Tab("validation", gettext_lazy("Validation"), "validation", lambda pane: pane.original),
    Tab("files", gettext_lazy("Files"), "files", count=lambda pane: len(pane.files)),
)


@dataclass(frozen=True)
class ShownTab:
    tab: Tab
    is_selected: bool
    count: int | None


def document_piece(request: DeskRequest, shown: Invoice) -> SafeString:
    wanted, page = request.GET.get("tab", ""), request.GET.get("lines", "")
    pane = Pane(shown, wanted, int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1)
    tabs = [tab for tab in TABS if tab.is_there(pane)]
    selected = next((tab for tab in tabs if tab.name == wanted), tabs[0])
    pane.tab = selected.name
    context = {
        "invoice": shown,
        "pane": pane,
        "tabs": [ShownTab(tab, tab is selected, tab.count(pane) if tab.count else None) for tab in tabs],
        "selected": selected,
        "panel": f"lifecycle/parts/document_{selected.template}.html",
        "may_check_again": request.desk.may(shown.customer_id, Role.CLERK),
    }
    return piece(request, "invoice_document", context)

"""Keeping drafts: begun, saved as they are typed, turned into a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.register.services import in_column
from providers.contract.base import File
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.writer import EXTENSIONS, write_invoice

from ..models import AddressingLine, Customer, InvoiceDocument, InvoiceDraft
from .checks import Lack, lacks, other
from .compose import compose
from .forms import DraftForm
from .issuing import MEDIA_TYPES, find_taken

# What stands in a request beside the form.
NOT_DATA = frozenset({"csrfmiddlewaretoken", "version", "tab", "do"})
MAX_VALUES, MAX_LENGTH = 4000, 2000


class EditedElsewhere(Exception):
    """Another window has saved this draft since this one read it."""


def begin(*, user: Any, line: AddressingLine, data: Mapping[str, str]) -> InvoiceDraft:
    draft = InvoiceDraft(line=line, author=user)
    fill(draft, data)
    draft.save(force_insert=True)
    return draft


@transaction.atomic
def save(
    *, draft_id: Any, data: Mapping[str, str], version: int | None, tab: str, leaves: bool = False
) -> InvoiceDraft:
    """Keep the form as it stands. Raises EditedElsewhere, unless `version` is None: a person has seen that and insists.

    `leaves`: the page goes away with this, and nothing that it sent before may overtake it.
    """
    draft = InvoiceDraft.objects.select_for_update(of=("self",)).select_related("line__customer").get(pk=draft_id)
    if draft.invoice_id:
        raise EditedElsewhere(_("This draft was issued already."))
    if version is not None and draft.version != version and (not tab or draft.tab != tab):
        raise EditedElsewhere(_("This draft was changed in another window. What you typed stands here, not saved yet."))
    fill(draft, data)
    draft.version += 1
    draft.tab = "" if leaves else tab[:36]
    draft.updated_at = timezone.now()
    draft.save()
    return draft


def fill(draft: InvoiceDraft, data: Mapping[str, str]) -> None:
    """Put what was typed into the draft, without saving it."""
    kept = [(key, str(value)[:MAX_LENGTH]) for key, value in data.items() if key not in NOT_DATA][:MAX_VALUES]
    draft.data = {key: value.replace("\0", "") for key, value in kept}
    document = document_of(draft)
    draft.number = document.number[:200]
    draft.party_name = other(document).name[:300]
    total = document.total_with_vat
    draft.total_with_vat = in_column(total)


def form_of(draft: InvoiceDraft, formats: frozenset[str] = frozenset()) -> DraftForm:
    return DraftForm(draft.data, formats=formats)


def document_of(draft: InvoiceDraft) -> ParsedInvoice:
    return compose(form_of(draft), draft.line)


def problems_of(form: DraftForm, document: ParsedInvoice, customer: Customer) -> list[Lack]:
    """All that stands in the way of issuing it."""
    found = [Lack(name, message) for name, message in form.field_faults()]
    found += lacks(document)
    if document.number and find_taken(document, customer):
        found.append(Lack("number", _("This number was already used in the same year.")))
    return found


def file_of(draft: InvoiceDraft, language: str) -> File:
    document = document_of(draft)
    return File(
        kind=InvoiceDocument.Kind.ORIGINAL,
        content=write_invoice(document, document.syntax, language=language),
        media_type=MEDIA_TYPES[document.syntax],
        filename=f"{document.number.replace('/', '-')}.{EXTENSIONS[document.syntax]}",
    )

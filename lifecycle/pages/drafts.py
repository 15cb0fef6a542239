"""Writing an invoice: a form that is saved as it is typed, with its totals beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from invoices.drafting import prefill
from invoices.drafting import services as drafting
from invoices.drafting.forms import ROWS, with_row, without_row
from invoices.drafting.issuing import CannotIssue
from invoices.drafting.services import EditedElsewhere
from invoices.models import Direction, InvoiceDraft, Role
from invoices.people.limited import limited, preview_limit
from invoices.register import prepared
from invoices.register.stored import telling_document
from lifecycle.models import RelayState
from lifecycle.outbox import submissions
from lifecycle.outbox.submissions import Submission
from providers.connections.registry import get_adapter
from providers.contract.base import DirectoryEntry, PlatformError
from providers.contract.doors import at_the_door
from providers.formats.en16931.readable import render_readable
from providers.formats.xml import UnreadableDocument
from providers.norm.companies import look_up_key
from providers.norm.numbers import number_warning

from .invoices import visible_invoice
from .issuing_forms import formats_of, lines_for_issuing
from .page import DeskRequest, page
from .questions import Question, ask, is_confirmed


def drafts_of(request: DeskRequest) -> Any:
    rows = InvoiceDraft.objects.filter(line__customer__in=request.desk.customer_ids(Role.CLERK))
    return rows.select_related("line__customer", "line__connection", "author")


def visible_draft(request: DeskRequest, draft_id: UUID) -> InvoiceDraft:
    found: InvoiceDraft = get_object_or_404(drafts_of(request), pk=draft_id)
    return found


# --- beginning --------------------------------------------------------------------------------------------------------


@page
@require_POST
def begin(request: DeskRequest) -> HttpResponse:
    lines = {line.identifier: line for line in lines_for_issuing(request.desk)}
    line = lines.get(request.POST.get("line", ""))
    if line is None:
        raise Http404
    draft = drafting.begin(user=request.user, line=line, data=prefill.blank(line))
    return redirect("lifecycle:draft", draft.pk)


@page
@require_POST
def follow(request: DeskRequest, invoice_id: UUID, kind: str) -> HttpResponse:
    """A credit note, a corrective or a final invoice to one of ours."""
    shown = visible_invoice(request, invoice_id)
    line = shown.addressing_line
    if kind not in prefill.KINDS or shown.direction != Direction.ISSUED or line is None:
        raise Http404
    if not request.desk.may(shown.customer_id, Role.CLERK) or not prefill.following_type(shown.type_code, kind):
        raise PermissionDenied
    try:
        document = prepared.whole(telling_document(shown))
    except prepared.BeingPrepared:
        words = _("Invoice %(invoice)s is being read: try again in a few seconds.") % {"invoice": shown}
        messages.warning(request, words)
        return redirect("lifecycle:invoice", shown.pk)
    except UnreadableDocument as error:
        messages.error(request, str(error.message))
        return redirect("lifecycle:invoice", shown.pk)
    draft = drafting.begin(user=request.user, line=line, data=prefill.following(line, document, kind))
    return redirect("lifecycle:draft", draft.pk)


@page
@require_POST
def reopen(request: DeskRequest, draft_id: UUID) -> HttpResponse:
    """Back to the form, where what was made of it was withdrawn or given up."""
    draft = visible_draft(request, draft_id)
    relay = submissions.submission_of(draft.invoice) if draft.invoice else None
    if relay and relay.state == RelayState.CANCELLED:
        draft.invoice = None
        draft.save(update_fields=["invoice"])
    return redirect("lifecycle:draft", draft.pk)


# --- the form ---------------------------------------------------------------------------------------------------------


@page
@require_http_methods(["GET", "POST"])
def draft(request: DeskRequest, draft_id: UUID) -> HttpResponse:
    shown = visible_draft(request, draft_id)
    if shown.invoice_id:
        return redirect("lifecycle:invoice", shown.invoice_id)
    if request.method == "GET":
        return _show(request, shown)
    if request.POST.get("do") == "delete" and is_confirmed(request):
        return _delete(request, shown)
    # Saving while somebody types presses no button, though htmx sends along the one that was pressed last.
    do = "" if request.htmx else request.POST.get("do", "")
    wanted, _colon, argument = do.partition(":")
    data = _changed({key: str(value) for key, value in request.POST.items()}, wanted, argument)
    tab = request.POST.get("tab", "")[:36]
    version = None if wanted == "keep" else _version(request)
    try:
        shown = drafting.save(draft_id=shown.pk, data=data, version=version, tab=tab, leaves=not request.htmx)
    except EditedElsewhere as stale:
        return _stale(request, shown, data, str(stale))
    if wanted in DO:
        return DO[wanted](request, shown)
    if wanted:
        return redirect(f"{reverse('lifecycle:draft', args=[shown.pk])}#{argument.partition(':')[0]}")
    return _side(request, shown) if request.htmx else redirect("lifecycle:draft", shown.pk)


def _version(request: DeskRequest) -> int:
    text = request.POST.get("version", "")
    return int(text) if text.isdigit() and len(text) < 9 else 0


def _changed(data: dict[str, str], wanted: str, argument: str) -> dict[str, str]:
    """The form with the row added or removed that a button asks for."""
    prefix, _colon, index = argument.partition(":")
    if wanted == "add" and prefix in ROWS:
        return with_row(data, prefix)
    if wanted == "remove" and prefix in ROWS and index.isdigit():
        return without_row(data, prefix, int(index))
    if wanted == "choose":
        address, _tab, name = argument.partition("\t")
        return data | {"other_address": address} | ({"other_name": name} if not data.get("other_name") else {})
    return data


def _context(request: DeskRequest, shown: InvoiceDraft) -> dict[str, Any]:
    form = drafting.form_of(shown, formats_of(shown.line.connection))
    document = drafting.document_of(shown)
    return {
        "draft": shown,
        "form": form,
        "document": document,
        "amounts": [line.net_amount for line in document.lines],
        "number_warning": number_warning(document.number),
        "problems": drafting.problems_of(form, document, shown.line.customer),
        "may_send": request.desk.may(shown.line.customer_id, Role.APPROVER),
        "has_directory": get_adapter(shown.line.connection).capabilities.directory,
        "tab": str(uuid4()),
    }


def _show(request: DeskRequest, shown: InvoiceDraft, code: int = 200, **more: Any) -> HttpResponse:
    return render(request, "lifecycle/draft.html", _context(request, shown) | more, status=code)


def _side(request: DeskRequest, shown: InvoiceDraft) -> HttpResponse:
    """What changes while somebody types; the fields themselves are left alone."""
    return render(request, "lifecycle/parts/draft_side.html", _context(request, shown) | {"live": True})


def _stale(request: DeskRequest, shown: InvoiceDraft, typed: dict[str, str], words: str) -> HttpResponse:
    """Nothing was saved, and nothing is lost: what was typed stands in the form, to be kept or not."""
    drafting.fill(shown, typed)
    shown.version = _version(request)
    if request.htmx:
        context = _context(request, shown) | {"stale": words}
        return render(request, "lifecycle/parts/draft_side.html", context, status=409)
    return _show(request, shown, 409, stale=words)


# --- what its buttons do ----------------------------------------------------------------------------------------------


def _look_up(request: DeskRequest, shown: InvoiceDraft) -> HttpResponse:
    """Where the other company can be reached, as the line's platform knows it."""
    asked = look_up_key(shown.data.get("other_siret") or shown.data.get("other_siren") or "")
    entries: tuple[DirectoryEntry, ...] = ()
    words = ""
    if not asked:
        words = _("Give the SIREN or the SIRET first.")
    else:
        try:
            with at_the_door():
                found = get_adapter(shown.line.connection).search_directory(asked)
            entries = tuple(entry for entry in found if entry.active)
            words = "" if entries else _("The directory knows no address of %(number)s.") % {"number": asked}
        except PlatformError as error:
            words = error.message
    return _show(request, shown, entries=entries, directory_words=words)


def _ask_to_delete(request: DeskRequest, shown: InvoiceDraft) -> HttpResponse:
    question = Question(
        title=_("Delete the draft"),
        answer=_("Delete the draft"),
        effects=[_("Draft %(draft)s and all that is written in it are gone for good.") % {"draft": shown}],
        back=reverse("lifecycle:draft", args=[shown.pk]),
    )
    request.POST = QueryDict("do=delete")
    return ask(request, question)


def _delete(request: DeskRequest, shown: InvoiceDraft) -> HttpResponse:
    shown.delete()
    messages.success(request, _("Draft deleted."))
    return redirect("lifecycle:issuing")


def _issue(submit: bool) -> Callable[[DeskRequest, InvoiceDraft], HttpResponse]:
    def issue(request: DeskRequest, shown: InvoiceDraft) -> HttpResponse:
        form = drafting.form_of(shown)
        problems = drafting.problems_of(form, drafting.document_of(shown), shown.line.customer)
        if problems:
            return _show(request, shown, 422, insist=True)
        submission = Submission(line=shown.line, file=drafting.file_of(shown, get_language() or "fr"), submit=submit)
        try:
            relay, _new = submissions.hand_in(user=request.user, submission=submission)
        except CannotIssue as refused:
            return _show(request, shown, 422, refused=refused.faults)
        shown.invoice = relay.invoice
        shown.save(update_fields=["invoice"])
        words = _("Invoice %(number)s is on its way.") if submit else _("Invoice %(number)s is prepared.")
        messages.success(request, words % {"number": relay.invoice})
        return redirect("lifecycle:invoice", relay.invoice_id)

    return issue


DO: dict[str, Callable[[DeskRequest, InvoiceDraft], HttpResponse]] = {
    "look-up": _look_up,
    "delete": _ask_to_delete,
    "prepare": _issue(submit=False),
    "send": _issue(submit=True),
}


@page
@limited(preview_limit)
@require_GET
def preview(request: DeskRequest, draft_id: UUID) -> HttpResponse:
    """The invoice as its reader will see it."""
    shown = visible_draft(request, draft_id)
    readable = SafeString(render_readable(drafting.document_of(shown)))
    name = "draft_preview" if request.htmx else "draft_preview_page"
    template = f"lifecycle/parts/{name}.html" if request.htmx else f"lifecycle/{name}.html"
    return render(request, template, {"draft": shown, "readable": readable})

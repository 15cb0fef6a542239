"""Where invoices of our customers begin: files handed in, each with its own result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from invoices.drafting.issuing import MAX_ISSUED_BYTES, CannotIssue, Fault
from invoices.models import AddressingLine, Invoice, Role
from lifecycle.lists import queries
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import submissions
from lifecycle.outbox.submissions import Submission
from providers.contract.base import File

from .drafts import drafts_of
from .issuing_forms import UploadForm, lines_for_issuing
from .page import DeskRequest, page

# In one request; the script sends them one by one.
MAX_FILES = 100
UNDERWAY = (
    RelayState.SCHEDULED,
    RelayState.PENDING,
    RelayState.SENDING,
    RelayState.SENT,
    RelayState.UNCERTAIN,
)


@dataclass(frozen=True)
class Result:
    """What became of one file: a relay, or the reasons why there is none."""

    filename: str
    relay: RelayTask | None = None
    faults: tuple[Fault, ...] = ()
    duplicate_of: Invoice | None = None

    @property
    def is_underway(self) -> bool:
        """Something about it will change by itself."""
        return self.relay is not None and (not self.relay.invoice.validation or self.relay.state in UNDERWAY)


@page
@require_http_methods(["GET", "POST"])
def upload(request: DeskRequest) -> HttpResponse:
    """The page, and without script the results of all files; with it one file a request, answered by its row."""
    if not request.desk.is_clerk:
        raise PermissionDenied
    form = UploadForm(request.POST or None, lines=lines_for_issuing(request.desk), desk=request.desk)
    results: list[Result] = []
    if request.method == "POST" and form.is_valid():
        files = request.FILES.getlist("files")[:MAX_FILES]
        if not files:
            form.add_error(None, _("Choose one or more files first."))
        results = [_hand_in(request, form, file) for file in files]
    if request.method == "POST" and request.headers.get("X-One-File"):
        return _row(request, results[0] if results else Result("", faults=_form_faults(form)))
    drafts = drafts_of(request).filter(invoice=None)[:MAX_FILES]
    context = {"drafts": drafts, "form": form, "results": results, "max_mb": MAX_ISSUED_BYTES // 1024**2}
    return render(request, "lifecycle/issuing.html", context, status=422 if form.errors else 200)


def _form_faults(form: UploadForm) -> tuple[Fault, ...]:
    return tuple(Fault("form", str(error)) for errors in form.errors.values() for error in errors)


def _hand_in(request: DeskRequest, form: UploadForm, file: Any) -> Result:
    """One file's fault must not stop the others."""
    line: AddressingLine = form.cleaned_data["line"]
    name = file.name or ""
    if file.size > MAX_ISSUED_BYTES:
        limit = MAX_ISSUED_BYTES // 1024**2
        message = _("The file is larger than %(limit)s MB.") % {"limit": limit}
        return Result(name, faults=(Fault("too_large", message),))
    content = File(kind="original", content=file.read(), media_type=file.content_type or "", filename=name)
    submission = Submission(line=line, file=content, submit=form.cleaned_data["submit"])
    try:
        relay, _new = submissions.hand_in(user=request.user, submission=submission)
    except CannotIssue as error:
        taken = error.duplicate_of
        visible = taken if taken and request.desk.may(taken.customer_id, Role.READER) else None
        return Result(name, faults=error.faults, duplicate_of=visible)
    except PermissionDenied as error:
        return Result(name, faults=(Fault("forbidden", str(error)),))
    return Result(name, relay=relay)


@page
@require_GET
def upload_row(request: DeskRequest, relay_id: UUID) -> HttpResponse:
    """The row again, until the rules and the platform have answered."""
    relay = get_object_or_404(queries.relays_of(request.desk).select_related("invoice", "document"), pk=relay_id)
    filename = relay.document.filename if relay.document else ""
    return _row(request, Result(filename, relay=relay))


def _row(request: DeskRequest, result: Result) -> HttpResponse:
    return render(request, "lifecycle/parts/upload_row.html", {"result": result})

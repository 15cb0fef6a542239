"""The audit log, for those who administer a customer."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from invoices.models import AuditEntry
from invoices.people import audit
from invoices.people.limited import export_limit, limited
from lifecycle.decisions.forms import AuditFilterForm
from lifecycle.lists import queries

from .audit_words import detail_words
from .page import DeskRequest, page

# What a spreadsheet would take for a formula (OWASP: CSV injection).
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def _entries(request: DeskRequest) -> tuple[AuditFilterForm, QuerySet[AuditEntry]]:
    if not request.desk.is_administrator and not request.user.is_superuser:
        raise PermissionDenied(_("Only administrators see the audit log."))
    form = AuditFilterForm(request.GET, desk=request.desk)
    rows = audit.entries_seen_by(request.user).select_related("customer")
    return form, form.apply(rows) if form.is_valid() else rows.none()


@page
@require_GET
def audit_log(request: DeskRequest) -> HttpResponse:
    form, rows = _entries(request)
    found = queries.keyset_page(rows, "at", request.GET.get("after", ""))
    return render(request, "lifecycle/audit_log.html", {"form": form, "found": found})


@page
@limited(export_limit)
@require_GET
def export_audit_log(request: DeskRequest) -> StreamingHttpResponse:
    """What the page shows with these filters, all of it, as CSV."""
    _form, rows = _entries(request)
    audit.record(audit.Action.LOG_EXPORTED, account=request.user, subject=request.GET.urlencode())
    response = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="navette-audit.csv"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


class _Echo:
    """A file that gives back what is written into it."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff"  # by which spreadsheets know UTF-8
    yield writer.writerow(
        [_("Time"), _("Who"), _("Action"), _("About"), _("Customer"), _("Source address"), _("Details")]
    )
    for entry in rows.order_by("-at", "-pk").iterator(chunk_size=500):
        yield writer.writerow([_harmless(cell) for cell in _cells(entry)])


def _cells(entry: AuditEntry) -> list[Any]:
    customer = entry.customer.siren if entry.customer else ""
    shown = [entry.at.isoformat(timespec="seconds"), entry.actor_name, entry.get_action_display(), entry.subject]
    return [*shown, customer, entry.source, detail_words(entry)]


def _harmless(cell: Any) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULAS) else text

"""Verdicts of stored files: asked for where a file is stored, given in the worker, kept with the rules' version.

One file is checked at a time in the whole installation: a long one takes half a minute and half a gigabyte, and the
other workers stay free for the inbox and the relays. The claim is committed before the work, so that a file which
kills its worker is counted and given up.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Invoice, InvoiceDocument, Validation
from providers.connections.nudge import nudge
from providers.norm.processing import Source

from .report import ShownVerdict, shown_row
from .rule_sets import rules_version
from .runner import validate
from .verdict import Verdict, as_json

logger = logging.getLogger(__name__)

DRAIN_TASK = "invoices.tasks.drain_validations"
# A drain takes up no more after this. django-q2 ends the worker after TASK_SECONDS, which leaves the longest file ten
# times what it takes on an idle machine; both stay below Q_CLUSTER's `retry`.
DRAIN_SECONDS = 20
TASK_SECONDS = 360
LEASE = timedelta(seconds=400)
# Seconds before a file is tried again that could not be read from the storage.
RETRY_DELAYS = (60, 600, 3600, 6 * 3600)
MAX_CLAIMS = len(RETRY_DELAYS) + 1
# A file that ended its worker this often, by its time or memory, will do so again.
MAX_ENDED_WORKERS = 2
# Any number that no other lock of this database uses.
LANE_LOCK = 2111_2026

State = Validation.State


def ask(document: InvoiceDocument) -> None:
    """Have a document checked by the installed rules; asking twice is asking once."""
    row = Validation(document=document, rules_version=rules_version())
    Validation.objects.bulk_create([row], ignore_conflicts=True)
    transaction.on_commit(_nudge)


def ask_again(document: InvoiceDocument) -> None:
    """Have a document checked anew: by newer rules, or after a check that was given up."""
    ask(document)
    rows = document.validations.filter(rules_version=rules_version()).exclude(state=State.WAITING)
    rows.update(state=State.WAITING, attempts=0, leased_until=None, error="", next_attempt_at=timezone.now())


def never_checked() -> QuerySet[InvoiceDocument]:
    """Originals that were stored before there was any validation."""
    return InvoiceDocument.objects.filter(kind=InvoiceDocument.Kind.ORIGINAL, validations=None)


def _nudge() -> None:
    nudge(DRAIN_TASK, timeout=TASK_SECONDS)


def nudge_for_due() -> None:
    """Every sweep: what a lost nudge left. The sweep itself has no time for long files."""
    if Validation.objects.filter(state=State.WAITING, next_attempt_at__lte=timezone.now()).exists():
        _nudge()


def drain() -> int:
    """Check what waits, oldest first; returns how many files were taken up."""
    done, stop_at = 0, time.monotonic() + DRAIN_SECONDS
    while row := claim():
        _work(row)
        done += 1
        if time.monotonic() > stop_at:
            _nudge()
            break
    return done


def claim() -> Validation | None:
    """The oldest file that waits, under a lease; None while another worker checks one."""
    now = timezone.now()
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANE_LOCK])
        waiting = Validation.objects.filter(state=State.WAITING)
        if waiting.filter(leased_until__gt=now).exists():
            return None
        due = waiting.filter(next_attempt_at__lte=now)
        unended = Q(leased_until__isnull=False)
        _give_up(due.filter(Q(attempts__gte=MAX_CLAIMS) | unended & Q(attempts__gte=MAX_ENDED_WORKERS)))
        last_resort = F("leased_until").asc(nulls_first=True)
        row = due.select_related("document__invoice").order_by(last_resort, "next_attempt_at").first()
        if row is not None:
            row.attempts += 1
            row.leased_until = now + LEASE
            row.save(update_fields=["attempts", "leased_until"])
    return row


def _give_up(rows: QuerySet[Validation]) -> None:
    for row in rows:
        _give_up_one(row)


def _give_up_one(row: Validation) -> None:
    words = row.error or _("The worker ended each time it checked this file.")
    error = _("Given up after %(count)s tries. %(error)s") % {"count": row.attempts, "error": words}
    Validation.objects.filter(pk=row.pk).update(state=State.GIVEN_UP, error=error, leased_until=None)


def _work(row: Validation) -> None:
    if row.rules_version != rules_version():  # the package was changed while the file waited
        row.delete()
        ask(row.document)
        return
    try:
        with row.document.file.open("rb") as file:
            verdict = validate(file.read(), media_type=row.document.media_type, rule=_rule_told(row.document.invoice))
    except Exception as error:  # the file storage does not answer, or a fault of ours
        logger.exception("Document %s could not be checked", row.document_id)
        _retry(row, f"{type(error).__name__}: {error}"[:500])
        return
    record(row, verdict)


def _rule_told(invoice: Invoice) -> str:
    """By the platform: the rest stands in the file."""
    return invoice.processing_rule if invoice.processing_source == Source.PLATFORM else ""


def _retry(row: Validation, error: str) -> None:
    if row.attempts >= MAX_CLAIMS:
        row.error = error
        _give_up_one(row)
        return
    later = timezone.now() + timedelta(seconds=RETRY_DELAYS[row.attempts - 1])
    Validation.objects.filter(pk=row.pk).update(leased_until=None, error=error, next_attempt_at=later)


def record(row: Validation, verdict: Verdict) -> None:
    """Keep a verdict, and show its outcome on the invoice."""
    with transaction.atomic():
        Validation.objects.filter(pk=row.pk).update(
            state=State.DONE,
            outcome=verdict.outcome,
            syntax=verdict.syntax,
            profile=verdict.profile,
            checked=list(verdict.checked),
            basis=verdict.basis,
            findings=[as_json(finding) for finding in verdict.findings],
            milliseconds=verdict.milliseconds,
            checked_at=timezone.now(),
            leased_until=None,
            error="",
        )
        invoice = row.document.invoice
        if row.document == invoice.original:
            shown = {"validation": verdict.outcome, "updated_at": timezone.now()}
            Invoice.objects.filter(pk=invoice.pk).update(**shown)


def report_of(invoice: Invoice) -> dict[str, list[ShownVerdict]]:
    """The context of `invoices/parts/validation_report.html`: the verdicts on the original, the newest first.

    One query. An empty list where no original has come, or where it was stored before there was any validation.
    """
    originals = Validation.objects.filter(document__invoice=invoice, document__kind=InvoiceDocument.Kind.ORIGINAL)
    rows = originals.select_related("document").order_by("document__received_at", "-created_at", "-pk")
    return {"verdicts": [shown_row(row) for row in rows]}

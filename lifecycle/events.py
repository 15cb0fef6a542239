"""The history of an invoice: appending to it, reading its status from it, checking that nobody rewrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from invoices.models import Direction, Invoice
from invoices.services import store_document
from providers.base import Payment, Reason, StatusReport
from providers.services import storable, storable_key

from . import answers, instalments, rejections, seals, transitions
from .arrivals import as_heard
from .codes import FINAL_STATUSES, INVOICE_STATUSES, Status
from .models import NOT_TOLD, WITHOUT_EFFECT, Origin, RelayState, RelayTask, SeenReport, StatusEvent, hash_of

# Two machines' clocks: a platform may date our status a little before we did.
CLOCK_TOLERANCE = timedelta(minutes=5)
# How long after a fact a push without a time may still speak of it.
RECENT = timedelta(hours=1)
# What `project` writes, the end of the history beside it.
PROJECTED = ("status", "status_at", "alert", "due_date", "version", "holds_number", "updated_at")
HEAD = ("head_sequence", "head_seal")
# Begins the identity of a report that the platform names itself.
KEYED = "key:"


def lock_invoice(invoice_id: Any) -> Invoice:
    """The invoice, locked until the transaction ends: all changes of its history queue here."""
    return Invoice.objects.select_for_update(of=("self",)).select_related("customer", "connection").get(pk=invoice_id)


def effective_events(invoice: Invoice) -> list[StatusEvent]:
    """The events that count, ordered as the projection wants: by time, then by arrival."""
    return rejections.counting(rejections.said_events(invoice))


def histories_of(invoices: Iterable[Invoice], *, without: Iterable[Any] = ()) -> dict[Any, tuple[str, ...]]:
    """The known status codes of each invoice, oldest first, in one query. `without`: as if these events were not."""
    histories: dict[Any, list[StatusEvent]] = {invoice.pk: [] for invoice in invoices}
    counting = StatusEvent.objects.filter(invoice__in=histories, status__isnull=False).exclude(pk__in=without)
    rows = counting.exclude(relay__state__in=WITHOUT_EFFECT).order_by("occurred_at", "sequence")
    for event in rows.only("invoice", "sequence", "status", "reasons", "actor"):
        histories[event.invoice_id].append(event)
    return {
        invoice_id: tuple(event.status or "" for event in rejections.counting(history))
        for invoice_id, history in histories.items()
    }


def append_event(
    invoice: Invoice,
    *,
    status: str | None,
    origin: str,
    native_status: str = "",
    issuer_role: str = "",
    reasons: Iterable[Reason] = (),
    note: str = "",
    payments: Iterable[Payment] = (),
    occurred_at: datetime | None = None,
    source_key: str = "",
    emitter: str = "",
    ppf_duty: bool = False,
    unexpected: bool = False,
    actor: Any = None,
) -> StatusEvent:
    """Add one link to the chain of a locked invoice. `project` has to follow: it writes the seal of the new end too."""
    last = invoice.status_events.order_by("-sequence").first()
    now = timezone.now()
    event = StatusEvent(
        invoice=invoice,
        sequence=last.sequence + 1 if last else 1,
        status=status,
        native_status=storable(native_status)[:100],
        issuer_role=issuer_role,
        origin=origin,
        reasons=[_reason_row(reason) for reason in reasons],
        note=storable(note),
        payments=[_payment_row(payment) for payment in payments],
        # Status times travel in whole seconds (MDT-78); finer ones would sort our own after a quick answer to it.
        occurred_at=(occurred_at or now).replace(microsecond=0),
        recorded_at=now,
        unexpected=unexpected,
        actor=actor,
        source_key=storable_key(source_key),
        emitter=storable(emitter)[:100],
        ppf_duty=ppf_duty,
        previous_hash=last.hash if last else "",
    )
    event.hash = event.compute_hash()
    event.save(force_insert=True)
    invoice.head_sequence = event.sequence
    invoice.head_seal = seals.seal_head(invoice.pk, event.sequence, event.hash)
    return event


def _reason_row(reason: Reason) -> dict[str, str]:
    row = {"code": reason.code, "text": reason.text}
    more = {"native_code": reason.native_code, "rule": reason.rule, "place": reason.place}
    row |= {name: value for name, value in more.items() if value}
    return {name: storable(value) for name, value in row.items()}


def _payment_row(payment: Payment) -> dict[str, str | None]:
    rate = None if payment.vat_rate is None else f"{payment.vat_rate:.2f}"
    return {"vat_rate": rate, "amount": f"{payment.amount:.2f}", "currency": payment.currency}


def project(invoice: Invoice) -> None:
    """Write `status`, `alert` and the next day of instalments from the events. The invoice is locked."""
    status, status_at = None, None
    said = rejections.said_events(invoice)
    counting = rejections.counting(said)
    for event in counting:
        if event.status in INVOICE_STATUSES and status not in FINAL_STATUSES:
            status, status_at = event.status, event.occurred_at
    invoice.status, invoice.status_at = status, status_at
    invoice.due_date = instalments.due_date_of(invoice, counting)
    invoice.version += 1
    # A rejected invoice was never issued: a corrected one may bear its number.
    invoice.holds_number = invoice.holds_number and status != Status.REJECTED
    alerts = answers.open_answers(said)
    invoice.alert = alerts[-1].status or "" if alerts else ""
    invoice.save(update_fields=[*PROJECTED, *HEAD])


# --- what platforms report --------------------------------------------------------------------------------------------


def record_report(invoice_id: Any, report: StatusReport) -> StatusEvent | None:
    """Take in one report. Always recorded, even against the table; None if it was known or is the echo of our own."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        event = record_on_locked(invoice, report)
        if event is not None:
            project(invoice)
        return event


def record_reports(invoice_id: Any, reports: Iterable[StatusReport]) -> list[StatusEvent]:
    """Several reports of one invoice, one lock and one projection."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        events = [event for report in reports if (event := record_on_locked(invoice, report))]
        if events:
            project(invoice)
        return events


def record_on_locked(invoice: Invoice, report: StatusReport) -> StatusEvent | None:
    if invoice.direction == Direction.ISSUED and not report.refused:
        confirm_submission(invoice)
    report = as_heard(invoice, report)
    identity = identity_of(report)
    if SeenReport.objects.filter(invoice=invoice, identity=identity).exists():
        return None
    known = _find_echoed(invoice, report) or _find_told_otherwise(invoice, report)
    if not known and _goes_back(invoice, report):
        report = replace(report, status=None)
    event = known or append_event(
        invoice,
        status=report.status,
        origin=Origin.PLATFORM,
        native_status=report.native_status,
        issuer_role=report.issuer_role,
        reasons=report.reasons,
        note=report.note,
        payments=report.payments,
        occurred_at=report.occurred_at or report.seen_at,
        source_key=report.key,
        emitter=report.emitter,
        ppf_duty=report.ppf_duty,
        unexpected=_is_unexpected(invoice, report),
    )
    SeenReport.objects.create(invoice=invoice, identity=identity, event=event, is_timed=report.occurred_at is not None)
    for file in report.files:
        store_document(invoice=invoice, file=file)
    answers.land(invoice, report, event)
    return None if known else event


def identity_of(report: StatusReport) -> str:
    """What makes two reports the same fact: the platform's key, else word, issuer and time."""
    if report.key:
        return storable_key(f"{KEYED}{report.key}")
    moment = report.occurred_at.astimezone(UTC).isoformat() if report.occurred_at else "untimed"
    return storable_key(f"{report.status or report.native_status}|{report.issuer_role}|{moment}")


def _find_echoed(invoice: Invoice, report: StatusReport) -> StatusEvent | None:
    """Our own status coming back: its relay is confirmed, however far it had got.

    What we told goes before what was refused, or is to be done on the platform: that comes back only if somebody did it
    there. A proposal that nobody released was not said, so a report of the same is the platform's own news.
    """
    if report.status is None:
        return None
    relays = (
        RelayTask.objects.filter(invoice=invoice, event__status=report.status)
        .exclude(state__in=WITHOUT_EFFECT)
        .exclude(event__in=_sighted(invoice, report).values("event"))
        .select_related("event")
        .order_by("sequence")
    )
    for relay in sorted(relays, key=lambda relay: relay.state in NOT_TOLD):
        if is_echo(relay, report):
            if relay.state != RelayState.CONFIRMED and not relay.refused_by_id:
                confirm(relay)
            return relay.event
    return None


def _sighted(invoice: Invoice, report: StatusReport) -> QuerySet[SeenReport]:
    """What was told in the report's own way: with a time, or without. Each fact is told at most once in each."""
    return SeenReport.objects.filter(invoice=invoice, is_timed=report.occurred_at is not None)


def is_echo(relay: RelayTask, report: StatusReport) -> bool:
    """Same code and issuer, between our decision and its confirmation, and the same amounts where any are given."""
    event = relay.get_event()
    if event.status != report.status or (report.issuer_role or event.issuer_role) != event.issuer_role:
        return False
    if report.occurred_at and report.occurred_at < event.occurred_at - CLOCK_TOLERANCE:
        return False
    if relay.confirmed_at and (report.occurred_at or timezone.now() - RECENT) > relay.confirmed_at + CLOCK_TOLERANCE:
        return False
    amounts = sorted(payment["amount"] for payment in event.payments)
    told = sorted(f"{payment.amount:.2f}" for payment in report.payments)
    return not told or told == amounts


def confirm(relay: RelayTask) -> None:
    now = timezone.now()
    relay.state = RelayState.CONFIRMED
    relay.confirmed_at = now
    relay.sent_at = relay.sent_at or now
    relay.next_attempt_at = relay.leased_until = None
    relay.last_error = ""
    relay.save(update_fields=["state", "confirmed_at", "sent_at", "next_attempt_at", "leased_until", "last_error"])


def confirm_submission(invoice: Invoice) -> None:
    """The platform shows an invoice of ours: it has arrived, however far handing it in had got."""
    relay = RelayTask.objects.filter(invoice=invoice, kind=RelayTask.Kind.INVOICE).first()
    if relay and relay.state not in (RelayState.CONFIRMED, *WITHOUT_EFFECT):
        confirm(relay)


def _find_told_otherwise(invoice: Invoice, report: StatusReport) -> StatusEvent | None:
    """An event recorded from a push without a time, now seen in the platform's dated history; or the reverse."""
    events = StatusEvent.objects.filter(invoice=invoice, status=report.status, origin=Origin.PLATFORM)
    if report.status is None:
        events = events.filter(native_status=storable(report.native_status)[:100])
    if report.issuer_role:
        events = events.filter(issuer_role__in=[report.issuer_role, ""])
    if report.occurred_at is None:
        # The history told it before the push did; only a recent fact can be meant.
        events = events.filter(recorded_at__gte=timezone.now() - RECENT)
    else:
        events = events.filter(occurred_at__gte=report.occurred_at - CLOCK_TOLERANCE)
    return events.exclude(pk__in=_sighted(invoice, report).values("event")).order_by("sequence").first()


def _goes_back(invoice: Invoice, report: StatusReport) -> bool:
    """A code that was only derived must not contradict what was said; codes grow along the way of an invoice."""
    if not report.derived or report.status is None:
        return False
    current = transitions.current_status(event.status for event in effective_events(invoice) if event.status)
    return current is not None and report.status <= current


def _is_unexpected(invoice: Invoice, report: StatusReport) -> bool:
    if report.status is None or report.derived:  # a gap in what we only derived is not the platform's
        return False
    before = [
        event.status
        for event in effective_events(invoice)
        if event.status and (report.occurred_at is None or event.occurred_at <= report.occurred_at)
    ]
    if not before and invoice.direction == Direction.RECEIVED:
        return not transitions.is_expected_first_at_buyer(report.status)
    return not transitions.is_expected(before, report.status)


# --- proof ------------------------------------------------------------------------------------------------------------


def find_break(invoice: Invoice) -> str:
    """The first thing wrong with an invoice's chain or with its end, in words; "" if it is whole."""
    # Both in one statement: the history may grow while it is read.
    rows = invoice.status_events.annotate(head=F("invoice__head_sequence"), seal=F("invoice__head_seal"))
    events = list(rows.order_by("sequence"))
    return first_break((event.facts(), event.hash) for event in events) or _end_break(invoice, events)


def _end_break(invoice: Invoice, events: list[Any]) -> str:
    head = events[-1].head if events else invoice.head_sequence
    if len(events) < head:
        return f"it ends at event {len(events)}, and {head} were recorded"
    if not events:
        return ""
    last = events[-1]
    fault = seals.head_fault(last.seal, invoice.pk, last.sequence, last.hash)
    return f"its end, event {last.sequence}, {fault}" if fault else ""


@transaction.atomic
def seal_anew(invoice_id: Any) -> None:
    """A sound history under the newest key; one that is not keeps the seal that says so."""
    invoice = lock_invoice(invoice_id)
    last = invoice.status_events.order_by("-sequence").first()
    if last and not find_break(invoice):
        invoice.head_seal = seals.seal_head(invoice.pk, last.sequence, last.hash)
        invoice.save(update_fields=["head_seal"])


def first_break(chain: Iterable[tuple[dict[str, Any], str]]) -> str:
    """The same for the facts and hashes of events wherever they come from, oldest first."""
    previous = ""
    for number, (facts, found) in enumerate(chain, start=1):
        if facts.get("sequence") != number:
            return f"event {number} is missing"
        if facts.get("previous_hash") != previous:
            return f"event {number} does not follow the one before it"
        if found != hash_of(facts):
            return f"event {number} was changed after it was written"
        previous = found
    return ""

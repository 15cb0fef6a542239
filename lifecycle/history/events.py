"""The history of an invoice: appending to it, reading its status from it, checking that nobody rewrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from invoices.drafting.issuing import hold_number
from invoices.models import Direction, Invoice
from invoices.register.origins import renew_namesakes
from invoices.register.services import store_document
from lifecycle.models import (
    ADDITIONS,
    WITHOUT_EFFECT,
    Origin,
    RelayState,
    RelayTask,
    SeenReport,
    StatusEvent,
    TimeSource,
    hash_of,
)
from lifecycle.outbox.states import confirmed, move, one
from providers.connections.services import storable, storable_key
from providers.contract.base import Payment, Reason, StatusReport
from providers.norm import transitions
from providers.norm.codes import FINAL_STATUSES, INVOICE_STATUSES, VOID_STATUSES, Status

from . import answers, instalments, ordering, rejections, seals, zones
from .arrivals import as_heard, heard_through
from .links import links_of
from .ordering import CLOCK_TOLERANCE
from .recognition import KEYED, find_replayed, find_same, find_seen, find_taken_for_ours, find_told, give_way, whole
from .statements import (
    Statement,
    adds,
    digest_of,
    fullest_first,
    leaves_out,
    of_event,
    of_report,
    payment_of,
    payment_row,
    reason_row,
)

# Times that nobody can have meant: before there was any of this, and well beyond what clocks are off by.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(days=1)
# What `project` writes, the end of the history beside it.
PROJECTED = ("status", "status_at", "alert", "due_date", "instalments", "version", "holds_number", "updated_at")
# How a later invoice takes something off an earlier one.
LOWERING = ("credits", "corrects")
HEAD = ("head_sequence", "head_seal")


def lock_invoice(invoice_id: Any) -> Invoice:
    """The invoice, locked until the transaction ends: all changes of its history queue here."""
    return Invoice.objects.select_for_update(of=("self",)).select_related("customer", "connection").get(pk=invoice_id)


def effective_events(invoice: Invoice) -> list[StatusEvent]:
    """The events that count, in the order that decides; each whole, for reading."""
    return rejections.counting(rejections.said_events(invoice))


def shown_events(invoice: Invoice, rows: QuerySet[StatusEvent] | None = None) -> list[StatusEvent]:
    """All events, each whole, in the order of what they say. `rows` brings what the reader needs with them."""
    rows = invoice.status_events.all() if rows is None else rows
    whole = [ordering.completed(event, event.additions) for event in rows.prefetch_related(ADDITIONS)]
    return sorted(whole, key=lambda event: (event.occurred_at, event.sequence))


def histories_of(
    invoices: Iterable[Invoice], *, without: Iterable[Any] = ()
) -> dict[Any, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The known status codes of each invoice, in the order that decides and in that of arrival, in one query.
    `without`: as if these events were not.
    """
    rows: dict[Any, list[StatusEvent]] = {invoice.pk: [] for invoice in invoices}
    said = StatusEvent.links.filter(invoice__in=rows).exclude(relay__state__in=WITHOUT_EFFECT)
    for event in said.exclude(pk__in=without):
        rows[event.invoice_id].append(event)
    return {key: (_codes(own), _codes(own, by_arrival=True)) for key, own in rows.items()}


def _codes(rows: list[StatusEvent], *, by_arrival: bool = False) -> tuple[str, ...]:
    counting = rejections.counting(ordering.counting(rows, by_arrival=by_arrival))
    return tuple(event.status for event in counting if event.status)


def chain_of(invoice: Invoice) -> QuerySet[StatusEvent]:
    """Every link of the history: the statuses, and what was added to them."""
    return StatusEvent.links.filter(invoice=invoice)


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
    time_source: str = TimeSource.TOLD,
    told_time: str = "",
    derived: bool = False,
    completes: StatusEvent | None = None,
    source_key: str = "",
    emitter: str = "",
    ppf_duty: bool = False,
    unexpected: bool = False,
    actor: Any = None,
) -> StatusEvent:
    """Add one link to the chain of a locked invoice. `project` has to follow: it writes the seal of the new end too."""
    last = chain_of(invoice).order_by("-sequence").first()
    now = timezone.now()
    event = StatusEvent(
        invoice=invoice,
        sequence=last.sequence + 1 if last else 1,
        status=status,
        native_status=storable(native_status)[:100],
        issuer_role=issuer_role,
        origin=origin,
        reasons=[reason_row(reason) for reason in reasons],
        note=storable(note),
        payments=[payment_row(payment) for payment in payments],
        # Status times travel in whole seconds (MDT-78); finer ones would sort our own after a quick answer to it.
        occurred_at=(occurred_at or now).replace(microsecond=0),
        time_source=time_source,
        told_time=told_time,
        derived=derived,
        completes=completes,
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


def project(invoice: Invoice) -> None:
    """Write from the events what follows from them. The invoice is locked."""
    _derive(invoice)
    invoice.version += 1
    invoice.save(update_fields=[*PROJECTED, *HEAD])
    renew_credited(invoice)


def renew_credited(later: Invoice) -> None:
    """What it takes off an earlier invoice pays the next instalments of that."""
    named = links_of(later) if later.preceding_numbers else ()
    for link in named:
        if link.relation in LOWERING and link.invoice and link.invoice.instalments:
            project_anew(link.invoice.pk)


@transaction.atomic
def project_anew(invoice_id: Any) -> bool:
    """The same where a newer version reads events otherwise. False where nothing changes."""
    invoice = lock_invoice(invoice_id)
    before = [getattr(invoice, name) for name in PROJECTED]
    _derive(invoice)
    if before == [getattr(invoice, name) for name in PROJECTED]:
        return False
    invoice.version += 1
    invoice.save(update_fields=PROJECTED)
    return True


def _derive(invoice: Invoice) -> None:
    """Status and alert, the next day of instalments, and whether it holds its number."""
    said = rejections.said_events(invoice)
    counting = rejections.counting(said)
    before = invoice.status
    invoice.status, invoice.status_at = _status_of(counting)
    instalments.settle(invoice, counting)
    invoice.holds_number = _holds_number(invoice, before)
    if (before in VOID_STATUSES) != (invoice.status in VOID_STATUSES):
        renew_namesakes(invoice)
    alerts = answers.open_answers(said)
    invoice.alert = alerts[-1].status or "" if alerts else ""


def standing_of(invoice: Invoice) -> tuple[str | None, datetime | None]:
    """The status that its events make, and since when."""
    return _status_of(effective_events(invoice))


def _holds_number(invoice: Invoice, before: str | None) -> bool:
    """A rejected invoice was never issued: a corrected one may bear its number. One that turns out not to be rejected
    takes it back, unless another bears it by now; then both say so.
    """
    if invoice.status == Status.REJECTED or before != Status.REJECTED:
        return invoice.holds_number and invoice.status != Status.REJECTED
    handed_in = RelayTask.objects.filter(invoice=invoice, kind=RelayTask.Kind.INVOICE).first()
    is_ours = handed_in.state != RelayState.CANCELLED if handed_in else invoice.direction == Direction.ISSUED
    return is_ours and hold_number(invoice)


def _status_of(counting: Iterable[StatusEvent]) -> tuple[str | None, datetime | None]:
    status, status_at = None, None
    for event in counting:
        if event.status in INVOICE_STATUSES and status not in FINAL_STATUSES:
            status, status_at = event.status, event.occurred_at
    return status, status_at


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
        events = [event for report in fullest_first(reports) if (event := record_on_locked(invoice, report))]
        if events:
            project(invoice)
        return events


def record_on_locked(invoice: Invoice, report: StatusReport) -> StatusEvent | None:
    """What the report added to the history: a status, or what completes one; None where that knew it all."""
    if invoice.direction == Direction.ISSUED and not report.refused:
        confirm_submission(invoice)
    speaker = heard_through(invoice, report).connection
    report = zones.as_set(speaker, as_heard(invoice, report))
    said, digest = of_report(report), digest_of(report)
    identity, known = find_seen(invoice, report, said, digest)
    if known:
        return _complete(invoice, known, report, said)
    # What states nothing but its word may be another of the same second sooner than the same again.
    echoed = _take_echo(invoice, report, said) if said.is_bare else None
    replayed = None if echoed else find_replayed(invoice, report, digest)
    known = echoed or replayed or _take_echo(invoice, report, said)
    taken = None if known else find_taken_for_ours(invoice, report, said)
    if taken:
        added: StatusEvent | None = _set_free(invoice, taken, report)
        known = taken.event
    else:
        known = known or find_same(invoice, report, said)
        added = _complete(invoice, known, report, said) if known else None
    event = known or _append_report(invoice, report, said)
    SeenReport.objects.create(
        invoice=invoice,
        identity=identity,
        digest=digest,
        event=event,
        is_timed=report.occurred_at is not None,
        is_replay=replayed is not None,
        connection=speaker,
        is_quoted=report.invoice_key is not None and report.invoice_key.is_quoted,
        seen_at=timezone.now(),
        lesser=_lesser(event, report, said),
    )
    for file in report.files:
        store_document(invoice=invoice, file=file)
    if not replayed:
        answers.land(invoice, report, event)
    return added if known else event


def _take_echo(invoice: Invoice, report: StatusReport, said: Statement) -> StatusEvent | None:
    """Our own status coming back confirms its relay."""
    relay = find_told(invoice, report, said)
    if relay is None:
        return None
    if relay.state != RelayState.CONFIRMED and not relay.refused_by_id:
        confirm(relay)
    return relay.event


def _lesser(event: StatusEvent, report: StatusReport, said: Statement) -> dict[str, Any] | None:
    """What the echo of ours said with less; kept, for it may turn out to be another's."""
    if event.origin != Origin.US or report.occurred_at is None or not leaves_out(said, of_event(event)):
        return None
    return {
        "occurred_at": report.occurred_at.isoformat(),
        "reasons": [reason_row(reason) for reason in report.reasons],
        "note": storable(report.note),
        "payments": [payment_row(payment) for payment in report.payments],
    }


def _set_free(invoice: Invoice, taken: SeenReport, echo: StatusReport) -> StatusEvent:
    """What was taken for ours becomes an event of its own, as it was said."""
    said = taken.lesser or {}
    report = replace(
        echo,
        occurred_at=datetime.fromisoformat(said["occurred_at"]),
        reasons=tuple(map(answers.reason_of, said["reasons"])),
        note=said["note"],
        payments=tuple(map(payment_of, said["payments"])),
        key=taken.told_key if taken.identity.startswith(KEYED) else "",
    )
    freed = _append_report(invoice, report, of_report(report))
    SeenReport.objects.filter(pk=taken.pk).update(event=freed, lesser=None)
    return freed


def _append_report(invoice: Invoice, report: StatusReport, said: Statement) -> StatusEvent:
    give_way(invoice, said)
    if _goes_back(invoice, report):
        report = replace(report, status=None)
    occurred_at, time_source, told_time = believed_time(invoice, report)
    return append_event(
        invoice,
        status=report.status,
        origin=Origin.PLATFORM,
        native_status=report.native_status,
        issuer_role=report.issuer_role,
        reasons=report.reasons,
        note=report.note,
        payments=report.payments,
        occurred_at=occurred_at,
        time_source=time_source,
        told_time=told_time,
        derived=report.derived,
        source_key=report.key,
        emitter=report.emitter,
        ppf_duty=report.ppf_duty,
        unexpected=_is_unexpected(invoice, report, occurred_at),
    )


def _complete(invoice: Invoice, event: StatusEvent, report: StatusReport, said: Statement) -> StatusEvent | None:
    """Append what the report tells beyond what is known of an event of the platform's; None where that is nothing."""
    if event.origin == Origin.US:
        return None
    known = whole(event)
    settles = known.derived and not report.derived and report.status is not None
    if not settles and not adds(said, of_event(known)):
        return None
    occurred_at, time_source, told_time = believed_time(invoice, report)
    addition = append_event(
        invoice,
        status=None,
        origin=Origin.PLATFORM,
        native_status=report.native_status or known.native_status or known.label,
        issuer_role=report.issuer_role,
        reasons=report.reasons,
        note=report.note,
        payments=report.payments,
        occurred_at=occurred_at,
        time_source=time_source,
        told_time=told_time,
        derived=report.derived,
        completes=event,
        source_key=report.key,
        emitter=report.emitter,
        ppf_duty=report.ppf_duty,
    )
    give_way(invoice, of_event(ordering.completed(known, [addition])))
    return addition


def believed_time(invoice: Invoice, report: StatusReport) -> tuple[datetime, str, str]:
    """When it was: the time told, unless none was or it cannot be; where that is from; and the one not believed."""
    now = timezone.now()
    moment = report.occurred_at or report.seen_at or now
    if not EARLIEST <= moment <= now + FUTURE_TOLERANCE:
        told = moment.isoformat() if report.occurred_at else ""
        return now, TimeSource.IMPOSSIBLE if told else TimeSource.ARRIVAL, told
    if report.occurred_at is None:
        return moment, TimeSource.ARRIVAL, ""
    if arrived := zones.as_arrived(heard_through(invoice, report).connection, report):
        return arrived, TimeSource.ZONE, moment.isoformat()
    return _in_repeated_hour(moment, report.zone, now), TimeSource.TOLD, ""


def _in_repeated_hour(moment: datetime, zone: str, now: datetime) -> datetime:
    """Of the hour that autumn repeats, the second where the report comes right after it."""
    if not zone:
        return moment
    second = moment.astimezone(ZoneInfo(zone)).replace(fold=1).astimezone(UTC)
    return second if now - timedelta(hours=1) <= second <= now + CLOCK_TOLERANCE else moment


def confirm(relay: RelayTask) -> None:
    move(one(relay), "show", **confirmed())
    relay.refresh_from_db(fields=["state", "confirmed_at", "sent_at", "next_attempt_at", "leased_until", "last_error"])


def confirm_submission(invoice: Invoice) -> None:
    """The platform shows an invoice of ours: it has arrived, however far handing it in had got."""
    relay = RelayTask.objects.filter(invoice=invoice, kind=RelayTask.Kind.INVOICE).first()
    if relay and relay.state not in (RelayState.CONFIRMED, *WITHOUT_EFFECT):
        confirm(relay)


def _goes_back(invoice: Invoice, report: StatusReport) -> bool:
    """A code that was only derived must not contradict what was said; codes grow along the way of an invoice."""
    if not report.derived or report.status is None:
        return False
    current = transitions.current_status(event.status for event in effective_events(invoice) if event.status)
    return current is not None and report.status <= current


def _is_unexpected(invoice: Invoice, report: StatusReport, occurred_at: datetime) -> bool:
    """Against the table by its time, and also where the clocks are a little off."""
    if report.status is None or report.derived:  # a gap in what we only derived is not the platform's
        return False
    counted = [event for event in effective_events(invoice) if event.status]
    before = [event for event in counted if not (event.derived and str(event.status) >= report.status)]
    return all(
        _breaks_table(invoice, report.status, [str(event.status) for event in before if event.occurred_at <= moment])
        for moment in (occurred_at, occurred_at + CLOCK_TOLERANCE)
    )


def _breaks_table(invoice: Invoice, status: str, before: list[str]) -> bool:
    if not before and invoice.direction == Direction.RECEIVED:
        return not transitions.is_expected_first_at_buyer(status)
    return not transitions.is_expected(before, status)


# --- proof ------------------------------------------------------------------------------------------------------------


def find_break(invoice: Invoice) -> str:
    """The first thing wrong with an invoice's chain or with its end, in words; "" if it is whole."""
    # Both in one statement: the history may grow while it is read.
    rows = chain_of(invoice).annotate(head=F("invoice__head_sequence"), seal=F("invoice__head_seal"))
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
    last = chain_of(invoice).order_by("-sequence").first()
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

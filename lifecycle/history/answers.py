"""Where an answer lands that speaks of no invoice but of a file (501) or of a status of ours (601).

It is recorded with the invoice concerned, whose status it never moves, and what it names goes back to a person.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invoices.models import Invoice
from lifecycle.models import SPOKEN, Origin, RelayTask, StatusEvent
from lifecycle.outbox.states import move, one
from providers.connections.services import storable
from providers.contract.base import Reason, StatusReport
from providers.models import Connection
from providers.norm.codes import STATUSES, Reported, Status, ppf_deadline, reason_label
from providers.norm.transitions import ALREADY_THERE, TAKEN

from . import rejections
from .arrivals import heard_through

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Our relay's id, with or without hyphens, alone or in the name of a file of ours.
OUR_ID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE
)
# How platforms name a status message: number, status and time of the status (examples of FNFE-MPE, 30 June 2026).
NAMED = re.compile(r"(?P<number>.+)_(?P<status>2\d\d)_(?P<time>\d{14})(?!\d)", re.DOTALL)
PARIS = ZoneInfo("Europe/Paris")
# What a person does about a status that the administration turned down (601), by its reason: DGFiP 3.6.10 and G7.44.
REMEDIES: dict[str, StrOrPromise] = {
    "REJ_ENCAISSEMENT": gettext_lazy(
        "Give it up, then declare the receipt again with one amount for each VAT rate of the invoice."
    ),
    "REJ_INEX": gettext_lazy(
        "The administration takes no such status for this invoice: ask the platform why it sent it."
    ),
    "REJ_RG": gettext_lazy(
        "The administration takes no such status for this invoice: ask the platform why it sent it."
    ),
    "REJ_INC": gettext_lazy(
        "It contradicts what the administration was told before: compare the history, then correct."
    ),
    "REJ_HAB": gettext_lazy(
        "The platform may not speak for this company: have its registration checked, then try again."
    ),
}
CORRECT = gettext_lazy("Correct it and send it again: for the administration it counts as not sent.")
# Their clock and ours: an answer may seem a little older than what it answers.
TOLERANCE = timedelta(minutes=5)


# Answers that need a person. Each sentence is followed by the platform's reasons.
ALERTS: dict[str, StrOrPromise] = {
    Status.REJECTED: gettext_lazy(
        "A platform rejected another transmission of this invoice. The invoice keeps its status and its number; "
        "nothing is to be sent again. Find out who sent it a second time."
    ),
    Status.F1_REJECTED: gettext_lazy(
        "The administration did not take the data of this invoice, which keeps its status. Ask the platform: either "
        "its file was faulty and it sends another, or the invoice itself is wrong and has to be corrected."
    ),
    Status.EREPORTING_REJECTED: gettext_lazy(
        "The administration did not take an e-reporting transmission with this invoice. Correct the report and send it "
        "again; the date it is due does not move."
    ),
    Status.DIRECTORY_LINE_REJECTED: gettext_lazy("The directory turned an addressing line down. Correct the line."),
    Status.FILE_INADMISSIBLE: gettext_lazy(
        "A file about this invoice could not be read. The invoice keeps its status. Ask the platform which file it "
        "was; all of it has to be sent again."
    ),
    Status.STATUS_REJECTED: gettext_lazy(
        "The administration turned down a status of this invoice and does not say which. Ask the platform; it has to "
        "be corrected and sent again within 24 hours."
    ),
}
UNCLEAR = gettext_lazy(
    "A platform rejected a transmission of this invoice although the parties are at work on it. The invoice keeps its "
    "status and its number. Ask the platform which transmission it means; if it is this invoice, say so here."
)
# Begins the key of the event with which a person settles an alert.
SETTLES = "settles:"


# --- what is meant ----------------------------------------------------------------------------------------------------


def find_answered(connection: Connection, answers: str) -> RelayTask | None:
    """What we told, by the id that an answer gives: our message's, the platform's own, a file's name, or a number."""
    if not answers:
        return None
    ours = RelayTask.objects.filter(connection=connection).select_related("event", "invoice")
    if named := OUR_ID.search(answers):
        return ours.filter(pk=uuid.UUID(named[0])).first()
    invoices = ours.filter(kind=RelayTask.Kind.INVOICE)
    return (
        _only(ours.filter(receipt__reference=answers))
        or _by_name(ours, answers)
        or _only(invoices.filter(document__filename=answers))
        or _only(invoices.filter(invoice__number=answers))
    )


def _by_name(relays: QuerySet[RelayTask], answers: str) -> RelayTask | None:
    """By number, status and time, as whoever speaks for us may have named our message."""
    named = NAMED.match(answers)
    if not named:
        return None
    told = relays.filter(invoice__number=named["number"], event__status=named["status"])
    fitting = [
        relay for relay in told if f"{relay.get_event().occurred_at.astimezone(PARIS):%Y%m%d%H%M%S}" == named["time"]
    ]
    return fitting[0] if len(fitting) == 1 else _only(told)


def _only(relays: QuerySet[RelayTask]) -> RelayTask | None:
    found = list(relays[:2])
    return found[0] if len(found) == 1 else None


def answered_relay(invoice: Invoice, report: StatusReport) -> RelayTask | None:
    """What of this invoice an answer speaks of. Where it gives no id, the one status of ours that can be meant."""
    if report.answers:
        relay = find_answered(heard_through(invoice, report).connection, report.answers)
        return relay if relay and relay.invoice_id == invoice.pk else None
    if report.status != Status.STATUS_REJECTED:
        return None
    told = RelayTask.objects.filter(invoice=invoice, state__in=SPOKEN, event__status__in=_could_be_meant(report))
    until = (report.occurred_at or timezone.now()) + TOLERANCE
    return _only(told.filter(event__occurred_at__lte=until).select_related("event"))


def _could_be_meant(report: StatusReport) -> list[str]:
    if any(reason.code == "REJ_ENCAISSEMENT" for reason in report.reasons):
        return [Status.PAYMENT_RECEIVED]
    return [code for code, row in STATUSES.items() if row.reported_to_ppf != Reported.NO]


# --- what becomes of it -----------------------------------------------------------------------------------------------


def land(invoice: Invoice, report: StatusReport, event: StatusEvent) -> None:
    """Give what a recorded answer turned down back to a person. The invoice is locked."""
    if report.refused:
        refuse_submission(invoice, " ".join(filter(None, [report.note, *(reason.text for reason in report.reasons)])))
    elif report.status in (Status.STATUS_REJECTED, Status.FILE_INADMISSIBLE):
        relay = answered_relay(invoice, report)
        if relay and relay.is_submission:
            refuse_submission(invoice, in_words(report), event)
        elif relay:
            _refuse_told(relay, report, event)


def _refuse_told(relay: RelayTask, report: StatusReport, event: StatusEvent) -> None:
    """For the administration it was never said: its clock runs again, from the answer."""
    anew = ppf_deadline(event.occurred_at) if relay.deadline_at else None
    changes = {"sent_at": None, "confirmed_at": None, "refused_by": event, "deadline_at": anew}
    move(one(relay), "turn_down", next_attempt_at=None, last_error=storable(in_words(report)), **changes)


def refuse_submission(invoice: Invoice, words: str, event: StatusEvent | None = None) -> None:
    """The platform turned the file down after taking it: another try gets another reference.

    An invoice that was taken in was so by another transmission than the one refused: it stays where it is.
    """
    if invoice.status_events.filter(status__in=TAKEN).exists():
        return
    told = RelayTask.objects.filter(invoice=invoice, kind=RelayTask.Kind.INVOICE)
    if move(told, "turn_down", next_attempt_at=None, last_error=storable(words), refused_by=event):
        invoice.provider_ref = ""
        invoice.save(update_fields=["provider_ref", "updated_at"])


# --- what a person has to look at -------------------------------------------------------------------------------------


def open_answers(said: Sequence[StatusEvent]) -> list[StatusEvent]:
    """Of one invoice's events in their order, the answers that no relay took up and nobody settled."""
    found = [event for event in said if event.status in ALERTS and event.origin == Origin.PLATFORM]
    if not found:
        return []
    settled = {event.source_key.removeprefix(SETTLES) for event in said if event.source_key.startswith(SETTLES)}
    others = rejections.of_others(said)
    landed = set(RelayTask.objects.filter(refused_by__in=found).values_list("refused_by", flat=True))
    taken = [place for place, event in enumerate(said) if event.status == Status.F1_ACCEPTED]
    return [
        event
        for place, event in enumerate(said)
        if event in found
        and str(event.pk) not in settled
        and event.pk not in landed
        and (event.status != Status.REJECTED or event in others)
        and (event.status != Status.F1_REJECTED or not any(later > place for later in taken))
    ]


def alerts_of(invoice: Invoice) -> list[StatusEvent]:
    """The open answers of an invoice, each with its words. No query where there is none."""
    found = open_answers(rejections.said_events(invoice)) if invoice.alert else []
    for event in found:
        event.alert_text = alert_text(event)  # type: ignore[attr-defined]
    return found


def alert_text(event: StatusEvent) -> str:
    """What happened and what to do, with the reasons given."""
    doubled = event.status != Status.REJECTED or rejections.reason_codes(event) & ALREADY_THERE
    words = str(ALERTS[event.status or ""] if doubled else UNCLEAR)
    reasons = [_reason_in_words(reason_of(row)) for row in event.reasons]
    return "\n".join([words, *reasons, *filter(None, [event.note])])


def reason_of(row: Mapping[str, str]) -> Reason:
    """A reason as it is kept with an event."""
    names = ("code", "text", "native_code", "rule", "place")
    return Reason(**{name: row.get(name) or "" for name in names})


def in_words(report: StatusReport) -> str:
    """Why, by which rule and where, and what to do."""
    return "\n".join([*reasons_in_words(report), *_remedies(report)])


def reasons_in_words(report: StatusReport) -> list[str]:
    return [*map(_reason_in_words, report.reasons), *filter(None, [report.note])]


def _reason_in_words(reason: Reason) -> str:
    named = " – ".join(filter(None, [reason_label(reason.code) if reason.code else reason.native_code, reason.text]))
    where = [
        _("rule %(rule)s") % {"rule": reason.rule} if reason.rule else "",
        _("field %(place)s") % {"place": reason.place} if reason.place else "",
    ]
    found = ", ".join(filter(None, where))
    return f"{named} ({found})" if found else named


def _remedies(report: StatusReport) -> Iterable[str]:
    if report.status == Status.STATUS_REJECTED:
        found = [REMEDIES[reason.code] for reason in report.reasons if reason.code in REMEDIES] or [CORRECT]
        return dict.fromkeys(map(str, found))
    return [_("Nothing of the file was read: put it right, then hand it in again.")]

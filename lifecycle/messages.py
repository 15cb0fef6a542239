"""What a platform is told of a decision or an invoice of ours, and how it is asked about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from invoices.documents.model import Party as WrittenParty
from invoices.models import Invoice, Validation
from invoices.services import read_stored_original
from invoices.validation import Outcome
from providers.base import (
    Adapter,
    File,
    InvoiceFacts,
    Party,
    Payment,
    PermanentError,
    Reason,
    Receipt,
    StatusMessage,
)
from providers.xml import UnreadableDocument

from .codes import Side
from .models import RelayAttempt, RelayTask, StatusEvent

# The status that says when a side got the invoice (MDT-95: 202 at the buyer, 200 at the seller, or the rejection).
ARRIVALS = {Side.BUYER.value: ("202", "203", "213"), Side.SELLER.value: ("200", "213")}
# Verdicts with which a platform may be handed a file.
SENDABLE = (Outcome.VALID, Outcome.WARNINGS)


def reasons_of(event: StatusEvent) -> tuple[Reason, ...]:
    return tuple(Reason(code=row["code"], text=row.get("text", "")) for row in event.reasons)


def payments_of(event: StatusEvent) -> tuple[Payment, ...]:
    return tuple(
        Payment(
            amount=Decimal(row["amount"]),
            vat_rate=None if row["vat_rate"] is None else Decimal(row["vat_rate"]),
            currency=row["currency"],
        )
        for row in event.payments
    )


def message_of(relay: RelayTask, *, with_addresses: bool = False, told_at: datetime | None = None) -> StatusMessage:
    """What a platform is told; the same on every try. `told_at`: when it was sent, where that is looked up."""
    event = relay.get_event()
    facts = facts_for_platform(relay.invoice)
    return StatusMessage(
        id=str(relay.id),
        invoice=_with_addresses(facts, relay.invoice) if with_addresses else facts,
        status=event.status or "",
        issuer_role=event.issuer_role,
        occurred_at=event.occurred_at,
        reasons=reasons_of(event),
        note=event.note,
        payments=payments_of(event),
        told_at=told_at,
    )


def file_of(relay: RelayTask) -> File:
    """The file a platform is handed; the same bytes on every try."""
    document = relay.get_document()
    with document.file.open("rb") as stored:
        content = stored.read()
    return File(kind=document.kind, content=content, media_type=document.media_type, filename=document.filename)


def facts_for_platform(invoice: Invoice) -> InvoiceFacts:
    return InvoiceFacts(
        provider_ref=invoice.provider_ref,
        direction=invoice.direction,
        number=invoice.number,
        type_code=invoice.type_code,
        issue_date=invoice.issue_date,
        seller=Party(name=invoice.seller_name, siren=invoice.seller_siren, vat_number=invoice.seller_vat_number),
        buyer=Party(name=invoice.buyer_name, siren=invoice.buyer_siren, vat_number=invoice.buyer_vat_number),
        line_identifier=invoice.addressing_line.identifier if invoice.addressing_line else "",
    )


def _with_addresses(facts: InvoiceFacts, invoice: Invoice) -> InvoiceFacts:
    """Also where both parties are reached, which only the document tells, and when our side got the invoice."""
    arrivals = ARRIVALS[invoice.side]
    arrived = invoice.status_events.filter(status__in=arrivals).order_by("occurred_at").first()
    facts = replace(facts, received_at=arrived.occurred_at if arrived else invoice.created_at)
    try:
        document = read_stored_original(invoice)
    except UnreadableDocument:
        return facts
    return replace(
        facts, seller=_addressed(facts.seller, document.seller), buyer=_addressed(facts.buyer, document.buyer)
    )


def _addressed(party: Party, written: WrittenParty) -> Party:
    return replace(party, scheme=written.electronic_address_scheme, identifier=written.electronic_address)


def _message(adapter: Adapter, relay: RelayTask, told_at: datetime | None) -> StatusMessage:
    return message_of(relay, with_addresses=adapter.wants_addresses, told_at=told_at)


def _facts(relay: RelayTask, told_at: datetime | None) -> InvoiceFacts:
    return replace(facts_for_platform(relay.invoice), told_at=told_at)


def hand_in(adapter: Adapter, relay: RelayTask, told_at: datetime | None) -> Receipt:
    """Hand an invoice in, unless the official rules are against it."""
    # Read with the claim: a thread that talks to a platform opens no database connection for it.
    verdicts = relay.get_document().validations.all()
    verdict = next((each for each in verdicts if each.state != Validation.State.WAITING), None)
    if verdict is None or verdict.state == Validation.State.GIVEN_UP:
        reason = verdict.error if verdict else ""
        message = _("The file could not be checked and was not sent. %(reason)s Have it checked again, then try again.")
        raise PermanentError(message % {"reason": reason})
    if verdict.outcome not in SENDABLE:
        fatal = [row["rule"] for row in verdict.findings if row["is_fatal"]]
        message = _("The file breaks official rules (%(rules)s), so it was not sent. See its validation.")
        raise PermanentError(message % {"rules": ", ".join([*fatal[:5], *(["…"] if len(fatal) > 5 else [])])})
    return adapter.submit_invoice(file_of(relay), _facts(relay, told_at))


# What is asked of an adapter, by the kind of the relay and of the try.
SPEAK: dict[tuple[str, str], Callable[[Adapter, RelayTask, datetime | None], Receipt | None]] = {
    (RelayTask.Kind.STATUS, RelayAttempt.Kind.SEND): lambda adapter, relay, told_at: adapter.send_status(
        _message(adapter, relay, told_at)
    ),
    (RelayTask.Kind.STATUS, RelayAttempt.Kind.LOOK_UP): lambda adapter, relay, told_at: adapter.find_status(
        _message(adapter, relay, told_at)
    ),
    (RelayTask.Kind.INVOICE, RelayAttempt.Kind.SEND): hand_in,
    (RelayTask.Kind.INVOICE, RelayAttempt.Kind.LOOK_UP): lambda adapter, relay, told_at: adapter.find_invoice(
        _facts(relay, told_at)
    ),
}

"""What a platform is told of a decision or an invoice of ours, and how it is asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from invoices.models import Invoice, Validation
from invoices.register.stored import read_stored_original
from invoices.validation import Outcome
from lifecycle.history.recognition import KEYED
from lifecycle.models import RelayAttempt, RelayState, RelayTask, StatusEvent
from providers.contract.base import (
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
from providers.formats.en16931.model import Party as WrittenParty
from providers.formats.xml import UnreadableDocument
from providers.norm.codes import Side

from .administration import goes_to_administration

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


@dataclass(frozen=True)
class Known:
    """What is known of a message when the platform is asked about it."""

    told_at: datetime | None = None
    others: frozenset[str] = frozenset()
    unseen: int = 0


NOTHING = Known()


def known_of(relays: Iterable[RelayTask]) -> dict[Any, Known]:
    """Of relays about to be looked up: when each was last told, and what the platform showed of others like it."""
    rows = {relay.pk: relay for relay in relays}
    if not rows:
        return {}
    told = RelayTask.objects.filter(
        invoice__in={relay.invoice_id for relay in rows.values()},
        kind=RelayTask.Kind.STATUS,
        state__in=[RelayState.SENT, RelayState.CONFIRMED],
    )
    told = told.select_related("event").prefetch_related("event__sightings").order_by("sequence")
    like: dict[Any, list[RelayTask]] = {}
    for each in told:
        like.setdefault((each.invoice_id, each.status), []).append(each)
    return {pk: _known(relay, like.get((relay.invoice_id, relay.status), ())) for pk, relay in rows.items()}


def _known(relay: RelayTask, like: Iterable[RelayTask]) -> Known:
    keys = {other.pk: _keys_shown(other) for other in like if other.pk != relay.pk}
    unseen = [other for other in like if other.sequence < relay.sequence and not keys[other.pk]]
    return Known(
        told_at=relay.spoke_at if relay.state == RelayState.UNCERTAIN else None,
        others=frozenset().union(*keys.values()),
        unseen=len(unseen),
    )


def _keys_shown(relay: RelayTask) -> set[str]:
    """Of the items of the platform's history that are this relay's: by its echo, or by a look-up that found it.

    News without a time is a push's: its key is not the item's.
    """
    seen = [each.identity for each in relay.get_event().sightings.all() if each.is_timed]
    found = {identity.removeprefix(KEYED) for identity in seen if identity.startswith(KEYED)}
    if relay.state == RelayState.CONFIRMED and relay.receipt:
        found.add(relay.receipt.get("reference", ""))
    return found - {""}


def message_of(relay: RelayTask, *, with_addresses: bool = False, known: Known = NOTHING) -> StatusMessage:
    """What a platform is told; the same on every try. `known` where it is looked up."""
    event = relay.get_event()
    facts = facts_for_platform(relay.invoice, relay.connection_id)
    return StatusMessage(
        id=str(relay.id),
        invoice=_with_addresses(facts, relay.invoice) if with_addresses else facts,
        status=event.status or "",
        issuer_role=event.issuer_role,
        occurred_at=event.occurred_at,
        reasons=reasons_of(event),
        note=event.note,
        payments=payments_of(event),
        reaches_ppf=goes_to_administration(relay.invoice, event.status or ""),
        told_at=known.told_at,
        others=known.others,
        unseen=known.unseen,
    )


def file_of(relay: RelayTask) -> File:
    """The file a platform is handed; the same bytes on every try."""
    document = relay.get_document()
    with document.file.open("rb") as stored:
        content = stored.read()
    return File(kind=document.kind, content=content, media_type=document.media_type, filename=document.filename)


def facts_for_platform(invoice: Invoice, at: Any = None) -> InvoiceFacts:
    """The invoice as a platform knows it; `at`: its connection, else the one that is told what we decide."""
    origin = invoice.origin_at(at)
    return InvoiceFacts(
        provider_ref=origin.provider_ref,
        direction=invoice.direction,
        number=invoice.number,
        type_code=invoice.type_code,
        issue_date=invoice.issue_date,
        seller=Party(name=invoice.seller_name, siren=invoice.seller_siren, vat_number=invoice.seller_vat_number),
        buyer=Party(name=invoice.buyer_name, siren=invoice.buyer_siren, vat_number=invoice.buyer_vat_number),
        line_identifier=origin.addressing_line.identifier if origin.addressing_line else "",
        processing_rule=invoice.processing_rule,
        gives_back=invoice.gives_back,
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


def _message(adapter: Adapter, relay: RelayTask, known: Known) -> StatusMessage:
    return message_of(relay, with_addresses=adapter.wants_addresses, known=known)


def _facts(relay: RelayTask, known: Known) -> InvoiceFacts:
    return replace(facts_for_platform(relay.invoice, relay.connection_id), told_at=known.told_at)


def hand_in(adapter: Adapter, relay: RelayTask, known: Known) -> Receipt:
    """Hand an invoice in, unless the official rules are against it."""
    # Read with the claim: a thread that talks to a platform opens no database connection for it.
    verdicts = relay.get_document().validations.all()
    verdict = next((each for each in verdicts if each.state != Validation.State.WAITING), None)
    if verdict is None or verdict.state == Validation.State.GIVEN_UP:
        reason = verdict.error if verdict else ""
        message = _("The file could not be checked and was not sent. %(reason)s Have it checked again, then try again.")
        raise PermanentError(message % {"reason": reason})
    if verdict.outcome not in SENDABLE:
        raise PermanentError(rules_broken(verdict))
    return adapter.submit_invoice(file_of(relay), _facts(relay, known))


def rules_broken(verdict: Validation) -> str:
    fatal = [row["rule"] for row in verdict.findings if row["is_fatal"]]
    message = _("The file breaks official rules (%(rules)s), so it was not sent. See its validation.")
    return message % {"rules": ", ".join([*fatal[:5], *(["…"] if len(fatal) > 5 else [])])}


def obstacle_to(relay: RelayTask) -> str:
    """Why our own check is against handing this file in, known before it is sent; "" where nothing is."""
    if not relay.is_submission or relay.invoice.validation in ("", *SENDABLE):
        return ""
    verdict = relay.get_document().validations.filter(state=Validation.State.DONE).first()
    return rules_broken(verdict) if verdict else ""


# What is asked of an adapter, by the kind of the relay and of the try.
SPEAK: dict[tuple[str, str], Callable[[Adapter, RelayTask, Known], Receipt | None]] = {
    (RelayTask.Kind.STATUS, RelayAttempt.Kind.SEND): lambda adapter, relay, known: adapter.send_status(
        _message(adapter, relay, known)
    ),
    (RelayTask.Kind.STATUS, RelayAttempt.Kind.LOOK_UP): lambda adapter, relay, known: adapter.find_status(
        _message(adapter, relay, known)
    ),
    (RelayTask.Kind.INVOICE, RelayAttempt.Kind.SEND): hand_in,
    (RelayTask.Kind.INVOICE, RelayAttempt.Kind.LOOK_UP): lambda adapter, relay, known: adapter.find_invoice(
        _facts(relay, known)
    ),
}

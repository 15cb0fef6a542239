"""What must hold once a history has come to rest, whatever happened in it: the promises of the product, as checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from invoices.models import Invoice
from lifecycle.history import events, exchanges
from lifecycle.history.ordering import CLOCK_TOLERANCE
from lifecycle.models import RelayState, RelayTask, StatusEvent
from providers.models import WebhookDelivery
from providers.norm.codes import FINAL_STATUSES

from .far import Far, FarInvoice, Item
from .world import World

AT_REST = {
    RelayState.CONFIRMED, RelayState.SENT, RelayState.CANCELLED, RelayState.FAILED, RelayState.UNCERTAIN,
    RelayState.UNSUPPORTED, RelayState.AWAITING_APPROVAL,
}  # fmt: skip
# States that put a difference between us and the platform before a person.
SHOWN_TO_A_PERSON = {RelayState.FAILED, RelayState.UNCERTAIN, RelayState.UNSUPPORTED, RelayState.AWAITING_APPROVAL}
TOLD = {RelayState.CONFIRMED, RelayState.SENT}


def faults(world: World) -> list[str]:
    return [
        *acknowledged_have_effect(world),
        *nobody_is_left_in_between(),
        *only_who_spoke_is_doubted(world),
        *said_at_most_once(world),
        *told_in_order(world),
        *histories_agree(world),
        *clocks_are_never_missed_silently(world),
        *chains_are_whole(),
    ]


def is_open(world: World) -> bool:
    """Something is still to be told, asked or taken in."""
    relays = RelayTask.objects.exclude(state__in=AT_REST - {RelayState.UNCERTAIN})
    deliveries = WebhookDelivery.objects.filter(state=WebhookDelivery.State.RECEIVED)
    pushes = any(far.pushes for far in world.fars.values())
    return pushes or relays.exists() or deliveries.exists()


def acknowledged_have_effect(world: World) -> Iterator[str]:
    """Every delivery that we answered 2xx is here, and came to its end."""
    for push in world.acknowledged:
        far = push.far
        key = push.key
        rows = WebhookDelivery.objects.filter(connection__name=f"{far.dialect.name}-main", key=key)
        states = list(rows.values_list("state", "error"))
        if [state for state, _error in states] not in (["processed"], ["ignored"]):
            yield f"the acknowledged push {key} is {states or 'lost'}: {push.body}"


def nobody_is_left_in_between() -> Iterator[str]:
    for relay in RelayTask.objects.select_related("event", "invoice"):
        uncertain = relay.invoice.relays.filter(sequence__lt=relay.sequence, state=RelayState.UNCERTAIN)
        # What only a person can clear up holds back what was decided after it.
        if relay.state not in AT_REST and not uncertain.exists():
            yield f"relay {describe(relay)} is still {relay.state}: {relay.last_error}"


def only_who_spoke_is_doubted(world: World) -> Iterator[str]:
    for key in sorted(world.doubted_mute):
        yield f"{describe(find_relay(key))} was uncertain, and had not spoken"


def said_at_most_once(world: World) -> Iterator[str]:
    for far in world.fars.values():
        for message_id, count in far.effects.items():
            if count > 1:
                yield f"{describe(find_relay(message_id))} took effect {count} times"
    for relay in RelayTask.objects.select_related("event", "invoice"):
        count = world.fars[relay.connection_id].effects[str(relay.pk)]
        if relay.state in TOLD and not count and not _is_there_otherwise(world, relay):
            yield f"{describe(relay)} is {relay.state}, and the platform never took it"
        if count and relay.state in (RelayState.CANCELLED, RelayState.FAILED):
            yield f"{describe(relay)} is {relay.state}, and the platform took it"


def _is_there_otherwise(world: World, relay: RelayTask) -> bool:
    """A person said that it is there, or a colleague had said the very same on the platform."""
    shown = world.fars[relay.connection_id].invoices[relay.invoice.provider_ref].items
    return any(statement_of_item(item) == statement_of_event(relay.get_event()) for item in shown)


def told_in_order(world: World) -> Iterator[str]:
    for far in world.fars.values():
        last: dict[Any, RelayTask] = {}
        for message_id in far.order:
            relay = find_relay(message_id)
            before = last.get(relay.invoice_id)
            if before is not None:
                if relay.sequence < before.sequence and message_id not in world.came_back:
                    yield f"{describe(relay)} took effect after {describe(before)}"
                if before.status in FINAL_STATUSES:
                    yield f"{describe(relay)} was told after the final {describe(before)}"
            last[relay.invoice_id] = relay


def histories_agree(world: World) -> Iterator[str]:
    """What the platform shows and what counts here, statement by statement; else a person has the difference."""
    for connection_id, far in world.fars.items():
        for shown in far.invoices.values():
            invoice = Invoice.objects.filter(connection=connection_id, provider_ref=shown.ref).first()
            if invoice is None:
                yield f"invoice {shown.ref} is not here"
                continue
            yield from _differences(far, shown, invoice)


def _differences(far: Far, shown: FarInvoice, invoice: Invoice) -> Iterator[str]:
    # The very same words of the same second are one statement that came twice.
    told = {
        (statement_of_item(item), item.role, item.at.replace(microsecond=0), item.message_id)
        for item in shown.items
        if not _is_like_ours(item, shown)
    }
    theirs = Counter(statement for statement, *_rest in told)
    counting = events.effective_events(invoice)
    ours = Counter(statement_of_event(event) for event in counting)
    relays = {relay.event_id: relay for relay in invoice.relays.all()}
    with_people = Counter(
        statement_of_event(event)
        for event in counting
        if event.pk in relays and _is_with_a_person(far, relays[event.pk])
    )
    missing, extra = theirs - ours, ours - theirs - with_people
    if missing:
        yield f"{invoice.provider_ref}: on the platform, and not here: {listed(missing)}; here: {listed(ours)}"
    if extra:
        yield f"{invoice.provider_ref}: here, and not on the platform: {listed(extra)}; there: {listed(theirs)}"


def _is_like_ours(item: Item, shown: FarInvoice) -> bool:
    """A colleague's very same words about the time of ours, without an id to tell them by: they are taken for ours."""
    return not item.message_id and any(
        other.message_id
        and (statement_of_item(other), other.role) == (statement_of_item(item), item.role)
        and abs(other.at - item.at) <= CLOCK_TOLERANCE
        for other in shown.items
    )


def _is_with_a_person(far: Far, relay: RelayTask) -> bool:
    held = relay.state not in AT_REST  # behind an uncertain one
    return (held or relay.state in SHOWN_TO_A_PERSON) and not far.effects[str(relay.pk)]


def clocks_are_never_missed_silently(world: World) -> Iterator[str]:
    for relay in RelayTask.objects.exclude(deadline_at=None).select_related("event", "invoice"):
        taken_at = world.fars[relay.connection_id].taken_at.get(str(relay.pk), world.kernel.now)
        settled = relay.state in (*TOLD, RelayState.CANCELLED)
        if taken_at > relay.deadline_at and not settled and str(relay.pk) not in world.warned:
            yield f"the time of {describe(relay)} ran out, and nobody was told"


def chains_are_whole() -> Iterator[str]:
    for invoice in Invoice.objects.all():
        if broken := events.find_break(invoice):
            yield f"{invoice}: {broken}"
    for relay in RelayTask.objects.prefetch_related("tries"):
        if broken := exchanges.find_break(relay):
            yield f"relay {relay.pk}: {broken}"


# --- statements -------------------------------------------------------------------------------------------------------


def statement_of_item(item: Item) -> tuple[Any, ...]:
    reasons = tuple(sorted((reason.code, reason.text) for reason in item.reasons))
    payments = tuple(sorted(f"{payment.amount:.2f}" for payment in item.payments))
    return item.status, reasons, item.note, payments


def statement_of_event(event: StatusEvent) -> tuple[Any, ...]:
    reasons = tuple(sorted((row["code"], row.get("text", "")) for row in event.reasons))
    return event.status, reasons, event.note, tuple(sorted(row["amount"] for row in event.payments))


def listed(statements: Iterable[tuple[Any, ...]]) -> str:
    return ", ".join(sorted(" ".join(str(part) for part in each if part) for each in statements))


def find_relay(message_id: str) -> RelayTask:
    return RelayTask.objects.select_related("event", "invoice").get(pk=message_id)


def describe(relay: RelayTask) -> str:
    return f"{relay.invoice} {relay.status} (event {relay.sequence})"

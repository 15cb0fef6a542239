"""What our people decide: the one door to issue a status, and what can be done with its relay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.drafting.issuing import free_number
from invoices.models import Comment, Customer, Invoice, Role
from invoices.models.money import gives_back
from invoices.people import audit
from invoices.people.access import has_role
from invoices.register import accounts
from invoices.register.origins import speak_through_open
from lifecycle.history import answers, events, rejections
from lifecycle.history.links import corrected_among
from lifecycle.models import NOT_TOLD, IdempotencyKey, Origin, RelayState, RelayTask, StatusEvent
from lifecycle.outbox import states as relay_states
from providers.norm import transitions
from providers.norm.codes import Status, status_label
from providers.norm.transitions import Facts, Problem

from . import administration, carrying, plausibility
from .messages import obstacle_to, payments_of, reasons_of
from .wishes import Wish

# Decisions that a second person releases where the customer asks for four eyes.
FOUR_EYES_STATUSES = frozenset(
    {
        Status.APPROVED, Status.PARTIALLY_APPROVED, Status.REFUSED, Status.PAYMENT_SENT, Status.PAYMENT_RECEIVED,
        Status.CANCELLED,
    }
)  # fmt: skip


class DecisionRefused(Exception):
    """The wish breaks the table. `problems` name each field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem.message) for problem in problems))
        self.problems = tuple(problems)


class StaleInvoice(Exception):
    """The invoice moved on since the page was shown."""


class KeyReused(Exception):
    """The Idempotency-Key was used with another body."""


class AlreadySettled(Exception):
    """There is no open answer to settle in this way."""


class WrongRelayState(Exception):
    """The relay is no longer in a state where this can be done."""


# --- what may be said -------------------------------------------------------------------------------------------------


def facts_of(invoice: Invoice) -> Facts:
    """What the table needs to know of an invoice."""
    return facts_for([invoice])[invoice.pk]


def facts_for(invoices: Sequence[Invoice], *, without: Iterable[Any] = ()) -> dict[Any, Facts]:
    """`facts_of` for a page of invoices: the same queries whatever their number. `without`: but for these events."""
    prefetch_related_objects(list(invoices), "connection", "addressing_line")
    histories = events.histories_of(invoices, without=without)
    corrected = corrected_among(invoices)
    return {
        invoice.pk: Facts(
            history=histories[invoice.pk][0],
            heard=histories[invoice.pk][1],
            side=carrying.seat_of(invoice) or "",
            is_corrected=invoice.pk in corrected,
            is_refund=gives_back(invoice),
            untold=carrying.untold_of(invoice),
        )
        for invoice in invoices
    }


def next_statuses(invoice: Invoice) -> tuple[str, ...]:
    """The statuses our people may issue now, whoever the user is."""
    return transitions.issuable(facts_of(invoice))


def statuses_for(user: Any, invoice: Invoice) -> tuple[str, ...]:
    """The statuses this user may issue now."""
    return tuple(code for code in next_statuses(invoice) if may_issue(user, invoice, code))


def may_issue(user: Any, invoice: Invoice, status: str) -> bool:
    return has_role(user, invoice.customer, transitions.MINIMUM_ROLE.get(status, Role.APPROVER))


def problems_with(invoice: Invoice, wish: Wish) -> list[Problem]:
    """Everything against a wish; empty means it may be issued."""
    problems = transitions.check_wish(
        facts_of(invoice), wish.status, reasons=wish.reasons, payments=wish.payments, note=wish.note
    )
    return problems or plausibility.impossible(invoice, wish) or carrying.problems_with(invoice, wish)


# --- what may still be told -------------------------------------------------------------------------------------------


def objections_to(relays: Sequence[RelayTask]) -> dict[Any, str]:
    """What the table has against telling these decisions now, in words, by relay: an invoice may have moved on since.

    Asked as if neither they nor what we mean to say after them were in the history. The same queries for any number.
    """
    invoices = {relay.invoice_id: relay.invoice for relay in relays}
    if not invoices:
        return {}
    facts = facts_for(list(invoices.values()), without=_unsaid_from(relays))
    return {
        relay.pk: _overtaken(facts[relay.invoice_id], relay.status)
        for relay in relays
        if relay.status not in transitions.issuable(facts[relay.invoice_id])
    }


def _unsaid_from(relays: Sequence[RelayTask]) -> list[Any]:
    """The events of these relays, and of what follows them and was not told either."""
    first = {relay.invoice_id: relay.sequence for relay in relays}
    unsaid = RelayTask.objects.filter(invoice__in=first, spoke_at=None, event__isnull=False, state__in=NOT_TOLD)
    later = unsaid.exclude(state=RelayState.UNSUPPORTED).values_list("event", "invoice", "sequence")
    return [relay.event_id for relay in relays] + [
        event_id for event_id, invoice_id, sequence in later if sequence > first[invoice_id]
    ]


def _overtaken(facts: Facts, status: str) -> str:
    current = transitions.current_status(facts.history)
    told = {"status": f"{status} {status_label(status)}"}
    if current is None:
        return _("“%(status)s” was not told: it cannot be said of this invoice. Give it up.") % told
    told["current"] = f"{current} {status_label(current)}"
    return _("“%(status)s” was not told: the invoice is “%(current)s” by now. Give it up, or decide anew.") % told


# --- deciding ---------------------------------------------------------------------------------------------------------


def issue_status(*, user: Any, invoice_id: Any, wish: Wish, idempotency_key: str = "") -> tuple[RelayTask, bool]:
    """Record a decision and its relay task, together. Returns the relay and whether it is new.

    In one transaction: the right (PermissionDenied), the key (KeyReused), the version (StaleInvoice), the table, the
    bounds and the platform's reasons (DecisionRefused); then the event, the relay, the projection. The worker is nudged
    after commit.
    """
    with transaction.atomic():
        invoice = events.lock_invoice(invoice_id)
        if not may_issue(user, invoice, wish.status):
            raise PermissionDenied(
                _("Your role for %(customer)s does not allow this.") % {"customer": invoice.customer}
            )
        if answered := find_answered(user, wish.fingerprint(invoice_id), idempotency_key):
            return answered, False
        if wish.version is not None and wish.version != invoice.version:
            raise StaleInvoice(_("Invoice %(invoice)s changed meanwhile: look at it again.") % {"invoice": invoice})
        speak_through_open(invoice)
        if problems := problems_with(invoice, wish) or ([] if wish.sure else plausibility.doubts(invoice, wish)):
            raise DecisionRefused(problems)
        relay = _record_decision(user, invoice, wish)
        if idempotency_key:
            note_answer(user, wish.fingerprint(invoice_id), idempotency_key, relay)
        nudge_for(relay)
    return relay, True


def find_answered(user: Any, fingerprint: str, key: str) -> RelayTask | None:
    """What the same request under this key was answered with. Raises KeyReused."""
    row = IdempotencyKey.objects.select_related("relay__event").filter(user=user, key=key).first() if key else None
    if row and row.fingerprint != fingerprint:
        raise KeyReused(_("This Idempotency-Key was already used with another request."))
    return row.relay if row else None


def note_answer(user: Any, fingerprint: str, key: str, relay: RelayTask) -> None:
    try:
        with transaction.atomic():
            IdempotencyKey.objects.create(user=user, key=key, fingerprint=fingerprint, relay=relay)
    except IntegrityError as error:
        # The same key on another invoice, at the same moment: the lock on the invoice did not keep them apart.
        raise KeyReused(_("This Idempotency-Key was already used with another request.")) from error


def _record_decision(user: Any, invoice: Invoice, wish: Wish) -> RelayTask:
    now = timezone.now()
    event = events.append_event(
        invoice,
        status=wish.status,
        origin=Origin.US,
        issuer_role=carrying.role_of(invoice),
        reasons=wish.reasons,
        note=wish.told_note,
        payments=wish.payments,
        occurred_at=now,
        actor=user,
    )
    state, due = _first_state(invoice, wish)
    relay = RelayTask.objects.create(
        event=event,
        invoice=invoice,
        connection=invoice.connection,
        sequence=event.sequence,
        state=state,
        next_attempt_at=due,
        created_at=now,
        deadline_at=administration.deadline_of(invoice, wish.status, now),
    )
    events.project(invoice)
    return relay


def _first_state(invoice: Invoice, wish: Wish) -> tuple[RelayState, Any]:
    if invoice.customer.four_eyes and wish.status in FOUR_EYES_STATUSES:
        return waiting_state()
    if not carrying.can_carry(invoice, wish.status):
        return RelayState.UNSUPPORTED, None
    return first_state(invoice.customer)


def waiting_state() -> tuple[RelayState, Any]:
    return RelayState.AWAITING_APPROVAL, None


def first_state(customer: Customer) -> tuple[RelayState, Any]:
    """The state of a relay nobody else has to release, and when it is due."""
    now = timezone.now()
    if customer.undo_seconds:
        return RelayState.SCHEDULED, now + timedelta(seconds=customer.undo_seconds)
    return RelayState.PENDING, now


def nudge_for(relay: RelayTask) -> None:
    if relay.next_attempt_at:
        delay = max(0.0, (relay.next_attempt_at - timezone.now()).total_seconds())
        transaction.on_commit(lambda: relay_states.nudge_drain(delay))


# Who says what became of a relay. What people do by hand on the platform is a clerk's to tick off.
MAY_RESOLVE = {
    RelayState.UNCERTAIN: Role.ADMINISTRATOR,
    RelayState.UNSUPPORTED: Role.CLERK,
    RelayState.SENT: Role.APPROVER,
}


# --- afterwards -------------------------------------------------------------------------------------------------------


def _locked_relay(relay_id: Any, *states: RelayState) -> tuple[RelayTask, Invoice]:
    relay = RelayTask.objects.get(pk=relay_id)
    invoice = events.lock_invoice(relay.invoice_id)
    relay = RelayTask.objects.select_for_update(of=("self",)).select_related("event").get(pk=relay_id)
    if relay.state not in states:
        raise WrongRelayState(
            _("This relay is now “%(state)s”: reload the page.") % {"state": relay.get_state_display()}
        )
    return relay, invoice


def _require(user: Any, invoice: Invoice, role: Role) -> None:
    if not has_role(user, invoice.customer, role):
        raise PermissionDenied(_("Your role for %(customer)s does not allow this.") % {"customer": invoice.customer})


def _enqueue(relay: RelayTask, name: str, due: Any = None, **changes: Any) -> None:
    """Make a person's move with a locked relay; what its platform cannot carry is left to people."""
    carried = relay.is_submission or carrying.can_carry(relay.invoice, relay.status)
    due = (due or timezone.now()) if carried else None
    name = name if carried else "leave_to_people"
    relay_states.move(relay_states.one(relay), name, next_attempt_at=due, look_ups=0, last_error="", **changes)
    relay.refresh_from_db(fields=["state", "next_attempt_at", "look_ups", "last_error", "attempts", "released_by"])
    relay.refused_by = None


@transaction.atomic
def release(*, user: Any, relay_id: Any) -> RelayTask:
    """The second pair of eyes agrees; nobody releases their own decision. The table is asked again.

    It keeps the time at which it was proposed: one that later statuses have overtaken is to be proposed anew.
    """
    relay, invoice = _locked_relay(relay_id, RelayState.AWAITING_APPROVAL)
    if relay.actor_id == user.pk and (relay.event or invoice.customer.four_eyes):
        raise PermissionDenied(_("A second person must release this decision."))
    # What no status names, as an invoice handed in, is an approver's.
    if not may_issue(user, invoice, relay.status):
        raise PermissionDenied(_("Your role for %(customer)s does not allow this.") % {"customer": invoice.customer})
    if relay.event and (problems := problems_with(invoice, wish_of(relay.event))):
        raise DecisionRefused(problems)
    if relay.is_submission and relay.connection.is_leaving:
        message = _("%(connection)s is being left: withdraw the invoice and issue it through another platform.")
        words = message % {"connection": relay.connection.name}
        raise DecisionRefused([Problem("addressing_line", "leaving", words)])
    _require_sendable(relay)
    state, due = first_state(invoice.customer)
    name = "release_shortly" if state == RelayState.SCHEDULED else "release"
    _enqueue(relay, name, due, released_by=user)
    events.project(invoice)
    if relay.event and invoice.status != relay.event.status:
        message = _("Invoice %(invoice)s moved on since this was proposed: cancel it and decide again.")
        raise DecisionRefused([Problem("status", "overtaken", message % {"invoice": invoice})])
    nudge_for(relay)
    return relay


def _require_sendable(relay: RelayTask) -> None:
    """A file that our own check finds invalid is not sent to be refused."""
    if words := obstacle_to(relay):
        raise DecisionRefused([Problem("document", "invalid_file", words)])


def wish_of(event: StatusEvent) -> Wish:
    return Wish(status=event.status or "", reasons=reasons_of(event), note=event.note, payments=payments_of(event))


@transaction.atomic
def cancel(*, user: Any, relay_id: Any) -> RelayTask:
    """Take a decision or an invoice back before it is sent, or give up one that surely was not accepted."""
    relay, invoice = _locked_relay(
        relay_id, RelayState.AWAITING_APPROVAL, RelayState.SCHEDULED, RelayState.FAILED, RelayState.UNSUPPORTED
    )
    own = relay.actor_id == user.pk and relay.state != RelayState.FAILED
    _require(user, invoice, Role.CLERK if own else Role.APPROVER)
    relay_states.move(relay_states.one(relay), "cancel", next_attempt_at=None)
    relay.refresh_from_db(fields=["state", "next_attempt_at"])
    if relay.is_submission:
        free_number(invoice)
    events.project(invoice)
    return relay


@transaction.atomic
def retry(*, user: Any, relay_id: Any) -> RelayTask:
    """Send a failed relay again, now. The table is asked again: the invoice may have moved on."""
    relay, invoice = _locked_relay(relay_id, RelayState.FAILED)
    _require(user, invoice, Role.ADMINISTRATOR)
    _require_sendable(relay)
    if relay.event and (words := objections_to([relay]).get(relay.pk)):
        raise DecisionRefused([Problem("status", "overtaken", words)])
    _enqueue(relay, "retry", attempts=0)
    audit.record(audit.Action.RELAY_RETRIED, actor=user, customer=invoice.customer, subject=invoice)
    events.project(invoice)
    nudge_for(relay)
    return relay


@transaction.atomic
def resolve(*, user: Any, relay_id: Any, arrived: bool, why: str = "") -> RelayTask:
    """A person looked at the platform: the status is there, or it is not and is sent again. `why` becomes a comment."""
    relay, invoice = _locked_relay(relay_id, *MAY_RESOLVE)
    _require(user, invoice, MAY_RESOLVE[RelayState(relay.state)])
    if why:
        found = (
            _("The platform shows “%(status)s”: %(why)s") if arrived else _("The platform lacks “%(status)s”: %(why)s")
        )
        Comment.objects.create(invoice=invoice, author=user, text=found % {"status": relay.label, "why": why})
    audit.record(audit.Action.RELAY_RESOLVED, actor=user, customer=invoice.customer, subject=invoice, arrived=arrived)
    if arrived:
        events.confirm(relay)
        relay.receipt = {**(relay.receipt or {}), "resolved_by": user.get_username()}
        relay.save(update_fields=["receipt"])
    elif relay.state == RelayState.UNCERTAIN:
        _enqueue(relay, "not_there")
    else:
        raise WrongRelayState(_("Only an uncertain relay can be sent again."))
    events.project(invoice)
    nudge_for(relay)
    return relay


@transaction.atomic
def settle_answer(*, user: Any, event_id: Any, is_rejected: bool = False) -> StatusEvent:
    """A person looked at an answer that needed one. `is_rejected`: it is this invoice that the platform rejected."""
    answer = StatusEvent.objects.get(pk=event_id)
    invoice = events.lock_invoice(answer.invoice_id)
    _require(user, invoice, Role.APPROVER if is_rejected else Role.CLERK)
    if answer not in answers.open_answers(rejections.said_events(invoice)):
        raise AlreadySettled(_("Somebody has settled this already: reload the page."))
    if is_rejected and answer.status != Status.REJECTED:
        raise AlreadySettled(_("Only a rejection (213) can be said to be this invoice's."))
    words = _("It is this invoice that was rejected.") if is_rejected else _("Seen: it does not change the invoice.")
    event = events.append_event(
        invoice,
        status=answer.status if is_rejected else None,
        native_status="" if is_rejected else _("Answer %(status)s settled") % {"status": answer.status},
        origin=Origin.US,
        issuer_role=answer.issuer_role if is_rejected else "",
        reasons=[answers.reason_of(row) for row in answer.reasons] if is_rejected else (),
        note=words,
        source_key=f"{answers.SETTLES}{answer.pk}",
        actor=user,
    )
    events.project(invoice)
    return event


@transaction.atomic
def add_comment(*, user: Any, invoice: Invoice, text: str) -> Comment:
    """An internal remark; never leaves the house."""
    _require(user, invoice, Role.CLERK)
    return Comment.objects.create(invoice=invoice, author=user, text=text)


@transaction.atomic
def acknowledge_account(*, user: Any, invoice: Invoice) -> None:
    """A person has asked the supplier, on a way known before, and vouches for its new account."""
    _require(user, invoice, Role.CLERK)
    accounts.acknowledge(user=user, invoice=invoice)


@transaction.atomic
def assign(*, user: Any, invoice: Invoice, to: Any) -> None:
    """Give an invoice to a colleague who may work on it, or to nobody."""
    _require(user, invoice, Role.CLERK)
    if to is not None:
        _require(to, invoice, Role.CLERK)
    invoice.assigned_to = to
    invoice.save(update_fields=["assigned_to", "updated_at"])

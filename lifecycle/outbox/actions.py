"""Which buttons a person gets for a relay. A table that mirrors the services, which check again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invoices.models import Role
from invoices.people.desk import Desk
from lifecycle.decisions import services
from lifecycle.decisions.messages import SENDABLE
from lifecycle.models import RelayState, RelayTask
from providers.norm import transitions

from .waits import waits_for


@dataclass(frozen=True)
class Action:
    """`allowed` says whether this person may do it to this relay in its present state.

    `effect` is what it does, told before it is done, where it cannot be undone. `of_invoice` is the label where the
    relay hands an invoice in, `by_hand` where a person does on the platform what it does not take from us.
    """

    name: str
    label: str | Promise
    done: str | Promise
    run: Callable[..., Any]
    allowed: Callable[[Desk, RelayTask], bool]
    tone: str = ""
    of_invoice: str | Promise = ""
    by_hand: str | Promise = ""
    effect: str | Promise = ""
    effect_of_invoice: str | Promise = ""
    asks_why: bool = False

    def for_relay(self, relay: RelayTask) -> Action:
        if relay.is_submission:
            effect = self.effect_of_invoice or self.effect
            return replace(self, label=self.of_invoice or self.label, effect=effect)
        if relay.state == RelayState.UNSUPPORTED and self.by_hand:
            return replace(self, label=self.by_hand, asks_why=False)
        return self


def _is_own(desk: Desk, relay: RelayTask) -> bool:
    return bool(relay.actor_id == desk.user.pk)


def _may(desk: Desk, relay: RelayTask, role: str) -> bool:
    return desk.may(relay.invoice.customer_id, role)


def is_broken(relay: RelayTask) -> bool:
    """Our own check is against the file: it can be withdrawn, not sent."""
    return relay.is_submission and relay.invoice.validation not in ("", *SENDABLE)


def _may_release(desk: Desk, relay: RelayTask) -> bool:
    least = transitions.MINIMUM_ROLE.get(relay.status, Role.APPROVER)
    needs_another = relay.event is not None or relay.invoice.customer.four_eyes
    mine = needs_another and _is_own(desk, relay)
    waits = relay.state == RelayState.AWAITING_APPROVAL and not is_broken(relay)
    return waits and not mine and _may(desk, relay, least)


def _may_undo(desk: Desk, relay: RelayTask) -> bool:
    waiting = relay.state in (RelayState.AWAITING_APPROVAL, RelayState.SCHEDULED)
    return waiting and _may(desk, relay, Role.CLERK if _is_own(desk, relay) else Role.APPROVER)


def _may_give_up(desk: Desk, relay: RelayTask) -> bool:
    if relay.state == RelayState.UNSUPPORTED:
        return _may(desk, relay, Role.CLERK if _is_own(desk, relay) else Role.APPROVER)
    return relay.state == RelayState.FAILED and _may(desk, relay, Role.APPROVER)


def _may_retry(desk: Desk, relay: RelayTask) -> bool:
    return relay.state == RelayState.FAILED and not is_broken(relay) and _may(desk, relay, Role.ADMINISTRATOR)


def _may_tell_arrived(desk: Desk, relay: RelayTask) -> bool:
    if relay.state == RelayState.UNCERTAIN:
        return _may(desk, relay, Role.ADMINISTRATOR)
    # A sent one is asked for by itself while look-ups are planned.
    unanswered = relay.state == RelayState.SENT and relay.next_attempt_at is None
    by_hand = relay.state == RelayState.UNSUPPORTED and _may(desk, relay, Role.CLERK)
    return by_hand or (unanswered and _may(desk, relay, Role.APPROVER))


def _may_send_again(desk: Desk, relay: RelayTask) -> bool:
    return relay.state == RelayState.UNCERTAIN and _may(desk, relay, Role.ADMINISTRATOR)


def _resolve(arrived: bool) -> Callable[..., RelayTask]:
    return lambda **who: services.resolve(arrived=arrived, **who)


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "release",
            _("Release"),
            _("Released."),
            services.release,
            _may_release,
            tone="primary",
            of_invoice=_("Send to the platform"),
            effect=_("The platform is told this. Read it as if you had decided it yourself."),
            effect_of_invoice=_("The platform gets the invoice and passes it on to the buyer."),
        ),
        Action(
            "undo",
            _("Undo"),
            _("Taken back: it is not sent."),
            services.cancel,
            _may_undo,
            of_invoice=_("Withdraw"),
        ),
        Action("retry", _("Try again"), _("It is sent again."), services.retry, _may_retry, tone="primary"),
        Action(
            "arrived",
            _("It is on the platform"),
            _("Noted: the platform has it."),
            _resolve(True),
            _may_tell_arrived,
            by_hand=_("I did it there"),
            effect=_(
                "It counts as told from now on, and we send nothing any more. Say so only if the platform shows it."
            ),
            asks_why=True,
        ),
        Action(
            "again",
            _("It is not there: send again"),
            _("It is sent again."),
            _resolve(False),
            _may_send_again,
            effect=_("It is told once more. If the platform has it after all, it will have been told twice."),
            asks_why=True,
        ),
        Action(
            "give-up",
            _("Give up"),
            _("Given up: the decision does not count."),
            services.cancel,
            _may_give_up,
            effect=_("The decision does not count any more, and the platform is not told. To say it, decide anew."),
            effect_of_invoice=_("The invoice is not sent, and its number is free again."),
        ),
    )
}


def actions_of(desk: Desk, relay: RelayTask) -> list[Action]:
    return [each.for_relay(relay) for each in ACTIONS.values() if each.allowed(desk, relay)]


def with_actions(desk: Desk, relays: Iterable[RelayTask]) -> None:
    """Put on each relay what this person may do with it, for the templates."""
    for relay in relays:
        relay.actions = actions_of(desk, relay)  # type: ignore[attr-defined]
        relay.may = {each.name for each in relay.actions}  # type: ignore[attr-defined]
        relay.is_broken = is_broken(relay)  # type: ignore[attr-defined]
        relay.waits_for = waits_for(relay, desk)  # type: ignore[attr-defined]

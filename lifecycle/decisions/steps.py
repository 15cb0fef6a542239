"""Deciding about one invoice step by step: choose, preview, send. The desk and the admin only draw the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.utils.translation import gettext as _

from invoices.models import Invoice
from lifecycle.history.events import chain_of
from lifecycle.models import RelayState, RelayTask
from providers.norm.transitions import Problem

from . import administration, carrying, plausibility, services
from .forms import DecisionForm
from .services import DecisionRefused, StaleInvoice
from .wishes import Wish


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a person stands: `form` is filled in, `wish` the preview of it with its `doubts`, `relay` what was sent.

    With `is_stale` the invoice moved on since the event `seen` and nothing was recorded. `code` is the HTTP status.
    """

    form: DecisionForm | None = None
    wish: Wish | None = None
    doubts: Sequence[Problem] = ()
    relay: RelayTask | None = None
    is_stale: bool = False
    seen: int = 0
    code: int = 200


def open_step(invoice: Invoice, status: str) -> Step:
    seen = last_sequence(invoice)
    if status not in services.next_statuses(invoice):
        return Step(is_stale=True, seen=seen, code=409)
    initial = {"version": invoice.version, "seen": seen, "key": uuid4()}
    return Step(form=DecisionForm(invoice=invoice, status=status, initial=initial))


def take_step(user: Any, invoice: Invoice, status: str, data: Any) -> Step:
    """What follows from a posted step. Raises PermissionDenied; all else is for the person to put right."""
    form = DecisionForm(_with_more_rows(data), invoice=invoice, status=status)
    step = "more" if data.get("add") else data.get("step", "preview")
    if step in ("edit", "more"):
        return Step(form=form)
    if not form.is_valid():
        return Step(form=form, code=422)
    return _send(user, invoice, form) if step == "send" else _preview(invoice, form)


def _with_more_rows(data: Any) -> Any:
    """One more empty row of reasons or amounts, where that button was pressed."""
    wanted = data.get("add")
    name = f"{wanted}-TOTAL_FORMS"
    if wanted not in ("reasons", "payments") or not data.get(name, "").isdigit():
        return data
    data = data.copy()
    data[name] = str(int(data[name]) + 1)
    return data


def _preview(invoice: Invoice, form: DecisionForm) -> Step:
    wish = form.wish()
    if wish.version != invoice.version:
        return _stale(form)
    if problems := services.problems_with(invoice, wish):
        form.show(problems)
        return Step(form=form, code=422)
    return Step(form=form, wish=wish, doubts=plausibility.doubts(invoice, wish))


def _send(user: Any, invoice: Invoice, form: DecisionForm) -> Step:
    wish = form.wish()
    doubts = plausibility.doubts(invoice, wish)
    if not (form.check_confirmed() and form.check_sure(doubts)):
        return Step(form=form, wish=wish, doubts=doubts, code=422)
    key = str(form.cleaned_data["key"])
    try:
        relay, _new = services.issue_status(user=user, invoice_id=invoice.pk, wish=wish, idempotency_key=key)
    except StaleInvoice:
        return _stale(form)
    except DecisionRefused as refused:
        form.show(refused.problems)
        return Step(form=form, code=422)
    return Step(form=form, wish=wish, relay=relay)


def _stale(form: DecisionForm) -> Step:
    return Step(is_stale=True, seen=form.cleaned_data["seen"], code=409)


def last_sequence(invoice: Invoice) -> int:
    return chain_of(invoice).order_by("-sequence").values_list("sequence", flat=True).first() or 0


def words_for(relay: RelayTask) -> str:
    """What became of a decision, for the person who made it."""
    words = {
        RelayState.AWAITING_APPROVAL.value: _("“%(status)s” waits for a second person to release it."),
        RelayState.UNSUPPORTED.value: _("“%(status)s” is recorded. Now do it on the platform, then say so here."),
        RelayState.SCHEDULED.value: _("“%(status)s” is recorded and sent shortly; until then you can undo it."),
    }
    template = words.get(str(relay.state), _("“%(status)s” is recorded and on its way."))
    return template % {"status": relay.label}


def shown_facts(invoice: Invoice, form: DecisionForm) -> dict[str, Any]:
    """What a page tells beside the form: in whose name it is said, who takes it, who has to release it."""
    return {
        "info": form.info,
        "reported": administration.reported_in_words(invoice, form.info.code),
        "carried": carrying.can_carry(invoice, form.info.code),
        "needs_release": invoice.customer.four_eyes and form.info.code in services.FOUR_EYES_STATUSES,
        "speaker": invoice.customer.name if carrying.seat_of(invoice) == invoice.side else invoice.counterparty_name,
        "role": carrying.role_of(invoice),
    }

"""Handing our customers' invoices in to their platform: one door for the pages, the API and the drafts.

Whoever may work on a customer's invoices prepares them (clerk); whoever may decide sends them (approver), and where
the customer wants four eyes a second person does. What follows is a relay like any other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.drafting.issuing import read_for_issue, record_handover, record_issue
from invoices.models import AddressingLine, Customer, Invoice, Role
from invoices.people.access import has_role
from lifecycle.decisions import services
from lifecycle.history import events
from lifecycle.models import Origin, RelayTask
from providers.connections.registry import get_adapter
from providers.contract.base import File
from providers.norm.codes import Role as IssuerRole
from providers.norm.codes import Status


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A file to be issued through a line, or handed to who receives on it (`received`). `submit`: send it now, not only
    prepare it.
    """

    line: AddressingLine
    file: File
    submit: bool = False
    received: bool = False

    def fingerprint(self) -> str:
        sha256 = hashlib.sha256(self.file.content).hexdigest()
        purpose = "handover" if self.received else "submission"
        text = json.dumps([purpose, self.line.identifier, sha256, self.submit])
        return hashlib.sha256(text.encode()).hexdigest()


def hand_in(*, user: Any, submission: Submission, idempotency_key: str = "") -> tuple[RelayTask, bool]:
    """Record an invoice of ours with the relay that carries it. Returns the relay and whether it is new.

    Raises PermissionDenied, KeyReused, and CannotIssue where the file is no invoice of this customer, its number was
    given before, or the platform does not take it. The official rules are checked by the worker before it is sent.
    """
    line = submission.line
    require(user, line.customer, Role.APPROVER if submission.submit else Role.CLERK)
    parsed = read_for_issue(submission.file)
    can = get_adapter(line.connection).capabilities
    record, formats = record_issue, can.submit_formats
    if submission.received:
        record, formats = record_handover, can.handover_formats
    with transaction.atomic():
        # One after the other per customer: the same key twice at once is answered with one invoice.
        Customer.objects.select_for_update(no_key=True).get(pk=line.customer_id)
        fingerprint = submission.fingerprint()
        if answered := services.find_answered(user, fingerprint, idempotency_key):
            return answered, False
        invoice = record(line=line, file=submission.file, parsed=parsed, formats=formats)
        if submission.received:
            _note_arrival(invoice)
        relay = _enqueue(user, invoice, submit=submission.submit)
        if idempotency_key:
            services.note_answer(user, fingerprint, idempotency_key, relay)
        services.nudge_for(relay)
    return relay, True


def _note_arrival(invoice: Invoice) -> None:
    """As the platform of who receives it, we hold it: that is where its history begins."""
    events.append_event(invoice, status=Status.RECEIVED, origin=Origin.US, issuer_role=IssuerRole.PLATFORM)
    events.project(invoice)


def require(user: Any, customer: Customer, role: Role) -> None:
    if has_role(user, customer, role):
        return
    if role == Role.APPROVER and has_role(user, customer, Role.CLERK):
        raise PermissionDenied(
            _("Clerks prepare invoices for %(customer)s; an approver sends them.") % {"customer": customer}
        )
    raise PermissionDenied(_("Your role for %(customer)s does not allow this.") % {"customer": customer})


def _enqueue(user: Any, invoice: Invoice, *, submit: bool) -> RelayTask:
    waits = not submit or invoice.customer.four_eyes
    state, due = services.waiting_state() if waits else services.first_state(invoice.customer)
    return RelayTask.objects.create(
        kind=RelayTask.Kind.INVOICE,
        invoice=invoice,
        connection=invoice.connection,
        document=invoice.original,
        prepared_by=user,
        sequence=0,
        state=state,
        next_attempt_at=due,
        created_at=timezone.now(),
    )


def submission_of(invoice: Invoice) -> RelayTask | None:
    rows = RelayTask.objects.filter(invoice=invoice, kind=RelayTask.Kind.INVOICE)
    return rows.select_related("prepared_by", "released_by", "connection").prefetch_related("tries").first()

"""What the platform of an invoice carries for us, and for whom we speak there. Asked before anything is decided."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from invoices.models import Direction, Invoice
from providers.connections.registry import get_adapter
from providers.contract.base import Adapter, Payment, PermanentError, StatusMessage, Unsupported
from providers.contract.kinds import find_adapter_class
from providers.norm import scope, transitions
from providers.norm.codes import INVOICE_STATUSES, Side, reason_label, reasons_for, status_label
from providers.norm.transitions import Problem

from .administration import goes_to_administration
from .messages import facts_for_platform
from .wishes import Wish


def untold_of(invoice: Invoice) -> dict[str, Any]:
    """The statuses of which nobody can be told, each with why: by what kind of business it is, and by its platform."""
    cls = find_adapter_class(invoice.connection.kind) or Adapter
    facts = facts_for_platform(invoice)
    found = {
        code: scope.objection(invoice.processing_rule, code) or cls.objection(facts, code) for code in INVOICE_STATUSES
    }
    return {code: why for code, why in found.items() if why}


def seat_of(invoice: Invoice) -> Side | None:
    """The side our people speak for: our customer's own, unless the platform gives us another seat, or none."""
    cls = find_adapter_class(invoice.connection.kind) or Adapter
    line = invoice.addressing_line
    as_if = Direction.RECEIVED if invoice.side == Side.BUYER else Direction.ISSUED
    return cls.seat(as_if.value, line.settings if line else {})


def role_of(invoice: Invoice) -> str:
    """In whose name our people speak; "" where they do not."""
    side = seat_of(invoice)
    return transitions.ROLE_OF_SIDE[side].value if side else ""


def can_carry(invoice: Invoice, status: str) -> bool:
    """Whether the invoice's platform takes this status from us."""
    capabilities = get_adapter(invoice.connection).capabilities
    return status in capabilities.of_side(seat_of(invoice))


def reasons_offered(invoice: Invoice, status: str) -> tuple[str, ...]:
    """The reasons that the law allows with a status and the invoice's platform can carry."""
    lawful = reasons_for(status)
    carried = get_adapter(invoice.connection).reasons_for(status, side=seat_of(invoice) or "")
    return tuple(code for code in lawful if carried is None or code in carried)


def problems_with(invoice: Invoice, wish: Wish) -> list[Problem]:
    """What keeps the platform from carrying this very wish; none where a person does it there by hand."""
    if not can_carry(invoice, wish.status):
        return []
    return _reason_problems(invoice, wish) or _message_problems(invoice, wish)


def _message_problems(invoice: Invoice, wish: Wish) -> list[Problem]:
    message = StatusMessage(
        id="",
        invoice=facts_for_platform(invoice),
        status=wish.status,
        issuer_role=role_of(invoice),
        occurred_at=timezone.now(),
        reasons=wish.reasons,
        note=wish.told_note,
        payments=tuple(map(_as_told, wish.payments)),
        reaches_ppf=goes_to_administration(invoice, wish.status),
    )
    try:
        get_adapter(invoice.connection).require_sayable(message)
    except (Unsupported, PermanentError) as error:
        return [Problem("payments" if wish.payments else "status", "not_carried", error.message)]
    return []


def _as_told(payment: Payment) -> Payment:
    """Numbers as they are read from what is recorded."""
    rate = None if payment.vat_rate is None else Decimal(payment.vat_rate)
    return replace(payment, amount=Decimal(payment.amount), vat_rate=rate)


def _reason_problems(invoice: Invoice, wish: Wish) -> list[Problem]:
    offered = reasons_offered(invoice, wish.status)
    message = _("%(platform)s cannot carry the reason “%(reason)s” with %(status)s. Choose one of: %(offered)s.")
    return [
        Problem(
            f"reasons[{index}].code",
            "not_carried",
            message
            % {
                "platform": invoice.connection.platform_label,
                "reason": reason_label(reason.code),
                "status": f"{wish.status} {status_label(wish.status)}",
                "offered": ", ".join(reason_label(code) for code in offered) or "–",
            },
        )
        for index, reason in enumerate(wish.reasons)
        if reason.code not in offered
    ]

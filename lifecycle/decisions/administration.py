"""What the administration has to hear of an invoice, by when, and what it will turn down: one answer for clocks, pages,
API and messages.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from invoices.models import Direction, Invoice
from lifecycle.history.links import DEPOSIT_TYPES
from providers.formats.decimals import read_decimal
from providers.norm.codes import PPF_DEADLINE_HOURS, STATUSES, Reported, Status, ppf_deadline
from providers.norm.numbers import number_warning
from providers.norm.processing import reaches_administration

from .wishes import Wish

# Frames (BT-23) of services and of mixed sales: their VAT falls due on receipt, as that of a deposit does (DGFiP
# general part 2.3.2 and note 119).
FRAMES_OF_SERVICES = ("S", "M")
# BT-8 of an invoice whose VAT is due when it is issued: the seller has opted for debits (UNTDID 2005 and 2475).
ON_ISSUE = frozenset({"3", "5"})


def goes_to_administration(invoice: Invoice, status: str) -> bool:
    """Whether the platform has to pass this status of this invoice on, within 24 hours of its time."""
    reported = STATUSES[status].reported_to_ppf if status in STATUSES else Reported.NO
    if reported == Reported.NO or not is_domestic(invoice):
        return False
    return reported == Reported.YES or is_vat_due_on_receipt(invoice)


def is_domestic(invoice: Invoice) -> bool:
    """Between two French companies. International and consumers' invoices are e-reported instead, and have no life
    cycle with the administration (DGFiP notes 30 and 32). The processing rule says so where it is known; else the
    numbers do. A supplier without any number is taken for a French one.
    """
    if invoice.processing_rule:
        return reaches_administration(invoice.processing_rule)
    if invoice.direction == Direction.RECEIVED and not invoice.seller_siren and not invoice.seller_vat_number:
        return True
    is_ours = {"seller": invoice.side == "seller", "buyer": invoice.side == "buyer"}
    return all(is_ours[role] or _is_french(invoice, role) for role in is_ours)


def _is_french(invoice: Invoice, role: str) -> bool:
    siren, vat_number = getattr(invoice, f"{role}_siren"), getattr(invoice, f"{role}_vat_number")
    return bool(siren) or vat_number.upper().startswith("FR")


def is_vat_due_on_receipt(invoice: Invoice) -> bool:
    """Services or a deposit, with VAT, by a seller that has not opted for debits."""
    rows = invoice.vat_breakdown
    is_taxed = any(row.get("category") == "S" and (read_decimal(row.get("rate")) or Decimal(0)) > 0 for row in rows)
    of_services = invoice.process[:1].upper() in FRAMES_OF_SERVICES or invoice.type_code in DEPOSIT_TYPES
    on_debits = invoice.vat_point in ON_ISSUE or (invoice.side == "seller" and invoice.customer.vat_on_debits)
    return is_taxed and of_services and not on_debits


def deadline_of(invoice: Invoice, status: str, said_at: datetime) -> datetime | None:
    """Until when the platform has to tell the administration; None where it has not."""
    return ppf_deadline(said_at) if goes_to_administration(invoice, status) else None


def remarks_on(invoice: Invoice, wish: Wish) -> list[str]:
    """What a person should know before saying it, and the API's caller afterwards. Nothing of it forbids anything."""
    found = []
    if wish.told_note != wish.note:
        found.append(_("This status needs a text and none was given: “%(text)s” is sent.") % {"text": wish.told_note})
    if goes_to_administration(invoice, wish.status) and (warning := number_warning(invoice.number)):
        found.append(warning)
    return found


def reported_in_words(invoice: Invoice, status: str) -> str:
    """Whether the administration hears it, with the reason where that depends on the invoice."""
    if goes_to_administration(invoice, status):
        return _("yes, within %(hours)s h") % {"hours": PPF_DEADLINE_HOURS}
    reported = STATUSES[status].reported_to_ppf
    if reported == Reported.NO:
        return str(Reported.NO.label)
    if not is_domestic(invoice):
        return _("no: the other party is not a French company, so this belongs to e-reporting")
    if status == Status.PAYMENT_RECEIVED:
        return _("no: the VAT of this invoice does not fall due on receipt of the payment")
    return str(Reported.NO.label)

"""Where suppliers want to be paid. Whoever diverts a payment changes the account on the invoice: a supplier that names
another one than on its last invoices is held up to a person, until one has checked it.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from providers.companies import compact

from .documents.model import ParsedInvoice
from .models import AccountChange, Direction, Invoice, PaymentAccount

# How many accounts back we look: of a supplier with several, one it has not used for so long is new again.
LOOK_BACK = 20


def record_accounts(invoice: Invoice, parsed: ParsedInvoice, *, is_new: bool = True) -> None:
    """Keep the accounts of an invoice our customer is to pay, and what is new in them. Reading it again changes
    nothing, unless it names others then. Not `is_new`: it was here before accounts were kept, and warns nobody.
    """
    if invoice.direction != Direction.RECEIVED or invoice.side != "buyer":
        return
    named = accounts_in(parsed)
    if set(named) == set(invoice.accounts.values_list("iban", flat=True)):
        return
    with transaction.atomic():
        invoice.accounts.all().delete()
        AccountChange.objects.filter(invoice=invoice).delete()
        known = known_accounts(invoice)
        rows = [
            PaymentAccount(
                invoice=invoice, customer=invoice.customer, supplier=invoice.seller_key, iban=iban, holder=holder
            )
            for iban, holder in named.items()
        ]
        PaymentAccount.objects.bulk_create(rows)
        new = [{"iban": iban, "holder": holder} for iban, holder in named.items() if iban not in known]
        if known and new and is_new:
            AccountChange.objects.create(invoice=invoice, new=new, known=list(known.values()))


def accounts_in(parsed: ParsedInvoice) -> dict[str, str]:
    """The accounts of a document in one form, whatever their order and spaces, each with whose it is said to be."""
    payee = parsed.payee.name if parsed.payee else ""
    written = ((compact(means.iban)[:40], means.account_name or payee) for means in parsed.payment_means)
    return {iban: holder[:200] for iban, holder in written if iban}


def known_accounts(invoice: Invoice) -> dict[str, dict[str, Any]]:
    """The accounts of the supplier's earlier invoices, newest first. One that is still in doubt is not known."""
    if not invoice.seller_key:
        return {}
    rows = PaymentAccount.objects.filter(customer=invoice.customer_id, supplier=invoice.seller_key).exclude(
        invoice=invoice
    )
    trusted = rows.exclude(invoice__account_change__isnull=False, invoice__account_change__acknowledged_at=None)
    found: dict[str, dict[str, Any]] = {}
    for row in trusted.select_related("invoice").order_by("-pk")[:LOOK_BACK]:
        told = {"iban": row.iban, "holder": row.holder, "invoice": str(row.invoice), "id": str(row.invoice_id)}
        found.setdefault(row.iban, told)
    return found


def acknowledge(*, user: Any, invoice: Invoice) -> bool:
    """A person has checked the new account; who and when stays. False where somebody was quicker."""
    open_change = AccountChange.objects.filter(invoice=invoice, acknowledged_at=None)
    done = open_change.update(acknowledged_by=user, acknowledged_at=timezone.now())
    if done:
        invoice.save(update_fields=["updated_at"])
    return bool(done)

"""Where suppliers want to be paid. Whoever diverts a payment changes the account on the invoice: a supplier that names
another one than on its last invoices is held up to a person, until one has checked it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from invoices.models import AccountChange, Direction, Invoice, PaymentAccount
from providers.formats.en16931.checks import compact_iban
from providers.formats.en16931.model import ParsedInvoice

# How many accounts back we look: of a supplier with several, one it has not used for so long is new again.
LOOK_BACK = 20


def record_accounts(invoice: Invoice, parsed: ParsedInvoice, *, is_new: bool = True) -> None:
    """Keep the accounts of an invoice our customer is to pay, and what is new in them. Reading it again changes
    nothing, unless it names others then. Not `is_new`: it was here before accounts were kept, and warns nobody.
    """
    if not _is_to_pay(invoice):
        return
    named = accounts_in(parsed)
    if set(named) == set(invoice.accounts.filter(from_copy=False).values_list("iban", flat=True)):
        return
    with transaction.atomic():
        invoice.accounts.filter(Q(from_copy=False) | Q(iban__in=named)).delete()
        AccountChange.objects.filter(invoice=invoice).delete()
        known = known_accounts(invoice)
        _keep(invoice, named)
        new = [{"iban": iban, "holder": holder} for iban, holder in named.items() if iban not in known]
        copied = [{"iban": row.iban, "holder": row.holder} for row in invoice.accounts.filter(from_copy=True)]
        if (known and new and is_new) or copied:
            own = _told(invoice.accounts.filter(from_copy=False)) if copied else {}
            rows = [*(new if known and is_new else []), *copied]
            AccountChange.objects.create(invoice=invoice, new=rows, known=list({**known, **own}.values()))


def record_copied_accounts(invoice: Invoice, parsed: ParsedInvoice) -> None:
    """What the copy of a further platform names beside: the same invoice to be paid on another account is held up, and
    even a check that was made before does not cover it.
    """
    if not _is_to_pay(invoice):
        return
    own = _told(invoice.accounts.select_related("invoice"))
    known = own or known_accounts(invoice)
    named = {iban: holder for iban, holder in accounts_in(parsed).items() if iban not in own}
    with transaction.atomic():
        _keep(invoice, named, from_copy=True)
        new = [{"iban": iban, "holder": holder} for iban, holder in named.items() if iban not in known]
        if new and known:
            _hold_up(invoice, new, known)


def _hold_up(invoice: Invoice, new: list[dict[str, str]], known: dict[str, dict[str, Any]]) -> None:
    """Until a person has looked; who had looked before stays with the accounts that are known since."""
    change = AccountChange.objects.filter(invoice=invoice).first()
    if change and change.acknowledged_at is None:
        doubted = {row["iban"] for row in change.new}
        new = [*change.new, *new]
        known = {row["iban"]: row for row in [*change.known, *known.values()] if row["iban"] not in doubted}
    elif change:
        checked = {
            "checked_by": str(change.acknowledged_by),
            "checked_at": f"{change.acknowledged_at:%Y-%m-%dT%H:%M:%SZ}",
        }
        known = {iban: {**row, **checked} for iban, row in known.items()}
    values = {"new": new, "known": list(known.values()), "acknowledged_by": None, "acknowledged_at": None}
    AccountChange.objects.update_or_create(invoice=invoice, defaults={**values, "found_at": timezone.now()})


def _is_to_pay(invoice: Invoice) -> bool:
    return invoice.direction == Direction.RECEIVED and invoice.side == "buyer"


def _keep(invoice: Invoice, named: dict[str, str], *, from_copy: bool = False) -> None:
    whose = {"invoice": invoice, "customer": invoice.customer, "supplier": invoice.seller_key}
    rows = [PaymentAccount(iban=iban, holder=holder, from_copy=from_copy, **whose) for iban, holder in named.items()]
    PaymentAccount.objects.bulk_create(rows)


def accounts_in(parsed: ParsedInvoice) -> dict[str, str]:
    """The accounts of a document in one form, whatever their order and spaces, each with whose it is said to be."""
    payee = parsed.payee.name if parsed.payee else ""
    written = ((compact_iban(means.iban)[:40], means.account_name or payee) for means in parsed.payment_means)
    return {iban: holder[:200] for iban, holder in written if iban}


def known_accounts(invoice: Invoice) -> dict[str, dict[str, Any]]:
    """The accounts of the supplier's earlier invoices, newest first. One that is still in doubt is not known."""
    if not invoice.seller_key:
        return {}
    rows = PaymentAccount.objects.filter(customer=invoice.customer_id, supplier=invoice.seller_key).exclude(
        invoice=invoice
    )
    trusted = rows.exclude(invoice__account_change__isnull=False, invoice__account_change__acknowledged_at=None)
    return _told(trusted.select_related("invoice").order_by("-pk")[:LOOK_BACK])


def _told(rows: Iterable[PaymentAccount]) -> dict[str, dict[str, Any]]:
    """Each account once, with the invoice that names it."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
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

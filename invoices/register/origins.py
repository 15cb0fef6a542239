"""One invoice through several platforms is one case: found by any of its references, joined when its second copy comes,
and told where it is told.

A second copy may be of another syntax. It is the same invoice by seller, number and year, and only where its amounts
agree too; otherwise it stays apart, and both warn. Where only one of the two has told its amounts, for the other's
document is still to come, they are one until it says otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.models import DocumentState, Invoice, InvoiceOrigin, money
from invoices.models.twins import amount_of, find_twins
from providers.formats.decimals import read_decimal
from providers.models import Connection
from providers.norm.codes import Status

# Begins the number of a lock; any that no other advisory lock of ours has.
IDENTITY_LOCK = 7_304_002


def find_at(connection: Connection | UUID, provider_ref: str) -> Invoice | None:
    """The invoice that a platform knows by this reference."""
    if not provider_ref:  # so are those of ours that the platform has not taken yet
        return None
    found = Invoice.objects.filter(connection=connection, provider_ref=provider_ref).first()
    if found is None:
        origins = InvoiceOrigin.objects.filter(connection=connection, provider_ref=provider_ref)
        found = Invoice.objects.filter(other_origins__in=origins).first()
    return found


def lock_at(connection: Connection, provider_ref: str) -> Invoice:
    """The same, locked until the transaction ends."""
    found = find_at(connection, provider_ref)
    if found is None:
        raise Invoice.DoesNotExist(provider_ref)
    return Invoice.objects.select_for_update().get(pk=found.pk)


def held_by(connection: Connection | UUID) -> Q:
    """Invoices that came through a connection, first or later; to be narrowed by what has an index."""
    return Q(connection=connection) | Q(pk__in=InvoiceOrigin.objects.filter(connection=connection).values("invoice"))


def through(name: str) -> Q:
    """The same by the connection's name."""
    further = InvoiceOrigin.objects.filter(connection__name=name)
    return Q(connection__name=name) | Q(pk__in=further.values("invoice"))


def known_as(provider_ref: str) -> Q:
    further = InvoiceOrigin.objects.filter(provider_ref=provider_ref)
    return Q(provider_ref=provider_ref) | Q(pk__in=further.values("invoice"))


def namesakes(invoice: Invoice) -> QuerySet[Invoice]:
    """Others of this customer with the same seller, number and year. A rejected one was never issued."""
    if not (invoice.seller_key and invoice.number and invoice.issue_date):
        return Invoice.objects.none()
    rows = Invoice.objects.filter(
        customer=invoice.customer_id,
        direction=invoice.direction,
        seller_key=invoice.seller_key,
        number=invoice.number,
        issue_date__year=invoice.issue_date.year,
    )
    # What its platform has not taken yet is not there twice.
    return rows.exclude(pk=invoice.pk).exclude(provider_ref="").exclude(status=Status.REJECTED).order_by("created_at")


def join(copy: Invoice) -> Invoice | None:
    """Take what another platform just brought, not saved yet, as a further origin of what we have. Returns that, or
    None where we have none that agrees. Nobody else joins or records the same one until the transaction ends.
    """
    _lock_identity(copy)
    for held in namesakes(copy).prefetch_related("other_origins"):
        elsewhere = copy.connection_id not in {each.connection_id for each in held.origins}
        if elsewhere and (agree(held, copy) or _is_still_to_tell(held, copy)):
            origin = InvoiceOrigin.objects.create(
                invoice=held,
                connection=copy.connection,
                addressing_line=copy.addressing_line,
                provider_ref=copy.provider_ref,
            )
            held.save(update_fields=["updated_at"])
            if copy.document_state == DocumentState.READ != held.document_state:
                _put_first(held, origin)
            return held
    return None


def _lock_identity(invoice: Invoice) -> None:
    parts = (invoice.customer_id, invoice.direction, invoice.seller_key, invoice.number)
    number = int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], signed=True)
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [IDENTITY_LOCK, number])


def agree(one: Invoice, other: Invoice) -> bool:
    """Type, currency and every amount that both tell are the same, however the signs are written."""
    return None not in (money.debt(one), money.debt(other)) and not _contradict(one, other)


def _is_still_to_tell(one: Invoice, other: Invoice) -> bool:
    """One of them has no amount, and a document that will tell it; nothing that both tell differs."""
    waits = (each.document_state == DocumentState.WAITING and money.debt(each) is None for each in (one, other))
    return any(waits) and not _contradict(one, other)


def _contradict(one: Invoice, other: Invoice) -> bool:
    return any(mine is not None and theirs is not None and mine != theirs for mine, theirs in _compared(one, other))


def _compared(one: Invoice, other: Invoice) -> Iterator[tuple[object, object]]:
    yield one.type_code or None, other.type_code or None
    yield one.currency or None, other.currency or None
    yield money.debt(one), money.debt(other)
    yield money.due(one), money.due(other)
    yield _size(one.total_without_vat), _size(other.total_without_vat)
    yield _size(one.total_vat), _size(other.total_vat)
    yield money.debt_by_rate(one) or None, money.debt_by_rate(other) or None


def _size(amount: Decimal | None) -> Decimal | None:
    found = read_decimal(amount)
    return None if found is None else abs(found)


def note_difference(invoice: Invoice, connection: Connection, copy: Invoice) -> None:
    """Keep what the copy of a further platform says, where it is not what the invoice says."""
    InvoiceOrigin.objects.filter(invoice=invoice, connection=connection).update(
        differing_amount=amount_of(copy) if _contradict(invoice, copy) else ""
    )


def with_twins(invoices: Sequence[Invoice]) -> None:
    """Put its twins on each, in one query."""
    found = find_twins(Invoice.objects.all(), invoices)
    for invoice in invoices:
        invoice.found_twins = found[invoice.pk]


def renew_namesakes(invoice: Invoice) -> None:
    """What the others warn of changed: pages and feeds show them again. After the commit, so that none is locked."""
    renewed = namesakes(invoice)
    transaction.on_commit(lambda: renewed.update(updated_at=timezone.now()))


def speak_through_open(invoice: Invoice) -> None:
    """A platform that was left, or that serves the invoice's line no more, hears no decisions: another that holds the
    invoice is told. It is locked.
    """
    line = invoice.addressing_line
    serves = line is None or line.connection_id == invoice.connection_id
    if invoice.connection.is_active and serves:
        return
    origins = invoice.other_origins.select_related("connection", "addressing_line")
    if other := next((each for each in origins if each.connection.is_active), None):
        _put_first(invoice, other)


def _put_first(invoice: Invoice, other: InvoiceOrigin) -> None:
    """The other platform is the one that is told from now on, and whose document says what is in the invoice."""
    names = ("connection", "addressing_line", "provider_ref")
    for name in names:
        mine, theirs = getattr(invoice, name), getattr(other, name)
        setattr(invoice, name, theirs)
        setattr(other, name, mine)
    other.save(update_fields=names)
    invoice.save(update_fields=[*names, "updated_at"])

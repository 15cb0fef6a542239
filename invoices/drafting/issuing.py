"""What our customers issue, or are handed by us as their platform: a file is read, held against its customer and the
numbers given before, and recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from invoices.models import AddressingLine, Customer, Direction, Invoice, InvoiceDocument
from invoices.models.identity import seller_key
from invoices.register.accounts import record_accounts
from invoices.register.services import describe, is_beyond_columns, store_document
from providers.contract.base import File
from providers.formats.en16931.labels import DOCUMENT_TYPES
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.reader import read_invoice
from providers.formats.xml import UnreadableDocument
from providers.norm.codes import SELF_BILLED_TYPES, Status

# As adapters name the formats in their capabilities, with the words for people.
FORMATS = {"ubl": ("ubl", "UBL"), "cii": ("cii", "CII"), "factur-x": ("facturx", "Factur-X"), "json": ("json", "JSON")}
MEDIA_TYPES = {
    "ubl": "application/xml",
    "cii": "application/xml",
    "factur-x": "application/pdf",
    "json": "application/json",
}
# Read whole by the web server; platforms take no more either. What is received may be larger.
MAX_ISSUED_BYTES = 20 * 1024 * 1024
UNIQUE_NUMBER = "one_issue_per_seller_number_and_year"


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be issued. `field` is the part of the request it speaks of."""

    code: str
    message: str
    field: str = "file"


class CannotIssue(Exception):
    """Nothing was recorded. `duplicate_of` is the invoice that bears the number already."""

    def __init__(self, faults: Iterable[Fault], *, duplicate_of: Invoice | None = None) -> None:
        self.faults = tuple(faults)
        self.duplicate_of = duplicate_of
        super().__init__(" ".join(fault.message for fault in self.faults))


def read_for_issue(file: File) -> ParsedInvoice:
    """Raises CannotIssue where there is no invoice in the file."""
    try:
        parsed = read_invoice(file.content, media_type=file.media_type, filename=file.filename)
    except UnreadableDocument as error:
        raise CannotIssue([Fault(error.code, str(error.message))]) from error
    if parsed.envelope:
        message = _("The file is an envelope, %(name)s. Hand in the invoice that is in it, as a file of its own.")
        raise CannotIssue([Fault("envelope", message % {"name": parsed.envelope})])
    return parsed


def record_issue(*, line: AddressingLine, file: File, parsed: ParsedInvoice, formats: Iterable[str]) -> Invoice:
    """Record an invoice of ours, not sent yet, with its file. Raises CannotIssue.

    `formats` are those the line's platform takes. How its number is freed again: see `free_number`.
    """
    if faults := [*faults_of(parsed, line), *format_faults(parsed, line, formats)]:
        raise CannotIssue(faults)
    invoice = Invoice(
        customer=line.customer,
        connection=line.connection,
        addressing_line=line,
        direction=Direction.ISSUED,
    )
    return _record(invoice, file, parsed)


def record_handover(*, line: AddressingLine, file: File, parsed: ParsedInvoice, formats: Iterable[str]) -> Invoice:
    """Record an invoice that our customer received, and that we hand to it as its platform. Raises CannotIssue."""
    if faults := [*faults_of(parsed, line, received=True), *format_faults(parsed, line, formats)]:
        raise CannotIssue(faults)
    invoice = Invoice(
        customer=line.customer, connection=line.connection, addressing_line=line, direction=Direction.RECEIVED
    )
    return _record(invoice, file, parsed)


def _record(invoice: Invoice, file: File, parsed: ParsedInvoice) -> Invoice:
    """From here on nobody else can give the number; the database has the last word."""
    if taken := find_taken(parsed, invoice.customer, invoice.direction):
        raise duplicate(parsed, taken)
    invoice.holds_number = True
    describe(invoice, parsed, "")
    try:
        with transaction.atomic():
            invoice.save(force_insert=True)
    except IntegrityError as error:
        if UNIQUE_NUMBER not in str(error):
            raise
        raise duplicate(parsed, find_taken(parsed, invoice.customer, invoice.direction)) from error
    record_accounts(invoice, parsed)
    _store(invoice, file, parsed)
    return invoice


def _store(invoice: Invoice, file: File, parsed: ParsedInvoice) -> None:
    media_type = MEDIA_TYPES[parsed.syntax]
    kept = File(kind=InvoiceDocument.Kind.ORIGINAL, content=file.content, media_type=media_type, filename=file.filename)
    store_document(invoice=invoice, file=kept)


def faults_of(parsed: ParsedInvoice, line: AddressingLine, *, received: bool = False) -> Iterator[Fault]:
    """What must be right before the official rules are asked."""
    for value, code, message in (
        (parsed.number, "no_number", _("The invoice has no number (BT-1).")),
        (parsed.issue_date, "no_date", _("The invoice has no issue date (BT-2).")),
        (parsed.currency, "no_currency", _("The invoice has no currency (BT-5).")),
        (parsed.amount_due is not None, "no_amount", _("The amount due is missing (BT-115).")),
    ):
        if not value:
            yield Fault(code, message)
    if parsed.type_code not in DOCUMENT_TYPES:
        message = _("The type “%(type)s” (BT-3) is none of those allowed in France.")
        yield Fault("unknown_type", message % {"type": parsed.type_code[:20]})
    if is_beyond_columns(parsed):
        yield Fault("amount", _("The amounts of the invoice are too large to be true."))
    yield from receiver_faults(parsed, line) if received else owner_faults(parsed, line)


def receiver_faults(parsed: ParsedInvoice, line: AddressingLine) -> Iterator[Fault]:
    party = parsed.seller if parsed.type_code in SELF_BILLED_TYPES else parsed.buyer
    if party.company.siren != line.customer.siren:
        message = _("The SIREN of who receives it is %(found)s, but this line is of %(customer)s (%(siren)s).")
        found = (party.company.siren or party.siren)[:20] or _("none")
        words = {"found": found, "customer": line.customer.name, "siren": line.customer.siren}
        yield Fault("wrong_party", message % words)


def owner_faults(parsed: ParsedInvoice, line: AddressingLine) -> Iterator[Fault]:
    self_billed = parsed.type_code in SELF_BILLED_TYPES
    party = parsed.buyer if self_billed else parsed.seller
    if party.company.siren == line.customer.siren:
        return
    words = {
        "found": (party.company.siren or party.siren)[:20] or _("none"),
        "customer": line.customer.name,
        "siren": line.customer.siren,
    }
    if self_billed:
        message = _("A self-billed invoice names its issuer as buyer: SIREN %(found)s is not %(customer)s (%(siren)s).")
    else:
        message = _("The seller's SIREN (BT-30) is %(found)s, but this line is of %(customer)s (%(siren)s).")
    yield Fault("wrong_party", message % words)


def format_faults(parsed: ParsedInvoice, line: AddressingLine, formats: Iterable[str]) -> Iterator[Fault]:
    if line.connection.is_leaving:
        message = _(
            "%(connection)s was left on %(day)s: no new invoice goes through it. Choose a line of another platform."
        )
        day = f"{line.connection.leaving_on:%d/%m/%Y}"
        yield Fault("leaving", message % {"connection": line.connection.name, "day": day}, "addressing_line")
    taken = set(formats)
    code, name = FORMATS[parsed.syntax]
    if code in taken:
        return
    platform = line.connection.platform_label
    if not taken:
        message = _("%(platform)s takes no invoices from us: hand this one in on the platform itself.")
    else:
        message = _("%(platform)s does not take %(format)s. Send the invoice as %(taken)s.")
    names = ", ".join(label for each, label in FORMATS.values() if each in taken)
    yield Fault("format", message % {"platform": platform, "format": name, "taken": names})


def find_taken(parsed: ParsedInvoice, customer: Customer, direction: str = Direction.ISSUED) -> Invoice | None:
    """The invoice that already bears this seller's number in this year. A rejected (213) one was never issued.

    Looked for where it is found by an index: with the customer, and with the seller if it is one of ours.
    """
    key = seller_key(parsed)
    if parsed.issue_date is None or not key:
        return None
    owners = Customer.objects.filter(Q(pk=customer.pk) | Q(siren=parsed.seller.company.siren))
    rows = Invoice.objects.filter(
        customer__in=owners.values("pk"),
        direction=direction,
        seller_key=key,
        number=parsed.number,
        issue_date__year=parsed.issue_date.year,
    )
    issued = Q(holds_number=True) | ~Q(provider_ref="")
    return rows.filter(issued).exclude(status=Status.REJECTED).order_by("created_at").first()


def duplicate(parsed: ParsedInvoice, taken: Invoice | None) -> CannotIssue:
    message = _("Number %(number)s was already used by this seller in %(year)s. Give the invoice its own number.")
    year = parsed.issue_date.year if parsed.issue_date else "?"
    fault = Fault("duplicate", message % {"number": parsed.number, "year": year})
    return CannotIssue([fault], duplicate_of=taken)


def free_number(invoice: Invoice) -> None:
    """Withdrawn before it was sent, or surely not accepted: its number may be given again."""
    invoice.holds_number = False
    invoice.save(update_fields=["holds_number", "updated_at"])


def hold_number(invoice: Invoice) -> bool:
    """It was issued after all: no other may bear its number. False where another does by now."""
    try:
        with transaction.atomic():
            Invoice.objects.filter(pk=invoice.pk).update(holds_number=True)
    except IntegrityError as error:
        if UNIQUE_NUMBER not in str(error):
            raise
        return False
    return True

"""Taking invoices and their documents in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection as database
from django.db import transaction
from django.utils.translation import gettext as _

from invoices.models import (
    AddressingLine,
    Customer,
    Direction,
    DocumentState,
    Invoice,
    InvoiceDocument,
    document_path,
)
from invoices.models.identity import key_of, party_key, references_in, seller_key
from invoices.validation import services as validation
from providers.contract.base import File, InvoiceReport, Party
from providers.formats.en16931.model import ParsedInvoice
from providers.formats.en16931.payment_terms import instalments_of, is_of_discount
from providers.formats.en16931.reader import read_invoice
from providers.formats.xml import UnreadableDocument
from providers.models import Connection
from providers.norm.codes import SELF_BILLED_TYPES
from providers.norm.companies import clean_address, siren_in

from . import origins, prepared
from .accounts import record_accounts, record_copied_accounts
from .processing import learn_rule
from .stored import TO_READ, read_document, telling_document

# What a document tells of an invoice, as `describe` writes it.
DESCRIBED = (
    "document_state", "document_error", "number", "type_code", "process", "issue_date", "due_date", "instalments",
    "currency", "total_without_vat", "total_vat", "total_with_vat", "amount_due", "vat_breakdown", "preceding_numbers",
    "preceding_dates", "warnings", "seller_key", "seller_name", "seller_siren", "seller_vat_number", "buyer_name",
    "buyer_siren", "buyer_vat_number", "processing_rule", "processing_source", "updated_at",
)  # fmt: skip
AMOUNTS = ("total_without_vat", "total_vat", "total_with_vat", "amount_due")
# What their columns hold, rounded to cents.
AMOUNT_LIMIT = Decimal(10) ** 16 - 1
# Any number no other advisory lock of ours has.
SHELF_LOCK = 7_304_001


class UnknownOwner(Exception):
    """No addressing line of this connection matches the invoice's party: an administrator must add it. `siren`: one of
    whose lines it would be, "" where none is told.
    """

    def __init__(self, message: str, siren: str) -> None:
        super().__init__(message)
        self.siren = siren


def receive_invoice(*, connection: Connection, report: InvoiceReport, files: Sequence[File]) -> tuple[Invoice, bool]:
    """Record an invoice a platform reports, with its files. Returns it and whether it is new. Raises UnknownOwner.

    An unreadable original does not lose the invoice: it is kept byte for byte, with the report's data and the reason.
    """
    parsed, error, is_original = _read_best(files)
    _refuse_two_companies(report, parsed)
    with transaction.atomic():
        known = origins.find_at(connection, report.provider_ref) is not None
        created = not known and (_adopt(connection, report, parsed) or _create_invoice(connection, report, parsed))
        # Locked, for its status may be written at the same time; and that is not among what is saved here.
        invoice = origins.lock_at(connection, report.provider_ref)
        if report.processing_rule:
            learn_rule(invoice, told=report.processing_rule)
            invoice.save(update_fields=["processing_rule", "processing_source", "updated_at"])
        for file in files:
            store_document(invoice=invoice, file=file)
        # The platform that brought it first says what is in it.
        is_first = invoice.connection_id == connection.pk or invoice.document_state != DocumentState.READ
        if is_first and (parsed is not None or error) and (is_original or invoice.original is None):
            describe(invoice, parsed, error)
            invoice.save(update_fields=DESCRIBED)
            if parsed is not None:
                record_accounts(invoice, parsed)
            origins.renew_namesakes(invoice)
        elif parsed is not None and not is_first:
            _hold_against(invoice, connection, parsed)
    return invoice, created


def _hold_against(invoice: Invoice, connection: Connection, parsed: ParsedInvoice) -> None:
    """The copy of a further platform describes nothing; what it says otherwise is told to a person."""
    copy = Invoice(customer=invoice.customer, direction=invoice.direction)
    describe(copy, parsed, "")
    origins.note_difference(invoice, connection, copy)
    record_copied_accounts(invoice, parsed)


def _read_best(files: Sequence[File]) -> tuple[ParsedInvoice | None, str, bool]:
    """The original or, where the platform keeps that for itself, its own version; what is wrong; and which it is."""
    for kind in TO_READ:
        for file in files:
            if file.kind != kind:
                continue
            is_original = kind == InvoiceDocument.Kind.ORIGINAL
            try:
                parsed = read_invoice(file.content, media_type=file.media_type, filename=file.filename)
            except UnreadableDocument as error:
                return None, str(error.message), is_original
            return parsed, "", is_original
    return None, "", False


def _adopt(connection: Connection, report: InvoiceReport, parsed: ParsedInvoice | None) -> bool:
    """An invoice we handed in, whose reference the platform tells here before it answered us."""
    issue_date = parsed.issue_date if parsed is not None else report.issue_date
    number = parsed.number if parsed is not None else report.number
    if report.direction != Direction.ISSUED or not number or not issue_date:
        return False
    seller = seller_key(parsed) if parsed is not None else key_of(siren=report.seller.siren)
    ours = Invoice.objects.select_for_update().filter(
        connection=connection,
        provider_ref="",
        holds_number=True,
        direction=Direction.ISSUED,
        seller_key=seller,
        number=number,
        issue_date__year=issue_date.year,
    )
    invoice = ours.first()
    return invoice is not None and bool(Invoice.objects.filter(pk=invoice.pk).update(provider_ref=report.provider_ref))


def _create_invoice(connection: Connection, report: InvoiceReport, parsed: ParsedInvoice | None) -> bool:
    """True too where it is the second copy of one we have; False where another worker was quicker."""
    customer, line, stranger = _owner(connection, report, parsed)
    told = {
        "customer": customer,
        "addressing_line": line,
        "direction": report.direction,
        "number": report.number[:200],
        "type_code": report.type_code[:3],
        "issue_date": report.issue_date,
        "due_date": report.due_date,
        "currency": report.currency[:3],
        "total_with_vat": in_column(report.total_with_vat),
        "seller_name": report.seller.name[:300],
        "seller_siren": report.seller.siren[:30],
        "seller_vat_number": report.seller.vat_number[:30],
        "buyer_name": report.buyer.name[:300],
        "buyer_siren": report.buyer.siren[:30],
        "buyer_vat_number": report.buyer.vat_number[:30],
    }
    copy = Invoice(connection=connection, provider_ref=report.provider_ref, **told)
    if parsed is not None:
        describe(copy, parsed, "")
    else:
        copy.seller_key = key_of(siren=copy.seller_siren, vat_number=copy.seller_vat_number, name=copy.seller_name)
    if origins.join(copy):
        return True
    if stranger:
        raise stranger
    _invoice, created = Invoice.objects.get_or_create(
        connection=connection, provider_ref=report.provider_ref, defaults=told
    )
    return created


def _owner(
    connection: Connection, report: InvoiceReport, parsed: ParsedInvoice | None
) -> tuple[Customer, AddressingLine | None, UnknownOwner | None]:
    """Whose it is. A customer whose line another platform serves now may still get here what it gets there too."""
    try:
        line = find_line(connection, report, parsed)
    except UnknownOwner as stranger:
        _addresses, sirens = _own_addresses(report, parsed)
        left = Customer.objects.filter(siren__in=sirens, invoices__connection=connection).first()
        if left is None:
            raise
        return left, None, stranger
    return line.customer, line, None


def find_line(connection: Connection, report: InvoiceReport, parsed: ParsedInvoice | None) -> AddressingLine:
    """Our addressing line on an invoice: the exact address first, then that of the establishment, then the shortest of
    the same company.
    """
    lines = {line.identifier: line for line in connection.addressing_lines.select_related("customer")}
    addresses, sirens = _own_addresses(report, parsed)
    for address in addresses:
        if address in lines:
            return lines[address]
    for siren in sirens:
        of_company = [line for identifier, line in lines.items() if identifier.split("_")[0] == siren]
        if of_company:
            return min(of_company, key=lambda line: len(line.identifier))
    if not addresses and not sirens and len({line.customer_id for line in lines.values()}) == 1:
        # Neither the platform nor the document, which may be broken, names a party: it can only be this customer's.
        return min(lines.values(), key=lambda line: len(line.identifier))
    raise UnknownOwner(
        _(
            "No addressing line of connection “%(connection)s” matches invoice %(invoice)s (%(party)s). "
            "Add the line: the rest follows by itself."
        )
        % {
            "connection": connection.name,
            "invoice": report.number or report.provider_ref,
            "party": ", ".join([*addresses, *sirens]) or "?",
        },
        sirens[0] if sirens else "",
    )


def _refuse_two_companies(report: InvoiceReport, parsed: ParsedInvoice | None) -> None:
    """Where the platform brings an invoice under one company and its document names another, no line decides."""
    told, written = _own_side(report, parsed)
    named = {told.siren, told.siret[:9], siren_in(told.identifier) if told.scheme in ("", "0225") else ""}
    if written is not None:
        named |= {written.company.siren}
    if len(found := sorted(named - {""})) > 1:
        names = {"invoice": report.number or report.provider_ref, "companies": ", ".join(found)}
        raise UnknownOwner(
            _(
                "Invoice %(invoice)s came under one company and names another (%(companies)s): nothing was recorded. "
                "Look at the identifiers of the lines and at the platform, then replay."
            )
            % names,
            "",
        )


def _own_side(report: InvoiceReport, parsed: ParsedInvoice | None) -> tuple[Party, Any]:
    """Our customer's side, as the platform tells it and as the document does."""
    type_code = parsed.type_code if parsed is not None else report.type_code
    is_buyer = (report.direction == Direction.RECEIVED) != (type_code in SELF_BILLED_TYPES)
    told = report.buyer if is_buyer else report.seller
    if parsed is None:
        return told, None
    return told, parsed.buyer if is_buyer else parsed.seller


def _own_addresses(report: InvoiceReport, parsed: ParsedInvoice | None) -> tuple[list[str], list[str]]:
    told, written = _own_side(report, parsed)
    addresses, sirens, sirets = [told.identifier], [told.siren], [told.siret]
    if written is not None:
        addresses.append(clean_address(written.electronic_address))
        sirens.append(written.company.siren)
        sirets.append(written.company.siret)
    # Without scheme an address is a French one only if it is ours.
    sirens += [siren_in(address) for address in addresses]
    places = [f"{siret[:9]}_{siret}" for siret in sirets if siret]
    return [a for a in (*addresses, *places) if a], list(dict.fromkeys(s for s in sirens if s))


def describe(invoice: Invoice, parsed: ParsedInvoice | None, error: str) -> None:
    """The document rules over the platform's summary; a broken one leaves the summary as it was."""
    if parsed is None:
        invoice.document_state, invoice.document_error = DocumentState.UNREADABLE, error
        return
    invoice.document_state, invoice.document_error = DocumentState.READ, ""
    invoice.number = parsed.number[:200] or invoice.number
    invoice.type_code = parsed.type_code[:3] or invoice.type_code
    invoice.process = parsed.process[:100]
    invoice.vat_point = parsed.tax_point_code[:3]
    invoice.issue_date = parsed.issue_date or invoice.issue_date
    describe_terms(invoice, parsed)
    invoice.currency = parsed.currency[:3] or invoice.currency
    for name in AMOUNTS:
        setattr(invoice, name, in_column(getattr(parsed, name)))
    invoice.vat_breakdown = [_vat_row(row) for row in parsed.vat_breakdown]
    references = references_in(parsed, by_line=invoice.is_credit_note or invoice.is_corrective)
    invoice.preceding_numbers = [each.number for each in references]
    invoice.preceding_dates = [each.issue_date and each.issue_date.isoformat() for each in references]
    invoice.warnings = [str(warning) for warning in parsed.warnings]
    if is_beyond_columns(parsed):
        invoice.warnings.append(_("The amounts of the invoice are too large to be true."))
    for role, party in (("seller", parsed.seller), ("buyer", parsed.buyer)):
        setattr(invoice, f"{role}_name", party.name[:300] or getattr(invoice, f"{role}_name"))
        setattr(invoice, f"{role}_siren", party.company.siren or getattr(invoice, f"{role}_siren"))
        setattr(invoice, f"{role}_vat_number", party.company.vat_number[:30])
    learn_rule(invoice, parsed=parsed)
    numbers = {"siren": invoice.seller_siren, "vat_number": invoice.seller_vat_number}
    invoice.seller_key = party_key(parsed.seller, **numbers)


def describe_terms(invoice: Invoice, parsed: ParsedInvoice) -> None:
    """Of instalments that were known, some may be paid: the day of the next one stays."""
    parts = ((day, in_column(amount)) for day, amount in instalments_of(parsed))
    rows = [{"due_on": f"{day}", "amount": f"{amount:.2f}"} for day, amount in parts if amount is not None]
    known = [{name: row[name] for name in ("due_on", "amount")} for row in invoice.instalments]
    if rows and rows == known:
        return
    told = None if is_of_discount(parsed, invoice.due_date) else invoice.due_date
    invoice.due_date = parsed.due_date or told
    invoice.instalments = rows


def in_column(amount: Decimal | None) -> Decimal | None:
    """None for what no column holds: the document itself still shows it."""
    return amount if amount is not None and abs(amount) < AMOUNT_LIMIT else None


def is_beyond_columns(parsed: ParsedInvoice) -> bool:
    return any(getattr(parsed, name) is not None and in_column(getattr(parsed, name)) is None for name in AMOUNTS)


def _vat_row(row: Any) -> dict[str, str | None]:
    def text(value: Any) -> str | None:
        return None if value is None else f"{value:.2f}"

    return {"category": row.category, "rate": text(row.rate), "base": text(row.base), "amount": text(row.amount)}


def reread(invoice_id: Any) -> bool:
    """Describe an invoice by its stored document, as it is read today. False where there is none that can be read."""
    with transaction.atomic():
        invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
        try:
            document = telling_document(invoice)
            parsed = read_document(document)
        except UnreadableDocument:
            return False
        prepared.renew(document)
        describe(invoice, parsed, "")
        invoice.save(update_fields=DESCRIBED)
        record_accounts(invoice, parsed, is_new=False)
    return True


def store_document(*, invoice: Invoice, file: File) -> InvoiceDocument:
    """Keep a file byte for byte under its SHA-256; the same bytes are stored once, none is ever overwritten."""
    sha256 = hashlib.sha256(file.content).hexdigest()
    document = InvoiceDocument(
        invoice=invoice,
        kind=file.kind,
        sha256=sha256,
        size=len(file.content),
        media_type=file.media_type[:100],
        filename=os.path.basename(file.filename)[:200],
    )
    known = InvoiceDocument.objects.filter(invoice=invoice, kind=file.kind, sha256=sha256).first()
    if known:
        return known
    with transaction.atomic():
        _lock_shelf("pg_advisory_xact_lock_shared")
        document.file.name = _shelve(document_path(document, ""), file.content)
        document.save()
    if document.kind == InvoiceDocument.Kind.ORIGINAL:
        validation.ask(document)
    if document.kind in TO_READ:
        prepared.ask_if_long(document, file.content)
    return document


def _shelve(path: str, content: bytes) -> str:
    """Where the bytes are: under their own name, or beside a file that has their name and is not them."""
    if default_storage.exists(path) and default_storage.size(path) == len(content):
        return path
    return default_storage.save(path, ContentFile(content))


def discard_content(name: str) -> bool:
    """Delete a stored file no document stands for any more. True if it was deleted."""
    with transaction.atomic():
        _lock_shelf("pg_advisory_xact_lock")
        if InvoiceDocument.objects.filter(file=name).exists():
            return False
        default_storage.delete(name)
        return True


def _lock_shelf(function: str) -> None:
    """Until the transaction ends: many may store at once, but nobody while a file is discarded."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [SHELF_LOCK])

"""Which invoice a platform speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from django.db.models import Func, OuterRef, Q, Value
from django.db.models.functions import StrIndex, Substr
from django.utils.translation import gettext as _

from invoices.models import Invoice, InvoiceOrigin
from invoices.models.identity import key_of
from invoices.register import origins
from lifecycle.history.answers import find_answered, reasons_in_words
from providers.contract.base import InvoiceKey, StatusReport
from providers.models import Connection
from providers.norm.codes import STATUSES, Status, status_label

# Of several invoices of one name: how many are told to a person.
MOST_NAMED = 5


class UnknownInvoice(Exception):
    """A report names an invoice we do not have."""

    def __init__(self, provider_ref: str) -> None:
        super().__init__(
            _("The platform speaks of invoice %(ref)s, which we do not know (yet). Retried when it arrives.")
            % {"ref": provider_ref}
        )
        self.provider_ref = provider_ref


class UnknownAnswer(UnknownInvoice):
    """An answer names a message, file or transmission that we did not send, or that we do not find again."""

    def __init__(self, report: StatusReport) -> None:
        super().__init__("")
        about = STATUSES[report.status].object.label if report.status else "?"
        told = {
            "status": f"{report.status} {status_label(report.status)}",
            "about": about,
            "answers": report.answers,
            "reasons": "\n".join(reasons_in_words(report)) or "–",
        }
        message = _(
            "The answer %(status)s speaks of “%(answers)s” (%(about)s), which nothing of ours bears. %(reasons)s\n"
            "Ask the platform what it means."
        )
        self.args = (message % told,)


class Ambiguous(UnknownInvoice):
    """A report names an invoice by seller and number, and several bear it: nothing is guessed."""

    def __init__(self, provider_ref: str, candidates: Iterable[Invoice]) -> None:
        super().__init__(provider_ref)
        names = "; ".join(
            _("%(number)s of %(date)s") % {"number": each, "date": each.issue_date or "?"} for each in candidates
        )
        message = _(
            "The platform speaks of invoice %(ref)s, and several may be meant: %(names)s. Nothing was recorded: look "
            "at the platform which one it is."
        )
        self.args = (message % {"ref": provider_ref, "names": names},)


class NotShown(UnknownInvoice):
    """The platform announced an invoice that it does not show: its answers may lag behind its pushes."""


def find_invoice(connection: Connection | UUID, provider_ref: str) -> Invoice | None:
    return origins.find_at(connection, provider_ref)


def references_at(connection: Connection, references: Iterable[str]) -> set[str]:
    """Those of these references that name invoices we have."""
    wanted = {"connection": connection, "provider_ref__in": references}
    first, further = Invoice.objects.filter(**wanted), InvoiceOrigin.objects.filter(**wanted)
    return {*first.values_list("provider_ref", flat=True), *further.values_list("provider_ref", flat=True)}


def find_reported(connection: Connection, report: StatusReport, line_identifier: str = "") -> Invoice | None:
    """The invoice of a report: by the platform's reference, by what of ours it answers, or by its names in law."""
    if report.answers and not report.provider_ref:
        answered = find_answered(connection, report.answers)
        return answered.invoice if answered else None
    if report.provider_ref or report.invoice_key is None:
        return find_invoice(connection, report.provider_ref)
    return find_named(connection, report.invoice_key, line_identifier)


def find_named(connection: Connection, key: InvoiceKey, line_identifier: str = "") -> Invoice | None:
    """None also where several fit, unless all but one were rejected: the number was given again then. Whoever speaks
    for one addressing line reaches the invoices of that line alone.
    """
    found = fitting(connection, key, line_identifier)
    if len(found) > 1:
        found = [invoice for invoice in found if invoice.status != Status.REJECTED]
    return found[0] if len(found) == 1 else None


def fitting(connection: Connection, key: InvoiceKey, line_identifier: str = "") -> list[Invoice]:
    """Those that a message may mean by this name; a few of them where they are many."""
    seller = key_of(siren=key.seller_siren)
    if not seller and not key.is_quoted:
        return []
    rows = Invoice.objects.filter(origins.held_by(connection), number=key.number)
    if seller:
        rows = rows.filter(seller_key=seller)
    if key.direction:
        rows = rows.filter(direction=key.direction)
    if key.issue_date:
        rows = rows.filter(Q(issue_date__year=key.issue_date.year) | Q(issue_date=None))
    if line_identifier:
        line = Q(addressing_line__identifier=line_identifier)
        further = InvoiceOrigin.objects.filter(line, connection=connection)
        rows = rows.filter(line | Q(pk__in=further.values("invoice")))
    return list(rows[:MOST_NAMED])


def waiting_name(report: StatusReport) -> str:
    """What a delivery waits for, where nobody knows its invoice yet."""
    key = report.invoice_key
    if report.provider_ref or key is None:
        return report.provider_ref
    return lawful_name(key_of(siren=key.seller_siren), key.number)


def lawful_name(seller_key: str, number: str) -> str:
    return f"{seller_key}/{number}"[:200]


def named_as(column: str, prefix: str = "") -> Q:
    """For a subquery: the invoices (reached by `prefix`) of the `lawful_name` that a column of the outer row holds."""
    name, slash = OuterRef(column), Value("/")
    seller, number = Func(name, slash, Value(1), function="split_part"), Substr(name, StrIndex(name, slash) + 1)
    return Q(**{f"{prefix}seller_key": seller, f"{prefix}number": number}) & ~Q(**{f"{prefix}seller_key": ""})


def get_invoice(connection: Connection, provider_ref: str) -> Invoice:
    invoice = find_invoice(connection, provider_ref)
    if invoice is None:
        raise UnknownInvoice(provider_ref)
    return invoice


def unknown(connection: Connection, report: StatusReport, line_identifier: str = "") -> UnknownInvoice:
    """Why a report cannot be recorded with any invoice."""
    if report.answers:
        return UnknownAnswer(report)
    by_name = report.invoice_key if not report.provider_ref else None
    candidates = fitting(connection, by_name, line_identifier) if by_name else []
    name = waiting_name(report)
    return Ambiguous(name, candidates) if candidates else UnknownInvoice(name)


def told_at(connection: Connection, invoice: Invoice, report: StatusReport) -> StatusReport:
    """The report with the reference of the platform it comes from, where it names the invoice by its names in law;
    these stay only where the invoice was found by them.
    """
    if report.provider_ref:
        return replace(report, invoice_key=None)
    return replace(report, provider_ref=invoice.origin_at(connection.pk).provider_ref)

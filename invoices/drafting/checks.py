"""What a draft still lacks, told while it is typed. The official rules have the last word, in the worker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from stdnum.fr import siren, siret

from providers.formats.en16931.checks import is_iban
from providers.formats.en16931.model import ParsedInvoice
from providers.norm.codes import CORRECTIVE_TYPES, CREDIT_NOTE_TYPES, SELF_BILLED_TYPES

from .compose import TRANSFERS
from .tables import DEPOSIT_TYPES, FACTORED_TYPES, FINAL_FRAMES, PAID_FRAMES

# BR-FR-01 and 02.
NUMBER = re.compile(r"[A-Za-z0-9+_/-]{1,35}")
GLOBAL_ALLOWANCE = "262"
EARLIEST, LATEST = date(2000, 1, 1), timedelta(days=366)


@dataclass(frozen=True)
class Lack:
    """`field` is where to put it right."""

    field: str
    message: str | Promise


Check = tuple[str, Promise | str, Callable[[ParsedInvoice], Any]]


def other(document: ParsedInvoice) -> Any:
    return document.seller if document.type_code in SELF_BILLED_TYPES else document.buyer


def own(document: ParsedInvoice) -> Any:
    return document.buyer if document.type_code in SELF_BILLED_TYPES else document.seller


def used(document: ParsedInvoice, category: str) -> bool:
    return any(row.category == category for row in document.vat_breakdown)


def dated_references(document: ParsedInvoice) -> int:
    return sum(reference.issue_date is not None for reference in document.preceding_invoices)


# Field, what is lacking, and whether it is there.
CHECKS: tuple[Check, ...] = (
    ("number", _("Give the invoice a number."), lambda d: d.number),
    (
        "number",
        _("The number holds letters, digits and + - _ / only (BR-FR-01)."),
        lambda d: not d.number or NUMBER.fullmatch(d.number),
    ),
    ("issue_date", _("Give the issue date."), lambda d: d.issue_date),
    (
        "issue_date",
        _("The issue date cannot be right: it lies before 2000 or more than a year ahead."),
        lambda d: not d.issue_date or EARLIEST < d.issue_date < timezone.localdate() + LATEST,
    ),
    (
        "type_code",
        _("The total is negative: choose a credit note, with positive quantities."),
        lambda d: d.type_code in CREDIT_NOTE_TYPES | CORRECTIVE_TYPES or (d.total_with_vat or 0) >= 0,
    ),
    (
        "due_date",
        _("Give the due date or the payment terms."),
        lambda d: d.due_date or d.payment_terms or (d.amount_due or 0) <= 0,
    ),
    (
        "due_date",
        _("The due date lies before the issue date (BR-FR-CO-07)."),
        lambda d: (
            not (d.due_date and d.issue_date)
            or d.due_date >= d.issue_date
            or d.process in PAID_FRAMES
            or d.type_code in DEPOSIT_TYPES
        ),
    ),
    (
        "due_date",
        _("An invoice already paid has its payment date as due date (BR-FR-CO-09)."),
        lambda d: d.process not in PAID_FRAMES or d.due_date,
    ),
    (
        "process",
        _("A deposit invoice cannot have the frame of a final invoice (BR-FR-CO-08)."),
        lambda d: not (d.process in FINAL_FRAMES and d.type_code in DEPOSIT_TYPES),
    ),
    (
        "vat_in_euro",
        _("Outside the euro the total VAT is told in euro too (BR-FR-CO-12)."),
        lambda d: d.currency == "EUR" or d.total_vat_in_vat_currency is not None,
    ),
    ("own_name", _("Give the name of your own company."), lambda d: own(d).name),
    ("own_street", _("Give the address of your own company."), lambda d: own(d).address.city),
    (
        "own_siret",
        _("The SIRET has 14 digits and starts with the SIREN."),
        lambda d: not own(d).siret or (siret.is_valid(own(d).siret) and own(d).siret.startswith(own(d).siren)),
    ),
    ("own_vat_number", _("Give the seller's VAT number."), lambda d: own(d).vat_number or exempt(d)),
    ("other_siren", _("Give the other company's SIREN: 9 digits."), lambda d: siren.is_valid(other(d).siren)),
    (
        "other_siret",
        _("The SIRET has 14 digits and starts with the SIREN."),
        lambda d: not other(d).siret or (siret.is_valid(other(d).siret) and other(d).siret.startswith(other(d).siren)),
    ),
    ("other_name", _("Give the other company's name."), lambda d: other(d).name),
    ("other_street", _("Give the other company's address."), lambda d: other(d).address.city),
    (
        "other_address",
        _("The electronic address starts with the company's SIREN (BR-FR-21)."),
        lambda d: other(d).electronic_address.startswith(other(d).siren),
    ),
    (
        "references-0-number",
        _("A corrective invoice names exactly one earlier invoice with its date (BR-FR-CO-04)."),
        lambda d: d.type_code not in CORRECTIVE_TYPES or (len(d.preceding_invoices) == 1 and dated_references(d) == 1),
    ),
    (
        "references-0-number",
        _("A credit note names the earlier invoice with its date (BR-FR-CO-05)."),
        lambda d: (
            d.type_code not in CREDIT_NOTE_TYPES - {GLOBAL_ALLOWANCE}
            or 0 < dated_references(d) == len(d.preceding_invoices)
        ),
    ),
    (
        "contract_reference",
        _("A global allowance names the contract and the period (BR-FR-CO-03)."),
        lambda d: d.type_code != GLOBAL_ALLOWANCE or (d.contract_reference and d.period),
    ),
    ("exemption_reason", _("Say why the invoice is exempt from VAT."), lambda d: not used(d, "E") or exempt(d)),
    (
        "iban",
        _("Give a valid IBAN for the transfer."),
        lambda d: all(is_iban(row.iban) for row in d.payment_means if row.code in TRANSFERS),
    ),
    ("payee_name", _("Name the factor who is to be paid."), lambda d: d.type_code not in FACTORED_TYPES or d.payee),
    ("lines-0-name", _("Add at least one line."), lambda d: d.lines),
    *(
        (
            f"note_{code}",
            _("One of the three notes wanted by law is missing (BR-FR-05)."),
            lambda d, code=code: code in {note.subject_code for note in d.notes},
        )
        for code in ("PMT", "PMD", "AAB")
    ),
)
LINE_CHECKS: tuple[tuple[str, Promise | str, Callable[[Any], Any]], ...] = (
    ("name", _("Name the item."), lambda line: line.name),
    ("quantity", _("Give the quantity."), lambda line: line.quantity is not None),
    ("quantity", _("The quantity cannot be zero: remove the line instead."), lambda line: line.quantity != 0),
    ("price", _("Give the price."), lambda line: line.net_price is not None),
    ("price", _("A price is not negative: use a negative quantity."), lambda line: (line.net_price or 0) >= 0),
    ("vat", _("Choose the VAT."), lambda line: line.vat_category),
)


def exempt(document: ParsedInvoice) -> bool:
    return any(row.category == "E" and row.exemption_reason for row in document.vat_breakdown)


def lacks(document: ParsedInvoice) -> Iterator[Lack]:
    for field, message, is_there in CHECKS:
        if not is_there(document):
            yield Lack(field, message)
    for index, line in enumerate(document.lines):
        for field, message, is_there in LINE_CHECKS:
            if not is_there(line):
                yield Lack(f"lines-{index}-{field}", message)

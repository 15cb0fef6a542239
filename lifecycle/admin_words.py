"""Codes and stored JSON in the words of the admin's pages. What has no words is shown as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.history.answers import alert_text, alerts_of
from providers.formats.decimals import read_decimal
from providers.formats.en16931.wording import as_iban, as_money, as_vat
from providers.norm import transitions
from providers.norm.codes import Role, reason_label

from .models import RelayTask, StatusEvent

NOTHING = "–"


def listed(words: Iterable[Any]) -> str | SafeString:
    rows = [(word,) for word in words if word]
    return format_html('<ul class="plain">{}</ul>', format_html_join("", "<li>{}</li>", rows)) if rows else NOTHING


def remarks_on(invoice: Invoice) -> list[str]:
    """What a person has to know before deciding, as the desk tells it above its buttons."""
    alerts = [alert_text(event) for event in alerts_of(invoice)]
    return [*alerts, *_account_remarks(invoice), *transitions.kept_back(services.facts_of(invoice))]


def _account_remarks(invoice: Invoice) -> Iterable[str]:
    if invoice.has_open_account_change:
        change = invoice.account_change
        words = _(
            "New account: %(new)s, instead of %(known)s. Ask the supplier, on a way you knew before, and pay nothing "
            "until somebody has said on the invoice's page that it is checked."
        )
        named = {name: ", ".join(as_iban(row["iban"]) for row in getattr(change, name)) for name in ("new", "known")}
        yield words % named


def event_label(event: StatusEvent) -> str:
    return f"{event.status} {event.label}" if event.status else event.label


def surprise(event: StatusEvent) -> str:
    """In words: the admin's green tick would praise what breaks the table."""
    return _("against the table") if event.unexpected else ""


def role_words(event: StatusEvent) -> str:
    role = event.issuer_role
    return str(Role(role).label) if role in Role.values else role or NOTHING


def reason_words(event: StatusEvent) -> str | SafeString:
    return listed(_reason(row) for row in event.reasons)


def _reason(row: dict[str, str]) -> str:
    label = reason_label(row["code"]) if row.get("code") else row.get("native_code", "")
    return f"{label} – {row['text']}" if row.get("text") else label


def payment_words(event: StatusEvent) -> str | SafeString:
    return listed(_payment(row) for row in event.payments)


def _payment(row: dict[str, Any]) -> str:
    money = as_money(read_decimal(row.get("amount")), row.get("currency") or "")
    rate = read_decimal(row.get("vat_rate"))
    return money if rate is None else f"{money} ({_('VAT')} {as_vat('S', rate)})"


def vat_words(invoice: Invoice) -> str | SafeString:
    return listed(_vat_row(row, invoice.currency) for row in invoice.vat_breakdown)


def _vat_row(row: dict[str, Any], currency: str) -> str:
    return _("%(vat)s: %(amount)s on %(base)s") % {
        "vat": as_vat(row.get("category") or "S", read_decimal(row.get("rate"))) or NOTHING,
        "amount": as_money(read_decimal(row.get("amount")), currency) or NOTHING,
        "base": as_money(read_decimal(row.get("base")), currency) or NOTHING,
    }


def receipt_words(relay: RelayTask) -> str | SafeString:
    """What the platform answered, and who said that it is there where nobody could ask."""
    receipt = relay.receipt or {}
    moment = parse_datetime(receipt.get("at") or "")
    who = receipt.get("resolved_by")
    return listed(
        [
            receipt.get("text"),
            receipt.get("reference") and _("Reference: %(reference)s") % {"reference": receipt["reference"]},
            moment and date_format(timezone.localtime(moment), "DATETIME_FORMAT"),
            who and _("Said to be there by %(person)s") % {"person": who},
        ]
    )

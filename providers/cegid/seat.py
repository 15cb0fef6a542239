"""What both seats of the protocol share: words, reading, and the answer that may be lost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import MIB, Delivery, HookRequest, InvoiceFacts, Receipt, StatusMessage, Unsupported
from providers.contract.http import Answer, HttpAdapter

from . import reading, tables
from .words import Words

JSON = "application/json"
# Assumed, as Cegid's pages are silent: an invoice travels inside a message, in base64.
LARGEST_BODY = 20 * MIB
RECEIPTS = uuid.UUID("0d3f9a1e-2f0b-4a39-8f0e-6d3b6ce0a1c4")


class Seat(HttpAdapter):
    """Either end. `carries` is who may say what to the other one, by direction and issuer."""

    max_hook_body = LARGEST_BODY
    hook_success_status = 202
    connection_data = ("api_key",)
    carries: Mapping[tuple[str, str], frozenset[str]]

    @property
    def words(self) -> Words:
        return Words.of(
            statuses=self.setting("status_words") or (),
            reasons=self.setting("reason_words") or (),
            line_prefix=self.setting("addressing_line_prefix"),
        )

    def parse_webhook(self, request: HookRequest) -> Delivery:
        return reading.parse(request, self.words)

    def receipt_id(self, key: str) -> str:
        """What we call a message we stored: the same when it comes again."""
        return str(uuid.uuid5(RECEIPTS, f"{self.account.id}/{key}"))

    def require_sayable(self, message: StatusMessage) -> None:
        invoice = message.invoice
        if message.status not in self.carries.get((invoice.direction, message.issuer_role), frozenset()):
            told = {"status": message.status, "platform": self.label}
            raise Unsupported(_("%(platform)s does not carry status %(status)s from this side.") % told)

    def find_status(self, message: StatusMessage) -> Receipt | None:
        """The protocol shows nothing. None where sending again is harmless, for the message keeps its id."""
        if self.setting("resend_uncertain"):
            return None
        raise Unsupported(_("%(platform)s cannot be asked what became of a message.") % {"platform": self.label})

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        if self.setting("resend_uncertain"):
            return None
        raise Unsupported(_("%(platform)s cannot be asked what became of a message.") % {"platform": self.label})

    def reference_of(self, invoice: InvoiceFacts) -> str:
        key = reading.InvoiceKey(
            seller_siren=invoice.seller.siren,
            number=invoice.number,
            issue_date=invoice.issue_date,
            direction=invoice.direction,
        )
        return reading.reference_of(invoice.line_identifier, key)


def reference_in(answer: Answer, *names: str) -> str:
    """The id that an answer gives, "" where it gives none."""
    document: Any = answer.find_json()
    values = (document.get(name) for name in names) if isinstance(document, dict) else ()
    return next((value for value in values if isinstance(value, str) and value), "")


def status_of(code: str, issuer: str) -> dict[str, Any]:
    return {"code": int(code), "issuer": issuer}


def platform_word(role: str) -> str:
    return tables.ISSUERS[role]

"""What we tell Billit of an invoice: a refusal as its buyer, a payment received as its seller, nothing else."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from providers.contract.base import InvoiceFacts, PermanentError, Receipt, StatusMessage, UncertainError, Unsupported
from providers.contract.told import note_of, text_of
from providers.formats.cdar import PARIS
from providers.formats.decimals import read_decimal
from providers.norm.codes import Role, Side

from . import reading, tables
from .orders import Orders
from .session import NUMBER

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NO_NEGATIVE = gettext_lazy(
    "Billit takes positive payments only, so neither a refund nor a receipt taken back can be declared here: do it in "
    "MyBillit."
)
SELLER_ROLES = frozenset({Role.SELLER, Role.SELLER_AGENT, Role.FACTOR, Role.PAYEE, Role.INVOICER})
BY_SIDE: dict[str, frozenset[str]] = {Side.BUYER: frozenset({"210"}), Side.SELLER: frozenset({"212"})}


class Telling(Orders):
    def reasons_for(self, status: str, *, side: str) -> frozenset[str]:
        return frozenset(tables.REASONS) if status == "210" and side == Side.BUYER else frozenset()

    @classmethod
    def objection(cls, invoice: InvoiceFacts, status: str) -> StrOrPromise:
        return NO_NEGATIVE if invoice.gives_back and status == "212" else ""

    def require_sayable(self, message: StatusMessage) -> None:
        side = Side.SELLER if message.issuer_role in SELLER_ROLES else Side.BUYER
        if message.status not in BY_SIDE[side]:
            told = {"status": message.status}
            raise Unsupported(_("Billit does not carry status %(status)s from this side.") % told)
        refusal(message) if message.status == "210" else payment(message)

    def send_status(self, message: StatusMessage) -> Receipt:
        self.require_sayable(message)
        return self._refuse(message) if message.status == "210" else self._pay(message)

    # --- 210 ---

    def _refuse(self, message: StatusMessage) -> Receipt:
        body = refusal(message)
        entity = self.entity_for(message.invoice.line_identifier, message.invoice.provider_ref)
        answer = self.tell("POST", self.url("refuse_path"), body, party=entity.party)
        # Page "Refusal of an Invoice (API)": 200 with the body 1.
        if answer.text.strip() not in ("1", '"1"'):
            message_text = _("Billit answered the refusal with something else than 1: did it take it?")
            raise UncertainError(message_text, status_code=answer.status_code, answer=answer.text)
        return Receipt()

    # --- 212 ---

    def _pay(self, message: StatusMessage) -> Receipt:
        body = payment(message)
        entity = self.entity_for(message.invoice.line_identifier, message.invoice.provider_ref)
        url = self.url("payments_path", order=message.invoice.provider_ref)
        headers = {"Idempotency-Key": idempotency_key(message.id)}
        try:
            # Any JSON: no page shows the answer (November 2026).
            self.wire.require_receipt(self.tell("POST", url, body, party=entity.party, headers=headers))
        except PermanentError as error:
            if not is_done_already(error):
                raise
        rates = _("Billit has no field for VAT rates: they stand in the payment's description.")
        return Receipt(text=rates if any(each.vat_rate is not None for each in message.payments) else "")

    # --- after a lost answer ---

    def find_status(self, message: StatusMessage) -> Receipt | None:
        order, _entity = self.fetch_order(message.invoice.provider_ref)
        reference = message.invoice.provider_ref
        if message.status == "210":
            return Receipt(reference=reference, confirmed=True) if reading.is_refused(order) else None
        paid = sum((each.amount for each in message.payments), Decimal(0))
        if order.get("Paid") is True and read_decimal(order.get("TotalIncl")) == paid:
            return Receipt(reference=reference, confirmed=True)
        # Page "Update Payment Information": an order does not show its payments.
        raise Unsupported(_("Billit does not show the payments of an order through its API."))


def refusal(message: StatusMessage) -> dict[str, Any]:
    """One code; the other reasons stand in the text, in the official French words."""
    number = message.invoice.provider_ref
    for reason in message.reasons:
        if reason.code not in tables.REASONS:
            told = {"reason": reason.code}
            raise Unsupported(_("Billit does not carry the reason %(reason)s with a refusal.") % told)
    if not message.reasons:
        raise Unsupported(_("Billit wants a reason with a refusal."))
    if not NUMBER.fullmatch(number):
        raise PermanentError(_("“%(value)s” is no number of Billit's.") % {"value": number[:100]})
    return {
        "RefusalReasonCode": tables.REASONS[message.reasons[0].code],
        "RefusalReasonDescription": text_of(message),
        "OrderIDs": [int(number)],
    }


def payment(message: StatusMessage) -> dict[str, Any]:
    """One amount for all rates: Billit takes one, positive, and a text (page "Update Payment Information")."""
    currencies = {each.currency for each in message.payments}
    amounts = [each.amount for each in message.payments]
    if len(currencies) > 1 or not all(amount.is_finite() for amount in amounts):
        raise Unsupported(_("Billit takes a payment in one currency."))
    if not amounts or min(amounts) <= 0:
        raise Unsupported(str(NO_NEGATIVE))
    total = sum(amounts, Decimal(0))
    if total != Decimal(f"{total:.2f}"):
        raise Unsupported(_("Billit takes amounts with two decimals; %(number)s has more.") % {"number": total})
    rows = [f"{each.vat_rate:f} % : {each.amount:.2f}" for each in message.payments if each.vat_rate is not None]
    return {
        "Amount": total,
        "Description": "\n".join(filter(None, ["TVA " + " ; ".join(rows) if rows else "", note_of(message)])),
        "Date": message.occurred_at.astimezone(PARIS).date().isoformat(),
    }


def idempotency_key(name: str) -> str:
    """Letters and digits only, the same for each try (page "Idempotent Tokens")."""
    return uuid.uuid5(uuid.NAMESPACE_OID, name).hex


def is_done_already(error: PermanentError) -> bool:
    """The key was used: what it stands for has succeeded before. Only a key of our own can have been."""
    return error.status_code == 409

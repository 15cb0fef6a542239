"""Handing an invoice in: created and sent in one call, for Billit sends what is only created by itself the next day."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import MIB, File, InvoiceFacts, PermanentError, Receipt, UncertainError

from . import reading
from .listing import Listing
from .session import NUMBER, objects
from .telling import idempotency_key, is_done_already
from .ubl import write_order

# Words of an error that speaks of a number in use (page "Specific Content Requirements PA": unique).
DUPLICATE_WORDS = ("duplicate", "already exist", "unique")


class Submitting(Listing):
    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        if len(file.content) > self.setting("max_file_mb") * MIB:
            told = {"limit": self.setting("max_file_mb")}
            raise PermanentError(_("The file is larger than the %(limit)s MB allowed for Billit.") % told)
        written = write_order(file.content, business_type_field=self.setting("business_type_field"))
        entity = self.entity_for(invoice.line_identifier, invoice.provider_ref)
        body = {"TransportType": self.setting("transport_type"), "Order": written.order}
        url = self.url("send_path", registration=entity.registration)
        # One key for one document: what is sent again after a lost answer is the same.
        name = f"{self.account.id} {entity.registration} {hashlib.sha256(file.content).hexdigest()}"
        headers = {"Idempotency-Key": idempotency_key(name)}
        try:
            answer = self.tell("POST", url, body, headers=headers, party=entity.party, upload=True)
        except PermanentError as error:
            return self._take_as_done(error, invoice)
        document = answer.find_json()
        reference = find_created(document)
        if not reference:
            message = _("Billit took the invoice but did not say under which number.")
            raise UncertainError(message, status_code=answer.status_code, answer=answer.text)
        return Receipt(reference=reference, text=" ".join([*_told(document), *_left_out(written.left_out)]))

    def _take_as_done(self, error: PermanentError, invoice: InvoiceFacts) -> Receipt:
        """A key used before says that an earlier try succeeded. A number in use may be that try, or another invoice."""
        if is_done_already(error):
            found = self.find_invoice(invoice)
            if found is not None:
                return found
            message = _("Billit says that it has this invoice already, and does not show it in its list.")
            raise UncertainError(message, status_code=error.status_code, answer=error.answer)
        spoken = f"{error.message} {error.answer}".lower()
        if error.status_code == 400 and any(word in spoken for word in DUPLICATE_WORDS):
            raise UncertainError(error.message, status_code=error.status_code, answer=error.answer)
        raise error


def find_created(document: Any) -> str:
    """The order's number: bare, or under a name; one page calls it registrationID."""
    if isinstance(document, dict):
        lower = {name.lower(): value for name, value in document.items()}
        document = next((lower[name] for name in ("orderid", "registrationid") if lower.get(name)), None)
    number = reading.text(document)
    return number if NUMBER.fullmatch(number) else ""


def _told(document: Any) -> list[str]:
    """Warnings that came with success."""
    rows = objects(document.get("TransportMessages")) if isinstance(document, dict) else []
    return [
        text for row in rows if (text := reading.text(row.get("ErrorMessage")) or reading.text(row.get("DefaultText")))
    ]


def _left_out(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    return [_("Billit's orders have no place for: %(names)s. It was not passed on.") % {"names": ", ".join(names)}]

"""Invoices handed in as EN 16931 JSON, by way of a draft: checked, kept, then issued and submitted by Seqino.

Page "drafts", read in November 2026. The answers of its calls are cut: what we read of them is an assumption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import InvoiceFacts, PermanentError, UncertainError
from providers.formats.json_terms import text

from .session import Session

DRAFTS_MEMORY = "drafts"
DRAFTS_KEPT = 200  # that Seqino refused to issue, and wait for a better version
LISTS = ("errors", "messages", "violations", "issues")


class Drafts(Session):
    def submit_draft(self, data: Mapping[str, Any], invoice: InvoiceFacts, client: str) -> str:
        """The id of the invoice that came of it. A refused one leaves its draft, which a better version replaces."""
        self._require_valid(data, client)
        place = _place(invoice)
        draft = self._known_draft(place)
        if draft and self._replace(draft, data, client):
            return self._issue(draft, place, client)
        return self._issue(self._create_draft(data, place, client), place, client)

    def _require_valid(self, data: Mapping[str, Any], client: str) -> None:
        """What Seqino has against the data, before anything is made of it."""
        url = self.url("drafts", "validate-data")
        found = self.told_object(self.tell("POST", url, client=client, repeatable=True, json={"invoice_data": data}))
        refused = any(found.get(name) is False for name in ("valid", "is_valid"))
        faults = list(_faults(found))
        if refused or faults:
            raise PermanentError(
                _("Seqino finds the invoice faulty: %(faults)s") % {"faults": "; ".join(faults) or "?"}
            )

    def _create_draft(self, data: Mapping[str, Any], place: str, client: str) -> str:
        # Nothing is submitted by it: a draft whose answer got lost lies there unused, and another one is no harm.
        answer = self.tell("POST", self.url("drafts"), client=client, repeatable=True, json=data)
        made = self.told_object(answer)
        draft = next(filter(None, map(text, (made.get("draft_id"), made.get("id")))), "")
        if not draft:
            raise PermanentError(_("Seqino took the draft but did not say under which id."), answer=answer.text)
        self._remember(place, draft)
        return draft

    def _replace(self, draft: str, data: Mapping[str, Any], client: str) -> bool:
        """False where the draft is gone, or was issued and can be changed no more."""
        url = self.url("drafts", self.reference(draft))
        try:
            self.tell("PUT", url, client=client, repeatable=True, json=data)
        except PermanentError as error:
            if error.status_code not in (404, 409, 410):
                raise
            return False
        return True

    def _issue(self, draft: str, place: str, client: str) -> str:
        """Validated means submitted: from here on the answer may be lost with the invoice on its way."""
        wanted = self.setting("draft_format")
        options: dict[str, Any] = {"json": {"format": wanted}} if wanted else {}
        url = self.url("drafts", self.reference(draft), "validate")
        answer = self.tell("POST", url, client=client, **options)
        self._remember(place, "")
        issued = self.receipt_object(answer)
        reference = next(filter(None, map(text, (issued.get("invoice_id"), issued.get("id")))), "")
        if not reference or reference == draft:
            message = _("Seqino issued draft %(draft)s but did not say under which number the invoice goes.")
            raise UncertainError(message % {"draft": draft}, status_code=answer.status_code, answer=answer.text)
        return reference

    # --- the drafts we left there ---

    def _known_draft(self, place: str) -> str:
        kept = self.memory.get(DRAFTS_MEMORY) or {}
        return str(kept.get(place, ""))

    def _remember(self, place: str, draft: str) -> None:
        kept = {name: each for name, each in (self.memory.get(DRAFTS_MEMORY) or {}).items() if name != place}
        if draft:
            kept[place] = draft
        self.memory.set(DRAFTS_MEMORY, dict(list(kept.items())[-DRAFTS_KEPT:]))


def _place(invoice: InvoiceFacts) -> str:
    """The same for every version of one invoice."""
    facts = (invoice.line_identifier, invoice.number, invoice.buyer.siren)
    return hashlib.sha256("|".join(facts).encode()).hexdigest()[:16]


def _faults(found: Mapping[str, Any]) -> Iterator[str]:
    """Messages that count as errors; suggestions and warnings do not."""
    for name in LISTS:
        for item in found.get(name) or ():
            if isinstance(item, str):
                if name != "messages":
                    yield item
            elif isinstance(item, dict):
                level = text(item.get("level") or item.get("severity")).lower()
                if level in ("error", "fatal") or (not level and name != "messages"):
                    yield ": ".join(
                        filter(None, map(text, (item.get("field"), item.get("message") or item.get("msg"))))
                    )

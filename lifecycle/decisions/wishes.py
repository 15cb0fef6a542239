"""What a person wants to say about an invoice, before anybody has said it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from providers.contract.base import Payment, Reason
from providers.norm import transitions


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person wants to say about an invoice. `version` is the one they saw, None if they did not look; `sure`:
    they were told what is unlikely about it, and mean it.
    """

    status: str
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()
    version: int | None = None
    sure: bool = False

    @property
    def told_note(self) -> str:
        """What travels in the end, and is recorded."""
        return transitions.note_told(self.status, reasons=self.reasons, payments=self.payments, note=self.note)

    def fingerprint(self, invoice_id: Any) -> str:
        text = json.dumps([str(invoice_id), self.status, repr(self.reasons), self.note, repr(self.payments)])
        return hashlib.sha256(text.encode()).hexdigest()

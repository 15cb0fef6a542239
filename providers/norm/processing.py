"""What kind of business an invoice is to the reform: the processing rule of its flow.

Source: AFNOR XP Z12-013, contracts 1.2.0 and 1.3.0 (`processingRule`), read in November 2026; the note BAR of an
invoice (BR-FR-20) writes the same words in capitals. What follows from them: DGFiP, external specifications v3.2, notes
30 and 32 (flows 8 and 9 make no flow 1 and no life cycle to the administration).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

FIELDS = ("processingRule", "processing_rule", "ProcessingRule")


class Rule(TextChoices):
    B2B = "B2B", _("Between companies in France (e-invoicing)")
    B2G = "B2G", _("To the public sector (e-invoicing)")
    B2B_INT = "B2BInt", _("International, between companies (e-reporting)")
    B2G_INT = "B2GInt", _("International, to the public sector (e-reporting)")
    B2C = "B2C", _("To a consumer (e-reporting)")
    OUT_OF_SCOPE = "OutOfScope", _("Outside the reform")
    B2G_OUT_OF_SCOPE = "B2GOutOfScope", _("To the public sector, outside the reform")
    ARCHIVE_ONLY = "ArchiveOnly", _("Archived only, not transmitted")


class Source(TextChoices):
    """Who says so."""

    PLATFORM = "platform", _("as the platform says")
    DOCUMENT = "document", _("as the invoice says (note BAR)")
    PARTIES = "parties", _("as follows from its parties")


BY_WORD = {rule.value.upper(): rule.value for rule in Rule}
# Invoices the administration gets as flow 1, with their mandatory statuses.
DOMESTIC = frozenset({Rule.B2B.value, Rule.B2G.value})
INTERNATIONAL = frozenset({Rule.B2B_INT.value, Rule.B2G_INT.value})


def read_rule(word: Any) -> str:
    """The rule a word names, whatever its case and hyphens; "" for none, and for words nobody has published."""
    written = re.sub(r"[^A-Z0-9]", "", word.upper()) if isinstance(word, str) else ""
    return BY_WORD.get(written, "")


def rule_in(document: Any) -> str:
    """What a platform's JSON says of an invoice."""
    known = document if isinstance(document, Mapping) else {}
    return next(filter(None, (read_rule(known.get(name)) for name in FIELDS)), "")


def reaches_administration(rule: str) -> bool:
    """Whether statuses of such an invoice may go to the administration. Of an unknown rule they may."""
    return not rule or rule in DOMESTIC

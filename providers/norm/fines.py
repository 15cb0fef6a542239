"""What the law threatens, "up to", for the pages that show a legal clock. Figures, not advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Fine:
    """In euros: each, and at most in a calendar year (None where no cap was found)."""

    breach: StrOrPromise
    each: int
    a_year: int | None
    source: str


# CGI 1737 and 1788 D I; figures of the 2026 finance act (art. 123) from three advisers' notes (29 November 2026).
FINES = (
    Fine(_("invoice not electronic"), 50, 15_000, "CGI art. 1737"),
    Fine(_("transaction or payment data not sent, each transmission"), 500, 15_000, "CGI art. 1788 D I"),
    Fine(_("no receiving platform, three months after a formal notice"), 500, None, "LF 2026 art. 123"),
)
# A late status (200, 210, 212, 213) has a delay of 24 hours; no fine for it as such was found.

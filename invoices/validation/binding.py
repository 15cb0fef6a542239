"""Whose rules an invoice must keep: who issued it decides, and what kind of business its flow is.

The French rules (BR-FR) bind whom the reform binds: taxable persons established in France (CGI, art. 289 bis), which is
where French VAT applies. A supplier elsewhere keeps the rules of EN 16931; its invoice is not wrong for lacking a SIREN
or French notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from providers.formats.en16931 import cii, ubl
from providers.formats.en16931.mapping import Node
from providers.formats.en16931.model import Party
from providers.formats.en16931.reader import OpenedInvoice
from providers.norm.companies import FRENCH_COUNTRIES, FRENCH_VAT_COUNTRIES
from providers.norm.processing import DOMESTIC

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise, StrPromise


# BT-23 as the reform writes it (BR-FR-08).
FRENCH_FRAME = re.compile(r"[BSM][1-9]")


@dataclass(frozen=True)
class Basis:
    """`code` is kept with the verdict; `country` is the seller's."""

    code: str
    is_french: bool
    country: str = ""

    def __str__(self) -> str:
        return f"{self.code}:{self.country}" if self.country else self.code


REASONS: dict[str, StrPromise] = {
    "flow": _("The French rules (BR-FR) apply: the flow is one between companies in France."),
    "seller": _("The French rules (BR-FR) apply: the seller is established in France."),
    "number": _("The French rules (BR-FR) apply: the seller has a French number and a billing frame of the reform."),
    "unknown": _("The French rules (BR-FR) apply: nothing says that the seller is established abroad."),
    "abroad": _("The French rules (BR-FR) do not apply: the seller is established abroad ({country})."),
    "overseas": _(
        "The French rules (BR-FR) do not apply: the seller is established overseas, where French VAT does not "
        "apply ({country})."
    ),
    "vat": _("The French rules (BR-FR) do not apply: the seller has a foreign VAT number and no French one."),
}


def basis_of(opened: OpenedInvoice, rule: str = "") -> Basis:
    """The first that fits. `rule` is the processing rule the platform told."""
    header = ubl.HEADER if opened.checked_as == "ubl" else cii.HEADER
    node = Node(opened.root, [])
    seller: Party = header["seller"](node)
    has_french_number = bool(seller.company.siren) or seller.company.vat_number.startswith("FR")
    if rule in DOMESTIC:
        return Basis("flow", True)
    if seller.country in FRENCH_VAT_COUNTRIES:
        return Basis("seller", True)
    if has_french_number and (not seller.country or FRENCH_FRAME.fullmatch(header["process"](node))):
        return Basis("number", True)
    if seller.country:
        return Basis("overseas" if seller.country in FRENCH_COUNTRIES else "abroad", False, seller.country[:2])
    if seller.vat_number:
        return Basis("vat", False)
    return Basis("unknown", True)


def reason_of(kept: str) -> StrOrPromise:
    """The sentence of a kept basis; "" for verdicts from before there was one."""
    code, _separator, country = kept.partition(":")
    return format_lazy(REASONS[code], country=country) if code in REASONS else ""

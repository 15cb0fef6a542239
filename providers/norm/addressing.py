"""Electronic addresses of French companies (scheme 0225): their form and their parts.

Rules BR-FR-21 to 25 of FNFE-MPE's Schematron 1.4.0 and XP Z12-013, annex B. No case is folded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from stdnum.exceptions import ValidationError as NumberError
from stdnum.fr import siren, siret

LONGEST, LONGEST_PART = 125, 100
ALLOWED = re.compile(r"[A-Za-z0-9+\-_/]+")
ROUTING_CODE = re.compile(r"[A-Za-z0-9\-_/]+")
DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Address:
    siren: str
    siret: str = ""
    routing_code: str = ""
    suffix: str = ""

    @property
    def level(self) -> str:
        if self.suffix:
            return "SIREN_SUFFIX"
        if self.routing_code:
            return "SIREN_SIRET_ROUTING"
        return "SIREN_SIRET" if self.siret else "SIREN"

    @property
    def looks_like_another_siret(self) -> bool:
        """A suffix of 14 digits is lawful, but more often a SIRET under the wrong SIREN."""
        return len(self.suffix) == 14 and DIGITS.fullmatch(self.suffix) is not None


def parse_address(text: str) -> Address | None:
    """None where it is no address. A suffix and a routing code may hold `_` themselves: it is split from the left."""
    if len(text) > LONGEST or not ALLOWED.fullmatch(text):
        return None
    siren, separator, rest = text.partition("_")
    if len(siren) != 9 or not DIGITS.fullmatch(siren) or (separator and not rest):
        return None
    second, more, code = rest.partition("_")
    if len(second) == 14 and DIGITS.fullmatch(second) and second.startswith(siren):
        is_coded = bool(code) and len(code) <= LONGEST_PART and ROUTING_CODE.fullmatch(code) is not None
        return Address(siren, siret=second, routing_code=code) if is_coded or not more else None
    return Address(siren, suffix=rest) if len(rest) <= LONGEST_PART else None


def validate_siren(value: str) -> None:
    try:
        siren.validate(value)
    except NumberError as error:
        raise ValidationError(
            _("“%(value)s” is not a SIREN (9 digits with a valid check digit)."), params={"value": value}
        ) from error


def validate_addressing(value: str) -> None:
    """SIREN, SIREN_SIRET, SIREN_SIRET_ROUTING or SIREN_SUFFIX (scheme 0225)."""
    address = parse_address(value)
    if address is None:
        validate_siren(value.partition("_")[0])
        raise ValidationError(
            _("“%(value)s” is no addressing line: SIREN, SIREN_SIRET, SIREN_SIRET_ROUTING or SIREN_SUFFIX."),
            params={"value": value},
        )
    validate_siren(address.siren)
    try:
        if address.siret:
            siret.validate(address.siret)
    except NumberError as error:
        raise ValidationError(_("“%(value)s” is not a SIRET."), params={"value": address.siret}) from error

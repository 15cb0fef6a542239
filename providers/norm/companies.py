"""Which company an identifier names: French registration numbers, as people and software write them.

Pure, and below everything: whoever reads a party asks `identify` once, and whoever is given a number `siren_in`. What
is no French number never becomes a SIREN.

Sources, November 2026: list of ISO/IEC 6523 (0002 SIRENE, 0009 SIRET), AFNOR XP Z12-013 for 0225, Code général des
impôts, art. 286 ter, for the VAT number; the check digits are python-stdnum's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from stdnum.fr import siren as siren_check
from stdnum.fr import siret as siret_check
from stdnum.fr import tva as vat_check

SIREN_SCHEME, SIRET_SCHEME, ADDRESS_SCHEME = "0002", "0009", "0225"
# Under these a VAT number may stand: the tax schemes of CII and UBL, codes of electronic addresses.
VAT_SCHEMES = frozenset({"VA", "VAT", "0223", "9957"})
FRENCH_SCHEMES = frozenset({SIREN_SCHEME, SIRET_SCHEME, ADDRESS_SCHEME})
# How the schemes were called before they had numbers; programs still write it.
SCHEME_NAMES = {
    "SIREN": SIREN_SCHEME, "SIRENE": SIREN_SCHEME, "FR:SIRENE": SIREN_SCHEME, "FR:SIREN": SIREN_SCHEME,
    "SIRET": SIRET_SCHEME, "FR:SIRET": SIRET_SCHEME, "FR:VAT": "9957",
}  # fmt: skip
# Peppol's scheme of schemes: the number of the scheme begins the value.
OF_SCHEMES = "ISO6523-ACTORID-UPIS"
# Where INSEE registers companies (ISO 3166-1): France and its overseas parts, which have codes of their own.
FRENCH_COUNTRIES = frozenset({"FR", "GP", "MQ", "GF", "RE", "YT", "PM", "BL", "MF", "WF", "PF", "NC", "TF"})
# How programs write some of them besides.
COUNTRY_NAMES = {
    "FRANCE": "FR", "FRA": "FR", "GLP": "GP", "MTQ": "MQ", "GUF": "GF", "REU": "RE", "MYT": "YT", "SPM": "PM",
    "BLM": "BL", "MAF": "MF", "WLF": "WF", "PYF": "PF", "NCL": "NC", "ATF": "TF", "MCO": "MC",
}  # fmt: skip
# Where French VAT applies, and with it the reform (CGI, art. 256-0, 294, 289 bis): Monaco too, but not French Guiana,
# Mayotte and the collectivities, whose trade with France is international (DGFiP, questions on overseas, January 2026).
FRENCH_VAT_COUNTRIES = frozenset({"FR", "GP", "MQ", "RE", "MC"})
# Monaco's companies have French VAT numbers, but no SIREN stands in them: this begins what follows the key.
MONACO = "000"

# Nothing but zeros fills a field that must not be empty, and has right check digits.
SIREN = re.compile(r"(?!0{9})[0-9]{9}")
SIRET = re.compile(r"(?!0{9})[0-9]{14}")
FRENCH_VAT = re.compile(r"FR[0-9A-HJ-NP-Z]{2}([0-9]{9})")
ANY_VAT = re.compile(r"[A-Z]{2}[0-9A-Z+*]{2,15}")
SEPARATORS = frozenset(".-‐‑–'’·")

Pair = tuple[str, str]


@dataclass(frozen=True)
class Company:
    """What is known of a company, normalised; "" for what is not. `vat_number` may be of any country."""

    siren: str = ""
    siret: str = ""
    vat_number: str = ""


def compact(value: str) -> str:
    """Without what people put between digits: spaces of any width (also of none), dots, hyphens. In capitals."""
    kept = (each for each in value if each not in SEPARATORS and unicodedata.category(each)[0] not in "ZC")
    return "".join(kept).upper()


def clean_address(value: str) -> str:
    """An electronic address holds no space; its letters and hyphens are its own."""
    return "".join(each for each in value if unicodedata.category(each)[0] not in "ZC")


def clean_vat_number(value: str) -> str:
    """In the form of the directories, or as written where it is no VAT number."""
    written = compact(value)
    return written if ANY_VAT.fullmatch(written) else value.strip()


def siren_in(value: str) -> str:
    """The SIREN in what somebody gives for a French company: itself, a SIRET, a French VAT number or an electronic
    address of it; "" where there is none.
    """
    written = compact(value)
    if SIREN.fullmatch(written) or SIRET.fullmatch(written):
        return written[:9]
    return _siren_of_vat(written) or _siren_of_address(value)


def siret_in(value: str) -> str:
    written = compact(value)
    return written if SIRET.fullmatch(written) else ""


def look_up_key(value: str) -> str:
    """What a directory is asked: a SIRET, a SIREN, or an electronic address."""
    return siret_in(value) or (clean_address(value) if "_" in value else siren_in(value)) or clean_address(value)


def identify(
    *,
    siren: str = "",
    siret: str = "",
    vat_number: str = "",
    identifiers: Iterable[Pair] = (),
    scheme: str = "",
    address: str = "",
    country: str = "",
) -> Company:
    """The company behind a party's numbers, each `(scheme, value)` as written. Those under their own scheme come first;
    of several, the first with right check digits.
    """
    pairs = [(SIREN_SCHEME, siren), (SIRET_SCHEME, siret), *identifiers, ("VA", vat_number), (scheme, address)]
    written = [_under_number(each, value) for each, value in pairs if value]
    sirens = [found for each, value in written if (found := _siren_of(each, value, country))]
    sirets = [
        found for each, value in written if each in (SIREN_SCHEME, SIRET_SCHEME) and (found := siret_in(value))
    ] + [
        found
        for each, value in written
        if not each and country in FRENCH_COUNTRIES and siret_check.is_valid(found := compact(value))
    ]
    return Company(
        siren=_best(sirens, siren_check.is_valid),
        siret=_best(sirets, siret_check.is_valid),
        vat_number=clean_vat_number(vat_number),
    )


def _under_number(scheme: str, value: str) -> Pair:
    """Under the scheme's number, without it before the value, where a participant is written whole (0009:…)."""
    named = scheme.strip().upper()
    if named == OF_SCHEMES and ":" in value:
        scheme, _colon, value = value.partition(":")
    number = SCHEME_NAMES.get(named, scheme)
    return number, value.removeprefix(f"{number}:") if number else value


def _best(found: list[str], is_valid: Callable[[str], bool]) -> str:
    return next(filter(is_valid, found), found[0] if found else "")


def _siren_of(scheme: str, value: str, country: str) -> str:
    written = compact(value)
    if scheme in (SIREN_SCHEME, SIRET_SCHEME) and (SIREN.fullmatch(written) or SIRET.fullmatch(written)):
        return written[:9]
    if scheme == ADDRESS_SCHEME:
        return _siren_of_address(value)
    if scheme in FRENCH_SCHEMES or scheme in VAT_SCHEMES:
        return _siren_of_vat(written)
    if not scheme and country in FRENCH_COUNTRIES:
        registered = siren_check.is_valid(written) or siret_check.is_valid(written)
        return written[:9] if registered else _siren_of_vat(written)
    return ""


def _siren_of_vat(written: str) -> str:
    match = FRENCH_VAT.fullmatch(written)
    found = match[1] if match else ""
    return found if found and not found.startswith(MONACO) and siren_check.is_valid(found) else ""


def _siren_of_address(value: str) -> str:
    """SIREN, SIREN_SIRET, SIREN_SIRET_CODE or SIREN_SUFFIX; a bare SIRET means its company too."""
    first = compact(value.partition("_")[0])
    return first[:9] if SIREN.fullmatch(first) or SIRET.fullmatch(first) else ""


# --- what is wrong with how it was written ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Misfit:
    """A number that breaks its scheme. `kind`: "siret_as_siren", "siren_as_siret", "siren", "siret" or "vat"."""

    kind: str
    value: str


def misfits(pairs: Iterable[Pair]) -> Iterator[Misfit]:
    """What a person should know of the numbers of one party, each told once."""
    for scheme, value in dict.fromkeys(pairs):
        number, bare = _under_number(scheme, value)
        if bare and (kind := _misfit(number, compact(bare))):
            yield Misfit(kind, value)


def _misfit(scheme: str, written: str) -> str:
    if scheme == SIREN_SCHEME:
        if SIRET.fullmatch(written):
            return "siret_as_siren"
        return "" if SIREN.fullmatch(written) and siren_check.is_valid(written) else "siren"
    if scheme == SIRET_SCHEME:
        if SIREN.fullmatch(written):
            return "siren_as_siret"
        return "" if SIRET.fullmatch(written) and siret_check.is_valid(written) else "siret"
    if scheme in VAT_SCHEMES and written.startswith("FR"):
        return "" if vat_check.is_valid(written) else "vat"
    return ""

"""Which invoice: its seller, its number and its year of issue (DGFiP rules G1.42 and G1.45). Which seller is one key,
made here and nowhere else; the key "" is nobody's, and equals no other.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

from django.db import models

from providers.formats.en16931.model import ParsedInvoice, Party, Reference


def key_of(
    *,
    siren: str = "",
    vat_number: str = "",
    identifiers: Iterable[tuple[str, str]] = (),
    name: str = "",
    place: str = "",
) -> str:
    """The first there is of SIREN, VAT number, legal identifier with its scheme; else the name with country and address
    (`place`), whatever their case, accents and punctuation. A SIREN stands bare, so that people can read it.
    """
    legal = sorted((scheme, plain(value)) for scheme, value in identifiers if scheme and is_number(value))
    if company := is_number(siren) and plain(siren):
        return company[:200]
    if vat := is_number(vat_number) and plain(vat_number):
        return f"vat:{vat}"[:200]
    if legal:
        return ":".join(("id", *legal[0]))[:200]
    if words := plain(name):
        return f"name:{hashlib.sha256(f'{words}|{plain(place)}'.encode()).hexdigest()[:40]}"
    return ""


def plain(value: str) -> str:
    """Letters and digits alone, in capitals and without accents."""
    return "".join(each for each in unicodedata.normalize("NFKD", value).upper() if each.isalnum())


def is_number(value: str) -> bool:
    """Not what fills a field that must not be empty ("N/A", "000000000"): there it is nobody's, as if it were."""
    return any(each in "123456789" for each in plain(value))


def seller_key(parsed: ParsedInvoice) -> str:
    known = parsed.seller.company
    return party_key(parsed.seller, siren=known.siren, vat_number=known.vat_number)


def party_key(party: Party, *, siren: str, vat_number: str) -> str:
    """`siren` and `vat_number` are what is known of it besides: the platform may tell what the document does not."""
    where = party.address
    parts = (party.country, where.post_code, where.city, *where.lines) if where else ()
    return key_of(
        siren=siren,
        vat_number=vat_number,
        identifiers=[(each.scheme, each.value) for each in party.identifiers],
        name=party.name or party.trading_name,
        place=" ".join(parts),
    )


class SellerKey(models.CharField):
    """Fills itself where its row is written. What the document tells besides (a legal identifier, an address) was set
    by who read it, and stays while neither SIREN nor VAT number is known.
    """

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        row = model_instance
        numbers = {"siren": row.seller_siren, "vat_number": row.seller_vat_number}  # type: ignore[attr-defined]
        known = key_of(**numbers) or getattr(row, self.attname) or key_of(name=row.seller_name)  # type: ignore[attr-defined]
        setattr(row, self.attname, known)
        return known


def references_in(parsed: ParsedInvoice, *, by_line: bool) -> list[Reference]:
    """The earlier invoices a document names, each once; `by_line`: it may name them on its lines alone."""
    named = parsed.preceding_invoices
    if by_line and not named:
        named = tuple(each for line in parsed.lines for each in line.preceding_invoices)
    found = ((each.number[:200], each.issue_date) for each in named if each.number)
    return [Reference(number=number, issue_date=day) for number, day in dict.fromkeys(found)]

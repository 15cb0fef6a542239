"""EN 16931 as JSON, as some platforms show an invoice whose file they do not hand out, or take one to be issued.

There is no standard for it: `providers.formats.json_terms` knows the names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.contract.http import load_json
from providers.formats import json_terms
from providers.formats.json_terms import NAMES, TOTALS, Terms, day, number, rows, term, text
from providers.formats.xml import UnreadableDocument

from .model import Address, Contact, Identifier, Line, Note, OtherData, ParsedInvoice, Party, Reference, VatBreakdown
from .other_data import LONGEST, within_measure

NOT_AN_INVOICE = _("The file is JSON data, not an invoice. Fetch the original again.")
BROKEN = _("The file looks like JSON, but it is broken. Fetch it again.")

TOO_COMPLEX = _("The file has more rows or levels than an invoice needs. Ask the sender to split the invoice.")
# The longest invoices seen have some thousand lines; each row costs about 50 microseconds.
MOST_ROWS = 12_000
MOST_LEVELS = 50

# Names under which a value is read: those of the terms, and of what stands inside notes, references and quantities.
OURS = {name for names in NAMES.values() for name in names} | {
    "amount", "content", "subject_code", "text", "unit_code", "value"
}  # fmt: skip

# What kind of number stands beside it, which is told with the number.
SCHEMES = {"scheme", "scheme_id"}


def read_json(content: bytes) -> ParsedInvoice:
    """Raises UnreadableDocument."""
    try:
        terms = load_json(content.lstrip(b"\xef\xbb\xbf \t\r\n"))
    except ValueError:
        raise UnreadableDocument("not_well_formed", BROKEN) from None
    refuse_size(terms)
    if not isinstance(terms, dict) or not (rows(term(terms, "BG-4")) and rows(term(terms, "BG-7"))):
        raise UnreadableDocument("not_an_invoice", NOT_AN_INVOICE)
    invoice = parse_terms(terms)
    kept, told = within_measure(unread(terms, frozenset(values_of(invoice))))
    return replace(invoice, other_data=kept, warnings=tuple(told))


def refuse_size(terms: Any) -> None:
    """Before anything walks it: a megabyte of "{}," has as many rows as a hundred large invoices."""
    level: list[dict[str, Any] | list[Any]] = [terms] if isinstance(terms, dict) else []
    depth = 0
    while level:
        depth += 1
        if depth > MOST_LEVELS or any(len(each) > MOST_ROWS for each in level):
            raise UnreadableDocument("too_complex", TOO_COMPLEX)
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inside for value in values if isinstance(value, dict | list)]


def unread(terms: Any, said: frozenset[str], place: tuple[str, ...] = (), line: str = "") -> Iterator[OtherData]:
    """What the invoice does not show: values it has not, and any under a name that is none of ours."""
    items = terms.items() if isinstance(terms, Mapping) else enumerate(terms, 1) if isinstance(terms, list) else ()
    for name, value in items:
        below = (*place, str(name))
        if isinstance(value, Mapping) and len(place) == 1 and place[0] in NAMES["BG-25"]:
            yield from unread(value, said, below, _text(value, "BT-126"))
        elif isinstance(value, Mapping | list):
            yield from unread(value, said, below, line)
        elif value not in (None, "") and name not in SCHEMES and not (is_ours(below) and plain(value) in said):
            yield OtherData(place="/".join(below), value=str(value)[:LONGEST], line=line)


def is_ours(place: tuple[str, ...]) -> bool:
    return place[-1] in OURS or place[-1].isdigit() or place[0] in (*NAMES["BG-4"], *NAMES["BG-7"])


def values_of(part: Any) -> Iterator[str]:
    """All that a part of the model says, as `plain` writes it."""
    if is_dataclass(part):
        yield from (found for each in fields(part) for found in values_of(getattr(part, each.name)))
    elif isinstance(part, tuple):
        yield from (found for each in part for found in values_of(each))
    elif part not in (None, ""):
        yield plain(part)


def plain(value: Any) -> str:
    """Numbers and days in one form."""
    found = day(value) or number(value)
    if isinstance(found, Decimal):
        return f"{found.normalize():f}"
    return found.isoformat() if found else text(value) or str(value)


def parse_terms(terms: Terms) -> ParsedInvoice:
    return ParsedInvoice(
        syntax="json",
        message="JSON",
        number=_text(terms, "BT-1"),
        issue_date=day(term(terms, "BT-2")),
        type_code=_text(terms, "BT-3"),
        currency=_text(terms, "BT-5"),
        tax_point_date=day(term(terms, "BT-7")),
        due_date=day(term(terms, "BT-9")),
        buyer_reference=_text(terms, "BT-10"),
        project_reference=_text(terms, "BT-11"),
        contract_reference=_text(terms, "BT-12"),
        order_reference=_text(terms, "BT-13"),
        sales_order_reference=_text(terms, "BT-14"),
        receiving_advice_reference=_text(terms, "BT-15"),
        despatch_advice_reference=_text(terms, "BT-16"),
        tender_reference=_text(terms, "BT-17"),
        accounting_reference=_text(terms, "BT-19"),
        payment_terms=_text(terms, "BT-20"),
        notes=tuple(_notes(term(terms, "BT-22"))),
        process=_text(terms, "BT-23"),
        profile=_text(terms, "BT-24"),
        preceding_invoices=tuple(_references(term(terms, "BT-25"))),
        seller=_party(term(terms, "BG-4")),
        buyer=_party(term(terms, "BG-7")),
        total_lines=number(term(terms, "BT-106", *TOTALS)),
        total_allowances=number(term(terms, "BT-107", *TOTALS)),
        total_charges=number(term(terms, "BT-108", *TOTALS)),
        total_without_vat=number(term(terms, "BT-109", *TOTALS)),
        total_vat=number(term(terms, "BT-110", *TOTALS)),
        total_with_vat=number(term(terms, "BT-112", *TOTALS)),
        prepaid=number(term(terms, "BT-113", *TOTALS)),
        rounding=number(term(terms, "BT-114", *TOTALS)),
        amount_due=number(term(terms, "BT-115", *TOTALS)),
        vat_breakdown=tuple(map(_vat, rows(term(terms, "BG-23")))),
        lines=tuple(map(_line, rows(term(terms, "BG-25")))),
    )


def _text(terms: Terms, name: str) -> str:
    return text(term(terms, name))


def _notes(value: Any) -> Iterable[Note]:
    for item in value if isinstance(value, list) else [value]:
        words = item.get("text") or item.get("content") or item.get("value") if isinstance(item, Mapping) else item
        subject = text(item.get("subject_code")) if isinstance(item, Mapping) else ""
        if text(words):
            yield Note(text=text(words), subject_code=subject)


def _references(value: Any) -> Iterable[Reference]:
    for item in value if isinstance(value, list) else [value]:
        named = item if isinstance(item, Mapping) else {"number": item}
        if written := next(filter(None, (text(named.get(key)) for key in ("number", "invoice_number", "id"))), ""):
            yield Reference(number=written, issue_date=day(named.get("issue_date")))


def _party(value: Any) -> Party:
    party = next(iter(rows(value)), {})
    scheme, address = json_terms.address_of(party)
    company = json_terms.company_of(party)
    known = {*vars(company).values(), address}
    others = (
        Identifier(value=found, scheme=scheme)
        for scheme, found in json_terms.identifiers_of(party)
        if scheme and found and found not in known
    )
    return Party(
        name=_text(party, "BT-27"),
        trading_name=_text(party, "BT-28"),
        **vars(company),
        legal_information=_text(party, "BT-33"),
        electronic_address=address,
        electronic_address_scheme=scheme,
        identifiers=tuple(others),
        address=_address(party.get("postal_address")),
        contact=_contact(party.get("contact")),
    )


def _address(value: Any) -> Address | None:
    """The names of page "drafts", which are UBL's."""
    if not isinstance(value, Mapping):
        return None
    lines = (text(value.get(name)) for name in ("street_name", "additional_street_name", "address_line"))
    return Address(
        lines=tuple(filter(None, lines)),
        post_code=text(value.get("postal_zone")),
        city=text(value.get("city_name")),
        subdivision=text(value.get("country_subentity")),
        country=text(value.get("country_code")),
    )


def _contact(value: Any) -> Contact | None:
    if not isinstance(value, Mapping):
        return None
    phone = text(value.get("telephone") or value.get("phone"))
    email = text(value.get("electronic_mail") or value.get("email"))
    return Contact(name=text(value.get("name")), phone=phone, email=email)


def _vat(row: Terms) -> VatBreakdown:
    return VatBreakdown(
        category=_text(row, "BT-118"),
        rate=number(term(row, "BT-119")),
        base=number(term(row, "BT-116")),
        amount=number(term(row, "BT-117")),
        exemption_reason=_text(row, "BT-120"),
        exemption_reason_code=_text(row, "BT-121"),
    )


def _line(row: Terms) -> Line:
    inside = ("item", "price", "tax", "vat", "price_details", "vat_information")
    return Line(
        number=_text(row, "BT-126"),
        notes=tuple(_notes(term(row, "BT-127"))),
        name=text(term(row, "BT-153", "item")),
        description=text(term(row, "BT-154", "item")),
        seller_item=text(term(row, "BT-155", "item")),
        quantity=number(term(row, "BT-129")),
        unit=text(term(row, "BT-130")) or _unit(term(row, "BT-129")),
        net_price=number(term(row, "BT-146", *inside)),
        gross_price=number(term(row, "BT-148", *inside)),
        net_amount=number(term(row, "BT-131")),
        vat_category=text(term(row, "BT-151", *inside)),
        vat_rate=number(term(row, "BT-152", *inside)),
    )


def _unit(quantity: Any) -> str:
    return text(quantity.get("unit_code")) if isinstance(quantity, Mapping) else ""

"""Seqino's JSON as reports. Lenient: only the identity is required."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from providers.contract.base import DirectoryEntry, InvoiceReport, Line, Party, Reason, StatusReport
from providers.contract.moments import in_utc, zone_read
from providers.formats import json_terms
from providers.formats.json_terms import TOTALS, term, text
from providers.norm.codes import REASONS, Role
from providers.norm.processing import rule_in

from . import tables

# --- statuses ---------------------------------------------------------------------------------------------------------


def parse_history(items: Iterable[Mapping[str, Any]], provider_ref: str) -> tuple[StatusReport, ...]:
    """The statuses, oldest first; items without a word are none."""
    reports = [parse_status(item, provider_ref) for item in items if text(item.get("status_code"))]
    return tuple(sorted(reports, key=lambda report: report.occurred_at or datetime.max.replace(tzinfo=UTC)))


def parse_status(item: Mapping[str, Any], provider_ref: str) -> StatusReport:
    word, emitter = text(item.get("status_code")), text(item.get("emitter"))
    status, moment = tables.find_status(word), parse_time(item.get("timestamp"))
    reasons, note = _reasons(item, status)
    return StatusReport(
        provider_ref=provider_ref,
        status=status or tables.find_answer(word, emitter),
        native_status=word,
        issuer_role=_issuer(status, emitter),
        reasons=reasons,
        note=note or tables.class_note(word),
        is_remark=not note,
        occurred_at=moment,
        zone=zone_read(item.get("timestamp")),
        # There is no id: what Seqino says of one moment in the words of one platform is one fact.
        key="|".join([status or word, in_utc(moment) if moment else "untimed", emitter]),
        emitter=emitter,
        ppf_duty=item.get("is_mandatory") is True,
        raw=dict(item),
    )


def _issuer(status: str | None, emitter: str) -> str:
    return tables.ISSUERS.get(status or "", Role.PPF.value if emitter.upper() == tables.PPF_EMITTER else "")


def _reasons(item: Mapping[str, Any], status: str | None) -> tuple[tuple[Reason, ...], str]:
    """The structured reason with its text; a text alone is a note."""
    native, words = text(item.get("rejection_reason")), text(item.get("reason"))
    if native:
        return (Reason(code=native if native in REASONS else "", text=words, native_code=native),), ""
    return (), words


def parse_time(value: Any) -> datetime | None:
    """RFC 3339; without a zone it is taken for UTC. A bare date is no moment: as midnight it would order wrongly."""
    written = text(value)
    if len(written) <= 10:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- invoices ---------------------------------------------------------------------------------------------------------


def parse_invoice(terms: Mapping[str, Any], provider_ref: str, ours: Iterable[Line]) -> InvoiceReport:
    """The direction is not told: it follows from which side one of our lines is on. `ours` are the client's."""
    lines = tuple(ours)
    seller, buyer = parse_party(term(terms, "BG-4")), parse_party(term(terms, "BG-7"))
    direction = "issued" if _nearness(seller, lines) > _nearness(buyer, lines) else "received"
    if direction == "issued":
        seller = _on_line(seller, lines)
    else:
        buyer = _on_line(buyer, lines)
    return InvoiceReport(
        provider_ref=provider_ref,
        direction=direction,
        number=text(term(terms, "BT-1")),
        type_code=text(term(terms, "BT-3")),
        issue_date=json_terms.day(term(terms, "BT-2")),
        due_date=json_terms.day(term(terms, "BT-9")),
        currency=text(term(terms, "BT-5")),
        total_with_vat=json_terms.number(term(terms, "BT-112", *TOTALS)),
        seller=seller,
        buyer=buyer,
        processing_rule=rule_in(terms),
        raw=dict(terms),
    )


def parse_party(party: Any) -> Party:
    if not isinstance(party, Mapping):
        return Party()
    scheme, address = json_terms.address_of(party)
    return Party(
        name=text(term(party, "BT-27")),
        **vars(json_terms.company_of(party)),
        scheme=scheme,
        identifier=address,
    )


def _nearness(party: Party, lines: tuple[Line, ...]) -> int:
    """2 for one of our addresses, 1 for one of our companies."""
    if party.identifier and any(line.identifier == party.identifier for line in lines):
        return 2
    return int(any(_siren(line) == party.siren for line in lines)) if party.siren else 0


def _on_line(party: Party, lines: tuple[Line, ...]) -> Party:
    """Our party with an address of ours: two clients may share a SIREN, and one alone may ask for the invoice."""
    if any(line.identifier == party.identifier for line in lines):
        return party
    of_company = [line.identifier for line in lines if _siren(line) == party.siren]
    return replace(party, scheme="0225", identifier=min(of_company, key=len)) if of_company else party


def _siren(line: Line) -> str:
    return line.identifier.partition("_")[0]


# --- directory --------------------------------------------------------------------------------------------------------


def parse_entry(entry: Mapping[str, Any], today: date) -> DirectoryEntry | None:
    """None for what names no company."""
    siren, siret, code = (text(entry.get(name)) for name in ("siren", "siret", "routing_identifier"))
    if len(siren) != 9:
        return None
    start, end = (json_terms.day(entry.get(name)) for name in ("start_date", "end_date"))
    suffix = "" if siret else text(entry.get("suffix"))
    return DirectoryEntry(
        identifier="_".join(filter(None, (siren, siret, code if siret else suffix))),
        siren=siren,
        siret=siret,
        name=text(entry.get("name")),
        routing_name=text(entry.get("routing_code_label")),
        platform=text(entry.get("platform_name") or entry.get("platform")),
        valid_from=start,
        valid_to=end,
        active=entry.get("addressable") is not False and (end is None or end >= today),
    )

"""Companies at A-Cube: who can be reached where, and our own legal entities.

Its directory is a copy, a day old at most: who is not in it may still be reachable. Enrolling a company ends with an
identity check by a person, on a page A-Cube names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import (
    DirectoryEntry,
    Line,
    Party,
    PermanentError,
    PlatformError,
    Subscription,
    TemporaryError,
)
from providers.norm.companies import siren_in

from . import reading, tables
from .session import JSON, Session

PAGES = 20
PAGE_SIZE = 100

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]


class Companies(Session):
    # --- the directory ---

    def search_directory(self, identifier: str) -> tuple[DirectoryEntry, ...]:
        """An addressing line is looked for among those of its company."""
        wanted = "".join(identifier.split())
        siren = wanted.split("_")[0]
        name = {9: "siren", 14: "siret"}.get(len(siren)) if siren.isascii() and siren.isdecimal() else None
        if name is None:
            raise PermanentError(_("A look-up in the directory starts with a SIREN of nine digits, or a SIRET."))
        entries = [entry for row in self._rows("directory_path", {name: siren}) for entry in _entries(row)]
        return tuple(entry for entry in entries if "_" not in wanted or entry.identifier == wanted)

    def _rows(self, path: str, filters: Mapping[str, str]) -> Iterator[Row]:
        """All items of a list, even where its paging is not understood."""
        seen: set[str] = set()
        for number in range(1, PAGES + 1):
            page = self.read_list(self.url(path), params={**filters, "page": number, "itemsPerPage": PAGE_SIZE})
            new = [item for item in page.items if str(item) not in seen]
            seen |= {str(item) for item in new}
            yield from new
            if not new or not page.more:
                return

    # --- our companies ---

    def set_up_line(self, line: Line, owner: Party) -> Mapping[str, Any]:
        """Enrol the line's company. Again, it tells where the company stands, and the page for its identity check."""
        known = line.settings.get("legal_entity")
        entities = list(self._entities())
        entity = next((row for row in entities if known and reading.find_reference(row) == known), None)
        entity = entity or next((row for row in entities if row.get("siren") == owner.siren), None)
        if entity is None:
            answer = self.tell("POST", self.url("legal_entities_path"), json={"siren": owner.siren})
            made = answer.find_json()
            entity = made if isinstance(made, dict) else {}
        reference = reading.find_reference(entity)
        if not reference:
            raise TemporaryError(_("A-Cube took the company in but did not say under which number: try again."))
        kept = {"legal_entity": reference}
        if _state(entity).startswith(tables.NOT_STARTED):
            kept["onboarding_url"] = self._start_onboarding(reference)
        self._note(line, entity)
        return kept

    def _start_onboarding(self, reference: str) -> str:
        """A second session for the same company does no harm."""
        url = self.url("onboarding_path", reference)
        answer = self.exchange("POST", url, repeatable=True, headers={"Accept": JSON}, json={})
        document = self.wire.require_json(self.wire.require_success(answer, repeatable=True))
        texts = document.values() if isinstance(document, dict) else ()
        found = next((text for text in texts if isinstance(text, str) and text.startswith("https://")), "")
        if not found:
            raise PermanentError(_("A-Cube does not say where the company's identity is checked: see its console."))
        return found

    def refresh_lines(self) -> None:
        """Where the companies of our lines stand. That it cannot be told keeps no poll back."""
        lines = {line.settings["legal_entity"]: line for line in self.account.lines.all() if _is_enrolled(line)}
        if not lines:
            return
        try:
            entities = list(self._entities())
        except PlatformError as error:
            logger.warning("A-Cube does not tell where the companies of %s stand: %s", self.account.name, error.message)
            return
        for entity in entities:
            if line := lines.get(reading.find_reference(entity)):
                self._note(line, entity)

    def _entities(self) -> Iterator[Row]:
        return self._rows("legal_entities_path", {})

    def _note(self, line: Line, entity: Row) -> None:
        word = _state(entity)
        told = Subscription(
            line_identifier=line.identifier,
            state=tables.ONBOARDING.get(word, "subscribing"),
            reference=reading.find_reference(entity),
            error="" if word in tables.ONBOARDING else word,
        )
        if word == tables.ACTION_REQUIRED:
            message = _("A-Cube could not end the enrolment of the company: ask its support.")
            told = Subscription(**{**vars(told), "error": message})
        if self.account.subscriptions.find(line.identifier) != told:
            self.account.subscriptions.save(told)


def _is_enrolled(line: Line) -> bool:
    return bool(line.settings.get("legal_entity"))


def _state(entity: Row) -> str:
    state = entity.get("status")
    return state.strip().upper() if isinstance(state, str) else ""


def _entries(row: Row) -> Iterator[DirectoryEntry]:
    """One for each address of the French scheme. The names of its fields are our assumption: the page is cut."""
    members = row.get("networkIdentifiers")
    for member in members if isinstance(members, list) else ():
        if not isinstance(member, dict):
            continue
        scheme, value = _first(member, "identifierScheme", "scheme"), _first(member, "identifierValue", "value")
        if value and scheme in ("", tables.FRENCH_SCHEME):
            start, end = reading.parse_date(member.get("validFrom")), reading.parse_date(member.get("validTo"))
            today = datetime.now(UTC).date()
            yield DirectoryEntry(
                identifier=value,
                siren=siren_in(_first(row, "siren")) or siren_in(value),
                siret=_first(row, "siret"),
                name=_first(row, "displayName"),
                platform=_first(member, "networkName", "network"),
                valid_from=start,
                valid_to=end,
                active=not (start and start > today) and not (end and end < today),
            )


def _first(row: Row, *names: str) -> str:
    return next((value.strip() for name in names if isinstance(value := row.get(name), str) and value.strip()), "")

"""Clients, mandates and directory entries at Seqino: what makes it serve an addressing line of ours.

A customer of ours is one client, known by its SIREN in `external_ref`; an addressing line is one mandate with its
directory entry. Everything is looked for before it is made, so doing it again changes nothing.
"""

from __future__ import annotations

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
    Unsupported,
)
from providers.formats.json_terms import text

from . import reading, tables
from .session import Session, objects


class Mandates(Session):
    def set_up_line(self, line: Line, owner: Party) -> Mapping[str, Any]:
        client = text(line.settings.get("client_id")) or self._client_for(line, owner)
        mandate = self._mandate_for(line, client, owner)
        self._note_state(line, mandate)
        return {**line.settings, "client_id": client, "mandate_id": _mandate_id(mandate)}

    def unsubscribe(self, line: Line) -> str:
        """Revoke the line's mandate, for good; its directory entry stays."""
        mandate = text(line.settings.get("mandate_id"))
        if not mandate:
            raise Unsupported(_("Addressing line %(line)s has no mandate at Seqino.") % {"line": line.identifier})
        url = self.url("mandates", self.reference(mandate))
        self.tell("DELETE", url, client=self.client_of(line), repeatable=True)
        self.account.subscriptions.save(
            Subscription(line_identifier=line.identifier, state="closed", reference=mandate)
        )
        return _("The mandate %(mandate)s was revoked; the directory entry stays.") % {"mandate": mandate}

    def refresh_lines(self) -> None:
        """Note the state of every line's mandate. One that cannot be had does not keep the others from it."""
        failed: PlatformError | None = None
        for line in self.account.lines.all():
            if not (line.settings.get("client_id") and line.settings.get("mandate_id")):
                continue
            try:
                self._note_state(line, self.read_mandate(line))
            except PermanentError as error:
                self._note_state(line, {"status": "error", "error": error.message})
            except PlatformError as error:
                failed = error
        if failed:
            raise failed

    def read_mandate(self, line: Line) -> Mapping[str, Any]:
        mandate = self.reference(text(line.settings.get("mandate_id")))
        document = self.read(self.url("mandates", mandate), client=self.client_of(line))
        return document if isinstance(document, dict) else {}

    # --- clients ---

    def _client_for(self, line: Line, owner: Party) -> str:
        wanted = f"{self.setting('external_ref_prefix')}{owner.siren}"
        document = self.read(self.url("clients"), params={"external_ref": wanted})
        same = (item for item in objects(document, "clients", "items") if text(item.get("external_ref")) == wanted)
        found = next(filter(None, map(_client_id, same)), "")
        return found or self._make_client(line, owner, wanted)

    def _make_client(self, line: Line, owner: Party, external_ref: str) -> str:
        email = text(line.settings.get("contact_email")) or self.setting("contact_email")
        if not email:
            message = _("Seqino wants an e-mail address for the new client %(name)s: set contact_email.")
            raise PermanentError(message % {"name": owner.name})
        wanted = {"organization_name": owner.name[:255], "contact_email": email, "external_ref": external_ref}
        answer = self.tell("POST", self.url("clients"), json=wanted)
        made = _client_id(self.told_object(answer))
        if not made:
            message = _("Seqino made the client %(name)s but did not say under which id: look it up, set client_id.")
            raise PermanentError(message % {"name": owner.name}, answer=answer.text)
        return made

    # --- mandates ---

    def _mandate_for(self, line: Line, client: str, owner: Party) -> Mapping[str, Any]:
        """The line's own, or one with its directory entry, or a new one."""
        if line.settings.get("mandate_id"):
            url = self.url("mandates", self.reference(text(line.settings["mandate_id"])))
            known = self.read(url, client=client)
            if isinstance(known, dict) and _state_word(known) not in tables.DEAD_MANDATES:
                return known
        entry = directory_entry(line, owner)
        listed = objects(self.read(self.url("mandates"), client=client), "mandates", "items")
        return next((item for item in listed if _serves(item, entry)), None) or self._make_mandate(line, client, entry)

    def _make_mandate(self, line: Line, client: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        start = text(line.settings.get("mandate_start")) or datetime.now(UTC).date().isoformat()
        wanted = {"start_date": f"{start}T00:00:00Z" if len(start) == 10 else start, "directory_entry": entry}
        made = self.told_object(self.tell("POST", self.url("mandates"), client=client, json=wanted))
        if not _mandate_id(made):
            message = _("Seqino made the mandate for %(line)s but did not say under which id: set mandate_id by hand.")
            raise PermanentError(message % {"line": line.identifier})
        return made

    def _note_state(self, line: Line, mandate: Mapping[str, Any]) -> None:
        word = _state_word(mandate)
        noted = Subscription(
            line_identifier=line.identifier,
            state=tables.MANDATE_STATES.get(word, "subscribing"),
            reference=_mandate_id(mandate) or text(line.settings.get("mandate_id")),
            error=mandate_words(mandate),
        )
        if self.account.subscriptions.find(line.identifier) != noted:
            self.account.subscriptions.save(noted)

    # --- directory ---

    def search_directory(self, identifier: str) -> tuple[DirectoryEntry, ...]:
        parts = identifier.replace(" ", "").split("_")
        siren = parts[0][:9]
        if not (siren.isdecimal() and len(siren) == 9):
            raise PermanentError(_("A look-up in the directory starts with a SIREN of nine digits."))
        try:
            document = self.read(self.url("directory", siren), client=self.any_client())
        except PermanentError as error:
            if error.status_code == 404:
                return ()
            raise
        return tuple(entry for entry in _entries(document) if _is_meant(entry, identifier.replace(" ", "")))


def directory_entry(line: Line, owner: Party) -> dict[str, Any]:
    """A line in Seqino's fields: by which of them are given, it knows the mesh. Our assumption: its guide is cut."""
    siren, *rest = line.identifier.split("_", 2)
    entry: dict[str, Any] = {"siren": siren, "name": owner.name}
    entry["establishment_nature"] = line.settings.get("establishment_nature", "Private")
    if not rest:
        return entry
    if not (len(rest[0]) == 14 and rest[0].isdecimal()):
        return entry | {"suffix": "_".join(rest)}
    entry["siret"] = rest[0]
    if len(rest) == 2:
        entry["routing_identifier"] = rest[1]
        entry["routing_identifier_type"] = line.settings.get("routing_identifier_type", "0224")
        if label := line.settings.get("routing_code_label"):
            entry["routing_code_label"] = label
    return entry


PLACE = ("siren", "siret", "suffix", "routing_identifier")


def _serves(mandate: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    theirs = mandate.get("directory_entry")
    if not isinstance(theirs, dict) or _state_word(mandate) in tables.DEAD_MANDATES or not _mandate_id(mandate):
        return False
    return all(text(theirs.get(name)) == text(entry.get(name)) for name in PLACE)


def _client_id(item: Mapping[str, Any]) -> str:
    """In the three shapes of Seqino's pages."""
    inner = item.get("client")
    nested = inner.get("client_id") if isinstance(inner, dict) else None
    return next(filter(None, map(text, (item.get("client_id"), nested, item.get("id")))), "")


def _mandate_id(mandate: Mapping[str, Any]) -> str:
    return next(filter(None, map(text, (mandate.get("id"), mandate.get("mandate_id")))), "")


def _state_word(mandate: Mapping[str, Any]) -> str:
    return text(mandate.get("status")).lower()


def mandate_words(mandate: Mapping[str, Any]) -> str:
    """Why a mandate is not in force, "" if it is."""
    word = _state_word(mandate)
    if word == "active":
        return ""
    if word == "pending_kyc":
        return _("The client has still to prove its identity at Seqino (KYC).")
    causes = [text(value) for name, value in mandate.items() if "error" in name.lower()]
    words = _("Seqino's mandate is in state “%(state)s”.") % {"state": word or "?"}
    return " ".join(filter(None, [words, *causes]))


def _entries(document: Any) -> Iterator[DirectoryEntry]:
    today = datetime.now(UTC).date()
    for item in objects(document, "directory_entries", "entries", "directory_lines", "items"):
        if entry := reading.parse_entry(item, today):
            yield entry


def _is_meant(entry: DirectoryEntry, identifier: str) -> bool:
    """A SIREN means all its entries, a SIRET those of the establishment, an addressing line itself."""
    if "_" in identifier:
        return entry.identifier == identifier
    return entry.siret == identifier if len(identifier) == 14 else True


def faulty_mandates(session: Mandates) -> Iterator[str]:
    """A line for each of our lines that Seqino does not serve."""
    for line in session.account.lines.all():
        if not line.settings.get("client_id") or not line.settings.get("mandate_id"):
            yield _("%(line)s is not set up.") % {"line": line.identifier}
            continue
        try:
            words = mandate_words(session.read_mandate(line))
        except PlatformError as error:
            words = error.message
        if words:
            yield f"{line.identifier}: {words}"

"""The directory of who can be reached where: read-only, and optional on a platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from providers.contract.base import DirectoryEntry, Unsupported
from providers.norm.companies import siren_in

from . import tables
from .session import Session

BASE = "directory_base_url"
LIMIT = 100  # platforms must support it
PAGES = 20
NONE = (404, 204)
# Shown with a line where the platform follows `include`; what is missing is asked for by itself, at most so often.
INCLUDED = ["siren", "siret", "routingCode"]
MOST_QUESTIONS = 10

Row = Mapping[str, Any]


class Directory(Session):
    @property
    def has_directory(self) -> bool:
        return bool(self.setting(BASE))

    def search_directory(self, identifier: str) -> tuple[DirectoryEntry, ...]:
        if not self.has_directory:
            raise Unsupported(_("%(platform)s offers no directory.") % {"platform": self.platform})
        lines = [line for line in self.find_lines(identifier) if _text(line, "addressingIdentifier")]
        names = _Names(self)
        return tuple(_entry(line, names) for line in lines)

    def find_lines(self, identifier: str) -> list[Row]:
        """The directory lines of a SIREN or SIRET, or the one of an addressing identifier."""
        wanted = "".join(identifier.split())
        names = {9: "siren", 14: "siret"}
        name = names.get(len(wanted)) if wanted.isascii() and wanted.isdecimal() else None
        if name is None:
            line = self._find("directory-line", f"code:{_quoted(wanted)}")
            return [line] if line else []
        return list(
            self._search("directory-line", {name: {"op": "strict", "value": wanted}}, sort="addressingIdentifier")
        )

    def find_legal_unit(self, siren: str) -> Row | None:
        return self._find("siren", f"code-insee:{_quoted(siren)}")

    def find_establishment(self, siret: str) -> Row | None:
        return self._find("siret", f"code-insee:{_quoted(siret)}")

    def find_routing_code(self, siret: str, routing_identifier: str) -> Row | None:
        return self._find("routing-code", f"siret:{_quoted(siret)}", f"code:{_quoted(routing_identifier)}")

    def find_routing_codes(self, siret: str) -> list[Row]:
        return list(self._search("routing-code", {"siret": {"op": "strict", "value": siret}}))

    def check_directory(self) -> None:
        self.call("GET", self.url("healthcheck", base=BASE), repeatable=True)

    def _find(self, *path: str) -> Row | None:
        """None where the directory does not know it. The colons of the paths stand as they are."""
        answer = self.call("GET", self.url(*path, base=BASE), repeatable=True, allow=NONE)
        document = None if answer.status_code in NONE else self.wire.require_json(answer)
        return document if isinstance(document, dict) else None

    def _search(self, resource: str, filters: Row, *, sort: str = "") -> Iterator[Row]:
        """All rows, whether or not the platform counts them: until a page is short."""
        wish: dict[str, Any] = {"filters": filters, "limit": LIMIT}
        if resource == "directory-line":
            wish["include"] = INCLUDED
        if sort:
            order = "order" if self.setting("contract") == "1.3" else "sortingOrder"
            wish["sorting"] = [{"field": sort, order: "ascending"}]
        for page in range(PAGES):
            answer = self.call(
                "POST",
                self.url(resource, "search", base=BASE),
                repeatable=True,
                allow=NONE,
                json=wish | {"ignore": page * LIMIT},
            )
            document = None if answer.status_code in NONE else self.wire.require_json(answer)
            rows = document.get("results") if isinstance(document, dict) else None
            rows = rows if isinstance(rows, list) else []
            yield from (row for row in rows if isinstance(row, dict))
            if len(rows) < LIMIT:
                return


class _Names:
    """The names of companies, establishments and routing codes: as the lines bring them, else asked for, each once."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._asked: dict[tuple[str, ...], Row] = {}

    def of_company(self, line: Row) -> str:
        unit, place = _row(line, "legalUnit"), _row(line, "facility")
        siren, siret = _text(line, "siren"), _text(line, "siret")
        company = _text(unit, "businessName") or (siren and _text(self._ask("siren", siren), "businessName"))
        name = _text(place, "name") or (siret and _text(self._ask("siret", siret), "name"))
        return f"{company} – {name}" if company and name and not name.startswith(company) else name or company

    def of_routing_code(self, line: Row) -> str:
        code = _row(line, "routingCode")
        siret, identifier = _text(line, "siret"), _routing_identifier(line)
        if not identifier:
            return ""
        found = code if _text(code, "routingCodeName") or not siret else self._ask("routing code", siret, identifier)
        return _text(found, "routingCodeName")

    def _ask(self, *what: str) -> Row:
        ask = {
            "siren": self._directory.find_legal_unit,
            "siret": self._directory.find_establishment,
            "routing code": self._directory.find_routing_code,
        }[what[0]]
        if what not in self._asked and len(self._asked) < MOST_QUESTIONS:
            self._asked[what] = ask(*what[1:]) or {}  # type: ignore[operator]
        return self._asked.get(what, {})


def _entry(line: Row, names: _Names) -> DirectoryEntry:
    identifier = _text(line, "addressingIdentifier")
    # `platformStatus` in 1.1; before 1.3 a line asked for by its identifier tells no status.
    status = _text(line, "directoryLineStatus") or _text(line, "platformStatus") or "Enabled"
    return DirectoryEntry(
        identifier=identifier,
        siren=siren_in(_text(line, "siren")) or siren_in(identifier),
        siret=_text(line, "siret"),
        name=names.of_company(line),
        routing_name=names.of_routing_code(line) or _routing_identifier(line),
        platform=str(tables.PLATFORM_TYPES.get(kind := _text(line, "platformType"), kind)),
        active=status == "Enabled",
    )


def _routing_identifier(line: Row) -> str:
    return _text(line, "routingIdentifier") or _text(_row(line, "routingCode"), "routingIdentifier")


def _row(row: Row, name: str) -> Row:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _quoted(value: str) -> str:
    return quote(value, safe="")

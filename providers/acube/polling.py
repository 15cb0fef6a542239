"""Reading A-Cube's flat list of invoices, newest first, without relying on any filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import reading
from .session import Session

PAGE_SIZE = 30  # the documented default of a sister resource; the largest one is not known
PAGES_PER_POLL = 100
OVERLAP = timedelta(hours=24)
CHANGE_OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True)
class ListedPage:
    items: tuple[dict[str, Any], ...]
    number: int
    is_last: bool

    @property
    def created(self) -> list[datetime]:
        return [moment for item in self.items if (moment := reading.parse_time(item.get("createdAt")))]

    def reaches(self, floor: datetime | None) -> bool:
        return floor is not None and any(moment < floor for moment in self.created)


@dataclass(frozen=True)
class Cursor:
    """`created` and `changed`: up to where all is read. A long list is read in several polls: `page` is where to go on,
    `next_created` and `next_changed` what will hold when its end is reached."""

    created: datetime | None = None
    changed: datetime | None = None
    page: int = 1
    next_created: datetime | None = None
    next_changed: datetime | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Cursor:
        times = {
            name: reading.parse_time(stored.get(name))
            for name in ("created", "changed", "next_created", "next_changed")
        }
        page = stored.get("page")
        return cls(page=page if isinstance(page, int) and page > 0 else 1, **times)

    def store(self) -> dict[str, Any]:
        return {
            name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
            if value is not None
        }

    @property
    def floor(self) -> datetime | None:
        return self.created - OVERLAP if self.created else None

    def is_new(self, item: Mapping[str, Any]) -> bool:
        created = reading.parse_time(item.get("createdAt"))
        return created is None or self.floor is None or created >= self.floor

    def is_changed(self, item: Mapping[str, Any]) -> bool:
        """Known from an earlier poll, and touched since."""
        created, changed = (reading.parse_time(item.get(name)) for name in ("createdAt", "updatedAt"))
        if not (created and changed and self.created and self.changed):
            return False
        return created <= self.created and changed > self.changed - CHANGE_OVERLAP

    def after(self, pages: list[ListedPage]) -> Cursor:
        items = [item for page in pages for item in page.items]
        created = _latest(self.next_created or self.created, items, "createdAt")
        changed = _latest(self.next_changed or self.changed, items, "updatedAt")
        if len(pages) < PAGES_PER_POLL or pages[-1].is_last or pages[-1].reaches(self.floor):
            return Cursor(created=created, changed=changed)
        return Cursor(self.created, self.changed, pages[-1].number, created, changed)


def _latest(before: datetime | None, items: list[dict[str, Any]], name: str) -> datetime | None:
    times = [moment for item in items if (moment := reading.parse_time(item.get(name)))]
    return max([*times, *([before] if before else [])], default=None)


class Listing(Session):
    def pages(self, first: int, count: int) -> Iterator[ListedPage]:
        """At most `count` pages from `first`; ends by itself with the list, even if paging is not understood."""
        url, seen = self.url("list_path"), set[str]()
        for number in range(first, first + count):
            page = self.read_list(url, params={"page": number, "itemsPerPage": PAGE_SIZE})
            references = {reading.find_reference(item) for item in page.items}
            new = not references <= seen
            seen |= references
            short = len(page.items) < PAGE_SIZE if page.more is None else not page.more
            if new:
                yield ListedPage(page.items, number, short)
            if short or not new:
                return

    def read_from(self, cursor: Cursor) -> Iterator[ListedPage]:
        """Down to what the last poll has seen. Broken off, the last page is read again: the list only grows."""
        for page in self.pages(cursor.page, PAGES_PER_POLL):
            yield page
            if page.reaches(cursor.floor):
                return

"""Searching flows: what changed since the last poll, and what became of a flow of ours.

Two ways of paging: a cursor (contract 1.3), or the time of the last change (1.1, 1.2), where a page holds the oldest of
what matches, at most as many as the answer's own `limit`, in any order.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import PermanentError, PollPage, Push, TemporaryError

from . import tables
from .flows import Flow, parse_flow, parse_time, write_time
from .session import Session

LIMIT = 100
BATCHES_PER_POLL = 50
DAY = timedelta(hours=24)
LOST_MEMORY = "flows_out_of_reach"

logger = logging.getLogger(__name__)

Where = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """`reached`: up to which change nothing is missing, where the page is full."""

    flows: tuple[Flow, ...]
    is_full: bool
    next_cursor: str = ""
    reached: datetime | None = None

    @property
    def times(self) -> list[datetime]:
        """The times of the last changes, each once, oldest first."""
        return sorted({flow.updated_at for flow in self.flows if flow.updated_at})


@dataclass(frozen=True)
class Position:
    """`done`: all that changed up to then is stored. A long search goes on with the next poll: from `reached` on, or at
    `cursor` of the search that began `since`. `replayed`: when the last long look back was.
    """

    done: datetime | None = None
    reached: datetime | None = None
    cursor: str = ""
    since: datetime | None = None
    newest: datetime | None = None
    replayed: datetime | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Position:
        times = {name: parse_time(stored.get(name)) for name in ("done", "reached", "since", "newest", "replayed")}
        cursor = stored.get("cursor")
        return cls(cursor=cursor if isinstance(cursor, str) else "", **times)

    def store(self) -> dict[str, Any]:
        shown = {
            name: write_time(value) if isinstance(value, datetime) else value for name, value in vars(self).items()
        }
        return {name: value for name, value in shown.items() if value}


class Searching(Session):
    def search(self, where: Where, *, cursor: str = "", limit: int = LIMIT) -> Page:
        """One page. Flows without identity are left out and said so."""
        body: dict[str, Any] = {"where": where, "limit": limit} | ({"cursor": cursor} if cursor else {})
        document = self.read("POST", self.url("flows", "search"), json=body)
        rows = document.get("results") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            message = _("The answer of %(platform)s to a search holds no list of flows.")
            raise TemporaryError(message % {"platform": self.platform})
        flows = tuple(flow for flow in map(parse_flow, rows) if flow)
        if len(flows) < len(rows):
            logger.warning("%s lists %s flows without identity", self.account.name, len(rows) - len(flows))
        following = document.get("nextCursor")
        return Page(
            flows=flows,
            is_full=len(rows) >= _told_limit(document.get("limit"), limit),
            next_cursor=following if isinstance(following, str) else "",
        )

    def find_tracked(self, tracking_id: str) -> tuple[Flow, ...]:
        """The flows we submitted under an id of ours, oldest first."""
        found = [flow for flow in self.search({"trackingId": tracking_id}).flows if flow.tracking_id == tracking_id]
        return tuple(sorted(found, key=lambda flow: flow.submitted_at or datetime.min.replace(tzinfo=UTC)))

    def find_original(self, name: str, flow_types: Iterable[str], since: datetime) -> Flow | None:
        """A flow of ours by its file name, where the platform says that it has it but not under our id."""
        where = {"updatedAfter": write_time(since), "flowDirection": [tables.OUT], "flowType": list(flow_types)}
        for page in self._pages(where, since):
            for flow in page.flows:
                if flow.name == name and not flow.is_refused:
                    return flow
        return None

    # --- polling ---

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        now = datetime.now(UTC)
        position = Position.read(cursor)
        found: dict[str, Flow] = {}
        start = self._start(position, now)
        if self.setting("contract") == "1.3":
            after = self._follow_cursor(position, start, found)
        else:
            after = self._follow_times(position, start, found)
        is_replay = position.replayed is None or start != self._since(position)
        after = replace(after, replayed=now if is_replay else position.replayed)
        return PollPage(pushes=tuple(map(_push, _oldest_first(found.values()))), cursor=after.store())

    def _since(self, position: Position) -> datetime | None:
        return position.done - timedelta(seconds=self.setting("poll_overlap")) if position.done else None

    def _start(self, position: Position, now: datetime) -> datetime | None:
        """After which change to look; None for everything."""
        since, hours = self._since(position), self.setting("replay_hours")
        replay_due = hours > 0 and position.replayed is not None and now - position.replayed > DAY
        if since is None or not replay_due or position.reached or position.cursor:
            return since
        return min(since, now - timedelta(hours=hours))

    def _where(self, after: datetime | None) -> Where:
        where: Where = {"flowType": list(tables.FOLLOWED)}
        return where | ({"updatedAfter": write_time(after)} if after else {})

    def _follow_cursor(self, position: Position, start: datetime | None, found: dict[str, Flow]) -> Position:
        """A cursor goes with the search it came from. One the platform no longer knows starts that search anew."""
        since, cursor = (position.since, position.cursor) if position.cursor else (start, "")
        newest = _newest(position.newest, position.done)
        for _batch in range(BATCHES_PER_POLL):
            try:
                page = self.search(self._where(since), cursor=cursor)
            except PermanentError as error:
                if not cursor or cursor != position.cursor or error.status_code in (401, 403):
                    raise
                cursor = ""
                continue
            _keep(found, page)
            newest = _newest(newest, *page.times)
            cursor = page.next_cursor
            if not cursor:
                return Position(done=newest)
        logger.warning("%s: %s pages read, the next poll goes on", self.account.name, BATCHES_PER_POLL)
        return Position(done=position.done, since=since, cursor=cursor, newest=newest)

    def _follow_times(self, position: Position, start: datetime | None, found: dict[str, Flow]) -> Position:
        after, newest = position.reached or start, _newest(position.newest, position.done)
        for batches, page in enumerate(self._pages(self._where(after), after), start=1):
            _keep(found, page)
            newest = _newest(newest, *page.times)
            if not page.is_full:
                return Position(done=newest)
            if batches >= BATCHES_PER_POLL:
                logger.warning("%s: %s pages read, the next poll goes on", self.account.name, batches)
                return Position(done=position.done, reached=page.reached, newest=newest)
        return Position(done=newest)

    def _pages(self, where: Where, after: datetime | None) -> Iterator[Page]:
        """Page by page over `updatedAfter`, which is strict. A full page may end in the middle of an instant, so the
        next one starts before its last instant; one that is a single instant is split by type and direction.
        """
        while True:
            page = self.search(where | ({"updatedAfter": write_time(after)} if after else {}))
            # A platform that is not strict shows what we know already.
            instants = [moment for moment in page.times if after is None or moment > after]
            if not page.is_full or not page.times:
                yield replace(page, is_full=False)
                return
            if len(instants) > 1:
                after = instants[-2]
            else:
                instant = page.times[-1]
                page = replace(page, flows=(*page.flows, *self._split(where, after, instant)))
                after = instant if instants else instant + timedelta(milliseconds=1)
            yield replace(page, reached=after)

    def _split(self, where: Where, after: datetime | None, instant: datetime) -> Iterator[Flow]:
        """The flows of one instant that fills a page: by type, then by direction; what is left is told to people."""
        since = {"updatedAfter": write_time(after)} if after else {}
        for flow_type in where.get("flowType", tables.FOLLOWED):
            page = self.search(where | since | {"flowType": [flow_type]})
            yield from page.flows
            if not _is_one_instant(page, instant):
                continue
            for direction in (tables.IN, tables.OUT):
                page = self.search(where | since | {"flowType": [flow_type], "flowDirection": [direction]})
                yield from page.flows
                if _is_one_instant(page, instant):
                    self._tell_loss(flow_type, direction, instant)

    def _tell_loss(self, flow_type: str, direction: str, instant: datetime) -> None:
        lost = {"type": flow_type, "direction": direction, "at": write_time(instant)}
        logger.error("%s: more flows changed at one instant than a page holds: %s", self.account.name, lost)
        self.memory.set(LOST_MEMORY, lost)


def _is_one_instant(page: Page, instant: datetime) -> bool:
    return page.is_full and page.times[-1:] == [instant]


def _told_limit(told: Any, asked: int) -> int:
    """The platform may cap silently what we ask for; its answer tells."""
    return min(told, asked) if isinstance(told, int) and not isinstance(told, bool) and told > 0 else asked


def _newest(*moments: datetime | None) -> datetime | None:
    return max(filter(None, moments), default=None)


def _keep(found: dict[str, Flow], page: Page) -> None:
    """Each flow once, as it was last seen."""
    for flow in page.flows:
        found.pop(flow.id, None)
        found[flow.id] = flow


def _oldest_first(flows: Iterable[Flow]) -> list[Flow]:
    """By their last change, invoices before the statuses of the same instant."""
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(flows, key=lambda flow: (flow.updated_at or latest, flow.type not in tables.INVOICES))


def _push(flow: Flow) -> Push:
    body = json.dumps(flow.raw, ensure_ascii=False).encode()
    return Push(key=flow.key or f"{flow.id} {flow.ack}", body=body)

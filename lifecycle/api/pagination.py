"""Pages by the sort key of the last row: never an offset, never a total, the same cost at any depth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db import connection as database
from django.db.models import Model, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from einvoice_project.problems import BadQuery

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
SALT = "navette.api.cursor"
# Our processes' clocks against the database's.
CLOCK_TOLERANCE = timedelta(milliseconds=250)

OLDEST_WRITER = """
    SELECT min(xact_start) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


def settled_before() -> datetime:
    """No transaction still open can bring a row changed before this moment.

    A feed read up to here is never overtaken by a row that was stamped earlier and committed later.
    """
    with database.cursor() as cursor:
        cursor.execute(OLDEST_WRITER)
        (oldest,) = cursor.fetchone()
    now = timezone.now()
    return min(oldest or now, now) - CLOCK_TOLERANCE


class KeysetPagination(BasePagination):
    """Views give `keyset`: the sort columns, all in one direction, unique together."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.base_url = request.build_absolute_uri()
        self.keyset: Sequence[str] = view.get_keyset()
        size = _page_size(request)
        backwards, position = self._decode(request.query_params.get("cursor"), queryset.model)
        descending = self.keyset[0].startswith("-") != backwards
        columns = [column.lstrip("-") for column in self.keyset]
        if position:
            queryset = queryset.filter(_beyond(columns, position, descending))
        rows = list(queryset.order_by(*(f"-{c}" if descending else c for c in columns))[: size + 1])
        more, rows = len(rows) > size, rows[:size]
        if backwards:
            rows.reverse()
        self.next = self._link(rows, -1, backwards=False) if more or backwards else None
        self.previous = self._link(rows, 0, backwards=True) if (more if backwards else position) else None
        return rows

    def _link(self, rows: Sequence[Model], index: int, *, backwards: bool) -> str | None:
        if not rows:
            return None
        values = [getattr(rows[index], column.lstrip("-")) for column in self.keyset]
        told = [value if isinstance(value, int) else _text(value) for value in values]
        cursor = signing.dumps([list(self.keyset), backwards, told], salt=SALT)
        return replace_query_param(self.base_url, "cursor", cursor)

    def _decode(self, cursor: str | None, model: type[Model]) -> tuple[bool, list[Any]]:
        if cursor is None:
            return False, []
        try:
            keyset, backwards, told = signing.loads(cursor, salt=SALT)
        except signing.BadSignature as error:
            raise _bad("cursor", _("This is not a cursor of ours: follow the links of an answer.")) from error
        if keyset != list(self.keyset):
            raise _bad("cursor", _("This cursor belongs to another list: follow the links of an answer."))
        columns: list[Any] = [model._meta.get_field(column.lstrip("-")) for column in self.keyset]
        return backwards, [column.to_python(value) for column, value in zip(columns, told, strict=True)]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
        return [
            {
                "name": "cursor",
                "in": "query",
                "description": "From the `next` or `previous` link of an answer; never made by hand.",
                "schema": {"type": "string"},
            },
            {"name": "page_size", "in": "query", "description": "Rows per page.", "schema": size},
        ]


class OnePage(KeysetPagination):
    """For what always fits one page: the same shape of answer, without parameters."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.next = self.previous = None
        return list(queryset)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return []


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _beyond(columns: Sequence[str], position: Sequence[Any], descending: bool) -> Q:
    """The rows after a position. The first condition walks the index, the second drops what was shown already."""
    operator = "lt" if descending else "gt"
    first, *others = columns
    if not others:
        return Q(**{f"{first}__{operator}": position[0]})
    tie = Q(**{first: position[0]}) & _beyond(others, position[1:], descending)
    return Q(**{f"{first}__{operator}e": position[0]}) & (Q(**{f"{first}__{operator}": position[0]}) | tie)


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(PAGE_SIZE))
    if text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE:
        return int(text)
    raise _bad("page_size", _("A page has 1 to %(limit)d rows.") % {"limit": MAX_PAGE_SIZE})


def _bad(field: str, message: str) -> BadQuery:
    return BadQuery(errors=[{"field": field, "code": "invalid", "message": message}])

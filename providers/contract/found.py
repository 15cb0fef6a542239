"""What a poll found and the inbox is to look at, as JSON: bells to answer and statuses to record."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from . import shapes
from .shapes import Bell, Delivery, StatusReport


def write(*, bells: Iterable[Bell] = (), statuses: Iterable[StatusReport] = ()) -> dict[str, Any]:
    return {"bells": [_plain(bell) for bell in bells], "statuses": [_plain(status) for status in statuses]}


def read(document: Mapping[str, Any], *, key: str) -> Delivery:
    return Delivery(
        key=key,
        bells=tuple(_revive(Bell, each) for each in document["bells"]),
        statuses=tuple(_revive(StatusReport, each) for each in document["statuses"]),
    )


def _plain(value: Any) -> Any:
    """JSON of a frozen data class, less what stands at its default."""
    if is_dataclass(value):
        told = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: _plain(item) for name, item in told.items() if item not in (None, "", False, (), {})}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _revive(wanted: Any, value: Any) -> Any:
    """The value that `_plain` wrote, by the declared type of its field."""
    if get_origin(wanted) in (Union, UnionType):
        wanted = next(each for each in get_args(wanted) if each is not NoneType)
    if value is None:
        return None
    if is_dataclass(wanted):
        hints = get_type_hints(wanted, vars(shapes))
        given = {name: _revive(hints[name], item) for name, item in value.items() if name in hints}
        required = {"status": None} if wanted is StatusReport else {}
        return wanted(**({"provider_ref": ""} if "provider_ref" in hints else {}) | required | given)  # type: ignore[operator]
    if get_origin(wanted) is tuple:
        return tuple(_revive(get_args(wanted)[0], item) for item in value)
    if wanted in (date, datetime):
        return wanted.fromisoformat(value)
    if wanted is bytes:
        return base64.b64decode(value)
    return Decimal(value) if wanted is Decimal else value

"""Seqino's two error shapes: its own object, and FastAPI's list of what is invalid."""

import json
import secrets
from typing import Any

from werkzeug import Request, Response


class ApiError(Exception):
    """An error of the platform's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class InvalidError(Exception):
    """What is wrong with the request: places and messages."""

    def __init__(self, *faults: tuple[tuple[str | int, ...], str]) -> None:
        super().__init__(str(faults))
        self.faults = faults


def as_json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status=status, mimetype="application/json")


def error(status: int, message: str) -> Response:
    return as_json({"error": message, "code": status, "trace_id": secrets.token_hex(4)}, status)


def invalid(faults: InvalidError) -> Response:
    detail = [{"loc": list(place), "msg": message, "type": "value_error"} for place, message in faults.faults]
    return as_json({"detail": detail}, 422)


def read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise InvalidError((("body", 0), "JSON decode error")) from None
    if not isinstance(body, dict):
        raise InvalidError((("body",), "Input should be a valid dictionary"))
    return body


def require(body: dict[str, Any], place: tuple[str | int, ...], *names: str) -> None:
    missing = [((*place, name), "Field required") for name in names if body.get(name) in (None, "")]
    if missing:
        raise InvalidError(*missing)

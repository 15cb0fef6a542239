"""Error bodies of the contract, and JSON answers."""

import json
from typing import Any

from werkzeug import Request, Response


class FlowError(Exception):
    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def as_json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status=status, mimetype="application/json")


def refusal(error: FlowError) -> Response:
    body = {"errorCode": error.code} | ({"errorMessage": error.message} if error.message else {})
    return as_json(body, error.status)


def read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise FlowError(400, "INVALID_JSON", "Invalid request format") from None
    if not isinstance(body, dict):
        raise FlowError(400, "INVALID_JSON", "Invalid request format")
    return body

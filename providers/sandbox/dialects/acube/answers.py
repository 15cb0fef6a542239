"""A-Cube's two error shapes, its collections, and its tokens."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from werkzeug import Request, Response

HYDRA = "application/ld+json"
MAX_PAGE = 100


class ProblemError(Exception):
    """An error of the API layer: (status, detail) or violations of single fields."""

    def __init__(self, status: int, detail: str = "", **violations: str) -> None:
        self.status = status
        self.violations = [{"propertyPath": path, "message": message} for path, message in violations.items()]
        self.detail = detail or "\n".join(f"{path}: {message}" for path, message in violations.items())


class UnauthorizedError(Exception):
    """An error of the security layer."""


def as_json(value: Any, status: int = 200, mimetype: str = "application/json") -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status=status, mimetype=mimetype)


def security_error(message: str, status: int = 401) -> Response:
    return as_json({"code": status, "message": message}, status)


def problem(error: ProblemError) -> Response:
    body: dict[str, Any] = {
        "type": "https://tools.ietf.org/html/rfc2616#section-10",
        "title": "An error occurred",
        "status": error.status,
        "detail": error.detail,
    }
    if error.violations:
        body["violations"] = error.violations
    return as_json(body, error.status, "application/problem+json")


def read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise ProblemError(400, "Syntax error") from None
    if not isinstance(body, dict):
        raise ProblemError(400, "The body must be a JSON object.")
    return body


def _number(request: Request, name: str, default: int) -> int:
    try:
        value = int(request.args.get(name, default))
    except ValueError:
        value = 0
    if value < 1:
        raise ProblemError(400, f"{name} must be a positive whole number.")
    return value


def collection(request: Request, items: Sequence[Any], show: Callable[[Any], dict]) -> Response:
    """One page: a bare array for JSON, the same in a Hydra object for JSON-LD."""
    page = _number(request, "page", 1)
    size = min(_number(request, "itemsPerPage", 30), MAX_PAGE)
    members = [show(item) for item in items[(page - 1) * size : page * size]]
    if request.accept_mimetypes.best_match(["application/json", HYDRA]) != HYDRA:
        return as_json(members)
    last = max(1, -(-len(items) // size))
    links = {"hydra:first": 1, "hydra:last": last}
    if page > 1:
        links["hydra:previous"] = page - 1
    if page < last:
        links["hydra:next"] = page + 1
    view = {name: f"{request.path}?itemsPerPage={size}&page={number}" for name, number in links.items()}
    body = {
        "@id": request.path,
        "@type": "hydra:Collection",
        "hydra:totalItems": len(items),
        "hydra:member": members,
        "hydra:view": {"@id": f"{request.path}?itemsPerPage={size}&page={page}", **view},
    }
    return as_json(body, mimetype=HYDRA)


def new_token(email: str, roles: dict[str, list[str]], seconds: float) -> str:
    """Shaped like the platform's RS256 token. The last part is chance: clients cannot verify it either."""
    issued = int(time.time())
    claims = {"iat": issued, "exp": int(issued + seconds), "roles": roles, "username": email, "uid": 1}
    parts = (json.dumps({"typ": "JWT", "alg": "RS256"}), json.dumps(claims))
    encoded = [part.encode() for part in parts] + [secrets.token_bytes(256)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in encoded)

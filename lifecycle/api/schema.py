"""The OpenAPI description: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse

from einvoice_project.problems import CONTENT_TYPE

from .serializers import ProblemSerializer

PROBLEMS = {
    400: "The request cannot be read: broken JSON, or a query parameter that is unknown or of the wrong form.",
    401: "No valid token.",
    403: "The caller's role does not allow this.",
    404: "There is no such thing, or it belongs to a customer the caller has nothing to do with.",
    406: "The answer does not exist in the format asked for.",
    409: "The thing moved on meanwhile, or the Idempotency-Key was used with another body.",
    411: "The body came without its length.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Values refused; `errors` names each.",
    429: "Too many calls; `Retry-After` says when to go on.",
    500: "Our fault; it is logged.",
}
READING = (400, 401, 403, 406, 429, 500)
WRITING = (400, 401, 403, 406, 409, 411, 413, 415, 422, 429, 500)

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Up to 200 characters of your choice. The same key and body again is answered with the decision that "
    "was recorded the first time (`Idempotent-Replayed: true`), another body under it 409.",
)


class ApiSchema(AutoSchema):
    """Adds the problems every operation may answer, and the parameters of a list's filters where it is read."""

    def get_override_parameters(self) -> list[Any]:
        filters = getattr(self.view, "filters", None) if self.method == "GET" else None
        return [*super().get_override_parameters(), *([filters] if filters else [])]

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        answers = super()._get_response_bodies(direction)
        return answers | {str(code): self._problem(code, direction) for code in self._problem_codes()}

    def _problem_codes(self) -> list[int]:
        codes = READING if self.method == "GET" else WRITING
        return sorted([*codes, 404] if "{" in self.path else codes)

    def _problem(self, code: int, direction: Direction) -> dict[str, Any]:
        answer = OpenApiResponse(ProblemSerializer, description=PROBLEMS[code])
        return self._get_response_for_code(answer, str(code), [CONTENT_TYPE], direction)


def keep_api(endpoints: list[Any], **_: Any) -> list[Any]:
    """The webhooks are DRF views too, but platforms know them from their own specifications."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]

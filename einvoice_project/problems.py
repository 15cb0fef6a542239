"""Errors of the REST API as problem details (RFC 9457), in the reader's language."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.views.defaults import server_error
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from providers.connections.services import storable

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: _("The request cannot be read"),
    401: _("Authentication needed"),
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("Method not allowed"),
    406: _("No such format"),
    409: _("Conflict"),
    411: _("Length needed"),
    413: _("Too large"),
    415: _("Unsupported media type"),
    422: _("Values refused"),
    429: _("Too many requests"),
    500: _("Our fault"),
    503: _("Not available now"),
}
# The database takes nothing now: full, read-only, gone, locked, too slow. What is wrong with a statement is our fault.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, InternalError)

ErrorRow = dict[str, str]


class ProblemError(exceptions.APIException):
    """Raised by views: `errors` name each field, `extra` are further members of the answer."""

    def __init__(self, detail: Any = None, *, errors: Iterable[ErrorRow] = (), code: str = "", **extra: Any) -> None:
        super().__init__(detail, code or None)
        self.code = code or self.default_code
        self.errors = list(errors)
        self.extra = extra


class BadQuery(ProblemError):
    status_code = 400
    default_code = "bad_query"
    default_detail = _("The address holds parameters that cannot be used: see errors.")


class Conflict(ProblemError):
    status_code = 409
    default_code = "conflict"


class LengthRequired(ProblemError):
    status_code = 411
    default_code = "length_required"
    default_detail = _("Send a Content-Length: bodies in chunks are not read.")


class TooLarge(ProblemError):
    status_code = 413
    default_code = "too_large"
    default_detail = _("The body is too large.")


class Unprocessable(ProblemError):
    status_code = 422
    default_code = "invalid"
    default_detail = _("Some values cannot be used: see errors.")


class Fault(ProblemError):
    status_code = 500
    default_code = "fault"
    default_detail = _("Something went wrong on our side. It was logged; try again later.")


class Unavailable(ProblemError):
    status_code = 503
    default_code = "unavailable"
    default_detail = _("The database cannot do this now: nothing was kept. Try again in a moment.")
    wait = 30


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. An unforeseen error is logged and answered 500, 503 where
    only the database is in the way and the same may succeed later; with DEBUG Django shows its page."""
    known = _as_api_exception(error)
    if known is None and settings.DEBUG:
        return None
    if known is None:
        known = Unavailable() if isinstance(error, DATABASE_UNAVAILABLE) else Fault()
        request = context["request"]
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
        got_request_exception.send(sender=handle, request=request)
    set_rollback()
    return Response(body_of(known), known.status_code, headers=_headers(known), content_type=CONTENT_TYPE)


def page_of_fault(request: HttpRequest) -> HttpResponse:
    """The same for pages: what was not foreseen is our fault, unless the database takes nothing now."""
    if not isinstance(sys.exc_info()[1], DATABASE_UNAVAILABLE):
        return server_error(request)
    page = render_to_string("503.html", {"title": TITLES[503], "words": Unavailable.default_detail})
    return HttpResponse(page, status=503, headers={"Retry-After": str(Unavailable.wait)})


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.ValidationError):
        return Unprocessable(errors=flatten(error.detail))
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied(*error.args)
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return exceptions.ParseError()
    return None


def body_of(error: exceptions.APIException) -> dict[str, Any]:
    code = error.code if isinstance(error, ProblemError) else str(error.get_codes())
    body = {
        "type": f"urn:navette:problem:{code.replace('_', '-')}",
        "title": str(TITLES.get(error.status_code, error.default_code)),
        "status": error.status_code,
        "detail": str(error.detail),
    }
    if isinstance(error, ProblemError):
        body |= ({"errors": error.errors} if error.errors else {}) | error.extra
    return body


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {"WWW-Authenticate": getattr(error, "auth_header", None)}
    wait = getattr(error, "wait", None)
    headers["Retry-After"] = f"{wait:.0f}" if wait else None
    return {name: value for name, value in headers.items() if value}


def flatten(detail: Any, path: str = "") -> list[ErrorRow]:
    """DRF's nested errors as rows with a path each, such as `payments[0].amount`. Both may repeat what was sent, and
    half a character cannot be sent back."""
    return [
        {"field": storable(field), "code": str(getattr(error, "code", "invalid")), "message": storable(str(error))}
        for field, error in _leaves(detail, path)
    ]


def _leaves(detail: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _leaves(value, _step(path, key))
    elif isinstance(detail, list | tuple):
        for index, value in enumerate(detail):
            # A list holds the messages of one field, or one dict per row.
            yield from _leaves(value, f"{path}[{index}]" if isinstance(value, dict | list) else path)
    else:
        yield path, detail


def _step(path: str, key: Any) -> str:
    if key == api_settings.NON_FIELD_ERRORS_KEY:
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)

"""What every request passes."""

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.urls import resolve
from django.utils.translation import gettext

from providers.connections.services import storable
from providers.contract.http import UNSTORABLE

from . import problems

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "midi",
        "payment",
        "usb",
        "browsing-topics",
    )
)


def pushes_first(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What platforms push goes straight to its view: sessions, languages and page headers cost a third of its time."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/hooks/"):
            return get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        response = match.func(request, *match.args, **match.kwargs)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response.render() if hasattr(response, "render") else response

    return middleware


def plain_text(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """No text of ours holds a NUL or half a character, and the database takes neither: whoever sends one hears 400."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if all(map(_is_plain, _texts(request))):
            return get_response(request)
        if request.path_info.startswith("/api/"):
            message = gettext("The address holds a character that is none.")
            odd = [storable(name) for name, values in request.GET.lists() if not all(map(_is_plain, (name, *values)))]
            rows: list[problems.ErrorRow] = [{"field": name, "code": "invalid", "message": message} for name in odd]
            body = problems.body_of(problems.BadQuery(message, errors=rows))
            return JsonResponse(body, status=400, content_type=problems.CONTENT_TYPE)
        return HttpResponseBadRequest(
            gettext("The request holds a character that is none."), content_type="text/plain; charset=utf-8"
        )

    return middleware


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path_info
    yield from (value for name, value in request.META.items() if name.startswith("HTTP_"))
    # Forms are read by the check against forgery anyway; uploads to the API by their view, within its limits.
    is_uploaded = request.content_type == "multipart/form-data" and request.path_info.startswith("/api/")
    for fields in [request.GET, *([] if is_uploaded else [request.POST])]:
        for name, values in fields.lists():
            yield from (name, *map(str, values))


def _is_plain(text: str) -> bool:
    return UNSTORABLE.search(text) is None


def admin_scripts(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Django's own scripts write HTML from text, so that the admin cannot ask for trusted types."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.startswith("/admin/"):
            response._csp_replace = {"require-trusted-types-for": None, "trusted-types": None}  # type: ignore[attr-defined]
        return response

    return middleware


def permissions_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        # Static files never come here. What else we answer belongs to a person, and stays in no cache.
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware

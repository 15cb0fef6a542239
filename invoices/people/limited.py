"""How often a person may ask for what costs much."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from providers.connections.limits import Limit, spend

View = Callable[..., HttpResponseBase]


def export_limit() -> Limit:
    return Limit("exports", settings.EXPORTS_PER_MINUTE)


def preview_limit() -> Limit:
    return Limit("previews", settings.PREVIEWS_PER_MINUTE)


def limited(limit: Callable[[], Limit]) -> Callable[[View], View]:
    """Below what lets only signed-in people in. Beyond the limit: 429, and when to go on."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            spent = spend(limit(), f"user:{request.user.pk}")
            if not spent.is_over:
                return view(request, *args, **kwargs)
            words = _("Too many in a short time. Go on in %(seconds)d seconds.") % {"seconds": spent.resets_in}
            return HttpResponse(words, status=429, content_type="text/plain; charset=utf-8", headers=spent.headers)

        return wrapper

    return decorate

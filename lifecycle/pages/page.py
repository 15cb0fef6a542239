"""What every page shares: who asks, live regions, and the answer to an action."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from invoices.people.desk import Desk

View = Callable[..., HttpResponseBase]


class DeskRequest(HttpRequest):
    """A signed-in person's request."""

    desk: Desk
    htmx: Any


def page(view: View) -> View:
    """A page for signed-in people. A fragment asked for after the session ended reloads into the login."""

    @wraps(view)
    def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            request.desk = Desk(request.user)
            return view(request, *args, **kwargs)
        if request.htmx:
            here = request.htmx.current_url_abs_path or "/"
            return HttpResponseClientRedirect(f"{resolve_url('account_login')}?next={quote(here)}")
        return redirect_to_login(request.get_full_path())

    return wrapper


def digest(*facts: Any) -> str:
    return hashlib.blake2s(repr(facts).encode(), digest_size=8).hexdigest()


def piece(request: HttpRequest, name: str, context: dict[str, Any]) -> SafeString:
    """A region of a page that live answers replace by its id, and only if its content differs."""
    html = render_to_string(f"lifecycle/parts/{name}.html", context, request)
    out_of_band = ' hx-swap-oob="true"' if getattr(request, "htmx", None) else ""
    return format_html(
        '<div id="{}" class="piece" data-seen="{}"{}>{}</div>', name, digest(html), SafeString(out_of_band), html
    )


def done(request: Any, words: str, *, to: str, tone: str = "good") -> HttpResponse:
    """After an action: without script a redirect and a message; with it a notice and a fresh page region."""
    if request.htmx:
        response = HttpResponse(status=204)
        trigger_client_event(response, "notify", {"text": words, "tone": tone})
        trigger_client_event(response, "refresh", {})
        return response
    level = messages.SUCCESS if tone == "good" else messages.ERROR
    messages.add_message(request, level, words)
    return redirect(to)

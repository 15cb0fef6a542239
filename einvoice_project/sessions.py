"""How long a session lasts, and who has to bring a second factor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from invoices.models import Role
from invoices.people.access import highest_role

BEGUN, SEEN = "begun", "seen"
# One UPDATE of the session a minute, not one per request.
NOTED_EVERY = 60
NOBODY = "nobody"
GetResponse = Callable[[HttpRequest], HttpResponse]


def ending_sessions(get_response: GetResponse) -> GetResponse:
    """A session ends SESSION_IDLE_MINUTES after its person did something, and SESSION_HOURS after it began."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not _opens_a_file(request) and request.user.is_authenticated and not _goes_on(request):
            logout(request)
            messages.info(request, _("Your session had ended. Sign in again: you come back to this page."))
        return get_response(request)

    return middleware


def _goes_on(request: HttpRequest) -> bool:
    now, session = int(time.time()), request.session
    begun, seen = session.get(BEGUN, now), session.get(SEEN, now)
    if now - seen > settings.SESSION_IDLE_MINUTES * 60 or now - begun > settings.SESSION_COOKIE_AGE:
        return False
    if BEGUN not in session:
        session[BEGUN] = session[SEEN] = now
    elif now - seen >= NOTED_EVERY and not _asks_by_itself(request):
        session[SEEN] = now
    return True


def _asks_by_itself(request: HttpRequest) -> bool:
    """A page left open polls for ever; nobody sits before it for that."""
    return request.headers.get("HX-Trigger") == "live"


def leaving_nothing(get_response: GetResponse) -> GetResponse:
    """Whoever signs out leaves nothing in the browser: what was typed, the list one came from, copies of pages."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "POST" and request.path_info == reverse("account_logout"):
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return middleware


def second_factor(get_response: GetResponse) -> GetResponse:
    """Whoever needs a second factor and has none sets one up first; the account pages stay open for that."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if _opens_a_file(request) or _is_open(request.path_info) or not lacks_factor(request.user):
            return get_response(request)
        set_up = reverse("mfa_index")
        if request.headers.get("HX-Request"):
            return HttpResponseClientRedirect(set_up)
        messages.warning(request, _("Your role needs a second factor. Set one up, then go on."))
        return redirect(set_up)

    return middleware


def _opens_a_file(request: HttpRequest) -> bool:
    """Its address is the right to it: no session is looked at, so that no cookie is set where files are served."""
    return request.path_info.startswith("/files/")


def _is_open(path: str) -> bool:
    return path.startswith(("/accounts/", "/i18n/", settings.STATIC_URL))


def lacks_factor(user: Any) -> bool:
    return user.is_authenticated and needs_factor(user) and not is_mfa_enabled(user)


def needs_factor(user: Any) -> bool:
    """By the best of the user's roles. Staff of no customer are there for all of them."""
    if settings.MFA_REQUIRED_FROM == NOBODY:
        return False
    role = highest_role(user) or (Role.ADMINISTRATOR if user.is_staff else None)
    return role is not None and role.rank >= Role(settings.MFA_REQUIRED_FROM).rank

"""Everybody's own tokens of the REST API."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from invoices.models import ApiToken
from invoices.people import tokens
from lifecycle.decisions.forms import TokenForm

from .page import DeskRequest, page
from .questions import Question, ask, is_confirmed


@page
@reauthentication_required(allow_get=True)
@require_http_methods(["GET", "POST"])
def token_list(request: DeskRequest) -> HttpResponse:
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        row, secret = tokens.make(user=request.user, **form.wish)
        return _show(request, TokenForm(), made=row, secret=secret)
    return _show(request, form)


def _show(request: DeskRequest, form: TokenForm, **made: Any) -> HttpResponse:
    rows = ApiToken.objects.filter(user=request.user.pk).order_by("-created_at")
    return render(request, "lifecycle/tokens.html", {"form": form, "rows": rows, **made})


@page
@require_POST
def revoke_token(request: DeskRequest, token_id: int) -> HttpResponse:
    row = get_object_or_404(ApiToken.objects.select_related("user"), pk=token_id, user=request.user.pk)
    if not is_confirmed(request):
        return ask(request, _question(row))
    tokens.revoke(row)
    messages.success(request, _("Token %(token)s is revoked: nothing opens with it any more.") % {"token": row.label})
    return redirect("lifecycle:tokens")


def _question(row: ApiToken) -> Question:
    return Question(
        title=_("Revoke %(token)s") % {"token": row.label},
        answer=_("Revoke"),
        effects=[_("Software that uses this token is refused from now on. It cannot be brought back.")],
        back=reverse("lifecycle:tokens"),
    )

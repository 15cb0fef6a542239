"""How often software may call."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from invoices.models import ApiToken
from invoices.people.limited import export_limit
from providers.connections.limits import Limit, Spent, spend


def call_limit() -> Limit:
    return Limit("calls", settings.API_CALLS_PER_MINUTE)


class CallLimit(BaseThrottle):
    """Per token, and per person in a browser."""

    spent: Spent

    def allow_request(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return True
        self.spent = self.count(request)
        request._request.spent = self.spent  # type: ignore[attr-defined]  # for the answer's headers
        return not self.spent.is_over

    def count(self, request: Request) -> Spent:
        is_token = isinstance(request.auth, ApiToken)
        return spend(call_limit(), f"token:{request.auth.pk}" if is_token else f"user:{request.user.pk}")

    def wait(self) -> float:
        return self.spent.resets_in


class ExportLimit(CallLimit):
    """Per person, whatever tokens they have: an export reads hundreds of files."""

    def count(self, request: Request) -> Spent:
        return spend(export_limit(), f"user:{request.user.pk}")

"""The zone in which pages show times, up to the first and last hours there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone


class WholeZone(ZoneInfo):
    """A zone that has no time which cannot be shown: what falls before the year 1 or after 9999 here stays in UTC."""

    def fromutc(self, moment: datetime) -> datetime:
        try:
            return super().fromutc(moment)
        except OverflowError:
            return moment.replace(tzinfo=UTC)


@cache
def shown_zone() -> WholeZone:
    return WholeZone(settings.TIME_ZONE)


def every_time(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Any time that a row can hold is shown, on our pages as in the admin."""

    def middleware(request: HttpRequest) -> HttpResponse:
        timezone.activate(shown_zone())
        return get_response(request)

    return middleware

"""Times are shown whatever they are."""

from datetime import UTC, datetime

import pytest
from django.template import Context, Template
from django.utils import timezone

from einvoice_project.times import shown_zone

SHOWN = Template('{{ moment|date:"Y-m-d H:i" }}')


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01 14:00"),
        (datetime(9999, 12, 31, 22, 59, tzinfo=UTC), "9999-12-31 23:59"),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "9999-12-31 23:59"),
    ],
)
def test_time_beyond_the_calendar_of_the_zone_is_shown_in_utc(stored, shown):
    with timezone.override(shown_zone()):
        assert SHOWN.render(Context({"moment": stored})) == shown

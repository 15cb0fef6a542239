import json
import logging
import sys

import pytest
from django.test import RequestFactory

from einvoice_project.logs import HideHookTokens, JsonLines, NamePerson, TextLines
from tests.factories import make_user

TOKEN = "Xk3-secret_token"


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("Gone: %s", (f"/hooks/acube/{TOKEN}/",), "Gone: /hooks/acube/***/"),
        (f"POST https://navette.example.com/hooks/acube/{TOKEN} 401", (), None),
        ("Read %d deliveries", (3,), "Read 3 deliveries"),
    ],
)
def test_hook_address_is_shown_without_its_token(
    message: str, arguments: tuple[object, ...], shown: str | None
) -> None:
    record = logging.LogRecord("django.request", logging.WARNING, __file__, 1, message, arguments, None)
    assert HideHookTokens().filter(record)
    assert record.getMessage() == (shown or "POST https://navette.example.com/hooks/acube/*** 401")


def make_record(message: str, *arguments: object, **values: object) -> logging.LogRecord:
    record = logging.LogRecord("django.request", logging.WARNING, __file__, 1, message, arguments, None)
    record.__dict__ |= {"created": 1_800_000_000.25, "msecs": 250.0, "process": 7, **values}
    return record


def test_lines_are_in_utc() -> None:
    assert TextLines("%(asctime)s %(message)s").format(make_record("x")) == "2027-01-15T08:00:00.250Z x"


def test_message_begins_no_line_of_its_own() -> None:
    line = TextLines("%(levelname)s %(message)s").format(make_record("GET %s", "/a\r\nERROR \x1b[31m\u2028é"))
    assert line == "WARNING GET /a\\r\\nERROR \\x1b[31m\\u2028é"


def test_line_of_json_holds_what_would_begin_another() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        fault = sys.exc_info()
    line = JsonLines().format(make_record("a\n%s", "b", exc_info=fault))
    told = json.loads(line)
    assert "\n" not in line
    assert told.pop("fault").endswith("ValueError: two\nlines")
    assert told == {
        "time": "2027-01-15T08:00:00.250Z", "level": "WARNING", "logger": "django.request", "process": 7,
        "message": "a\nb",
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "is_named"), [(403, True), (404, False)])
def test_refusal_names_who_was_refused(status: int, is_named: bool) -> None:
    request = RequestFactory().get("/")
    request.user = make_user(username="ada")
    record = make_record("Forbidden: %s", "/100%/", status_code=status, request=request)
    NamePerson().filter(record)
    who = f" (user {request.user.pk} 'ada')" if is_named else ""
    assert record.getMessage() == f"Forbidden: /100%/{who}"

import logging

import pytest

from einvoice_project.logs import HideHookTokens

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

"""How a call to a platform fails, and how a push to us is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class PlatformError(Exception):
    """A call failed. `message` is for people and free of secrets; `answer` is what came back, shortened. `line`: the
    addressing line whose own credentials or far end these are; "" where another line would have met the same.
    """

    def __init__(self, message: str, *, status_code: int | None = None, answer: str = "", line: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.answer = answer[:4000]
        self.line = line


class TemporaryError(PlatformError):
    """Surely not accepted; try later, not before `retry_after` seconds where the platform says so."""

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class NotSpoken(TemporaryError):
    """It was not said, for it may not be said now: nothing of it has left."""


class UncertainError(PlatformError):
    """May have been accepted: look at the platform before saying it again."""


class PermanentError(PlatformError):
    """Refused, and would be refused again: a person must act."""


class LoginRefused(PermanentError):
    """Who we say we are is not accepted, or not entered yet: nothing works until a person has mended that."""


class Unsupported(PlatformError):
    """The platform has no way to express this; nothing was sent."""


class HookError(Exception):
    """A pushed request is not accepted. `status_code` is the HTTP answer."""

    status_code: ClassVar[int] = 400


class Malformed(HookError):
    """Not what the protocol carries."""


class NotGenuine(HookError):
    """Signature, secret or age is wrong."""

    status_code = 401


class NotYet(NotGenuine):
    """It may well be genuine: what shows it (a key, a secret) is not here yet. Answered so that it comes again."""

    status_code = 503

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WrongLine(HookError):
    """Genuine, but meant for another addressing line."""

    status_code = 403


class Nowhere(HookError):
    """There is nothing at this address, or no longer."""

    status_code = 410


class Refusal(HookError):
    """An answer in the protocol's own words: `document` is its JSON body."""

    def __init__(self, message: str, status_code: int, document: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status_code = status_code  # type: ignore[misc]
        self.document = document

"""What every adapter needs of HTTP: calls that fail in our terms, bounded bodies, readable errors without secrets."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from django.utils.translation import gettext as _

from providers.network.callbacks import ForbiddenAddress
from providers.network.deadlines import within
from providers.network.hiding import HIDDEN, hide

from .base import MIB, Adapter, PermanentError, PlatformError, Spoken, TemporaryError, UncertainError

# Over a whole exchange, from the connection to the last byte; a task has 120. The shorter one is for what must not be
# said twice.
LONGEST_ANSWER_SECONDS = 90.0
LONGEST_RECEIPT_SECONDS = 60.0
LONGEST_RETRY_AFTER = 24 * 3600.0
LONGEST_TEXT = 64 * 1024

# The platform says itself that it has not done it (RFC 9110 section 15.5.9, RFC 8470, RFC 6585).
NOT_DONE = frozenset({408, 425, 429})

# The request never left, or never wholly entered a connection.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
MISCONFIGURED = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)


@dataclass(frozen=True)
class Answer:
    """A whole answer, at most `max_bytes` long. `text` shows no secret of the call."""

    status_code: int
    headers: httpx.Headers = field(repr=False)
    content: bytes = field(repr=False)
    text: str = field(repr=False)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def find_json(self) -> Any:
        """The decoded body, or None where it is no JSON."""
        try:
            return load_json(self.content)
        except ValueError:
            return None


class Wire:
    """The calls of one connection. `repeatable`: a read, or a call that may be made twice without saying more; before
    any other's first byte may leave, `before_speaking` is asked, and raises where it must not.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        platform: str,
        wait_turn: Callable[[], None] = lambda: None,
        secrets: Iterable[str] = (),
        before_speaking: Callable[[], None] = lambda: None,
        on_spoken: Callable[[Spoken], None] = lambda spoken: None,
    ) -> None:
        self.client = client
        self.platform = platform
        self.wait_turn = wait_turn
        self.secrets = tuple(secret for secret in secrets if secret)
        self.before_speaking, self.on_spoken = before_speaking, on_spoken

    def exchange(
        self, method: str, url: str, *, repeatable: bool, bearer: str = "", max_bytes: int = MIB, **options: Any
    ) -> Answer:
        """Whatever the platform answers. Raises only where no whole answer came."""
        headers = dict(options.pop("headers", None) or {})
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        self.wait_turn()
        longest = LONGEST_ANSWER_SECONDS if repeatable else LONGEST_RECEIPT_SECONDS
        auth = options.pop("auth", httpx.USE_CLIENT_DEFAULT)
        try:
            request = self.client.build_request(method, url, headers=headers, **options)
            if not repeatable:
                self.before_speaking()
                self.on_spoken(spoken(request, (*self.secrets, bearer)))
            with (
                within(longest),
                closing(self.client.send(request, auth=auth, stream=True, follow_redirects=False)) as response,
            ):
                content = _read(response, max_bytes)
        except NEVER_SENT as error:
            raise TemporaryError(self._say(_("%(platform)s cannot be reached."), error)) from None
        except ForbiddenAddress as error:
            raise PermanentError(str(error)) from None
        except MISCONFIGURED as error:
            raise PermanentError(self._say(_("The address of %(platform)s is not usable: check it."), error)) from None
        except httpx.HTTPError as error:
            raise self._no_answer(error, repeatable) from None
        except _TooLong:
            raise self._too_long(max_bytes, repeatable) from None
        text = hide(content[:LONGEST_TEXT].decode("utf-8", "replace"), (*self.secrets, bearer))
        return Answer(response.status_code, response.headers, content, text)

    def require_success(self, answer: Answer, *, repeatable: bool) -> Answer:
        """The answer if it is 2xx, else the error it means."""
        if answer.is_success:
            return answer
        told = explain(answer)
        facts: dict[str, Any] = {"status_code": answer.status_code, "answer": answer.text}
        retry_after = find_retry_after(answer.headers)
        names = {"platform": self.platform, "code": answer.status_code, "told": told}
        if answer.status_code in NOT_DONE or (answer.status_code == 503 and retry_after is not None):
            message = _("%(platform)s asks for patience (%(code)s). %(told)s") % names
            raise TemporaryError(message.strip(), retry_after=retry_after, **facts)
        if answer.status_code >= 500:
            message = _("%(platform)s has a problem of its own (%(code)s). %(told)s") % names
            raise (TemporaryError if repeatable else UncertainError)(message.strip(), **facts)
        if 300 <= answer.status_code < 400:
            message = _("%(platform)s answers with a redirect (%(code)s), which is never followed: check the address.")
            raise (PermanentError if repeatable else UncertainError)(message % names, **facts)
        message = _("%(platform)s refuses (%(code)s). %(told)s") % names
        raise PermanentError(message.strip(), **facts)

    def require_receipt(self, answer: Answer, *, empty: Collection[int] = ()) -> Any:
        """The JSON by which the platform says that it took in what must not be said twice; None where it says so by one
        of the codes `empty`, without a body. Anything else, such as the page of a gateway, leaves it open: look first.
        """
        self.require_success(answer, repeatable=False)
        if answer.status_code in empty and not answer.content.strip():
            return None
        document = answer.find_json()
        if document is None:
            message = _("%(platform)s answered with something that is no receipt: did it take it in?")
            facts: dict[str, Any] = {"status_code": answer.status_code, "answer": answer.text}
            raise UncertainError(message % {"platform": self.platform}, **facts)
        return document

    def require_json(self, answer: Answer) -> Any:
        """The JSON of a read that succeeded. A page of some gateway in its place will pass."""
        document = answer.find_json()
        if document is None:
            message = _("%(platform)s answered something that is not JSON.") % {"platform": self.platform}
            raise TemporaryError(message, status_code=answer.status_code, answer=answer.text)
        return document

    def _no_answer(self, error: httpx.HTTPError, repeatable: bool) -> PlatformError:
        if repeatable:
            return TemporaryError(self._say(_("No answer from %(platform)s."), error))
        return UncertainError(self._say(_("No answer from %(platform)s: it may have accepted all the same."), error))

    def _too_long(self, max_bytes: int, repeatable: bool) -> PlatformError:
        message = _("%(platform)s sends more than the %(limit)s MB allowed.")
        message %= {"platform": self.platform, "limit": round(max_bytes / MIB, 1)}
        return PermanentError(message) if repeatable else UncertainError(message)

    def _say(self, message: str, error: Exception) -> str:
        # Only the class of the exception: its text may hold an address with credentials.
        return f"{message % {'platform': self.platform}} ({type(error).__name__})"


class HttpAdapter(Adapter):
    """An adapter whose calls share a pace and time limits: the settings `requests_per_second` (0: no limit),
    `connect_timeout`, `read_timeout` and, where files are sent, `upload_timeout` (seconds).
    """

    marks_speaking = True

    @property
    def platform(self) -> str:
        """The platform in messages to people."""
        return self.label

    @property
    def pace(self) -> float:
        return float(self.setting("requests_per_second"))

    def wait_turn(self) -> None:
        if self.pace > 0:
            time.sleep(self.account.next_turn(self.pace))

    @property
    def wire(self) -> Wire:
        return self.make_wire()

    def make_wire(self, *secrets: str) -> Wire:
        """A wire that hides the account's secrets, and these too."""
        return Wire(
            self.client,
            platform=self.platform,
            wait_turn=self.wait_turn,
            secrets=(*self.account.secrets.values(), *secrets),
            before_speaking=self.before_speaking,
            on_spoken=self.on_spoken,
        )

    def timeout(self, *, upload: bool = False) -> httpx.Timeout:
        seconds = self.setting("upload_timeout" if upload else "read_timeout")
        return httpx.Timeout(seconds, connect=self.setting("connect_timeout"))


class _TooLong(Exception):
    pass


# --- what left us -----------------------------------------------------------------------------------------------------

# Of a longer body, a file, the hash is kept: the file itself is kept elsewhere.
LONGEST_KEPT_BODY = 64 * 1024
# These hold credentials whatever they are called by the platform's own settings.
CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "apikey", "x-api-key", "ocp-apim-subscription-key"}
)


def spoken(request: httpx.Request, secrets: Iterable[str] = ()) -> Spoken:
    """A request as evidence: no secret in it."""
    secrets = tuple(filter(None, secrets))
    body = request.read()
    text = body.decode("utf-8", "surrogateescape")
    is_bare = len(body) <= LONGEST_KEPT_BODY and hide(text, secrets) == text
    headers = [(name, HIDDEN if name.lower() in CREDENTIALS else value) for name, value in request.headers.items()]
    return Spoken(
        method=request.method,
        url=hide(str(request.url), secrets),
        headers=tuple((name, hide(value, secrets)) for name, value in headers),
        body=body if is_bare else b"",
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
    )


# httpx undoes a chain of codings at one go, and of gzip within gzip 64 kB become gigabytes.
CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


def _read(response: httpx.Response, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "").strip().lower() not in CODINGS:
        raise httpx.DecodingError("A coding that was not asked for.")
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > max_bytes:
            raise _TooLong
    return bytes(content)


# --- reading answers --------------------------------------------------------------------------------------------------


def load_json(content: bytes) -> Any:
    """Decoded, less what no column holds: NUL, halves of surrogate pairs, NaN. ValueError if it is no JSON."""
    try:
        return _storable(json.loads(content, parse_constant=lambda name: None))
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def find_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date (RFC 9110 section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_RETRY_AFTER)


def explain(answer: Answer) -> str:
    """One line for people, out of the usual shapes of errors; "" where the body says nothing readable."""
    try:
        document = json.loads(answer.text)
    except (ValueError, RecursionError):
        plain = answer.media_type == "text/plain"
        return _line(answer.text) if plain else ""
    return _line(_told(document))


def _told(document: Any) -> str:
    told, trace = _said(document), document.get("trace_id") if isinstance(document, dict) else None
    return f"{told} [{trace}]" if isinstance(trace, str) and trace else told


# The names under which errors are told, best first.
TELLING = ("errorMessage", "message", "error_description", "details", "error", "title", "errorCode")


def _said(document: Any) -> str:
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    violations, detail = document.get("violations"), document.get("detail")
    errors = next((value for name, value in document.items() if name.lower() == "errors"), None)
    candidates = [
        "; ".join(map(_invalid, detail)) if isinstance(detail, list) else detail,
        document.get("hydra:description"),
        "; ".join(_violation(item) for item in violations) if isinstance(violations, list) else "",
        "; ".join(filter(None, map(_coded, errors))) if isinstance(errors, list) else "",
        *(document.get(name) for name in TELLING),
    ]
    return next((text for text in candidates if isinstance(text, str) and text.strip()), "")


def _violation(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    path, message = item.get("propertyPath"), item.get("message")
    return f"{path}: {message}" if path else str(message or "")


def _coded(item: Any) -> str:
    """One line of Billit's list of errors, whose documents do not agree on capitals."""
    if not isinstance(item, dict):
        return str(item)
    told = {name.lower(): value for name, value in item.items()}
    code, text = told.get("code"), told.get("description") or told.get("message")
    return ": ".join(part for part in (code, text) if isinstance(part, str) and part.strip())


def _invalid(item: Any) -> str:
    """One line of FastAPI's list of what is invalid: `loc` mixes names and places."""
    if not isinstance(item, dict):
        return str(item)
    places = item.get("loc")
    where = ".".join(map(str, places)) if isinstance(places, list) else ""
    return ": ".join(part for part in (where, str(item.get("msg") or "")) if part)


def _line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= 500 else line[:499] + "…"


def find_filename(headers: Mapping[str, str]) -> str:
    """The file name of Content-Disposition, made safe to store and to show; "" where there is none."""
    message = Message()
    message["Content-Disposition"] = headers.get("content-disposition", "").replace("\r", " ").replace("\n", " ")
    try:
        return safe_filename(message.get_filename() or "")
    except (ValueError, LookupError):  # an encoding nobody knows
        return ""


def safe_filename(name: str) -> str:
    """No folder, no control or direction character, no leading dot, at most 150 characters."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in last if char.isprintable() and char not in '<>:"|?*')
    kept = kept.strip().lstrip(".").strip()
    if len(kept) <= 150:
        return kept
    stem, dot, extension = kept.rpartition(".")
    return f"{stem[: 149 - len(extension)]}.{extension}" if dot and len(extension) <= 10 else kept[:150]

"""One deadline over a whole exchange. httpx bounds each single wait: who sends a byte now and then, in the headers or
in answers "continue" without end, would be listened to for ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)

# What is written at once: whoever takes it in drop by drop is seen between two pieces.
PIECE = 16 * 1024


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Whatever this thread exchanges inside ends after `seconds`, or earlier where an outer limit says so."""
    outer, ends_at = _ends_at.get(), time.monotonic() + seconds
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining() -> float | None:
    """Seconds that are left, perhaps less than none; None without a limit."""
    ends_at = _ends_at.get()
    return None if ends_at is None else ends_at - time.monotonic()


def _allowed(timeout: float | None, error: type[Exception]) -> float | None:
    """How long one wait may take. Raises `error` where nothing is left."""
    left = remaining()
    if left is None:
        return timeout
    if left <= 0:
        raise error("The exchange takes too long.")
    return left if timeout is None else min(timeout, left)


class DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self.stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _allowed(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), PIECE):
            self.stream.write(buffer[start : start + PIECE], _allowed(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = _allowed(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self.stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections whose every wait ends with the deadline of the thread that waits."""

    def __init__(self, backend: httpcore.NetworkBackend | None = None) -> None:
        self.backend = backend or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _allowed(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self.backend.connect_tcp(host, port, seconds, local_address, socket_options))


def keep_deadlines(client: httpx.Client) -> httpx.Client:
    """The client, its connections (through a proxy too) opened by a DeadlineBackend. httpx has no parameter for it."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = DeadlineBackend(transport._pool._network_backend)
    return client

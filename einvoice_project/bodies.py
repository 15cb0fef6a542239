"""Bodies that come drop by drop: gunicorn waits for each as long as it likes, with a thread. Here one that takes too
long is cut off, and sooner where others wait too, so that some threads are always free. Behind a proxy that collects
requests (deploy/nginx.conf) a body is there at once, and none of this happens.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Seconds for a body; and for one among more than MANY that a process waits for at once.
LONGEST, LONGEST_OF_MANY = 15.0, 1.5
MANY = 1
LOOK_SECONDS = 0.25

_waiting: dict[int, tuple[float, socket.socket]] = {}
_lock = threading.Lock()
_watcher_of = 0  # the process whose watcher runs: threads do not survive a fork


class Body:
    """`wsgi.input`, watched while it is read."""

    def __init__(self, stream: Any, connection: socket.socket) -> None:
        self.stream, self.connection = stream, connection
        self.since: float | None = None

    def read(self, *size: int) -> bytes:
        with self._watched():
            return bytes(self.stream.read(*size))

    def readline(self, *size: int) -> bytes:
        with self._watched():
            return bytes(self.stream.readline(*size))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self.since = self.since or time.monotonic()
        with _lock:
            _waiting[id(self)] = (self.since, self.connection)
        _start_watcher()
        try:
            yield
        finally:
            with _lock:
                _waiting.pop(id(self), None)


def watched(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application, its bodies watched where the server shows the connection, as gunicorn does."""

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if connection is not None and environ.get("CONTENT_LENGTH") not in (None, "", "0"):
            environ["wsgi.input"] = Body(environ["wsgi.input"], connection)
        return application(environ, start_response)

    return serve


def cut_off(now: float) -> None:
    """Whoever reads finds the end of the body; the answer can still be sent."""
    with _lock:
        limit = LONGEST if len(_waiting) <= MANY else LONGEST_OF_MANY
        for since, connection in _waiting.values():
            if now - since > limit:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)


def _start_watcher() -> None:
    global _watcher_of
    if _watcher_of != os.getpid():
        _watcher_of = os.getpid()
        threading.Thread(target=_watch, name="bodies", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        cut_off(time.monotonic())

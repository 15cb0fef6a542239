"""A far end that keeps its callers waiting: raw sockets on loopback, drop by drop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice, repeat

PAUSE = 0.02
OK = b"HTTP/1.1 200 OK\r\n"

# What is sent, a piece after each pause.
_ENDLESS: dict[str, Iterable[bytes]] = {
    "nothing": repeat(b""),
    "status line": chain([b"HTTP/1.1 200 "], repeat(b"O")),
    "headers": chain([OK], repeat(b"X-A: b\r\n", 4000)),
    "one header": chain([OK, b"X-A: "], repeat(b"b", 60_000)),
    "endless continue": repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": chain([OK, b"Content-Length: 100000\r\n\r\n"], repeat(b" ")),
    "chunks": chain([OK, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\n \r\n")),
    "body without an end": chain([OK, b"\r\n"], repeat(b" ")),
}
# Taken once: a chain that was served before would go on where it stopped.
DRIPS = {name: tuple(islice(pieces, 3000)) for name, pieces in _ENDLESS.items()}


class Drip:
    """Serves each caller the same pieces until the test ends."""

    def __init__(self, pieces: Iterable[bytes], *, reads: bool = True) -> None:
        self.pieces = list(zip(range(3000), pieces, strict=False))
        self.reads = reads
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]

    def _accept(self) -> None:
        with suppress(OSError):
            while not self.over.is_set():
                caller, _address = self.listener.accept()
                thread = threading.Thread(target=self._serve, args=[caller], daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, suppress(OSError):
            if self.reads:
                caller.recv(65536)
            for _number, piece in self.pieces:
                if self.over.wait(PAUSE):
                    return
                caller.sendall(piece)


@contextmanager
def dripping(name: str = "headers", *, reads: bool = True) -> Iterator[Drip]:
    drip = Drip(DRIPS[name], reads=reads)
    drip.threads[0].start()
    try:
        yield drip
    finally:
        drip.over.set()
        drip.listener.shutdown(socket.SHUT_RDWR)
        drip.listener.close()
        for thread in drip.threads:
            thread.join(timeout=5)

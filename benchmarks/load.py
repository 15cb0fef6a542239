"""A client as cheap as can be, for it shares the processors with what it measures: ready bytes, kept connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from .harness import seconds


class Unexpected(Exception):
    """An answer other than 2xx, or none: the figures would mean nothing."""


def request(target: str, body: bytes, headers: dict[str, str]) -> bytes:
    url = urlsplit(target)
    lines = [f"POST {url.path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, content: bytes) -> None:
        """Send a request whose answer has no body."""
        self.socket.sendall(content)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            chunk = self.socket.recv(4096)
            if not chunk:
                raise Unexpected(f"The connection ended after {answer[:200]!r}.")
            answer += chunk
        if answer[9:12] != b"204":
            raise Unexpected(answer[:300].decode("latin-1"))


def rate(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Requests answered per second, over several connections at once."""
    failures: list[Exception] = []

    def work(share: Sequence[bytes]) -> None:
        try:
            line = Line(port)
            for content in share:
                line.ask(content)
            line.socket.close()
        except (OSError, Unexpected) as error:
            failures.append(error)

    def all_of_them() -> None:
        threads = [threading.Thread(target=work, args=[requests[each::connections]]) for each in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    taken = seconds(all_of_them)
    if failures:
        raise failures[0]
    return len(requests) / taken

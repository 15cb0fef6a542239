"""Our webhook door around an adapter without a database: for a mock transport, or as a real HTTP server."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from providers.contract.base import Adapter, Delivery, HookError, HookRequest, Line, Refusal, Reply


class Door:
    """`line` tells the line an address belongs to; `below` is the path of the address itself."""

    def __init__(
        self,
        adapter: Adapter | None = None,
        *,
        below: str = "/",
        line: Callable[[str], Line | None] = lambda path: None,
    ):
        self.adapter = adapter
        self.below = below
        self.line = line
        self.deliveries: list[Delivery] = []
        self.refused: list[int] = []
        self.answers: list[int] = []  # before anything else, one a push
        self._keys: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        status, document = self.open(request.method, str(request.url), dict(request.headers), request.content)
        return httpx.Response(status, json=document) if document is not None else httpx.Response(status)

    def open(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        path = urlsplit(url).path
        rest = path[len(self.below) :].strip("/") if path.startswith(self.below) and self.below != "/" else ""
        pushed = HookRequest(
            method=method,
            url=url,
            headers=headers,
            body=body,
            received_at=datetime.now(UTC),
            line=self.line(path),
            rest=rest,
        )
        try:
            reply = self._serve(pushed)
        except HookError as error:
            self.refused.append(error.status_code)
            return error.status_code, dict(error.document) if isinstance(error, Refusal) else None
        return reply.status_code, dict(reply.document) if reply.document is not None else None

    def _serve(self, pushed: HookRequest) -> Reply:
        assert self.adapter is not None
        if (reply := self.adapter.serve(pushed)) is not None:
            return reply
        if self.answers:
            return Reply(status_code=self.answers.pop(0))
        self.adapter.verify_webhook(pushed)
        delivery = self.adapter.parse_webhook(HookRequest(**{**vars(pushed), "line": self.adapter.line_of(pushed)}))
        if delivery.key not in self._keys:
            self._keys.add(delivery.key)
            self.deliveries.append(delivery)
        return self.adapter.acknowledge(delivery.key)

    @property
    def statuses(self) -> list[tuple[str | None, str]]:
        return [(status.status, status.issuer_role) for delivery in self.deliveries for status in delivery.statuses]


class DoorServer:
    """The door on a real socket of this machine."""

    def __init__(self, door: Door) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = f"http://{self.headers['Host']}{self.path}"
                status, document = door.open(self.command, url, dict(self.headers), body)
                content = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_DELETE = answer  # noqa: N815

            def refuse(self) -> None:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = refuse  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> DoorServer:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

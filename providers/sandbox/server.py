"""The sandbox behind a real socket: `SandboxServer` in a thread for tests, `manage.py sandbox` as a process.

with SandboxServer(settings={"echo_delay": 0}) as sandbox:
    sandbox.control("deposit", buyer_siren="800112237")
    httpx.post(f"{sandbox.url}/login", json=...)
"""

import contextlib
import io
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import IO, Any, cast

import httpx
from werkzeug import Request, Response
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer, WSGIRequestHandler

from .app import MAX_BODY, ConnectionCutError, Sandbox
from .dialect import Dialect
from .dialects import DIALECTS


class Handler(WSGIRequestHandler):
    """Keeps connections alive, which Werkzeug's own handler does not: the body is read before the answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # head and body leave in one packet; else Nagle and delayed acknowledgement cost 40 ms
    disable_nagle_algorithm = True
    server: "Server"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # the other side, or a fault of ours, has already closed
            super().finish()
        self.server.connections.discard(self.connection)

    def run_wsgi(self) -> None:
        body = self._read_body()
        if body is None:
            response = Response("The body is too large.", status=413)
            self.close_connection = True
        else:
            environ = self.make_environ()
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            try:
                with Request(environ) as request:  # closes the files of a form
                    response = self.server.sandbox.handle(request)
            except ConnectionCutError:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
        self._send(response)

    def _read_body(self) -> bytes | None:
        """The whole body, or None when it is too large."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = DechunkedInput(cast("IO[bytes]", self.rfile)).read(MAX_BODY + 1)
            return None if len(body) > MAX_BODY else body
        length = int(self.headers.get("Content-Length") or 0)
        return None if length > MAX_BODY else self.rfile.read(length)

    def _send(self, response: Response) -> None:
        content = response.get_data()
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        if response.status_code != 204:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and response.status_code != 204:
            self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if not self.server.quiet and not self.path.startswith("/control/"):  # the page asks every two seconds
            self.log("info", "%s %s", self.requestline, code)


class Server(ThreadedWSGIServer):
    def __init__(self, sandbox: Sandbox, host: str, port: int, quiet: bool) -> None:
        self.sandbox = sandbox
        self.quiet = quiet
        self.connections: set[socket.socket] = set()
        super().__init__(host, port, app=None, handler=Handler)  # type: ignore[arg-type]

    def close_connections(self) -> None:
        """Wakes the threads that wait for the next request of a kept connection."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class SandboxServer:
    """A running sandbox. Port 0 chooses a free one; `transport` replaces the network for the webhooks it rings; `state`
    is a file that keeps what the platforms know from run to run.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        settings: dict[str, Any] | None = None,
        transport: httpx.BaseTransport | None = None,
        seed: str = "",
        quiet: bool = True,
        dialects: tuple[type[Dialect], ...] = DIALECTS,
        state: Path | None = None,
    ) -> None:
        self.sandbox = Sandbox(settings=settings, transport=transport, seed=seed, dialects=dialects)
        self._state = state
        if state:
            self.sandbox.recall(state)
        self._server = Server(self.sandbox, host, port, quiet)
        self.url = f"http://{host}:{self._server.server_port}"
        # plain HTTP to ourselves: an empty context spares loading the certificate authorities
        self._client = httpx.Client(timeout=30, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "SandboxServer":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()
        self._server.server_close()
        self.sandbox.stop()
        if self._state:
            self.sandbox.keep(self._state)

    def wait(self) -> None:
        """Until the server stops."""
        self._thread.join()

    def control(self, path: str, /, method: str = "", **body: Any) -> dict[str, Any]:
        """One call of the control API: with a body it is a POST. Raises ValueError with its message on refusal."""
        method = method or ("POST" if body else "GET")
        wish = body if method == "POST" else None
        answer = self._client.request(method, f"{self.url}/control/{path}", json=wish)
        if answer.is_error:
            raise ValueError(answer.text)
        return answer.json()

    def wait_idle(self, timeout: float = 5.0) -> None:
        """Until nothing is planned or being rung any more: echoes, reactions, retries. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while self.sandbox.pending:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the sandbox is still busy: {self.sandbox.pending} jobs")
            time.sleep(0.005)

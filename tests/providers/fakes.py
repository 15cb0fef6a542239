"""A far end, tokens and memory for testing adapters without a database or a network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from providers.contract.base import Account, Adapter

LOCK = threading.Lock()


class Tokens:
    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, datetime]] = {}

    def get(self, scope: str, login: Callable[[], tuple[str, datetime]]) -> str:
        if scope not in self.kept or self.kept[scope][1] <= datetime.now(UTC):
            self.kept[scope] = login()
        return self.kept[scope][0]

    def drop(self, scope: str, token: str) -> None:
        if scope in self.kept and self.kept[scope][0] == token:
            del self.kept[scope]


class Memory:
    """Passes everything through JSON, as the database does."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts

    def get(self, name: str) -> Any:
        return self.facts.get(name)

    def set(self, name: str, value: Any) -> None:
        self.facts[name] = json.loads(json.dumps(value))

    fresh = get

    def claim(self, name: str, seconds: float) -> bool:
        with LOCK:
            now, claimed_at = datetime.now(UTC), self.facts.get(name)
            if claimed_at and (now - datetime.fromisoformat(claimed_at)).total_seconds() < seconds:
                return False
            self.facts[name] = now.isoformat()
            return True


class FarEnd:
    """Answers by "METHOD /path"; notes every request.

    An answer is (status, body), (status, body, headers), an exception to raise, a function of the request, or a list of
    those: one a call, the last one again and again. A body that is no bytes is sent as JSON.
    """

    def __init__(self, routes: Mapping[str, Any]) -> None:
        self.routes = dict(routes)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        name = f"{request.method} {request.url.path}"
        return self._answer(name, self.routes.get(name, (404, {"title": "An error occurred", "detail": "Not Found"})))

    def _answer(self, name: str, answer: Any) -> httpx.Response:
        if isinstance(answer, list):
            if len(answer) > 1:
                self.routes[name] = answer[1:]
            answer = answer[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(self.requests[-1])
        status, body, *headers = answer
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.Response(status, headers=headers[0] if headers else None, **content)

    def asked(self, name: str) -> list[httpx.Request]:
        return [request for request in self.requests if f"{request.method} {request.url.path}" == name]

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


def make_adapter(cls: type[Adapter], account: Account, far_end: Any, memory: Memory | None = None) -> Any:
    client = httpx.Client(transport=httpx.MockTransport(far_end))
    return cls(account, client=client, tokens=Tokens(), memory=memory or Memory())

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from providers.sandbox.server import SandboxServer

TARGET = "https://navette.example.test/hooks/acube/c1/"
TOKEN = "a shared secret"
EVENTS = ("invoice.inbound", "invoice.outbound", "invoice.status", "legal_entity.onboarding")
OURS = "800112237"


class Hook:
    """Our side of the webhooks: keeps what was rung and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[int] = []
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(request)
            return httpx.Response(self.answers.pop(0) if self.answers else 204)

    @property
    def events(self) -> list[dict]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def statuses(self) -> list[str]:
        return [event["status"] for event in self.events]


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def sandbox(hook: Hook) -> Iterator[SandboxServer]:
    settings = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}
    with SandboxServer(settings=settings, transport=httpx.MockTransport(hook)) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """Logged in, and registered for every event."""
    with httpx.Client(base_url=f"{sandbox.url}/acube", trust_env=False) as client:
        token = client.post("/login", json={"email": "bot@example.test", "password": "x"}).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for event in EVENTS:
            destination = {
                "event": event,
                "target": TARGET,
                "delivery": "webhook",
                "status": "active",
                "authType": "header",
                "authKey": "X-Webhook-Token",
                "authToken": TOKEN,
            }
            assert client.post("/event-destinations", json=destination).status_code == 201
        yield client


@pytest.fixture
def invoice(sandbox: SandboxServer, client: httpx.Client) -> str:
    """A received invoice whose arrival has been rung."""
    made = sandbox.control("deposit", buyer_siren=OURS, number="F-1", sample="stationery")
    sandbox.wait_idle()
    return made["invoices"][0]["uuid"]

"""What a benchmark stands on: its own database, the project's real processes, a customer, invoices at the sandbox."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from invoices.models import AddressingLine, Customer, DocumentState, Invoice
from lifecycle.history import events
from providers.acube import keys, webhooks
from providers.connections.registry import get_adapter
from providers.connections.sealing import Secrets
from providers.connections.services import open_hook
from providers.models import Connection, Hook
from providers.sandbox import signing

SIREN = "800112237"
WEBHOOK_TOKEN = "benchmark-webhook-token"  # noqa: S105 - of a throw-away database
KEY_SEED = "Navette sandbox, A-Cube"
READY_SECONDS = 30
TEMPLATE = "navette"


def open_database(name: str) -> None:
    """A fresh migrated database, for this process and those it starts."""
    _use(TEMPLATE)
    call_command("migrate", verbosity=0)
    copy_database(TEMPLATE, name)
    _use(name)


def copy_database(source: str, name: str) -> None:
    _use("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    _use(source)


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = os.environ["NAVETTE_BENCHMARK_DATABASE"] = name


# --- processes --------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child with its own process group, ended with all its children."""
    child = subprocess.Popen(
        [sys.executable, *command], cwd=settings.BASE_DIR, env=os.environ | environment, start_new_session=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            httpx.get(url, timeout=2, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{url} does not answer.")


@contextmanager
def web_server(port: int, application: str = "einvoice_project.wsgi", **environment: str) -> Iterator[str]:
    """gunicorn with one process of four threads; its address."""
    url = f"http://127.0.0.1:{port}"
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4", "--preload"]
    command = ["-m", "gunicorn", *options, "--log-level", "critical", f"{application}:application"]
    with process(*command, PUBLIC_URL=url, **environment) as child:
        _wait_for(f"{url}/healthz", child)
        yield url


@contextmanager
def worker() -> Iterator[None]:
    with process("manage.py", "qcluster"):
        time.sleep(2)
        yield


class SandboxProcess:
    """The sandbox over its control API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def control(self, path: str, **wish: Any) -> dict[str, Any]:
        answer = self.client.post(f"/control/{path}", json=wish).raise_for_status()
        return dict(answer.json())

    def deposit(self, count: int) -> list[str]:
        """The references of `count` new invoices for our customer."""
        return [row["uuid"] for row in self.control("deposit", buyer_siren=SIREN, count=count)["invoices"]]

    def news(self, refs: Iterable[str], status: str) -> None:
        """The platform learns a status of each; nobody is registered, so nobody is told."""
        for ref in refs:
            self.control("status", invoice=ref, status=status)


@contextmanager
def sandbox() -> Iterator[SandboxProcess]:
    """The sandbox as its own process. Nobody reacts and nothing is echoed by itself."""
    port = free_port()
    with process("manage.py", "sandbox", "--quiet", "--port", str(port)) as child:
        _wait_for(f"http://127.0.0.1:{port}/control/", child)
        served = SandboxProcess(f"http://127.0.0.1:{port}")
        served.control("settings", auto_react=False, echo_delay=3600)
        yield served


# --- rows -------------------------------------------------------------------------------------------------------------


def make_customer() -> Customer:
    return Customer.objects.create(siren=SIREN, name="Atelier Dupont")


def make_connection(platform_url: str) -> Connection:
    """An A-Cube connection without our own limit on calls, which already knows the sandbox's public key."""
    key = signing.private_key(KEY_SEED).public_key()
    known = {
        "key": webhooks.dump_public_key(key),
        "fingerprint": webhooks.fingerprint(key),
        "fetched_at": datetime.now(UTC).isoformat(),
    }
    return Connection.objects.create(
        name="acube",
        kind="acube",
        settings={"api_url": platform_url, "login_url": platform_url, "requests_per_second": 0},
        secrets=Secrets({"email": "bot@example.test", "password": "s3cret", "webhook_token": WEBHOOK_TOKEN}),
        memory={keys.KEY_MEMORY: known},
    )


def make_invoices(customer: Customer, account: Connection, refs: Sequence[str]) -> list[Invoice]:
    """Invoices as already received, with the history the platform shows of them."""
    line, _created = AddressingLine.objects.get_or_create(
        identifier=SIREN, defaults={"customer": customer, "connection": account}
    )
    rows = [
        Invoice(
            customer=customer, connection=account, addressing_line=line, provider_ref=ref, number=f"F-{ref[-12:]}",
            direction="received", type_code="380", currency="EUR", seller_name="Papeterie du Pont",
            seller_siren="905334413", buyer_name="Atelier Dupont", buyer_siren=SIREN,
            document_state=DocumentState.READ,
        )
        for ref in refs
    ]  # fmt: skip
    Invoice.objects.bulk_create(rows)
    adapter = get_adapter(account)
    for row in rows:
        events.record_reports(row.pk, adapter.fetch_statuses(row.provider_ref))
    return rows


def open_door(account: Connection) -> Hook:
    return open_hook(connection=account)[0]


def push(target: str, invoice_ref: str, status: str = "204") -> tuple[bytes, dict[str, str]]:
    """Body and headers of one genuine delivery, signed now."""
    event = {
        "eventId": str(uuid.uuid4()), "eventType": "invoice.status", "status": status, "statusLabel": status,
        "invoiceUuid": invoice_ref, "direction": "INBOUND",
    }  # fmt: skip
    body = json.dumps(event).encode()
    signature = signing.sign(
        key=signing.private_key(KEY_SEED), target=target, body=body, created=int(time.time()), key_id="acube",
        label="pyhms",
    )  # fmt: skip
    return body, {"content-type": "application/json", "x-webhook-token": WEBHOOK_TOKEN, **signature}

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from invoices.customers.lines import set_up_line
from invoices.models import AddressingLine, Invoice
from lifecycle import demo, provisioning
from providers.connections import services as platforms
from providers.connections.registry import as_line, get_adapter
from providers.contract.base import PlatformError, Unsupported
from providers.models import Connection

READY_SECONDS = 30
STOP_SECONDS = 10


class Command(BaseCommand):
    help = (
        "The whole loop on this machine: database, sandbox platforms, web server and worker, with two seeded companies "
        "and three people. Ctrl-C stops everything. Wants NAVETTE_DEMO=1, as `make run` sets it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sandbox-port", type=int, default=8900, help="port of the sandbox (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo has fixed passwords: set NAVETTE_DEMO=1 to say that this is no real desk.")
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, signal.default_int_handler)
        call_command("migrate", verbosity=0)
        sandbox_url = f"http://127.0.0.1:{options['sandbox_port']}"
        provisioning.provision(demo.wish(sandbox_url))
        connections.close_all()
        with Processes() as processes:
            port, state = str(options["sandbox_port"]), str(settings.DATA_DIR / "sandbox-platforms")
            processes.start("the sandbox", "sandbox", "--quiet", "--port", port, "--state", state)
            processes.start("the worker", "qcluster")
            processes.start_web()
            processes.wait_for(f"{settings.PUBLIC_URL}/healthz")
            processes.wait_for(f"{sandbox_url}/control/")
            self._fill(sandbox_url)
            self._greet(sandbox_url)
            try:
                processes.watch()
            except KeyboardInterrupt:
                self.stdout.write("\nStopping.")

    def _fill(self, sandbox_url: str) -> None:
        """Make every platform of the sandbox push to us; the first time, let each deliver invoices."""
        with httpx.Client(base_url=sandbox_url, timeout=30, trust_env=False) as sandbox:
            sandbox.post("/control/settings", json={"acube": {"missing_documents_on_208": True}}).raise_for_status()
            for account in demo.ACCOUNTS:
                try:
                    self._join(account, sandbox)
                except PlatformError as error:
                    raise CommandError(f"The sandbox refused {account.name}: {error.message}") from error
            if not Invoice.objects.exists():
                for wish in demo.deposits():
                    sandbox.post("/control/deposit", json=wish).raise_for_status()

    def _join(self, account: demo.Account, sandbox: httpx.Client) -> None:
        """Whatever of these a platform knows: set the line up, subscribe it, register our webhooks."""
        connection = Connection.objects.get(name=account.name)
        line = AddressingLine.objects.get(identifier=account.line)
        with suppress(Unsupported):
            set_up_line(line=line)
        if get_adapter(connection).gives_connection_data:
            data = platforms.make_connection_data(connection=connection, line_identifier=account.line)
            sandbox.post(f"/{account.kind}/connection-data", json=data).raise_for_status()
        with suppress(Unsupported):
            platforms.subscribe_line(connection=connection, line=as_line(line))
        with suppress(Unsupported):
            get_adapter(connection).register_webhooks()

    def _greet(self, sandbox_url: str) -> None:
        people = "\n".join(f"    {username:<14} {demo.PASSWORD}" for username, _role in demo.PEOPLE)
        self.stdout.write(
            f"\nNavette is ready: {settings.PUBLIC_URL}/\n\n"
            f"  Log in as (name, password):\n{people}\n\n"
            f"  The other side (deposit invoices, misbehave): {sandbox_url}/control/\n"
            "  Ctrl-C stops everything.\n"
        )
        self.stdout.flush()


class Processes:
    """Our children, each the leader of its own group, so that nothing of theirs survives us."""

    def __init__(self) -> None:
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *failure: object) -> None:
        for _name, child in self._children:
            _signal_group(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for _name, child in self._children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(child, signal.SIGKILL)
                child.wait()

    def start(self, name: str, *command: str) -> None:
        self._spawn(name, [sys.executable, str(settings.BASE_DIR / "manage.py"), *command])

    def start_web(self) -> None:
        # Threads, for pages of the demo wait for one another's polls; preloaded, for memory.
        address = urlsplit(settings.PUBLIC_URL).netloc
        options = ["--bind", address, "--workers", "2", "--threads", "4", "--preload", "--log-level", "warning"]
        self._spawn("the web server", [sys.executable, "-m", "gunicorn", *options, "einvoice_project.wsgi:application"])

    def _spawn(self, name: str, command: list[str]) -> None:
        child = subprocess.Popen(command, cwd=settings.BASE_DIR, env=os.environ, start_new_session=True)
        self._children.append((name, child))

    def wait_for(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self._fail_if_one_ended()
            try:
                if httpx.get(url, timeout=2, trust_env=False).status_code < 500:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise CommandError(f"{url} did not answer within {READY_SECONDS} s.")

    def watch(self) -> None:
        while True:
            self._fail_if_one_ended()
            time.sleep(0.5)

    def _fail_if_one_ended(self) -> None:
        for name, child in self._children:
            if child.poll() is not None:
                raise CommandError(f"Stopping: {name} ended by itself (exit code {child.returncode}).")


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return

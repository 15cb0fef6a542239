"""Navette's own processes on the test database, started and killed by tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
from django.conf import settings
from django.db import connection
from django_q.tasks import async_task


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 30, describe: Callable[[], Any] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s: {describe()}"
        time.sleep(0.05)


def sweep_until(condition: Callable[[], Any], seconds: float, describe: Callable[[], Any] = lambda: "") -> None:
    """Wait, with a sweep every second where the schedule has one every minute."""

    def tick() -> Any:
        if condition():
            return True
        async_task("lifecycle.tasks.sweep")
        time.sleep(1)
        return False

    wait_until(tick, seconds, describe)


class Navette:
    """A web server and a worker as separate process groups; each may be killed and started again."""

    def __init__(self, log: Path | None = None, **environment: str) -> None:
        self.log = log
        self.environment = environment
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "NAVETTE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "PUBLIC_URL": self.url,
            "LEASE_SECONDS": "4",
            "RELAY_THREADS": "4",
            **self.environment,
        }

    def _start(self, name: str, *command: str) -> None:
        with self.log.open("ab") if self.log else contextlib.nullcontext() as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=settings.BASE_DIR,
                env=self._environment(),
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def start_web(self) -> None:
        options = ["--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "8", "--log-level", "critical"]
        self._start("web", "-m", "gunicorn", *options, "einvoice_project.wsgi:application")
        wait_until(self._answers, describe=lambda: "the web server does not answer")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def start_worker(self) -> None:
        self._start("worker", "-m", "tests.worker")

    def run(self, *command: str) -> int:
        """Let a process of ours come to its end; returns its exit code, or minus the signal that ended it."""
        return subprocess.run([sys.executable, *command], cwd=settings.BASE_DIR, env=self._environment()).returncode

    def kill(self, name: str) -> None:
        """SIGKILL the whole group: nothing is told, nothing is tidied."""
        child = self._children.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def has_sentinel(self) -> bool:
        return bool(psutil.Process(self._children["worker"].pid).children())

    def kill_sentinel(self) -> None:
        """SIGKILL the worker's guard alone: its main process has to end by that, as whoever restarts it waits for. What
        is left of the group ends with it, as in a container.
        """
        worker = self._children["worker"]
        (sentinel,) = psutil.Process(worker.pid).children()
        sentinel.kill()
        worker.wait(timeout=10)
        self.kill("worker")

    def stop(self) -> None:
        for name in list(self._children):
            self.kill(name)

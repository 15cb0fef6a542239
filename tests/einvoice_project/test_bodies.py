"""Slow bodies keep no page and no push waiting; a server of two threads is enough to see it."""

import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
from django.conf import settings

from einvoice_project import bodies
from tests.processes import free_port, wait_until


@pytest.fixture
def server():
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "4", "--log-level", "critical"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "gunicorn", *options, "einvoice_project.wsgi:application"]
    child = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    try:
        wait_until(lambda: is_alive(port))
        yield port
    finally:
        child.terminate()
        child.wait(timeout=20)


def is_alive(port, seconds=2.0):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=seconds, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def slow_body(port):
    caller = socket.create_connection(("127.0.0.1", port))
    caller.sendall(
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\na"
    )
    return caller


def test_sixteen_slow_bodies_stop_nobody(server):
    callers = [slow_body(server) for _ in range(16)]
    try:
        began = time.monotonic()
        wait_until(lambda: is_alive(server), seconds=15)
        assert time.monotonic() - began < 12
    finally:
        for caller in callers:
            caller.close()


def test_lone_body_may_take_its_time(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(bodies, "_waiting", {1: (0.0, ours)})
        bodies.cut_off(bodies.LONGEST - 1)
        theirs.send(b"x")
        assert ours.recv(1) == b"x"
        bodies.cut_off(bodies.LONGEST + 1)
        assert ours.recv(1) == b""
